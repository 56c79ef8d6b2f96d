"""Several gateways on one database, those that die, and those that lose touch."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from faxgw.config import Config, LineSettings
from faxgw.documents.tiff import tiff_octets
from faxgw.faxes.drawer import run_drawer
from faxgw.faxes.ending import Ending, end_attempt
from faxgw.lines.claims import Claim
from faxgw.lines.dispatcher import claim_calls
from faxgw.lines.leases import recover
from faxgw.lines.outgoing import OutgoingCall
from faxgw.lines.sending import OutgoingPages
from faxgw.model import State
from faxgw.service import open_gateway
from faxgw.store.database import Database
from faxgw.store.roles import Urls
from faxgw.store.tables import attempts, confirmations, faxes, pages
from simulators.sandbox import sandbox
from t30.pages import Coding, Length, NoteConfirmed, PageFormat, Resolution, Width
from tests.faxgw.lines.conftest import Office, config_for, gateway_of, new_tenant, seen, sim_line
from tests.faxgw.lines.far_ends import FarEnd
from tests.faxgw.lines.pages import fax_pages

ONE = tiff_octets(fax_pages(1))
LONG = tiff_octets(fax_pages(4, rows=2200))
NOTE = NoteConfirmed(0, PageFormat(Width.A4, Length.A4, Resolution.FINE, Coding.MMR, ecm=True), 300, 1000, 1.0)


@pytest.fixture
def far_ends() -> tuple[FarEnd, ...]:
    return (FarEnd("15550120"), FarEnd("15550121"), FarEnd("15550122"))


@asynccontextmanager
async def idle_office(database: Database, folder: Path, *lines: LineSettings) -> AsyncIterator[Office]:
    """Give an office whose gateway does not work yet."""
    async with open_gateway(config_for(database, folder, lines), database.urls) as gateway:
        yield Office(gateway, await new_tenant(gateway, "acme", lines))


def beside(first: Config, second: Config) -> Config:
    """Return the configuration of a second node: what nodes share is the first one's."""
    objects = second.objects.model_copy(update={"url": (first.data_dir / "objects").as_uri()})
    shared = {"objects": objects, "spool_keys": first.spool_keys, "server_keys": first.server_keys}
    return second.model_copy(update=shared)


async def live(office: Office) -> list[Any]:
    return list(await office.rows(select(attempts).where(attempts.c.state == "live")))


async def test_wf_02_two_gateways_share_the_work_and_never_call_one_number_at_once(
    office: Office, database: Database, tmp_path: Path, far_ends: tuple[FarEnd, ...]
) -> None:
    document = await office.upload(ONE, 1)
    at = "2026-12-24T00:00:00Z"
    numbers = [f"+{each.number}" for each in far_ends] * 4
    ids = [await office.send(number, document, send_at=at) for number in numbers]
    for fax_id in ids:
        await office.in_state(fax_id, State.SCHEDULED)
    more = tuple(sim_line(name, number) for name, number in (("three", "15550197"), ("four", "15550196")))
    config = config_for(database, tmp_path / "second", more)
    config = beside(office.gateway.config, config)
    most = 0
    async with gateway_of(config, database) as second:
        async with second.database.dispatcher() as connection:
            await connection.execute(update(faxes).values(next_call_at=func.now()))
            await connection.execute(text("SELECT pg_notify('faxgw_work', 'call')"))
        async with asyncio.timeout(60):
            while True:
                found = [row.destination for row in await live(office)]
                assert len(found) == len(set(found)) <= 4, found
                most = max(most, len(found))
                left = select(func.count()).where(faxes.c.finished_at.is_(None))
                if not (await office.rows(left))[0][0]:
                    break
                await asyncio.sleep(0.005)
    assert {(await office.fax(fax_id)).state for fax_id in ids} == {"delivered"}
    calls = await office.rows(select(attempts.c.node, attempts.c.line, attempts.c.index))
    assert {row.index for row in calls} == {1} and len(calls) == 12
    assert {row.node for row in calls} == {office.gateway.node, second.node} and most > 1
    assert sum(len(each.calls) for each in far_ends) == 12


async def test_as_many_calls_are_claimed_as_there_are_idle_lines(office: Office) -> None:
    document = await office.upload(ONE, 1)
    ids = [await office.send(number, document) for number in ("+15550102", "+15550120", "+15550121", "+15550122")]
    most = 0
    async with asyncio.timeout(30):
        while (await office.rows(select(func.count()).where(attempts.c.state == "ended")))[0][0] < len(ids):
            most = max(most, len(await live(office)))
            await asyncio.sleep(0.005)
    assert most == 2


async def test_a_call_is_never_taken_from_a_node_that_renews_and_is_from_one_that_does_not(
    database: Database, tmp_path: Path
) -> None:
    async with idle_office(database, tmp_path, sim_line("one", "15550199")) as office:
        fax_id, claim = await claimed(office, "+15550100")
        assert (await office.fax(fax_id)).state == "dialing"
        config = config_for(database, tmp_path / "second", (sim_line("two", "15550198"),))
        config = beside(office.gateway.config, config)
        async with gateway_of(config, database):
            await asyncio.sleep(1.2)  # two rounds of the other node's
            assert len(await live(office)) == 1
            async with office.gateway.database.dispatcher() as connection:
                late = {"lease_until": func.now() - timedelta(seconds=1)}
                await connection.execute(update(attempts).values(late))
            fax = await office.waits(fax_id)
        assert fax.reason_code == "call.interrupted"
        # The old holder finds out when it comes to its end, and spoils nothing.
        await OutgoingCall(office.gateway, claim).give_back()
        assert (await office.fax(fax_id)).state == "waiting_retry"


async def claimed(office: Office, number: str, octets: bytes = ONE, count: int = 1) -> tuple[Any, Claim]:
    """Have a fax drawn by somebody, and claim it as a node does that dies right then."""
    fax_id = await office.send(number, await office.upload(octets, count))
    drawing = asyncio.create_task(run_drawer(office.gateway))
    await office.in_state(fax_id, State.QUEUED)
    drawing.cancel()
    await asyncio.wait([drawing])
    await recover(office.gateway)
    keeper = office.gateway.board.keepers["one"]
    keeper.state = "idle"
    ((_, claim),) = await claim_calls(office.gateway)
    return fax_id, claim


async def test_a_restarted_node_takes_its_own_calls_back_at_once_and_sends_no_confirmed_page_again(
    database: Database, tmp_path: Path, far_ends: tuple[FarEnd, ...]
) -> None:
    sandbox().numbers = {**sandbox().numbers, "15550120": far_ends[0].far}
    async with idle_office(database, tmp_path, sim_line("one", "15550199")) as office:
        fax_id, claim = await claimed(office, "+15550120", tiff_octets(fax_pages(3)), 3)
        known = await office.rows(select(pages).order_by(pages.c.index))
        source = OutgoingPages(office.gateway, claim, [row._mapping for row in known], [0, 1, 2])
        await source._confirmed(0, NOTE, known[0].sha256)
        await source.close()
        other = (await office.rows(select(attempts.c.lease_until)))[0]
        assert other.lease_until > datetime.now(UTC)
        assert await recover(office.gateway) == 1
        fax = await office.fax(fax_id)
        assert (fax.state, fax.reason_code, fax.pages_done) == ("waiting_retry", "call.interrupted", 1)
        async with gateway_of(office.gateway.config, database):
            await office.again(fax_id)
            fax = await office.ended(fax_id)
        assert (fax.state, fax.pages_done) == ("delivered", 3)
        assert far_ends[0].calls[0].hashes == [row.sha256 for row in known[1:]]


async def test_what_an_old_holder_confirms_or_ends_does_not_spoil_the_new_attempt(
    database: Database, tmp_path: Path
) -> None:
    async with idle_office(database, tmp_path, sim_line("one", "15550199")) as office:
        fax_id, old = await claimed(office, "+15550100", tiff_octets(fax_pages(2)), 2)
        await recover(office.gateway)
        async with office.gateway.database.dispatcher() as connection:
            await connection.execute(update(faxes).values(state="queued", next_call_at=func.now()))
            office.gateway.board.keepers["one"].state = "idle"
        ((_, new),) = await claim_calls(office.gateway)
        assert new.attempt["token"] > old.attempt["token"]
        known = await office.rows(select(pages).order_by(pages.c.index))
        rows = [row._mapping for row in known]
        for claim in (old, new, old):
            source = OutgoingPages(office.gateway, claim, rows, [0, 1])
            await source._confirmed(0, NOTE, known[0].sha256)
            await source.close()
        fax = await office.fax(fax_id)
        assert (fax.state, fax.pages_done) == ("dialing", 1)
        assert len(await office.rows(select(confirmations))) == 1
        async with office.gateway.database.dispatcher() as connection:
            assert not await end_attempt(connection, old.attempt["id"], Ending("call.busy"))
        assert [row.id for row in await live(office)] == [new.attempt["id"]]


async def test_a_fax_whose_pages_were_all_confirmed_is_delivered_without_another_page(
    database: Database, tmp_path: Path
) -> None:
    async with idle_office(database, tmp_path, sim_line("one", "15550199")) as office:
        fax_id, claim = await claimed(office, "+15550101")
        await recover(office.gateway)
        known = await office.rows(select(pages))
        source = OutgoingPages(office.gateway, claim, [known[0]._mapping], [0])
        await source._confirmed(0, NOTE, known[0].sha256)  # late: the attempt was given up already
        await source.close()
        assert (await office.fax(fax_id)).state == "waiting_retry"
        async with gateway_of(office.gateway.config, database):
            await office.again(fax_id)
            fax = await office.ended(fax_id)
        assert (fax.state, fax.pages_done) == ("delivered", 1)
        assert (await office.calls(fax_id))[1].cause == "fax.nothing_left"


@pytest.mark.slow
async def test_a_node_that_loses_touch_hangs_up_before_its_lease_ends(
    database: Database, tmp_path: Path, far_ends: tuple[FarEnd, ...]
) -> None:
    sandbox().numbers = {**sandbox().numbers, "15550120": far_ends[0].far}
    config = config_for(database, tmp_path, (sim_line("one", "15550199", speed=5),))
    dispatch = config.dispatch.model_copy(update={"lease": 6.0, "renew": 0.5})
    config = config.model_copy(update={"dispatch": dispatch})
    async with open_gateway(config, database.urls) as gateway:
        office = Office(gateway, await new_tenant(gateway, "acme", config.lines))
        fax_id = await office.send("+15550120", await office.upload(LONG, 4))
        async with gateway_of(config, database) as node:
            await office.in_state(fax_id, State.SENDING)
            lost = asyncio.get_running_loop().time()
            reachable, node.database = node.database, unreachable(database.urls)
            await seen(_goodbye, far_ends[0], within=9)
            assert asyncio.get_running_loop().time() - lost < 6.0
            node.database = reachable
            fax = await office.waits(fax_id)
    (call,) = await office.calls(fax_id)
    assert (call.cause, fax.reason_code) == ("call.interrupted", "call.interrupted")


def unreachable(urls: Urls) -> Database:
    """Return a database behind a network that is down."""
    return Database(
        Urls(*(re.sub("host=[^&]*", "host=/nowhere", url) for url in (urls.owner, urls.app, urls.dispatcher))),
        seals=None,
    )


async def _goodbye(far_end: FarEnd) -> bool:
    return any(call.ended for call in far_end.calls)
