"""The rendering worker: reads jobs on standard input, answers on standard output, until its input ends.

It holds no keys, has next to no environment and, where Linux lets it, no network. Files come as octets, so it opens
none, and can write none. The process that was started only forks: one child does the jobs of one document and is gone
with it, so that no document ever shares a process with another, and starting costs 2 ms. The child's memory is
limited, so that a hostile file ends this worker and nothing else. Whoever started it limits its time; should that
process be gone, an alarm does.
"""

import ctypes
import json
import math
import os
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
from PIL import JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin

from faxgw.documents.header import HeaderLines
from faxgw.documents.inputs import Input, open_input
from faxgw.documents.layout import scan_line_mm
from faxgw.documents.screening import Grey
from faxgw.documents.sheet import APART, Sheet
from faxgw.documents.wire import (
    ENDED,
    EndJob,
    FillJob,
    OpenJob,
    PageJob,
    frames,
    job_from_json,
    shape_to_json,
    sheet_octets,
)
from faxgw.errors import RequestError
from t30.pages import Width
from t30.t4.greys import WHITE

LOADED = (JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin)
"""Loaded before the first fork; Pillow would load them in every child anew."""

NICE = 10
"""Drawing can wait a moment; a call on the line cannot."""
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
NEXT, OVER = 0, 3
"""How a child ends: after ``EndJob``, with another to follow; because the input is over."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What a worker has before it: the sheet that it draws on, the font of header lines, the files of a document."""

    sheet: Sheet
    headers: HeaderLines
    files: dict[int, Input]


def main() -> None:
    """Serve jobs. Arguments: octets of memory beyond what starting took, seconds for one job, the sheet's file."""
    memory, seconds = int(sys.argv[1]), math.ceil(float(sys.argv[2])) + 1
    leave_network()
    os.nice(NICE)
    _limit(RLIMIT_FSIZE=0, RLIMIT_CORE=0)
    desk = Desk(Sheet(int(sys.argv[3])), HeaderLines(), {})
    # With this first letter pdfium looks through the fonts of the system: 20 ms that no document waits for.
    desk.headers.draw("fax", np.full((35, 1728), WHITE, np.uint8), across_mm=215)
    answers = os.fdopen(os.dup(1), "wb")
    # What a library prints must not get among the answers.
    os.dup2(2, 1)
    while True:
        child = os.fork()
        if child == 0:
            _serve(answers, desk, memory=memory, seconds=seconds)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status != NEXT:
            sys.exit(0 if status == OVER else abs(status))
        desk.sheet.empty()
        answers.write(ENDED)
        answers.flush()


def leave_network() -> bool:
    """Give up every network, loopback included; false where the system does not let a process do so."""
    try:
        unshare = ctypes.CDLL(None).unshare
    except AttributeError:
        return False
    # In a user namespace root is nobody. Where those are forbidden, root may still leave the network by itself.
    return any(unshare(flags) == 0 for flags in (CLONE_NEWNET | CLONE_NEWUSER, CLONE_NEWNET))


def _limit(**limits: int) -> None:
    """Set limits; what a system has not (macOS) is left out."""
    for name, most in limits.items():
        with suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (most, most))


def _serve(answers: BinaryIO, desk: Desk, *, memory: int, seconds: int) -> NoReturn:
    """Do the jobs of one document, and end as a process."""
    taken = 0
    with suppress(OSError):
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _limit(RLIMIT_AS=taken + memory, RLIMIT_NPROC=0)
    jobs = sys.stdin.buffer
    try:
        while line := jobs.readline():
            signal.alarm(seconds)
            job = job_from_json(line)
            if isinstance(job, EndJob):
                os._exit(NEXT)
            _answer(job, jobs, desk, answers)
            signal.alarm(0)
        os._exit(OVER)
    finally:
        # Whatever went wrong, this process is a copy and must not go on as the one it was made from.
        os._exit(1)


def _answer(job: OpenJob | PageJob | FillJob, jobs: BinaryIO, desk: Desk, answers: BinaryIO) -> None:
    head: dict[str, Any] = {}
    apart = b""
    try:
        if isinstance(job, OpenJob):
            file = _opened(job, jobs.read(job.octets), desk.files)
            head = {"shapes": [shape_to_json(shape) for shape in file.shapes]}
        elif isinstance(job, FillJob):
            head = {"text": _filled(jobs.read(job.octets))}
        else:
            drawn = _drawn(job, desk)
            apart = drawn.tobytes() if desk.sheet.file == APART else b""
    except RequestError as refused:
        head = {"code": refused.code, "reason": refused.reason}
    except MemoryError:
        name = f"Page {job.page + 1} of {desk.files[job.slot].name}" if isinstance(job, PageJob) else job.name
        head = {"code": "document.too_large", "reason": f"{name} needs more memory than a document may have."}
    answers.write(json.dumps(head).encode() + b"\n")
    answers.write(apart)
    answers.flush()


def _filled(template: bytes) -> str:
    """Fill a template in. Jinja is loaded by the few children that need it: it takes 9 MB."""
    from faxgw.documents.filling import filled  # noqa: PLC0415

    return filled(**json.loads(template))


def _opened(job: OpenJob, octets: bytes, files: dict[int, Input]) -> Input:
    """Open a file in place of what was in its slot before."""
    before = files.pop(job.slot, None)
    if before is not None:
        before.close()
    file = files[job.slot] = open_input(octets, job.name)
    return file


def _drawn(job: PageJob, desk: Desk) -> Grey:
    """Draw what is in the box, and the header line, and return them as they lie on the sheet."""
    octets = desk.sheet.octets(sheet_octets(job))
    octets.fill(WHITE)
    page, header = frames(job, octets)
    desk.files[job.slot].draw(job.page, page.greys, turned=job.turned)
    if job.header_rows:
        width = next(one for one in Width if job.resolution.pels(one) == job.pels)
        desk.headers.draw(job.header, header.greys, across_mm=scan_line_mm(width, job.resolution))
    return octets


if __name__ == "__main__":
    main()
