"""What health says of lines that are down, and what becomes of faxes meanwhile."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from faxgw.config import LineSettings
from faxgw.documents.tiff import tiff_octets
from faxgw.gateway import Gateway
from faxgw.health import Finding, Health
from faxgw.lines.leases import recover
from faxgw.model import State
from faxgw.service import _register, open_gateway, run_all, telephony
from faxgw.store.database import Database
from faxgw.store.tables import lines, nodes
from tests.faxgw.lines.conftest import Office, config_for, new_tenant, seen
from tests.faxgw.lines.pages import fax_pages
from tests.faxgw.lines.test_keeper import plugged_in


@pytest.mark.slow
async def test_a_service_is_not_ready_while_all_lines_are_down_and_is_again_with_one(
    database: Database, tmp_path: Path
) -> None:
    links = [tmp_path / name for name in ("left", "right")]
    lines = tuple(LineSettings(name=link.name, url=f"class1:{link}", use="receive") for link in links)
    async with open_gateway(config_for(database, tmp_path, lines), database.urls) as gateway:
        office = Office(gateway, await new_tenant(gateway, "acme", lines))
        before = await _lines(gateway)
        assert (before.ok, before.text) == (True, "0 of 2 lines can be used.")  # nobody has tried them yet
        await recover(gateway)
        stop = asyncio.Event()
        running = asyncio.create_task(run_all(telephony(gateway), stop.wait))
        down = await seen(_if, gateway, False)
        assert down.text.startswith("No line can be used: left: ") and "; right: " in down.text
        assert all(str(link) in down.text for link in links)
        fax_id = await office.send("+15550100", await office.upload(tiff_octets(fax_pages(1)), 1))
        await office.in_state(fax_id, State.QUEUED)
        modem = plugged_in(links[1])
        up = await seen(_if, gateway, True)
        assert up.text.startswith("1 of 2 lines can be used; down: left: ")
        assert (await office.fax(fax_id)).state == "queued" and not await office.calls(fax_id)
        stop.set()
        modem.cancel()
        await asyncio.wait([running, modem])


async def test_a_node_that_the_others_have_forgotten_shows_its_lines_again(office: Office) -> None:
    async with office.gateway.database.dispatcher() as connection:
        await connection.execute(delete(nodes))
    fax_id = await office.send("+15550100", await office.upload(tiff_octets(fax_pages(1)), 1))
    assert (await office.ended(fax_id)).state == "delivered"

    async def shown() -> bool:
        return bool(await office.rows(select(lines.c.name)))

    await seen(shown)


async def _lines(gateway: Gateway) -> Finding:
    """Ask for the lines only, and for what holds now."""
    health = Health()
    _register(health, gateway, None)
    return (await health.findings())["lines"]


async def _if(gateway: Gateway, ok: bool) -> Finding | None:
    found = await _lines(gateway)
    return found if found.ok is ok else None
