"""What a trace shows of T.38 datagrams: the heads of all packets; of what they carry, no page and no secret.

What a frame is its first octets say, and whether that is true its end; its octets come in many packets, one each at
worst. So the datagrams of a V.21 frame are held until it is over. Whatever cannot be told for certain, since packets
are missing or make no sense, is masked, by as many octets as it has; page data by zeros.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from drivers.t38 import udptl
from drivers.t38.ifp import DataType, FieldType, Form, IfpMalformed, IndicatorPacket, decode
from drivers.t38.udptl import NUMBERS, RESTART, UdptlMalformed
from faxgw.trace.privacy import shown_damaged, shown_frame
from t30.fcf import Fcf
from t30.frame import ADDRESS, FINAL, MORE_FOLLOW
from t30.rates import Modulation

KEPT = 128
"""So many of the last packets are known again when they are repeated."""
LONGEST_FRAME = 512
"""Octets of a V.21 frame that are held. T.30 has none longer; stops peers that never end one."""

_TURNED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
_GOOD = frozenset({FieldType.HDLC_FCS_OK, FieldType.HDLC_FCS_OK_SIG_END})
_PAGE_CODES = frozenset({Fcf.FCD, Fcf.RCP})


@dataclass(frozen=True, slots=True)
class Shown:
    """A datagram as a trace shows it.

    Attributes:
        at: when it travelled, in seconds of the line's clock.
        number: None if it is no UDPTL packet; then ``primary`` is all of it.
        primary: None for what was shown under this number before.
        secondaries: those before it, the last first; None for what was shown before.
        parity: the span, and how long each row is; what is in the rows follows from the packets shown.
    """

    at: float
    number: int | None
    primary: bytes | None
    secondaries: tuple[bytes | None, ...] = ()
    parity: tuple[int, tuple[int, ...]] | None = None


class _Packet:
    """A packet as it will be shown.

    Attributes:
        pending: how many pieces of frames it has that are not over.
    """

    __slots__ = ("octets", "pending")

    def __init__(self, octets: bytes) -> None:
        self.octets = bytearray(octets)
        self.pending = 0

    def hide(self, start: int, end: int) -> None:
        self.octets[start:end] = bytes(end - start)


class _Held(NamedTuple):
    at: float
    number: int | None
    primary: _Packet | None
    secondaries: tuple[_Packet | None, ...]
    parity: tuple[int, tuple[int, ...]] | None

    @property
    def pending(self) -> bool:
        return any(each.pending for each in (self.primary, *self.secondaries) if each is not None)

    def shown(self) -> Shown:
        packets = (self.primary, *self.secondaries)
        primary, *secondaries = (None if each is None else bytes(each.octets) for each in packets)
        return Shown(self.at, self.number, primary, tuple(secondaries), self.parity)


class Masking:
    """One direction of a call."""

    def __init__(self) -> None:
        self._signal = _Signal()
        self._next: int | None = None
        self._known: dict[int, bytes] = {}
        self._queue: deque[_Held] = deque()

    def take(self, octets: bytes, at: float) -> list[Shown]:
        """Take a datagram; return those that can be shown now, in the order in which they came."""
        try:
            number, primary, secondaries, parity = udptl.decode(octets)
        except UdptlMalformed:
            self._queue.append(_Held(at, None, _Packet(bytes(len(octets))), (), None))
            return self._released()
        # The oldest first, as they would have come.
        before = [self._packet((number - back) % NUMBERS, secondaries[back - 1]) for back in _back(secondaries)]
        made = self._packet(number, primary)
        rows = None if parity is None else (parity.span, tuple(map(len, parity.rows)))
        self._queue.append(_Held(at, number, made, tuple(reversed(before)), rows))
        return self._released()

    def end(self) -> list[Shown]:
        """Return what is held, masked as far as it is not certain."""
        self._signal.lost()
        return self._released()

    def _released(self) -> list[Shown]:
        ready = []
        while self._queue and not self._queue[0].pending:
            ready.append(self._queue.popleft().shown())
        return ready

    def _packet(self, number: int, octets: bytes) -> _Packet | None:
        """Return a packet as it will be shown; None if it was there before."""
        known = self._known.get(number)
        if known == octets:
            return None
        self._known[number] = octets
        if len(self._known) > KEPT:
            del self._known[next(iter(self._known))]
        ahead = 0 if self._next is None else (number - self._next + NUMBERS // 2) % NUMBERS - NUMBERS // 2
        if known is not None or -RESTART <= ahead < 0:
            self._signal.lost()  # it may be that the numbers have begun anew
            return _blind(octets)
        if ahead or self._next is None:
            self._signal.lost()
        self._next = (number + 1) % NUMBERS
        return self._signal.packet(octets)


def _back(secondaries: tuple[bytes, ...]) -> Iterable[int]:
    return range(len(secondaries), 0, -1)


# ------------------------------------------------------------------------------------------------- one signal's packets


class _Span(NamedTuple):
    """Where the octets of a field are in its packet; ``start`` is ``end`` where it has none."""

    kind: FieldType
    start: int
    end: int


class _Read(NamedTuple):
    """A packet; ``type`` is None for an indicator."""

    type: DataType | None
    spans: tuple[_Span, ...] = ()


class _Piece(NamedTuple):
    """Octets of a frame, in a packet."""

    packet: _Packet
    start: int
    end: int


class _Unsure(NamedTuple):
    """A frame that is good in some form, and we do not know yet which one this is."""

    pieces: list[_Piece]
    good: frozenset[Form]


class _Signal:
    """Goes through the packets of one direction in the order of their numbers, as far as none is missing."""

    def __init__(self) -> None:
        self._form: Form | None = None
        self._type: DataType | None = None
        self._certain = False
        """Whether we know where in a frame we are; of page data also: that it can still be the head of one."""
        self._head = b""
        self._frame: list[_Piece] = []
        self._unsure: list[_Unsure] = []

    def packet(self, octets: bytes) -> _Packet:
        """Take the next packet."""
        packet = _Packet(octets)
        if not octets:
            return packet
        readings = _readings(octets, self._form)
        if len(readings) == 1 and self._form not in readings:
            self._settle(next(iter(readings)))
        if not _agree(readings, self._form):
            self.lost()
            packet.hide(0, len(octets))
            return packet
        read = readings[self._form or Form.OF_2002]
        if read.type is None:
            self._over(frozenset())
            self._decide(frozenset())
            self._certain, self._head, self._type = True, b"", None
        elif read.type is not self._type:
            if self._type is not None:
                self.lost()
            self._type = read.type
        for place, span in enumerate(read.spans):
            if span.kind is FieldType.HDLC_DATA:
                self._frame_data(packet, span)
            else:
                good = frozenset(form for form, each in readings.items() if each.spans[place].kind in _GOOD)
                self._other(packet, span, good)
        return packet

    def lost(self) -> None:
        """Take note that something is missing here."""
        self._over(frozenset())
        self._decide(frozenset())
        self._certain = False

    def _frame_data(self, packet: _Packet, span: _Span) -> None:
        _, start, end = span
        if not self._certain:
            packet.hide(start, end)
        elif self._type is DataType.V21:
            self._frame.append(_Piece(packet, start, end))
            packet.pending += 1
            if sum(max(each.end - each.start, 1) for each in self._frame) > LONGEST_FRAME:
                self.lost()
        else:
            packet.hide(start + self._kept(bytes(packet.octets[start:end]).translate(_TURNED)), end)

    def _other(self, packet: _Packet, span: _Span, good: frozenset[Form]) -> None:
        """Take a field that is no part of a frame; one without octets ends what was before it."""
        _, start, end = span
        packet.hide(start, end)
        self._over(frozenset() if start < end else good)
        self._certain, self._head = start == end, b""

    def _kept(self, octets: bytes) -> int:
        """Return how many of these octets, of a frame of page data, belong to its head."""
        for place, octet in enumerate(octets):
            if not _is_head(self._head, octet):
                self._certain = False
                return place
            self._head += bytes((octet,))
        return len(octets)

    # ------------------------------------------------------------------------------------------------- frames of V.21

    def _over(self, good: frozenset[Form]) -> None:
        """End the frame that is coming: it is good in these forms."""
        if not self._frame:
            return
        pieces, self._frame = self._frame, []
        if self._form is None and len(good) == 1:
            self._unsure.append(_Unsure(pieces, good))
        else:
            _show(pieces, good=bool(good) and (self._form is None or self._form in good))

    def _settle(self, form: Form) -> None:
        """Take note that the stream has this form."""
        self._form = form
        self._decide(frozenset({form}))

    def _decide(self, forms: frozenset[Form]) -> None:
        """Show the frames in doubt: as good where they are so in these forms."""
        unsure, self._unsure = self._unsure, []
        for each in unsure:
            _show(each.pieces, good=bool(each.good & forms))


def _show(pieces: list[_Piece], *, good: bool) -> None:
    whole = b"".join(packet.octets[start:end] for packet, start, end in pieces).translate(_TURNED)
    shown = (shown_frame if good else shown_damaged)(whole, Modulation.V21).translate(_TURNED)
    place = 0
    for packet, start, end in pieces:
        packet.octets[start:end] = shown[place : place + end - start]
        packet.pending -= 1
        place += end - start


def _is_head(head: bytes, octet: int) -> bool:
    """Tell whether an octet can go on the head of a frame of page data: address, control, code, frame number."""
    match len(head):
        case 0:
            return octet == ADDRESS
        case 1:
            return octet in (MORE_FOLLOW, FINAL)
        case 2:
            return Fcf.of(octet) in _PAGE_CODES
        case 3:
            return Fcf.of(head[2]) is Fcf.FCD
    return False


# -------------------------------------------------------------------------------------------------------------- packets


def _readings(octets: bytes, form: Form | None) -> dict[Form, _Read]:
    """Read a packet in a form; in each in which it is one, if the form is not known or this is none of it."""
    if form is not None and (read := _reading(octets, form)) is not None:
        return {form: read}
    return {form: read for form in Form if (read := _reading(octets, form)) is not None}


def _reading(octets: bytes, form: Form) -> _Read | None:
    try:
        packet = decode(octets, form)
    except IfpMalformed:
        return None
    if isinstance(packet, IndicatorPacket):
        return _Read(None)
    spans = []
    at = 3 if octets[0] & 0x20 else 2
    for kind, content in packet.fields:
        at += 2 if form is Form.OF_2002 and octets[at] & 0x40 else 1
        start = at + 2 if content else at
        at = start + len(content)
        spans.append(_Span(kind, start, at))
    return _Read(packet.type, tuple(spans))


def _agree(readings: dict[Form, _Read], form: Form | None) -> bool:
    """Tell whether it is certain where the octets of a packet are."""
    if form is not None:
        return form in readings
    places = {tuple(each[1:] for each in read.spans) for read in readings.values()}
    return len(places) == 1


def _blind(octets: bytes) -> _Packet:
    """Show of a packet, of which it is not known what comes before it, what cannot be anything but heads."""
    packet = _Packet(octets)
    readings = _readings(octets, None)
    if not octets or _agree(readings, None):
        for span in next(iter(readings.values())).spans if octets else ():
            packet.hide(span.start, span.end)
    else:
        packet.hide(0, len(octets))
    return packet
