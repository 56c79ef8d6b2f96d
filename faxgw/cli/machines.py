"""The fax machines of ``faxgw simulate exchange``: which there are, and what is kept and told of their calls."""

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from faxgw.calls import result
from faxgw.documents.coded import CodedPage, coded_page, page_hash
from faxgw.documents.tiff import tiff_octets
from faxgw.errors import RequestError
from simulators.exchange import Exchange
from simulators.numbers import far
from simulators.tray import ReceivedPage, Tray
from t30.capabilities import Station
from t30.outcome import Outcome

LOG = "calls.jsonl"


@dataclass(frozen=True, slots=True)
class Machines:
    """The machines that answer at one number.

    Attributes:
        way: what they do; see ``simulators.numbers.far``.
        folder: where faxes are kept; None if they are not.
        log: where calls and confirmed pages are told of, a line of JSON each; None if they are not.
    """

    number: str
    way: str
    folder: Path | None
    log: Path | None

    def attach(self, exchange: Exchange, *, lines: int | None) -> None:
        """Let them answer, so many calls at a time, or as many as come.

        Raises:
            ValueError: if the number is taken.
        """
        station = Station(f"+{self.number}")
        numbers = count(1)
        exchange.serve(
            self.number,
            far(self.way, station),
            lambda caller: KeptCall(self, caller, _free(self, numbers)),
            lines=lines,
        )


def machines(folders: Sequence[str], ways: Sequence[str], log: Path | None) -> list[Machines]:
    """Return the machines that the options ``--machine``, ``--answer-with`` and ``--log`` ask for.

    Raises:
        RequestError: ``usage``.
    """
    places = {number: Path(folder) for number, folder in _pairs("--machine NUMBER=FOLDER", folders)}
    habits = dict(_pairs("--answer-with NUMBER=WAY", ways))
    for way in habits.values():
        try:
            far(way, Station())
        except ValueError as error:
            raise RequestError("usage", f"--answer-with takes {error}.") from None
    for folder in {*places.values(), *([log.absolute().parent] if log else [])}:
        if not folder.is_dir():
            raise RequestError("usage", f"{folder} is no folder to keep faxes or a log in.")
    every = {number: (places.get(number), habits.get(number, "")) for number in {**places, **habits}}
    return [
        Machines(number, way, folder, log or (folder / LOG if folder else None))
        for number, (folder, way) in every.items()
    ]


class KeptCall:
    """One call that a machine has answered: its pages, and what is told of it."""

    def __init__(self, machines: Machines, caller: str, name: str) -> None:
        self.pages = Tray()
        self._machines = machines
        self._about = {"call": name, "number": machines.number, "caller": caller}
        self._began = time.time()
        self._hashes: dict[int, str] = {}

    def confirmed(self, index: int) -> None:
        """Tell of a page as soon as its confirmation is out."""
        self._hashes[index] = _hash(self.pages.received[index])
        self._tell({"event": "page", **self._about, "at": time.time(), "index": index, "sha256": self._hashes[index]})

    def ended(self, outcome: Outcome) -> None:
        """Keep the pages that came, in one file, which appears whole; then tell of the call."""
        path = self._keep()
        said = result(outcome)
        for page in said["pages"]:
            page["sha256"] = self._hashes.get(page["index"])
            page["confirmed"] = page["index"] in self._hashes
        self._tell(
            {
                "event": "call",
                **self._about,
                "at": time.time(),
                "began": self._began,
                **said,
                "file": str(path) if path else None,
            }
        )

    def _keep(self) -> Path | None:
        pages = list(_coded(self.pages.received))
        if self._machines.folder is None or not pages:
            return None
        path = self._machines.folder / f"{self._about['call']}.tif"
        fresh = path.with_name(f".{path.name}")
        fresh.write_bytes(tiff_octets(pages))
        return fresh.replace(path)

    def _tell(self, fact: Mapping[str, Any]) -> None:
        if self._machines.log:
            # One write, so that programs that follow the file never see half a line, nor two machines mixed.
            descriptor = os.open(self._machines.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(descriptor, json.dumps(fact).encode() + b"\n")
            finally:
                os.close(descriptor)


def _free(machines: Machines, numbers: Iterable[int]) -> str:
    """Return a name for the next call that no file of an earlier run has."""
    names = (f"{machines.number}-{number}" for number in numbers)
    folder = machines.folder
    return next(name for name in names if folder is None or not (folder / f"{name}.tif").exists())


def _coded(received: Mapping[int, ReceivedPage]) -> Iterable[CodedPage]:
    for _, page in sorted(received.items()):
        if page.decoded and page.decoded.rows:
            yield coded_page(
                page.decoded.bitmap,
                width=page.format.width,
                resolution=page.format.resolution,
                bad_rows=page.decoded.bad_rows,
                longest_bad_run=page.decoded.longest_bad_run,
            )


def _hash(page: ReceivedPage) -> str:
    assert page.decoded is not None
    return page_hash(page.decoded.bitmap, page.format.resolution).hex()


def _pairs(option: str, texts: Sequence[str]) -> Iterable[tuple[str, str]]:
    for text in texts:
        number, equals, value = text.partition("=")
        if not equals or not number.isdecimal() or not value:
            raise RequestError("usage", f"{option}, not {text!r}; the number is digits only.")
        yield number, value
