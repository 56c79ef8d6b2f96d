"""The Class 1 driver as a line: what every line must do, it does on every kind of simulated modem."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from drivers.class1.setup import Options
from drivers.registry import open_line
from simulators.circuit import Faults
from simulators.exchange import SCHEDULING
from simulators.modem import Firmware, Modem, lying
from simulators.pty import PseudoTerminal
from simulators.switch import Switch
from t30.line import Cause, LineClock
from t30.rates import Modulation
from tests.drivers.rig import modem_line
from tests.line_contract import OURS, THEIRS, LineContract, Rig


class TestClass1Line(LineContract):
    latency = 0.08
    notices_a_drop = False  # a Class 1 modem hears no more than silence
    causes = (Cause.BUSY, Cause.NO_ANSWER, Cause.NO_CARRIER, Cause.NO_DIALTONE)
    firmware = Firmware()
    options = Options()

    @asynccontextmanager
    async def rig(self, faults: Faults) -> AsyncIterator[Rig]:
        switch = Switch(LineClock(asyncio.get_running_loop().time, self.options.speed), faults=faults)
        async with modem_line(switch, OURS, firmware=self.firmware, options=self.options) as (line, _):
            yield Rig(line, switch.attach(THEIRS))


class TestClass1LineAtTenTimesRealTime(TestClass1Line):
    options = Options(speed=10.0)


class TestClass1LineOnAModemWithoutClass10(TestClass1Line):
    firmware = lying("no-class-1.0", "no-far")


class TestClass1LineOnAModemThatLies(TestClass1Line):
    latency = 0.5  # of it, 0.4 s are between CONNECT and data
    firmware = lying("no-abort-ok", "early-connect", "early-fcerror", "no-far")
    options = Options(quirks="careful")


class OnAPseudoTerminal(TestClass1Line):
    """In real time, made faster: 60 ms of this machine are half a second of the line."""

    latency = 0.5
    speed = 8.0

    def run(self, test: Coroutine[Any, Any, None]) -> None:
        asyncio.run(test)

    @asynccontextmanager
    async def rig(self, faults: Faults) -> AsyncIterator[Rig]:
        loop = asyncio.get_running_loop()
        switch = Switch(LineClock(loop.time, self.speed), faults=faults, slack=SCHEDULING * self.speed)
        terminal = PseudoTerminal(Modem(switch.attach(OURS)))
        working = loop.create_task(terminal.run())
        line = await open_line(f"class1:{terminal.path}?speed={self.speed}")
        yield Rig(line, switch.attach(THEIRS))
        await line.close()
        working.cancel()
        await asyncio.wait([working])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clause", "arguments"),
    [
        (LineContract.test_a_call_rings_is_answered_and_the_first_signal_goes_out, ()),
        (LineContract.test_a_dialled_call_hears_the_answerers_first_frame, ()),
        (LineContract.test_a_ring_while_waiting_is_cancelled_is_not_lost, ()),
        (LineContract.test_hanging_up_at_any_time_and_again_does_no_harm, ()),
        (LineContract.test_the_line_takes_another_call_after_one, ()),
        (LineContract.test_data_goes_out_whole_at_its_rate, (Modulation.V17_14400,)),
        (
            LineContract.test_data_comes_in_chunks_and_the_last_is_followed_by_carrier_lost,
            (Modulation.V17_14400_SHORT,),
        ),
        (LineContract.test_fast_frames_come_one_by_one_and_then_the_carrier_is_lost, (Modulation.V29_9600,)),
        (LineContract.test_a_cancelled_call_attempt_leaves_the_line_free, ()),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_true_of_a_cable_is_true_of_a_real_terminal(
    clause: Callable[..., None], arguments: tuple[Modulation, ...]
) -> None:
    clause(OnAPseudoTerminal(), *arguments)
