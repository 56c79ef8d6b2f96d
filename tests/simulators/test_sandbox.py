"""The numbers of the sandbox, called from ``sim:`` lines as any program would open them, and calls that come in."""

import asyncio
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from drivers.registry import Line, open_line
from simulators.clock import run
from simulators.machine import Machine
from simulators.numbers import SANDBOX
from simulators.sandbox import SPEED, sandbox
from simulators.specimen import specimen
from simulators.tray import Sheet, Tray
from t30.capabilities import Station
from t30.line import (
    Answer,
    AwaitCall,
    Cause,
    Connected,
    Dial,
    HangUp,
    LineAction,
    LineEvent,
    NotConnected,
    Ringing,
    SendFrames,
)
from t30.outcome import Outcome
from t30.rates import Family
from t30.timers import T0

OURS = Station("+49 30 1234567")
URL = "sim:15550199"


def sheets(pages: int = 1) -> Sequence[Sheet]:
    return specimen()[:pages]


def test_the_manual_has_every_number() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()
    assert re.findall(r"^\| \+(\d+)", manual, re.MULTILINE) == list(SANDBOX)


def with_lines(body: Callable[..., Coroutine[Any, Any, None]], *urls: str) -> None:
    """Run a test with these lines, in virtual time."""

    async def test() -> None:
        lines = [await open_line(url) for url in urls or (URL,)]
        await body(*lines)
        for line in lines:
            await line.close()

    run(test())


async def send(line: Line, number: str, pages: int = 1) -> Outcome:
    return await Machine(OURS, line, Tray(sheets(pages))).send(number)


@pytest.mark.parametrize("number", ["+15550100", "15550100", "+1 (555) 01-00", "1.555.0100"])
def test_0100_answers_and_confirms_however_it_is_written(number: str) -> None:
    async def body(line: Line) -> None:
        outcome = await send(line, number, pages=3)
        assert (outcome.verdict, outcome.remote_id) == ("delivered", "+1 555 0100")
        assert [page.confirmed for page in outcome.pages] == [True] * 3

    with_lines(body)


@pytest.mark.parametrize(
    ("number", "code", "seconds"),
    [("+15550101", "call.busy", 1.5), ("+15550102", "call.no_answer", 1.5 + T0), ("+4930999", "call.rejected", 1.5)],
)
def test_no_call_comes_about_with_0101_0102_and_numbers_nobody_has(number: str, code: str, seconds: float) -> None:
    async def body(line: Line) -> None:
        outcome = await send(line, number)
        assert (outcome.verdict, outcome.reason.code) == ("failed", code)
        assert outcome.seconds == pytest.approx(seconds)

    with_lines(body)


def test_0103_fails_training() -> None:
    async def body(line: Line) -> None:
        outcome = await send(line, "+15550103")
        assert (outcome.reason.code, outcome.pages) == ("fax.training", ())

    with_lines(body)


def test_0104_drops_the_call_after_page_1_so_that_the_rest_goes_in_further_calls() -> None:
    async def body(line: Line) -> None:
        outcome = await send(line, "+15550104", pages=3)
        assert (outcome.verdict, outcome.reason.code) == ("partial", "line.dropped")
        assert [page.confirmed for page in outcome.pages] == [True]
        assert (await send(line, "+15550104", pages=1)).verdict == "delivered"

    with_lines(body)


def test_0105_calls_back_with_three_pages_to_the_number_that_called() -> None:
    async def body(line: Line) -> None:
        assert (await send(line, "+15550105")).verdict == "delivered"
        tray = Tray()
        machine = Machine(OURS, line, tray)
        outcome = await machine.receive()
        assert machine.transcript[0].event == Ringing("+15550105", "+15550199")
        assert (outcome.verdict, outcome.remote_id) == ("received", "+1 555 0105")
        assert [_pels(tray, index) for index in range(3)] == [sheet.bitmap for sheet in sheets(3)]

    with_lines(body)


def test_0106_is_somebody_else_from_its_second_call_on() -> None:
    async def body(line: Line) -> None:
        seen = [(await send(line, "+15550106")).remote_id for _ in range(3)]
        assert seen == ["+1 555 0106", "+1 555 0116", "+1 555 0126"]
        assert (await send(line, "+15550100")).remote_id == "+1 555 0100"

    with_lines(body)


def test_0107_is_slow_and_cannot_correct_errors() -> None:
    async def body(line: Line) -> None:
        outcome = await send(line, "+15550107")
        assert outcome.verdict == "delivered"
        assert outcome.modulation is not None
        assert (outcome.modulation.family, outcome.modulation.bps, outcome.ecm) == (Family.V27TER, 2400, False)

    with_lines(body)


def test_0108_never_confirms_a_page() -> None:
    async def body(line: Line) -> None:
        outcome = await send(line, "+15550108")
        assert (outcome.verdict, outcome.reason.code) == ("failed", "fax.page_refused")

    with_lines(body)


def test_any_number_of_lines_may_call_the_same_number_at_once() -> None:
    async def body(*lines: Line) -> None:
        outcomes = await asyncio.gather(*(send(line, "+15550100") for line in lines))
        assert {outcome.verdict for outcome in outcomes} == {"delivered"}
        assert asyncio.get_running_loop().time() < 1.5 * min(outcome.seconds for outcome in outcomes)

    with_lines(body, *(f"sim:155501{n}" for n in range(50, 60)))


# --------------------------------------------------------------------------------------------------- calls that come in


async def called(to: str, *, number: str = "+4930999", within: float = 30.0) -> Outcome | None:
    return await sandbox().call_in(to, Station("+49 30 999"), Tray(sheets()), number=number, within=within)


def _pels(tray: Tray, index: int) -> object:
    decoded = tray.received[index].decoded
    assert decoded is not None
    return decoded.bitmap


def test_a_call_reaches_the_line_with_its_number_though_others_wait_longer() -> None:
    async def body(first: Line, second: Line) -> None:
        waiting = asyncio.create_task(first.perform(AwaitCall()))
        await asyncio.sleep(1.0)
        machine = Machine(OURS, second, Tray())
        receiving = asyncio.create_task(machine.receive())
        await asyncio.sleep(1.0)
        assert (await called("1 555 0198")).verdict == "delivered"  # type: ignore[union-attr]
        assert (await receiving).verdict == "received"
        assert machine.transcript[0].event == Ringing("+4930999", "+15550198")
        waiting.cancel()

    with_lines(body, "sim:15550199", "sim:15550198")


def test_a_call_reaches_any_line_that_waits_and_the_line_hears_what_was_dialled() -> None:
    async def body(busy: Line, idle: Line) -> None:
        sending = asyncio.create_task(send(busy, "+15550100", pages=3))
        machine = Machine(OURS, idle, Tray())
        receiving = asyncio.create_task(machine.receive())
        assert (await called("+15550199")).verdict == "delivered"  # type: ignore[union-attr]
        assert machine.transcript[0].event == Ringing("+4930999", "+15550199")
        assert {(await sending).verdict, (await receiving).verdict} == {"delivered", "received"}

    with_lines(body, "sim:15550199", "sim:15550198")


def test_a_call_waits_for_a_line_but_not_for_ever() -> None:
    async def body(line: Line) -> None:
        waiting = asyncio.create_task(line.perform(AwaitCall()))
        assert await sandbox().one_waits(1.0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert await called("+15550199", within=5.0) is None
        assert asyncio.get_running_loop().time() == pytest.approx(5.0)
        calling = asyncio.create_task(called("+15550199"))
        await asyncio.sleep(20.0)
        assert (await Machine(OURS, line, Tray()).receive()).verdict == "received"
        assert (await calling).verdict == "delivered"  # type: ignore[union-attr]

    with_lines(body)


def test_a_caller_whose_line_dials_out_instead_of_answering_tries_again() -> None:
    async def body(line: Line) -> None:
        calling = asyncio.create_task(called("+15550199"))
        waiting = asyncio.create_task(line.perform(AwaitCall()))
        await asyncio.wait([waiting])
        assert waiting.result() == Ringing("+4930999", "+15550199")
        assert await line.perform(Dial("+15550101")) == NotConnected(Cause.BUSY)
        assert await line.perform(Answer()) == NotConnected(Cause.NO_CARRIER)
        await line.perform(HangUp())
        assert (await Machine(OURS, line, Tray()).receive()).verdict == "received"
        assert (await calling).verdict == "delivered"  # type: ignore[union-attr]

    with_lines(body)


def test_a_ring_that_comes_while_the_wait_is_canceled_is_not_lost() -> None:
    async def body(line: Line) -> None:
        waiting = asyncio.create_task(line.perform(AwaitCall()))
        calling = asyncio.create_task(called("+15550199"))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.sleep(10.0)
        assert await line.perform(AwaitCall()) == Ringing("+4930999", "+15550199")
        assert await line.perform(Answer()) == Connected()
        calling.cancel()
        await line.perform(HangUp())

    with_lines(body)


def test_a_line_that_is_closed_drops_its_call_and_is_called_no_more() -> None:
    async def body(line: Line) -> None:
        sending = asyncio.create_task(send(line, "+15550100", pages=3))
        await asyncio.sleep(20.0)
        await line.close()
        await line.close()
        assert (await sending).verdict == "failed"
        assert sandbox().lines == set()
        assert await called("+15550199", within=1.0) is None

    with_lines(body)


def test_a_caller_whose_line_is_closed_as_it_rings_tries_another() -> None:
    async def body(first: Line, second: Line) -> None:
        calling = asyncio.create_task(called("+15550199"))
        assert isinstance(await first.perform(AwaitCall()), Ringing)
        await first.close()
        began = asyncio.get_running_loop().time()
        outcome = await Machine(OURS, second, Tray()).receive()
        assert (outcome.verdict, (await calling).verdict) == ("received", "delivered")  # type: ignore[union-attr]
        assert asyncio.get_running_loop().time() - began < outcome.seconds + 5.0

    with_lines(body, "sim:15550199", "sim:15550198")


def test_a_line_that_is_to_ring_rings_once() -> None:
    async def body(line: Line) -> None:
        outcome = await Machine(OURS, line, Tray()).receive()
        assert (outcome.verdict, outcome.remote_id, len(outcome.pages)) == ("received", "+1 555 0105", 3)
        again = asyncio.create_task(line.perform(AwaitCall()))
        await asyncio.sleep(1000.0)
        assert not again.done()
        again.cancel()

    with_lines(body, f"{URL}?ring_after=5")


# ---------------------------------------------------------------------------------------------------------------- speed


def test_a_line_is_as_fast_as_its_url_says_or_else_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SPEED, "50")

    async def body(usual: Line, own: Line) -> None:
        for line, speed in ((usual, 50), (own, 200)):
            began = asyncio.get_running_loop().time()
            outcome = await send(line, "+15550100")
            assert (asyncio.get_running_loop().time() - began) * speed == pytest.approx(outcome.seconds, rel=0.01)

    with_lines(body, URL, f"{URL}?speed=200")


class ListensLate:
    """A line whose program is busy for a while after each signal that it has sent."""

    def __init__(self, line: Line, seconds: float = 0.3) -> None:
        self._line = line
        self._seconds = seconds
        self.clock = line.clock

    async def perform(self, action: LineAction) -> LineEvent:
        event = await self._line.perform(action)
        if isinstance(action, SendFrames):
            await asyncio.sleep(self._seconds)
        return event


def test_a_program_that_is_late_as_on_a_busy_machine_still_hears_what_is_sent() -> None:
    async def body(line: Line) -> None:
        receiving = asyncio.create_task(Machine(OURS, ListensLate(line), Tray()).receive())
        assert (await called("+15550199")).verdict == "delivered"  # type: ignore[union-attr]
        outcome = await receiving
        assert (outcome.verdict, str(outcome.modulation)) == ("received", "V.17 14400")

    with_lines(body, URL)


def test_a_program_that_takes_its_time_takes_none_on_a_fast_line() -> None:
    async def body(line: Line) -> None:
        receiving = asyncio.create_task(Machine(OURS, ListensLate(line, 0.9), Tray()).receive())
        assert (await called("+15550199")).verdict == "delivered"  # type: ignore[union-attr]
        slow = await receiving
        receiving = asyncio.create_task(Machine(OURS, line, Tray()).receive())
        assert (await called("+15550199")).verdict == "delivered"  # type: ignore[union-attr]
        assert slow.seconds == pytest.approx((await receiving).seconds)

    with_lines(body, f"{URL}?speed=20")


def test_a_program_that_takes_too_long_loses_the_call_on_a_fast_line_too() -> None:
    async def body(line: Line) -> None:
        receiving = asyncio.create_task(Machine(OURS, ListensLate(line, 60.0), Tray()).receive())
        assert (await called("+15550199")).reason.code == "fax.no_response"  # type: ignore[union-attr]
        receiving.cancel()

    with_lines(body, f"{URL}?speed=20")


@pytest.fixture
def busy_machine() -> Iterator[None]:
    """Keep every processor busy, and one more."""
    with ExitStack() as until_end:
        for _ in range((os.cpu_count() or 1) + 1):
            burner = until_end.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            until_end.callback(burner.kill)
        yield


@pytest.mark.soak
@pytest.mark.parametrize("speed", [1000, 100_000])
@pytest.mark.usefixtures("busy_machine")
def test_calls_go_through_at_any_speed_on_a_busy_machine(speed: int, soak: bool) -> None:
    each = 100 if soak else 2

    async def call_all() -> list[Outcome]:
        lines = [await open_line(f"sim:155501{n}?speed={speed}") for n in range(50, 60)]

        async def calls(line: Line) -> list[Outcome]:
            return [await send(line, "+15550100") for _ in range(each)]

        return [outcome for outcomes in await asyncio.gather(*map(calls, lines)) for outcome in outcomes]

    outcomes = asyncio.run(call_all())
    assert Counter(f"{outcome.verdict} {outcome.modulation}" for outcome in outcomes) == {
        "delivered V.17 14400": 10 * each
    }
    assert max(outcome.seconds for outcome in outcomes) < min(outcome.seconds for outcome in outcomes) + 1.0
