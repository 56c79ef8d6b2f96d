"""A line's own time: fast while everybody waits, real while somebody works, and never out of order."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from simulators.circuit import Faults
from simulators.clock import run
from simulators.line import CircuitLine
from simulators.pacing import Timeline, Waiting
from simulators.switch import Switch
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


def test_a_line_where_one_works_is_no_faster_than_real_time() -> None:
    async def body(timeline: Timeline) -> None:
        other = timeline.aboard(timeline.sleep(3.0))
        await asyncio.sleep(2.0)  # no wait for the line: this is work
        assert timeline.now() == pytest.approx(2.0)
        assert not other.done()
        await timeline.sleep(0.5)  # now both wait
        assert asyncio.get_running_loop().time() == pytest.approx(2.005)
        await asyncio.sleep(0.5)
        assert other.done()

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


def test_a_slow_line_is_no_faster_while_one_works() -> None:
    async def body(timeline: Timeline) -> None:
        await asyncio.sleep(2.0)
        assert timeline.now() == pytest.approx(0.2)

    on_timeline(body, speed=0.1)


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


def test_a_machine_that_stands_still_takes_no_time_from_those_who_wait() -> None:
    async def test() -> None:
        timeline = Timeline(1000.0)
        waiting = Waiting(timeline)
        timeline.later(3.0, waiting.wake)
        asyncio.get_running_loop().call_soon(time.sleep, 0.1)  # a hundred seconds of the line, were it not for this
        await waiting.woken(within=3.5)
        assert timeline.now() == pytest.approx(3.0, abs=0.2)

    asyncio.run(test())


def test_lost_time_is_made_up_for_but_a_long_standstill_is_not() -> None:
    async def test() -> None:
        timeline, loop = Timeline(10.0), asyncio.get_running_loop()
        began = loop.time()
        loop.call_soon(time.sleep, 0.3)
        for _ in range(20):
            await timeline.sleep(0.4)
        took = loop.time() - began
        assert 0.95 < took < 1.2, "0.3 s lost, 8 s of the line less the first 0.4 s and what is made up for: 0.1 s"

    asyncio.run(test())
