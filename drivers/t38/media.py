"""One stream of T.38 over datagrams, both ways: packets out as octets, octets in as packets. No sockets, no clock.

How a stream is written is agreed beforehand, and that is not always kept. Most packets can be read in either form, and
mean something else in each: so both are tried at first, and where the other one makes sense and the agreed one does
not, it is that which is read and written from then on, and ``remarks`` says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from drivers.t38.ifp import (
    ENDS_FRAME,
    ENDS_SIGNAL,
    FieldType,
    Form,
    IfpMalformed,
    IndicatorPacket,
    Packet,
    decode,
    encode,
)
from drivers.t38.udptl import Arrived, Missing, Numbering, Ordering, Protection

FLOOR = 72
"""Octets that every peer takes, whatever it says: some tell the size of their packets without what repairs others."""
ASSUMED = 400
"""Octets that a peer takes which does not say."""
MARGIN = 3
"""By so many oddities the agreed form must be worse than the other one to be given up."""
TRIED = 100
"""So many packets are read in both forms."""
REPEATS = 3
"""So often an indicator is sent, in datagrams of the same number: nothing repairs the last before a silence."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """What both sides have agreed on.

    Attributes:
        version: ``T38FaxVersion``, 0 to 3.
        protection: what we send against loss.
        max_datagram: octets that the peer takes in one datagram.
        local_tcf: the training check is made by the gateways themselves.
        fill_bit_removal: pages without error correction go without their fill, which who sends them on a line puts in.
        transcoding_mmr: pages without error correction go as MMR, whatever their coding on the line is.
    """

    version: int = 0
    protection: Protection = field(default_factory=Protection)
    max_datagram: int = ASSUMED
    local_tcf: bool = False
    fill_bit_removal: bool = False
    transcoding_mmr: bool = False


class Stream(Protocol):
    """The stream of one call, over whatever carries it."""

    agreed: Agreed
    forms: "Forms"

    @property
    def waits(self) -> bool:
        """Whether something is held because something before it is missing."""
        ...

    def fits(self, octets: bytes) -> bool:
        """Tell whether something that comes from elsewhere goes on with what came before."""
        ...

    def outgoing(self, packet: Packet) -> Sequence[bytes]:
        """Return what sends a packet, piece by piece."""
        ...

    def incoming(self, octets: bytes) -> list[Packet | Missing]:
        """Return the packets that can be delivered now that something has come."""
        ...

    def give_up(self) -> list[Packet | Missing]:
        """Wait no longer for packets that are missing; return what came after them."""
        ...


class Forms:
    """How packets are written, and how those that come are read.

    Attributes:
        remarks: what was found to be other than agreed, in sentences.
        malformed: packets that were none.
    """

    def __init__(self, version: int) -> None:
        self.remarks: list[str] = []
        self.malformed = 0
        self._version = version
        form = Form.of_version(version)
        self._reading, self._other = _Reading(form), _Reading(form.other)
        self._left = TRIED

    @property
    def form(self) -> Form:
        """How packets are read and written now."""
        return self._reading.form

    def packet(self, arrived: Arrived) -> Packet | Missing:
        """Return a packet; one that is none counts as missing."""
        packet = self._reading.read(arrived)
        if self._left:
            self._left -= 1
            other = self._other.read(arrived)
            if self._reading.oddities >= self._other.oddities + MARGIN:
                self._reading, self._other = self._other, self._reading
                self._left = 0
                packet = other
                self._remark()
        if packet is None:
            self.malformed += 1
            return Missing(1)
        return packet

    def _remark(self) -> None:
        version = "0" if self.form is Form.OF_1998 else "1 or later"
        self.remarks.append(
            f"The other side writes T.38 as version {version}, though version {self._version} was agreed on; now so do"
            " we."
        )


class Media:
    """The stream of one call over datagrams."""

    def __init__(self, agreed: Agreed) -> None:
        self.agreed = agreed
        self.forms = Forms(agreed.version)
        self.ordering = Ordering()
        self._numbering = Numbering(agreed.protection, most=max(FLOOR, agreed.max_datagram))

    @property
    def waits(self) -> bool:
        """Whether a datagram is held because one before it is missing."""
        return self.ordering.waits

    def fits(self, datagram: bytes) -> bool:
        """Tell whether a datagram, wherever it comes from, goes on with those before."""
        return self.ordering.fits(datagram)

    def outgoing(self, packet: Packet) -> Sequence[bytes]:
        """Return the datagrams that send a packet."""
        datagram = self._numbering.datagram(encode(packet, self.forms.form))
        return (datagram,) * REPEATS if isinstance(packet, IndicatorPacket) else (datagram,)

    def incoming(self, datagram: bytes) -> list[Packet | Missing]:
        """Return the packets that can be delivered now that a datagram has come."""
        return self._read(self.ordering.take(datagram))

    def give_up(self) -> list[Packet | Missing]:
        """Wait no longer for packets that are missing; return what came after them."""
        return self._read(self.ordering.give_up())

    def _read(self, events: list[Arrived | Missing]) -> list[Packet | Missing]:
        return [event if isinstance(event, Missing) else self.forms.packet(event) for event in events]


class _Reading:
    """A stream read in one form, and how often that made no sense."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.oddities = 0
        self._on = True
        self._in_frame = False

    def read(self, arrived: Arrived) -> Packet | None:
        """Return a packet; None if it is none in this form."""
        try:
            packet = decode(arrived.octets, self.form, padded=arrived.repaired)
        except IfpMalformed:
            self.oddities += 1
            return None
        if isinstance(packet, IndicatorPacket):
            self._on, self._in_frame = True, False
        else:
            self.oddities += sum(self._is_odd(kind, octets) for kind, octets in packet.fields)
        return packet

    def _is_odd(self, kind: FieldType, octets: bytes) -> bool:
        """Tell whether a field cannot come here, or not with octets."""
        was_on, was_in_frame = self._on, self._in_frame
        self._in_frame = kind is FieldType.HDLC_DATA
        self._on = kind not in ENDS_SIGNAL
        if kind is FieldType.HDLC_DATA:
            return not was_on
        if kind is FieldType.HDLC_SIG_END:
            return was_in_frame or bool(octets)
        if kind in ENDS_FRAME:
            return not was_in_frame or bool(octets)
        return not was_on or was_in_frame
