"""Running a call: cancelling it, and faults of the pages in mid call."""

import asyncio

import pytest

from faxgw.calls import run_call
from faxgw.errors import RequestError
from simulators import clock
from simulators.circuit import Circuit
from simulators.line import CircuitLine
from simulators.tray import Tray
from t30.answering import answering
from t30.calling import calling
from t30.capabilities import Station
from t30.line import LineClock
from t30.outcome import Outcome
from t30.pages import PageAction, PageEvent, PagePort
from t30.session import Session
from tests.simulators.calls import sheet

IN_PAGE, IN_GOODBYE = 14.0, 14.2


async def call(*, cancel_at: tuple[float, ...] = (), pages: PagePort | None = None) -> tuple[Outcome, Outcome, int]:
    """Have a call whose sender is cancelled at these times; return both ends and the cancellations left over."""
    line_clock = LineClock(asyncio.get_running_loop().time)
    circuit = Circuit(line_clock)
    ours, theirs = CircuitLine(circuit.caller, line_clock), CircuitLine(circuit.answerer, line_clock)
    sending = asyncio.ensure_future(
        run_call(Session(calling(Station(), "1")), ours, pages or Tray([sheet(1, rows=400)]))
    )
    receiving = asyncio.ensure_future(run_call(Session(answering(Station())), theirs, Tray()))
    for moment in cancel_at:
        asyncio.get_running_loop().call_at(moment, sending.cancel, "the operator has had enough")
    sent, got = await sending, await receiving
    return sent, got, sending.cancelling()


def test_a_cancelled_call_says_goodbye_and_gives_the_words_of_the_canceller() -> None:
    sent, got, left_over = clock.run(call(cancel_at=(IN_PAGE,)))
    assert (sent.reason.code, sent.reason.text) == ("call.canceled", "the operator has had enough")
    assert got.reason.code == "fax.disconnected"
    assert left_over == 0


def test_a_call_cancelled_twice_hangs_up_without_a_goodbye() -> None:
    sent, got, left_over = clock.run(call(cancel_at=(IN_PAGE, IN_GOODBYE)))
    assert sent.reason.code == "call.canceled"
    assert sent.seconds < IN_GOODBYE + 0.1
    assert got.reason.code == "line.dropped"
    assert left_over == 0


class Failing:
    """A page source that cannot draw any page."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def perform(self, action: PageAction) -> PageEvent:  # noqa: ARG002
        """Fail."""
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (RequestError("document.damaged", "Page 2 is damaged."), "document.damaged", "Page 2 is damaged."),
        (OSError(28, "No space left on device"), "storage.failed", "No space left on device"),
    ],
)
def test_pages_that_fail_in_mid_call_end_it_in_order(error: Exception, code: str, text: str) -> None:
    sent, got, _ = clock.run(call(pages=Failing(error)))
    assert sent.reason.code == code
    assert text in sent.reason.text
    assert got.reason.code == "fax.disconnected"
