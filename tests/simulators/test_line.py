import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from simulators.circuit import Faults
from simulators.line import CircuitLine
from simulators.switch import Switch
from t30.line import CarrierLost, Content, LineClock, ListenData, ListenFrame, Quiet, WrongCarrier
from tests.line_contract import DCS, OURS, SHORT, SLOW, THEIRS, V17, V21, V29, Call, LineContract, Rig, pause


class TestCircuitLine(LineContract):
    @asynccontextmanager
    async def rig(self, faults: Faults) -> AsyncIterator[Rig]:
        switch = Switch(LineClock(asyncio.get_running_loop().time), faults=faults)
        yield Rig(CircuitLine(switch.attach(OURS), switch.clock), switch.attach(THEIRS))

    def test_a_signal_that_ended_while_another_was_awaited_is_gone(self) -> None:
        async def body(call: Call) -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(call.say(DCS))
                assert isinstance(await call.line.perform(ListenData(V29, Content.PAGE, 3.0)), WrongCarrier)
                assert isinstance(await call.line.perform(ListenData(V29, Content.PAGE, 3.0)), Quiet)
                assert isinstance(await call.line.perform(ListenFrame(V21, 3.0)), Quiet)

        self.answered(body)

    def test_another_fast_carrier_than_the_awaited_one_is_not_heard(self) -> None:
        async def body(call: Call) -> None:
            for sent in (V17, SHORT, SLOW):
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(call.send(sent, bytes(100)))
                    assert isinstance(await call.line.perform(ListenData(V29, Content.PAGE, 3.0)), Quiet)

        self.answered(body)

    def test_a_carrier_that_brings_nothing_is_given_up(self) -> None:
        async def body(call: Call) -> None:
            for action in (ListenFrame(V21, 3.0), ListenFrame(V29, 3.0), ListenData(V29, Content.PAGE, 3.0)):
                began = call.line.clock.now()
                call.far.carrier_on(action.modulation)
                assert isinstance(await call.line.perform(action), CarrierLost)
                assert call.line.clock.now() - began <= 6.0
                call.far.carrier_off()
                await pause(call.rig, 0.1)

        self.answered(body)


class TestCircuitLineAtTenTimesRealTime(TestCircuitLine):
    @asynccontextmanager
    async def rig(self, faults: Faults) -> AsyncIterator[Rig]:
        switch = Switch(LineClock(asyncio.get_running_loop().time, 10.0), faults=faults)
        yield Rig(CircuitLine(switch.attach(OURS), switch.clock), switch.attach(THEIRS))


class TestCircuitLineOnALongLine(TestCircuitLine):
    """With 30 ms from end to end: the far side sees silences a little differently."""

    latency = 0.08

    @asynccontextmanager
    async def rig(self, faults: Faults) -> AsyncIterator[Rig]:
        switch = Switch(LineClock(asyncio.get_running_loop().time), faults=faults, delay=0.03)
        yield Rig(CircuitLine(switch.attach(OURS), switch.clock), switch.attach(THEIRS))
