"""A connected call at signal level: two ends, what each of them hears, and what the line between does to it.

A *signal* is everything from carrier on to carrier off. The calls of an ``End`` are instantaneous: whoever makes them
paces them, so that a frame or some octets are handed over when their last bit is out. Times are seconds of the line's
clock; there must be a running event loop.

An end hears only while it listens: from the first ``heard`` until ``discard``. What passes while nobody listens is gone
for good. A listener that starts late hears first that a carrier is on:

* V.21 can be caught at any time; the frames that are still to come are heard.
* A fast carrier can be received only by one that missed no more of its training than ``MISSABLE``; otherwise
  ``CarrierOn.whole`` is false and its octets are not heard.
"""

import math
from collections import deque
from collections.abc import Callable
from random import Random

from simulators.faults import Faults, Passage
from simulators.pacing import Pace, Timer, Waiting
from simulators.signals import (
    MISSABLE,
    TRAINING,
    CarrierOff,
    CarrierOn,
    Frame,
    Gone,
    Heard,
    Octets,
    ToneHeard,
)
from t30.line import LineClock, Tone
from t30.rates import Modulation

__all__ = [
    "MISSABLE",
    "NO_FAULTS",
    "TRAINING",
    "CarrierOff",
    "CarrierOn",
    "Circuit",
    "End",
    "Faults",
    "Frame",
    "Gone",
    "Heard",
    "Octets",
    "ToneHeard",
]

NO_FAULTS = Faults()


class Circuit:
    """One connected call.

    Args:
        clock: the clock on which everything is timed.
        faults: what goes wrong.
        delay: seconds from one end to the other.
        slack: seconds by which a listener may be later than ``MISSABLE`` says. For clocks faster than real time, where
            a millisecond of the machine's scheduler is many of the line.
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
        self.signals = 0
        """How many signals were begun, by both ends."""
        self.caller, self.answerer = End("caller", self, slack), End("answerer", self, slack)
        for end, other in (self.ends, self.ends[::-1]):
            end._connect(other, delay=delay, random=Random(f"{faults.seed} {end.name}"))
        self._drop = None if faults.drop_at is None else self.pace.later(faults.drop_at, self.drop)

    @property
    def ends(self) -> "tuple[End, End]":
        """The caller's end and the answerer's."""
        return self.caller, self.answerer

    def drop(self) -> None:
        """Drop the call: what is on its way is lost, and both ends find the other gone."""
        self._ended()
        for end in self.ends:
            end._cut_off()

    def _ended(self) -> None:
        if self._drop:
            self._drop.cancel()


class End:
    """One end of a call: says things to the other end, and hears what the line makes of the other's."""

    def __init__(self, name: str, circuit: Circuit, slack: float) -> None:
        self.name = name
        self.circuit = circuit
        self.clock = circuit.clock
        self.hung_up = False
        """This end is on hook."""
        self.on_hang_up: Callable[[], None] | None = None
        """Called once, when this end goes on hook."""
        self.on_heard: Callable[[Heard], None] | None = None
        """Called with everything that this end hears while it listens, when it is on the line."""
        self._ear = _Ear(circuit.pace, slack, self._tap)
        self._sending: Passage | None = None

    def _connect(self, other: "End", *, delay: float, random: Random) -> None:
        self._random = random
        self._delay = delay
        self._out = _Way(self.circuit.pace, other._ear.take)
        self._back = _Way(self.circuit.pace, self._ear.take_echo)
        self.opposite = other

    # ---------------------------------------------------------------------------------------------------- saying

    def carrier_on(self, modulation: Modulation) -> None:
        """Begin a signal: the training, or the preamble of V.21."""
        if self._sending:
            raise RuntimeError(f"{self.name}: {self._sending.modulation} is still on")
        self._sending = Passage(
            modulation, number=self.circuit.signals, faults=self.circuit.faults, random=self._random
        )
        self.circuit.signals += 1
        self._say(CarrierOn(modulation))

    def octets(self, octets: bytes) -> None:
        """Say raw octets of a fast modulation, HDLC done where it is HDLC, when the last of their bits is out."""
        if octets:
            self._say(Octets(octets))

    def frame(self, octets: bytes, *, good: bool = True) -> None:
        """Say one V.21 frame from the address octet to the last FIF octet, when the last of its bits is out.

        One that is not ``good`` is said with a wrong FCS, or without its beginning.
        """
        self._say(Frame(octets, good))

    def carrier_off(self) -> None:
        """End the signal; nothing happens if none is on."""
        if self._sending:
            self._say(CarrierOff())
            self._sending = None

    def tone(self, tone: Tone) -> None:
        """Say that a tone begins."""
        self._out.send(ToneHeard(tone), after=self._delay)

    def hang_up(self) -> None:
        """Go on hook; may be called more than once. The other end hears what was said before, then ``Gone``."""
        if self.hung_up:
            return
        self.carrier_off()
        self.discard()
        self.hung_up = True
        self.circuit._ended()
        self._out.send(Gone(), after=self._delay)
        if self.on_hang_up:
            self.on_hang_up()

    # --------------------------------------------------------------------------------------------------- hearing

    @property
    def present(self) -> Modulation | None:
        """The carrier on the line now as this end would hear it, whether it listens or not."""
        return self._ear.present

    @property
    def gone(self) -> bool:
        """The other side hung up or the call was dropped (there may still be something heard before that to take)."""
        return self._ear.gone

    async def heard(self, within: float = math.inf) -> Heard | None:
        """Return the next thing heard, or None when ``within`` seconds passed; listens from now on.

        Only one task may wait at a time.
        """
        self._ear.open()
        if not self._ear.heard and not self.gone and not self.hung_up:
            await self._ear.wait(within)
        if self._ear.heard:
            return self._ear.heard.popleft()
        return Gone() if self.gone or self.hung_up else None

    async def gone_within(self, seconds: float) -> bool:
        """Let so many seconds pass, fewer if the other side goes meanwhile; return whether it is gone."""
        if not self.gone:
            await self._ear.wait(seconds, parting=True)
        return self.gone

    def discard(self) -> None:
        """Stop listening and forget what was heard but not taken."""
        self._ear.close()

    # ----------------------------------------------------------------------------------------------------------------

    def _say(self, thing: Heard) -> None:
        signal = self._sending
        if signal is None or self.hung_up:
            raise RuntimeError(f"{self.name}: {type(thing).__name__} without a carrier of its own")
        for changed in signal.through(thing):
            self._out.send(changed, after=self._delay + signal.late)
        if signal.echo is not None:
            self._back.send(thing, after=signal.echo)

    def _tap(self, thing: Heard) -> None:
        if self.on_heard:
            self.on_heard(thing)

    def _cut_off(self) -> None:
        self._out.cut()
        self._back.cut()
        self._ear.take(Gone())


class _Way:
    """One direction of the line: hands over what was sent, in order, each thing after its own delay."""

    def __init__(self, pace: Pace, deliver: Callable[[Heard], None]) -> None:
        self._pace = pace
        self._clock = pace.clock
        self._deliver = deliver
        self._coming: deque[tuple[float, Heard]] = deque()
        self._timer: Timer | None = None

    def send(self, thing: Heard, *, after: float) -> None:
        if after <= 0.0 and not self._coming:
            self._deliver(thing)
            return
        self._coming.append((self._clock.now() + after, thing))
        self._schedule()

    def cut(self) -> None:
        self._coming.clear()
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        # One timer, for the first thing: the loop may run two timers of one instant in either order.
        if self._coming and self._timer is None:
            self._timer = self._pace.later(self._coming[0][0] - self._clock.now(), self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        self._deliver(self._coming.popleft()[1])
        self._schedule()


class _Ear:
    """What an end hears of the line. The other side's carrier drowns the echo of one's own."""

    def __init__(self, pace: Pace, slack: float, tap: Callable[[Heard], None]) -> None:
        self.heard: deque[Heard] = deque()
        self.present: Modulation | None = None
        self.gone = False
        self._pace = pace
        self._clock = pace.clock
        self._slack = slack
        self._tap = tap
        self._listening = False
        self._since = 0.0
        self._started = False
        self._whole = False
        self._echoing = False
        self._hearing: list[Waiting] = []
        self._parting: list[Waiting] = []

    def open(self) -> None:
        if self._listening:
            return
        self._listening = True
        if self.present:
            missed = self._clock.now() - self._since
            in_time = missed <= MISSABLE[self.present] + self._slack and not self._started
            self._whole = in_time or self.present is Modulation.V21
            self._hear(CarrierOn(self.present, self._whole))

    def close(self) -> None:
        self._listening = False
        self._whole = False
        self.heard.clear()

    async def wait(self, within: float, *, parting: bool = False) -> None:
        """Wait until something is heard, or with ``parting`` until the other side is gone, but not longer."""
        waiting = Waiting(self._pace)
        waiters = self._parting if parting else self._hearing
        waiters.append(waiting)
        try:
            await waiting.woken(within)
        finally:
            waiters.remove(waiting)

    def take(self, thing: Heard) -> None:
        """Hear what the other side said."""
        match thing:
            case CarrierOn(modulation):
                self._off()
                self._on(modulation)
            case CarrierOff():
                self._off()
            case Gone():
                self._off()
                self.gone = True
                _wake(*self._hearing, *self._parting)
            case Octets():
                self._started = True
                if self._whole:
                    self._hear(thing)
            case _:
                self._hear(thing)

    def take_echo(self, thing: Heard) -> None:
        """Hear one's own V.21, unless the other side's carrier is on or was since the echo began."""
        match thing:
            case CarrierOn(modulation) if self.present is None and not self.gone:
                self._echoing = True
                self._on(modulation)
            case CarrierOff() if self._echoing:
                self._off()
            case Frame() if self._echoing:
                self._hear(thing)

    def _on(self, modulation: Modulation) -> None:
        self.present = modulation
        self._since = self._clock.now()
        self._started = False
        self._whole = self._listening
        self._hear(CarrierOn(modulation))

    def _off(self) -> None:
        if self.present:
            self.present = None
            self._whole = self._echoing = False
            self._hear(CarrierOff())

    def _hear(self, thing: Heard) -> None:
        if self._listening:
            self.heard.append(thing)
            self._tap(thing)
            _wake(*self._hearing)


def _wake(*waiters: Waiting) -> None:
    for waiter in waiters:
        waiter.wake()
