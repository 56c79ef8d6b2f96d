"""The fax machine that ``faxgw simulate modem`` has at the far end: what it does, call by call."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

from faxgw.documents.document import open_document
from faxgw.documents.source import PageSource
from faxgw.documents.target import PageTarget
from simulators.machine import Machine
from simulators.pty import PseudoTerminal
from t30.outcome import Outcome

LOOK_AGAIN = 0.05
"""Real seconds between two looks whether the modem waits for a call."""
TIME_TO_HANG_UP = 30.0
"""Seconds of line time that a program has to hang up after the last call."""

OneCall = Callable[[], Coroutine[Any, Any, Outcome]]


async def load_codec() -> None:
    """Do what takes seconds the first time before there is a modem to call with."""
    with tempfile.TemporaryDirectory() as folder:
        await PageTarget(Path(folder)).prepare()


@asynccontextmanager
async def loaded(document: Path | None) -> AsyncIterator[PageSource | None]:
    """Give the pages of a document, if there is one, drawn and coded; let go of them in the end."""
    if document is None:
        yield None
        return
    source = PageSource(await asyncio.to_thread(open_document, [document]))
    try:
        await source.prepare()
        yield source
    finally:
        await source.close()


@dataclass(frozen=True, slots=True)
class FarMachine:
    """A machine, the modem that it talks to, and who is told of each call; it takes part in so many, or for ever."""

    machine: Machine
    terminal: PseudoTerminal
    calls: int | None
    report: Callable[[Outcome], None]

    async def answer(self, once: OneCall) -> None:
        """Take calls."""
        for _ in self._each():
            self.report(await once())

    async def call(self, once: OneCall, *, after: float) -> None:
        """Make calls, each ``after`` seconds after a program has begun to wait for one."""
        waits = _waiting(self.terminal)
        for _ in self._each():
            await _until_it_waits(waits, self.machine.line.clock.real(after))
            self.report(await once())
            await hung_up(self.terminal)

    async def take(self, out: Path | None) -> Outcome:
        """Answer one call and store what it brings, if anything."""
        return await self._stored(out, self.machine.receive)

    async def give(self, source: PageSource) -> Outcome:
        """Answer one call and give the document to who asks for it."""
        self.machine.pages = source
        return await self.machine.receive()

    async def send(self, source: PageSource) -> Outcome:
        """Call and send the document."""
        self.machine.pages = source
        return await self.machine.send(self.terminal.modem.port.number)

    async def fetch(self, out: Path) -> Outcome:
        """Call and store what is on offer."""
        return await self._stored(out, lambda: self.machine.fetch(self.terminal.modem.port.number))

    def _each(self) -> Iterator[int]:
        return iter(range(self.calls)) if self.calls else count()

    async def _stored(self, out: Path | None, call: OneCall) -> Outcome:
        with _folder(out) as folder:
            target = self.machine.pages = PageTarget(folder)
            try:
                return await call()
            finally:
                await target.close()


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """Give a folder for what one call brings; in the end the TIFF in it, if there is one, becomes ``out``."""
    with tempfile.TemporaryDirectory(dir=out and out.absolute().parent, prefix=".faxgw-") as name:
        received = Path(name, "fax.tif")
        try:
            yield received.parent
        finally:
            if out and received.exists():
                received.replace(out)


async def hung_up(terminal: PseudoTerminal) -> None:
    """Wait until the modem is on hook; a program that never hangs up is not waited for."""
    port = terminal.modem.port
    with suppress(TimeoutError):
        async with asyncio.timeout(port.clock.real(TIME_TO_HANG_UP)):
            while port.in_use:  # noqa: ASYNC110
                await asyncio.sleep(LOOK_AGAIN)


async def _until_it_waits(waits: Callable[[], bool], seconds: float) -> None:
    """Wait until a program has been waiting for a call for so many seconds of real time."""
    since: float | None = None
    while since is None or monotonic() < since + seconds:
        await asyncio.sleep(LOOK_AGAIN)
        since = (since or monotonic()) if waits() else None


def _waiting(terminal: PseudoTerminal) -> Callable[[], bool]:
    """Return what says whether a program waits for a call: the one that has the terminal open said ``+FCLASS=1``."""
    told = 0

    def take_note() -> None:
        nonlocal told
        told = terminal.openings

    modem = terminal.modem
    modem.on_fax_class = take_note
    return lambda: (
        terminal.is_open and told == terminal.openings and modem.settings.fax_class != "0" and not modem.port.in_use
    )
