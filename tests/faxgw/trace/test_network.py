"""What a line shows of its network, in the trace of a call: all of it, in order, without secrets, and none after it."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from drivers.sip.messages import Request, Response, parse
from drivers.t38 import udptl
from drivers.t38.ifp import DataPacket, Form, decode
from drivers.t38.line import UdptlLine
from drivers.t38.media import Agreed
from drivers.t38.options import Options
from drivers.t38.udptl import Protection
from drivers.witness import Seen, Wire
from faxgw.errors import RequestError
from faxgw.replay import replay
from faxgw.trace.listing import listing
from faxgw.trace.reading import read
from faxgw.trace.record import Recorder, Trace
from faxgw.trace.wires import MOST_BEFORE, Prelude, WireReader, WireWriter
from simulators.clock import run
from simulators.network import Plug, Weather, pair
from t30.answering import answering
from t30.capabilities import Station
from t30.fcf import Fcf
from t30.frame import Frame
from t30.identity import encoded
from t30.line import LineClock
from t30.outcome import Direction
from t30.session import Session
from tests.faxgw.trace.calls import NOWHERE, Pages, recorded, sip_calls, t38_calls

PAGE = bytes(Random(5).randrange(1, 256) for _ in range(3000))
CALLER = Station("+49 30 1234567", subaddress="4711471147114711")
ECM = pytest.mark.parametrize("ecm", [True, False], ids=["error correction", "none"])
FORMS = pytest.mark.parametrize("version", [0, 3])


def answerer(*, ecm: bool) -> Station:
    return Station("+1 555 0100", takes_subaddress=True, ecm=ecm)


def frames_in(seen: list[Seen]) -> list[bytes]:
    """Return the V.21 frames that went by, as datagrams show them."""
    frames, frame, numbers = [], b"", set()
    for each in seen:
        number, primary, *_ = udptl.decode(each.octets)
        if number in numbers:
            continue
        numbers.add(number)
        packet = decode(primary, Form.OF_2002)
        if isinstance(packet, DataPacket) and packet.type.name == "V21":
            for kind, octets in packet.fields:
                frame += octets
                if kind.name.startswith("HDLC_FCS"):
                    frames.append(frame)
                    frame = b""
    return frames


def way(trace: Trace, *, sent: bool) -> list[bytes]:
    return sorted(each.octets for each in trace.seen if each.sent is sent)


@ECM
@FORMS
def test_both_ends_show_the_same_datagrams(tmp_path: Path, ecm: bool, version: int) -> None:
    agreed = Agreed(version, Protection(3))
    out, in_ = map(read, t38_calls(tmp_path, [PAGE], caller=CALLER, answerer=answerer(ecm=ecm), agreed=agreed))
    assert out.outcome is not None and out.outcome.complete and out.outcome.ecm is ecm
    # Two that are sent in the same moment may come in any order.
    there = way(out, sent=True), way(in_, sent=False)
    back = way(out, sent=False), way(in_, sent=True)
    assert len(there[0]) > 100
    assert there[1] == there[0][: len(there[1])]
    assert back[1][-len(back[0]) :] == back[0]
    assert {each.wire for each in out.seen} == {Wire.UDPTL}
    assert {(each.local, each.peer) for each in out.seen} == {(("192.0.2.1", 4000), ("192.0.2.2", 4000))}


@ECM
def test_the_same_frames_are_in_the_datagrams_as_in_the_steps(tmp_path: Path, ecm: bool) -> None:
    out, _ = map(read, t38_calls(tmp_path, [PAGE], caller=CALLER, answerer=answerer(ecm=ecm), agreed=Agreed(version=3)))
    sent = [frame for step in out.steps if hasattr(step.action, "frames") for frame in step.action.frames]
    heard = [step.result.octets for step in out.steps if type(step.result).__name__ == "FrameReceived"]  # type: ignore[union-attr]
    assert frames_in([each for each in out.seen if each.sent]) == [frame for frame in sent if frame[2] not in (6, 0x86)]
    assert frames_in([each for each in out.seen if not each.sent]) == heard
    assert Frame.of(Fcf.SUB, b"*" * 20, x=True, final=False).octets in sent


@ECM
@pytest.mark.parametrize("weather", [Weather(), Weather(loss=0.05, jitter=0.05, doubled=0.1)], ids=["good", "bad"])
def test_nothing_of_a_page_and_no_subaddress_is_in_a_trace(tmp_path: Path, ecm: bool, weather: Weather) -> None:
    secret = encoded(CALLER.subaddress)
    turned = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
    pieces = {text[place : place + 4] for text in (PAGE, secret[:16]) for place in range(len(text) - 3)}
    pieces |= {each.translate(turned) for each in pieces}
    traces = t38_calls(tmp_path, [PAGE], caller=CALLER, answerer=answerer(ecm=ecm), there=weather)
    for trace in map(read, traces):
        assert len(trace.seen) > 100
        for each in trace.seen:
            assert not {each.octets[place : place + 4] for place in range(len(each.octets))} & pieces


@pytest.mark.parametrize("options", ["", "&t38=offer&version=3"])
def test_the_signalling_of_a_call_is_there_from_its_invite_to_its_goodbye(tmp_path: Path, options: str) -> None:
    for trace in map(read, sip_calls(tmp_path, [PAGE], options=options)):
        assert trace.outcome is not None and trace.outcome.complete
        said = [parse(each.octets) for each in trace.seen if each.wire is Wire.SIP]
        first, *_, last = said
        assert trace.seen[0].wire is Wire.SIP
        assert isinstance(first, Request) and first.method == "INVITE" and first.body
        assert isinstance(last, Response) and (last.status, last.cseq.method) == (200, "BYE")
        assert replay(trace) is None
        datagrams = [each for each in trace.seen if each.wire is Wire.UDPTL]
        assert len(datagrams) > 100
        assert {each.sent for each in datagrams} == {True, False}


def test_times_are_counted_from_the_ring_and_end_with_the_outcome(tmp_path: Path) -> None:
    _, path = t38_calls(tmp_path, [PAGE])
    trace = read(path)
    assert trace.seen[0].at == pytest.approx(-5.02)
    assert list(trace.seen) == sorted(trace.seen, key=lambda each: each.at)
    lines = [json.loads(each) for each in path.read_text().splitlines()]
    ring = next(place for place, line in enumerate(lines) if line.get("event") == "Ringing")
    assert [line["at"] for line in lines[2:ring]] == [-5.02, -3.02, -1.02, 0.0]
    assert isinstance(trace.began, datetime)
    assert "outcome" in lines[-1]
    steps = [(place, line["at"]) for place, line in enumerate(lines) if "action" in line or "event" in line]
    for place, at in steps[1:]:
        assert all(line["at"] <= at + 1e-4 for line in lines[2:place] if "wire" in line)


def test_a_trace_without_its_network_is_the_same_call(tmp_path: Path) -> None:
    _, path = t38_calls(tmp_path, [PAGE])
    whole = read(path)
    lines = [line for line in path.read_text().splitlines() if '"wire"' not in line]
    lines[0] = lines[0].replace('"trace": 2', '"trace": 1')  # as they were before
    path.write_text("\n".join(lines) + "\n")
    older = read(path)
    assert [(step.action, step.result) for step in older.steps] == [(step.action, step.result) for step in whole.steps]
    assert (older.header, older.outcome, older.seen) == (whole.header, whole.outcome, ())
    assert replay(whole) is None
    assert replay(older) is None


@pytest.mark.parametrize("cut", range(1, 3000, 171))
def test_a_recording_that_was_cut_off_shows_what_was_written(tmp_path: Path, cut: int) -> None:
    path, _ = t38_calls(tmp_path, [PAGE[:300]])
    whole = read(path)
    path.write_bytes(path.read_bytes()[:-cut])
    part = read(path)
    assert part.outcome is None
    assert set(part.seen) <= set(whole.seen)
    assert len(part.seen) > len(whole.seen) - 150


@pytest.mark.parametrize(
    "wrong",
    [
        {"wire": "isdn"},
        {"at": None},
        {"local": "a"},
        {"local": 1},
        {"peer": "b:99999"},
        {"text": "\ud800"},
        {"text": None},
        {"octets": "X"},
        {"wire": "udptl"},
        {"wire": "udptl", "datagrams": 1},
        {"wire": "udptl", "datagrams": [[]]},
    ],
)
def test_a_bad_line_of_the_network_is_told_in_one_sentence(small_call: Path, wrong: dict[str, object]) -> None:
    good = {"at": 1.0, "wire": "sip", "sent": True, "local": "a:1", "peer": "b:1", "transport": "UDP"}
    text = {"octets": "00"} if "octets" in wrong else {"text": "INVITE"}
    lines = small_call.read_text().splitlines()
    small_call.write_text("\n".join([*lines[:2], json.dumps(good | text), *lines[2:]]) + "\n")
    assert [each.wire for each in read(small_call).seen] == [Wire.SIP]
    small_call.write_text("\n".join([*lines[:2], json.dumps(good | text | wrong), *lines[2:]]) + "\n")
    with pytest.raises(RequestError, match="line 3: this is no line of a trace") as told:
        read(small_call)
    assert told.value.code == "usage"


def is_watched(line: UdptlLine) -> bool:
    return line.witness is not None


def on_a_line(body) -> None:  # type: ignore[no-untyped-def]
    async def test() -> None:
        ours, theirs = pair(Weather(), Weather(), LineClock(asyncio.get_running_loop().time))
        line = UdptlLine(ours, Options(NOWHERE, NOWHERE))
        await body(line, theirs)
        await line.close()

    run(test())


@pytest.mark.parametrize(("pause", "kept"), [(0.1, MOST_BEFORE), (2.0, 30)])
def test_a_recorder_goes_on_from_the_last_minute_before(tmp_path: Path, pause: float, kept: int) -> None:
    path = tmp_path / "call.jsonl"

    async def body(line: UdptlLine, theirs: Plug) -> None:
        line.witness = Prelude()
        for number in range(100):
            theirs.send(udptl.encode(udptl.Datagram(number, b"\x02")))
            await asyncio.sleep(pause)
        recorder = Recorder(path, direction=Direction.IN, line="udptl:", station=Station())
        recorder.watch(line)
        call = asyncio.create_task(recorded(Session(answering(Station())), line, Pages(), recorder))
        await asyncio.sleep(0.5)
        theirs.send(udptl.encode(udptl.Datagram(100, b"\x02")))
        await asyncio.sleep(1.0)
        assert is_watched(line)
        call.cancel()
        await call
        assert not is_watched(line)

    on_a_line(body)
    before = [udptl.decode(each.octets).number for each in read(path).seen if not each.sent]
    assert before[-1] == 100
    assert before == list(range(101 - len(before), 101))
    assert kept - 6 <= len(before) <= kept + 1  # ours are among them


def test_a_fault_in_the_recording_of_the_network_costs_no_call(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"

    async def body(line: UdptlLine, theirs: Plug) -> None:
        recorder = Recorder(path, direction=Direction.IN, line="udptl:", station=Station())
        recorder.watch(line)
        call = asyncio.create_task(recorded(Session(answering(Station())), line, Pages(), recorder))
        await asyncio.sleep(0.1)
        theirs.send(udptl.encode(udptl.Datagram(0, b"\x00")))
        await asyncio.sleep(0.1)
        assert line.witness is not None
        line.witness(Seen(0.0, Wire.UDPTL, False, NOWHERE, NOWHERE, None))  # type: ignore[arg-type]
        assert recorder.error is not None
        assert not is_watched(line)
        call.cancel()
        await call

    on_a_line(body)
    assert read(path).outcome is not None


def test_a_call_in_words_is_the_same_with_its_datagrams_but_for_what_is_told_of_them(tmp_path: Path) -> None:
    path, _ = t38_calls(tmp_path, [PAGE])
    told = [line.plain for line in listing(read(path))]
    path.write_text("\n".join(line for line in path.read_text().splitlines() if '"wire"' not in line) + "\n")
    plain = [line.plain for line in listing(read(path))]
    assert [line for line in told if "T.38" not in line] == plain
    assert [line.split(maxsplit=1)[0] for line in told if "T.38" in line] == ["0.00", "T.38:"]


def test_messages_are_written_as_text_and_tones_not_at_all() -> None:
    lines: list[dict[str, object]] = []
    writer = WireWriter(lambda line: lines.append(json.loads(json.dumps(line))), began=5.0, moment=datetime.now(UTC))
    ends = (("192.0.2.1", 5060), ("2001:db8::1", 5061))
    message = "SIP/2.0 200 Schön\r\nAuthorization: Digest response=abc\r\n\r\n".encode()
    for wire, octets in ((Wire.SIP, message), (Wire.RTP, b"\x80"), (Wire.SIP, b"SIP/2.0 200 \xff")):
        writer.take(Seen(4.0, wire, True, *ends, octets, "TLS"))
    writer.end()
    assert [line["transport"] for line in lines] == ["TLS", "TLS"]
    assert lines[0]["text"] == "SIP/2.0 200 Schön\r\nAuthorization: Digest response=***\r\n\r\n"
    reader = WireReader()
    first, second = (seen for line in lines for seen in reader.read(line))
    assert first == Seen(-1.0, Wire.SIP, True, *ends, message.replace(b"abc", b"***"), "TLS")
    assert second.octets == b"SIP/2.0 200 \xff"
