"""A telephone exchange in one process: ports with numbers, and calls between them that become circuits.

Class 1 modem simulators and simulated fax machines attach to the same switch and can call each other.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from simulators.circuit import NO_FAULTS, Circuit, End, Faults
from simulators.pacing import Pace, Waiting
from t30.line import Cause, LineClock
from t30.timers import T0

SETUP = 1.5
"""Seconds from the last digit until the called number rings, or until a tone or announcement says why not."""


Take = Callable[[End, str], None]
"""Answers a call, given its end and the caller's number; must see to it that somebody hangs up in the end."""


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
        pace: what wakes those who wait; by default, the event loop's timers.
    """

    def __init__(
        self,
        clock: LineClock,
        *,
        faults: Faults = NO_FAULTS,
        delay: float = 0.0,
        slack: float = 0.0,
        pace: Pace | None = None,
    ) -> None:
        self.clock = clock
        self.pace = pace or Pace(clock)
        self.faults = faults
        self.calls = 0
        """How many calls were answered."""
        self._delay = delay
        self._slack = slack
        self._ports: dict[str, Port] = {}
        self._causes: dict[str, Cause] = {}
        self._groups: dict[str, _Group] = {}

    def attach(self, number: str, *, dialtone: bool = True) -> "Port":
        """Give a new port this number. Without ``dialtone`` it can be called, but cannot call.

        Raises:
            ValueError: if another port has the number.
        """
        self._check_free(number)
        self._ports[number] = Port(self, number, dialtone=dialtone)
        return self._ports[number]

    def forward(self, number: str, port: "Port") -> None:
        """Let calls to another number ring at this port, too. The ring tells which one was dialled.

        Raises:
            ValueError: if the number is not free.
        """
        if self._ports.get(number) is not port:
            self._check_free(number)
        self._ports[number] = port

    def serve(self, number: str, take: "Take", *, lines: float = math.inf) -> None:
        """Let calls to ``number`` be answered at once, so many at a time.

        Raises:
            ValueError: if the number is not free.
        """
        self._check_free(number)
        self._groups[number] = _Group(self, take, lines)

    def detach(self, port: "Port") -> None:
        """Take a port away: its call is dropped, its numbers free."""
        port.hang_up()
        port.refuse()
        self._ports = {number: other for number, other in self._ports.items() if other is not port}

    def fail(self, number: str, cause: Cause) -> None:
        """Let every call to ``number`` end so: busy, never answered, and so on."""
        self._causes[number] = cause

    def _check_free(self, number: str) -> None:
        if number in self._ports or number in self._causes or number in self._groups:
            raise ValueError(f"{number}: is taken")

    def _find(self, number: str) -> "Port | _Group | Cause":
        if number in self._causes:
            return self._causes[number]
        if group := self._groups.get(number):
            return group if group.free else Cause.BUSY
        port = self._ports.get(number)
        if port is None:
            return Cause.REJECTED
        return Cause.BUSY if port.in_use or port.ring else port

    def _connect(self) -> Circuit:
        faults = replace(self.faults, seed=self.faults.seed + self.calls)
        self.calls += 1
        return Circuit(self.clock, faults=faults, delay=self._delay, slack=self._slack, pace=self.pace)


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
        self._awaiting: list[Waiting] = []

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
            waiting = Waiting(self.switch.pace)
            self._awaiting.append(waiting)
            try:
                await waiting.woken()
            finally:
                self._awaiting.remove(waiting)
        return self._incoming.ring

    def answer(self) -> End | None:
        """Take the call that rings and return this end of it; None when nothing rings any more."""
        attempt, self._incoming = self._incoming, None
        if attempt is None:
            return None
        circuit = self.switch._connect()
        self._end = circuit.answerer
        attempt.connect(circuit.caller)
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
            await self.switch.pace.sleep(SETUP)
            called = self.switch._find(number)
            if called is Cause.NO_ANSWER:
                await self.switch.pace.sleep(within)
            if isinstance(called, Cause):
                return called
            if isinstance(called, _Group):
                self._end = called.answer(self.number)
            else:
                self._end = await self._call(called, Ring(self.number, number), within)
            return self._end or Cause.NO_ANSWER
        finally:
            self._dialling = False

    def refuse(self) -> None:
        """Let a call that rings find that nobody answers."""
        attempt, self._incoming = self._incoming, None
        if attempt:
            attempt.waiting.wake()

    def hang_up(self) -> None:
        """Go on hook, whatever was going on; a call that rings goes on ringing."""
        if self._end:
            self._end.hang_up()

    async def _call(self, called: "Port", ring: Ring, within: float) -> End | None:
        attempt = called._incoming = _Attempt(ring, Waiting(self.switch.pace))
        for waiting in called._awaiting:
            waiting.wake()
        try:
            await attempt.waiting.woken(within)
        except asyncio.CancelledError:
            if attempt.end:
                attempt.end.hang_up()  # it was answered in the very moment in which the caller gave up
            raise
        finally:
            if called._incoming is attempt:
                called._incoming = None
        return attempt.end


@dataclass(slots=True)
class _Attempt:
    """A call that rings, and its caller's end once it is answered."""

    ring: Ring
    waiting: Waiting
    end: End | None = None

    def connect(self, end: End) -> None:
        self.end = end
        self.waiting.wake()


@dataclass(slots=True)
class _Group:
    """A number with several lines, each of which answers at once."""

    switch: Switch
    take: Take
    lines: float
    in_use: int = 0

    @property
    def free(self) -> bool:
        return self.in_use < self.lines

    def answer(self, caller: str) -> End:
        circuit = self.switch._connect()
        self.in_use += 1
        circuit.answerer.on_hang_up = self._release
        self.take(circuit.answerer, caller)
        return circuit.caller

    def _release(self) -> None:
        self.in_use -= 1
