"""Calls that the database has taken down for a node that was never told so."""

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update

from faxgw.documents.tiff import tiff_octets
from faxgw.faxes.drawer import run_drawer
from faxgw.lines.dispatcher import claim_calls
from faxgw.lines.leases import UNHELD, run_leases
from faxgw.lines.outgoing import OutgoingCall
from faxgw.lines.ringing import _looked_up
from faxgw.model import State
from faxgw.sandbox import call_in
from faxgw.service import open_gateway
from faxgw.store.database import Database
from faxgw.store.tables import attempts
from t30.line import Ringing
from tests.faxgw.lines.conftest import Office, config_for, new_tenant, sim_line, working
from tests.faxgw.lines.pages import fax_pages
from tests.faxgw.lines.test_nodes import idle_office

OWN = "+15550199"


async def test_a_ring_that_was_written_down_for_nobody_does_not_keep_the_next_one_from_its_line(
    database: Database, tmp_path: Path
) -> None:
    config = config_for(database, tmp_path, (sim_line("one", "15550199"),))
    config = config.model_copy(update={"dispatch": config.dispatch.model_copy(update={"lease": 60.0})})
    async with open_gateway(config, database.urls) as gateway:
        office = Office(gateway, await new_tenant(gateway, "acme", config.lines))
        async with working(gateway):
            assert await _looked_up(gateway, config.lines[0], Ringing("+15550100", OWN))  # and the answer is lost
            assert (await call_in(OWN, fax_pages(1))).complete
            lost, taken = await office.received(2)
    assert (lost.state, lost.reason_code, taken.state) == ("failed", "call.interrupted", "received")


async def test_a_call_that_nobody_has_in_hand_is_ended_and_no_other(database: Database, tmp_path: Path) -> None:
    names = ("old", "young", "held")
    lines = [sim_line(name, f"1555019{place}") for place, name in enumerate(names)]
    async with idle_office(database, tmp_path, *lines) as office:
        claims = {name: (await claimed(office, name, number)) for name, number in zip(names, NUMBERS, strict=True)}
        office.gateway.calls.add(OutgoingCall(office.gateway, claims["held"]))
        aged = {"started_at": func.now() - UNHELD}
        async with office.gateway.database.dispatcher() as connection:
            await connection.execute(update(attempts).where(attempts.c.line != "young").values(aged))
        leasing = asyncio.create_task(run_leases(office.gateway))
        fax = await office.waits(claims["old"].fax["id"])
        leasing.cancel()
        await asyncio.wait([leasing])
        assert fax.reason_code == "call.interrupted"
        left = await office.rows(select(attempts.c.line).where(attempts.c.state == "live"))
        assert {row.line for row in left} == {"young", "held"}


NUMBERS = ("+15550100", "+15550105", "+15550106")


async def claimed(office: Office, line: str, number: str) -> Any:
    """Have a call claimed for a line, as a dispatcher does that is cut off right then."""
    fax_id = await office.send(number, await office.upload(tiff_octets(fax_pages(1)), 1))
    drawing = asyncio.create_task(run_drawer(office.gateway))
    await office.in_state(fax_id, State.QUEUED)
    drawing.cancel()
    await asyncio.wait([drawing])
    office.gateway.board.keepers[line].state = "idle"
    ((_, claim),) = await claim_calls(office.gateway)
    office.gateway.board.keepers[line].state = "busy"
    return claim
