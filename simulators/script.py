"""The other end of a call as a script: what it expects to hear and what it says, in order.

``Script(expect(Fcf.DIS), silence(2.5), expect(Fcf.DIS), send("FF 13 83 00 02 00"))`` plays one end of a circuit.
It stops at the first thing that is not as it should be, and hangs up; ``finished`` is false then, and ``diff()`` shows
where.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from simulators import clock
from simulators.circuit import (
    NO_FAULTS,
    TRAINING,
    CarrierOff,
    CarrierOn,
    Circuit,
    End,
    Faults,
    Frame,
    Gone,
    Heard,
    Octets,
    ToneHeard,
)
from simulators.line import CircuitLine
from simulators.machine import Machine
from t30.capabilities import Station
from t30.exchange import Procedure
from t30.fcf import Fcf
from t30.frame import Frame as Command
from t30.hdlc import AROUND_FRAME, stuffed
from t30.line import LineClock, Tone
from t30.outcome import Outcome
from t30.pages import PagePort
from t30.rates import Modulation
from t30.timers import FAST_FLAGS, TURNAROUND

PATIENCE = 8.0
"""Seconds to wait for what is expected, unless a step says otherwise."""


class Difference(Exception):
    """Something else than expected was heard."""


Playing = Callable[["Script", End], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a script: in words, and what it does on the circuit."""

    words: str
    play: Playing = field(repr=False)


class Script:
    """A far end.

    Attributes:
        finished: every step was played.
        frames: the V.21 frames that ``expect`` took.
        signals: the octets of the fast signals that ``expect_signal`` took.
    """

    def __init__(self, *steps: Step) -> None:
        self.steps = steps
        self.frames: list[bytes] = []
        self.signals: list[bytes] = []
        self._played = 0
        self._difference = ""
        self._inside = False

    @property
    def finished(self) -> bool:
        """Every step was played, and nothing was different."""
        return self._played == len(self.steps)

    async def play(self, end: End) -> None:
        """Play the script on one end of a call, and hang up."""
        try:
            for step in self.steps:
                await step.play(self, end)
                self._played += 1
        except Difference as difference:
            self._difference = str(difference)
        finally:
            end.hang_up()

    async def hear(self, end: End, within: float) -> Heard | None:
        """Return the next thing heard, for a step."""
        thing = await end.heard(within)
        if isinstance(thing, CarrierOn | CarrierOff | Gone):
            self._inside = isinstance(thing, CarrierOn)
        return thing

    async def rest(self, end: End) -> None:
        """Let the rest of the signal pass that is on, for a step."""
        while self._inside or (end.present is not None and not end.gone):
            if await self.hear(end, PATIENCE) is None:
                raise Difference(f"a carrier that is on for ever ({end.present})")

    def diff(self) -> str:
        """Return the script, with what was heard in place of the step that failed; steps not reached have a dot."""
        lines = [f"  {step.words}" for step in self.steps[: self._played]]
        if not self.finished:
            lines += [f"- {self.steps[self._played].words}", f"+ {self._difference}"]
        return "\n".join([*lines, *(f". {step.words}" for step in self.steps[self._played + 1 :])])


# ------------------------------------------------------------------------------------------------------------ hearing


def expect(fcf: Fcf, *, within: float = PATIENCE) -> Step:
    """Expect a V.21 signal with this frame in it; frames before it in the same signal are passed over."""

    async def play(script: Script, end: End) -> None:
        while True:
            thing = await script.hear(end, within)
            if isinstance(thing, CarrierOff | ToneHeard) or thing == CarrierOn(Modulation.V21):
                continue
            frame = Command.parse(thing.octets) if isinstance(thing, Frame) and thing.good else None
            if frame is None or (frame.final and frame.fcf is not fcf):
                raise Difference(_told(thing, within))
            if frame.fcf is fcf:
                script.frames.append(frame.octets)
                return

    return Step(f"expect {fcf}", play)


def expect_signal(modulation: Modulation, *, within: float = PATIENCE) -> Step:
    """Expect a fast signal, to its end."""

    async def play(script: Script, end: End) -> None:
        await script.rest(end)
        while isinstance(thing := await script.hear(end, within), ToneHeard):
            pass
        if thing != CarrierOn(modulation):
            raise Difference(_told(thing, within))
        octets = b""
        while isinstance(thing := await script.hear(end, within), Octets):
            octets += thing.octets
        if not isinstance(thing, CarrierOff):
            raise Difference(f"{_told(thing, within)} after {len(octets)} octets of {modulation}")
        script.signals.append(octets)

    return Step(f"expect a signal of {modulation}", play)


def silence(seconds: float) -> Step:
    """Expect nothing for so long, once the signal that is on has ended."""

    async def play(script: Script, end: End) -> None:
        await script.rest(end)
        thing = await script.hear(end, seconds)
        if thing is not None:
            raise Difference(_told(thing, seconds))

    return Step(f"silence for {seconds} s", play)


def expect_hang_up(*, within: float = PATIENCE) -> Step:
    """Expect the other side to go on hook."""

    async def play(script: Script, end: End) -> None:
        await script.rest(end)
        thing = await script.hear(end, within)
        if not isinstance(thing, Gone):
            raise Difference(_told(thing, within))

    return Step("expect the other side to hang up", play)


# ------------------------------------------------------------------------------------------------------------- saying


def send(*frames: str, after: float = TURNAROUND) -> Step:
    """Send one V.21 signal; each frame in hex, from the address octet to the last FIF octet."""
    said = [bytes.fromhex(frame) for frame in frames]

    async def play(script: Script, end: End) -> None:
        await script.rest(end)
        await _begin(end, Modulation.V21, after)
        for frame in said:
            await _pause(end, (len(frame) + AROUND_FRAME) * 8 / Modulation.V21.bps)
            end.frame(frame)
        end.carrier_off()

    return Step("send " + ", ".join(str(Command.parse(frame) or frame.hex(" ")) for frame in said), play)


def send_signal(modulation: Modulation, octets: bytes, *, after: float = TURNAROUND) -> Step:
    """Send raw octets in a fast modulation: a training check, or a page without error correction."""

    async def play(script: Script, end: End) -> None:
        await script.rest(end)
        await _begin(end, modulation, after)
        await _pause(end, len(octets) * 8 / modulation.bps)
        end.octets(octets)
        end.carrier_off()

    return Step(f"send {len(octets)} octets in {modulation}", play)


def send_block(modulation: Modulation, *frames: bytes, after: float = TURNAROUND) -> Step:
    """Send HDLC frames in a fast modulation: a partial page."""
    flags = int(FAST_FLAGS * modulation.bps / 8)
    step = send_signal(modulation, stuffed(frames, flags_first=flags), after=after)
    return Step(f"send {len(frames)} frames in {modulation}", step.play)


def send_tone(tone: Tone, *, seconds: float = 3.0) -> Step:
    """Send a tone."""

    async def play(_: Script, end: End) -> None:
        end.tone(tone)
        await _pause(end, seconds)

    return Step(f"send {tone.name}", play)


def hang_up() -> Step:
    """Go on hook."""

    async def play(_: Script, end: End) -> None:
        end.hang_up()

    return Step("hang up", play)


# ------------------------------------------------------------------------------------------------------------ playing


def join(
    procedure: Procedure[Outcome],
    script: Script,
    pages: PagePort,
    *,
    script_calls: bool = True,
    faults: Faults = NO_FAULTS,
) -> Outcome:
    """Let one end of the engine talk to a script, in virtual time; return what the engine makes of the call.

    Args:
        procedure: ``answering`` or ``calling``.
        script: the far end.
        pages: where the engine's pages come from or go to.
        script_calls: the script is the caller's end; else the answerer's.
        faults: of the circuit.
    """

    async def call() -> Outcome:
        line_clock = LineClock(asyncio.get_running_loop().time)
        circuit = Circuit(line_clock, faults=faults)
        theirs, ours = circuit.ends if script_calls else circuit.ends[::-1]
        machine = Machine(Station(), CircuitLine(ours, line_clock), pages)
        _, outcome = await asyncio.gather(script.play(theirs), machine.run(procedure))
        return outcome

    return clock.run(call())


async def _begin(end: End, modulation: Modulation, after: float) -> None:
    end.discard()
    await _pause(end, after)
    end.carrier_on(modulation)
    await _pause(end, TRAINING[modulation])


async def _pause(end: End, seconds: float) -> None:
    if await end.gone_within(seconds):
        raise Difference("the other side hung up")


def _told(thing: Heard | None, within: float) -> str:
    match thing:
        case None:
            return f"nothing for {within} s"
        case Gone():
            return "the other side hung up"
        case CarrierOn(modulation):
            return f"a signal of {modulation}"
        case ToneHeard(tone):
            return tone.name
        case Frame(octets, good):
            return ("" if good else "damaged: ") + str(Command.parse(octets) or octets.hex(" "))
    return str(thing)
