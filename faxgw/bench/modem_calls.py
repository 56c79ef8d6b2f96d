"""A process with one line of 8 kHz audio: a call at a time, in virtual time. libspandsp runs here, since C may crash.

Each line of standard input is a call, as JSON: ``{"way": WAY, "page": TIFF of one page, "latency": S}``, answered by a
line of JSON on standard output. WAY is

    alone      libspandsp's fax machine ==== libspandsp's fax machine
    sends      our engine - our driver - octets at 115,200 bit/s - libspandsp's T.31 modem ==== libspandsp's fax machine
    receives   the same, but its fax machine calls and sends

Audio and the event loop's clock go on together: a block of samples is a sleep of so long. Our side thinks in no time,
but what the modem says comes ``latency`` later, and every octet takes its time on the serial port.

Line time is counted in samples, in the same way for all: from the first sample of the call, with the caller off hook
and the answerer beginning its answer tone, until both are on hook. A modem is on hook when it is told to be, a fax
machine of libspandsp when it says that its call is over (phase E): 1 s after its goodbye, if it sends.
"""

import asyncio
import ctypes as c
import json
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from drivers.class1.modem import Class1Line
from drivers.class1.quirks import Flow
from drivers.class1.setup import Options
from faxgw.bench.audio import BLOCK, LONGEST, Line, ModemPort
from faxgw.bench.libspandsp import Terminal, add_machine_options, load
from faxgw.calls import result, run_call
from faxgw.documents.coded import CodedPage, bitmap_of, page_hash
from faxgw.documents.direct import fax_pages
from faxgw.documents.pool import RendererPool
from faxgw.documents.receiver import Receiver
from faxgw.documents.stored import StoredPages
from simulators import clock as virtual
from t30.answering import answering
from t30.calling import calling
from t30.capabilities import Station
from t30.session import Session

OURS, THEIRS = "", ""
"""Identities: none, on either side, since each takes 0.7 s wherever it is sent."""
RING_AFTER = 0.5


def main() -> None:
    """Make the calls that standard input asks for."""
    library = load()
    parser = ArgumentParser()
    add_machine_options(parser)
    for asked in sys.stdin:
        wanted = json.loads(asked)
        with tempfile.TemporaryDirectory() as folder:
            stored = Path(folder) / "stored.tif"
            if wanted["way"] == "alone":
                told = alone(library, parser, Path(wanted["page"]), stored)
            else:
                told = virtual.run(ours(library, parser.parse_args(["--ident", THEIRS]), wanted, stored))
        print(json.dumps(told), flush=True)


def alone(library: c.CDLL, parser: ArgumentParser, page: Path, stored: Path) -> dict[str, Any]:
    """Let two of libspandsp's machines fax a page."""
    sender = Terminal(library, parser.parse_args(["--ident", OURS]), sends=page, stores=None, block=BLOCK)
    receiver = Terminal(library, parser.parse_args(["--ident", THEIRS]), sends=None, stores=stored, block=BLOCK)
    line = Line(sender, receiver)
    while (sender.machine.result is None or receiver.machine.result is None) and line.seconds < LONGEST:
        line.carry()
    return {**line.told(), "theirs": receiver.machine.report(), "whole": _hash(page) == _hash(stored)}


async def ours(library: c.CDLL, options: Namespace, wanted: dict[str, Any], stored: Path) -> dict[str, Any]:
    """Let our side fax a page with libspandsp's machine, through libspandsp's modem."""
    page, we_send = Path(wanted["page"]), wanted["way"] == "sends"
    rig = ModemPort(
        library,
        options,
        sends=None if we_send else page,
        stores=stored if we_send else None,
        latency=wanted["latency"],
    )
    carrying = asyncio.create_task(rig.run())
    line = await Class1Line.attach(rig, Options(flow=Flow.NONE), port="libspandsp's modem")
    station = Station(ident=OURS)
    received: list[CodedPage] = []

    async def store(index: int, coded: CodedPage) -> None:
        received[index:] = [coded]

    pages = StoredPages(_from(page), [0], RendererPool()) if we_send else Receiver(store)
    await pages.prepare()
    session = Session(calling(station, "5550100") if we_send else answering(station))
    if not we_send:
        asyncio.get_running_loop().call_later(RING_AFTER, rig.ring)
    outcome = await run_call(session, line, pages)
    await pages.close()
    await carrying
    await line.close()
    assert rig.line and rig.terminal
    arrived = _hash(stored) if we_send else b"".join(page_hash(bitmap_of(each), each.resolution) for each in received)
    return {
        **rig.line.told(),
        "ours": result(outcome),
        "theirs": rig.terminal.machine.report(),
        "whole": _hash(page) == arrived,
    }


def _hash(file: Path) -> bytes:
    """Return the hash of the pels of a TIFF's first page; nothing if it has no whole one."""
    pages = fax_pages(file.read_bytes(), most=1) if file.exists() else None
    return pages[0].sha256 if pages else b""


def _from(page: Path) -> Callable[[int], Awaitable[CodedPage]]:
    """Return what gives our side the page."""
    pages = fax_pages(page.read_bytes(), most=1)
    if pages is None:
        raise ValueError(f"{page} is no TIFF with one plain fax page in MMR.")
    coded = pages[0].page

    async def give(index: int) -> CodedPage:  # noqa: ARG001 (there is but one)
        return coded

    return give


if __name__ == "__main__":
    main()
