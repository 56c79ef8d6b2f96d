"""A trace file read back, of this version or an older one: see docs/traces.md for what decides whether it can be."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from drivers.witness import Seen
from faxgw import __version__
from faxgw.errors import RequestError
from faxgw.trace.record import VERSION, Header, Step, Thrown, Trace
from faxgw.trace.values import ACTIONS, EVENTS, unknown, valued
from faxgw.trace.wires import WireReader
from t30 import ENGINE
from t30.outcome import Outcome

READ = (1, 2)
"""The versions that are read; 1 has nothing of the network."""

_ROLES: dict[str, Mapping[str, type]] = {"action": ACTIONS, "event": EVENTS, "thrown": {Thrown.__name__: Thrown}}
"""The key by which a line says what it is, and the types that it may name."""
_RESULTS = (*EVENTS.values(), Thrown)


def read(path: Path) -> Trace:
    """Read a trace; where the recording was cut off in the middle of a line, that line does not count.

    What an older version did not write has its default; what a newer one added is left out, and named in ``unknown``.

    Raises:
        RequestError: if the file cannot be read or is no trace of this version.
    """
    first, *lines = _lines(path)
    file = _File(path, _header(path, first))
    steps: list[Step] = []
    outcome: Outcome | None = None
    given: Mapping[str, Any] = {}
    waiting = False
    for number, text in enumerate(lines, 2):
        at, what, line = file.line(number, text)
        fits = outcome is None and isinstance(
            what, (*(_RESULTS if waiting else (*ACTIONS.values(), Outcome)), _Network)
        )
        if not fits:
            raise RequestError("usage", f"{path}, line {number}: {type(what).__name__} has no place here")
        if isinstance(what, _Network):
            continue
        if isinstance(what, Outcome):
            outcome, given = what, line
        elif waiting:
            steps[-1] = replace(steps[-1], result=what)
        else:
            steps.append(Step(number, at, what, None, line))
        waiting = not waiting
    network = file.network
    unknown = tuple(sorted(file.unknown))
    return Trace(file.header, tuple(steps), outcome, network.in_order(), network.began, given, unknown)


class _Network:
    """What is read of the network so far."""

    def __init__(self) -> None:
        self.began: datetime | None = None
        self._seen: list[Seen] = []
        self._reader = WireReader()

    def read(self, given: dict[str, Any]) -> None:
        self._seen += self._reader.read(given)
        if "began" in given:
            self.began = datetime.fromisoformat(given["began"])

    def in_order(self) -> tuple[Seen, ...]:
        return tuple(sorted(self._seen, key=lambda each: each.at))


def _lines(path: Path) -> list[str]:
    """Return the first line, and all others that were written to their end."""
    try:
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        return whole.decode().split("\n")
    except OSError as error:
        raise RequestError("usage", f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RequestError("usage", f"{path} is no trace of a call: it is no text") from error


def _header(path: Path, text: str) -> dict[str, Any]:
    try:
        given: dict[str, Any] = json.loads(text)
        version = given["trace"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise RequestError("usage", f"{path} is no trace of a call: its first line is no header") from error
    if version not in READ:
        by = f", by {given['product']:.40}" if isinstance(given.get("product"), str) else ""
        raise RequestError(
            "usage",
            f"{path} is written in version {version!r:.40} of the format{by}; this faxgw {__version__} reads up to "
            f"version {VERSION}: use the one that wrote it",
        )
    return given


def _of_today(given: dict[str, Any]) -> dict[str, Any]:
    """Return a header as it would be written today: what a page must be was no part of a policy in the first engine."""
    station = given["station"]
    if "engine" in given or "quality" not in station:
        return given
    others = {name: value for name, value in station.items() if name != "quality"}
    return given | {"station": others | {"policy": {"quality": station["quality"]}}}


_BESIDE = frozenset({"at", "says", "action", "event", "thrown"})
"""What stands in a line beside the fields of its action or event."""


class _File:
    """A trace that is being read."""

    def __init__(self, path: Path, given: dict[str, Any]) -> None:
        self.path = path
        self.network = _Network()
        self.unknown: set[str] = set()
        with self._told(1, ""):
            given = _of_today(given)
            self.header: Header = valued(Header, given)
            self._know(Header, given, frozenset({"trace"}))

    def line(self, number: int, text: str) -> tuple[float, Any, Mapping[str, Any]]:
        """Return the time of a line, what it says (the network, if it is of that), and how that is written."""
        newer = f", which {self.header.writer} wrote" if self.header.engine > ENGINE else ""
        with self._told(number, newer):
            given = json.loads(text)
            if "wire" in given:
                self.network.read(given)
                return 0.0, self.network, {}
            if "outcome" in given:
                self._know(Outcome, given["outcome"], frozenset({"verdict"}))
                return 0.0, valued(Outcome, given["outcome"]), given["outcome"]
            role, kinds = next((role, kinds) for role, kinds in _ROLES.items() if role in given)
            kind = kinds[given[role]]
            self._know(kind, given, _BESIDE)
            return valued(float, given["at"]), valued(kind, given), given

    def _know(self, kind: type, given: dict[str, Any], beside: frozenset[str]) -> None:
        fields = {name: each for name, each in given.items() if name not in beside}
        self.unknown.update(f"{kind.__name__}.{name}" for name in unknown(kind, fields))

    @contextmanager
    def _told(self, number: int, newer: str) -> Iterator[None]:
        """Say where in the file something is that cannot be read."""
        try:
            yield
        except (ValueError, TypeError, LookupError, AttributeError, StopIteration, RecursionError) as error:
            told = f"{self.path}, line {number}{newer}: this is no line of a trace"
            told += f" that faxgw {__version__} (engine {ENGINE}) knows" if newer else ""
            raise RequestError("usage", f"{told} ({error!r:.80})") from error
