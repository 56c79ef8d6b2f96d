"""A modem call as packets: each frame and signal of it, at its time, in its order; made up is what no modem has."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from drivers.sip.messages import Request, Response, parse
from drivers.t38 import udptl
from drivers.t38.ifp import DataPacket, DataType, FieldType, Form, IndicatorPacket, Packet, decode
from drivers.witness import Seen, Wire
from faxgw.trace.reading import read
from faxgw.trace.record import Thrown, Trace
from faxgw.trace.synthesis import SAID, synthesised
from t30.line import (
    Cause,
    Content,
    DataReceived,
    Dial,
    FrameReceived,
    ListenData,
    NotConnected,
    SendData,
    SendFrames,
    Sent,
)
from tests.faxgw.trace.keeping import KEPT

MODEMS = sorted(path for path in KEPT.glob("**/*.jsonl") if not path.stem.startswith(("sip", "udptl")))
GOOD, BAD = FieldType.HDLC_FCS_OK, FieldType.HDLC_FCS_BAD
Heard = tuple[bytes, bool]


def packets(seen: tuple[Seen, ...]) -> Iterator[tuple[Seen, Packet]]:
    for each in seen:
        if each.wire is Wire.UDPTL:
            yield each, decode(udptl.decode(each.octets).primary, Form.OF_1998)


def frames_of(seen: tuple[Seen, ...], *, sent: bool) -> list[Heard]:
    """Return every frame of one direction, and whether it is good."""
    frames, frame = [], b""
    for each, packet in packets(seen):
        if each.sent is not sent or not isinstance(packet, DataPacket):
            continue
        for kind, octets in packet.fields:
            frame += octets if kind is FieldType.HDLC_DATA else b""
            if kind in (GOOD, BAD):
                frames.append((frame, kind is GOOD))
                frame = b""
    return frames


def recorded(trace: Trace, *, sent: bool) -> list[Heard]:
    if sent:
        done = [step for step in trace.steps if isinstance(step.result, Sent)]
        actions = [step.action for step in done]
        return [(bytes(frame), True) for each in actions if isinstance(each, SendFrames) for frame in each.frames]
    heard = [step.result for step in trace.steps if isinstance(step.result, FrameReceived)]
    return [(bytes(each.octets), each.good) for each in heard]


@pytest.mark.parametrize("path", MODEMS, ids=lambda path: f"{path.parent.stem}-{path.stem}")
def test_every_frame_of_a_call_is_there_as_it_was_and_in_its_order(path: Path) -> None:
    trace = read(path)
    made = synthesised(trace)
    for sent in (True, False):
        assert frames_of(made, sent=sent) == recorded(trace, sent=sent)
    assert [each.at for each in made] == sorted(each.at for each in made)


def test_damaged_frames_are_among_them() -> None:
    assert not all(good for _, good in recorded(read(KEPT / "damaged-out.jsonl"), sent=False))


@pytest.mark.parametrize("path", MODEMS, ids=lambda path: f"{path.parent.stem}-{path.stem}")
def test_every_direction_has_numbers_and_addresses_of_its_own(path: Path) -> None:
    made = synthesised(read(path))
    for sent in (True, False):
        datagrams = [each for each in made if each.wire is Wire.UDPTL and each.sent is sent]
        assert [udptl.decode(each.octets).number for each in datagrams] == list(range(len(datagrams)))
        assert all(one.at <= other.at for one, other in pairwise(datagrams))
    assert {(each.local[0], each.peer[0]) for each in made} <= {("192.0.2.1", "192.0.2.2"), ("192.0.2.2", "192.0.2.1")}


@pytest.mark.parametrize("name", ["class1-plain-out", "class1-plain-in"])
def test_training_check_is_as_it_was_and_a_page_is_zeros(name: str) -> None:
    trace = read(KEPT / f"{name}.jsonl")
    sent = name.endswith("out")
    data = b"".join(
        octets
        for each, packet in packets(synthesised(trace))
        if each.sent is sent and isinstance(packet, DataPacket)
        for kind, octets in packet.fields
        if kind is FieldType.T4_NON_ECM_DATA
    )
    turned = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
    if sent:
        expected = b"".join(step.action.octets for step in trace.steps if isinstance(step.action, SendData))
    else:
        heard = [step.result for step in trace.steps if isinstance(step.action, ListenData)]
        expected = b"".join(each.octets for each in heard if isinstance(each, DataReceived))
    assert len(expected) > 5000
    assert data == expected or data.translate(turned) == expected


def test_damage_of_a_training_check_is_there() -> None:
    trace = read(KEPT / "damaged-in.jsonl")
    checks = [
        step.result.octets
        for step in trace.steps
        if isinstance(step.action, ListenData)
        and step.action.content is Content.TCF
        and isinstance(step.result, DataReceived)
    ]
    damaged = sum(len(each) - each.count(0) for each in checks)
    assert damaged > 100
    fields = [
        octets
        for each, packet in packets(synthesised(trace))
        if not each.sent and isinstance(packet, DataPacket) and packet.type is DataType.V17_14400
        for kind, octets in packet.fields
        if kind is FieldType.T4_NON_ECM_DATA
    ]
    assert sum(len(each) - each.count(0) for each in fields) > 100


def test_signals_are_paced_as_a_modem_paces_them(small_call: Path) -> None:
    trace = read(small_call)
    indicators = [
        (round(each.at, 2), packet.indicator.name)
        for each, packet in packets(synthesised(trace))
        if isinstance(packet, IndicatorPacket) and each.sent
    ]
    tones = [(4.0, "CNG"), (4.5, "NO_SIGNAL"), (7.5, "CNG"), (8.0, "NO_SIGNAL")]
    assert indicators[:4] == tones
    assert [name for _, name in indicators[4:6]] == ["V21_PREAMBLE", "NO_SIGNAL"]
    assert [at for at, _ in indicators[4:6]] == pytest.approx([10.075, 11.98], abs=0.03)
    page = [each.at for each, packet in packets(synthesised(trace)) if isinstance(packet, DataPacket) and each.sent]
    assert max(page) < 29.8


def said(trace: Trace) -> list[str]:
    """Return what the signalling says, without what it says of itself."""
    told = []
    for each in synthesised(trace):
        if each.wire is Wire.SIP:
            message = parse(each.octets)
            assert message.headers.get("User-Agent") == SAID
            told.append(message.method if isinstance(message, Request) else f"{message.status} {message.cseq.method}")
            assert isinstance(message, Request | Response)
    return told


def test_signalling_is_that_of_a_whole_call(small_call: Path) -> None:
    assert said(read(small_call)) == ["INVITE", "200 INVITE", "ACK", "BYE", "200 BYE"]
    assert said(read(KEPT / "class1-in.jsonl")) == ["INVITE", "200 INVITE", "ACK", "BYE", "200 BYE"]


def test_who_ends_the_call_says_so() -> None:
    def goodbyes(name: str) -> list[bool]:
        made = synthesised(read(KEPT / f"{name}.jsonl"))
        return [each.sent for each in made if each.wire is Wire.SIP and each.octets.startswith(b"BYE")]

    assert goodbyes("cancelled-out") == [True]
    assert goodbyes("dropped-out") == [False]


@pytest.mark.parametrize(
    ("cause", "status"), [(Cause.BUSY, 486), (Cause.NO_ANSWER, 480), (Cause.REJECTED, 603), (Cause.UNALLOCATED, 404)]
)
def test_call_that_did_not_come_about_is_refused(small_call: Path, cause: Cause, status: int) -> None:
    trace = read(small_call)
    refused = replace(trace, steps=(replace(trace.steps[0], result=NotConnected(cause, 4.0)),))
    assert said(refused) == ["INVITE", f"{status} INVITE", "ACK"]


def test_call_given_up_while_it_rang_is_cancelled(small_call: Path) -> None:
    trace = read(small_call)
    given_up = replace(trace, steps=(replace(trace.steps[0], result=Thrown("Canceled", "call.canceled", "", 4.0)),))
    assert said(given_up) == ["INVITE", "CANCEL", "200 CANCEL", "487 INVITE", "ACK"]


def test_page_that_was_cut_off_ends_where_it_was(small_call: Path) -> None:
    trace = read(small_call)
    place = next(
        n for n, step in enumerate(trace.steps) if isinstance(step.action, SendData) and len(step.action.octets) > 2000
    )
    step = trace.steps[place]
    cut = replace(trace, steps=(*trace.steps[:place], replace(step, result=Thrown("Canceled", "", "", step.at + 2.0))))
    page = [each for each, packet in packets(synthesised(cut)) if each.sent]
    assert page[-1].at == pytest.approx(step.at + 2.0)
    octets = sum(
        len(packet.fields[0].octets)
        for each, packet in packets(synthesised(cut))
        if each.at > step.at and isinstance(packet, DataPacket)
    )
    assert octets == pytest.approx((2.0 - 0.075 - 0.253) * 1200, abs=60)


@pytest.mark.parametrize("number", ["+1 (555) 01<00>", "0049#30", "\u260e", ""])
def test_any_number_makes_messages_that_can_be_read(small_call: Path, number: str) -> None:
    trace = read(small_call)
    odd = replace(trace, steps=(replace(trace.steps[0], action=Dial(number)), *trace.steps[1:]))
    assert said(odd)[0] == "INVITE"
