"""The main job in virtual time: documents in, two drivers, two modems, one line, fax.tif and fax.pdf out."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from faxgw.calls import Observer, run_call
from faxgw.documents.ahead import EVERYTHING
from faxgw.documents.document import RenderOptions, open_document
from faxgw.documents.source import PageSource
from faxgw.documents.target import PageTarget
from simulators.clock import run
from simulators.faults import Faults
from simulators.switch import Switch
from t30.answering import answering
from t30.calling import calling
from t30.capabilities import Station
from t30.line import LineClock
from t30.outcome import Outcome
from t30.pages import PageLimits
from t30.session import Session
from t30.t4.raster import Bitmap
from tests.drivers.rig import modem_line
from tests.faxgw.documents.making import tiff_pages

CALLER, ANSWERER = "0301234567", "5550100"


def fax(
    paths: Sequence[Path],
    folder: Path,
    station: Station,
    *,
    faults: Faults | None = None,
    observers: Sequence[Observer] = (),
) -> tuple[Outcome, Outcome]:
    """Send documents from one Class 1 modem to another; return what both ends say."""
    return run(_fax(paths, folder, station, faults or Faults(), observers))


async def _fax(
    paths: Sequence[Path], folder: Path, station: Station, faults: Faults, observers: Sequence[Observer]
) -> tuple[Outcome, Outcome]:
    switch = Switch(LineClock(asyncio.get_running_loop().time), faults=faults)
    async with AsyncExitStack() as until_end:
        ours, _ = await until_end.enter_async_context(modem_line(switch, CALLER))
        theirs, _ = await until_end.enter_async_context(modem_line(switch, ANSWERER))
        source, target = PageSource(open_document(paths)), PageTarget(folder)
        until_end.push_async_callback(source.close)
        until_end.push_async_callback(target.close)
        async with asyncio.TaskGroup() as both:
            answered = both.create_task(run_call(Session(answering(Station(ident=ANSWERER))), theirs, target))
            called = both.create_task(run_call(Session(calling(station, ANSWERER)), ours, source, observers))
        return called.result(), answered.result()


def drawn(
    paths: Sequence[Path], limits: PageLimits = EVERYTHING, *, options: RenderOptions | None = None
) -> list[Bitmap]:
    """Draw every page as it is to be sent."""
    with open_document(paths, options) as document:
        return [document.bitmap(index, document.layout(index, limits)) for index in range(len(document))]


def received(path: Path) -> list[Bitmap]:
    """Read a fax as Pillow, which is not ours, reads it."""
    return [Bitmap.from_pels(page) for page in tiff_pages(path)]
