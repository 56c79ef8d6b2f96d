"""Rights to a box: they open it, and when they end, nothing opens any more."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.boxes.grants import end_expired
from faxgw.boxes.keys import held_keys
from faxgw.boxes.ways import ways_to
from faxgw.gateway import Gateway
from faxgw.keys.export import read_export
from faxgw.keys.wraps import KeyPair, WrapBroken, unwrap, wrap_context
from faxgw.store.tables import audit_waiting, grants, users, wraps
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import Person, add_key, add_person
from tests.faxgw.boxes.house import PAGE, give, received


@pytest.mark.requirement("XM-02")
async def test_what_lies_in_a_box_is_404_to_everybody_else(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    fax = await received(gateway, owner)
    other = connect(await add_person(gateway, owner.tenant_id, role="member"))
    assert (await client.get(f"/v1/faxes/{fax}/content")).status_code == 200
    for path in ("", "/content", "/pages", "/pages/1", "/pages/1/sealed", "/events", "/copies"):
        answer = await other.get(f"/v1/faxes/{fax}{path}", headers={"accept": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (404, "fax.unknown"), path
    assert (await other.get("/v1/faxes")).json()["items"] == []
    assert (await other.get(f"/v1/boxes/{owner.box_id}")).status_code == 404


@pytest.mark.requirement("XM-03")
async def test_a_delegate_sees_and_opens_and_after_the_end_gets_404(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    fax = await received(gateway, owner)
    friend = await add_person(gateway, owner.tenant_id, role="member")
    theirs = connect(friend)
    grant = await give(client, owner.box_id, friend, "read")
    assert [each["id"] for each in (await theirs.get("/v1/faxes")).json()["items"]] == [str(fax)]
    assert (await theirs.get(f"/v1/faxes/{fax}/content")).content[:4] == b"%PDF"
    assert (await theirs.get(f"/v1/boxes/{owner.box_id}")).json()["rights"] == ["read"]
    later = await received(gateway, owner)
    assert (await theirs.get(f"/v1/faxes/{later}/pages/1")).status_code == 200
    url = f"/v1/boxes/{owner.box_id}/grants/{grant['id']}"
    assert (await client.delete(url)).status_code == 204
    for path in (f"/v1/faxes/{fax}", f"/v1/faxes/{fax}/content", f"/v1/boxes/{owner.box_id}"):
        assert (await theirs.get(path)).status_code == 404
    assert (await theirs.get("/v1/faxes")).json()["items"] == []
    assert (await client.get(f"/v1/faxes/{fax}/content")).status_code == 200


@pytest.mark.requirement("XM-03")
async def test_keys_that_a_delegate_kept_open_nothing_that_comes_later_nor_after_rewrapping_what_was_there(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    before = await received(gateway, owner)
    friend = await add_person(gateway, owner.tenant_id, role="member")
    grant = await give(client, owner.box_id, friend, "read")
    async with gateway.database.tenant(owner.tenant_id) as connection:
        kept = list((await held_keys(connection, friend.key_pair, owner.box_id)).values())
    assert len(kept) == 1
    await client.delete(f"/v1/boxes/{owner.box_id}/grants/{grant['id']}")
    after = await received(gateway, owner)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        assert await held_keys(connection, friend.key_pair, owner.box_id) == {}
        rows = (await connection.execute(select(wraps).order_by(wraps.c.object_id))).mappings().all()
        ids = [row["object_id"] for row in rows]
        found = await ways_to(connection, friend.key_pair, tenant_id=owner.tenant_id, object_ids=ids)
        assert set(found) == set()
    opened = [_opens(row, kept[0]) for row in rows]
    assert opened == [True, False]
    assert (await client.post(f"/v1/boxes/{owner.box_id}:rewrap")).json() == {"rewrapped": 1, "left": 0}
    async with gateway.database.tenant(owner.tenant_id) as connection:
        rows = (await connection.execute(select(wraps))).mappings().all()
    assert [_opens(row, kept[0]) for row in rows] == [False, False]
    for fax in (before, after):
        assert (await client.get(f"/v1/faxes/{fax}/pages/1")).status_code == 200


def _opens(row: Mapping[Any, Any], key: KeyPair) -> bool:
    context = wrap_context(tenant=row["tenant_id"], object_id=row["object_id"], kind="box")
    try:
        return bool(unwrap(row["blob"], key, context=context))
    except WrapBroken:
        return False


@pytest.mark.requirement("XM-03")
async def test_a_grant_ends_at_its_time_for_requests_at_once_and_for_keys_at_the_next_upkeep(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    fax = await received(gateway, owner)
    friend = await add_person(gateway, owner.tenant_id, role="member")
    in_20_years = datetime.now(UTC) + timedelta(days=7300)
    grant = await give(client, owner.box_id, friend, "read", "send", expires_at=in_20_years)
    assert await end_expired(gateway, now=in_20_years - timedelta(seconds=1)) == 0
    theirs = connect(friend)
    assert (await theirs.get(f"/v1/faxes/{fax}")).status_code == 200
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await connection.execute(update(grants).values(expires_at=datetime.now(UTC)))
    assert (await theirs.get(f"/v1/faxes/{fax}")).status_code == 404
    (listed,) = (await client.get(f"/v1/boxes/{owner.box_id}/grants")).json()["items"]
    assert (listed["id"], listed["state"]) == (grant["id"], "expired")
    assert await end_expired(gateway, now=in_20_years) == 1
    keys = (await client.get(f"/v1/boxes/{owner.box_id}/keys")).json()["items"]
    assert [each["readers"] for each in keys] == [[str(owner.user_id)]] * 2
    assert [each["retired_at"] is None for each in keys] == [True, False]
    async with gateway.database.tenant(owner.tenant_id) as connection:
        entries = (await connection.execute(select(audit_waiting.c.entry))).scalars().all()
    assert any('"grant.expired"' in entry for entry in entries)


@pytest.mark.requirement("XM-03")
async def test_who_is_deactivated_loses_what_was_given_and_reactivation_gives_none_of_it_back(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    friend = await add_person(gateway, owner.tenant_id, role="member")
    colleague = await add_person(gateway, owner.tenant_id, role="member")
    theirs, box = connect(friend), f"/v1/boxes/{owner.box_id}"
    fax, own = await received(gateway, owner), await received(gateway, friend)
    given = await give(client, owner.box_id, friend, "read", "send")
    await give(client, owner.box_id, colleague, "read")
    async with gateway.database.tenant(owner.tenant_id) as connection:
        kept = list((await held_keys(connection, friend.key_pair, owner.box_id)).values())
    assert (await client.delete(f"/v1/users/{friend.user_id}")).status_code == 204
    assert [each["user"] for each in (await client.get(f"{box}/grants")).json()["items"]] == [str(colleague.user_id)]
    present, before = (await client.get(f"{box}/keys")).json()["items"]
    readers = [set(each["readers"]) for each in (present, before)]
    assert readers == [{str(owner.user_id), str(colleague.user_id)}] * 2
    assert (present["retired_at"], before["key_id"]) == (None, kept[0].public.key_id)
    active = {"role": "member", "active": True}
    assert (await client.put(f"/v1/users/{friend.user_id}", json=active, headers={"if-match": "*"})).status_code == 200
    assert (await theirs.get(f"/v1/faxes/{fax}")).status_code == 404
    assert (await theirs.get(f"/v1/faxes/{own}/pages/1")).status_code == 200
    async with gateway.database.tenant(owner.tenant_id) as connection:
        assert await held_keys(connection, friend.key_pair, owner.box_id) == {}
        entries = [json.loads(each) for each in (await connection.execute(select(audit_waiting.c.entry))).scalars()]
    (said,) = [each for each in entries if each["action"] == "grant.revoked"]
    rest = {"box": str(owner.box_id), "user": str(friend.user_id), "rights": ["read", "send"], "reason": "deactivated"}
    assert (said["object_id"], said["data"]) == (given["id"], rest)
    later = await received(gateway, owner)
    await give(client, owner.box_id, friend, "read")
    assert [(await theirs.get(f"/v1/faxes/{each}/pages/1")).status_code for each in (fax, later)] == [200, 200]


async def test_what_was_left_to_somebody_deactivated_by_an_older_version_goes_at_the_next_upkeep(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    friend = await add_person(gateway, owner.tenant_id, role="member")
    await give(client, owner.box_id, friend, "read")
    async with gateway.database.tenant(owner.tenant_id) as connection:
        out = update(users).where(users.c.id == friend.user_id).values(deactivated_at=datetime.now(UTC))
        await connection.execute(out)
    assert await end_expired(gateway, now=datetime.now(UTC)) == 1
    async with gateway.database.tenant(owner.tenant_id) as connection:
        assert await held_keys(connection, friend.key_pair, owner.box_id) == {}


async def test_who_is_being_deactivated_is_given_nothing(gateway: Gateway, owner: Person, client: Client) -> None:
    friend = await add_person(gateway, owner.tenant_id, role="member")
    out = update(users).where(users.c.id == friend.user_id).values(deactivated_at=datetime.now(UTC))
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await connection.execute(out)
        asked = {"user": str(friend.user_id), "rights": ["read"]}
        given = asyncio.create_task(client.post(f"/v1/boxes/{owner.box_id}/grants", json=asked))
        await _until_one_waits(connection)
    assert (await given).json()["code"] == "user.unknown"


async def _until_one_waits(connection: AsyncConnection) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND database IS NULL")
    async with asyncio.timeout(10):
        while not (await connection.execute(waiting)).scalar_one():  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.01)


async def test_giving_the_right_to_read_takes_a_key_that_opens_content(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    friend = await add_person(gateway, owner.tenant_id, role="member")
    locked = await add_key(gateway, owner.tenant_id, owner.user_id, scopes=["boxes"], key_pair=None)
    client = connect(None)
    client.headers["authorization"] = f"Bearer {locked.text}"
    url = f"/v1/boxes/{owner.box_id}/grants"
    refused = await client.post(url, json={"user": str(friend.user_id), "rights": ["read"]})
    assert (refused.status_code, refused.json()["code"]) == (423, "key.locked")
    assert (await client.post(url, json={"user": str(friend.user_id), "rights": ["send"]})).status_code == 201


async def test_each_right_is_what_it_says_and_no_more(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    fax = await received(gateway, owner)
    reader, sender, manager = [await add_person(gateway, owner.tenant_id, role="member") for _ in range(3)]
    for person, right in ((reader, "read"), (sender, "send"), (manager, "manage")):
        await give(client, owner.box_id, person, right)
    box = str(owner.box_id)
    codes = {}
    for name, person in (("read", reader), ("send", sender), ("manage", manager)):
        one = connect(person)
        document = (await one.post("/v1/documents", content=b"hello", headers={"content-type": "text/plain"})).json()
        sent = await one.post("/v1/faxes", json={"to": "+15550100", "documents": [document["id"]], "box": box})
        rule = await one.post(f"/v1/boxes/{box}/rules", json={"to": str(person.box_id)})
        codes[name] = (
            (await one.get(f"/v1/faxes/{fax}/pages/1")).status_code,
            sent.status_code,
            rule.status_code,
            (await one.delete(f"/v1/faxes/{fax}")).status_code if name != "manage" else None,
        )
        if name == "send":
            mine = sent.json()["id"]
            assert (await one.get(f"/v1/faxes/{mine}")).json()["box"] == box
            assert (await one.post(f"/v1/faxes/{mine}:cancel")).status_code == 202
            assert (await one.get(f"/v1/faxes/{mine}/content")).json()["code"] == "access.not_yours"
    assert codes == {
        "read": (200, 404, 403, 403),
        "send": (404, 202, 403, 404),
        "manage": (404, 404, 201, None),
    }


async def test_nobody_gives_more_than_they_have_nor_to_themselves_nor_as_an_admin_of_anothers_box(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    manager = await add_person(gateway, owner.tenant_id, role="member")
    friend = await add_person(gateway, owner.tenant_id, role="member")
    admin = await add_person(gateway, owner.tenant_id, role="admin")
    await give(client, owner.box_id, manager, "manage")
    url = f"/v1/boxes/{owner.box_id}/grants"
    for person, whom, rights, expected in (
        (manager, friend, ["read"], "access.not_yours"),
        (manager, manager, ["manage"], "grant.needless"),
        (owner, owner, ["read"], "grant.needless"),
        (admin, admin, ["read"], "access.not_yours"),
        (admin, friend, ["send"], "access.not_yours"),
    ):
        answer = await connect(person).post(url, json={"user": str(whom.user_id), "rights": rights})
        assert answer.json()["code"] == expected, (rights, answer.text)
    stranger = await add_person(gateway)
    answer = await client.post(url, json={"user": str(stranger.user_id), "rights": ["read"]})
    assert (answer.status_code, answer.json()["code"]) == (404, "user.unknown")
    given = await give(connect(manager), owner.box_id, friend, "manage")
    assert (await connect(admin).delete(f"{url}/{given['id']}")).status_code == 204


async def test_a_box_goes_to_somebody_who_reads_and_manages_it_and_the_owner_of_before_keeps_rights(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    fax = await received(gateway, owner)
    friend = await add_person(gateway, owner.tenant_id, role="member")
    url, asked = f"/v1/boxes/{owner.box_id}:hand-over", {"user": str(friend.user_id)}
    assert (await client.post(url, json=asked)).json()["code"] == "box.owner"
    await give(client, owner.box_id, friend, "read", "manage")
    assert (await client.post(url, json=asked)).status_code == 204
    for person in (owner, friend):
        box = (await connect(person).get(f"/v1/boxes/{owner.box_id}")).json()
        assert (box["owner"], box["rights"]) == (str(friend.user_id), ["read", "send", "manage"])
        assert (await connect(person).get(f"/v1/faxes/{fax}/pages/1")).status_code == 200


async def test_an_exported_page_of_a_box_opens_with_a_readers_key_and_no_server(
    gateway: Gateway, owner: Person, client: Client, connect: Connect, tmp_path: Path
) -> None:
    fax = await received(gateway, owner)
    friend = await add_person(gateway, owner.tenant_id, role="member")
    await give(client, owner.box_id, friend, "read")
    for person in (owner, friend):
        path = tmp_path / "page.faxgw"
        path.write_bytes((await connect(person).get(f"/v1/faxes/{fax}/pages/1/sealed")).content)
        assert await read_export(path).open(person.key.text) == PAGE.octets
