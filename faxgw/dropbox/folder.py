"""A device's folder as its client sees it: on no disk, but rows, sealed objects, and what is being written."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import structlog

from faxgw.archive.objects import StoreError
from faxgw.archive.sealed import StoredObject
from faxgw.devices.device import Device
from faxgw.devices.memory import Memory
from faxgw.dropbox import looking, sidecar
from faxgw.dropbox.dropping import drop_document, drop_sidecar, note_error, remove, rename
from faxgw.dropbox.looking import Entry
from faxgw.dropbox.naming import RESULTS, Name, name_of, split
from faxgw.dropbox.reading import Reading
from faxgw.dropbox.writing import KIND, Writing, Written
from faxgw.errors import RequestError
from faxgw.gateway import Gateway
from faxgw.metrics import DROPS

log = structlog.get_logger(__name__)

MOST_OPEN = 8
"""Files that one connection may be writing at once, and as many that wait to be renamed."""
TINY = 4096
"""Octets of a file that is kept in memory while it waits to be renamed; longer ones are in the store, sealed."""
REMEMBERED = 100
"""Files that were taken and are gone from the folder, but that a client may still ask about: was it all written?"""

FOLDERS = ((), (RESULTS,))
"""The folders there are."""


@dataclass(eq=False)
class Opened:
    """A file that is being written."""

    name: Name
    writing: Writing
    at: datetime
    refused: RequestError | None = None
    """Why nothing of it was kept."""


@dataclass(frozen=True, slots=True)
class _Unfinished:
    """A file that was written whole, under a name that says that it is not: it waits to be renamed."""

    written: Written = field(repr=False)
    at: datetime

    @property
    def size(self) -> int:
        return len(self.written) if isinstance(self.written, bytes) else self.written.length


class Folder:
    """The folder of one device, for one connection. What is not finished goes with the connection.

    Methods may raise ``RequestError``, with what to tell the client, and errors of the store and the database.
    """

    def __init__(self, gateway: Gateway, device: Device, reading: Reading, memory: Memory) -> None:
        self.device = device
        self._memory = memory
        self._gateway = gateway
        self._reading = reading
        self._opened: set[Opened] = set()
        self._unfinished: dict[str, _Unfinished] = {}
        self._taken: dict[str, Entry] = {}

    async def write(self, path: bytes, *, new: bool = False, known: bool = False) -> Opened:
        """Begin a file; ``new``: only if there is none of that name; ``known``: only if there is one."""
        name = _writable(path)
        if new or known:
            there = await self._find(name.text)
            if there is None and known:
                raise _unknown()
            if there is not None and new:
                raise RequestError("drop.name", "There is a file of that name.")
        if len(self._opened) >= MOST_OPEN:
            raise RequestError("drop.full", f"{MOST_OPEN} files may be written at once: finish one.")
        most = sidecar.MOST if name.kind == "sidecar" else int(self._gateway.config.api.max_body)
        writing = Writing(self._gateway.objects, self.device.tenant_id, most, self._memory.lend())
        opened = Opened(name, writing, datetime.now(UTC))
        self._opened.add(opened)
        return opened

    async def put(self, opened: Opened, offset: int, octets: bytes) -> None:
        """Take a piece of a file."""
        try:
            await opened.writing.write(offset, octets)
        except RequestError as refused:
            opened.refused = opened.refused or refused
            raise

    async def close(self, opened: Opened) -> None:
        """Take a file that is whole; under a name that says that it is not finished, it waits to be renamed."""
        if opened not in self._opened:
            return
        self._opened.remove(opened)
        name = opened.name
        written = await self._finished(opened)
        if name.kind != "unfinished":
            await self._drop(name, written)
            return
        await self._forget(name.text)
        if len(self._unfinished) >= MOST_OPEN:
            await self._throw_away(written)
            raise RequestError("drop.full", f"{MOST_OPEN} files wait to be renamed: rename or remove one.")
        if isinstance(written, bytes) and len(written) > TINY:
            written = await self._gateway.objects.put(written, tenant=self.device.tenant_id, kind=KIND)
        self._unfinished[name.text] = _Unfinished(written, datetime.now(UTC))

    async def read(self, path: bytes) -> bytes:
        """Return what a result, a note or a sidecar says; documents are sealed, and not given back."""
        parts = split(path)
        if parts in FOLDERS:
            raise RequestError("drop.name", "This is a folder.")
        entry = await self.find(path)
        if entry is None:
            raise _unknown()
        if entry.content is None:
            raise RequestError("drop.sealed", "Documents are sealed when they come; they are not given back.")
        return entry.content

    async def rename(self, old: bytes, new: bytes) -> None:
        """Give a file its name; with its final one it is dropped."""
        before, after = _writable(old), _writable(new)
        unfinished = self._unfinished.pop(before.text, None)
        if unfinished is None:
            entry = await self._find(before.text)
            await self._told(after, rename(self._gateway, self.device, before, after))
            self._remember(after, entry.size or 0 if entry else 0)
        elif after.kind == "unfinished":
            await self._forget(after.text)
            self._unfinished[after.text] = unfinished
        else:
            await self._drop(after, unfinished.written)

    async def remove(self, path: bytes) -> None:
        """Delete a file that waits, a note or a result."""
        parts = split(path)
        name = _result(parts) if len(parts) > 1 else _named(parts)
        if name.kind == "unfinished" and name.text in self._unfinished:
            await self._forget(name.text)
        elif name.kind == "unfinished":
            raise _unknown()
        else:
            await remove(self._gateway, self.device, name)

    async def entries(self, path: bytes) -> list[Entry]:
        """List a folder; ``drop.unknown`` if it is none."""
        parts = split(path)
        if parts == (RESULTS,):
            return await looking.results(self._gateway, self.device)
        if parts:
            raise _unknown()
        return [*await looking.waiting(self._gateway, self.device), *self._own()]

    async def find(self, path: bytes) -> Entry | None:
        """Say what is known of a file; None: there is none of that name."""
        parts = split(path)
        if len(parts) == 2 and parts[0] == RESULTS:
            return await looking.result(self._gateway, self.device, _result(parts))
        return await self._find(parts[0]) if len(parts) == 1 else None

    async def abandon(self) -> None:
        """Forget all that is not finished."""
        for opened in tuple(self._opened):
            self._opened.discard(opened)
            await opened.writing.abandon()
        for text in tuple(self._unfinished):
            await self._forget(text)

    async def _find(self, text: str) -> Entry | None:
        own = {each.name: each for each in self._own()}
        if text in own:
            return own[text]
        waiting = {each.name: each for each in await looking.waiting(self._gateway, self.device)}
        return waiting.get(text) or self._taken.get(text)

    def _own(self) -> list[Entry]:
        """Return what only this connection sees."""
        whole = [Entry(text, each.size, each.at) for text, each in self._unfinished.items()]
        return [*whole, *(Entry(each.name.text, each.writing.size, each.at) for each in self._opened)]

    async def _finished(self, opened: Opened) -> Written:
        try:
            return await opened.writing.finish()
        except RequestError as refused:
            why = opened.refused or refused
            await self._note(opened.name, why)
            raise why from None

    async def _drop(self, name: Name, written: Written) -> None:
        size = len(written) if isinstance(written, bytes) else written.length
        if name.kind == "sidecar":
            await self._told(name, self._drop_sidecar(name, written))
        else:
            await self._told(name, self._drop_document(name, written))
        self._remember(name, size)

    async def _drop_document(self, name: Name, written: Written) -> UUID | None:
        document = await self._reading.document(self.device, name.text, written)
        return await drop_document(self._gateway, self.device, name, document)

    async def _drop_sidecar(self, name: Name, written: Written) -> UUID | None:
        octets = written
        if not isinstance(octets, bytes):
            try:
                if octets.length > sidecar.MOST:
                    raise RequestError("request.too_large", f"A sidecar may have {sidecar.MOST:,} octets.")
                octets = await self._gateway.objects.open(octets.label, dek=octets.dek)
            finally:
                await self._throw_away(written)
        return await drop_sidecar(self._gateway, self.device, name, octets)

    async def _told(self, name: Name, dropping: Awaitable[UUID | None]) -> None:
        """Have something dropped, and tell what became of it."""
        try:
            became = await dropping
        except RequestError as refused:
            await self._note(name, refused)
            raise
        DROPS.labels("sent" if became else "waiting").inc()
        log.info("a file was dropped", device=str(self.device.id), what=name.kind, became=str(became or "waiting"))

    async def _note(self, name: Name, refused: RequestError) -> None:
        DROPS.labels("refused").inc()
        log.info("a dropped file was refused", device=str(self.device.id), code=refused.code)
        await note_error(self._gateway, self.device, name, refused.reason)

    def _remember(self, name: Name, size: int) -> None:
        while len(self._taken) >= REMEMBERED:
            self._taken.pop(next(iter(self._taken)))
        self._taken[name.text] = Entry(name.text, size, datetime.now(UTC))

    async def _forget(self, text: str) -> None:
        if (unfinished := self._unfinished.pop(text, None)) is not None:
            await self._throw_away(unfinished.written)

    async def _throw_away(self, written: Written) -> None:
        if isinstance(written, StoredObject):
            try:
                await asyncio.shield(self._gateway.objects.delete([written.id]))
            except StoreError as fault:
                log.warning("an object that nothing names stays until the next search", fault=str(fault))


def _writable(path: bytes) -> Name:
    name = _named(split(path))
    if name.kind in ("error", "result"):
        raise RequestError("drop.name", "Names that end so are given by the gateway: give the file another one.")
    return name


def _named(parts: tuple[str, ...]) -> Name:
    if len(parts) != 1:
        raise RequestError("drop.name", "Files are dropped into the folder itself; there are no others to write to.")
    return name_of(parts[0])


def _result(parts: tuple[str, ...]) -> Name:
    name = name_of(parts[1]) if len(parts) == 2 and parts[0] == RESULTS else None
    if name is None or name.kind != "result":
        raise _unknown()
    return name


def _unknown() -> RequestError:
    return RequestError("drop.unknown", "There is no such file here.")
