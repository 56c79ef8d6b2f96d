"""The trace file: what is written is read again, whatever cuts it off; no page content and no secret is ever in it."""

import base64
import json
import os
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, get_args
from xml.etree import ElementTree

import pytest

from faxgw.errors import RequestError
from faxgw.replay import replay as played_again
from faxgw.trace.ladder import ladder
from faxgw.trace.listing import listing
from faxgw.trace.pcap import pcap
from faxgw.trace.privacy import shown_action, shown_event
from faxgw.trace.reading import read
from faxgw.trace.record import Recorder, Trace
from faxgw.trace.values import ACTIONS, EVENTS, Payload, plain, valued
from t30.capabilities import Station
from t30.fcf import Fcf
from t30.identity import encoded
from t30.line import (
    Action,
    Answer,
    AwaitCall,
    CarrierLost,
    Cause,
    Connected,
    Content,
    DataReceived,
    Dial,
    Event,
    FrameReceived,
    HangUp,
    LineError,
    ListenData,
    ListenFrame,
    NotConnected,
    Quiet,
    Ringing,
    SendData,
    SendFrames,
    SendTone,
    Sent,
    Tone,
    WrongCarrier,
)
from t30.outcome import Direction, Evidence, Training
from t30.pages import (
    AdmitPoller,
    Admitted,
    AnotherDocument,
    Coding,
    FetchPage,
    JudgePage,
    KeepData,
    Kept,
    Length,
    NoMorePages,
    NoteConfirmed,
    Noted,
    PageFormat,
    PageLimits,
    PageReady,
    Resolution,
    Verdict,
    Width,
)
from t30.policy import Policy, Quality
from t30.rates import Modulation
from tests.faxgw.trace.conftest import SMALL_OUTCOME

FORMAT = PageFormat(Width.B4, Length.UNLIMITED, Resolution.R300, Coding.MMR, True)
LIMITS = PageLimits(Width.A3, Length.B4, frozenset({Resolution.STANDARD, Resolution.R400}), Coding.MR, False)
FAST = Modulation.V17_12000_SHORT

ONE_OF_EACH: list[Action | Event] = [
    AwaitCall(),
    Dial("+49 30 123"),
    Answer(),
    SendTone(Tone.CED),
    SendFrames(Modulation.V21, (b"\xff\x13\x84", b"\xff\x13\x8c"), 0.075),
    SendData(FAST, bytes(70), Content.TCF, 0.1),
    ListenFrame(FAST, 0.1 + 0.2),
    ListenData(FAST, Content.PAGE, 6.0),
    HangUp(),
    FetchPage(2, LIMITS, 96, "+49 30 1234"),
    NoteConfirmed(2, FORMAT, 1143, 18103, 12.5),
    AdmitPoller("+49 30 1234", "12", "99"),
    KeepData(1, FORMAT, Payload(b"\xff", 9, "ab" * 32)),
    JudgePage(0),
    Ringing("+49 30 123", "", 1.5),
    Connected(2.0),
    NotConnected(Cause.BUSY, 3.0),
    Sent(1 / 3),
    FrameReceived(b"\xff\x13\x84", False, 4.0),
    Quiet(5.0),
    CarrierLost(6.0),
    WrongCarrier(None, 7.0),
    DataReceived(b"\0\x80", 8.0),
    PageReady(FORMAT, Payload(b"", 0, ""), 2292, 9.0),
    NoMorePages(10.0),
    AnotherDocument(10.0),
    Noted(10.5),
    Admitted(True, 10.75),
    Kept(True, 11.0),
    Verdict(2292, 3, 2, False, 12.0),
]
TCF = ListenData(FAST, Content.TCF, 4.5)
CANARY = b"QuizjagdVioxBlechXylof"


@pytest.mark.parametrize("value", ONE_OF_EACH, ids=lambda value: type(value).__name__)
def test_every_action_and_event_survives_json(value: Action | Event) -> None:
    assert valued(type(value), json.loads(json.dumps(plain(value)))) == value


def test_every_kind_of_action_and_event_is_tried_here() -> None:
    assert {type(value) for value in ONE_OF_EACH} == {*get_args(Action), *get_args(Event)}
    assert {type(value).__name__ for value in ONE_OF_EACH} == {*ACTIONS, *EVENTS}


def test_payload_survives_json_with_what_is_known_of_it() -> None:
    payload = Payload(b"\xff\x03\x06\x00", 260, "ab" * 32)
    back = valued(bytes, json.loads(json.dumps(plain(payload))))
    assert isinstance(back, Payload)
    assert (back, back.head, back.sha256) == (payload, payload.head, payload.sha256)


def test_recorded_call_is_read_as_it_was(small_call: Path) -> None:
    trace = read(small_call)
    assert trace.header.line == "class1"
    assert trace.header.station.ident == "+49 30 1234567"
    assert trace.outcome is not None
    assert trace.outcome.verdict == "delivered"
    assert [step.line for step in trace.steps[:3]] == [2, 4, 6]
    assert trace.steps[4].result == FrameReceived(b"\xff\x03\x40" + b"0010 555 1+".ljust(20), True, 9.75)
    assert trace.steps[4].at == 8.0


def test_policy_and_evidence_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"
    policy = Policy(ladder=(Modulation.V29_9600,), quality=Quality(longest_run=9))
    trainings = (Training(Modulation.V29_9600, False, 0.25), Training(Modulation.V29_9600, True))
    evidence = Evidence(b"\x00\x22", b"\xb5\x00", trainings, 2, 1, Fcf.PPS)
    with Recorder(path, direction=Direction.IN, line="sim:1", station=Station(policy=policy)) as recorder:
        recorder.outcome(replace(SMALL_OUTCOME, evidence=evidence))
    trace = read(path)
    assert trace.header.station.policy == policy
    assert trace.outcome is not None
    assert trace.outcome.evidence == evidence


def test_recording_from_before_there_was_policy_and_evidence_is_read(small_call: Path) -> None:
    first, *others, last = small_call.read_text().splitlines()
    header, end = json.loads(first), json.loads(last)
    header["station"]["quality"] = header["station"].pop("policy")["quality"]
    del end["outcome"]["evidence"]
    small_call.write_text("\n".join([json.dumps(header), *others, json.dumps(end), ""]))
    trace = read(small_call)
    assert (trace.header.station.policy, trace.outcome) == (Policy(), SMALL_OUTCOME)


def test_frames_are_explained_in_the_file(small_call: Path) -> None:
    lines = [json.loads(line) for line in small_call.read_text().splitlines()]
    (dis,) = (line for line in lines if any("DIS" in says for says in line.get("says", [])))
    assert dis["says"] == [
        "DIS, what the answerer can do: up to V.29 9600, MH, MR, fine, A4 wide, no error correction "
        "(receives at: V.27ter 2400, V.27ter 4800, V.29 7200, V.29 9600; "
        "fine resolution (8 x 7.7 lines/mm); 2-D coding (MR); time per scan line: 0 ms)"
    ]


@pytest.mark.parametrize("cut", range(1, 400, 7))
def test_recording_that_was_cut_off_is_read_as_far_as_it_goes(small_call: Path, cut: int) -> None:
    whole = read(small_call)
    content = small_call.read_bytes()
    small_call.write_bytes(content[:-cut])
    lines = content[:-cut].count(b"\n")
    trace = read(small_call)
    assert trace.outcome is None
    assert trace.header == whole.header
    assert len(trace.steps) == lines // 2
    assert trace.steps[:-1] == whole.steps[: len(trace.steps) - 1]


def test_every_line_is_on_disk_before_the_call_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"
    with Recorder(path, direction=Direction.IN, line="sim:1", station=Station()) as recorder:
        recorder.action(AwaitCall())
        assert read(path).steps[-1].action == AwaitCall()
        recorder.event(Ringing("1", "2", 0.5))
        assert read(path).steps[-1].result == Ringing("1", "2", 0.5)


def test_full_disk_ends_the_recording_and_not_the_call() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    with Recorder(full, direction=Direction.IN, line="sim:1", station=Station()) as recorder:
        recorder.action(AwaitCall())
        recorder.event(Ringing("1", "2", 0.5))
        assert recorder.error is not None


def test_trace_that_cannot_be_written_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot be written"):
        Recorder(tmp_path / "none" / "call.jsonl", direction=Direction.IN, line="sim:1", station=Station())


# --------------------------------------------------------------------------------------------------- what is not shown


@pytest.mark.parametrize("ecm", [True, False], ids=["error correction", "none"])
def test_page_content_is_nowhere_in_the_trace(record_calls, ecm: bool) -> None:  # type: ignore[no-untyped-def]
    pages = [CANARY * 150, CANARY * 50]
    for path in record_calls(pages, answerer=Station(ident="+1 555 0100", ecm=ecm)):
        trace = read(path)
        assert trace.outcome is not None
        assert trace.outcome.complete
        assert not leaks(path.read_bytes(), CANARY)


@pytest.mark.parametrize("written", [CANARY, CANARY.hex().upper().encode(), CANARY.hex(" ").encode()])
def test_search_for_page_content_would_find_it(written: bytes) -> None:
    assert leaks(b'{"octets": "' + written + b'"}', CANARY)


def test_passwords_and_subaddresses_are_nowhere_in_the_trace(tmp_path: Path) -> None:
    secret = "K4n4rienvogel"
    path = tmp_path / "call.jsonl"
    frames = [bytes((0xFF, 0x03, code)) + encoded(secret) for code in (0xC1, 0xA1, 0xC3, 0xC2)]
    station = Station(password=secret, subaddress=secret)
    with Recorder(path, direction=Direction.OUT, line=f"sip:user:{secret}@host", station=station) as recorder:
        recorder.action(SendFrames(Modulation.V21, tuple(frames), 0.0))
        recorder.event(Sent(1.0))
        for frame in frames:
            for good in (True, False):
                recorder.action(ListenFrame(Modulation.V21, 3.0))
                recorder.event(FrameReceived(frame, good, 2.0))
        # The code of a damaged frame may be what is damaged.
        recorder.action(ListenFrame(Modulation.V21, 3.0))
        recorder.event(FrameReceived(b"\xff\x03\x40" + encoded(secret), False, 3.0))
    assert not leaks(path.read_bytes(), secret.encode())
    assert not leaks(path.read_bytes(), encoded(secret).strip())
    assert len(read(path).header.station.password) == 20


def test_training_check_is_kept_whole() -> None:
    octets = bytes(range(256)) * 8
    sent = SendData(FAST, octets, Content.TCF, 0.0)
    assert shown_action(sent) is sent
    assert shown_event(DataReceived(octets), TCF) == DataReceived(octets)
    assert not isinstance(shown_event(DataReceived(octets), TCF).octets, Payload)  # type: ignore[union-attr]


def test_page_data_is_shown_by_length_and_hash_only() -> None:
    sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    shown = shown_event(DataReceived(b""), replace(TCF, content=Content.PAGE))
    assert isinstance(shown, DataReceived)
    assert isinstance(shown.octets, Payload)
    assert (len(shown.octets), shown.octets.sha256) == (0, sha256)


def test_frame_of_page_data_keeps_its_number() -> None:
    frame = b"\xff\x03\x06\x2a" + CANARY
    shown = shown_event(FrameReceived(frame, True), ListenFrame(FAST, 3.0))
    assert isinstance(shown, FrameReceived)
    assert shown.octets == b"\xff\x03\x06\x2a" + bytes(len(CANARY))


def leaks(recorded: bytes, secret: bytes) -> bool:
    """Search for 8 octets in a row of a secret, in any of the ways in which octets are written."""
    for start in range(len(secret) - 7):
        part = secret[start : start + 8]
        ways = (part, part.hex().encode(), part.hex(" ").encode(), base64.b64encode(part[:6]))
        if any(way.lower() in recorded.lower() for way in ways):
            return True
    return False


# ---------------------------------------------------------------------------------------------------------- bad files


def edited(path: Path, number: int, line: str) -> Path:
    lines = path.read_text().splitlines()
    lines[number - 1] = line
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("number", "line", "words"),
    [
        (1, '{"at": 0, "action": "HangUp"}', "its first line is no header"),
        (1, "hello", "its first line is no header"),
        (1, "[" * 100_000, "its first line is no header"),
        (1, '{"trace": 3}', "version 3"),
        (1, '{"trace": 1}', "line 1"),
        (3, "", "line 3"),
        (3, "[]", "line 3"),
        (3, "{}", "line 3"),
        (3, '{"at": 1.0, "event": "Nothing"}', "line 3"),
        (3, '{"at": 1.0, "action": "HangUp"}', "line 3: HangUp has no place here"),
        (2, '{"at": 1.0, "event": "Sent"}', "line 2: Sent has no place here"),
        (3, '{"at": "soon", "event": "Connected"}', "line 3"),
        (3, '{"at": NaN, "event": "Connected"}', "line 3"),
        (3, '{"at": 1.0, "event": "NotConnected", "cause": "TIRED"}', "line 3"),
        (3, '{"at": 1.0, "event": "DataReceived", "octets": {"octets": 999999999999}}', "line 3"),
        (3, '{"at": 1.0, "event": "DataReceived", "octets": "XX"}', "line 3"),
        (3, '{"at": 1.0, "event": ["Sent"]}', "line 3"),
        (5, '{"outcome": {}}', "line 5"),
    ],
)
def test_bad_line_is_told_in_one_sentence(small_call: Path, number: int, line: str, words: str) -> None:
    with pytest.raises(RequestError, match=words) as told:
        read(edited(small_call, number, line))
    assert told.value.code == "usage"
    assert "\n" not in told.value.reason
    assert len(told.value.reason) < 300


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xd8\xff\xe0JFIF\n\n", os.urandom(1000) + b"\n", b"%PDF-1.7\n"])
def test_file_that_is_no_trace_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "call.jsonl"
    path.write_bytes(content)
    with pytest.raises(RequestError, match="is no trace of a call"):
        read(path)


def test_line_after_the_outcome_is_refused(small_call: Path) -> None:
    with small_call.open("a") as file:
        file.write('{"at": 1.0, "action": "HangUp"}\n')
    with pytest.raises(RequestError, match="no place here"):
        read(small_call)


@pytest.mark.parametrize("seed", range(40))
def test_recording_of_impossible_things_can_be_told_and_replayed(small_call: Path, seed: int) -> None:
    random = Random(seed)
    trace = read(small_call)
    events: list[Any] = [
        *(each for each in ONE_OF_EACH if type(each).__name__ in EVENTS),
        FrameReceived(b"", True),
        None,
    ]
    actions: list[Any] = [each for each in ONE_OF_EACH if type(each).__name__ in ACTIONS]
    steps = list(trace.steps[1:])
    for _ in range(8):
        at = random.randrange(len(steps))
        steps[at] = replace(steps[at], result=random.choice(events))
        at = random.randrange(len(steps))
        steps[at] = replace(steps[at], action=random.choice(actions))
    impossible = replace(trace, steps=(trace.steps[0], *steps))
    assert list(listing(impossible))
    ElementTree.fromstring(ladder(impossible))
    assert b"made up" in pcap(impossible)
    played_again(impossible)  # whatever differs, it raises nothing


def test_dropped_line_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"
    with Recorder(path, direction=Direction.OUT, line="sim:1", station=Station()) as recorder:
        recorder.action(Dial("1"))
        recorder.thrown(LineError("gone", code="line.dropped"), 1.25)
    trace: Trace = read(path)
    assert trace.steps[0].until == 1.25
    assert trace.steps[0].result is not None
    assert "gone" in repr(trace.steps[0].result)
