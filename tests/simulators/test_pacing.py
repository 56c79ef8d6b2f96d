"""A line's own time: fast while everybody waits, real while somebody works, and never out of order."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from faxgw.calls import run_call
from simulators.circuit import Faults
from simulators.clock import run
from simulators.line import CircuitLine
from simulators.machine import Machine
from simulators.pacing import GRACE, Timeline, Waiting
from simulators.specimen import specimen
from simulators.switch import Switch
from simulators.tray import Tray
from t30.calling import calling
from t30.capabilities import Station
from t30.session import Session
from tests.line_contract import OURS, THEIRS, LineContract, Rig

SPEED = 100.0


class TestCircuitLineOnATimeline(LineContract):
    @asynccontextmanager
    async def rig(self, faults: Faults) -> AsyncIterator[Rig]:
        timeline = Timeline(1.0)
        switch = Switch(timeline.clock, faults=faults, pace=timeline)
        yield Rig(CircuitLine(switch.attach(OURS), switch.clock), switch.attach(THEIRS))


def on_timeline(body: Callable[[Timeline], Coroutine[Any, Any, None]], speed: float = SPEED) -> None:
    async def test() -> None:
        await body(Timeline(speed))

    run(test())


def test_a_line_where_everybody_waits_is_as_fast_as_it_may_be() -> None:
    async def body(timeline: Timeline) -> None:
        await timeline.sleep(50.0)
        assert timeline.now() == timeline.clock.now() == 50.0
        assert asyncio.get_running_loop().time() == pytest.approx(0.5)

    on_timeline(body)


def test_a_line_where_one_works_stands_still_for_a_moment_and_then_runs_in_real_time() -> None:
    async def body(timeline: Timeline) -> None:
        other = timeline.aboard(timeline.sleep(3.0))
        await asyncio.sleep(GRACE)  # no wait for the line: this is work
        assert timeline.now() == 0.0
        await asyncio.sleep(2.0)
        assert timeline.now() == pytest.approx(2.0)
        await timeline.sleep(0.5)  # now both wait
        assert asyncio.get_running_loop().time() == pytest.approx(GRACE + 2.005)
        assert not other.done()
        await asyncio.sleep(GRACE + 0.5)
        assert other.done()

    on_timeline(body)


def test_work_that_goes_on_has_no_second_moment() -> None:
    async def body(timeline: Timeline) -> None:
        done: list[float] = []
        for at in (1.0, 2.0, 3.0):
            timeline.later(at, lambda: done.append(asyncio.get_running_loop().time()))
        await asyncio.sleep(GRACE + 4.0)
        assert done == [pytest.approx(GRACE + at) for at in (1.0, 2.0, 3.0)]
        assert timeline.now() == pytest.approx(4.0)

    on_timeline(body)


def test_who_has_left_the_line_holds_nobody_up() -> None:
    async def body(timeline: Timeline) -> None:
        await timeline.aboard(asyncio.sleep(0))
        canceled = timeline.aboard(timeline.sleep(100.0))
        await timeline.sleep(1.0)
        canceled.cancel()
        await asyncio.wait([canceled])
        began = asyncio.get_running_loop().time()
        await timeline.sleep(50.0)
        assert asyncio.get_running_loop().time() - began == pytest.approx(0.5)

    on_timeline(body)


@pytest.mark.parametrize("speed", [0.1, 1.0])
def test_a_line_that_is_not_fast_runs_on_whoever_works(speed: float) -> None:
    async def body(timeline: Timeline) -> None:
        await asyncio.sleep(2.0)
        assert timeline.now() == pytest.approx(2.0 * speed)
        await timeline.sleep(2.0)
        assert asyncio.get_running_loop().time() == pytest.approx(2.0 + 2.0 / speed)

    on_timeline(body, speed)


def test_what_is_due_is_done_in_order_and_what_was_canceled_is_not() -> None:
    async def body(timeline: Timeline) -> None:
        done: list[str] = []
        timeline.later(2.0, lambda: done.append("third"))
        timeline.later(1.0, lambda: done.append("first"))
        timeline.later(1.0, lambda: done.append("second"))
        timeline.later(1.5, lambda: done.append("never")).cancel()
        await timeline.sleep(2.0)
        assert done == ["first", "second", "third"]

    on_timeline(body)


def test_what_is_due_together_is_done_together_though_the_first_of_it_gives_work() -> None:
    async def body(timeline: Timeline) -> None:
        done = Waiting(timeline)
        timeline.later(1.0, timeline.work)
        timeline.later(1.0, done.wake)
        await done.woken()
        assert asyncio.get_running_loop().time() == pytest.approx(0.01)

    on_timeline(body)


def test_who_no_longer_waits_works_though_the_wait_was_canceled() -> None:
    async def given_up() -> None:
        timeline = Timeline(SPEED)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await timeline.sleep(1000.0)
        assert timeline.now() == pytest.approx(20.0)
        await asyncio.sleep(GRACE + 5.0)
        assert timeline.now() == pytest.approx(25.0)

    run(given_up())


def test_a_machine_that_stands_still_takes_no_time_from_those_who_wait() -> None:
    async def test() -> None:
        timeline = Timeline(1000.0)
        waiting = Waiting(timeline)
        timeline.later(3.0, waiting.wake)

        seen: list[float] = []

        def stand_still() -> None:
            time.sleep(0.1)  # a hundred seconds of the line, were it not for what is to be done
            seen.append(timeline.now())

        asyncio.get_running_loop().call_soon(stand_still)
        await waiting.woken(within=3.5)
        assert seen == [pytest.approx(3.0, abs=0.01)]
        assert timeline.now() == pytest.approx(3.0, abs=0.2)

    asyncio.run(test())


@pytest.mark.parametrize(("lost", "least", "most"), [(0.14, 0.78, 0.87), (0.64, 1.2, 2.0)])
def test_a_little_lost_time_is_made_up_for_but_not_a_long_standstill(lost: float, least: float, most: float) -> None:
    async def test() -> None:
        timeline, loop = Timeline(10.0), asyncio.get_running_loop()
        began = loop.time()
        loop.call_soon(time.sleep, lost)  # in the first of twenty times 0.04 s
        for _ in range(20):
            await timeline.sleep(0.4)
        assert least < loop.time() - began < most

    asyncio.run(test())


@pytest.mark.parametrize("insists", [False, True])
def test_a_call_that_is_canceled_at_any_moment_leaves_both_ends_on_hook_and_the_line_as_it_was(
    *, insists: bool
) -> None:
    """A call of half a minute, cut off at every half second: dialling, training, a page, and the answers to them."""

    async def body(timeline: Timeline, at: float) -> None:
        switch, answering = Switch(timeline.clock, pace=timeline), list[asyncio.Task[Any]]()
        switch.serve(
            THEIRS,
            lambda end, _: answering.append(
                timeline.aboard(Machine(Station(), CircuitLine(end, switch.clock), Tray()).receive())
            ),
        )
        line = CircuitLine(switch.attach(OURS), switch.clock)
        call = timeline.aboard(run_call(Session(calling(Station(), THEIRS)), line, Tray(specimen()[:1])))
        await timeline.sleep(at)
        for _ in range(1 + insists):
            call.cancel()
            await timeline.sleep(0.1)
        await timeline.sleep(10.0)
        assert call.done() and all(each.done() for each in answering), f"canceled after {at} s"
        began = asyncio.get_running_loop().time()
        await timeline.sleep(50.0)
        assert asyncio.get_running_loop().time() - began == pytest.approx(50.0 / SPEED), f"canceled after {at} s"
        stands = timeline.now()
        await asyncio.sleep(GRACE / 2)  # work, which takes no time on the line
        assert timeline.now() == stands, f"canceled after {at} s"

    for at in range(60):
        on_timeline(lambda timeline, at=at: body(timeline, at / 2))  # type: ignore[misc]
