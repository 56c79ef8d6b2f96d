"""A fax is canceled, in whatever state it is."""

import pytest
from sqlalchemy import select, update

from faxgw.config import LineSettings
from faxgw.documents.tiff import tiff_octets
from faxgw.errors import RequestError
from faxgw.model import State
from faxgw.sandbox import call_in
from faxgw.store.tables import faxes
from tests.faxgw.lines.conftest import Office, seen, sim_line
from tests.faxgw.lines.far_ends import FarEnd, Heard
from tests.faxgw.lines.pages import fax_pages

MACHINE = "+15550120"
LONG = fax_pages(4, rows=2200)


@pytest.fixture
def far_ends() -> tuple[FarEnd, ...]:
    return (FarEnd("15550120"),)


@pytest.fixture
def lines() -> tuple[LineSettings, ...]:
    return (sim_line("one", "15550199", speed=20),)


async def test_a_fax_that_is_not_on_the_line_is_canceled_at_once(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    async with office.gateway.renderers.lease(), office.gateway.renderers.lease():
        accepted = await office.send(MACHINE, document, header=True)
        converting = await office.send(MACHINE, document, priority=1, header=True)
        await office.in_state(converting, State.CONVERTING)
        assert await office.cancel(converting) is State.CANCELED
        assert await office.cancel(accepted) is State.CANCELED
    scheduled = await office.send(MACHINE, await office.upload(LONG_OCTETS, 4), send_at="2026-12-24T00:00:00Z")
    await office.in_state(scheduled, State.SCHEDULED)
    assert await office.cancel(scheduled) is State.CANCELED
    waiting = await office.waits(await office.send("+15550101", await office.upload(LONG_OCTETS, 4)))
    assert await office.cancel(waiting.id) is State.CANCELED
    for fax_id in (accepted, converting, scheduled, waiting.id):
        fax = await office.fax(fax_id)
        assert (fax.state, fax.reason_code, fax.next_call_at) == ("canceled", "call.canceled", None)
        assert (await office.told(fax_id))[-1] == "fax.canceled" and await office.spooled(fax_id) == set()
        with pytest.raises(RequestError, match="past the point"):
            await office.cancel(fax_id)


async def test_a_call_that_dials_or_sends_is_hung_up_at_both_ends(office: Office, far_ends: tuple[FarEnd, ...]) -> None:
    document = await office.upload(LONG_OCTETS, 4)
    sending = await office.send(MACHINE, document)
    await office.in_state(sending, State.SENDING)
    queued = await office.send("+15550100", document)
    await office.in_state(queued, State.QUEUED)
    assert await office.cancel(queued) is State.CANCELED
    assert await office.cancel(sending) is State.SENDING
    fax = await office.ended(sending, within=10)
    assert (fax.state, fax.reason_code) == ("canceled", "call.canceled") and fax.pages_done < 4
    (call,) = await office.calls(sending)
    assert (call.cause, call.state) == ("call.canceled", "ended")
    (heard,) = far_ends[0].calls
    await seen(_on_hook, heard, within=5)
    dialing = await office.send("+15550102", await office.upload(LONG_OCTETS, 4))
    await office.in_state(dialing, State.DIALING)
    await office.cancel(dialing)
    assert (await office.ended(dialing, within=10)).state == "canceled"
    # The line is good for the next one.
    assert (await office.ended(await office.send(MACHINE, await office.upload(ONE_OCTETS, 1)))).state == "delivered"


async def test_a_renewal_finds_a_cancellation_that_nobody_rang_for(
    office: Office, far_ends: tuple[FarEnd, ...]
) -> None:
    sending = await office.send(MACHINE, await office.upload(LONG_OCTETS, 4))
    await office.in_state(sending, State.SENDING)
    async with office.gateway.database.dispatcher() as connection:
        await connection.execute(update(faxes).where(faxes.c.id == sending).values(cancel_wanted=True))
    assert (await office.ended(sending, within=10)).state == "canceled"
    await seen(_on_hook, far_ends[0].calls[0], within=5)


async def test_an_incoming_fax_cannot_be_canceled(office: Office) -> None:
    await call_in("+15550199", fax_pages(1))
    (fax,) = await office.received()
    with pytest.raises(RequestError):
        await office.cancel(fax.id)
    assert len(await office.rows(select(faxes.c.id))) == 1


async def _on_hook(heard: Heard) -> bool:
    return heard.ended


LONG_OCTETS = tiff_octets(LONG)
ONE_OCTETS = tiff_octets(fax_pages(1))
