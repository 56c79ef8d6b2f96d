"""The rendering worker as the gateway sees it: started when wanted, watched, and ended."""

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from faxgw.documents.layout import PageShape
from faxgw.documents.wire import Job, OpenJob, PageJob, job_to_json, line_octets, shape_from_json
from faxgw.errors import RequestError
from t30.t4.raster import Bitmap

ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR")
"""All of the environment that a worker is given: what it needs to start, and no secrets."""

PAGES_BETWEEN_STARTS = 500
"""A worker is renewed after so many pages, in case a library lets its memory grow."""

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
        self._pages = 0
        self._closed = False

    def shapes(self, path: Path) -> list[PageShape]:
        """Open a file and return its pages' shapes.

        Raises:
            RequestError: ``document.*``, if it is not a document that can be sent.
        """
        head, _ = self._done(OpenJob(str(path)))
        return [shape_from_json(shape) for shape in head["shapes"]]

    def bitmap(self, job: PageJob) -> Bitmap:
        """Draw one page.

        Raises:
            RequestError: ``document.*``, if the page cannot be drawn.
        """
        _, octets = self._done(job)
        words = np.frombuffer(octets, np.uint64).reshape(job.rows, line_octets(job.pels) // 8)
        return Bitmap(job.pels, words)

    def close(self) -> None:
        """End the worker, also in the middle of a job (which then raises); more than once does no harm."""
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()
        with self._lock:
            self._end()

    def _done(self, job: Job) -> tuple[dict[str, Any], bytearray]:
        """Have one job done, and turn a refusal, a crash and a time-out into the one error that there is."""
        with self._lock:
            if self._closed:
                raise RequestError("document.closed", f"{Path(job.path).name} was closed before it was read.")
            process = self._started()
            overdue = threading.Event()
            watch = threading.Timer(self._limits.seconds, _give_up, (process, overdue))
            watch.start()
            try:
                answer = _exchange(process, job)
            finally:
                watch.cancel()
            if answer is None:
                status = self._end()
                raise _lost(job, status, seconds=self._limits.seconds if overdue.is_set() else None)
        head, octets = answer
        if "code" in head:
            raise RequestError(str(head["code"]), str(head["reason"]))
        return head, octets

    def _started(self) -> subprocess.Popen[bytes]:
        self._pages += 1
        if self._process is not None and self._pages % PAGES_BETWEEN_STARTS == 0:
            self._end()
        if self._process is None:
            limits = self._limits
            environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
            self._process = subprocess.Popen(
                # -P: a file beside the user's document must not be taken for a module.
                [sys.executable, "-P", "-m", "faxgw.documents.worker", str(limits.memory), str(limits.seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                # Ctrl-C is for the call, which still has a page to end properly.
                start_new_session=True,
            )
        return self._process

    def _end(self) -> int | None:
        """Let the worker go and return its exit status."""
        process, self._process = self._process, None
        if process is None:
            return None
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
        process.stdout.close()
        return process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _give_up(process: subprocess.Popen[bytes], overdue: threading.Event) -> None:
    overdue.set()
    process.kill()


def _exchange(process: subprocess.Popen[bytes], job: Job) -> tuple[dict[str, Any], bytearray] | None:
    """Send a job and read its answer, None if the worker is gone or answers what makes no sense."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(job_to_json(job))
        process.stdin.flush()
        line = process.stdout.readline()
        if not line.endswith(b"\n"):
            return None
        head: dict[str, Any] = json.loads(line)
    except (BrokenPipeError, ValueError):
        return None
    wanted = job.rows * line_octets(job.pels) if isinstance(job, PageJob) and "octets" in head else 0
    octets = bytearray(process.stdout.read(wanted))
    return (head, octets) if len(octets) == wanted else None


def _lost(job: Job, status: int | None, *, seconds: float | None) -> RequestError:
    name = Path(job.path).name
    which = f"Page {job.page + 1} of {name}" if isinstance(job, PageJob) else name
    if seconds is not None:
        return RequestError("document.timeout", f"{which} takes longer than {seconds:g} s to draw; it was given up.")
    return RequestError("document.crashed", f"{which} makes the renderer crash (status {status}); it was given up.")
