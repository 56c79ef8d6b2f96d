"""What a trace shows of T.38: every head of every packet, no octet of a page, no secret, whatever the network does."""

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.t38 import udptl
from drivers.t38.ifp import DataPacket, DataType, Field, FieldType, Form, Indicator, IndicatorPacket, Packet, encode
from drivers.t38.udptl import Datagram, Numbering, Protection
from drivers.witness import Seen, Wire
from faxgw.trace.datagrams import Masking, Shown
from faxgw.trace.wires import WireReader, WireWriter
from t30.fcf import Fcf
from t30.frame import SECRET as SECRET_FRAMES
from t30.frame import Frame
from t30.identity import encoded

HERE, THERE = ("192.0.2.1", 4000), ("192.0.2.2", 4002)
TURNED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
SECRET = "K4n4r1envogel"
OPEN = "+49 30 1234567"
FAST = DataType.V17_14400


def page_of(seed: int, length: int) -> bytes:
    """Return page data none of whose octets is zero, as its mask is."""
    chance = random.Random(seed)
    return bytes(chance.randrange(1, 256) for _ in range(length))


class Sender:
    """Makes packets of signals, split and ended in any way that there is."""

    def __init__(self, chance: random.Random, form: Form) -> None:
        self.chance = chance
        self.form = form
        self.packets: list[Packet] = []

    def indicator(self, indicator: Indicator) -> None:
        self.packets += [IndicatorPacket(indicator)]

    def frames(self, carried: DataType, frames: Sequence[tuple[bytes, bool]]) -> None:
        """Send frames, good or with a wrong check sequence; the last one's end is perhaps the signal's."""
        for place, (octets, good) in enumerate(frames):
            fields = [Field(FieldType.HDLC_DATA, each) for each in self.pieces(octets)]
            last = place == len(frames) - 1 and self.chance.random() < 0.5
            if last:
                end = FieldType.HDLC_FCS_OK_SIG_END if good else FieldType.HDLC_FCS_BAD_SIG_END
            else:
                end = FieldType.HDLC_FCS_OK if good else FieldType.HDLC_FCS_BAD
            self.spread(carried, [*fields, Field(end)])
            if place == len(frames) - 1 and not last:
                self.packets += [DataPacket(carried, (Field(FieldType.HDLC_SIG_END),))]

    def data(self, carried: DataType, octets: bytes) -> None:
        self.spread(carried, [Field(FieldType.T4_NON_ECM_DATA, each) for each in self.pieces(octets)])
        last = self.chance.choice((b"", b"", octets[:7]))
        self.packets += [DataPacket(carried, (Field(FieldType.T4_NON_ECM_SIG_END, last),))]

    def pieces(self, octets: bytes) -> list[bytes]:
        longest = self.chance.choice((1, 3, 40, 300))
        pieces = []
        while octets:
            length = self.chance.randint(1, longest)
            pieces.append(octets[:length])
            octets = octets[length:]
        return pieces

    def spread(self, carried: DataType, fields: list[Field]) -> None:
        """Put fields into packets, one each or several."""
        while fields:
            count = self.chance.choice((1, 1, 2, 3))
            self.packets += [DataPacket(carried, tuple(fields[:count]))]
            fields = fields[count:]

    def octets(self) -> list[bytes]:
        return [encode(each, self.form) for each in self.packets]


def call_of(seed: int) -> tuple[list[bytes], bytes]:
    """Return the packets of one side of a call, in which are secrets, and the page."""
    chance = random.Random(seed)
    sender = Sender(chance, chance.choice(list(Form)))
    page = page_of(seed, 600)
    tellable = [Frame.of(Fcf.CSI, encoded(OPEN)).octets, Frame.of(Fcf.DIS, bytes.fromhex("00 CE 70")).octets]
    secrets = [Frame.of(each, encoded(SECRET)).octets for each in sorted(SECRET_FRAMES, key=str)]
    disguised = Frame.of(Fcf.CSI, encoded(SECRET)).octets
    ecm = [bytes((0xFF, 0x03, 0x06, number)) + page[number * 200 : number * 200 + 200] for number in range(3)]
    ecm += [bytes.fromhex("FF 03 86")] * 3
    for _ in range(chance.randint(1, 3)):
        sender.indicator(Indicator.V21_PREAMBLE)
        frames = [(each, True) for each in chance.sample([*tellable, *secrets], 4)]
        sender.frames(DataType.V21, [*frames, (chance.choice([disguised, *secrets]), False), (tellable[1], True)])
        if chance.random() < 0.3:  # broken off
            sender.packets += [DataPacket(DataType.V21, (Field(FieldType.HDLC_DATA, disguised[:20]),))]
            sender.packets += [DataPacket(DataType.V21, (Field(FieldType.HDLC_SIG_END),))]
        sender.indicator(Indicator.NO_SIGNAL)
        if chance.random() < 0.5:
            sender.indicator(Indicator.V17_14400_LONG)
            sender.data(FAST, bytes(90))
        sender.indicator(Indicator.V17_14400_SHORT)
        if chance.random() < 0.5:
            sender.frames(FAST, [(each, chance.random() < 0.9) for each in ecm])
        else:
            sender.data(FAST, page)
        sender.indicator(Indicator.NO_SIGNAL)
    return sender.octets(), page


def weathered(datagrams: list[bytes], chance: random.Random) -> list[bytes]:
    """Lose some, bring some twice, some late."""
    loss, doubled, jitter = (chance.choice((0.0, most)) for most in (0.2, 0.1, 4.0))
    arriving = []
    for place, each in enumerate(datagrams):
        for _ in range(1 + (chance.random() < doubled)):
            if chance.random() >= loss:
                arriving.append((place + chance.uniform(0.0, jitter), each))
    return [each for _, each in sorted(arriving, key=lambda pair: pair[0])]


def written(datagrams: list[bytes]) -> list[dict[str, Any]]:
    """Return the lines of a trace that show these datagrams, after their way through JSON."""
    lines: list[str] = []
    writer = WireWriter(
        lambda line: lines.append(json.dumps(line)), began=10.0, moment=datetime(2026, 3, 1, tzinfo=UTC)
    )
    for place, each in enumerate(datagrams):
        writer.take(Seen(10.0 + place * 0.03, Wire.UDPTL, False, HERE, THERE, each))
    writer.end()
    return [json.loads(each) for each in lines]


def read_again(lines: list[dict[str, Any]]) -> list[bytes]:
    reader = WireReader()
    return [seen.octets for line in lines for seen in reader.read(line)]


def looked_for(page: bytes) -> set[bytes]:
    """Return what must not be found: the page's pieces of four octets, and the secrets' of four letters, as in T.38."""
    secret = encoded(SECRET).strip()
    texts = (page, secret, SECRET.encode())
    pieces = {text[place : place + 4] for text in texts for place in range(len(text) - 3)}
    return {form for piece in pieces for form in (piece, piece.translate(TURNED), piece[::-1])}


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), redundancy=st.integers(0, 4), span=st.integers(0, 3))
def test_no_octet_of_a_page_and_no_secret_is_in_the_trace(seed: int, redundancy: int, span: int) -> None:
    packets, page = call_of(seed)
    chance = random.Random(seed + 1)
    numbering = Numbering(Protection(redundancy, span), most=2000, first=chance.choice((0, 65500)))
    datagrams = weathered([numbering.datagram(each) for each in packets], chance)
    lines = written(datagrams)
    back = read_again(lines)
    assert len(back) == len(datagrams)
    # A number and a length may look like a piece of the page, by chance.
    wanted = looked_for(page) - {shown[place : place + 4] for shown in back for place in range(3)}
    for shown in back:
        assert not {shown[place : place + 4] for place in range(len(shown))} & wanted
    text = json.dumps(lines)
    assert not {text[place : place + 8] for place in range(len(text))} & {each.hex().upper() for each in wanted}
    assert sorted(map(kept_of, back)) == sorted(map(kept_of, datagrams))


def kept_of(datagram: bytes) -> tuple[int, int, tuple[int, ...], tuple[int, ...]]:
    """Return what of a datagram every trace keeps: its number, and how long everything is."""
    number, primary, secondaries, parity = udptl.decode(datagram)
    rows = parity.rows if parity else ()
    return number, len(primary), tuple(map(len, secondaries)), tuple(map(len, rows))


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("protection", [Protection(3), Protection(0, 2)], ids=["redundancy", "parity"])
def test_without_loss_everything_else_is_shown(form: Form, protection: Protection) -> None:
    sender = Sender(random.Random(1), form)
    page = page_of(1, 256)
    frame = bytes.fromhex("FF 03 06 07")
    sender.indicator(Indicator.V21_PREAMBLE)
    csi, dis = Frame.of(Fcf.CSI, encoded(OPEN)).octets, Frame.of(Fcf.DIS, bytes.fromhex("00 CE 70")).octets
    pwd = Frame.of(Fcf.PWD, encoded(SECRET)).octets
    sender.frames(DataType.V21, [(csi, True), (pwd, True), (dis, True)])
    sender.indicator(Indicator.V17_14400_SHORT)
    sender.frames(FAST, [(frame + page, True), (bytes.fromhex("FF 03 86"), True)])
    numbering = Numbering(protection, most=2000)
    datagrams = [numbering.datagram(each) for each in sender.octets()]
    masked = pwd[:3] + b"*" * 20
    hidden = bytes.fromhex("FF 03 06 07") + bytes(256)
    expected = Sender(random.Random(1), form)
    expected.indicator(Indicator.V21_PREAMBLE)
    expected.frames(DataType.V21, [(csi, True), (masked, True), (dis, True)])
    expected.indicator(Indicator.V17_14400_SHORT)
    expected.frames(FAST, [(hidden, True), (bytes.fromhex("FF 03 86"), True)])
    numbering = Numbering(protection, most=2000)
    assert read_again(written(datagrams)) == [numbering.datagram(each) for each in expected.octets()]


def take(masking: Masking, *packets: Packet, first: int = 0, form: Form = Form.OF_2002) -> list[Shown]:
    shown = []
    for number, each in enumerate(packets, first):
        shown += masking.take(udptl.encode(Datagram(number, encode(each, form))), float(number))
    return shown


V21 = IndicatorPacket(Indicator.V21_PREAMBLE)
CSI = Frame.of(Fcf.CSI, encoded(SECRET)).octets


def of_v21(kind: FieldType, octets: bytes = b"") -> DataPacket:
    return DataPacket(DataType.V21, (Field(kind, octets),))


def test_a_frame_is_held_until_its_end_says_whether_it_is_what_it_seems() -> None:
    masking = Masking()
    assert len(take(masking, V21, of_v21(FieldType.HDLC_DATA, CSI))) == 1
    (held, end) = take(masking, of_v21(FieldType.HDLC_FCS_BAD), first=2)
    assert end.number == 2
    assert held.primary is not None
    assert held.primary.endswith(bytes(20))


def test_a_frame_that_is_not_over_at_the_end_is_masked() -> None:
    masking = Masking()
    take(masking, V21, of_v21(FieldType.HDLC_DATA, CSI))
    (held,) = masking.end()
    assert held.primary is not None
    assert held.primary.endswith(CSI[:3].translate(TURNED) + bytes(20))


def test_what_comes_after_a_gap_is_masked_until_a_frame_ends() -> None:
    masking = Masking()
    secret = Frame.of(Fcf.PWD, encoded(SECRET)).octets
    take(masking, V21, of_v21(FieldType.HDLC_DATA, CSI[:3]))
    end = of_v21(FieldType.HDLC_FCS_OK_SIG_END)
    shown = take(masking, of_v21(FieldType.HDLC_DATA, secret[3:]), end, of_v21(FieldType.HDLC_DATA, CSI), end, first=9)
    assert [each.number for each in shown] == [1, 9, 10, 11, 12]
    packets = [each.primary or b"" for each in shown]
    assert packets[0].endswith(CSI[:3].translate(TURNED))
    assert packets[1].endswith(bytes(20))
    assert packets[3].endswith(CSI.translate(TURNED))


def test_an_end_that_is_good_in_one_form_only_counts_when_the_form_is_known() -> None:
    masking = Masking()
    assert len(take(masking, V21, of_v21(FieldType.HDLC_DATA, CSI), of_v21(FieldType.HDLC_FCS_OK))) == 1
    shown = take(masking, of_v21(FieldType.HDLC_SIG_END), first=3)  # which is written so in 2002 only
    assert shown[0].primary is not None
    assert shown[0].primary.endswith(CSI.translate(TURNED))
    masking = Masking()
    old = (V21, of_v21(FieldType.HDLC_DATA, CSI), of_v21(FieldType.HDLC_SIG_END), V21)
    shown = take(masking, *old, form=Form.OF_1998)  # no end of the frame at all
    assert shown[1].primary is not None
    assert shown[1].primary.endswith(bytes(20))


@pytest.mark.parametrize("octets", [b"", b"x"])
def test_a_frame_that_never_ends_is_not_held_for_ever(octets: bytes) -> None:
    masking = Masking()
    assert len(take(masking, V21, *[of_v21(FieldType.HDLC_DATA, octets)] * 1000)) > 900
    assert masking.end() == []


def test_numbers_that_begin_anew_do_not_go_on_with_an_old_frame() -> None:
    masking = Masking()
    take(masking, *[V21] * 300, of_v21(FieldType.HDLC_DATA, CSI[:3]))
    secret = Frame.of(Fcf.PWD, encoded(SECRET)).octets
    again: list[Packet] = [IndicatorPacket(Indicator.CNG)] * 300
    take(masking, *again, of_v21(FieldType.HDLC_DATA, secret[:3]))
    end = of_v21(FieldType.HDLC_FCS_OK_SIG_END)
    shown = take(masking, of_v21(FieldType.HDLC_DATA, secret[3:]), end, first=301)
    assert shown[0].primary is not None
    assert shown[0].primary.endswith(bytes(20))


@given(octets=st.binary(max_size=60))
def test_octets_that_are_no_datagram_are_masked(octets: bytes) -> None:
    try:
        udptl.decode(octets)
    except udptl.UdptlMalformed:
        assert read_again(written([octets])) == [bytes(len(octets))]
    else:
        assert len(read_again(written([octets]))) == 1


@given(packet=st.binary(min_size=1, max_size=60))
def test_a_packet_that_makes_no_sense_is_masked(packet: bytes) -> None:
    (shown,) = read_again(written([udptl.encode(Datagram(7, packet))]))
    primary = udptl.decode(shown).primary
    assert len(primary) == len(packet)
    assert all(octet in (0, packet[place]) for place, octet in enumerate(primary))


def test_a_steady_page_costs_little() -> None:
    sender = Sender(random.Random(1), Form.OF_2002)
    piece = Field(FieldType.T4_NON_ECM_DATA, page_of(1, 54))
    sender.packets = [IndicatorPacket(Indicator.V17_14400_SHORT), *[DataPacket(FAST, (piece,))] * 1000]
    numbering = Numbering(Protection(3), most=2000)
    lines = written([numbering.datagram(each) for each in sender.octets()])
    assert len(json.dumps(lines)) < 45 * 1000


@pytest.mark.parametrize(
    "row",
    [
        [],
        [0.0],
        [0.0, 1, "00", -1],
        [0.0, 1, "00", 200],
        [0.0, 1, None, 0],
        [0.0, 70000, "00", 0],
        [0.0, True, "00", 0],
        [0.0, 1, "0", 0],
        [0.0, 1, "00+99999", 0],
        [0.0, 1, "+20000", 0],
        [0.0, 1, "00", {"span": 0, "rows": []}],
        [0.0, 1, "00", {"span": 3, "rows": [16000] * 5}],
        [0.0, 1, "00", {"span": 3, "rows": ["a"]}],
        ["now", 1, "00", 0],
        [float("nan"), 1, "00", 0],
        [0.0, 1, "00", [3]],
        [0.0, None, None, 0],
    ],
)
def test_a_row_that_is_none_is_no_line_of_a_trace(row: list[Any]) -> None:
    line = {
        "at": 0.0,
        "wire": "udptl",
        "sent": True,
        "local": "192.0.2.1:1",
        "peer": "[2001:db8::1]:2",
        "transport": "UDP",
    }
    with pytest.raises((ValueError, TypeError, LookupError)):
        WireReader().read(line | {"datagrams": [row]})
