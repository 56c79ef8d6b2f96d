"""``sim:`` lines: telephone lines of a simulated exchange in this process, where the numbers of the sandbox answer.

Each line is on a switch and a timeline of its own: lines do not wait for each other, and any number of them may call
the same number at once. All lines of one event loop together are a ``Sandbox``, which brings calls in.
"""

import asyncio
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Protocol, Self

from simulators.circuit import End
from simulators.line import CircuitLine
from simulators.machine import Machine
from simulators.numbers import SANDBOX, Far
from simulators.pacing import Timeline
from simulators.specimen import specimen
from simulators.switch import Port, Ring, Switch
from simulators.tray import Tray
from t30.capabilities import Station
from t30.line import AwaitCall, Cause, Dial, LineAction, LineError, LineEvent
from t30.outcome import Outcome
from t30.pages import USUAL_CODINGS, PagePort
from t30.rates import Modulation
from t30.t4 import load_kernels

SPEED = "FAXGW_SANDBOX_SPEED"
"""The environment's word for how fast the lines are that do not say so themselves."""
RINGS = "15550105"
"""Who calls a line that is to ring."""
CALL_BACK_AFTER = 2.0
"""Seconds of the line between a call and the call back."""
CALL_BACK_WITHIN = 60.0
"""Seconds of real time after which a line that could take the call back is not waited for any more."""
RING_EVERY = 6.0
"""Seconds of the line between two rings of a call that nobody answers: each is heard once."""
TRY_AGAIN = 1.0
"""Seconds of the line before a caller that found the line engaged calls again."""
SLACK = 1.0
"""Seconds that somebody may begin too late to listen to a signal, when the machine is busy."""
NOT_TAKEN = {cause.value for cause in (Cause.BUSY, Cause.NO_ANSWER)}


class Url(Protocol):
    """What is left of a line URL: ``drivers.registry.LineUrl``."""

    @property
    def address(self) -> str:
        """The number."""
        ...

    @property
    def options(self) -> Sequence[tuple[str, str]]:
        """Names and values."""
        ...


class Sandbox:
    """The lines of one event loop."""

    def __init__(self, numbers: Mapping[str, Far] = SANDBOX) -> None:
        self.numbers = numbers
        self.lines: set[SandboxLine] = set()
        self._answered: dict[str, int] = {}
        self._waiting: list[SandboxLine] = []
        self._one_waits = asyncio.Event()
        self._running: set[asyncio.Task[Any]] = set()

    async def call_in(self, to: str, caller: Station, pages: PagePort, *, number: str, within: float) -> Outcome | None:
        """Let a fax machine call one of the lines: its own number's if it waits for a call, or any that does.

        Args:
            to: what the machine dials.
            caller: the machine.
            pages: what it sends.
            number: the machine's own number.
            within: how many seconds of real time to wait for a line that takes the call.

        Returns:
            What the call came to; None if no line took it.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while (left := deadline - loop.time()) > 0 and (line := await self._line_for(to, left)):
            outcome = await line.called(plus(to), caller, pages, number=plus(number))
            if outcome.reason.code not in NOT_TAKEN:
                return outcome
            await asyncio.sleep(line.clock.real(TRY_AGAIN))
        return None

    def keep(self, task: "asyncio.Task[Any]") -> None:
        """Hold a task that nobody else holds until it is done."""
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def next_call(self, number: str) -> int:
        """Count the calls that a number has answered, from 0."""
        self._answered[number] = self._answered.get(number, -1) + 1
        return self._answered[number]

    @contextmanager
    def waits(self, line: "SandboxLine") -> Iterator[None]:
        """Offer a line to whoever calls in."""
        self._waiting.append(line)
        self._one_waits.set()
        try:
            yield
        finally:
            if line in self._waiting:
                self._waiting.remove(line)

    async def one_waits(self, within: float) -> bool:
        """Wait, so many seconds of real time, until a line awaits a call; return whether one does."""
        try:
            async with asyncio.timeout(within):
                while not self._waiting:
                    self._one_waits.clear()
                    await self._one_waits.wait()
        except TimeoutError:
            return False
        return True

    async def _line_for(self, number: str, within: float) -> "SandboxLine | None":
        if not await self.one_waits(within):
            return None
        line = next((line for line in self._waiting if line.number == digits(number)), self._waiting[0])
        self._waiting.remove(line)
        return line


_SANDBOXES: dict[asyncio.AbstractEventLoop, Sandbox] = {}


def sandbox() -> Sandbox:
    """Return the sandbox of the running event loop."""
    for loop in [loop for loop in _SANDBOXES if loop.is_closed()]:
        del _SANDBOXES[loop]
    return _SANDBOXES.setdefault(asyncio.get_running_loop(), Sandbox())


@dataclass(frozen=True, slots=True)
class Options:
    """What a line's URL says after the number.

    Attributes:
        speed: how much faster than real time the line is.
        ring_after: seconds of the line until the first call comes in, which +1 555 0105 makes; None: no call.
    """

    speed: float
    ring_after: float | None = None

    @classmethod
    def of(cls, url: Url) -> Self:
        """Take the options from a URL, and what it does not say from the environment.

        Raises:
            LineError: with code ``usage``.
        """
        said = dict(url.options)
        if unknown := said.keys() - {"speed", "ring_after"}:
            text = f"sim:{url.address}: there is no option {unknown.pop()}; there are speed, ring_after"
            raise LineError(text, code="usage")
        speed = _above_zero(url, "speed", said["speed"]) if "speed" in said else None
        ring_after = _above_zero(url, "ring_after", said["ring_after"]) if "ring_after" in said else None
        return cls(speed or _above_zero(url, SPEED, os.environ.get(SPEED) or "1"), ring_after)


class SandboxLine(CircuitLine):
    """A line with the number that its URL gives: ``sim:15550199?speed=20&ring_after=5``."""

    sends = receives = frozenset(Modulation)

    def __init__(self, sandbox: Sandbox, number: str, options: Options) -> None:
        self.number = number
        self._sandbox = sandbox
        self._ring_after = options.ring_after
        self._time = Timeline(options.speed)
        self._switch = Switch(self._time.clock, slack=SLACK, pace=self._time)
        self._own = self._switch.attach(number)
        self._heard: Ring | None = None
        for each, far in sandbox.numbers.items():
            if far.cause:
                self._switch.fail(each, far.cause)
            else:
                self._switch.serve(each, partial(self._pick_up, each, far))
        super().__init__(self._own, self._time.clock)
        sandbox.lines.add(self)

    @classmethod
    async def open(cls, url: Url) -> Self:
        """Open the line.

        Raises:
            LineError: ``usage`` if the URL makes no sense.
        """
        number = digits(url.address)
        if not number or url.address.strip("+0123456789 -./()"):
            raise LineError(f"sim:{url.address}: the line has a number, as sim:15550199 has", code="usage")
        if number in SANDBOX:
            raise LineError(f"sim:{url.address}: somebody answers at this number; take sim:15550199", code="usage")
        return cls(sandbox(), number, Options.of(url))

    async def perform(self, action: LineAction) -> LineEvent:
        """Do one thing and say how it went.

        Raises:
            LineError: if the call was dropped, or there is none.
        """
        match action:
            case AwaitCall() if self._own.ring is not None and self._own.ring is self._heard:
                await self._time.sleep(RING_EVERY)
                return await super().perform(action) if self._own.ring else await self.perform(action)
            case AwaitCall() if self._own.ring:
                self._heard = self._own.ring
            case AwaitCall():
                self._ring_later()
                with self._sandbox.waits(self):
                    event = await super().perform(action)
                self._heard = self._own.ring
                return event
            case Dial(number):
                self._own.refuse()  # its caller tries another line, and this one is free
                await asyncio.to_thread(_warm_up)
                return await super().perform(Dial(digits(number)))
        return await super().perform(action)

    async def close(self) -> None:
        """Go on hook and take the line away."""
        if self in self._sandbox.lines:
            self._sandbox.lines.remove(self)
            self._switch.detach(self._own)
            self._time.rest()

    async def called(self, to: str, caller: Station, pages: PagePort, *, number: str) -> Outcome:
        """Let a machine call this line."""
        await asyncio.to_thread(_warm_up)
        self._switch.forward(to, self._own)
        port = Port(self._switch, number, dialtone=True)
        machine = Machine(caller, CircuitLine(port, self._time.clock), pages)
        return await self._time.aboard(machine.send(to))

    def _pick_up(self, number: str, far: Far, end: End, caller: str) -> None:
        station = far.station_of(self._sandbox.next_call(number))
        machine = Machine(station, CircuitLine(end, self._time.clock), Tray(), habit=far.habit(lambda _: None))
        answering = self._time.aboard(machine.receive())
        self._sandbox.keep(answering)
        if far.calls_back:
            self._sandbox.keep(asyncio.create_task(self._call_back(answering, station, number=number, to=caller)))

    async def _call_back(self, answering: "asyncio.Task[Outcome]", station: Station, *, number: str, to: str) -> None:
        await asyncio.wait([answering])
        await self._send_specimen(station, number=number, to=to, after=CALL_BACK_AFTER)

    def _ring_later(self) -> None:
        if self._ring_after is not None:
            caller = self._sandbox.numbers[RINGS].station
            ringing = self._send_specimen(caller, number=RINGS, to=self.number, after=self._ring_after)
            self._sandbox.keep(asyncio.create_task(ringing))
            self._ring_after = None

    async def _send_specimen(self, station: Station, *, number: str, to: str, after: float) -> None:
        await asyncio.sleep(self.clock.real(after))
        pages = await asyncio.to_thread(specimen)
        await self._sandbox.call_in(to, station, Tray(pages), number=number, within=CALL_BACK_WITHIN)


def digits(number: str) -> str:
    """Return a number without plus and separators."""
    return "".join(one for one in number if one in "0123456789")


def plus(number: str) -> str:
    """Return a number as it is dialled and shown: plus and digits.

    >>> plus("1 (555) 0199")
    '+15550199'
    """
    return f"+{digits(number)}"


def _above_zero(url: Url, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise LineError(f"sim:{url.address}: {name}={text} is not a number above 0", code="usage")
    return value


@cache
def _warm_up() -> None:
    """Load the codec, which takes a second the first time, before a call depends on it."""
    load_kernels(USUAL_CODINGS)
