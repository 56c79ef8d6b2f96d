"""The other end of a call as a script: what it expects to hear and what it says, in order.

``Script(expect(Fcf.DIS), timer(2.55, 3.45), expect(Fcf.DIS), send("FF 13 83 00 02 00"))`` plays one end of a circuit.
It stops at the first thing that is not as it should be, and hangs up; ``finished`` is false then, and ``diff()`` shows
where. It keeps no state of T.30 and answers nothing by itself: all that it says and wants to hear stands in it.
"""

import asyncio
import binascii
from collections.abc import Callable, Coroutine, Iterator
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
from simulators.line import PIECE_SECONDS, CircuitLine
from simulators.machine import Machine
from t30.capabilities import Station
from t30.exchange import Procedure
from t30.fcf import Fcf
from t30.frame import MORE_FOLLOW
from t30.frame import Frame as Command
from t30.hdlc import AROUND_FRAME, stuffed
from t30.line import LineClock, Tone
from t30.outcome import Outcome
from t30.pages import PagePort
from t30.rates import Modulation
from t30.timers import FAST_FLAGS, TURNAROUND

PATIENCE = 8.0
"""Seconds to wait for what is expected, unless a step says otherwise."""

GOOD_FCS = 0x1D0F
"""What the check of an HDLC frame with its FCS comes to when it is whole."""


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
        self._ahead: Heard | None = None

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
        thing, self._ahead = self._ahead, None
        thing = thing or await end.heard(within)
        if isinstance(thing, CarrierOn | CarrierOff | Gone):
            self._inside = isinstance(thing, CarrierOn)
        return thing

    def put_back(self, thing: Heard) -> None:
        """Have ``thing`` heard once more, for a step that only looked when it came."""
        self._ahead = thing
        self._inside = False

    def forget(self, end: End) -> None:
        """Have nothing heard of what came so far, for a step."""
        self._ahead, self._inside = None, False
        end.discard()

    async def rest(self, end: End) -> None:
        """Let the rest of the signal pass that is on, for a step; not what was put back."""
        if self._ahead is not None:
            return
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


def expect(*frames: Fcf | str, within: float = PATIENCE, whole: bool = False) -> Step:
    """Expect a V.21 signal with these frames in it, one after the other; frames before the first are passed over.

    Args:
        frames: what the frame says; or the frame in hex, from the address octet to the last FIF octet, where ``..`` is
            any octet and ``...`` at the end any number of them.
        within: seconds in which each thing must be heard.
        whole: there must be no frame before the first.
    """

    async def play(script: Script, end: End) -> None:
        waiting = list(frames)
        while waiting:
            thing = await script.hear(end, within)
            begun = len(waiting) < len(frames)
            if (isinstance(thing, CarrierOff | ToneHeard) or thing == CarrierOn(Modulation.V21)) and not begun:
                continue
            frame = thing.octets if isinstance(thing, Frame) and thing.good else b""
            if frame and _fits(frame, waiting[0]):
                script.frames.append(frame)
                del waiting[0]
            elif begun or whole or frame[1:2] != bytes([MORE_FOLLOW]):
                raise Difference(_told(thing, within))

    return Step("expect " + ", ".join(map(str, frames)), play)


def expect_until(last: Fcf | str, again: Fcf | str, *, least: float, most: float, within: float = PATIENCE) -> Step:
    """Expect one and the same frame again and again, and another one at last, so many seconds from now."""

    async def play(script: Script, end: End) -> None:
        began = end.clock.now()
        heard = b""
        while not (heard and _fits(heard, last)):
            thing = await script.hear(end, within)
            heard = thing.octets if isinstance(thing, Frame) and thing.good else b""
            passed = end.clock.now() - began
            known = not heard or heard[1] == MORE_FOLLOW or _fits(heard, again) or _fits(heard, last)
            if thing is None or isinstance(thing, Gone) or not known or passed > most:
                raise Difference(f"{_told(thing, within)}, after {passed:.3f} s")
        if passed < least:
            raise Difference(f"{last} after {passed:.3f} s")

    return Step(f"expect {again} again and again, and {last} after {least} to {most} s", play)


def expect_signal(modulation: Modulation, octets: bytes | None = None, *, within: float = PATIENCE) -> Step:
    """Expect a fast signal, to its end; with ``octets``, one of just these."""

    async def play(script: Script, end: End) -> None:
        heard = await _signal(script, end, modulation, within)
        if octets is not None and heard != octets:
            raise Difference(f"{len(heard)} octets, other ones: {heard[:20].hex(' ')}...")

    what = "a signal" if octets is None else f"{len(octets)} octets"
    return Step(f"expect {what} of {modulation}", play)


def expect_block(modulation: Modulation, *frames: bytes, within: float = PATIENCE) -> Step:
    """Expect these HDLC frames, no more and no fewer, in a fast modulation: a partial page."""

    async def play(script: Script, end: End) -> None:
        heard = tuple(_unstuffed(await _signal(script, end, modulation, within)))
        if heard != frames:
            told = ", ".join(frame[:4].hex(" ") for frame in heard[:8])
            raise Difference(f"{len(heard)} frames: {told}...")

    return Step(f"expect {len(frames)} frames in {modulation}", play)


def expect_tone(tone: Tone, *, within: float = PATIENCE) -> Step:
    """Expect a tone to begin."""

    async def play(script: Script, end: End) -> None:
        thing = await script.hear(end, within)
        if thing != ToneHeard(tone):
            raise Difference(_told(thing, within))

    return Step(f"expect {tone.name}", play)


def timer(least: float, most: float) -> Step:
    """Expect the other side to begin a signal, or hang up, no sooner and no later than that after the last signal."""

    async def play(script: Script, end: End) -> None:
        await script.rest(end)
        began = end.clock.now()
        thing = await script.hear(end, most)
        passed = end.clock.now() - began
        if thing is None or passed < least:
            raise Difference(f"{_told(thing, most)}, after {passed:.3f} s")
        script.put_back(thing)

    return Step(f"expect the next signal after {least} to {most} s", play)


def silence(seconds: float) -> Step:
    """Expect nothing for so long, once the signal that is on has ended."""

    async def play(script: Script, end: End) -> None:
        await script.rest(end)
        thing = await script.hear(end, seconds)
        if thing is not None:
            raise Difference(_told(thing, seconds))

    return Step(f"silence for {seconds} s", play)


def pause(seconds: float) -> Step:
    """Say nothing for so long, whatever the other side does."""

    async def play(script: Script, end: End) -> None:
        await _pause(end, seconds)
        script.forget(end)

    return Step(f"pause for {seconds} s", play)


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
        await _say(end, said, after)

    return Step("send " + _names(said), play)


def send_damaged(*frames: str, after: float = TURNAROUND) -> Step:
    """Send one V.21 signal in which no frame can be read: clipped, or hit by noise."""
    said = [bytes.fromhex(frame) for frame in frames]

    async def play(script: Script, end: End) -> None:
        await script.rest(end)
        await _say(end, said, after, good=False)

    return Step(f"send {_names(said)} damaged", play)


def interrupt(*frames: str, after: float = 0.0) -> Step:
    """Send one V.21 signal whatever the other side does: into its signal, where they collide."""
    said = [bytes.fromhex(frame) for frame in frames]

    async def play(_: Script, end: End) -> None:
        await _say(end, said, after)

    return Step(f"interrupt by {_names(said)}", play)


def carrier(modulation: Modulation, seconds: float, *, after: float = TURNAROUND) -> Step:
    """Send training, or flags, and then nothing for so long."""

    async def play(script: Script, end: End) -> None:
        await script.rest(end)
        await _begin(end, modulation, after)
        await _pause(end, seconds)
        end.carrier_off()

    return Step(f"send {seconds} s of {modulation} without anything in it", play)


def send_signal(modulation: Modulation, octets: bytes, *, after: float = TURNAROUND) -> Step:
    """Send raw octets in a fast modulation: a training check, or a page without error correction."""

    async def play(script: Script, end: End) -> None:
        await script.rest(end)
        await _begin(end, modulation, after)
        size = int(PIECE_SECONDS * modulation.bps / 8)
        for piece in (octets[at : at + size] for at in range(0, len(octets), size)):
            await _pause(end, len(piece) * 8 / modulation.bps)
            end.octets(piece)
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


async def _say(end: End, frames: list[bytes], after: float, *, good: bool = True) -> None:
    await _begin(end, Modulation.V21, after)
    for frame in frames:
        await _pause(end, (len(frame) + AROUND_FRAME) * 8 / Modulation.V21.bps)
        end.frame(frame, good=good)
    end.carrier_off()


async def _begin(end: End, modulation: Modulation, after: float) -> None:
    end.discard()
    await _pause(end, after)
    end.carrier_on(modulation)
    await _pause(end, TRAINING[modulation])


async def _pause(end: End, seconds: float) -> None:
    if await end.gone_within(seconds):
        raise Difference("the other side hung up")


async def _signal(script: Script, end: End, modulation: Modulation, within: float) -> bytes:
    """Take in one fast signal, and keep it."""
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
    return octets


def _unstuffed(octets: bytes) -> Iterator[bytes]:
    """Yield the HDLC frames whose FCS is right; not by the deframer that the engine's drivers use."""
    line = "".join(f"{octet:08b}"[::-1] for octet in octets)
    for between in line.split("01111110"):
        bits = between.replace("111110", "11111")
        if len(bits) < 40 or len(bits) % 8:
            continue
        in_order = int(bits, 2).to_bytes(len(bits) // 8, "big")
        if binascii.crc_hqx(in_order, 0xFFFF) == GOOD_FCS:
            yield bytes(int(f"{octet:08b}"[::-1], 2) for octet in in_order[:-2])


def _fits(frame: bytes, wanted: Fcf | str) -> bool:
    if isinstance(wanted, Fcf):
        parsed = Command.parse(frame)
        return parsed is not None and parsed.fcf is wanted
    octets = wanted.removesuffix("...").split()
    longer = wanted.endswith("...") and len(frame) > len(octets)
    given = frame[: len(octets)] if longer else frame
    return len(given) == len(octets) and all(
        each == ".." or int(each, 16) == octet for each, octet in zip(octets, given, strict=True)
    )


def _names(frames: list[bytes]) -> str:
    return ", ".join(str(Command.parse(frame) or frame.hex(" ")) for frame in frames)


def _told(thing: Heard | None, within: float) -> str:
    match thing:
        case None:
            return f"nothing for {within} s"
        case Gone():
            return "the other side hung up"
        case CarrierOff():
            return "the end of the signal"
        case CarrierOn(modulation):
            return f"a signal of {modulation}"
        case ToneHeard(tone):
            return tone.name
        case Frame(octets, good):
            return ("" if good else "damaged: ") + str(Command.parse(octets) or octets.hex(" "))
    return str(thing)
