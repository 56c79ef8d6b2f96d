"""No-storage: no key of a person ever leads to a fax, and at its end nothing leads to it any more."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select, text

from faxgw.documents.coded import bitmap_of
from faxgw.documents.tiff import tiff_octets
from faxgw.errors import RequestError
from faxgw.faxes.actions import resend
from faxgw.faxes.keeping import is_stored
from faxgw.ids import new_id
from faxgw.keys.wraps import KeyPair, Suite
from faxgw.model import State
from faxgw.retention.jobs import end_unstored
from faxgw.retention.purging import purge
from faxgw.retention.shredding import Why, remove, shred
from faxgw.store.tables import (
    attempts,
    boxes,
    certificates,
    documents,
    forwarding_rules,
    holds,
    objects,
    page_sets,
    pages,
    users,
    wraps,
)
from faxgw.upkeep.spooling import delete_left_wraps
from simulators.sandbox import sandbox
from simulators.tray import Sheet, Tray
from t30.capabilities import Station
from t30.pages import Resolution
from tests.faxgw.lines.conftest import Office
from tests.faxgw.lines.pages import fax_pages
from tests.faxgw.lines.test_incoming import OWN, call

pytestmark = pytest.mark.requirement("FP-06")

COVER = {"message": "Quizjagd-Vioxblech"}


async def kinds(office: Office) -> set[str]:
    return {row.kind for row in await office.rows(select(wraps.c.kind))}


async def left(office: Office) -> dict[str, int]:
    counted = {}
    for table in (wraps, objects, pages, page_sets, documents):
        counted[table.name] = len(await office.rows(select(table)))
    counted["files"] = len([each async for each in office.gateway.objects.objects.list()])
    return counted


NOTHING = {"wraps": 0, "objects": 0, "pages": 0, "page_sets": 0, "documents": 0, "files": 0}


async def jobs(office: Office) -> list[Any]:
    async with office.gateway.database.dispatcher() as connection:
        found = await connection.execute(text("SELECT task_name, args FROM procrastinate_jobs"))
        return [tuple(row) for row in found]


async def open_hold(office: Office) -> None:
    row = {"id": new_id(), "tenant_id": office.tenant.tenant, "name": "case", "by_fax": False}
    async with office.gateway.database.dispatcher() as connection:
        await connection.execute(insert(holds).values(**row, user_id=office.tenant.user))


@pytest.mark.parametrize(("to", "state"), [("+15550100", State.DELIVERED), ("+15550101", State.CANCELED)])
async def test_of_a_fax_that_was_sent_or_not_nothing_is_left_but_a_minimal_record(
    office: Office, to: str, state: State
) -> None:
    await office.change_policy(storage="none")
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    fax_id = await office.send(to, document, cover=COVER, labels={"patient": "x"})
    if state is State.CANCELED:  # the line is busy
        await office.in_state(fax_id, State.WAITING_RETRY)
        assert await kinds(office) == {"spool"}
        await office.cancel(fax_id)
    fax = await office.ended(fax_id)
    assert (fax.state, fax.storage) == (state.value, "none")
    # At its end, in the same transaction: nobody can open anything of it any more.
    assert await kinds(office) == set()
    assert await jobs(office) == [("retention:not_stored", {"fax_id": str(fax_id)})]
    for count in (1, 0):
        done = await end_unstored(office.gateway, fax_id, now=datetime.now(UTC))
        assert len(done.certificates) == count
    assert await left(office) == NOTHING
    row = await office.fax(fax_id)
    assert (row.request, row.labels, row.remote_id, row.page_set_id, row.to_number) == ({}, {}, "", None, to)
    (said,) = await office.rows(select(certificates.c.said))
    assert (said.said["why"], said.said["record"]) == ("not_stored", "minimal")


async def test_what_nobody_ended_by_a_job_the_timetable_does(office: Office) -> None:
    await office.change_policy(storage="none")
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    fax_id = await office.send("+15550100", document)
    await office.ended(fax_id)
    assert await purge(office.gateway, now=datetime.now(UTC)) == 1
    assert await left(office) == NOTHING


async def test_one_fax_of_a_tenant_that_stores_may_be_kept_from_it(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    fax_id = await office.send("+15550101", document, cover=COVER, storage="none")
    fax = await office.in_state(fax_id, State.WAITING_RETRY)
    drawn = select(pages.c.object_id).where(pages.c.page_set_id == fax.page_set_id)
    mine = wraps.c.object_id.in_(drawn) | (wraps.c.object_id == fax.private_id)
    assert {row.kind for row in await office.rows(select(wraps.c.kind).where(mine))} == {"spool"}
    await office.cancel(fax_id)
    await end_unstored(office.gateway, fax_id, now=datetime.now(UTC))
    assert await left(office) == NOTHING


async def test_it_is_not_sent_again(office: Office) -> None:
    await office.change_policy(storage="none")
    fax_id = await office.send("+15550100", await office.upload(tiff_octets(fax_pages(1)), 1))
    await office.ended(fax_id)
    for _ in range(2):
        with pytest.raises(RequestError) as refused:
            await office.do(resend, office.gateway, office.actor, fax_id)
        assert refused.value.code == "content.gone"
        await end_unstored(office.gateway, fax_id, now=datetime.now(UTC))


async def test_what_is_not_stored_is_not_stored_because_somebody_asks(office: Office) -> None:
    await office.change_policy(storage="none")
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    with pytest.raises(RequestError) as refused:
        await office.send("+15550100", document, storage="archive")
    assert refused.value.code == "storage.none"


async def test_a_fax_that_came_in_waits_to_be_collected_and_then_goes(office: Office) -> None:
    await office.change_policy(storage="none", collect_hours=2)
    await call(OWN, fax_pages(2))
    (fax,) = await office.received()
    assert (fax.state, fax.storage, fax.erase_at - fax.created_at < timedelta(hours=2, minutes=1)) == (
        "received",
        "none",
        True,
    )
    assert await kinds(office) == {"spool"}
    now = datetime.now(UTC)
    for hours, purged in ((1.9, 0), (2.1, 1)):
        later = now + timedelta(hours=hours)
        if not purged:
            await delete_left_wraps(office.gateway.database, now=later)
        assert await purge(office.gateway, now=later) == purged
        assert await kinds(office) == (set() if purged else {"spool"})
    assert await left(office) == NOTHING
    assert await office.rows(select(attempts.c.id).where(attempts.c.trace_id.is_not(None))) == []


async def test_where_nobody_may_collect_it_no_call_is_answered(office: Office) -> None:
    await office.change_policy(storage="none", collect_hours=0)
    sheets = [Sheet(bitmap_of(page), page.width, Resolution.FINE) for page in fax_pages(1)]
    assert await sandbox().call_in(OWN, Station("+15550100"), Tray(sheets), number="15550100", within=1) is None
    assert await left(office) == NOTHING


async def test_a_policy_that_changes_in_mid_call_loses_no_page(office: Office) -> None:
    """The page that comes after the change has a wrap, and waits to be collected."""
    await call(OWN, fax_pages(1))
    (fax,) = await office.received()
    assert fax.storage == "archive"
    async with office.gateway.database.tenant(office.tenant.tenant) as connection:
        assert await is_stored(connection, office.tenant.tenant, fax.id)
    await office.change_policy(storage="none")
    async with office.gateway.database.tenant(office.tenant.tenant) as connection:
        assert not await is_stored(connection, office.tenant.tenant, fax.id)
    fax = await office.fax(fax.id)
    assert fax.storage == "none"
    assert fax.erase_at > datetime.now(UTC) + timedelta(hours=23)


async def test_a_legal_hold_beats_that_nothing_is_stored(office: Office) -> None:
    await office.change_policy(storage="none")
    await open_hold(office)
    fax_id = await office.send("+15550100", await office.upload(tiff_octets(fax_pages(1)), 1))
    await office.ended(fax_id)
    assert (await end_unstored(office.gateway, fax_id, now=datetime.now(UTC))).certificates == []
    assert await kinds(office) == {"box", "owner"}
    async with office.gateway.database.dispatcher() as connection:
        await connection.execute(holds.update().values(released_at=datetime.now(UTC)))
    assert await purge(office.gateway, now=datetime.now(UTC)) == 1
    assert await left(office) == NOTHING


async def test_a_single_fax_is_not_kept_from_a_hold(office: Office) -> None:
    await open_hold(office)
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    with pytest.raises(RequestError) as refused:
        await office.send("+15550100", document, storage="none")
    assert refused.value.code == "hold.active"


async def test_keys_of_what_was_stored_before_are_replaced_as_ever(office: Office) -> None:
    """A change of keys writes the new wrap while the old one is there: it is not taken for something new."""
    fax_id = await office.send("+15550100", await office.upload(tiff_octets(fax_pages(1)), 1))
    await office.ended(fax_id)
    await office.change_policy(storage="none")
    async with office.gateway.database.dispatcher() as connection:
        rows = (await connection.execute(select(wraps))).mappings().all()
        await connection.execute(insert(wraps), [{**row, "key_id": "newer"} for row in rows])
        await connection.execute(wraps.delete().where(wraps.c.key_id != "newer"))
    assert {row.key_id for row in await office.rows(select(wraps.c.key_id))} == {"newer"}


async def forwarding(office: Office) -> UUID:
    """Have a rule lead from the tenant's box to a colleague's; return that."""
    colleague, other, own = KeyPair.generate(Suite.X25519), new_id(), {"tenant_id": office.tenant.tenant}
    async with office.gateway.database.dispatcher() as connection:
        user = {"id": new_id(), "email": "b@example.com", "role": "member"}
        public = {"key_id": colleague.public.key_id, "public_key": colleague.public.octets}
        await connection.execute(insert(users).values(**user, **public, **own))
        await connection.execute(insert(boxes).values(id=other, owner_id=user["id"], name="theirs", **own))
        rule = {"id": new_id(), "box_id": office.tenant.box, "prefix": "", "to_box_id": other}
        await connection.execute(insert(forwarding_rules).values(**rule, **own))
    return other


async def test_what_a_rule_forwards_waits_in_both_boxes_and_goes_with_the_last_of_them(office: Office) -> None:
    await office.change_policy(storage="none", collect_hours=2)
    other = await forwarding(office)
    await call(OWN, fax_pages(2))
    first, copy = await office.received(2)
    assert (copy.box_id, copy.forwarded_from, copy.state, copy.pages) == (other, first.id, "received", 2)
    assert (copy.storage, copy.erase_at) == ("none", first.erase_at)
    now = datetime.now(UTC)
    async with office.gateway.database.tenant(office.tenant.tenant) as connection:  # as its owner does who has it
        done = await shred(connection, office.gateway, [first.id], why=Why("deleted"), by=office.actor, now=now)
    await remove(office.gateway, done.objects)
    await delete_left_wraps(office.gateway.database, now=now + timedelta(hours=1.9))
    assert await kinds(office) == {"spool"}
    assert (await left(office))["pages"] == 2
    assert await purge(office.gateway, now=now + timedelta(hours=2.1)) == 1
    assert await left(office) == NOTHING


async def test_what_a_rule_forwards_is_there_though_it_was_decided_in_mid_call_that_nothing_is_stored(
    office: Office,
) -> None:
    other = await forwarding(office)
    sent = asyncio.create_task(call(OWN, fax_pages(3)))
    arrived = select(pages.c.index)
    async with asyncio.timeout(30):
        while not await office.rows(arrived):  # noqa: ASYNC110 (the pages tell nobody)
            await asyncio.sleep(0)
    await office.change_policy(storage="none", collect_hours=2)
    await sent
    faxes = await office.received(2)
    assert [(fax.box_id, fax.pages) for fax in faxes] == [(office.tenant.box, 3), (other, 3)]
