"""The T.38 line as a line: what every line must do, it does through a gateway to a simulated circuit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from drivers.t38.media import Agreed, Media, Stream
from drivers.t38.tpkt import TpktStream
from simulators.circuit import Faults
from simulators.network import Weather, pair
from simulators.switch import Switch
from t30.line import LineClock
from tests.drivers.t38.gateway import Gateway, SignalledLine
from tests.line_contract import OURS, THEIRS, LineContract, Rig


class TestT38Line(LineContract):
    latency = 0.1
    weather = Weather(delay=0.01)

    def carrier(self, agreed: Agreed) -> Stream:
        return Media(agreed)

    @asynccontextmanager
    async def rig(self, faults: Faults) -> AsyncIterator[Rig]:
        clock = LineClock(asyncio.get_running_loop().time)
        switch = Switch(clock, faults=faults)
        near, far = pair(self.weather, self.weather, clock)
        gateway = Gateway(switch.attach(OURS), far, self.carrier)
        line = SignalledLine(near, gateway)
        yield Rig(line, switch.attach(THEIRS))
        gateway.hang_up()
        await line.close()


class TestT38LineOnABadNetwork(TestT38Line):
    latency = 0.5
    weather = Weather(delay=0.02, loss=0.05, jitter=0.1, doubled=0.1)


class TestT38LineOverAConnection(TestT38Line):
    def carrier(self, agreed: Agreed) -> Stream:
        return TpktStream(agreed)
