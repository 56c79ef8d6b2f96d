"""Recorded calls over T.38, with SIP or without, between two lines of ours; and the pages that they carry."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from drivers.registry import Line
from drivers.t38.line import UdptlLine
from drivers.t38.media import Agreed
from drivers.t38.options import Options
from faxgw.calls import run_call
from faxgw.trace.record import Recorder
from simulators.clock import run
from simulators.lan import Lan
from simulators.network import Weather, pair
from t30.answering import answering
from t30.calling import calling
from t30.capabilities import Station
from t30.line import FaxLine, LineClock
from t30.outcome import Direction
from t30.pages import (
    AdmitPoller,
    Admitted,
    FetchPage,
    JudgePage,
    KeepData,
    Kept,
    Key,
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
from tests.drivers.sip.calls import line, trunk

ROWS = 1143
NOWHERE = ("", 0)
CALLER, ANSWERER = Station("+49 30 1234567"), Station("+1 555 0100")
OUT, IN = "out.jsonl", "in.jsonl"
"""Files of the traces of the caller and of the answerer."""


class Pages:
    """A page port over octets that nobody looks into: sends ``pages``, judges what it gets as told.

    A caller that wants the pages must know ``key``.
    """

    key = Key("12", "K4n4r1envogel")

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
            case AdmitPoller():
                return Admitted(self.key.opens(action))
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
    caller: Station = CALLER,
    answerer: Station = ANSWERER,
    agreed: Agreed = Agreed(),  # noqa: B008
    there: Weather = Weather(),  # noqa: B008
    back: Weather | None = None,
) -> tuple[Path, Path]:
    """Send pages over T.38; return both ends' traces, the caller's first."""

    async def call() -> None:
        plugs = pair(there, back or there, LineClock(asyncio.get_running_loop().time))
        ours, theirs = (UdptlLine(each, Options(NOWHERE, NOWHERE, agreed=agreed)) for each in plugs)
        await recorded_call(folder, pages, (ours, theirs), (caller, answerer))

    run(call())
    return folder / OUT, folder / IN


def sip_calls(
    folder: Path,
    pages: Sequence[bytes],
    *,
    options: str = "",
    answerer: Station = ANSWERER,
    weather: Weather = Weather(),  # noqa: B008
) -> tuple[Path, Path]:
    """Send pages over SIP and T.38; return both ends' traces, the caller's first."""
    near, far = "192.0.2.1", "192.0.2.2"

    async def call() -> None:
        ours = line(await trunk(f"sip:{far}:5060?local={near}:5060{options}"))
        theirs = line(await trunk(f"sip:{near}:5060?local={far}:5060{options}"))
        await recorded_call(folder, pages, (ours, theirs), (CALLER, answerer))

    run(call(), lan=Lan(weather))
    return folder / OUT, folder / IN


async def recorded_call(
    folder: Path, pages: Sequence[bytes], lines: tuple[Line, Line], stations: tuple[Station, Station]
) -> None:
    """Send pages from the first of two lines to the second, which waits 5 s by then, and close both."""
    ours, theirs = lines
    answer = Recorder(folder / IN, direction=Direction.IN, line="sip:", station=stations[1])
    answer.watch(theirs)
    waiting = asyncio.create_task(run_call(Session(answering(stations[1])), theirs, Pages(), [answer]))
    await asyncio.sleep(5.0)
    recorder = Recorder(folder / OUT, direction=Direction.OUT, line="sip:", station=stations[0])
    recorder.watch(ours)
    recorder.outcome(await run_call(Session(calling(stations[0], "15550100")), ours, Pages(pages), [recorder]))
    answer.outcome(await waiting)
    await asyncio.gather(ours.close(), theirs.close())
    for each in (recorder, answer):
        each.close()
