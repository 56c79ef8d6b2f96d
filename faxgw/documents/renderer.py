"""The rendering worker as the gateway sees it: started when wanted, watched, and ended."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from faxgw.documents.assembly import put_together
from faxgw.documents.cover import Cover, checked, standard_page
from faxgw.documents.layout import PageShape
from faxgw.documents.libreoffice import Conversion
from faxgw.documents.office import kind_of
from faxgw.documents.parts import Part, Upload, octets_of
from faxgw.documents.sheet import APART, Sheet
from faxgw.documents.wire import (
    ENDED,
    EndJob,
    FillJob,
    Job,
    OpenJob,
    PageJob,
    job_to_json,
    shape_from_json,
    sheet_octets,
)
from faxgw.errors import RequestError
from t30.t4.raster import Bitmap

ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LANG", "LC_ALL")
"""All of the environment that a worker is given: what it needs to start, and no secrets."""

SETTINGS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""One thread; and memory in large pieces: every document begins with none, and fetching 4 kB at a time takes as long as
drawing does."""

PAGES_BETWEEN_STARTS = 500
"""A worker begins anew after so many pages, in case a library lets its memory grow."""

FILES_KEPT_OPEN = 2
ENDS_WITHIN = 2.0


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What one job may take before it is given up: ``seconds``, and ``memory`` in octets beyond the worker's start."""

    seconds: float = 60.0
    memory: int = 1 << 30


class Renderer:
    """One worker process; jobs are done one at a time, from any thread. A crash costs one job: the next starts anew."""

    def __init__(self, limits: WorkerLimits | None = None) -> None:
        self._limits = limits or WorkerLimits()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._sheet = Sheet(APART)
        self._slots: OrderedDict[Part, int] = OrderedDict()
        self._conversion: Conversion | None = None
        self._pages = 0
        self._ending = False
        self._abandoned = False
        self._closed = False

    def readable(self, part: Part | Cover) -> Part:
        """Return a part as the worker reads it: covers filled in, office files as PDFs that LibreOffice makes.

        Raises:
            RequestError: ``document.*``, if it is one that cannot be sent, or not by this machine.
        """
        if isinstance(part, Cover):
            part = self._cover(checked(part))
        octets = octets_of(part)
        kind = kind_of(octets, part.name)
        if kind is None:
            return part
        with self._lock:
            self._check_open(part.name)
            self._conversion = Conversion(octets, kind, part.name)
            try:
                return Upload(part.name, self._conversion.pdf(seconds=self._limits.seconds))
            finally:
                self._conversion = None

    def shapes(self, part: Part) -> list[PageShape]:
        """Open a part and return its pages' shapes.

        Raises:
            RequestError: ``document.*``, if it is not a document that can be sent.
        """
        with self._lock:
            return self._open(part)

    def bitmap(self, part: Part, job: PageJob) -> Bitmap:
        """Draw one page of a part; the job's slot is for this renderer to choose.

        Raises:
            RequestError: ``document.*``, if the page cannot be drawn.
        """
        with self._lock:
            self._pages += 1
            if self._pages % PAGES_BETWEEN_STARTS == 0:
                self._let_go()
            if part not in self._slots:
                self._open(part)
            self._slots.move_to_end(part)
            self._done(replace(job, slot=self._slots[part]), what=f"Page {job.page + 1} of {part.name}")
            return put_together(job, self._sheet.octets(sheet_octets(job)))

    def forget(self) -> None:
        """Have the worker let go of all that it has read, by ending a job that is under way if need be; never blocks.

        The next job finds a process that has never seen any of it.
        """
        if self._lock.acquire(blocking=False):
            try:
                self._let_go()
            finally:
                self._lock.release()
        else:
            self._abandoned = True
            self._kill()

    def close(self) -> None:
        """End the worker, also in the middle of a job (which then raises); more than once does no harm."""
        self._closed = True
        self._kill()
        with self._lock:
            self._end()

    def _cover(self, cover: Cover) -> Upload:
        template = cover.template
        if template.kind == "standard":
            return Upload(cover.name, standard_page(cover.fields))
        html = template.kind == "html"
        wanted = {"source": template.source, "values": cover.fields.values(), "html": html}
        octets = json.dumps(wanted).encode()
        with self._lock:
            head = self._done(FillJob(cover.name, len(octets)), what=cover.name, octets=octets)
        # Whatever the template begins with, it is HTML and nothing else.
        return Upload(cover.name, (f"<!doctype html>\n{head['text']}" if html else str(head["text"])).encode())

    def _open(self, part: Part) -> list[PageShape]:
        """Open a part in a slot of its own; only the last few stay open, however many make the document."""
        self._slots.pop(part, None)
        slot = next(one for one in range(FILES_KEPT_OPEN + 1) if one not in self._slots.values())
        if slot == FILES_KEPT_OPEN:
            _, slot = self._slots.popitem(last=False)
        octets = octets_of(part)
        head = self._done(OpenJob(slot, part.name, len(octets)), what=part.name, octets=octets)
        self._slots[part] = slot
        return [shape_from_json(shape) for shape in head["shapes"]]

    def _done(self, job: Job, *, what: str, octets: bytes = b"") -> dict[str, Any]:
        """Have one job done, and turn a refusal, a crash and a time-out into the one error that there is."""
        process = self._started(what)
        overdue = threading.Event()
        watch = threading.Timer(self._limits.seconds, _give_up, (process, overdue))
        watch.start()
        try:
            head = _exchange(process, job, octets, self._sheet)
        finally:
            watch.cancel()
        if head is None:
            status = self._end()
            raise _lost(what, status, seconds=self._limits.seconds if overdue.is_set() else None)
        if "code" in head:
            raise RequestError(str(head["code"]), str(head["reason"]))
        return head

    def _started(self, what: str) -> subprocess.Popen[bytes]:
        self._check_open(what)
        if self._abandoned or (self._process is not None and self._ending and not _has_ended(self._process)):
            self._kill()
            self._end()
        self._ending = False
        if self._process is None:
            environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
            self._sheet = Sheet.made()
            file = self._sheet.file
            arguments = map(str, (self._limits.memory, self._limits.seconds, file))
            self._process = subprocess.Popen(
                # -P: a file beside the user's document must not be taken for a module.
                [sys.executable, "-P", "-m", "faxgw.documents.worker", *arguments],
                pass_fds=() if file == APART else (file,),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment | SETTINGS,
                # Ctrl-C is for the call, which still has a page to end properly.
                start_new_session=True,
            )
        return self._process

    def _check_open(self, what: str) -> None:
        if self._closed:
            raise RequestError("document.closed", f"{what} was closed before it was read.")

    def _let_go(self) -> None:
        """Have whatever comes next done by a process that has seen nothing yet."""
        self._slots.clear()
        if self._process is None or self._ending:
            return
        assert self._process.stdin is not None
        self._ending = True
        with suppress(BrokenPipeError):
            self._process.stdin.write(job_to_json(EndJob()))
            self._process.stdin.flush()

    def _kill(self) -> None:
        process, conversion = self._process, self._conversion
        if process is not None:
            _kill_all(process)
        if conversion is not None:
            conversion.end()

    def _end(self) -> int | None:
        """Let the worker go and return its exit status."""
        process, self._process = self._process, None
        self._slots.clear()
        self._abandoned = self._ending = False
        if process is None:
            return None
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            _kill_all(process)
        process.stdout.close()
        self._sheet.close()
        self._sheet = Sheet(APART)
        return process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Return whether a worker has seen the end of a document through; false if it hangs or is gone itself."""
    assert process.stdout is not None
    word = select.poll()
    word.register(process.stdout, select.POLLIN)
    return bool(word.poll(ENDS_WITHIN * 1000)) and process.stdout.readline() == ENDED


def _give_up(process: subprocess.Popen[bytes], overdue: threading.Event) -> None:
    overdue.set()
    _kill_all(process)


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """Kill a worker and the process of its that does the job: both are in a session of their own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _exchange(process: subprocess.Popen[bytes], job: Job, octets: bytes, sheet: Sheet) -> dict[str, Any] | None:
    """Send a job and read its answer, None if the worker is gone or answers what makes no sense."""
    assert process.stdin is not None
    assert process.stdout is not None
    wanted = sheet_octets(job) if isinstance(job, PageJob) else 0
    sheet.make_room(wanted)
    try:
        process.stdin.write(job_to_json(job))
        process.stdin.write(octets)
        process.stdin.flush()
        line = process.stdout.readline()
        if not line.endswith(b"\n"):
            return None
        head = json.loads(line)
    except (BrokenPipeError, ValueError):
        return None
    if not isinstance(head, dict):
        return None
    if sheet.file == APART and "code" not in head:
        greys = process.stdout.read(wanted)
        if len(greys) != wanted:
            return None
        sheet.octets(wanted)[:] = np.frombuffer(greys, np.uint8)
    return head


def _lost(what: str, status: int | None, *, seconds: float | None) -> RequestError:
    if seconds is not None:
        return RequestError("document.timeout", f"{what} takes longer than {seconds:g} s to draw; it was given up.")
    return RequestError("document.crashed", f"{what} makes the renderer crash (status {status}); it was given up.")
