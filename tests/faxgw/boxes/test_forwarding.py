"""A fax goes to another box or number, by hand and by rule: a fax of its own, in the ledger of copies."""

from uuid import UUID

import pytest
from sqlalchemy import select

from faxgw.boxes.keys import sealing_keys
from faxgw.boxes.rules import forward_received, leading_to
from faxgw.faxes.sealed import write_down
from faxgw.gateway import Gateway
from faxgw.store.tables import faxes, pages, wraps
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import Person, add_fax, add_person
from tests.faxgw.boxes.house import give, received, set_policy


@pytest.mark.requirement("XM-04")
async def test_a_fax_forwarded_to_a_box_is_a_fax_there_linked_to_the_original_and_in_the_ledger(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    fax = await received(gateway, owner)
    other = await add_person(gateway, owner.tenant_id, role="member")
    theirs = connect(other)
    answer = await client.post(f"/v1/faxes/{fax}:forward", json={"box": str(other.box_id)})
    assert (answer.status_code, answer.json()["state"]) == (202, "received"), answer.text
    new = (await theirs.get(f"/v1/faxes/{answer.json()['id']}")).json()
    assert (new["forwarded_from"], new["box"], new["from"]) == (str(fax), str(other.box_id), "+493012345")
    pdf = await theirs.get(f"/v1/faxes/{new['id']}/content", params={"format": "tiff"})
    assert pdf.content == (await client.get(f"/v1/faxes/{fax}/content", params={"format": "tiff"})).content
    assert (await theirs.get(f"/v1/faxes/{fax}")).status_code == 404
    ledger = (await client.get(f"/v1/faxes/{fax}/copies")).json()["items"]
    assert [each["location"] for each in ledger if each["kind"] == "forward"] == [f"box:{other.box_id}"]
    told = await client.get(f"/v1/faxes/{fax}/events", headers={"accept": "application/json"})
    assert told.json()["items"][-1]["type"] == "fax.forwarded"


@pytest.mark.requirement("XM-04")
async def test_a_fax_forwarded_to_a_number_is_a_new_fax_of_the_same_pages(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    fax = await received(gateway, owner)
    answer = await client.post(f"/v1/faxes/{fax}:forward", json={"to": "+15550100"})
    assert answer.status_code == 202, answer.text
    new = (await client.get(f"/v1/faxes/{answer.json()['id']}")).json()
    original = (await client.get(f"/v1/faxes/{fax}")).json()
    assert (new["direction"], new["state"], new["to"]) == ("out", "queued", "+15550100")
    assert (new["page_set"], new["forwarded_from"]) == (original["page_set"], str(fax))
    ledger = (await client.get(f"/v1/faxes/{fax}/copies")).json()["items"]
    assert [each["location"] for each in ledger] == [f"fax:{new['id']}"]


@pytest.mark.requirement("XM-04")
async def test_the_box_whose_fax_was_deleted_has_no_way_left_into_pages_that_another_box_keeps(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    fax = await received(gateway, owner)
    other = await add_person(gateway, owner.tenant_id, role="member")
    copy = (await client.post(f"/v1/faxes/{fax}:forward", json={"box": str(other.box_id)})).json()["id"]
    async with gateway.database.tenant(owner.tenant_id) as connection:
        keys = await sealing_keys(connection, [owner.box_id, other.box_id])
        there = (await connection.execute(select(wraps.c.key_id))).scalars().all()
    assert set(there) == {each.key_id for each in keys.values()}
    assert (await client.delete(f"/v1/faxes/{fax}")).status_code == 200
    async with gateway.database.tenant(owner.tenant_id) as connection:
        left = (await connection.execute(select(wraps.c.key_id))).scalars().all()
    assert left == [keys[other.box_id].key_id]
    assert (await client.get(f"/v1/faxes/{fax}/content")).json()["code"] == "content.gone"
    assert (await connect(other).get(f"/v1/faxes/{copy}/pages/1")).status_code == 200


async def test_what_cannot_be_forwarded_is_refused(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    fax = await received(gateway, owner)
    reader = await add_person(gateway, owner.tenant_id, role="member")
    stranger = await add_person(gateway)
    running = await add_fax(gateway, owner, state="queued")
    for path, asked, code in (
        (fax, {"box": str(stranger.box_id)}, "box.unknown"),
        (running, {"box": str(reader.box_id)}, "fax.state"),
        (fax, {"to": "not a number"}, "number.invalid"),
        (fax, {}, "request.invalid"),
        (fax, {"to": "+15550100", "box": str(owner.box_id)}, "request.invalid"),
    ):
        answer = await client.post(f"/v1/faxes/{path}:forward", json=asked)
        assert answer.json()["code"] == code, answer.text
    refused = await connect(reader).post(f"/v1/faxes/{fax}:forward", json={"to": "+15550100"})
    assert refused.json()["code"] == "fax.unknown"
    await give(client, owner.box_id, reader, "read")
    allowed = await connect(reader).post(f"/v1/faxes/{fax}:forward", json={"to": "+15550100"})
    assert allowed.status_code == 202
    sent = (await connect(reader).get(f"/v1/faxes/{allowed.json()['id']}")).json()
    assert sent["box"] == str(reader.box_id)  # who only reads a box sends from their own
    assert (await connect(reader).get(f"/v1/faxes/{sent['id']}/pages/1")).status_code == 200


async def _come_in(gateway: Gateway, owner: Person, caller: str) -> UUID:
    """Have a fax come in as ``lines`` files it: sealed to all boxes that rules lead to, then written down there."""
    fax = await received(gateway, owner)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await connection.execute(faxes.update().where(faxes.c.id == fax).values(from_number=caller))
        also = await leading_to(connection, owner.box_id, caller)
        stored = await gateway.objects.put(b"a page", tenant=owner.tenant_id, kind="page")
        keys = await sealing_keys(connection, {owner.box_id, *also})
        await write_down(connection, [stored], boxes=keys.values(), spool=None)
        row = (await connection.execute(select(faxes).where(faxes.c.id == fax))).mappings().one()
        own = pages.c.page_set_id == row["page_set_id"]
        await connection.execute(pages.update().where(own).values(object_id=stored.id))
        await forward_received(connection, row)
    return fax


@pytest.mark.requirement("XM-04", "XM-06")
async def test_a_rule_forwards_what_comes_from_its_numbers_and_nothing_while_the_policy_suspends_it(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    other = await add_person(gateway, owner.tenant_id, role="member")
    url, asked = f"/v1/boxes/{owner.box_id}/rules", {"prefix": "+4930", "to": str(other.box_id)}
    made = await client.post(url, json=asked)
    assert (made.status_code, made.json()["state"]) == (201, "active"), made.text
    assert (await client.post(url, json=asked)).json()["code"] == "rule.exists"
    assert (await client.post(url, json={"to": str(owner.box_id)})).json()["code"] == "rule.circular"
    theirs = connect(other)
    await _come_in(gateway, owner, "+44201234")
    assert (await theirs.get("/v1/faxes")).json()["items"] == []
    fax = await _come_in(gateway, owner, "+493012345")
    (new,) = (await theirs.get("/v1/faxes")).json()["items"]
    assert (new["forwarded_from"], new["from"], new["direction"]) == (str(fax), "+493012345", "in")
    await set_policy(gateway, owner.tenant_id, allow_forwarding=False)
    (rule,) = (await client.get(url)).json()["items"]
    assert rule["state"] == "suspended_by_policy"
    refused = await client.post(url, json={"to": str(other.box_id)})
    assert (refused.status_code, refused.json()["code"]) == (403, "policy.denied")
    async with gateway.database.tenant(owner.tenant_id) as connection:
        before = (await connection.execute(select(wraps))).all()
    await _come_in(gateway, owner, "+493012345")
    assert len((await theirs.get("/v1/faxes")).json()["items"]) == 1
    async with gateway.database.tenant(owner.tenant_id) as connection:
        after = (await connection.execute(select(wraps))).all()
    assert len(after) == len(before) + 2  # sealed to the one box: what it replaced, and itself
    await set_policy(gateway, owner.tenant_id)
    await _come_in(gateway, owner, "+493012345")
    assert len((await theirs.get("/v1/faxes")).json()["items"]) == 2
    assert (await client.delete(f"{url}/{rule['id']}")).status_code == 204
    await _come_in(gateway, owner, "+493012345")
    assert len((await theirs.get("/v1/faxes")).json()["items"]) == 2
