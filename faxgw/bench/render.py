"""``faxgw bench render``: PDFs made fax pages in MMR on one core, beside ghostscript's tiffg4 in the same run.

Two figures for each kind of page. A *document* is one page, from the file in memory to the octets of the fax page: a
gateway that has ghostscript draw starts it for every document, and faxgw has its worker waiting. A *page* is each
further page of a document, for which neither has anything to start. Beside that, what pdfium alone takes to draw such a
page in greys: faxgw could not be faster than that.
"""

import io
import math
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import Any

import pikepdf

from faxgw.bench import machine
from faxgw.bench.figures import CannotMeasure, Figure, rounded
from faxgw.documents.ahead import EVERYTHING
from faxgw.documents.coded import coded_page
from faxgw.documents.document import RenderOptions, open_document
from faxgw.documents.inputs import PdfInput
from faxgw.documents.layout import place
from faxgw.documents.parts import Upload
from faxgw.documents.renderer import Renderer
from faxgw.documents.sample import write_sample
from t30.t4.greys import Frame

TARGET = 3.0

PAGES = ("letter", "form", "picture")
"""Pages of the sample document: text; a table and a drawing; a photograph."""

MANY = 61
"""Pages of the long document: the first, and so many more that one page can be told."""

GHOSTSCRIPT = ("-q", "-dSAFER", "-dBATCH", "-dNOPAUSE", "-sDEVICE=tiffg4", "-r204x196", "-g1728x2287", "-dPDFFitPage")

Seconds = Callable[[bytes, int], float]


@dataclass(slots=True)
class Race:
    """One kind of page, drawn by ghostscript and by faxgw in turns.

    Attributes:
        one: the document of one page.
        many: that of ``MANY``.
        rounds: seconds for one and for many, of ghostscript and of faxgw, and of pdfium for a page, round by round.
    """

    one: bytes
    many: bytes
    rounds: list[tuple[float, float, float, float, float]] = field(default_factory=list)

    def run(self, ghostscript: Seconds, faxgw: Seconds) -> None:
        """Do all of it once more."""
        one, many = (self.one, 1), (self.many, MANY)
        pdfium = _pdfium(self.many)
        self.rounds.append((ghostscript(*one), faxgw(*one), ghostscript(*many), faxgw(*many), pdfium))

    @property
    def seconds(self) -> dict[str, tuple[float, float]]:
        """The least seconds of ghostscript and of faxgw for a document, and for a further page of one."""
        return _seconds([min(each) for each in zip(*self.rounds, strict=True)])

    @property
    def pdfium(self) -> float:
        """The least seconds of pdfium for a further page."""
        return min(each[-1] for each in self.rounds)

    def ratios(self, kind: str) -> list[float]:
        """Return how many times ghostscript's speed faxgw had, round by round."""
        return [theirs / ours for theirs, ours in (_seconds(each)[kind] for each in self.rounds)]


def _seconds(all_of_it: Sequence[float]) -> dict[str, tuple[float, float]]:
    theirs, ours, their_many, our_many, _ = all_of_it
    further = MANY - 1
    return {"document": (theirs, ours), "page": ((their_many - theirs) / further, (our_many - ours) / further)}


def version() -> str:
    """Return ghostscript's version.

    Raises:
        CannotMeasure: if it is not installed.
    """
    return subprocess.run([_program(), "--version"], capture_output=True, text=True, check=True).stdout.strip()


def measure(*, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure every kind of page; the shape is that of ``--json``.

    Raises:
        CannotMeasure: if there is no ghostscript.
    """
    program, renderer = _program(), Renderer()
    races = {name: Race(_document(number, 1), _document(number, MANY)) for number, name in enumerate(PAGES)}
    with tempfile.TemporaryDirectory() as folder, machine.one_core():

        def ghostscript(pdf: bytes, _: int) -> float:
            return _ghostscript(program, Path(folder), pdf)

        def faxgw(pdf: bytes, pages: int) -> float:
            return _faxgw(renderer, pdf, pages)

        try:
            for name, race in races.items():
                say(name)
                race.run(ghostscript, faxgw)  # the worker starts, and the codec is loaded
                race.rounds.clear()
                for _ in range(rounds):
                    race.run(ghostscript, faxgw)
        finally:
            renderer.close()
    said = {kind: _summary(kind, races) for kind in ("document", "page")}
    drawing = {name: race.pdfium for name, race in races.items()}
    said["page"] |= {
        "pdfium_ms": {name: rounded(seconds * 1e3) for name, seconds in drawing.items()},
        "pdfium_ratio": rounded(_mean(tuple(races[name].seconds["page"][0] / each for name, each in drawing.items()))),
    }
    return said


def figures(said: Mapping[str, Any]) -> list[Figure]:
    """Return what was measured beside its targets."""
    whats = {"document": "a PDF of one page made a fax page", "page": "each further page of it"}
    return [
        Figure(f"render.{kind}", what, said[kind]["ratio"], "x", TARGET, more_is_better=True)
        for kind, what in whats.items()
    ]


def _summary(kind: str, races: Mapping[str, Race]) -> dict[str, Any]:
    best = {name: race.seconds[kind] for name, race in races.items()}
    by_round = [_mean(each) for each in zip(*(race.ratios(kind) for race in races.values()), strict=True)]
    return {
        "ratio": rounded(_mean(tuple(theirs / ours for theirs, ours in best.values()))),
        "spread": [rounded(min(by_round)), rounded(max(by_round))],
        "per_page": {name: rounded(theirs / ours) for name, (theirs, ours) in best.items()},
        "ghostscript_ms": {name: rounded(theirs * 1e3) for name, (theirs, _) in best.items()},
        "faxgw_ms": {name: rounded(ours * 1e3) for name, (_, ours) in best.items()},
    }


def _mean(ratios: tuple[float, ...]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def _program() -> str:
    found = which("gs")
    if found is None:
        raise CannotMeasure("ghostscript is not installed (Debian package ghostscript).")
    return found


def _document(page: int, times: int) -> bytes:
    """Return a PDF that has a page of the sample so many times."""
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder, "sample.pdf")
        write_sample(sample)
        with pikepdf.open(sample) as source, pikepdf.new() as made:
            for _ in range(times):
                made.pages.append(source.pages[page])
            octets = io.BytesIO()
            made.save(octets)
            return octets.getvalue()


def _ghostscript(program: str, folder: Path, pdf: bytes) -> float:
    source, drawn = folder / "page.pdf", folder / "page.tif"
    source.write_bytes(pdf)
    began = time.perf_counter()
    subprocess.run([program, *GHOSTSCRIPT, f"-sOutputFile={drawn}", source], check=True)
    return time.perf_counter() - began


def _faxgw(renderer: Renderer, pdf: bytes, pages: int) -> float:
    began = time.perf_counter()
    document = open_document([Upload("page.pdf", pdf)], RenderOptions(), renderer=renderer)
    for index in range(pages):
        layout = document.layout(index, EVERYTHING)
        coded_page(document.bitmap(index, layout), width=layout.width, resolution=layout.resolution)
    seconds = time.perf_counter() - began
    renderer.forget()
    return seconds


def _pdfium(pdf: bytes) -> float:
    """Return the seconds of a further page for pdfium, called as the worker calls it, but in this process."""
    document = PdfInput(pdf, "page.pdf")
    box = place(document.shapes[0], limits=EVERYTHING, paper=None, resolution=None, header=False).box
    greys = Frame.white(box.down, box.across).greys
    document.draw(0, greys, turned=False)
    began = time.perf_counter()
    for page in range(1, MANY):
        document.draw(page, greys, turned=False)
    seconds = time.perf_counter() - began
    document.close()
    return seconds / (MANY - 1)
