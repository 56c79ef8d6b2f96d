"""Recorded calls over T.38 between two lines of ours, in virtual time, and the pages that they carry."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from drivers.t38.line import Options, UdptlLine
from drivers.t38.media import Agreed
from faxgw.calls import run_call
from faxgw.trace.record import Recorder
from simulators.clock import run
from simulators.network import Weather, pair
from t30.answering import answering
from t30.calling import calling
from t30.capabilities import Station
from t30.line import FaxLine, LineClock
from t30.outcome import Direction
from t30.pages import (
    FetchPage,
    JudgePage,
    KeepData,
    Kept,
    Length,
    NoMorePages,
    NoteConfirmed,
    Noted,
    PageAction,
    PageEvent,
    PageFormat,
    PageReady,
    Resolution,
    Verdict,
    Width,
)
from t30.session import Session

ROWS = 1143
NOWHERE = ("", 0)


class Pages:
    """A page port over octets that nobody looks into: sends ``pages``, judges what it gets as told."""

    def __init__(self, pages: Sequence[bytes] = (), bad_rows: int = 0) -> None:
        self.pages = pages
        self.bad_rows = bad_rows

    async def perform(self, action: PageAction) -> PageEvent:
        match action:
            case FetchPage(index) if index >= len(self.pages):
                return NoMorePages()
            case FetchPage(index, limits):
                format = PageFormat(Width.A4, Length.A4, Resolution.STANDARD, limits.coding, limits.ecm)
                return PageReady(format, self.pages[index], ROWS)
            case NoteConfirmed():
                return Noted()
            case KeepData():
                return Kept(False)
            case JudgePage():
                return Verdict(ROWS, self.bad_rows, min(self.bad_rows, 2), True)


async def recorded(session: Session, line: FaxLine, pages: Pages, recorder: Recorder) -> None:
    """Run a call that is recorded; of its network only if the recorder watches the line."""
    with recorder:
        recorder.outcome(await run_call(session, line, pages, [recorder]))


def t38_calls(
    folder: Path,
    pages: Sequence[bytes],
    *,
    caller: Station = Station("+49 30 1234567"),  # noqa: B008
    answerer: Station = Station("+1 555 0100"),  # noqa: B008
    agreed: Agreed = Agreed(),  # noqa: B008
    there: Weather = Weather(),  # noqa: B008
    back: Weather | None = None,
) -> tuple[Path, Path]:
    """Send pages over T.38; return both ends' traces, the caller's first."""
    out, in_ = folder / "out.jsonl", folder / "in.jsonl"

    async def call() -> None:
        clock = LineClock(asyncio.get_running_loop().time)
        plugs = pair(there, back or there, clock)
        ours, theirs = (UdptlLine(each, Options(NOWHERE, NOWHERE, agreed=agreed)) for each in plugs)
        answer = Recorder(in_, direction=Direction.IN, line="udptl:", station=answerer)
        answer.watch(theirs)
        waiting = asyncio.create_task(recorded(Session(answering(answerer)), theirs, Pages(), answer))
        await asyncio.sleep(5.0)
        recorder = Recorder(out, direction=Direction.OUT, line="udptl:", station=caller)
        recorder.watch(ours)
        await recorded(Session(calling(caller, "1")), ours, Pages(pages), recorder)
        await waiting
        await asyncio.gather(ours.close(), theirs.close())

    run(call())
    return out, in_
