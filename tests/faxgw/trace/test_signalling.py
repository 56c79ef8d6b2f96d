"""The network in the views of a call: SIP's messages, where T.38 begins, what is missing of its datagrams."""

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from drivers.t38.ifp import DataPacket, DataType, Field, FieldType, Indicator, IndicatorPacket, encode
from drivers.t38.udptl import Numbering, Protection
from drivers.witness import Seen, Wire
from faxgw.trace.ladder import ladder
from faxgw.trace.listing import listing
from faxgw.trace.losses import Pause, Traffic, traffic
from faxgw.trace.reading import read
from faxgw.trace.record import Trace
from faxgw.trace.signalling import datagrams, with_network
from faxgw.trace.story import Kind, Party
from simulators.network import Weather
from tests.faxgw.trace.calls import t38_calls

HERE, THERE = ("192.0.2.1", 5060), ("192.0.2.2", 5060)
PAGE = bytes(range(1, 251)) * 20
SVG = "{http://www.w3.org/2000/svg}"


def message(start: str, cseq: str, *lines: str, body: str = "", call: str = "1", tag: str = "") -> bytes:
    described = ["Content-Type: application/sdp"] if body else []
    head = [
        start,
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1",
        "From: <sip:+49301234567@192.0.2.1>;tag=a",
        f"To: <sip:+15550100@192.0.2.2>{tag}",
        f"Call-ID: {call}",
        f"CSeq: {cseq}",
        *described,
        *lines,
    ]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", body]).encode()


def sdp(*streams: str) -> str:
    return "".join(f"{line}\r\n" for line in ("v=0", "o=- 1 1 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", *streams))


SOUND, FAX = "m=audio 4010 RTP/AVP 8", ("m=image 4000 udptl t38", "a=T38FaxVersion:3", "a=T38FaxUdpEC:t38UDPFEC")
INVITE = message("INVITE sip:+15550100@192.0.2.2 SIP/2.0", "1 INVITE", body=sdp(SOUND))
CHANGE = message("INVITE sip:192.0.2.2 SIP/2.0", "2 INVITE", body=sdp("m=audio 0 RTP/AVP 8", *FAX), tag=";tag=b")


def sip(at: float, octets: bytes, *, sent: bool = True, transport: str = "UDP") -> Seen:
    return Seen(at, Wire.SIP, sent, HERE, THERE, octets, transport)


def told(trace: Trace, *seen: Seen) -> list[tuple[Party, str]]:
    """Return what the messages among the signals say, and who."""
    signals = with_network(replace(trace, seen=seen))
    said = [(each.by, each.lines[0]) for each in signals if each.kind is Kind.SIP]
    return [(by, f"{line.name}: {line.words}" + (" (bad)" if line.bad else "")) for by, line in said]


def test_messages_are_told_as_what_they_mean(small_call: Path) -> None:
    trace, caller, answerer = read(small_call), Party.CALLER, Party.ANSWERER
    answers = [
        message("SIP/2.0 100 Trying", "1 INVITE"),
        message("SIP/2.0 407 Proxy Authentication Required", "1 INVITE"),
        message("SIP/2.0 486 Busy Here", "1 INVITE", tag=";tag=b"),
        message("SIP/2.0 200 OK", "2 INVITE", body=sdp(*FAX[:1], "a=T38FaxRateManagement:localTCF")),
        b"\xff\xfe",
    ]
    bye = message("BYE sip:192.0.2.2 SIP/2.0", "3 BYE", 'Reason: Q.850;cause=16;text="x"', tag=";tag=b")
    assert told(
        trace,
        sip(0.0, INVITE, transport="TLS"),
        *(sip(0.1, each, sent=False) for each in answers),
        sip(2.0, CHANGE),
        sip(3.0, bye),
    ) == [
        (caller, "INVITE: to +15550100 from +49301234567 over TLS; sound at 192.0.2.9:4010"),
        (answerer, "100 Trying: to INVITE"),
        (answerer, "407 Proxy Authentication Required: to INVITE"),
        (answerer, "486 Busy Here: to INVITE (bad)"),
        (answerer, "200 OK: to INVITE; T.38 at 192.0.2.9:4000, version 0, redundancy, training checks made locally"),
        (answerer, "SIP: a message that cannot be read (bad)"),
        (caller, "INVITE: no sound; T.38 at 192.0.2.9:4000, version 3, parity"),
        (caller, 'BYE: with Q.850;cause=16;text="x"'),
    ]


def test_a_message_that_is_sent_again_is_told_once(small_call: Path) -> None:
    seen = [sip(at, INVITE) for at in (0.0, 0.5, 1.5)]
    ((_, said),) = told(read(small_call), *seen)
    assert said.endswith(", sent 3 times")


def test_messages_of_no_call_are_left_out(small_call: Path) -> None:
    options = message("OPTIONS sip:192.0.2.2 SIP/2.0", "1 OPTIONS", call="2")
    trace = read(small_call)
    assert len(told(trace, sip(0.0, options), sip(1.0, INVITE))) == 1
    assert len(told(trace, sip(0.0, options))) == 1  # unless there is nothing else


def test_what_travels_is_the_message_and_not_what_it_stands_for(small_call: Path) -> None:
    trace = read(small_call)
    assert [each.kind for each in with_network(trace)].count(Kind.CALL) == 2
    signals = with_network(replace(trace, seen=(sip(0.1, INVITE),)))
    assert Kind.CALL not in {each.kind for each in signals}
    assert next(each.lines[0].words for each in signals if not each.travels) == "dials +1 555 0100"
    assert [each.kind for each in signals[:2]] == [Kind.NOTE, Kind.SIP]


# ----------------------------------------------------------------------------------------------------------- datagrams


def arriving(protection: Protection, lost: set[int], *, pause: float = 0.0, first: int = 65530) -> Traffic:
    """Return what is told of 40 datagrams of which some do not come; the pause is before the 30th."""
    piece = DataPacket(DataType.V17_14400, (Field(FieldType.T4_NON_ECM_DATA, b"x" * 54),))
    numbering = Numbering(protection, most=1000, first=first)
    packets = [encode(IndicatorPacket(Indicator.V17_14400_LONG)), *[encode(piece)] * 39]
    made = [numbering.datagram(each) for each in packets]
    seen = [
        Seen(number + (pause if number >= 30 else 0.0), Wire.UDPTL, False, HERE, THERE, octets)
        for number, octets in enumerate(made)
        if number not in lost
    ]
    return traffic([replace(each, at=each.at * 0.03) for each in seen])


@pytest.mark.parametrize(
    ("protection", "lost", "good"),
    [
        (Protection(0), set(), set()),
        (Protection(0), {7, 8}, set()),
        (Protection(1), {7, 8}, {8}),
        (Protection(3), {7, 8, 9}, {7, 8, 9}),
        (Protection(3), {4, 5, 6, 7}, {5, 6, 7}),
        (Protection(0, 3, 3), {20, 21, 22}, {20, 21, 22}),
        (Protection(0, 3, 1), {20, 21}, {20, 21}),
        (Protection(0, 3, 1), {20, 21, 22, 23}, {21, 22, 23}),
    ],
)
def test_what_does_not_come_is_missing_and_perhaps_made_good(
    protection: Protection, lost: set[int], good: set[int]
) -> None:
    came = arriving(protection, lost)
    assert (came.received, came.sent) == (40 - len(lost), 0)
    next_ones = {number: next(each for each in range(number, 40) if each not in lost) for number in lost}
    expected = sorted((next_ones[number], number in good) for number in lost)
    assert sorted((round(each.at / 0.03), each.made_good) for each in came.missing) == expected


def test_a_pause_within_a_signal_is_told() -> None:
    assert arriving(Protection(3), set()).pauses == []
    ((pause),) = arriving(Protection(3), set(), pause=30.0).pauses
    assert (pause.at, pause.seconds) == pytest.approx((29 * 0.03, 31 * 0.03))


@pytest.mark.parametrize("numbers", [(5, 6, 30000, 30001, 7), (5, 8, 7, 6, 9), (65535, 1, 0, 2)])
def test_numbers_that_begin_anew_or_come_late_are_no_loss(numbers: tuple[int, ...]) -> None:
    packet = encode(IndicatorPacket(Indicator.CNG))
    octets = [Numbering(Protection(0), most=100, first=first).datagram(packet) for first in numbers]
    assert traffic([Seen(0.0, Wire.UDPTL, False, HERE, THERE, each) for each in octets]).missing == []


def test_losses_stand_under_the_signal_that_they_are_of(tmp_path: Path) -> None:
    _, path = t38_calls(tmp_path, [PAGE], there=Weather(loss=0.04, seed=2))
    trace = read(path)
    network = traffic(trace.seen)
    under = [line.words for each in with_network(trace) for line in each.lines if "missing" in line.words]
    assert sum(int(words.split()[0]) for words in under) == len(network.missing) > 3
    assert all("made good by later ones" in words for words in under)
    assert datagrams(trace).endswith(f"{len(network.missing)} datagrams missing, made good by later ones")
    assert [each.text for each in ElementTree.fromstring(ladder(trace)).iter(f"{SVG}text")][-1] == datagrams(trace)
    assert [line.plain for line in listing(trace)][-1] == datagrams(trace)


def test_a_line_that_is_silent_in_the_middle_of_a_page_is_told(tmp_path: Path) -> None:
    _, path = t38_calls(tmp_path, [PAGE], there=Weather(silent=(19.0, 20.0)))
    trace = read(path)
    assert isinstance(traffic(trace.seen).pauses[0], Pause)
    assert any("no datagram came for 1.0 s" in line.plain for line in listing(trace))


def test_the_ladder_has_arrows_for_messages_and_a_mark_where_t38_begins(tmp_path: Path) -> None:
    path, _ = t38_calls(tmp_path, [PAGE])
    trace = read(path)
    answer = message("SIP/2.0 200 OK", "1 INVITE", body=sdp(*FAX), tag=";tag=b")
    seen = [sip(-1.0, INVITE), sip(-0.5, answer, sent=False), *trace.seen]
    drawing = ElementTree.fromstring(ladder(replace(trace, seen=tuple(seen))))
    assert [each.get("class") for each in drawing.iter(f"{SVG}polygon")][:2] == ["sip", "sip"]
    assert len([each for each in drawing.iter(f"{SVG}line") if each.get("class") == "mark"]) == 1
    names = [each.text for each in drawing.iter(f"{SVG}tspan")]
    assert names[:3] == ["INVITE", "200 OK", "T.38"]


def test_a_trace_of_another_network_is_drawn_all_the_same(small_call: Path) -> None:
    lines = small_call.read_text().splitlines()
    line = {"at": 3.0, "wire": "sip", "sent": True, "local": "a:1", "peer": "b:1", "transport": "UDP"}
    for text in ("", "INVITE", "INVITE sip:\0 SIP/2.0\r\n\r\n", "\x00" * 50, INVITE.decode().replace("c=", "m=")):
        small_call.write_text("\n".join([*lines[:2], json.dumps(line | {"text": text}), *lines[2:]]) + "\n")
        trace = read(small_call)
        assert list(listing(trace))
        ElementTree.fromstring(ladder(trace))
