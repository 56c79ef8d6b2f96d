"""``faxgw bench modem``: how long a call takes through a modem, beside two of libspandsp's machines on the same page.

What a call is, and what is counted, is at the head of ``modem_calls.py``.
"""

import ctypes.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from faxgw.bench.figures import CannotMeasure, Figure
from faxgw.documents.coded import coded_page
from faxgw.documents.tiff import tiff_octets
from t30.pages import Resolution, Width
from t30.t4 import Bitmap

TARGET = 0.95
"""What our side may take when it sends, as a share of what libspandsp's machine takes."""
AS_LONG = 1.0
"""The same when it receives: the sender's machine sets most of the time then."""
LATENCY = 0.005
"""Seconds from what a modem says until this machine has it: a serial port's, and an event loop that is not busy."""
WAYS = ("alone", "sends", "receives")
MADE = 8
ROWS = 2376


@dataclass(frozen=True, slots=True)
class Timed:
    """One page, and the seconds that a call with it takes each way."""

    page: str
    alone: float
    sends: float
    receives: float
    goodbyes: tuple[float, float]
    """Until the last sound, alone and when we send: without what a sender waits before it goes on hook."""
    whole: bool
    """It came pel for pel, and both ends say so."""

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in the result of ``--json``."""
        return {
            "page": self.page,
            "alone": self.alone,
            "sends": self.sends,
            "receives": self.receives,
            "ratio": round(self.sends / self.alone, 4),
            "whole": self.whole,
        }


def line_times(pages: Sequence[Path], *, latency: float = LATENCY) -> list[Timed]:
    """Make three calls with each TIFF, or with pages made here where there are none. Blocks for a second a page.

    Raises:
        CannotMeasure: if libspandsp is not installed, a TIFF is no plain fax page, or a call does not end.
    """
    if ctypes.util.find_library("spandsp") is None:
        raise CannotMeasure("libspandsp is not installed; on Debian it is in the package libspandsp2.")
    with tempfile.TemporaryDirectory() as folder:
        files = list(pages) or list(_made(Path(folder)))
        told = _told([{"way": way, "page": str(file), "latency": latency} for file in files for way in WAYS])
        return [_timed(file, *told[at * len(WAYS) :][: len(WAYS)]) for at, file in enumerate(files)]


def figures(times: Sequence[Timed]) -> list[Figure]:
    """Return the line time of all pages together, sent and received, as shares of libspandsp's alone."""
    alone, sends, receives = (round(sum(getattr(each, way) for each in times), 3) for way in WAYS)
    goodbyes = [round(sum(column), 3) for column in zip(*(each.goodbyes for each in times), strict=True)]
    whole = all(each.whole for each in times)
    what = f"line time of {len(times)} calls of one page"
    return [
        Figure(
            "modem.sends",
            f"{what}, sent through a modem: {sends:.1f} s; libspandsp's machine takes {alone:.1f} s",
            sends / alone,
            "times",
            TARGET,
            holds=whole,
            details={
                "seconds": sends,
                "alone": alone,
                "until_goodbye": {"sends": goodbyes[1], "alone": goodbyes[0]},
                "calls": [each.as_json() for each in times],
            },
        ),
        Figure(
            "modem.receives",
            f"{what}, received through a modem: {receives:.1f} s",
            receives / alone,
            "times",
            AS_LONG,
            holds=whole,
            details={"seconds": receives, "alone": alone},
        ),
    ]


def _told(calls: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make the calls in a process of their own and return what it says of each."""
    asked = "".join(json.dumps(call) + "\n" for call in calls)
    command = [sys.executable, "-m", "faxgw.bench.modem_calls"]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise CannotMeasure(f"The process that makes the calls failed: {last}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _timed(file: Path, alone: dict[str, Any], sends: dict[str, Any], receives: dict[str, Any]) -> Timed:
    verdicts = [each["ours"]["outcome"] for each in (sends, receives)]
    whole = all(each["whole"] for each in (alone, sends, receives)) and verdicts == ["delivered", "received"]
    return Timed(
        file.name, alone["seconds"], sends["seconds"], receives["seconds"], (_goodbye(alone), _goodbye(sends)), whole
    )


def _goodbye(told: dict[str, Any]) -> float:
    """Return when the last sound of a call was over."""
    return max(float(end) for signals in told["signals"].values() for _, end in signals)


def _made(folder: Path) -> Iterator[Path]:
    """Write pages of text, each closer together than the one before."""
    for number in range(1, MADE + 1):
        image = Image.new("L", (Width.A4.value, ROWS), 255)
        draw, font = ImageDraw.Draw(image), ImageFont.load_default(28)
        for line, y in enumerate(range(80, ROWS - 80, 640 // (number + 2)), start=1):
            draw.text((80, y), f"Page {number}, line {line}: the quick brown fox jumps over {line * 37} dogs", 0, font)
        bitmap = Bitmap.from_pels((np.asarray(image) < 128).astype(np.uint8))
        path = folder / f"made{number}.tif"
        path.write_bytes(tiff_octets([coded_page(bitmap, width=Width.A4, resolution=Resolution.FINE)]))
        yield path
