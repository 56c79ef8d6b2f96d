"""Faxes that go out, from acceptance to their end, over lines of the simulated exchange."""

from pathlib import Path

import pytest
from sqlalchemy import select

from faxgw.documents.tiff import tiff_octets
from faxgw.faxes.content import coded_page, unlock
from faxgw.faxes.drawing import draw
from faxgw.faxes.policies import tenant_of
from faxgw.faxes.requests import Drawing
from faxgw.faxes.sealed import open_owned
from faxgw.replay import replay
from faxgw.store.tables import pages
from faxgw.trace.reading import read
from t30.capabilities import Station
from t30.fcf import Fcf
from tests.faxgw.lines.conftest import Office
from tests.faxgw.lines.far_ends import FarEnd
from tests.faxgw.lines.pages import fax_pages

NUMBER = "+15550120"


@pytest.fixture
def far_ends() -> tuple[FarEnd, ...]:
    return (FarEnd("15550120", Station("+1 555 0120", takes_subaddress=True)),)


async def test_a_fax_is_delivered_and_every_step_is_told(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(2)), 2)
    fax_id = await office.send("+15550100", document)
    fax = await office.ended(fax_id)
    assert (fax.state, fax.pages, fax.pages_done, fax.reason_code) == ("delivered", 2, 2, "")
    assert (fax.remote_id, fax.dials) == ("+1 555 0100", 1)
    assert await office.told(fax_id) == [
        "fax.accepted",
        "fax.ready",
        "fax.queued",
        "fax.dialing",
        "fax.sending",
        "fax.page_sent",
        "fax.page_sent",
        "fax.delivered",
    ]
    (call,) = await office.calls(fax_id)
    assert (call.state, call.cause, call.rate, call.modulation, call.ecm) == ("ended", "", 14400, "V.17", True)
    assert (call.pages, call.first_page, call.remote_id) == (2, 0, "+1 555 0100")
    assert call.started_at <= call.connected_at <= call.ended_at and call.seconds > 20


async def test_fp_02_what_a_preview_shows_is_what_arrives_header_included(
    office: Office, far_ends: tuple[FarEnd, ...]
) -> None:
    await office.change_policy(header={"on": True, "text": "Example Ltd."})
    document = await office.upload(tiff_octets(fax_pages(3)), 3)
    async with office.gateway.database.tenant(office.tenant.tenant) as connection:
        tenant = await tenant_of(connection, office.tenant.tenant)
    asked = Drawing(documents=[document], sender="+1 555 0199")
    shown = await draw(office.gateway, tenant, office.tenant.user, asked)
    plain = await office.ended(await office.send(NUMBER, document, header=False))
    fax = await office.ended(await office.send(NUMBER, None, page_set=shown))
    assert plain.state == fax.state == "delivered"
    preview = [row.sha256 for row in await office.rows(select(pages.c.sha256).where(pages.c.page_set_id == shown))]
    assert far_ends[0].calls[1].hashes == [row.sha256 for row in await office.confirmed(fax.id)] == preview
    # A fax cannot do without the line that its tenant prints.
    assert far_ends[0].calls[0].hashes == await office.hashes(plain.id)
    async with office.gateway.database.tenant(office.tenant.tenant) as connection:
        key = await unlock(connection, office.actor)
        rows = await office.rows(select(pages).where(pages.c.page_set_id == shown).order_by(pages.c.index))
        drawn = [await coded_page(connection, office.gateway, key, row._mapping) for row in rows]
    original = fax_pages(3)
    assert [one.rows > other.rows for one, other in zip(drawn, original, strict=True)] == [True] * 3
    assert len({row.sha256 for row in rows}) == 3


async def test_a_subaddress_reaches_a_machine_that_takes_one(office: Office, far_ends: tuple[FarEnd, ...]) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    first = await office.ended(await office.send(f"{NUMBER}/T33S=4711", document, sender="+49 30 1"))
    assert (first.state, first.to_number, first.from_number) == ("delivered", NUMBER, "+49 30 1")
    heard = far_ends[0].calls[0]
    assert (heard.said[Fcf.SUB], heard.said[Fcf.TSI]) == ("4711", "+49 30 1")
    assert heard.ended and heard.confirmed == [0]


async def test_the_trace_of_a_call_opens_with_the_owners_key_and_replays(office: Office, tmp_path: Path) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    fax = await office.ended(await office.send(NUMBER, document))
    (call,) = await office.calls(fax.id)
    async with office.gateway.database.tenant(office.tenant.tenant) as connection:
        key = await unlock(connection, office.actor)
        store, own = office.gateway.objects, office.tenant.tenant
        octets = await open_owned(connection, store, key, tenant_id=own, object_id=call.trace_id, kind="trace")
    recording = tmp_path / "call.jsonl"
    recording.write_bytes(octets)
    trace = read(recording)
    assert replay(trace) is None and trace.outcome is not None and trace.outcome.complete
