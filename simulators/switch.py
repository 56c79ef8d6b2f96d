"""A telephone exchange in one process: ports with numbers, and calls between them that become circuits.

Class 1 modem simulators and simulated fax machines attach to the same switch and can call each other.
"""

import asyncio
import math
from dataclasses import dataclass, replace

from simulators.circuit import NO_FAULTS, Circuit, End, Faults
from t30.line import Cause, LineClock
from t30.timers import T0

SETUP = 1.5
"""Seconds from the last digit until the called number rings, or until a tone or announcement says why not."""


@dataclass(frozen=True, slots=True)
class Ring:
    """A call that rings at a port."""

    caller: str
    dialled: str


class Switch:
    """The exchange.

    Args:
        clock: the clock of every call.
        faults: what goes wrong in a call; call ``n``, from 0, has the seed ``faults.seed + n``.
        delay: seconds from one end of a call to the other.
        slack: how much more than its due a listener may be late; see ``Circuit``.
    """

    def __init__(self, clock: LineClock, *, faults: Faults = NO_FAULTS, delay: float = 0.0, slack: float = 0.0) -> None:
        self.clock = clock
        self.faults = faults
        self.calls = 0
        """How many calls were answered."""
        self._delay = delay
        self._slack = slack
        self._ports: dict[str, Port] = {}
        self._causes: dict[str, Cause] = {}

    def attach(self, number: str, *, dialtone: bool = True) -> "Port":
        """Give a new port this number. Without ``dialtone`` it can be called, but cannot call.

        Raises:
            ValueError: if another port has the number.
        """
        if number in self._ports or number in self._causes:
            raise ValueError(f"{number}: is taken")
        self._ports[number] = Port(self, number, dialtone=dialtone)
        return self._ports[number]

    def detach(self, port: "Port") -> None:
        """Take a port away: its call is dropped, its number free."""
        port.hang_up()
        del self._ports[port.number]

    def fail(self, number: str, cause: Cause) -> None:
        """Let every call to ``number`` end so: busy, never answered, and so on."""
        self._causes[number] = cause

    def _find(self, number: str) -> "Port | Cause":
        if number in self._causes:
            return self._causes[number]
        port = self._ports.get(number)
        if port is None:
            return Cause.REJECTED
        return Cause.BUSY if port.in_use or port.ring else port

    def _connect(self) -> Circuit:
        faults = replace(self.faults, seed=self.faults.seed + self.calls)
        self.calls += 1
        return Circuit(self.clock, faults=faults, delay=self._delay, slack=self._slack)


class Port:
    """A subscriber's line: at most one call at a time."""

    def __init__(self, switch: Switch, number: str, *, dialtone: bool) -> None:
        self.switch = switch
        self.clock = switch.clock
        self.number = number
        self.dialtone = dialtone
        self._dialling = False
        self._end: End | None = None
        self._incoming: _Attempt | None = None
        self._rings = asyncio.Event()

    @property
    def in_use(self) -> bool:
        """Off hook: the port is dialling, or connected and has not hung up, whatever the other side did."""
        return self._dialling or (self._end is not None and not self._end.hung_up)

    @property
    def ring(self) -> Ring | None:
        """The call that rings now; None when there is none, or when its caller gave up."""
        return self._incoming.ring if self._incoming else None

    async def ringing(self) -> Ring:
        """Wait until the port rings; answers at once when it does already."""
        while self._incoming is None:
            await self._rings.wait()
        return self._incoming.ring

    def answer(self) -> End | None:
        """Take the call that rings and return this end of it; None when nothing rings any more."""
        attempt, self._incoming = self._incoming, None
        self._rings.clear()
        if attempt is None or attempt.answered.done():
            return None
        circuit = self.switch._connect()
        self._end = circuit.answerer
        attempt.answered.set_result(circuit.caller)
        return circuit.answerer

    async def dial(self, number: str, *, within: float = T0) -> End | Cause:
        """Call a number; return this end of the call, or why there is none.

        Args:
            number: as it was attached, or ``Switch.fail`` names it.
            within: how long to let it ring, in seconds: T0, unless given. Cancelling gives up at once.
        """
        if self.in_use:
            raise RuntimeError(f"{self.number}: is in use")
        if not self.dialtone or self._incoming:
            return Cause.NO_DIALTONE
        self._dialling = True
        try:
            await asyncio.sleep(self.clock.real(SETUP))
            called = self.switch._find(number)
            if called is Cause.NO_ANSWER:
                await asyncio.sleep(self.clock.real(within))
            if isinstance(called, Cause):
                return called
            self._end = await self._call(called, within)
            return self._end or Cause.NO_ANSWER
        finally:
            self._dialling = False

    def hang_up(self) -> None:
        """Go on hook, whatever was going on; a call that rings goes on ringing."""
        if self._end:
            self._end.hang_up()

    async def _call(self, called: "Port", within: float) -> End | None:
        answered: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        attempt = _Attempt(Ring(self.number, called.number), answered)
        called._incoming = attempt
        called._rings.set()
        try:
            async with asyncio.timeout(None if math.isinf(within) else self.clock.real(within)):
                return await _end_of(answered)
        except TimeoutError:
            return None
        finally:
            if called._incoming is attempt:
                called._incoming = None
                called._rings.clear()


async def _end_of(answered: "asyncio.Future[End]") -> End:
    """Wait for the answer; a caller who gives up in the very moment of it hangs up."""
    try:
        return await answered
    except asyncio.CancelledError:
        if answered.done() and not answered.cancelled():
            answered.result().hang_up()
        raise


@dataclass(slots=True)
class _Attempt:
    ring: Ring
    answered: asyncio.Future[End]
