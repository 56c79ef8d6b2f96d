"""The database or the store is away in mid call; nothing of a fax lies about in the clear meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import func, select, update

from faxgw.documents.coded import bitmap_of
from faxgw.documents.tiff import tiff_octets
from faxgw.faxes.accepting import accept
from faxgw.faxes.drawer import LEASE
from faxgw.faxes.requests import FaxRequest
from faxgw.model import State
from faxgw.sandbox import call_in
from faxgw.service import open_gateway
from faxgw.store.database import Database
from faxgw.store.migrating import migrate
from faxgw.store.server import PrivateServer
from faxgw.store.tables import faxes, pages
from simulators.sandbox import sandbox
from t30.t4 import Bitmap
from tests.faxgw.databases import SEALS, DatabaseServer, scratch
from tests.faxgw.lines.conftest import Office, config_for, new_tenant, seen, sim_line, working
from tests.faxgw.lines.far_ends import FarEnd
from tests.faxgw.lines.pages import fax_pages

LONG = fax_pages(4, rows=2200)


@pytest.fixture
def far_end() -> FarEnd:
    return FarEnd("15550120")


@pytest_asyncio.fixture
async def alone(tmp_path: Path, far_end: FarEnd) -> AsyncIterator[tuple[Office, PrivateServer]]:
    """Return a gateway at work on a PostgreSQL that no other test uses."""
    sandbox().numbers = {**sandbox().numbers, far_end.number: far_end.far}
    with scratch() as folder:
        async with PrivateServer(folder / "postgres") as server:
            await migrate(server.urls.owner, None)
            database = Database(server.urls, seals=SEALS)
            config = config_for(database, tmp_path, (sim_line("one", "15550199", speed=15),))
            async with open_gateway(config, server.urls) as gateway:
                tenant = await new_tenant(gateway, "acme", config.lines)
                async with working(gateway):
                    yield Office(gateway, tenant), server
            await database.close()


@pytest.mark.soak
@pytest.mark.slow
async def test_postgresql_that_stops_in_mid_call_loses_no_fax_and_no_page(
    alone: tuple[Office, PrivateServer], far_end: FarEnd, soak: bool
) -> None:
    office, server = alone
    document = await office.upload(tiff_octets(LONG), 4)
    fax_id = await office.send("+15550120", document)
    waiting = await office.send("+15550101", document, send_at="2026-12-24T00:00:00Z")
    await office.in_state(waiting, State.SCHEDULED)

    async def confirmed() -> bool:
        return bool(far_end.calls and far_end.calls[0].confirmed)

    await seen(confirmed)
    await server.stop()
    await asyncio.sleep(20.0 if soak else 1.0)
    await server.start()

    async def over() -> object:
        fax = await office.fax(fax_id)
        return fax.state in ("waiting_retry", "delivered") and fax

    await seen(over, within=60)
    if (await office.fax(fax_id)).state == "waiting_retry":
        await office.again(fax_id)
    fax = await office.ended(fax_id, within=60)
    assert (fax.state, fax.pages_done) == ("delivered", 4)
    assert (await office.fax(waiting)).state == "scheduled"
    assert {call.state for call in await office.calls(fax_id)} == {"ended"}
    drawn = await office.hashes(fax_id)
    heard = [call.hashes[index] for call in far_end.calls for index in call.confirmed]
    assert sorted(set(heard)) == sorted(drawn)
    # A page is repeated only if it was confirmed in the very moment at which nobody could write that down.
    assert len(heard) <= len(drawn) + 1


async def test_a_page_that_cannot_be_stored_is_not_confirmed_to_its_sender(office: Office) -> None:
    objects = office.gateway.config.data_dir / "objects"
    aside = objects.with_name("objects.aside")
    assert (await call_in("+15550199", fax_pages(1))).verdict == "delivered"
    objects.rename(aside)
    objects.write_bytes(b"")  # a file where the folder was: nothing can be stored
    outcome = await call_in("+15550199", fax_pages(2))
    assert not outcome.complete and not any(page.confirmed for page in outcome.pages)
    failed = (await office.received(2))[1]
    assert (failed.state, failed.pages) == ("failed", 0)
    assert len(await office.rows(select(pages.c.index))) == 1
    objects.unlink()
    aside.rename(objects)
    assert (await call_in("+15550199", fax_pages(2))).verdict == "delivered"
    assert (await office.received(3))[2].state == "received"


async def test_xm_14_nothing_of_a_fax_lies_on_a_disk_in_the_clear(
    office: Office, database_server: DatabaseServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    canary = f"canary {uuid4().hex}"
    text = await office.upload(f"{canary}\n".encode() * 3, 1)
    (page,) = fax_pages(1, seed=99)
    picture = await office.upload(tiff_octets([page]), 1)
    blocked = [await office.send("+15550101", each) for each in (text, picture)]
    for fax_id in blocked:
        await office.waits(fax_id)
    assert (await call_in("+15550199", [page])).verdict == "delivered"
    await office.received()
    with database_server.administrator() as connection:
        connection.execute("CHECKPOINT")
    traces = (canary.encode(), page.octets[20:60], _rows(bitmap_of(page)))
    for folder in (office.gateway.config.data_dir, tmp_path, database_server.server.folder):
        for file in folder.rglob("*"):
            if file.is_file():
                octets = file.read_bytes()
                assert not any(trace in octets for trace in traces), file
    assert len(list((office.gateway.config.data_dir / "objects").rglob("*"))) > 4
    printed = "".join(capfd.readouterr())
    assert canary not in printed and "+15550101" not in printed


def _rows(bitmap: Bitmap) -> bytes:
    """Return a few rows that are not white, as they lie in memory."""
    return bytes(next(row for row in bitmap.words if row.any()).tobytes())


@pytest.mark.slow
async def test_a_fax_that_was_claimed_for_drawing_by_a_commit_without_an_answer_is_drawn_all_the_same(
    alone: tuple[Office, PrivateServer],
) -> None:
    office, server = alone
    document = await office.upload(tiff_octets(LONG[:1]), 1)
    asked = FaxRequest(to="+15550120", documents=[document], header=True)
    claimed = {"state": State.CONVERTING.value, "drawer": office.gateway.node}
    async with office.gateway.database.tenant(office.tenant.tenant) as connection:
        fax_id = (await accept(connection, office.gateway, office.actor, asked)).id
        await connection.execute(
            update(faxes).where(faxes.c.id == fax_id).values(draw_until=func.now() + LEASE, **claimed)
        )
    await server.stop()
    office.gateway.draw_bell.set()

    async def looked() -> bool:
        return not office.gateway.draw_bell.is_set()

    await seen(looked)
    await server.start()
    assert (await office.ended(fax_id, within=60)).state == "delivered"
