"""The SIP line as a line: what every line must do, it does through a trunk and a gateway to a simulated circuit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from drivers.sip.leg import CAUSES, Leg
from drivers.sip.trunk import Trunk
from drivers.t38.route import UdpRoute
from simulators.circuit import Faults
from simulators.clock import run
from simulators.lan import Lan
from simulators.network import Weather
from simulators.switch import Port, Switch
from t30.line import Cause, LineClock
from tests.drivers.sip.calls import OURS as NEAR
from tests.drivers.sip.calls import THEIRS as FAR
from tests.drivers.sip.calls import line, trunk
from tests.drivers.t38.gateway import Gateway
from tests.line_contract import OURS, THEIRS, LineContract, Rig

STATUSES = {cause: status for status, cause in CAUSES.items()} | {
    Cause.NETWORK: 500,
    Cause.NO_T38: 488,
    Cause.NO_CARRIER: 400,
    Cause.NO_DIALTONE: 400,
}


class SipGateway:
    """What stands between the trunk and the switch: each call of one side is a call on the other."""

    def __init__(self, port: Port, at: Trunk) -> None:
        self._port = port
        self._trunk = at
        self._lines = [line(at), line(at)]
        self._tasks = [asyncio.create_task(self._outward()), asyncio.create_task(self._inward())]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        for each in self._lines:
            await each.close()

    async def _outward(self) -> None:
        """Take the calls of the trunk to the switch."""
        while True:
            leg = await self._trunk.incoming()
            assert leg.call is not None
            circuit = _circuit(self._port, leg)
            dialling = asyncio.ensure_future(circuit.dial(leg.call.dialled))
            while not dialling.done() and not leg.over:
                await asyncio.wait([dialling], timeout=0.05)
            if leg.over:
                dialling.cancel()
                await asyncio.wait([dialling])
                continue
            cause = dialling.result()
            if cause is not None:
                leg.over = True
                self._trunk.do(leg.call.refuse(STATUSES[cause], self._trunk.now()))
                leg.hang_up()
                continue
            await leg.answer()
            await self._relay(leg, circuit)

    async def _inward(self) -> None:
        """Take the calls of the switch to the trunk."""
        while True:
            ring = await self._port.ringing()
            leg = await self._trunk.outgoing()
            circuit = _circuit(self._port, leg)
            dialling = asyncio.ensure_future(leg.dial(ring.dialled))
            while not dialling.done() and self._port.ring is not None:
                await asyncio.wait([dialling], timeout=0.05)
            if not dialling.done() or dialling.result() is not None or circuit.answer():
                dialling.cancel()
                leg.hang_up()
                continue
            await self._relay(leg, circuit)

    async def _relay(self, leg: Leg, circuit: "_Circuit") -> None:
        """Join a call that stands to the circuit, until either is over."""
        if leg.endpoint is not None:
            leg.endpoint.close()
            circuit.join(leg)
        while not leg.over and not circuit.is_over:  # noqa: ASYNC110 (two flags, neither with an event)
            await asyncio.sleep(0.02)
        circuit.hang_up()
        leg.hang_up()


class _Circuit(Gateway):
    """The gateway's packets go the way of the call's."""

    is_over = False

    def dropped(self) -> None:
        self.is_over = True

    def join(self, leg: Leg) -> None:
        leg._pair.image.receiver = self._take


class _Plug:
    """A call's socket as the gateway knows one."""

    def __init__(self, route: UdpRoute) -> None:
        self.receiver = None
        self._route = route

    def send(self, datagram: bytes) -> None:
        self._route.send(datagram)


def _circuit(port: Port, leg: Leg) -> _Circuit:
    circuit = _Circuit(port, _Plug(leg._pair.image))  # type: ignore[arg-type]
    circuit.line = circuit  # type: ignore[assignment]
    return circuit


class TestSipLine(LineContract):
    latency = 0.3
    causes = tuple(cause for cause in Cause if cause not in {Cause.NO_CARRIER, Cause.NO_DIALTONE})
    weather = Weather(delay=0.01)

    def run(self, test):  # type: ignore[no-untyped-def]
        run(test, lan=Lan(self.weather))

    @asynccontextmanager
    async def rig(self, faults: Faults) -> AsyncIterator[Rig]:
        clock = LineClock(asyncio.get_running_loop().time)
        switch = Switch(clock, faults=faults)
        near = await trunk(f"sip:{FAR}:5060?local={NEAR}:5060&t38=offer")
        far = await trunk(f"sip:{NEAR}:5060?local={FAR}:5060&t38=offer")
        gateway = SipGateway(switch.attach(OURS), far)
        under_test = line(near)
        yield Rig(under_test, switch.attach(THEIRS))
        await under_test.close()
        await gateway.close()


class TestSipLineOnABadNetwork(TestSipLine):
    # No loss: this gateway sends in bursts, with pauses longer than a lost packet is waited for.
    latency = 0.8
    weather = Weather(delay=0.02, jitter=0.1, doubled=0.1)
