"""T.38 under any octets: IFP, UDPTL, TPKT, and a stream of datagrams up to the signals that are made of it."""

from contextlib import suppress

from drivers.t38.ifp import DataPacket, DataType, Field, FieldType, Form, IfpMalformed, Indicator, IndicatorPacket
from drivers.t38.ifp import decode as decode_ifp
from drivers.t38.ifp import encode as encode_ifp
from drivers.t38.media import Agreed, Media
from drivers.t38.reception import MOST_FRAMES, MOST_OCTETS, MOST_SIGNALS, MOST_WAITING, Reception
from drivers.t38.tpkt import HEAD, LARGEST, TpktStream, Unframer, framed
from drivers.t38.udptl import (
    KEPT,
    NUMBERS,
    WINDOW,
    Arrived,
    Datagram,
    Missing,
    Numbering,
    Ordering,
    Parity,
    Protection,
    UdptlMalformed,
    decode,
    encode,
)
from tests.fuzz.target import Reader, Target, pieced

FORMS = tuple(Form)
SAMPLES = (
    IndicatorPacket(Indicator.NO_SIGNAL),
    IndicatorPacket(Indicator.V17_14400_SHORT),
    IndicatorPacket(Indicator.V33_14400),
    DataPacket(DataType.V21, (Field(FieldType.HDLC_DATA, b"\xff\x03\x40"),)),
    DataPacket(DataType.V21, (Field(FieldType.HDLC_DATA, b"\xff"), Field(FieldType.HDLC_FCS_OK))),
    DataPacket(DataType.V21, (Field(FieldType.HDLC_SIG_END),)),
    DataPacket(DataType.V17_14400, (Field(FieldType.T4_NON_ECM_DATA, bytes(54)),)),
    DataPacket(DataType.V17_14400, (Field(FieldType.T4_NON_ECM_SIG_END),)),
)
"""One packet of each kind."""


# ------------------------------------------------------------------------------------------------------------------ IFP


def check_ifp(octets: bytes) -> None:
    """Read a packet in either form; what is read is written so that it is read back."""
    choices = Reader(octets)
    form, padded = FORMS[choices.number(2)], choices.number(2) == 1
    with suppress(IfpMalformed):
        packet = decode_ifp(choices.rest(), form, padded=padded)
        if isinstance(packet, DataPacket) and (
            not packet.fields or not all(each.octets for each in packet.fields[:-1])
        ):
            return  # a shape that is read, but never written
        assert decode_ifp(encode_ifp(packet, form), form) == packet


def ifp_corpus() -> list[bytes]:
    """Return each sample in each form."""
    return [bytes((place, 0)) + encode_ifp(each, form) for place, form in enumerate(FORMS) for each in SAMPLES]


# ---------------------------------------------------------------------------------------------------------------- UDPTL


def check_udptl(octets: bytes) -> None:
    """Read a datagram; then have a stream lose, double and turn round its datagrams, and get others among them."""
    with suppress(UdptlMalformed):
        datagram = decode(octets)
        assert decode(encode(datagram)) == datagram
        _check_end(octets)
    choices = Reader(octets)
    span = choices.number(6)
    protection = Protection(0 if span else choices.number(8), span, 1 + choices.number(5))
    numbering = Numbering(protection, most=40 + choices.number(512), first=choices.number(NUMBERS))
    _Stream(numbering, Ordering()).run(choices)


def _check_end(octets: bytes) -> None:
    """Check that a datagram is whole as it is, and neither shorter nor longer."""
    for other in (octets[:-1], octets + b"\0"):
        try:
            decode(other)
        except UdptlMalformed:
            continue
        raise AssertionError(f"{other.hex()} is a datagram, and so is {octets.hex()}")


class _Stream:
    """A sender, a receiver, and between them what the octets say."""

    def __init__(self, numbering: Numbering, ordering: Ordering) -> None:
        self._numbering, self._ordering = numbering, ordering
        self._sent: dict[bytes, None] = {}
        self._under_way: list[bytes] = []
        self._honest = True
        """No datagram came that was not sent: then nothing is delivered that was not."""

    def run(self, choices: Reader) -> None:
        steps = (self._send, self._send, self._arrive, self._arrive, self._lose, self._double, self._wait, self._lie)
        while choices.left:
            steps[choices.number(len(steps))](choices)
        while self._ordering.waits:
            self._wait(choices)

    def _send(self, choices: Reader) -> None:
        packet = choices.octets(1 + choices.number(40)) + b"\1"
        self._sent[packet] = None
        self._under_way.append(self._numbering.datagram(packet))

    def _arrive(self, choices: Reader) -> None:
        if self._under_way:
            place = choices.number(min(len(self._under_way), 256))
            self._check(self._ordering.take(self._under_way.pop(place)))

    def _lose(self, choices: Reader) -> None:
        if self._under_way:
            self._under_way.pop(choices.number(min(len(self._under_way), 256)))

    def _double(self, _: Reader) -> None:
        if self._under_way:
            self._check(self._ordering.take(self._under_way[0]))

    def _wait(self, _: Reader) -> None:
        held = len(self._ordering._held)
        self._check(self._ordering.give_up())
        assert not self._ordering.waits or len(self._ordering._held) < held

    def _lie(self, choices: Reader) -> None:
        self._honest = False
        self._check(self._ordering.take(choices.octets(choices.number(256))))

    def _check(self, events: list[Arrived | Missing]) -> None:
        for event in events:
            if isinstance(event, Missing):
                assert event.packets > 0
                continue
            assert event.octets
            if self._honest:
                assert event.octets.rstrip(b"\0") in self._sent, event
        ordering = self._ordering
        assert len(ordering._held) <= WINDOW + 256 and len(ordering._kept) <= KEPT and len(ordering._rows) <= WINDOW


def udptl_corpus() -> list[bytes]:
    """Return datagrams with either protection, and streams that lose some."""
    redundant, parity = Numbering(Protection(3), most=200), Numbering(Protection(0, 3, 3), most=200)
    packets = [bytes([each]) * 5 for each in range(1, 12)]
    datagrams = [numbering.datagram(each) for each in packets for numbering in (redundant, parity)]
    send, arrive, lose, lie = b"\0\3abcd", b"\2\0", b"\4\0", b"\7\6\0\1\1\1\0\0"
    heads = (b"\0\3\0\0\xff\0\0", b"\3\2\0\xff\xff\xf0")
    return datagrams[-4:] + [head + (send + arrive) * 4 + (send + lose + send + arrive) * 4 + lie for head in heads]


# -------------------------------------------------------------------------------------------------------- whole streams


def check_media(octets: bytes) -> None:
    """Read datagrams whose packets, order and octets are anything, up to signals that nobody asks for."""
    choices = Reader(octets)
    media, reception = Media(Agreed(choices.number(4))), Reception()
    number, now = choices.number(NUMBERS), 0.0
    for piece in choices.pieces():
        now += 0.03
        inner = Reader(piece)
        kind, step = inner.number(4), inner.number(256)
        number = (number + (step if step < 128 else step - 256)) % NUMBERS
        packets = media.give_up() if kind == 3 else media.incoming(_datagram(kind, number, inner))
        for packet in packets:
            if isinstance(packet, Missing):
                reception.missed()
            else:
                reception.take(packet, now)
        _check_reception(reception)
    while media.ordering.waits:
        media.give_up()


def _datagram(kind: int, number: int, inner: Reader) -> bytes:
    primary = inner.octets(1 + inner.number(256))
    if kind == 0:
        return encode(Datagram(number, primary))
    if kind == 1:
        return encode(Datagram(number, primary, (inner.octets(inner.number(64)), inner.rest()[:64])))
    return encode(Datagram(number, primary, parity=Parity(1 + inner.number(5), (inner.octets(64), inner.rest()[:64]))))


def _check_reception(reception: Reception) -> None:
    assert len(reception.signals) <= MOST_SIGNALS
    assert all(each.ended for each in list(reception.signals)[:-1])
    assert len(reception._frame) <= MOST_OCTETS
    for signal in reception.signals:
        assert len(signal.frames) <= MOST_FRAMES and len(signal.octets) <= MOST_WAITING
        assert signal.begun or not (signal.octets or signal.frames)


def media_corpus() -> list[bytes]:
    """Return a V.21 signal and a page in each form, and the same with what repairs others."""
    many = [IndicatorPacket(each) for each in (Indicator.V21_PREAMBLE, Indicator.NO_SIGNAL) * 40]
    streams = (SAMPLES, SAMPLES, many)
    return [
        bytes((version, 0, 0))
        + pieced(*(bytes((kind, 1, len(each) - 1)) + each for each in (encode_ifp(one, form) for one in stream)))
        for version, form in ((0, FORMS[0]), (3, FORMS[1]))
        for kind, stream in enumerate(streams)
    ]


# ---------------------------------------------------------------------------------------------------- over a connection


def check_tpkt(octets: bytes) -> None:
    """Read a stream of packets, whole and in pieces, and what is in them."""
    choices = Reader(octets)
    version, step = choices.number(4), 1 + choices.number(256)
    octets = choices.rest()
    whole, cut = Unframer(), Unframer()
    found = whole.feed(octets)
    assert found == [each for at in range(0, len(octets), step) for each in cut.feed(octets[at : at + step])]
    assert bool(whole.lost) == bool(cut.lost) and len(whole._held) <= LARGEST
    assert whole.lost or b"".join(map(framed, found)) + bytes(whole._held) == _with_clear_heads(octets)
    stream = TpktStream(Agreed(version))
    assert len(stream.incoming(octets)) == len([each for each in found if each])


def _with_clear_heads(octets: bytes) -> bytes:
    """Return a stream with the second octet of each whole packet's head zero, which nobody looks at."""
    clear, at = bytearray(octets), 0
    while len(octets) - at >= HEAD and len(octets) - at >= (length := int.from_bytes(octets[at + 2 : at + 4], "big")):
        clear[at + 1] = 0
        at += length
    return bytes(clear)


def tpkt_corpus() -> list[bytes]:
    """Return the samples in each form, in a row."""
    return [
        bytes((version, step)) + b"".join(framed(encode_ifp(each, form)) for each in SAMPLES)
        for version, form in ((0, FORMS[0]), (3, FORMS[1]))
        for step in (0, 255)
    ]


TARGETS = (
    Target("ifp", check_ifp, ifp_corpus),
    Target("udptl", check_udptl, udptl_corpus),
    Target("media", check_media, media_corpus),
    Target("tpkt", check_tpkt, tpkt_corpus),
)
