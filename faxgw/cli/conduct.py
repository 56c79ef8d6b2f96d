"""What ``send`` and ``receive`` have in common: a line is opened, one call is run, its result is printed."""

import asyncio
import json
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import structlog  # noqa: F401 (here by the time the log is aimed at standard error; a line is loaded only later)
import typer
from rich.console import Console

from drivers.registry import Line, open_line
from faxgw.calls import Observer, result, run_call
from faxgw.cli.progress import Progress
from faxgw.documents.source import PageSource
from faxgw.documents.target import PageTarget
from faxgw.errors import RequestError
from faxgw.trace.record import Recorder
from t30.capabilities import Station
from t30.exchange import Procedure
from t30.line import Action, AwaitCall, Event, LineError, Ringing
from t30.outcome import CallEnded, Direction, Outcome, Reason
from t30.session import Session

GOOD = {"delivered", "received"}

Pages = PageSource | PageTarget


@dataclass(frozen=True, slots=True)
class Call:
    """One call as the user asked for it.

    Attributes:
        wait: seconds to wait for it to come in; None: for ever.
        longest: seconds that it may last; None: as long as it takes.
        pages: how many pages there are to send; None if that is for the other side to know.
    """

    direction: Direction
    line: str
    station: Station
    procedure: Callable[[Station], Procedure[Outcome]]
    trace: Path | None
    json: bool
    pages: int | None = None
    wait: float | None = None
    longest: float | None = None


def conduct(call: Call, pages: Pages) -> Outcome:
    """Run one call and return what it came to; SIGINT and SIGTERM end it politely.

    Raises:
        RequestError: if the line's URL or a document makes no sense, or the trace cannot be written.
    """
    console = Console(stderr=True)
    try:
        return asyncio.run(_conduct(call, pages, console))
    except LineError as fault:
        if fault.code == "usage":
            raise RequestError("usage", str(fault)) from fault
        return _not_begun(call, Reason(fault.code, str(fault)))


async def _conduct(call: Call, pages: Pages, console: Console) -> Outcome:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    line: Line | None = None
    with ExitStack() as recording:  # until the line is closed, since its last words are of the call
        try:
            await pages.prepare(call.station.codings)
            line = await open_line(call.line)
            return await _run(call, line, pages, console, recording)
        except asyncio.CancelledError:
            return _not_begun(call, Reason("call.canceled", "the call was ended from this side"))
        finally:
            if line is not None:
                await line.close()
            await _close(pages, console)


async def _run(call: Call, line: Line, pages: Pages, console: Console, recording: ExitStack) -> Outcome:
    task = asyncio.current_task()
    assert task is not None
    limits = _Limits(call, task.cancel, lambda: typer.echo("listening", err=call.json))
    can = line.sends if call.direction is Direction.OUT else line.receives
    station = call.station.limited_to(can)
    with ExitStack() as until_end:
        observers: list[Observer] = [limits, until_end.enter_context(Progress(console, line.clock, call.pages))]
        recorder = _recorder(call, call.trace, line, station) if call.trace else None
        if recorder:
            recording.callback(_closed, recorder, console)
            observers.append(recorder)
        outcome = await run_call(Session(call.procedure(station)), line, pages, observers)
        if recorder:
            recorder.outcome(outcome)
        if outcome.reason.code == "usage":
            raise RequestError("usage", outcome.reason.text)
        if limits.nobody_called:
            return replace(outcome, reason=Reason("call.none", f"nobody called within {call.wait:g} s"))
        if isinstance(pages, PageTarget) and pages.fault and not outcome.complete:
            # To the engine, and to the sender, the page was just never ready.
            return replace(outcome, reason=Reason("storage.failed", f"a page could not be stored: {pages.fault}"))
        return outcome


def _recorder(call: Call, into: Path, line: Line, station: Station) -> Recorder:
    recorder = Recorder(into, direction=call.direction, line=call.line, station=station)
    recorder.watch(line)
    return recorder


def _closed(recorder: Recorder, console: Console) -> None:
    recorder.close()
    if recorder.error:
        console.print(f"the trace is incomplete: {recorder.error}")


async def _close(pages: Pages, console: Console) -> None:
    """Let go of the pages; of a fax that was received, only the PDF may be missing then."""
    try:
        await pages.close()
    except OSError as fault:
        console.print(f"the PDF could not be written, the TIFF is whole: {fault}", markup=False, soft_wrap=True)


def _not_begun(call: Call, reason: Reason) -> Outcome:
    return Outcome(call.direction, reason, "", 0.0, None, ecm=False)


def report(call: Call, outcome: Outcome) -> None:
    """Print what a call came to, and end the command with its exit code."""
    if call.json:
        typer.echo(json.dumps(result(outcome)))
    else:
        typer.echo(in_words(outcome))
    raise typer.Exit(0 if outcome.verdict in GOOD else 1)


def in_words(outcome: Outcome) -> str:
    """Say in one sentence what a call came to."""
    confirmed = sum(page.confirmed for page in outcome.pages)
    pages = f"{confirmed} page{'s' * (confirmed != 1)}"
    whom = f" {'to' if outcome.direction is Direction.OUT else 'from'} {outcome.remote_id}" if outcome.remote_id else ""
    how = f" at {outcome.modulation.bps} bit/s" if outcome.modulation and outcome.pages else ""
    correction = ", with error correction" if outcome.ecm and outcome.pages else ""
    why = f": {outcome.reason.text}" if outcome.reason.text else ""
    return f"{outcome.verdict}: {pages}{whom} in {outcome.seconds:.0f} s{how}{correction}{why}"


class _Limits:
    """Ends a call that does not come, or lasts too long."""

    def __init__(self, call: Call, cancel: Callable[[str], object], ready: Callable[[], None]) -> None:
        self.nobody_called = False
        self._call = call
        self._cancel = cancel
        self._ready = ready
        self._timer: asyncio.TimerHandle | None = None

    def action(self, action: Action) -> None:
        """Start the timer of the wait, or of the call."""
        if isinstance(action, AwaitCall):
            self._ready()
            self._start(self._call.wait, self._give_up)
        elif self._timer is None:
            self._start(self._call.longest, self._cut_short)

    def event(self, event: Event) -> None:
        """Stop waiting when it has rung."""
        if isinstance(event, Ringing):
            self._stop()

    def thrown(self, error: LineError | CallEnded, at: float) -> None:  # noqa: ARG002
        """Let the call end without another limit."""
        self._stop()

    def _start(self, seconds: float | None, then: Callable[[], object]) -> None:
        if seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, then)

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _cut_short(self) -> None:
        self._cancel(f"the call lasted longer than {self._call.longest:g} s")

    def _give_up(self) -> None:
        self.nobody_called = True
        self._cancel("nobody called")
