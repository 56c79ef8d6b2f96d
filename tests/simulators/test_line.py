import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from simulators.circuit import Faults
from simulators.line import CircuitLine
from simulators.switch import Switch
from t30.line import LineClock
from tests.line_contract import OURS, THEIRS, LineContract, Rig


class TestCircuitLine(LineContract):
    @asynccontextmanager
    async def rig(self, faults: Faults) -> AsyncIterator[Rig]:
        switch = Switch(LineClock(asyncio.get_running_loop().time), faults=faults)
        yield Rig(CircuitLine(switch.attach(OURS), switch.clock), switch.attach(THEIRS))


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
