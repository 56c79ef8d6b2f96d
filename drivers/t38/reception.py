"""What the far end's packets are as signals: carriers that come and go, frames, octets.

A signal begins with its indicator, or with its data if that was lost; it ends with its own end, with another indicator,
or when nothing more of it comes. Lost packets make the frame bad that they belong to; of a page without error
correction some octets are missing then, and its decoder finds its way back.
"""

from collections import deque
from dataclasses import dataclass, field

from drivers.t38.ifp import (
    BAD_FRAME,
    ENDS_FRAME,
    ENDS_SIGNAL,
    DataPacket,
    DataType,
    FieldType,
    Indicator,
    IndicatorPacket,
    Packet,
)
from drivers.t38.signals import CARRIED_BY, DATA_TYPE, MODULATION
from t30.line import CHUNK_OCTETS, FrameReceived
from t30.rates import Modulation
from t30.t4.transcode import FromMmr

MOST_OCTETS = 1024
"""A frame longer than that is none; those of a page have 260."""
MOST_SIGNALS, MOST_FRAMES, MOST_WAITING = 16, 512, 1 << 18
"""What is kept until somebody asks for it: the last signals, and of each so many frames and octets."""


@dataclass(slots=True)
class Signal:
    """One signal of the far end: what of it is in hand and was not asked for yet.

    Attributes:
        since: when it began, by the line's clock.
        last: when the last of it came.
        refused: whether somebody who waited for another was told of it.
    """

    modulation: Modulation
    since: float
    last: float
    frames: deque[FrameReceived] = field(default_factory=deque)
    octets: bytearray = field(default_factory=bytearray)
    ended: bool = False
    accepted: bool = False
    refused: bool = False
    begun: bool = False
    """Whether any of its data came."""
    ignored: bool = False
    """Nobody wants what is left of it."""
    lacking: int | None = None
    """After so many of the octets in hand some are missing."""
    taken: bool = False
    """Whether somebody asked for its octets."""
    page: FromMmr | None = None
    """What makes something else of its octets."""
    made: bytearray = field(default_factory=bytearray)
    """What was made of them."""

    def is_of(self, modulation: Modulation) -> bool:
        """Tell whether it is what somebody waits for; long and short training sound alike in packets."""
        return self.modulation.long is modulation.long and not self.ignored

    def is_news_for(self, modulation: Modulation) -> bool:
        """Tell whether somebody who waits for a modulation should know, once, that this is there instead.

        One fast modem does not know another's carrier.
        """
        v21 = Modulation.V21
        return not (self.accepted or self.refused) and (self.modulation is v21) is not (modulation is v21)

    def is_over_for(self, modulation: Modulation) -> bool:
        """Tell whether it is past, and means nothing to somebody who waits for a modulation now."""
        if not self.ended or self.is_of(modulation):
            return False
        return self.modulation is not Modulation.V21 or not self.is_news_for(modulation)

    @property
    def in_hand(self) -> bytearray:
        """The octets that somebody may have now."""
        return self.octets if self.page is None else self.made

    def turn(self, most: int) -> bool:
        """Make of the next octets what is wanted of them; return whether there are more."""
        if self.page is None:
            return False
        lacking = None if self.page.as_it_is else self.lacking
        size = min(most, len(self.octets) if lacking is None else lacking)
        self.made += self.page.feed(bytes(self.octets[:size]))
        del self.octets[:size]
        if lacking is not None and lacking == size:
            self.made += self.page.broken_off()
        elif lacking is None and self.ended and not self.octets:
            self.made += self.page.finish()
        self.lacking = None if lacking is None or lacking == size else lacking - size
        return bool(self.octets)

    def chunk(self) -> bytes:
        """Return the octets in hand, at most one chunk of them."""
        chunk = bytes(self.in_hand[:CHUNK_OCTETS])
        del self.in_hand[:CHUNK_OCTETS]
        return chunk


class Reception:
    """Takes packets in their order.

    Attributes:
        news: somebody who waits should look: a signal began or ended, a frame is whole, there are octets where there
            were none, or a chunk of them.
    """

    def __init__(self) -> None:
        self.news = False
        self.signals: deque[Signal] = deque(maxlen=MOST_SIGNALS)
        """Those that were not asked for to their end, the oldest first."""
        self._frame = bytearray()
        self._damaged = False

    @property
    def present(self) -> Signal | None:
        """The signal that is on now."""
        return self.signals[-1] if self.signals and not self.signals[-1].ended else None

    def take(self, packet: Packet, now: float) -> None:
        """Take the next packet."""
        if isinstance(packet, IndicatorPacket):
            self._indicated(packet.indicator, now)
        else:
            self._data(packet, now)

    def missed(self) -> None:
        """Take note that packets are lost here."""
        self._damaged = True
        if (present := self.present) is not None and present.lacking is None:
            present.lacking = len(present.octets)

    def off(self) -> None:
        """End the signal that is on."""
        if (present := self.present) is not None:
            present.ended = self.news = True
        self._frame.clear()
        self._damaged = False

    def forget(self) -> None:
        """Forget what came, but for a signal that goes on."""
        present = self.present
        self.signals.clear()
        if present is not None:
            self.signals.append(present)

    def ignore(self) -> None:
        """Forget what came, and hear no more of a signal that goes on."""
        present = self.present
        self.signals.clear()
        if present is not None:
            self.signals.append(Signal(present.modulation, present.since, present.last, refused=True, ignored=True))

    def _indicated(self, indicator: Indicator, now: float) -> None:
        modulation = MODULATION.get(indicator)
        present = self.present
        if present is not None and present.modulation is modulation and not present.begun:
            present.last = now  # sent more than once, as it may be
            return
        self.off()
        if modulation is not None:
            self.news = True
            self.signals.append(Signal(modulation, now, now))

    def _data(self, packet: DataPacket, now: float) -> None:
        signal = self.present
        if signal is None or DATA_TYPE[signal.modulation] is not packet.type:
            if packet.fields and all(kind in ENDS_SIGNAL and not octets for kind, octets in packet.fields):
                self.off()
                return  # the end of something that is over
            if packet.type not in CARRIED_BY:
                return
            self.off()
            signal = Signal(_likely(packet.type, signal), now, now)
            self.signals.append(signal)
            self.news = True
        signal.last = now
        for kind, octets in packet.fields:
            self._field(signal, kind, octets)

    def _field(self, signal: Signal, kind: FieldType, octets: bytes) -> None:
        signal.begun = True
        if signal.ignored:
            if kind in ENDS_SIGNAL:
                self.off()
            return
        if kind is FieldType.T4_NON_ECM_DATA or kind is FieldType.T4_NON_ECM_SIG_END:
            before = len(signal.octets)
            signal.octets += octets[: MOST_WAITING - before]
            self.news |= not before or len(signal.octets) >= CHUNK_OCTETS or signal.page is not None
        elif octets:
            self._damaged = self._damaged or len(self._frame) + len(octets) > MOST_OCTETS
            self._frame += octets[: MOST_OCTETS - len(self._frame)]
        if kind in ENDS_FRAME:
            if self._frame and len(signal.frames) < MOST_FRAMES:
                self.news = True
                signal.frames.append(FrameReceived(bytes(self._frame), kind not in BAD_FRAME and not self._damaged))
            self._frame.clear()
            self._damaged = False
        if kind in ENDS_SIGNAL:
            self.off()


def _likely(carried: DataType, before: Signal | None) -> Modulation:
    """Return the signal that data belong to whose indicator was lost."""
    return before.modulation if before and DATA_TYPE[before.modulation] is carried else CARRIED_BY[carried]
