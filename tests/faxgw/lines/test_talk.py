"""A call that is hung up at any moment ends as one that was, and never harms the line's keeper."""

import asyncio
import inspect

import pytest

from faxgw.calls import run_call
from faxgw.lines.talk import Talk
from simulators.clock import run
from simulators.line import CircuitLine
from simulators.switch import Switch
from simulators.tray import Tray
from t30.calling import calling
from t30.capabilities import Station
from t30.line import LineClock
from t30.outcome import Outcome
from t30.session import Session


@pytest.mark.parametrize("steps", range(6))
def test_a_call_that_is_hung_up_so_soon_after_it_began_is_canceled(steps: int) -> None:
    async def test() -> Outcome:
        clock = LineClock(asyncio.get_running_loop().time)
        switch = Switch(clock)
        switch.attach("2")
        line = CircuitLine(switch.attach("1"), clock)
        talk = Talk()
        call = run_call(Session(calling(Station(), "2")), line, Tray())
        running = asyncio.create_task(talk.run(call, at_most=600))
        for _ in range(steps):
            await asyncio.sleep(0)
        talk.hang_up("nobody wants it", "call.canceled")
        return await running

    assert run(test()).reason.code == "call.canceled"


@pytest.mark.parametrize("steps", range(1, 5))
def test_a_call_whose_keeper_leaves_so_soon_after_it_began_is_over(steps: int) -> None:
    async def test() -> None:
        clock = LineClock(asyncio.get_running_loop().time)
        switch = Switch(clock)
        switch.attach("2")
        call = run_call(Session(calling(Station(), "2")), CircuitLine(switch.attach("1"), clock), Tray())
        running = asyncio.create_task(Talk().run(call, at_most=600))
        for _ in range(steps):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        assert inspect.getcoroutinestate(call) == inspect.CORO_CLOSED

    run(test())
