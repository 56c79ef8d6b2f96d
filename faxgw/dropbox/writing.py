"""A file while it is written: in memory as long as it is small, then sealed into the store; never in clear."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID

from faxgw.archive.sealed import SealedStore, StoredObject
from faxgw.devices.memory import Loan
from faxgw.errors import RequestError

KIND = "document"
SMALL = 256 * 1024
"""Octets that are held in memory; what is longer is sealed into the store."""
AHEAD = 1024 * 1024
"""Octets that may have come before those that belong in front of them; some clients write several pieces at once."""
WAITING = 1
"""Pieces that may wait for the store; then whoever writes waits, too."""
STREAMING = 512 * 1024
"""Octets that a file takes in memory while it goes into the store: a piece that is sealed, and one that waits."""

Written = bytes | StoredObject
"""What a whole file is: its octets, if it is small, or where they lie, sealed."""


@dataclass
class Writing:
    """One file that is being written, from its beginning to its end, once.

    Args:
        store: where it goes when it is long.
        tenant: whose it is.
        most: octets that it may have.
        loan: memory that all files of all connections share.
    """

    store: SealedStore
    tenant: UUID
    most: int
    loan: Loan
    size: int = 0
    """Octets that are there without a gap."""
    _head: bytearray = field(default_factory=bytearray, repr=False)
    _ahead: dict[int, bytes] = field(default_factory=dict, repr=False)
    _pieces: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(WAITING), repr=False)
    _storing: asyncio.Task[StoredObject] | None = None
    _over: bool = False

    async def write(self, offset: int, octets: bytes) -> None:
        """Take a piece of it.

        Raises:
            RequestError: ``drop.order``, ``request.too_large``, ``service.busy``; nothing of the file is kept then.
            StoreError: if it cannot be stored.
        """
        try:
            await self._take(offset, octets)
        except BaseException:
            await self.abandon()
            raise

    async def finish(self) -> Written:
        """Return the whole of it; what is in the store is the caller's to keep or to delete.

        Raises:
            RequestError: ``drop.order``, if a piece is missing; ``drop.gone``, if it was given up before.
            StoreError: if it cannot be stored.
        """
        if self._over:
            raise RequestError("drop.gone", "Nothing was kept of this file: write it again from its beginning.")
        if self._ahead:
            await self.abandon()
            raise _disorder()
        self._over = True
        try:
            if self._storing is None:
                return bytes(self._head)
            await self._pass(None)
            return await self._storing
        except BaseException:
            await self._let_go()
            raise
        finally:
            self._head.clear()
            self.loan.grow(0)

    async def abandon(self) -> None:
        """Forget it; nothing of it stays in memory, nor in the store."""
        self._over = True
        self._head.clear()
        self._ahead.clear()
        self.loan.grow(0)
        await self._let_go()

    async def _take(self, offset: int, octets: bytes) -> None:
        if self._over:
            raise RequestError("drop.gone", "Nothing was kept of this file: write it again from its beginning.")
        if offset + len(octets) > self.most:
            raise RequestError("request.too_large", f"A file may have {self.most:,} octets here.")
        if offset > self.size:
            self._keep_ahead(offset, octets)
            return
        if offset < self.size:
            raise _disorder()
        await self._add(octets)
        while (next_octets := self._ahead.pop(self.size, None)) is not None:
            await self._add(next_octets)
        if any(each < self.size for each in self._ahead):
            raise _disorder()

    def _keep_ahead(self, offset: int, octets: bytes) -> None:
        if offset in self._ahead or offset + len(octets) - self.size > AHEAD:
            raise _disorder()
        if octets:
            self._ahead[offset] = octets
            self._need(len(self._head))

    async def _add(self, octets: bytes) -> None:
        self.size += len(octets)
        if self._storing is not None:
            await self._pass(octets)
            return
        long = len(self._head) + len(octets) > SMALL
        self._need(STREAMING if long else len(self._head) + len(octets))
        self._head += octets
        if long:
            self._storing = asyncio.create_task(self.store.put(self._content(), tenant=self.tenant, kind=KIND))
            head = bytes(self._head)
            self._head.clear()
            await self._pass(head)

    def _need(self, octets: int) -> None:
        """Have so much memory, besides what came ahead."""
        if self._storing is not None:
            octets = STREAMING
        if not self.loan.grow(octets + sum(map(len, self._ahead.values()))):
            raise RequestError("service.busy", "Too much is being written at once: try again later.")

    async def _pass(self, octets: bytes | None) -> None:
        """Hand a piece to the store, or the end; wait while it has enough to do."""
        assert self._storing is not None
        putting = asyncio.ensure_future(self._pieces.put(octets))
        try:
            await asyncio.wait({putting, self._storing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            putting.cancel()
        if self._storing.done() and octets is not None:
            self._storing.result()

    async def _content(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) is not None:
            yield piece

    async def _let_go(self) -> None:
        storing, self._storing = self._storing, None
        if storing is None:
            return
        storing.cancel()
        (stored,) = await asyncio.shield(asyncio.gather(storing, return_exceptions=True))
        if isinstance(stored, StoredObject):
            await asyncio.shield(self.store.delete([stored.id]))


def _disorder() -> RequestError:
    reason = "A file is written once, from its beginning to its end, without gaps: nothing is appended or resumed."
    return RequestError("drop.order", reason)
