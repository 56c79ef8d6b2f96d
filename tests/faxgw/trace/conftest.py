"""Recorded calls: real ones between two engines on a circuit, and a small one made by hand whose times never change."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from faxgw.trace.record import Recorder
from simulators.clock import run
from simulators.faults import Faults
from simulators.line import CircuitLine
from simulators.switch import Switch
from t30.answering import answering
from t30.calling import calling, polling
from t30.capabilities import Station
from t30.line import (
    Action,
    CarrierLost,
    Connected,
    Content,
    Dial,
    Event,
    FrameReceived,
    HangUp,
    LineClock,
    ListenFrame,
    Quiet,
    SendData,
    SendFrames,
    SendTone,
    Sent,
    Tone,
)
from t30.outcome import Direction, Outcome, PageResult, Reason
from t30.pages import (
    Coding,
    FetchPage,
    Length,
    NoMorePages,
    PageFormat,
    PageLimits,
    PageReady,
    Resolution,
    Width,
)
from t30.rates import Modulation
from t30.session import Session
from tests.faxgw.trace.calls import Pages, recorded

CALLER = Station(ident="+49 30 1234567")
ANSWERER = Station(ident="+1 555 0100")
NUMBER = "+15550100"
RecordCalls = Callable[..., tuple[Path, Path]]


@pytest.fixture
def record_calls(tmp_path: Path) -> RecordCalls:
    """Return a function that makes one call and returns both ends' traces, the caller's first."""

    def record(
        pages: Sequence[bytes],
        *,
        caller: Station = CALLER,
        answerer: Station = ANSWERER,
        number: str = NUMBER,
        polls: bool = False,
        faults: Faults = Faults(),  # noqa: B008
        bad_rows: int = 0,
    ) -> tuple[Path, Path]:
        out, in_ = tmp_path / "out.jsonl", tmp_path / "in.jsonl"

        async def call() -> None:
            clock = LineClock(asyncio.get_running_loop().time)
            switch = Switch(clock, faults=faults)
            ends = CircuitLine(switch.attach("+49301234567"), clock), CircuitLine(switch.attach(NUMBER), clock)
            answer = Recorder(in_, direction=Direction.IN, line="sim:+15550100", station=answerer)
            theirs = Pages(pages if polls else (), bad_rows=0 if polls else bad_rows)
            waiting = asyncio.create_task(recorded(Session(answering(answerer)), ends[1], theirs, answer))
            direction, procedure = (Direction.IN, polling) if polls else (Direction.OUT, calling)
            recorder = Recorder(out, direction=direction, line="sim:+49301234567", station=caller)
            ours = Pages(() if polls else pages, bad_rows=bad_rows if polls else 0)
            await recorded(Session(procedure(caller, number)), ends[0], ours, recorder)
            await asyncio.sleep(120)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

        run(call())
        return out, in_

    return record


_FORMAT = PageFormat(Width.A4, Length.A4, Resolution.FINE, Coding.MH, False)
_LIMITS = PageLimits(Width.A4, Length.A4, frozenset({Resolution.STANDARD, Resolution.FINE}), Coding.MH, False)
_V21, _V29 = Modulation.V21, Modulation.V29_9600
_PAGE = bytes(range(1, 200)) * 20

SMALL_CALL: list[tuple[Action, Event]] = [
    (Dial("+1 555 0100"), Connected(4.0)),
    (SendTone(Tone.CNG), Sent(4.5)),
    (ListenFrame(_V21, 3.0), Quiet(7.5)),
    (SendTone(Tone.CNG), Sent(8.0)),
    (ListenFrame(_V21, 3.0), FrameReceived(b"\xff\x03\x40" + b"0010 555 1+".ljust(20), True, 9.75)),
    (ListenFrame(_V21, 4.5), FrameReceived(bytes.fromhex("FF 13 80 00 CE 70"), True, 10.0)),
    (
        SendFrames(_V21, (b"\xff\x03\xc3" + b"7654321".ljust(20), bytes.fromhex("FF 13 83 00 46 70")), 0.075),
        Sent(12.0),
    ),
    (SendData(_V29, bytes(1800), Content.TCF, 0.075), Sent(13.9)),
    (ListenFrame(_V21, 3.0), FrameReceived(bytes.fromhex("FF 13 44"), True, 15.25)),
    (SendFrames(_V21, (bytes.fromhex("FF 13 83 00 46 70"),), 0.075), Sent(16.5)),
    (SendData(_V29, bytes(1800), Content.TCF, 0.075), Sent(18.4)),
    (ListenFrame(_V21, 3.0), FrameReceived(bytes.fromhex("FF 13 84"), True, 19.75)),
    (FetchPage(0, _LIMITS, 0), PageReady(_FORMAT, _PAGE, 1143, 19.75)),
    (FetchPage(1, _LIMITS, 0), NoMorePages(19.75)),
    (SendData(_V29, _PAGE, Content.PAGE, 0.075), Sent(23.5)),
    (SendFrames(_V21, (bytes.fromhex("FF 13 2F"),), 0.075), Sent(24.75)),
    (ListenFrame(_V21, 3.0), FrameReceived(bytes.fromhex("FF 13 8D"), False, 26.0)),
    (ListenFrame(_V21, 4.5), CarrierLost(26.1)),
    (SendFrames(_V21, (bytes.fromhex("FF 13 2F"),), 0.075), Sent(27.25)),
    (ListenFrame(_V21, 3.0), FrameReceived(bytes.fromhex("FF 13 8C"), True, 28.5)),
    (SendFrames(_V21, (bytes.fromhex("FF 13 FB"),), 0.075), Sent(29.75)),
    (HangUp(), Sent(30.0)),
]
"""One page at standard coding, with a training that fails once, a subaddress, and an answer that is damaged once."""

_RESULT = PageResult(0, _FORMAT, len(_PAGE), 1143, True, 0, 8.75)
SMALL_OUTCOME = Outcome(Direction.OUT, Reason(), "+1 555 0100", 30.0, _V29, False, (_RESULT,), True)


@pytest.fixture
def small_call(tmp_path: Path) -> Path:
    """Return the trace of a call whose times never change."""
    path = tmp_path / "small.jsonl"
    started = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    with Recorder(path, direction=Direction.OUT, line="class1:/dev/tty", station=CALLER, started=started) as recorder:
        for action, event in SMALL_CALL:
            recorder.action(action)
            recorder.event(event)
        recorder.outcome(SMALL_OUTCOME)
    return path
