"""Where sent pages come from: drawn within what both machines can do, coded, and one page ahead of the line."""

import asyncio
from dataclasses import dataclass

from faxgw.documents.document import Document
from faxgw.documents.layout import Layout
from t30.pages import (
    Coding,
    FetchPage,
    Length,
    NoMorePages,
    NoteConfirmed,
    Noted,
    PageAction,
    PageEvent,
    PageLimits,
    PageReady,
    Resolution,
    Width,
)
from t30.t4 import Bitmap, encode, usual_k

PAGES_KEPT = 2
"""The page being sent and the one after it: the engine looks one ahead, and asks again when the rate has changed."""

EVERYTHING = PageLimits(Width.A3, Length.UNLIMITED, frozenset(Resolution), Coding.MMR, ecm=True)


@dataclass(frozen=True, slots=True)
class _Drawn:
    layout: Layout
    drawing: asyncio.Future[Bitmap]


class PageSource:
    """Answers ``FetchPage`` from a document. At most three drawn pages are in memory, of however many."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._drawn: dict[int, _Drawn] = {}

    async def prepare(self) -> None:
        """Draw and code the first page before dialling: what is wrong with it shows now, and the codec is loaded.

        Raises:
            RequestError: ``document.*``.
        """
        bitmap = await self._draw(0, self._document.layout(0, EVERYTHING))
        for coding in Coding:
            await asyncio.to_thread(encode, bitmap, coding)

    async def perform(self, action: PageAction) -> PageEvent:
        """Answer ``FetchPage`` and ``NoteConfirmed``.

        Raises:
            RequestError: ``document.*``, if the page cannot be drawn.
        """
        if isinstance(action, NoteConfirmed):
            return Noted()
        if not isinstance(action, FetchPage):
            raise TypeError(f"a page source has no answer to {action}")
        if action.index >= len(self._document):
            return NoMorePages()
        layout = self._document.layout(action.index, action.limits)
        bitmap = await self._draw(action.index, layout)
        self._look_ahead(action)
        octets = await asyncio.to_thread(
            encode,
            bitmap,
            action.limits.coding,
            k=usual_k(layout.resolution),
            min_row_bits=action.min_row_bits,
            end_of_page=True,
        )
        return PageReady(
            layout.format(coding=action.limits.coding, ecm=action.limits.ecm), octets=octets, rows=bitmap.rows
        )

    async def close(self) -> None:
        """End the document's worker and forget its pages."""
        await asyncio.to_thread(self._document.close)
        drawings = [drawn.drawing for drawn in self._drawn.values()]
        self._drawn.clear()
        await asyncio.gather(*drawings, return_exceptions=True)

    async def _draw(self, index: int, layout: Layout) -> Bitmap:
        """Draw a page, or wait for it, or have it already. A cancelled call leaves the drawing to end by itself."""
        return await asyncio.shield(self._drawing(index, layout))

    def _drawing(self, index: int, layout: Layout) -> asyncio.Future[Bitmap]:
        drawn = self._drawn.get(index)
        if drawn is None or drawn.layout != layout:
            drawing = asyncio.ensure_future(asyncio.to_thread(self._document.bitmap, index, layout))
            drawing.add_done_callback(_seen)
            drawn = self._drawn[index] = _Drawn(layout, drawing)
        return drawn.drawing

    def _look_ahead(self, fetched: FetchPage) -> None:
        """Begin to draw the page after this one, and forget those that will hardly be asked for again."""
        following = fetched.index + 1
        for index in [one for one in self._drawn if not fetched.index - PAGES_KEPT < one <= following]:
            del self._drawn[index]
        if following < len(self._document):
            self._drawing(following, self._document.layout(following, fetched.limits))


def _seen(drawing: asyncio.Future[Bitmap]) -> None:
    """Take note of a failure ahead of the line; it is raised when the page is asked for."""
    if not drawing.cancelled():
        drawing.exception()
