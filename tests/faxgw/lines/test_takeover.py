"""The work of a node that dies is taken over by another, once its lease has ended; and not before."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import select

from faxgw.documents.tiff import tiff_octets
from faxgw.faxes.drawer import run_drawer
from faxgw.gateway import Gateway
from faxgw.lines.leases import recover
from faxgw.lines.sending import OutgoingPages
from faxgw.model import State
from faxgw.store.database import Database
from faxgw.store.tables import attempts, nodes, page_sets, pages
from simulators.sandbox import sandbox
from tests.faxgw.lines.conftest import Office, config_for, gateway_of, sim_line
from tests.faxgw.lines.far_ends import FarEnd
from tests.faxgw.lines.pages import fax_pages
from tests.faxgw.lines.test_nodes import NOTE, beside, claimed, idle_office

LEASE = {"lease": 1.5, "renew": 0.3}


@asynccontextmanager
async def second_node(office: Office, database: Database, folder: Path) -> AsyncIterator[Gateway]:
    """Have another node work on the office's database, with a line of its own."""
    config = config_for(database, folder / "second", (sim_line("two", "15550198"),))
    config = config.model_copy(update={"dispatch": config.dispatch.model_copy(update=LEASE)})
    async with gateway_of(beside(office.gateway.config, config), database) as second:
        yield second


async def test_a_call_is_taken_over_and_goes_on_behind_the_last_page_that_was_confirmed(
    database: Database, tmp_path: Path
) -> None:
    far_end = FarEnd("15550120")
    sandbox().numbers = {**sandbox().numbers, far_end.number: far_end.far}
    async with idle_office(database, tmp_path, sim_line("one", "15550199", speed=200)) as office:
        shorten_lease(office)
        fax_id, claim = await claimed(office, "+15550120", tiff_octets(fax_pages(3)), 3)
        known = await office.rows(select(pages).order_by(pages.c.index))
        source = OutgoingPages(office.gateway, claim, [row._mapping for row in known], [0, 1, 2])
        await source._confirmed(0, NOTE, known[0].sha256)
        await source.close()  # and then the node dies
        async with second_node(office, database, tmp_path) as second:
            assert (await office.calls(fax_id))[0].state == "live"
            fax = await office.waits(fax_id)
            assert (fax.reason_code, fax.pages_done) == ("call.interrupted", 1)
            first = (await office.calls(fax_id))[0]
            assert first.ended_at >= claim.attempt["lease_until"]
            await office.again(fax_id)
            assert (await office.ended(fax_id)).state == "delivered"
        assert [call.hashes for call in far_end.calls] == [[row.sha256 for row in known[1:]]]
        made = [(call.node, call.line, call.first_page) for call in await office.calls(fax_id)]
        assert made == [(office.gateway.node, "one", 0), (second.node, "two", 1)]


async def test_what_a_node_was_drawing_is_drawn_by_another(database: Database, tmp_path: Path) -> None:
    async with idle_office(database, tmp_path, sim_line("one", "15550199")) as office:
        await recover(office.gateway)
        document = await office.upload(tiff_octets(fax_pages(1)), 1)
        async with office.gateway.renderers.lease(), office.gateway.renderers.lease():  # so it never gets done
            fax_id = await office.send("+15550100", document, header=True)
            drawing = asyncio.create_task(run_drawer(office.gateway))
            await office.in_state(fax_id, State.CONVERTING)
            drawing.cancel()
            await asyncio.wait([drawing])
        assert (await office.fax(fax_id)).drawer == office.gateway.node
        (last,) = await office.rows(select(nodes.c.seen_at))
        async with second_node(office, database, tmp_path) as second:
            fax = await office.ended(fax_id)
        assert fax.state == "delivered"
        (call,) = await office.rows(select(attempts))
        assert (call.node, len(await office.rows(select(page_sets.c.id)))) == (second.node, 1)
        assert (call.started_at - last.seen_at).total_seconds() >= LEASE["lease"]


def shorten_lease(office: Office) -> None:
    config = office.gateway.config
    office.gateway.config = config.model_copy(update={"dispatch": config.dispatch.model_copy(update=LEASE)})
