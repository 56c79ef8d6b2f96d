"""Faxes that go out, from acceptance to their end, over lines of the simulated exchange."""

from faxgw.documents.tiff import tiff_octets
from faxgw.model import State
from tests.faxgw.lines.conftest import Office
from tests.faxgw.lines.pages import fax_pages


async def test_a_fax_is_delivered_and_every_step_is_told(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(2)), 2)
    fax_id = await office.send("+15550100", document)
    fax = await office.ended(fax_id)
    assert (fax.state, fax.pages, fax.pages_done, fax.reason_code) == ("delivered", 2, 2, "")
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


async def test_a_busy_number_is_tried_again_later(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    fax_id = await office.send("+15550101", document)
    fax = await office.in_state(fax_id, State.WAITING_RETRY)
    (call,) = await office.calls(fax_id)
    assert (call.cause, call.state, fax.dials) == ("call.busy", "ended", 1)
    assert (fax.next_call_at - call.ended_at).total_seconds() >= 180
