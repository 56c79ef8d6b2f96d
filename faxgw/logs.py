"""One log of the service's own words and of the libraries it stands on, redacted and written by a thread of its own.

A call that logs costs the loop a few microseconds: it hands its fields over; redaction, rendering and the write to a
perhaps slow standard error happen elsewhere. When the reader of that stream is too slow, entries are lost and counted.
"""

import json
import logging
import queue
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

import structlog

from faxgw.config.model import LogSettings
from faxgw.redaction import redacted, scrubbed

MOST_WAITING = 10_000
"""Entries that may wait to be written."""
LONGEST_TRACEBACK = 20_000

QUIETER = {
    "asyncssh": logging.WARNING,
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,
    "pikepdf": logging.WARNING,
    "procrastinate": logging.WARNING,
    "psycopg": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "uvicorn": logging.WARNING,
}
"""Libraries whose lesser messages tell nothing that ours do not, or hold what a log should not."""

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


@dataclass(frozen=True, slots=True)
class _Entry:
    at: float
    level: str
    logger: str
    fields: Mapping[str, Any]
    exception: BaseException | None


@contextmanager
def logging_to(settings: LogSettings, stream: TextIO | None = None) -> Iterator["Log"]:
    """Send everything that is logged to ``stream`` (standard error) until the end of the block."""
    log = Log(settings, stream or sys.stderr)
    log.start()
    try:
        yield log
    finally:
        log.stop()


class Log:
    """The queue of entries and the thread that writes them."""

    def __init__(self, settings: LogSettings, stream: TextIO) -> None:
        self.lost = 0
        """Entries that were lost so far because the stream was too slow."""
        self._level = logging.getLevelNamesMapping()[settings.level.upper()]
        self._stream = stream
        person = stream.isatty() if settings.format == "auto" else settings.format == "console"
        self._rendered = _for_people(stream) if person else _as_json
        self._queue: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._handler = _FromLogging(self)
        self._before = logging.root.level

    def start(self) -> None:
        """Take over structlog and the standard library's logging."""
        structlog.configure(
            processors=[structlog.contextvars.merge_contextvars, lambda _logger, _level, event: ((event,), {})],
            wrapper_class=structlog.make_filtering_bound_logger(self._level),
            logger_factory=lambda *names: _FromUs(self, names[0] if names else ""),
            cache_logger_on_first_use=False,
        )
        logging.root.addHandler(self._handler)
        logging.root.setLevel(self._level)
        for name, level in QUIETER.items():
            logging.getLogger(name).setLevel(max(level, self._level))
        logging.captureWarnings(True)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and let go of both again."""
        logging.captureWarnings(False)
        logging.root.removeHandler(self._handler)
        logging.root.setLevel(self._before)
        structlog.reset_defaults()
        self._queue.put(None)
        self._thread.join(timeout=5)

    def put(self, entry: _Entry) -> None:
        """Take an entry, unless too many are waiting."""
        if self._queue.qsize() < MOST_WAITING:
            self._queue.put(entry)
        else:
            self.lost += 1

    def _write(self) -> None:
        told = 0
        while (entry := self._queue.get()) is not None:
            self._write_one(entry)
            if self.lost > told:
                told = self.lost
                self._write_one(_loss(told))
            if self._queue.empty():
                self._flush()
        self._flush()

    def _write_one(self, entry: _Entry) -> None:
        try:
            line = self._rendered(_shown(entry))
        except Exception as fault:  # whatever a foreign object does when it is shown, the log goes on
            line = self._rendered(_shown(_unshown(entry, fault)))
        try:
            self._stream.write(line + "\n")
        except (OSError, ValueError):
            self.lost += 1  # nobody reads the stream any more, so there is nowhere to say so but the metrics

    def _flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self.lost += 1


class _FromUs:
    """Where structlog hands entries over: a logger whose methods take the finished fields."""

    def __init__(self, log: Log, name: str) -> None:
        self._log = log
        self._name = name

    def __getattr__(self, level: str) -> Any:
        return lambda fields: self._put(level, fields)

    def _put(self, level: str, fields: MutableMapping[str, Any]) -> None:
        exception = _exception(fields.pop("exc_info", None))
        self._log.put(_Entry(time.time(), level, self._name, fields, exception))


class _FromLogging(logging.Handler):
    """Where the standard library hands records over."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one record over; its text is put together here, since its arguments may change."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)
        exception = record.exc_info[1] if record.exc_info else None
        self._log.put(_Entry(record.created, record.levelname.lower(), record.name, {"event": text}, exception))


def _exception(given: Any) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return given[1] if isinstance(given[1], BaseException) else None
    return sys.exc_info()[1] if given else None


def _loss(lost: int) -> _Entry:
    return _Entry(time.time(), "warning", __name__, {"event": "log entries were lost", "lost": lost}, None)


def _unshown(entry: _Entry, fault: Exception) -> _Entry:
    fields = {"event": "a log entry cannot be shown", "reason": type(fault).__name__}
    return _Entry(entry.at, entry.level, entry.logger, fields, None)


def _shown(entry: _Entry) -> dict[str, Any]:
    fields = redacted(entry.fields)
    shown = {
        "at": datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": entry.level,
        "event": fields.pop("event", ""),
        "logger": entry.logger,
        **fields,
    }
    if entry.exception is not None:
        text = "".join(traceback.format_exception(entry.exception))
        shown["exception"] = scrubbed(text[-LONGEST_TRACEBACK:], LONGEST_TRACEBACK)
    return shown


def _as_json(shown: dict[str, Any]) -> str:
    return json.dumps(shown, ensure_ascii=False)


def _for_people(stream: TextIO) -> Any:
    renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty(), timestamp_key="at")
    return lambda shown: renderer(None, "", shown)
