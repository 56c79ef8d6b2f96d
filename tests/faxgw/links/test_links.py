"""Links: they open one fax for whoever has them, while they are good, and nothing opens it without their secret."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import numpy as np
import pytest
from sqlalchemy import func, select, text, update

from faxgw.api import create_app
from faxgw.config import Config
from faxgw.config.model import ApiSettings
from faxgw.documents.coded import bitmap_of
from faxgw.documents.pdf import pdf_octets
from faxgw.errors import RequestError
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.slots import ApiSecret, LinkSecret, Slot, WrongSecret, open_slot
from faxgw.keys.tokens import LinkToken
from faxgw.keys.wraps import PublicKey
from faxgw.links.ending import end_expired, end_links_of
from faxgw.links.making import TRIES, make_link
from faxgw.links.opening import NoLink, look_up, open_link
from faxgw.retention.shredding import Why, remove, shred
from faxgw.service import open_gateway
from faxgw.store.database import Database
from faxgw.store.tables import audit_waiting, copies, faxes, links, parcels, wraps
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import Person, add_person, drawn_page
from tests.faxgw.boxes.house import received, set_policy
from tests.faxgw.documents.making import pdf_pels

DRAWN = [drawn_page(1), drawn_page(2)]
WHY = Why("deleted")


async def linked(
    gateway: Gateway, owner: Person, *, fax: UUID | None = None, hours: int = 1, most: int = 2, **more: Any
) -> tuple[UUID, str]:
    """Return a fax and a link to it."""
    found = fax or await received(gateway, owner, DRAWN, spool=True)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        return found, await make_link(connection, gateway, found, hours=hours, most=most, **more)


async def count_of(gateway: Gateway, kind: str) -> int:
    async with gateway.database.dispatcher() as connection:
        counted = select(func.count()).select_from(wraps).where(wraps.c.kind == kind)
        return int((await connection.execute(counted)).scalar_one())


async def spool_gone(gateway: Gateway) -> None:
    """Take away the gateway's own ways, as when the last delivery has ended."""
    async with gateway.database.dispatcher() as connection:
        await connection.execute(wraps.delete().where(wraps.c.kind == "spool"))


async def test_a_link_opens_its_fax_for_somebody_without_a_credential(
    gateway: Gateway, owner: Person, connect: Connect, tmp_path: Path
) -> None:
    fax, path = await linked(gateway, owner)
    await spool_gone(gateway)
    nobody = connect(None)
    page = await nobody.get(path)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    given = await nobody.post(path)
    assert (given.status_code, given.headers["content-type"]) == (200, "application/pdf")
    assert given.headers["content-disposition"] == f'attachment; filename="fax-{fax}.pdf"'
    assert given.content == pdf_octets(DRAWN)
    (tmp_path / "fax.pdf").write_bytes(given.content)
    for index, drawn in enumerate(DRAWN):
        shown = pdf_pels(tmp_path / "fax.pdf", index, pels=drawn.pels, rows=drawn.rows)
        assert np.array_equal(shown, bitmap_of(drawn).pels())


async def test_following_a_link_opens_nothing_and_counts_nothing(
    gateway: Gateway, owner: Person, connect: Connect, client: Client
) -> None:
    fax, path = await linked(gateway, owner, most=1)
    nobody = connect(None)
    for _ in range(3):
        assert (await nobody.get(path)).status_code == (await nobody.head(path)).status_code == 200
    (listed,) = (await client.get(f"/v1/faxes/{fax}/links")).json()["items"]
    assert (listed["opened"], listed["state"]) == (0, "active")
    assert (await nobody.post(path)).status_code == 200


async def test_the_page_of_a_link_has_no_script_and_nothing_of_the_fax(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    _, path = await linked(gateway, owner)
    answers = [await connect(None).get(each) for each in (path, "/links/fgl_none")]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "noindex" in answer.headers["x-robots-tag"]
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "form-action 'self'" in policy
        assert not re.search(r"<script|\bon\w+=|src=|href=|https?:|\+?\d{6,}|fgl_", answer.text)
    assert "2 pages, as a PDF. This link opens it 2 times more" in answers[0].text


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_every_link_that_is_none_is_answered_in_the_same_words(
    gateway: Gateway, owner: Person, connect: Connect, client: Client, method: str
) -> None:
    _, good = await linked(gateway, owner, most=5)
    fax, revoked = await linked(gateway, owner)
    link = LinkToken.parse(revoked.rpartition("/")[2])
    assert (await client.delete(f"/v1/faxes/{fax}/links/{link.id}")).status_code == 204
    _, expired = await linked(gateway, owner, now=datetime.now(UTC) - timedelta(hours=2))
    _, used = await linked(gateway, owner, most=1)
    assert (await connect(None).post(used)).status_code == 200
    known = LinkToken.parse(good.rpartition("/")[2])
    none = [revoked, expired, used, good[:-1], good + "x", "/links/fgl_x", "/links/%00", f"/links/{'x' * 5000}"]
    none += [f"/links/{each.text}" for each in (LinkToken.generate(known.id), LinkToken.generate(new_id()))]
    none += [f"/links/{owner.key.text}"]
    answers = [await connect(None).request(method, each) for each in none]
    assert {(each.status_code, each.text) for each in answers} == {(404, answers[0].text)}
    assert len({tuple(each.headers.items()) for each in answers}) == 1
    assert (await connect(None).post(good)).status_code == 200


async def test_a_link_opens_so_often_as_it_may_also_at_once_and_then_nothing_is_left_of_it(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    _, path = await linked(gateway, owner, most=3)
    nobody = connect(None)
    statuses = sorted(each.status_code for each in await asyncio.gather(*(nobody.post(path) for _ in range(8))))
    assert statuses == [200] * 3 + [404] * 5
    assert await count_of(gateway, "link") == 0
    async with gateway.database.dispatcher() as connection:
        row = (await connection.execute(select(links))).one()
    assert (row.opened, row.blob) == (3, b"")


async def test_no_link_opens_anything_while_the_policy_lets_nobody_pass_faxes_on(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    _, path = await linked(gateway, owner)
    await set_policy(gateway, owner.tenant_id, allow_forwarding=False)
    assert [(await connect(None).request(each, path)).status_code for each in ("GET", "POST")] == [404, 404]
    await set_policy(gateway, owner.tenant_id, allow_forwarding=True)
    assert (await connect(None).post(path)).status_code == 200


async def test_where_nothing_is_stored_a_link_opens_what_waits_to_be_collected_and_ends_with_it(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    await set_policy(gateway, owner.tenant_id, storage="none")
    until = datetime.now(UTC) + timedelta(hours=1)
    fax = await received(gateway, owner, DRAWN, spool=True, storage="none", erase_at=until)
    assert await count_of(gateway, "box") == 0
    _, path = await linked(gateway, owner, fax=fax)
    assert (await connect(None).post(path)).content == pdf_octets(DRAWN)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        gone = Why("not_stored", record="none")
        done = await shred(connection, gateway, [fax], why=gone, by="service", now=datetime.now(UTC))
    assert len(done.objects) == len(DRAWN)
    assert await count_of(gateway, "link") == 0
    assert (await connect(None).post(path)).status_code == 404


async def test_a_link_that_ends_while_it_is_being_opened_gives_nothing(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    fax, path = await linked(gateway, owner)
    async with gateway.database.dispatcher() as connection:
        await connection.execute(select(links).with_for_update())
        opening = asyncio.create_task(connect(None).post(path))
        async with asyncio.timeout(20):
            while not await waits(gateway):
                assert not opening.done()
        await end_links_of(connection, [fax], now=datetime.now(UTC))
    assert (await opening).status_code == 404
    async with gateway.database.dispatcher() as connection:
        assert (await connection.execute(select(links.c.opened))).scalar_one() == 0


async def waits(gateway: Gateway) -> bool:
    """Tell whether somebody waits for a row that another transaction has locked."""
    async with gateway.database.dispatcher() as connection:
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
        return bool((await connection.execute(text(waiting))).scalar_one())


async def test_a_link_works_after_a_restart_and_when_the_keys_of_its_hour_are_gone(
    database: Database, gateway: Gateway, owner: Person
) -> None:
    _, path = await linked(gateway, owner)
    await spool_gone(gateway)
    for key in Path(f"{gateway.config.data_dir}.spool_keys").iterdir():  # noqa: ASYNC240
        key.unlink()
    config = Config(data_dir=gateway.config.data_dir, lines=(), api=ApiSettings(port=0))
    async with open_gateway(config, database.urls) as another:
        transport = httpx.ASGITransport(create_app(another), client=("192.0.2.1", 50000))
        async with Client(transport=transport, base_url="https://gateway") as nobody:
            assert (await nobody.post(path)).content == pdf_octets(DRAWN)


async def test_revoking_deletes_the_ways_at_once_and_says_so(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    fax, path = await linked(gateway, owner)
    _, other = await linked(gateway, owner, fax=fax)
    assert await count_of(gateway, "link") == 4
    newest, oldest = (await client.get(f"/v1/faxes/{fax}/links")).json()["items"]
    assert oldest["id"] == str(LinkToken.parse(path.rpartition("/")[2]).id)
    for _ in range(2):
        assert (await client.delete(f"/v1/faxes/{fax}/links/{oldest['id']}")).status_code == 204
    assert await count_of(gateway, "link") == 2
    states = {each["id"]: each["state"] for each in (await client.get(f"/v1/faxes/{fax}/links")).json()["items"]}
    assert states == {oldest["id"]: "revoked", newest["id"]: "active"}
    ledger = (await client.get(f"/v1/faxes/{fax}/copies")).json()["items"]
    fates = {each["location"]: each["fate"] for each in ledger}
    assert fates == {f"link:{oldest['id']}": "deleted", f"link:{newest['id']}": "outside_control"}
    assert (await connect(None).post(other)).status_code == 200
    unknown = await client.delete(f"/v1/faxes/{fax}/links/{uuid4()}")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "link.not_found")


async def test_only_readers_of_the_box_take_a_link_back(gateway: Gateway, owner: Person, connect: Connect) -> None:
    fax, path = await linked(gateway, owner)
    member = await add_person(gateway, owner.tenant_id, role="member")
    link = LinkToken.parse(path.rpartition("/")[2])
    assert (await connect(member).get(f"/v1/faxes/{fax}/links")).status_code == 404
    assert (await connect(member).delete(f"/v1/faxes/{fax}/links/{link.id}")).status_code == 404
    assert (await connect(None).post(path)).status_code == 200


async def test_what_has_expired_opens_nothing_and_is_cleaned_by_the_timetable(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    fax, path = await linked(gateway, owner, hours=1)
    later = datetime.now(UTC) + timedelta(hours=1, minutes=1)
    assert await end_expired(gateway.database, now=later - timedelta(minutes=2)) == 0
    assert await end_expired(gateway.database, now=later) == 1
    assert await end_expired(gateway.database, now=later) == 0
    assert await count_of(gateway, "link") == 0
    assert (await connect(None).get(path)).status_code == 404
    (listed,) = (await client.get(f"/v1/faxes/{fax}/links")).json()["items"]
    assert listed["state"] == "expired"
    (copy,) = (await client.get(f"/v1/faxes/{fax}/copies")).json()["items"]
    assert (copy["kind"], copy["deleted_at"]) == ("link", None)
    assert copy["expires_at"] == listed["expires_at"]


async def test_shredding_a_fax_kills_its_links_also_where_another_box_keeps_the_pages(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    fax, path = await linked(gateway, owner)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        row = (await connection.execute(select(faxes).where(faxes.c.id == fax))).mappings().one()
        kept = {**row, "id": new_id(), "forwarded_from": fax}
        await connection.execute(faxes.insert().values(kept))
        done = await shred(connection, gateway, [fax], why=WHY, by="service", now=datetime.now(UTC))
    await remove(gateway, done.objects)
    assert done.objects == []
    assert await count_of(gateway, "link") == 0
    assert (await connect(None).post(path)).status_code == 404
    assert (await client.get(f"/v1/faxes/{kept['id']}/content")).content == pdf_octets(DRAWN)
    (certificate,) = done.certificates
    assert certificate.said["copies_outside_control"] == 0


async def test_a_link_and_each_opening_are_in_the_ledger_and_in_the_log(
    gateway: Gateway, owner: Person, client: Client, connect: Connect
) -> None:
    fax, path = await linked(gateway, owner)
    await connect(None).post(path)
    link = LinkToken.parse(path.rpartition("/")[2])
    ledger = (await client.get(f"/v1/faxes/{fax}/copies")).json()["items"]
    assert {(each["kind"], each["location"]) for each in ledger} == {
        ("link", f"link:{link.id}"),
        ("download", f"link:{link.id}"),
    }
    async with gateway.database.dispatcher() as connection:
        said = "\n".join((await connection.execute(select(audit_waiting.c.entry))).scalars())
    assert f'"action":"link.created","actor":"service","data":{{"fax":"{fax}","hours":1,"most":2}}' in said
    assert f'"action":"link.opened","actor":"link:{link.id}"' in said
    assert link.text not in said


async def test_nothing_in_the_database_opens_a_link(gateway: Gateway, owner: Person) -> None:
    _, path = await linked(gateway, owner)
    token = LinkToken.parse(path.rpartition("/")[2])
    async with gateway.database.dispatcher() as connection:
        row = (await connection.execute(select(links))).mappings().one()
        everything = b"".join(value if isinstance(value, bytes) else str(value).encode() for value in row.values())
    assert token.secret not in everything
    assert token.text.encode() not in everything
    public = PublicKey.from_octets(bytes.fromhex(row["parameters"]["public_key"]))
    slot = Slot("link", row["parameters"], row["blob"])
    key = await open_slot(slot, LinkSecret(token.secret), public_key=public)
    assert key.public.key_id == row["key_id"]
    tried = [LinkSecret(row["mac"]), LinkSecret(row["mac"][:20]), LinkSecret(row["id"].bytes), ApiSecret(token.secret)]
    for each in tried:
        with pytest.raises(WrongSecret):
            await open_slot(slot, each, public_key=public)


@pytest.mark.parametrize("what", ["blob", "wraps", "public_key"])
async def test_what_was_altered_is_found_and_nothing_of_it_is_given(
    gateway: Gateway, owner: Person, connect: Connect, what: str
) -> None:
    _, path = await linked(gateway, owner)
    async with gateway.database.dispatcher() as connection:
        row = (await connection.execute(select(links))).mappings().one()
        if what == "wraps":
            other = (await connection.execute(select(wraps.c.blob).where(wraps.c.kind == "link"))).scalars().all()
            await connection.execute(update(wraps).where(wraps.c.kind == "link").values(blob=other[0]))
        elif what == "blob":
            await connection.execute(update(links).values(blob=row["blob"][:-1] + bytes([row["blob"][-1] ^ 1])))
        else:
            turned = row["parameters"] | {"public_key": "01" + "ab" * 32}
            await connection.execute(update(links).values(parameters=turned))
    answer = await connect(None).post(path)
    assert (answer.status_code, answer.json()["code"]) == (500, "content.damaged")
    async with gateway.database.dispatcher() as connection:
        assert (await connection.execute(select(links.c.opened))).scalar_one() == 0


async def test_of_one_parcel_the_last_few_links_live(gateway: Gateway, owner: Person, connect: Connect) -> None:
    fax = await received(gateway, owner, DRAWN, spool=True)
    parcel = {"id": new_id(), "tenant_id": owner.tenant_id, "kind": "fax", "key": "k", "fax_id": fax}
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await connection.execute(parcels.insert().values(parcel))
    made = [(await linked(gateway, owner, fax=fax, parcel_id=parcel["id"]))[1] for _ in range(TRIES + 2)]
    found = [(await connect(None).get(each)).status_code for each in made]
    assert found == [404] * 2 + [200] * TRIES
    assert await count_of(gateway, "link") == TRIES * len(DRAWN)


async def test_there_is_no_link_to_what_the_gateway_cannot_open(gateway: Gateway, owner: Person) -> None:
    fax = await received(gateway, owner, DRAWN)
    with pytest.raises(RequestError) as refused:
        await linked(gateway, owner, fax=fax)
    assert refused.value.code == "document.spent"
    async with gateway.database.dispatcher() as connection:
        assert (await connection.execute(select(func.count()).select_from(copies))).scalar_one() == 0


async def test_whoever_was_let_in_before_the_last_opening_gets_nothing_after_it(
    gateway: Gateway, owner: Person
) -> None:
    """Also where a link is full without having ended: the count itself holds, not what follows from it."""
    _, path = await linked(gateway, owner, most=2)
    now = datetime.now(UTC)
    before = await look_up(gateway, path.rpartition("/")[2], now=now)
    async with gateway.database.dispatcher() as connection:
        await connection.execute(update(links).values(opened=links.c.most))
    with pytest.raises(NoLink):
        await open_link(gateway, before, now=now)
    async with gateway.database.dispatcher() as connection:
        assert (await connection.execute(select(links.c.opened))).scalar_one() == 2
        assert not await connection.scalar(select(func.count()).where(copies.c.kind == "download"))


async def test_several_who_were_let_in_at_once_share_the_openings_that_are_left(
    gateway: Gateway, owner: Person
) -> None:
    _, path = await linked(gateway, owner, most=2)
    now = datetime.now(UTC)
    there = [await look_up(gateway, path.rpartition("/")[2], now=now) for _ in range(5)]
    done = await asyncio.gather(*(open_link(gateway, each, now=now) for each in there), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["NoLink"] * 3 + ["bytes"] * 2
    with pytest.raises(NoLink):
        await look_up(gateway, path.rpartition("/")[2], now=now)
