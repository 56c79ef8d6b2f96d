"""The Class 1 driver as a line, over a cable to the simulated modem: what every line must do, it does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from drivers.class1.modem import Class1Line
from drivers.class1.setup import Options
from simulators.cable import Cable
from simulators.circuit import Faults
from simulators.modem import Firmware, Modem
from simulators.switch import Switch
from t30.line import Cause, LineClock
from tests.line_contract import OURS, THEIRS, LineContract, Rig


class TestClass1Line(LineContract):
    latency = 0.08
    notices_a_drop = False  # a Class 1 modem hears no more than silence
    causes = (Cause.BUSY, Cause.NO_ANSWER, Cause.NO_CARRIER, Cause.NO_DIALTONE)
    firmware = Firmware()
    speed = 1.0

    @asynccontextmanager
    async def rig(self, faults: Faults) -> AsyncIterator[Rig]:
        loop = asyncio.get_running_loop()
        switch = Switch(LineClock(loop.time, self.speed), faults=faults)
        modem = Modem(switch.attach(OURS), firmware=self.firmware)
        working = loop.create_task(modem.run())
        line = await Class1Line.attach(Cable(modem), Options(speed=self.speed), port="the modem")
        yield Rig(line, switch.attach(THEIRS))
        await line.close()
        working.cancel()
        await asyncio.wait([working])
