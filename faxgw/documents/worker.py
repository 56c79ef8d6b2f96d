"""The rendering worker: reads jobs on standard input, answers on standard output, until its input ends.

It holds no keys, has next to no environment and, where Linux lets it, no network. Its memory is limited, so that a
hostile file ends this process and nothing else. Whoever started it limits its time; should that process be gone, an
alarm does.
"""

import ctypes
import json
import math
import os
import resource
import signal
import sys
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from faxgw.documents.inputs import Input, PdfInput, open_input
from faxgw.documents.layout import HEADER_MM, scan_line_mm
from faxgw.documents.screening import Black, black_and_white
from faxgw.documents.text import POINTS_PER_MM, lines_to_pdf, shown
from faxgw.documents.wire import Job, OpenJob, PageJob, job_from_json, line_octets, shape_to_json
from faxgw.errors import RequestError
from t30.pages import Width

FILES_KEPT_OPEN = 2
HEADER_POINTS = 9.0
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


def main() -> None:
    """Serve jobs. Arguments: octets of memory beyond what starting took, and seconds for one job."""
    memory, seconds = int(sys.argv[1]), math.ceil(float(sys.argv[2])) + 1
    leave_network()
    _limit(memory=memory)
    answers = os.fdopen(os.dup(1), "wb")
    # What a library prints must not get among the answers.
    os.dup2(2, 1)
    files: OrderedDict[str, Input] = OrderedDict()
    for line in sys.stdin.buffer:
        signal.alarm(seconds)
        _answer(job_from_json(line), files, answers)
        signal.alarm(0)


def leave_network() -> bool:
    """Give up every network, loopback included; false where the system does not let a process do so."""
    try:
        unshare = ctypes.CDLL(None).unshare
    except AttributeError:
        return False
    # Root may leave by itself, and as root of a namespace of its own it could no longer read every user's files.
    flags = CLONE_NEWNET if os.geteuid() == 0 else CLONE_NEWNET | CLONE_NEWUSER
    return bool(unshare(flags) == 0)


def _limit(*, memory: int) -> None:
    """Bound memory, and forbid files, core dumps and children; what a system has not (macOS) is left out."""
    taken = 0
    with suppress(OSError):
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for name, most in (("RLIMIT_AS", taken + memory), ("RLIMIT_FSIZE", 0), ("RLIMIT_CORE", 0), ("RLIMIT_NPROC", 0)):
        with suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (most, most))


def _answer(job: Job, files: OrderedDict[str, Input], answers: BinaryIO) -> None:
    head: dict[str, Any]
    octets = b""
    try:
        file = _opened(job.path, files)
        if isinstance(job, OpenJob):
            head = {"shapes": [shape_to_json(shape) for shape in file.shapes]}
        else:
            octets = _packed(_drawn(file, job))
            head = {"octets": len(octets)}
    except RequestError as refused:
        head = {"code": refused.code, "reason": refused.reason}
    except MemoryError:
        name = Path(job.path).name
        head = {"code": "document.too_large", "reason": f"{name} needs more memory than a document may have."}
    answers.write(json.dumps(head).encode() + b"\n" + octets)
    answers.flush()


def _opened(path: str, files: OrderedDict[str, Input]) -> Input:
    """Return the open file; only the last few stay open, however many make the document."""
    if path not in files:
        while len(files) >= FILES_KEPT_OPEN:
            files.popitem(last=False)[1].close()
        files[path] = open_input(Path(path))
    files.move_to_end(path)
    return files[path]


def _drawn(file: Input, job: PageJob) -> Black:
    page = np.zeros((job.rows, job.pels), np.bool_)
    box = job.box
    grey = file.grey(job.page, across=box.across, down=box.down, turned=job.turned)
    black = grey < 128 if job.copied else black_and_white(grey, screen=job.screen, resolution=job.resolution)
    page[box.top : box.top + box.down, box.left : box.left + box.across] = black
    if job.header_rows:
        page[: job.header_rows] = _header(job)
    return page


def _header(job: PageJob) -> Black:
    """Draw the header line, by the same hands as a page of text."""
    width = next(one for one in Width if job.resolution.pels(one) == job.pels)
    across = scan_line_mm(width, job.resolution)
    baseline = (15.0, HEADER_MM * POINTS_PER_MM / 2 - HEADER_POINTS / 4)
    pdf = lines_to_pdf([[shown(job.header)]], size=(across, HEADER_MM), start=baseline, font_size=HEADER_POINTS)
    line = PdfInput(pdf, "header line")
    grey = line.grey(0, across=job.pels, down=job.header_rows, turned=False)
    line.close()
    black: Black = grey < 160
    return black


def _packed(page: Black) -> bytes:
    padded = np.zeros((page.shape[0], line_octets(page.shape[1]) * 8), np.bool_)
    padded[:, : page.shape[1]] = page
    return np.packbits(padded, axis=1, bitorder="little").tobytes()


if __name__ == "__main__":
    main()
