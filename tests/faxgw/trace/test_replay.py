"""Replay: every recorded call is done again exactly, and a changed recording is found where it was changed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from faxgw.calls import PageFault
from faxgw.errors import RequestError
from faxgw.replay import Difference, replay
from faxgw.trace.reading import read
from faxgw.trace.record import Recorder
from simulators.faults import Faults
from t30.answering import answering
from t30.calling import calling
from t30.capabilities import Offer, Station
from t30.identity import encoded
from t30.line import (
    Action,
    Answer,
    AwaitCall,
    Connected,
    Dial,
    Event,
    FrameReceived,
    HangUp,
    LineError,
    ListenFrame,
    Ringing,
    SendFrames,
    Sent,
)
from t30.outcome import CallEnded, Canceled, Direction, Outcome
from t30.rates import Family, Modulation
from t30.session import Session
from tests.faxgw.trace.calls import Pages

RecordCalls = Callable[..., tuple[Path, Path]]
RANDOM = Random(3)
THREE = [RANDOM.randbytes(length) for length in (3000, 700, 70_000)]
PLAIN = Station(ident="+1 555 0100", ecm=False)
SLOW = frozenset(one.long for one in Modulation if one.family is Family.V17)


@pytest.mark.parametrize(
    "call",
    [
        {},
        {"answerer": PLAIN},
        {"answerer": PLAIN, "bad_rows": 100},
        {"answerer": PLAIN, "bad_rows": 1000},
        {"caller": Station(password="secret", subaddress="4711", frame_octets=64)},
        {"faults": Faults(untrainable=SLOW)},
        {"faults": Faults(drop_at=25.0)},
        {"number": "+19995550100"},
    ],
    ids=["whole", "plain", "retrained", "refused", "small frames", "slow", "dropped", "unreachable"],
)
def test_recorded_call_is_done_again_exactly(record_calls: RecordCalls, call: dict[str, object]) -> None:
    for path in record_calls(THREE, **call):
        trace = read(path)
        assert replay(trace) is None
        assert trace.steps


@pytest.mark.parametrize("seed", range(12))
def test_call_with_faults_is_done_again_exactly(record_calls: RecordCalls, seed: int) -> None:
    faults = Faults(seed=seed, lost=0.1, corrupted=0.2, delayed=0.1, echoed=0.1, dropouts=0.1)
    answerer = PLAIN if seed % 2 else Station(ident="+1 555 0100")
    out, in_ = record_calls(THREE, faults=faults, answerer=answerer)
    assert (replay(read(out)), replay(read(in_))) == (None, None)


@pytest.mark.parametrize(
    ("fault", "then"),
    [
        (Canceled("the operator ended the call"), SendFrames),
        (PageFault("the disk is full", "storage.failed"), SendFrames),
        (LineError("the modem is gone", code="line.unavailable"), HangUp),
    ],
    ids=lambda value: type(value).__name__,
)
def test_call_ended_from_outside_is_done_again_exactly(
    tmp_path: Path, fault: LineError | CallEnded, then: type[Action]
) -> None:
    path = tmp_path / "call.jsonl"
    session = Session(calling(Station(), "1"))
    with Recorder(path, direction=Direction.OUT, line="sim:1", station=Station()) as recorder:
        now = 0.0
        while action := session.action:
            recorder.action(action)
            now += 3.0
            if isinstance(action, ListenFrame):
                recorder.thrown(fault, now)
                session.throw(fault)
                assert isinstance(session.action, then)
                continue
            event = Connected(now) if isinstance(action, Dial) else Sent(now)
            recorder.event(event)
            session.handle(event)
        assert session.outcome
        assert session.outcome.reason.code == fault.code
        recorder.outcome(session.outcome)
    assert replay(read(path)) is None


def test_what_came_damaged_decides_nothing_since_a_recording_does_not_have_it(tmp_path: Path) -> None:
    """Not even what came damaged in its check sequence only, and is our own signal octet by octet."""
    path = tmp_path / "call.jsonl"
    session = Session(answering(Station("+1 555 0100")))
    with Recorder(path, direction=Direction.IN, line="sim:1", station=Station("+1 555 0100")) as recorder:
        now = 0.0
        while (action := session.action) and now < 20.0:
            recorder.action(action)
            now += 1.0
            event: Event = Sent(now)
            match action:
                case AwaitCall():
                    event = Ringing("1", "2", now)
                case Answer():
                    event = Connected(now)
                case SendFrames(frames=frames):
                    said = frames[-1]
                case ListenFrame():
                    event = FrameReceived(said, good=False, at=now)
            recorder.event(event)
            session.handle(event)
    assert replay(read(path)) is None


def test_recording_that_was_cut_off_is_compared_as_far_as_it_goes(record_calls: RecordCalls) -> None:
    for path in record_calls(THREE):
        content = path.read_bytes()
        for keep in (0.3, 0.6, 0.99):
            path.write_bytes(content[: int(len(content) * keep)])
            assert replay(read(path)) is None


def changed(path: Path, find: str, new: str) -> int:
    """Replace the first ``find`` in the file, and return the number of its line."""
    content = path.read_text()
    assert content.count(find)
    path.write_text(content.replace(find, new, 1))
    return content[: content.index(find)].count("\n") + 1


@pytest.mark.parametrize(
    ("find", "new"),
    [
        ('"octets": "FF 13 84", "good": true', '"octets": "FF 13 44", "good": true'),
        ('"octets": "FF 13 8C", "good": true', '"octets": "FF 13 8C", "good": false'),
        ('"octets": "FF 13 8C", "good": true', '"octets": "FF 13 FA", "good": true'),
        ('"event": "PageReady"', '"event": "NoMorePages"'),
    ],
    ids=["training refused", "confirmation damaged", "goodbye", "no page"],
)
def test_changed_event_is_found_at_the_action_after_it(record_calls: RecordCalls, find: str, new: str) -> None:
    out, _ = record_calls(THREE)
    line = changed(out, find, new)
    difference = replay(read(out))
    assert difference is not None
    assert difference.line == line + 1
    assert difference.recorded != difference.engine


@pytest.mark.parametrize(
    ("find", "new"),
    [
        ('"action": "ListenFrame", "modulation": "V21", "within": 3.0', '"action": "ListenFrame", "modulation": "V21"'),
        ('"head": "FF 03 06 01"', '"head": "FF 03 06 02"'),
        ('"head": "FF 03 06 03", "octets": 260', '"head": "FF 03 06 03", "octets": 259'),
        ('"frames": ["FF 13 BF 4F', '"frames": ["FF 13 BF 8F'),
        ('"after": 0.075', '"after": 0.07500000000000001'),
        ('"index": 1', '"index": 2'),
    ],
    ids=["limit", "frame number", "frame length", "command", "silence", "page"],
)
def test_changed_action_is_found_at_its_line(record_calls: RecordCalls, find: str, new: str) -> None:
    out, _ = record_calls(THREE)
    if "within" in find:
        new += ', "within": 3.1'
    line = changed(out, find, new)
    difference = replay(read(out))
    assert difference is not None
    assert difference.line == line
    assert "send" in difference.path or "await_dis" in difference.path


def test_changed_time_is_found_where_it_changes_a_limit(record_calls: RecordCalls) -> None:
    _, in_ = record_calls(THREE)
    trace = read(in_)
    number = next(n for n, step in enumerate(trace.steps) if isinstance(step.action, ListenFrame))
    assert replay(trace) is None
    lines = in_.read_text().splitlines()
    event = json.loads(lines[trace.steps[number].line])
    lines[trace.steps[number].line] = json.dumps({"at": event["at"] + 0.5, "event": "CarrierLost"})
    in_.write_text("\n".join(lines) + "\n")
    difference = replay(read(in_))
    assert difference is not None
    assert difference.line == trace.steps[number + 1].line


def test_changed_outcome_is_found_at_the_end(record_calls: RecordCalls) -> None:
    out, _ = record_calls(THREE)
    changed(out, '"remote_id": "+1 555 0100"', '"remote_id": "+1 555 0101"')
    difference = replay(read(out))
    assert isinstance(difference, Difference)
    assert difference.line == 0
    assert isinstance(difference.recorded, Outcome)
    assert isinstance(difference.engine, Outcome)
    assert difference.engine.remote_id == "+1 555 0100"


def test_station_of_another_kind_would_act_differently(record_calls: RecordCalls) -> None:
    out, _ = record_calls(THREE)
    changed(out, '"max_bps": 14400', '"max_bps": 9600')
    difference = replay(read(out))
    assert difference is not None
    assert isinstance(difference.engine, SendFrames)


def test_recording_of_no_call_is_the_users_mistake(small_call: Path) -> None:
    changed(small_call, '"action": "Dial", "number": "+1 555 0100"', '"action": "HangUp"')
    with pytest.raises(RequestError, match="begins neither"):
        replay(read(small_call))


LOCKED = Station(ident="+1 555 0100", receives=False, offer=Offer(selective=True, password=True))
KNOWS = Station(ident="+49 30 1234567", subaddress=Pages.key.address, password=Pages.key.password)


@pytest.mark.parametrize("caller", [KNOWS, replace(KNOWS, password="other"), replace(KNOWS, subaddress="")])
def test_polled_call_is_done_again_exactly_by_both_sides(record_calls: RecordCalls, caller: Station) -> None:
    verdicts = []
    for path in record_calls(THREE, caller=caller, answerer=LOCKED, polls=True):
        trace = read(path)
        assert replay(trace) is None
        assert trace.outcome is not None
        verdicts.append(trace.outcome.verdict)
        assert encoded(KNOWS.password).strip().hex(" ").upper() not in path.read_text()
        assert KNOWS.password not in path.read_text()
    assert verdicts == (["received", "delivered"] if caller is KNOWS else ["failed", "failed"])
