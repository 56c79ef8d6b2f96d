"""Whole calls between two simulated fax machines, in virtual time."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from simulators import clock
from simulators.circuit import NO_FAULTS, Circuit, Faults
from simulators.line import CircuitLine
from simulators.machine import Habit, Machine
from simulators.tray import Sheet, Tray
from t30.capabilities import Station
from t30.line import LineClock
from t30.outcome import Outcome
from t30.pages import Coding, PageReady, Resolution, Width
from t30.t4 import Bitmap

LIMIT = 1800.0
"""Seconds of line time by which any of these calls is over."""
FIVE_WAYS = [(Coding.MH, False), (Coding.MR, False), (Coding.MH, True), (Coding.MR, True), (Coding.MMR, True)]
"""The codings without and with error correction."""


@cache
def sheet(seed: int = 0, *, rows: int = 60, width: Width = Width.A4) -> Sheet:
    """Return a page with something like text on it: short runs that go on for a few rows, between white margins."""
    random = np.random.default_rng(seed)
    pels = np.repeat(np.repeat(random.random((-(-rows // 4), width.value // 8)) < 0.15, 8, axis=1), 4, axis=0)[:rows]
    pels[:, : width.value // 8] = 0
    return Sheet(Bitmap.from_pels(pels.astype(np.uint8)), width, Resolution.STANDARD)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is over: both machines and what each made of it."""

    sender: Machine
    receiver: Machine
    sent: Outcome
    got: Outcome
    tray: Tray

    def told(self) -> str:
        """Return both transcripts."""
        return f"--- sender: {self.sent}\n{self.sender.told()}\n--- receiver: {self.got}\n{self.receiver.told()}"

    def arrived(self, index: int) -> Bitmap:
        """Return a page as received."""
        decoded = self.tray.received[index].decoded
        assert decoded is not None
        return decoded.bitmap


def call(
    pages: Sequence[Sheet | PageReady] = (),
    *,
    sender: Station = Station("+49 30 1234567"),  # noqa: B008
    receiver: Station = Station("+1 555 0100"),  # noqa: B008
    sending: Habit | None = None,
    receiving: Habit | None = None,
    faults: Faults = NO_FAULTS,
    tray: Callable[[], Tray] = Tray,
) -> Call:
    """Let one machine call another and send it ``pages`` (by default one)."""

    async def both() -> Call:
        line_clock = LineClock(asyncio.get_running_loop().time)
        circuit = Circuit(line_clock, faults=faults)
        incoming = tray()
        a = Machine(sender, CircuitLine(circuit.caller, line_clock), Tray(pages or [sheet()]), habit=sending)
        b = Machine(receiver, CircuitLine(circuit.answerer, line_clock), incoming, habit=receiving)
        try:
            async with asyncio.timeout(LIMIT):
                sent, got = await asyncio.gather(a.send("200"), b.receive())
        except TimeoutError:
            raise AssertionError(f"{faults}: not over in {LIMIT} s\n{a.told(last=40)}\n{b.told(last=40)}") from None
        assert circuit.caller.hung_up
        assert circuit.answerer.hung_up
        return Call(a, b, sent, got, incoming)

    return clock.run(both())


def station(coding: Coding = Coding.MMR, *, ecm: bool = True, frame_octets: int = 256) -> Station:
    """Return a station that uses this coding, with or without error correction."""
    return Station("+49 30 1234567", ecm=ecm, codings=frozenset({Coding.MH, coding}), frame_octets=frame_octets)
