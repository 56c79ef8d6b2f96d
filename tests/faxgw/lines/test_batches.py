"""One document to many numbers."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, func, insert, select, text, update

from faxgw.config import LineSettings
from faxgw.documents.tiff import tiff_octets
from faxgw.errors import RequestError
from faxgw.faxes.actions import cancel_batch, pause_batch, resume_batch
from faxgw.faxes.drawer import AT_ONCE
from faxgw.ids import new_id
from faxgw.lines.dispatcher import claim_calls
from faxgw.model import State
from faxgw.store.database import Database
from faxgw.store.tables import attempts, batches, events, faxes, page_sets, pages
from tests.faxgw.lines.conftest import Office, seen, sim_line
from tests.faxgw.lines.pages import fax_pages
from tests.faxgw.lines.test_nodes import idle_office

HUNDREDS = [f"+49301234{n:03}" for n in range(1, 201)]


@pytest.fixture
def lines() -> tuple[LineSettings, ...]:
    return (sim_line("one", "15550199"),)


async def members(office: Office, batch: Any) -> list[Any]:
    return list(await office.rows(select(faxes).where(faxes.c.batch_id == batch).order_by(faxes.c.id)))


async def all_in(office: Office, batch: Any, *states: str) -> list[Any]:
    async def there() -> Any:
        found = await members(office, batch)
        return all(fax.state in states for fax in found) and found

    return list(await seen(there))


async def test_two_hundred_faxes_share_one_page_set_and_can_be_paused_resumed_and_canceled(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(2)), 2)
    batch = await office.batch(["+15550100", *HUNDREDS], document, hours=None)
    await office.do(pause_batch, batch)
    found = await all_in(office, batch, "queued", "dialing", "sending", "delivered", "waiting_retry")
    assert len(found) == 201 and len({fax.page_set_id for fax in found}) == 1
    assert {(fax.pages, fax.drawn_with) for fax in found} == {(2, None)}
    assert (await office.rows(select(func.count()).select_from(page_sets)))[0][0] == 1
    assert (await office.rows(select(func.count()).select_from(pages)))[0][0] == 2
    calls = (await office.rows(select(func.count()).where(attempts.c.fax_id.in_([fax.id for fax in found]))))[0][0]
    assert calls <= 2  # those that were on the line when it was paused
    await office.do(resume_batch, batch)

    async def more_calls() -> Any:
        return (await office.rows(select(func.count()).select_from(attempts)))[0][0] > calls + 1

    await seen(more_calls)
    await office.do(cancel_batch, batch)
    ended = await all_in(office, batch, "canceled", "delivered")
    assert sum(fax.state == "canceled" for fax in ended) > 190
    assert {fax.reason_code for fax in ended if fax.state == "canceled"} == {"call.canceled"}
    assert await office.spooled(ended[0].id) == set()
    told = await office.rows(select(func.count()).where(events.c.type == "fax.canceled"))
    assert told[0][0] == sum(fax.state == "canceled" for fax in ended)
    assert [row.state for row in await office.rows(select(batches.c.state))] == ["canceled"]
    with pytest.raises(RequestError, match="stays so"):
        await office.do(resume_batch, batch)


async def test_when_the_fax_that_the_others_are_drawn_with_is_canceled_they_are_drawn_all_the_same(
    office: Office,
) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    async with office.gateway.renderers.lease(), office.gateway.renderers.lease():  # nobody draws now
        for _ in range(AT_ONCE):
            busy = await office.send("+15550107", document, header=True, priority=0, send_at="2026-12-24T00:00:00Z")
        await office.in_state(busy, State.CONVERTING)
        batch = await office.batch(["+15550100", "+15550105", "+15550106"], document, header=True)
        leader, *others = await members(office, batch)
        assert (leader.state, [fax.drawn_with for fax in others]) == ("accepted", [leader.id] * 2)
        assert await office.cancel(leader.id) is State.CANCELED
    for fax in others:
        assert (await office.ended(fax.id)).state == "delivered"
    assert (await office.fax(leader.id)).state == "canceled"
    assert len({(await office.fax(fax.id)).page_set_id for fax in others}) == 1


async def test_documents_that_cannot_be_drawn_fail_all_faxes_of_a_batch(office: Office) -> None:
    document = await office.upload(b"%PDF-1.7 this is not one", 1)
    batch = await office.batch(["+15550100", "+15550105", "+15550106"], document)
    ended = await all_in(office, batch, "failed")
    assert {fax.reason_code.partition(".")[0] for fax in ended} == {"document"}
    assert {(await office.told(fax.id))[-1] for fax in ended} == {"fax.failed"}
    assert await office.spooled(ended[0].id) == set()


async def test_every_recipient_has_a_cover_page_of_their_own(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    to: list[Any] = [{"to": "+15550100", "to_name": "Ada"}, {"to": "+15550105", "to_name": "Grace"}]
    batch = await office.batch(to, document, cover={"subject": "Hello", "from_name": "Us"})
    ended = await all_in(office, batch, "delivered")
    covers = [await office.hashes(fax.id) for fax in ended]
    assert [len(each) for each in covers] == [2, 2]
    assert covers[0][0] != covers[1][0] and covers[0][1] == covers[1][1]
    assert len({fax.page_set_id for fax in ended}) == 2


async def test_a_number_given_twice_gets_one_fax_and_each_subaddress_its_own(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    to = ["+15550100", "+1 555-0100", "+15550100/T33S=1", "+15550100/T33S=2"]
    at = "2030-01-01T00:00:00Z"
    await office.change_policy(schedule_days=3650)
    batch = await office.batch(to, document, send_at=at)
    found = await all_in(office, batch, "scheduled")
    assert sorted(fax.subaddress for fax in found) == ["", "1", "2"]


async def test_a_pause_is_committed_after_the_last_call_that_begins(database: Database, tmp_path: Path) -> None:
    async with idle_office(database, tmp_path, sim_line("one", "15550199")) as office:
        batch, elsewhere = await queued_batch(office, "+15550100"), await queued_batch(office, "+15550106")
        (fax,), (other,) = await members(office, batch), await members(office, elsewhere)
        row = {"id": new_id(), "tenant_id": fax.tenant_id, "fax_id": other.id, "index": 1, "node": "", "line": ""}
        blocking = {**row, "destination": fax.to_number, "lease_until": func.now() + timedelta(minutes=1)}
        async with office.gateway.database.dispatcher() as connection:
            await connection.execute(update(faxes).where(faxes.c.id == other.id).values(priority=99))
        office.gateway.board.keepers["one"].state = "idle"
        async with office.gateway.database.dispatcher() as connection:
            await connection.execute(insert(attempts).values(blocking))  # the claim waits to see what becomes of it
            claiming = asyncio.create_task(claim_calls(office.gateway))
            await seen(_waiting, office, 1)
            pausing = asyncio.create_task(office.do(pause_batch, batch))
            await seen(_paused_or_waiting, office, pausing)
            assert not pausing.done()
            await connection.execute(delete(attempts).where(attempts.c.id == row["id"]))
        ((_, claim),) = await claiming
        assert (claim.fax["id"], await pausing) == (fax.id, "paused")


async def test_a_batch_that_is_being_paused_gets_no_call(database: Database, tmp_path: Path) -> None:
    async with idle_office(database, tmp_path, sim_line("one", "15550199")) as office:
        batch = await queued_batch(office, "+15550100")
        office.gateway.board.keepers["one"].state = "idle"
        async with office.gateway.database.tenant(office.tenant.tenant) as connection:
            await pause_batch(connection, batch)
            assert await claim_calls(office.gateway) == []
        assert await claim_calls(office.gateway) == []
        await office.do(resume_batch, batch)
        assert len(await claim_calls(office.gateway)) == 1


async def queued_batch(office: Office, number: str) -> UUID:
    """Have a batch of one fax wait for a line."""
    batch = await office.batch([number], await office.upload(tiff_octets(fax_pages(1)), 1))
    queued = {"state": State.QUEUED.value, "next_call_at": func.now(), "pages": 1}
    async with office.gateway.database.dispatcher() as connection:
        await connection.execute(update(faxes).where(faxes.c.batch_id == batch).values(queued))
    return batch


async def _waiting(office: Office, count: int) -> bool:
    """Tell whether so many transactions wait for another."""
    waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")
    async with office.gateway.database.dispatcher() as connection:
        return bool((await connection.execute(waits)).scalar_one() >= count)


async def _paused_or_waiting(office: Office, pausing: "asyncio.Task[Any]") -> bool:
    return pausing.done() or await _waiting(office, 2)


@pytest.mark.soak
async def test_ten_thousand_destinations_are_accepted_in_five_seconds_without_holding_up_the_loop(
    office: Office, soak: bool
) -> None:
    count = 10_000 if soak else 2_000
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    to = [f"+4930{n:08}" for n in range(10_000_000, 10_000_000 + count)]
    began = time.perf_counter()
    batch = await office.batch(to, document, send_at="2026-12-24T00:00:00Z" if not soak else None)
    seconds = time.perf_counter() - began
    print(f"{count} destinations accepted in {seconds:.2f} s")
    found = (await office.rows(select(func.count()).where(faxes.c.batch_id == batch)))[0][0]
    assert found == count and seconds < 5
