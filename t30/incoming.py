"""The page that is coming in (phase C): its signals are taken in, what is good of them is put away."""

from collections import Counter
from dataclasses import dataclass, field

from t30 import ecm, timers
from t30.capabilities import Dcs
from t30.exchange import Exchange, Procedure
from t30.fcf import Fcf
from t30.frame import Frame
from t30.line import (
    CarrierLost,
    Content,
    DataReceived,
    Event,
    FrameReceived,
    ListenData,
    ListenFrame,
    Quiet,
    WrongCarrier,
)
from t30.outcome import LocalError
from t30.pages import JudgePage, KeepData, Kept, Verdict
from t30.rates import Modulation

CHUNKS_AFTER_END = 2
"""So many more chunks of a carrier are taken in after RTC or EOFB; then it is left alone, and V.21 is listened for."""

CUT_OFF = 1.8
"""Seconds from the end of a page's carrier to the first frame after it: 1.1 to 1.45 by T.30 (silence, preamble, frame).
A modem that listens for V.21 says nothing of the rest of a carrier that it lost (so do libspandsp's): the time must."""

FRAMES_PER_SIGNAL = 1024
"""More frames than that in one in-message signal are noise."""


@dataclass(slots=True)
class Block:
    """One partial page in error correction mode, as far as it is held."""

    held: dict[int, bytes] = field(default_factory=dict)
    frames: int = 0
    """How many there are: what the first PPS said."""


@dataclass(slots=True)
class Incoming:
    """The page that is being received, or comes next."""

    exchange: Exchange
    index: int = 0
    dcs: Dcs = field(default_factory=Dcs)
    began: float = 0.0
    octets: int = 0
    """How many were handed to the target."""
    ended: bool = False
    """The target has seen the end of the page (RTC or EOFB)."""
    ends: bool = False
    """It has seen the end of any page: this sender does not leave it out."""
    carrier_ended: float = 0.0
    block: Block = field(default_factory=Block)
    noticed: bool = False
    """A carrier was heard since our last response."""

    @property
    def empty(self) -> bool:
        """Nothing of it is there."""
        return not self.octets and not self.block.held

    def signal(self, carrier: Modulation) -> Procedure[Event | None]:
        """Take in one signal, up to the end of its carrier; return what ended it, None if that was not waited for."""
        if self.empty:
            self.began = self.exchange.now
        return self._frames(carrier) if self.dcs.ecm else self._page(carrier)

    def _page(self, carrier: Modulation) -> Procedure[Event | None]:
        """Take in a page without error correction."""
        spare = CHUNKS_AFTER_END
        while spare:
            event = yield from self.exchange.do(ListenData(carrier, Content.PAGE, timers.T2))
            match event:
                case DataReceived(octets):
                    yield from self._keep(octets)
                    spare -= self.ended
                case CarrierLost():
                    self.noticed = True
                    self.carrier_ended = self.exchange.now
                    return event
                case Quiet() | WrongCarrier():
                    return event
                case _:
                    raise LocalError(f"ListenData was answered by {event!r}")
        return None

    def _frames(self, carrier: Modulation) -> Procedure[Event | None]:
        """Take in the frames of a partial page."""
        within = timers.T2
        for _ in range(FRAMES_PER_SIGNAL):
            event = yield from self.exchange.do(ListenFrame(carrier, within))
            match event:
                case FrameReceived(octets, good):
                    if good:
                        self._hold(octets)
                    self.noticed = True
                    within = timers.NEXT_FRAME
                case CarrierLost():
                    self.noticed = True
                    return event
                case Quiet() | WrongCarrier():
                    return event
                case _:
                    raise LocalError(f"ListenFrame was answered by {event!r}")
        return None

    def _hold(self, octets: bytes) -> None:
        """Put away the page data of one good frame."""
        frame = Frame.parse(octets)
        if frame is None or frame.fcf is not Fcf.FCD or not 1 < len(frame.fif) <= 1 + max(ecm.FRAME_OCTETS):
            return
        self.block.held[frame.fif[0]] = frame.fif[1:]

    def missing(self, frames: int) -> list[int]:
        """Return which of the first ``frames`` frames of the partial page are not held whole.

        Frames of another length than the rest are asked for again. What DCS said of it counts only where both lengths
        of T.30 are as frequent: some senders say one and use the other.
        """
        lengths = Counter(map(len, self.block.held.values()))
        agreed = self.dcs.frame_octets
        used = max(ecm.FRAME_OCTETS, key=lambda length: (lengths[length], length == agreed))
        return ecm.missing(self.block.held, frames, used)

    def keep_block(self) -> Procedure[None]:
        """Hand a partial page to the target, in the order of its frames."""
        held, self.block = self.block.held, Block()
        if held:
            yield from self._keep(b"".join(held[number] for number in sorted(held)))

    def _keep(self, octets: bytes) -> Procedure[None]:
        """Hand page data to the target."""
        self.noticed = True
        self.octets += len(octets)
        kept = yield from self.exchange.do(KeepData(self.index, self.dcs.format, octets), Kept)
        self.ended = kept.page_ended
        self.ends = self.ends or kept.page_ended

    def judge(self) -> Procedure[Verdict]:
        """Have the page judged, and made durable."""
        return (yield from self.exchange.do(JudgePage(self.index), Verdict))

    def is_cut_off(self) -> bool:
        """Tell whether a page lost its carrier in the middle: no RTC, and the sender went on for a while.

        RTC alone cannot tell, since some senders leave it out; but a sender either does or does not.
        """
        silent = self.exchange.answered_at - self.carrier_ended > CUT_OFF
        return not self.ended and (self.ends or silent or self.exchange.passed_over)

    def begins_anew(self, dcs: Dcs) -> Procedure[None]:
        """Take note of what the sender chose now.

        A page that was broken off is judged, so that it is replaced by what comes next.
        """
        self.dcs, self.block = dcs, Block()
        if self.octets:
            yield from self.judge()
            self.octets = 0

    def turn(self) -> None:
        """Go on to the next page, unless nothing came of this one: what is kept has no gaps."""
        self.index += self.octets > 0
        self.octets = 0
