"""The main job, shown without a telephone: a PDF goes from one Class 1 modem to another over a simulated line.

Both modems sit on pseudo-terminals and are driven by the real driver; only the modems and the line are simulated.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from drivers.registry import Line, open_line
from faxgw.calls import Observer, run_call
from faxgw.cli.progress import Progress
from faxgw.documents.ahead import EVERYTHING
from faxgw.documents.document import Document, open_document
from faxgw.documents.sample import write_sample
from faxgw.documents.source import PageSource
from faxgw.documents.target import PageTarget
from faxgw.errors import RequestError
from faxgw.trace.ladder import ladder
from faxgw.trace.reading import read
from faxgw.trace.record import Recorder
from simulators.modem import Modem
from simulators.pty import PseudoTerminal
from simulators.switch import Switch
from t30.answering import answering
from t30.calling import calling
from t30.capabilities import Station
from t30.line import LineClock
from t30.outcome import Direction, Outcome
from t30.session import Session
from t30.t4.raster import Bitmap

CALLER, ANSWERER = "+49 30 1234567", "+1 555 0100"
NUMBERS = {CALLER: "0301234567", ANSWERER: "5550100"}

LATENCY = 0.05
"""Seconds of real time by which this machine may be late; at a fast line clock, that is long."""


@dataclass(frozen=True, slots=True)
class Files:
    """What the demo leaves behind."""

    folder: Path

    @property
    def document(self) -> Path:
        """The PDF that is sent."""
        return self.folder / "document.pdf"

    @property
    def tiff(self) -> Path:
        """The fax as received."""
        return self.folder / "fax.tif"

    @property
    def pdf(self) -> Path:
        """The fax as received, its compressed data inside."""
        return self.folder / "fax.pdf"

    @property
    def trace(self) -> Path:
        """The recorded call, as the caller lived it."""
        return self.folder / "call.jsonl"

    @property
    def ladder(self) -> Path:
        """The picture of the call."""
        return self.folder / "ladder.svg"

    def clear(self) -> None:
        """Make the folder, and take away what an earlier demo left.

        Raises:
            RequestError: ``usage``, if nothing can be written there.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in (self.document, self.tiff, self.pdf, self.trace, self.ladder):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise RequestError("usage", f"{self.folder} cannot be written to: {error.strerror}.") from None


@dataclass(frozen=True, slots=True)
class Shown:
    """What came of it: both ends' outcomes, and for each page sent whether it was received pel for pel."""

    sent: Outcome
    received: Outcome
    equal: tuple[bool, ...]

    @property
    def whole(self) -> bool:
        """Everything arrived, and nothing was changed."""
        return self.sent.complete and self.received.complete and all(self.equal)


def demo(folder: Path, console: Console, *, speed: float = 10.0, station: Station | None = None) -> Shown:
    """Send the sample document from one modem to another, and compare what arrives.

    Args:
        folder: where the files go; an earlier demo's are replaced.
        console: where progress is shown.
        speed: how much faster than real time the line runs.
        station: what the sender may do; everything by default.
    """
    files = Files(folder)
    files.clear()
    write_sample(files.document)
    caller = station or Station(ident=CALLER)
    sent, received = asyncio.run(_call(files, open_document([files.document]), caller, console, speed))
    with open_document([files.document]) as document:
        equal = tuple(_equal(document, files.tiff, index) for index in range(len(document)))
    files.ladder.write_text(ladder(read(files.trace)), encoding="utf-8")
    return Shown(sent, received, equal)


async def _call(
    files: Files, document: Document, caller: Station, console: Console, speed: float
) -> tuple[Outcome, Outcome]:
    clock = LineClock(asyncio.get_running_loop().time, speed)
    switch = Switch(clock, slack=LATENCY * speed)
    source, target = PageSource(document), PageTarget(files.folder)
    await asyncio.gather(source.prepare(), target.prepare())
    async with AsyncExitStack() as until_end:
        until_end.push_async_callback(source.close)
        until_end.push_async_callback(target.close)
        ours, theirs = [await _plug_in(until_end, switch, number, speed) for number in NUMBERS.values()]
        recorder = until_end.enter_context(
            Recorder(files.trace, direction=Direction.OUT, line="class1:", station=caller)
        )
        watching: list[Observer] = [until_end.enter_context(Progress(console, clock, len(document))), recorder]
        sending = Session(calling(caller, NUMBERS[ANSWERER]))
        receiving = Session(answering(Station(ident=ANSWERER)))
        async with asyncio.TaskGroup() as both:
            answered = both.create_task(run_call(receiving, theirs, target))
            called = both.create_task(run_call(sending, ours, source, watching))
        recorder.outcome(called.result())
        return called.result(), answered.result()


async def _plug_in(until_end: AsyncExitStack, switch: Switch, number: str, speed: float) -> Line:
    """Put a modem with this number on a pseudo-terminal, and open it as a user's program would."""
    terminal = PseudoTerminal(Modem(switch.attach(number)))
    modem = asyncio.ensure_future(terminal.run())

    async def unplug() -> None:
        modem.cancel()
        await asyncio.wait([modem])

    until_end.push_async_callback(unplug)
    line = await open_line(f"class1:{terminal.path}?speed={speed}")
    until_end.push_async_callback(line.close)
    return line


def _equal(document: Document, received: Path, index: int) -> bool:
    """Compare one page as it was drawn with the same page as it was received; read by Pillow, not by our own codec."""
    drawn = document.bitmap(index, document.layout(index, EVERYTHING))
    with Image.open(received) as fax:
        if index >= getattr(fax, "n_frames", 1):
            return False
        fax.seek(index)
        return Bitmap.from_pels((~np.asarray(fax.convert("1"))).astype(np.uint8)) == drawn
