"""The trace file: JSON lines, one for the call, one for each action and event, one for the outcome.

Between them stands what the line showed of its network, if it showed anything.

Each line is handed to the system before the call goes on, so a killed process leaves a readable file.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from drivers.witness import Seen, Witnessed
from faxgw import __version__
from faxgw.errors import RequestError
from faxgw.trace import words
from faxgw.trace.privacy import shown_action, shown_event, shown_station
from faxgw.trace.values import plain
from faxgw.trace.wires import BEFORE, Prelude, WireWriter
from t30 import ENGINE
from t30.capabilities import Station
from t30.line import Action, AwaitCall, Event, FaxLine, LineClock, LineError
from t30.outcome import CallEnded, Canceled, Direction, Outcome

FAULTS = (LineError, Canceled, CallEnded)
VERSION = 2
"""Raised when a reader of today could not read the file of tomorrow."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a trace says of the call before it begins.

    Attributes:
        line: the scheme of the line only (``class1``, ``sim``, ...): what follows it may hold credentials.
        started: local time in ISO 8601, with the offset.
        station: who we are and what we may do, secrets masked.
        engine: which engine made the call; the first did not say so.
    """

    product: str
    direction: Direction
    line: str
    started: str
    station: Station
    engine: int = 1

    @property
    def writer(self) -> str:
        """Who wrote the trace."""
        return f"{self.product} (engine {self.engine})"


@dataclass(frozen=True, slots=True)
class Thrown:
    """The call was ended from outside: the line dropped it, the operator canceled it, a page could not be stored.

    Attributes:
        kind: the name of one of ``FAULTS``; the error may have been of a class below it.
    """

    kind: str
    code: str
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Step:
    """An action and what came of it.

    Attributes:
        line: of the file, where the action stands; what came of it stands on the next one, but for the network.
        at: when it was begun, in seconds since the call began.
        result: None if the recording was cut off before it was known.
        given: the action as it stands in the file: what it lacks has its default in ``action``.
    """

    line: int
    at: float
    action: Action
    result: Event | Thrown | None
    given: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def until(self) -> float:
        """When the result was there."""
        return self.result.at if self.result else self.at


@dataclass(frozen=True, slots=True)
class Trace:
    """A recorded call.

    Attributes:
        outcome: None if the recording was cut off before the call ended.
        seen: what the line showed of its network, as it is shown to everybody, in the order of time; times are seconds
            since the call began, negative before that.
        began: when that was; None where nothing was shown.
        given: the outcome as it stands in the file.
        unknown: names of what stands in the file and means nothing to this version: a newer one wrote it.
    """

    header: Header
    steps: tuple[Step, ...]
    outcome: Outcome | None
    seen: tuple[Seen, ...] = ()
    began: datetime | None = None
    given: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    unknown: tuple[str, ...] = ()


class Recorder:
    """Writes one call down. A full disk ends the recording, never the call: ``error`` says why then.

    Attributes:
        error: why the recording stopped, or is incomplete; or None.
    """

    def __init__(
        self, into: Path | TextIO, *, direction: Direction, line: str, station: Station, started: datetime | None = None
    ) -> None:
        """Begin the file.

        Args:
            into: a file, which is overwritten; or an open one, which is closed at the end.
            direction: of the fax.
            line: the line's URL or scheme; only the scheme is written.
            station: who we are; its secrets are masked.
            started: when the call began; default: now.

        Raises:
            RequestError: if the file cannot be written.
        """
        self.error: Exception | None = None
        self._after: Action | None = None
        self._now = 0.0
        self._outcome: Outcome | None = None
        self._line: Witnessed | None = None
        self._clock: LineClock | None = None
        self._prelude = Prelude()
        self._wires: WireWriter | None = None
        try:
            opened = into.open("w", encoding="utf-8", newline="\n") if isinstance(into, Path) else into
        except OSError as error:
            raise RequestError("usage", f"the trace cannot be written to {into}: {error.strerror}") from error
        self._file: TextIO | None = opened
        moment = (started or datetime.now(UTC)).astimezone().isoformat(timespec="seconds")
        scheme = line.partition(":")[0]
        header = Header(f"faxgw {__version__}", direction, scheme, moment, shown_station(station), ENGINE)
        self._write({"trace": VERSION, **plain(header)})

    def watch(self, line: FaxLine) -> None:
        """Write down what a line shows of its network, too, if it shows anything, until the recording ends."""
        if isinstance(line, Witnessed):
            if isinstance(line.witness, Prelude):
                self._prelude = line.witness
            self._line, self._clock = line, line.clock
            line.witness = self._prelude

    def action(self, action: Action) -> None:
        """Write down what is about to be done."""
        self._after = action
        if not isinstance(action, AwaitCall):
            self._begun(self._now)
        self._flush()
        self._write(_line("action", shown_action(action), self._now))

    def event(self, event: Event) -> None:
        """Write down what came of it; ``event.at`` is its time."""
        self._now = event.at
        self._begun(event.at)
        self._flush()
        self._write(_line("event", shown_event(event, self._after), self._now))

    def thrown(self, error: LineError | CallEnded, at: float) -> None:
        """Write down that the call was ended from outside: by the line, the operator, or the keeper of the pages."""
        self._now = at
        self._begun(at)
        self._flush()
        kind = next(kind for kind in FAULTS if isinstance(error, kind))
        self._write(_line("thrown", Thrown(kind.__name__, error.code, str(error), at), at))

    def outcome(self, outcome: Outcome) -> None:
        """Take note of what the call came to. It is the last line: the network may still have something to say."""
        self._outcome = outcome
        self._flush()

    def end(self) -> None:
        """Write the outcome, if there is one, and nothing more."""
        self._leave()
        outcome, self._outcome = self._outcome, None
        if outcome is not None:
            self._write({"outcome": {"verdict": outcome.verdict, **plain(outcome)}})

    def close(self) -> None:
        """End the recording and the file."""
        self.end()
        if self._file:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------------------------------------------- the network

    def _begun(self, now: float) -> None:
        """Take note of when the call began, and write down what was shown before; ``now`` is counted from there."""
        if self._wires is not None or self._line is None or self._clock is None:
            return
        began = self._clock.now() - now
        moment = datetime.now(UTC) - timedelta(seconds=now)
        self._wires = WireWriter(self._write, began=began, moment=moment)
        self._line.witness = self._seen
        for seen in self._prelude.seen:
            if seen.at >= began - BEFORE:
                self._seen(seen)

    def _seen(self, seen: Seen) -> None:
        if self._wires is not None:
            with self._whatever_happens():
                self._wires.take(seen)

    def _flush(self) -> None:
        if self._wires is not None:
            with self._whatever_happens():
                self._wires.flush()

    def _leave(self) -> None:
        """Look at the line no more."""
        if self._line is not None:
            self._line.witness = None
            self._line = None
        if self._wires is not None:
            with self._whatever_happens():
                self._wires.end()
            self._wires = None

    @contextmanager
    def _whatever_happens(self) -> Iterator[None]:
        """Have a fault of ours cost the recording of the network, not the call that shows it."""
        try:
            yield
        except Exception as fault:
            self.error = fault
            self._wires = None
            if self._line is not None:
                self._line.witness = None

    def _write(self, line: dict[str, Any]) -> None:
        if self._file:
            try:
                self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
                self._file.flush()
            except OSError as error:
                self.error = error
                file, self._file = self._file, None
                with suppress(OSError):
                    file.close()


def _line(role: str, what: Action | Event | Thrown, at: float) -> dict[str, Any]:
    says = words.frames_of(what)
    return {"at": at, role: type(what).__name__, **plain(what), **({"says": says} if says else {})}
