"""Where the service's pages come from: pages prepared before, sent pel for pel to every receiver that can take them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from faxgw.documents.ahead import AheadOfTheLine, seen
from faxgw.documents.coded import CodedPage, bitmap_of
from faxgw.documents.document import open_document
from faxgw.documents.layout import LINES_PER_MM, Layout, PageShape, PelForPel, place, scan_line_mm
from faxgw.documents.parts import Upload
from faxgw.documents.pool import RendererPool
from faxgw.documents.renderer import Renderer
from faxgw.documents.tiff import tiff_octets
from t30.pages import NoteConfirmed, PageLimits
from t30.t4 import Bitmap

PAGES_UNSEALED = 3


async def admit_anyone(receiver: str) -> None:
    """Give pages to whoever answers."""


async def note_nothing(index: int, note: NoteConfirmed, sha256: bytes) -> None:
    """Let a confirmation be the engine's alone."""


class StoredPages(AheadOfTheLine):
    """Answers ``FetchPage`` from prepared pages.

    Args:
        page: gives page ``index`` of the document, unsealed.
        indices: the pages to send in this call, in order; those confirmed in earlier calls are left out.
        pool: draws a page anew for a receiver that cannot take it as it is. Not the pool that reads uploads:
            a call would have to wait for them.
        admit: told once, before any page is given, what the receiver calls itself; what it raises ends the call.
        confirmed: told the number within the document of each page that was confirmed, and ``page_hash`` of the pels
            that were sent, before the engine's next command; what it raises ends the call.
    """

    def __init__(
        self,
        page: Callable[[int], Awaitable[CodedPage]],
        indices: Sequence[int],
        pool: RendererPool,
        *,
        admit: Callable[[str], Awaitable[None]] = admit_anyone,
        confirmed: Callable[[int, NoteConfirmed, bytes], Awaitable[None]] = note_nothing,
    ) -> None:
        super().__init__(indices)
        self._page = page
        self._pool = pool
        self._ask = admit
        self._tell = confirmed
        self._admitted = False
        self._unsealed: dict[int, asyncio.Future[CodedPage]] = {}

    async def _admit(self, receiver: str) -> None:
        if not self._admitted:
            await self._ask(receiver)
            self._admitted = True

    async def _confirmed(self, index: int, note: NoteConfirmed) -> None:
        await self._tell(index, note, self.sent[index])

    async def _layout(self, index: int, limits: PageLimits) -> Layout:
        page = await self._fetched(index)
        return place(_shape(page), limits=limits, paper=None, resolution=None, header=False)

    async def _bitmap(self, index: int, layout: Layout) -> Bitmap:
        page = await self._fetched(index)
        if layout.copied:
            return await asyncio.to_thread(bitmap_of, page)
        async with self._pool.lease() as renderer:
            return await self._pool.run(_drawn_anew, page, index, layout, renderer)

    async def _release(self) -> None:
        for page in self._unsealed.values():
            page.cancel()
        self._unsealed.clear()

    async def _fetched(self, index: int) -> CodedPage:
        """Return a page as it was stored; the last few are kept, for when the rate has changed."""
        page = self._unsealed.get(index)
        if page is None or (page.done() and page.exception() is not None):
            for one in list(self._unsealed)[: 1 - PAGES_UNSEALED]:
                del self._unsealed[one]
            page = self._unsealed[index] = asyncio.ensure_future(self._page(index))
            page.add_done_callback(seen)
        return await asyncio.shield(page)


def _shape(page: CodedPage) -> PageShape:
    down = page.rows / LINES_PER_MM[page.resolution]
    own = PelForPel(page.width, page.resolution, page.rows)
    return PageShape(scan_line_mm(page.width, page.resolution), down, sized=True, pel_for_pel=own)


def _drawn_anew(page: CodedPage, index: int, layout: Layout, renderer: Renderer) -> Bitmap:
    """Draw a page as if it had come in a TIFF."""
    upload = Upload(f"Page {index + 1}", tiff_octets([page]))
    with open_document([upload], renderer=renderer) as document:
        return document.bitmap(0, layout)
