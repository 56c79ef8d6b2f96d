"""What a hold is over stays, by whatever way somebody tries to delete it: the database itself refuses."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from sqlalchemy import Delete, Update, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from faxgw.retention import Why, shred
from faxgw.retention.erasing import Subject, erase
from faxgw.retention.holding import no_shredding
from faxgw.retention.purging import purge
from faxgw.store.tables import (
    documents,
    faxes,
    held_faxes,
    holds,
    objects,
    page_sets,
    pages,
    wraps,
)
from faxgw.upkeep.leftovers import delete_leftovers
from faxgw.upkeep.uploads import delete_expired_uploads
from tests.faxgw.retention.place import NOW, Place
from tests.faxgw.retention.test_erasing import NUMBER, begun

LATER = NOW + timedelta(days=400)


@pytest_asyncio.fixture
async def held(place: Place) -> AsyncIterator[Place]:
    """Return a place with one whole fax, of which nothing may be missing when the test ends."""
    await place.set_policy(retention={"days": 1, "record": "none"})
    fax = await place.add_whole_fax()
    await place.add_hold(numbers=[NUMBER])
    yield place
    assert len(await place.stored()) == await place.count(objects) == await place.count(wraps) == 5
    assert (await place.count(pages), await place.count(documents)) == (2, 1)
    row = await place.row(fax)
    assert (row.shredded_at, row.labels) == (None, {"patient": "a patient's name"})


async def test_nobody_deletes_it(held: Place) -> None:
    fax = await held.one(select(faxes.c.id))
    for record in ("minimal", "none"):
        async with held.gateway.database.tenant(held.tenant) as connection:
            why = Why("deleted", record=record)
            done = await shred(connection, held.gateway, [fax], why=why, by="service", now=NOW)
        assert (done.held, done.certificates, done.objects) == ([fax], [], [])


async def test_no_retention_reaches_it(held: Place) -> None:
    assert await purge(held.gateway, now=LATER) == 0


async def test_no_time_of_its_own_reaches_it_and_not_that_it_was_not_to_be_stored(held: Place) -> None:
    async with held.gateway.database.dispatcher() as connection:
        await connection.execute(update(faxes).values(erase_at=NOW, storage="none"))
    assert await purge(held.gateway, now=LATER) == 0


async def test_no_erasure_reaches_it(held: Place) -> None:
    erasure = await begun(held, Subject(number=NUMBER))
    assert await erase(held.gateway, erasure, now=NOW) == "waiting"


async def test_its_documents_do_not_expire(held: Place) -> None:
    async with held.gateway.database.dispatcher() as connection:
        await connection.execute(update(documents).values(expires_at=NOW))
        await connection.execute(update(page_sets).values(expires_at=NOW))
    assert await delete_expired_uploads(held.gateway.database, held.gateway.objects, now=LATER) == 0


async def test_the_search_for_leftovers_passes_it_over(held: Place) -> None:
    await delete_leftovers(held.gateway.database, held.gateway.objects.objects, now=LATER, settle=0)


@pytest.mark.parametrize(
    "statement",
    [
        delete(faxes),
        delete(objects),
        delete(wraps),
        delete(pages),
        delete(page_sets),
        delete(documents),
        update(faxes).values(page_set_id=None),
        update(faxes).values(private_id=None),
        update(faxes).values(shredded_at=func.now()),
    ],
    ids=str,
)
async def test_no_statement_of_anybody_reaches_it(held: Place, statement: Delete | Update) -> None:
    for transaction in (held.gateway.database.dispatcher(), held.gateway.database.tenant(held.tenant)):
        with pytest.raises(DBAPIError, match=r"legal hold|foreign key"):
            async with transaction as connection:
                await connection.execute(statement)


async def test_only_the_last_lasting_wrap_is_held_so_that_keys_can_be_replaced_and_delegates_go(place: Place) -> None:
    fax = await place.add_fax(page_set_id=await place.add_page_set())
    await place.add_hold()
    (page,) = await place.stored()
    for kind in ("spool", "delegate", "link", "box"):
        row = {"tenant_id": place.tenant, "object_id": page, "kind": kind, "key_id": "k", "blob": b""}
        async with place.gateway.database.dispatcher() as connection:
            await connection.execute(insert(wraps).values(row))
    for kind in ("spool", "delegate", "owner", "link"):
        async with place.gateway.database.dispatcher() as connection:
            await connection.execute(delete(wraps).where(wraps.c.kind == kind))
    with pytest.raises(DBAPIError, match="legal hold"):
        async with place.gateway.database.dispatcher() as connection:
            await connection.execute(delete(wraps))
    assert await place.row(fax) is not None


async def test_a_link_is_no_way_that_a_hold_relies_on(place: Place) -> None:
    await place.add_fax(page_set_id=await place.add_page_set())
    await place.add_hold()
    async with place.gateway.database.dispatcher() as connection:
        row = (await connection.execute(select(wraps))).mappings().one()
        await connection.execute(insert(wraps).values({**row, "kind": "link"}))
    with pytest.raises(DBAPIError, match="legal hold"):
        async with place.gateway.database.dispatcher() as connection:
            await connection.execute(delete(wraps).where(wraps.c.kind == "owner"))


async def test_two_wraps_do_not_go_in_one_statement(place: Place) -> None:
    await place.add_fax(page_set_id=await place.add_page_set())
    await place.add_hold()
    async with place.gateway.database.dispatcher() as connection:
        row = (await connection.execute(select(wraps))).mappings().one()
        await connection.execute(insert(wraps).values({**row, "kind": "box"}))
    with pytest.raises(DBAPIError, match="legal hold"):
        async with place.gateway.database.dispatcher() as connection:
            await connection.execute(delete(wraps))
    assert await place.count(wraps) == 2


async def test_when_the_hold_is_released_the_rules_hold_again(place: Place) -> None:
    await place.set_policy(retention={"days": 1})
    fax = await place.add_whole_fax()
    hold = await place.add_hold(by_fax=True)
    await place.add(held_faxes, hold_id=hold, fax_id=fax)
    await place.add_hold(boxes=[place.box])
    for each, purged in ((hold, 0), (None, 1)):
        async with place.gateway.database.dispatcher() as connection:
            released = update(holds).values(released_at=NOW)
            await connection.execute(released.where(holds.c.id == each) if each else released)
        assert await purge(place.gateway, now=LATER) == purged


async def test_a_hold_waits_for_a_deletion_that_has_begun_and_the_next_one_for_the_hold(place: Place) -> None:
    """So what a hold has counted when it is answered is what it keeps."""
    database, order = place.gateway.database, list[str]()
    first, second = await place.add_whole_fax(), await place.add_whole_fax()

    async def hold() -> None:
        async with database.tenant(place.tenant) as connection:
            await no_shredding(connection, place.tenant)
            order.append("hold")
            row = {"id": second, "tenant_id": place.tenant, "name": "", "by_fax": False, "user_id": place.user}
            await connection.execute(insert(holds).values(row))

    async with database.tenant(place.tenant) as connection:
        done = await shred(connection, place.gateway, [first], why=Why("deleted"), by="service", now=NOW)
        waits = asyncio.create_task(hold())
        async with asyncio.timeout(10):
            while not await _somebody_waits(place):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        order.append("shredded")
    await waits
    assert (order, len(done.certificates)) == (["shredded", "hold"], 1)
    async with database.tenant(place.tenant) as connection:
        done = await shred(connection, place.gateway, [second], why=Why("deleted"), by="service", now=NOW)
    assert done.held == [second]


async def _somebody_waits(place: Place) -> bool:
    async with place.gateway.database.dispatcher() as connection:
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        return bool((await connection.exec_driver_sql(waiting)).scalar_one())
