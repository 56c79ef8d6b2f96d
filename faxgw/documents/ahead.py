"""What every source of sent pages does: code a page for the wire, and have the one after it drawn ahead of the line."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import TypeVar

from faxgw.documents import kernels
from faxgw.documents.coded import page_hash
from faxgw.documents.layout import Layout
from t30.pages import (
    ANYBODY,
    USUAL_CODINGS,
    AdmitPoller,
    Admitted,
    Coding,
    FetchPage,
    Key,
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
from t30.t4 import Bitmap, coded, usual_k

T = TypeVar("T")

NEGOTIATION = 14_400
"""Octets that go over the line in the 8 s that a change of coding between two pages costs."""
PAGES_KEPT = 2
"""The page being sent and the one after it: the engine looks one ahead, and asks again when the rate has changed."""

EVERYTHING = PageLimits(Width.A3, Length.UNLIMITED, frozenset(Resolution), Coding.MMR, ecm=True)
"""What all machines together can do: the limits of a page that has no receiver yet."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    layout: Layout
    drawing: asyncio.Future[Bitmap]


class AheadOfTheLine(ABC):
    """Answers ``FetchPage`` and ``NoteConfirmed``. At most three drawn pages are in memory, of however many.

    Attributes:
        key: what a caller must say who wants to fetch the pages.
        sent: SHA-256 (``page_hash``) of the pels of each page last fetched, by its number within the document.
    """

    def __init__(self, indices: Sequence[int], *, key: Key = ANYBODY) -> None:
        self.key = key
        self._indices = indices
        self._drawn: dict[int, _Drawn] = {}
        self._looking: set[asyncio.Future[None]] = set()
        self.sent: dict[int, bytes] = {}
        self._codings: dict[int, Coding] = {}

    @abstractmethod
    async def _layout(self, index: int, limits: PageLimits) -> Layout:
        """Return how page ``index`` of the document is sent."""

    @abstractmethod
    async def _bitmap(self, index: int, layout: Layout) -> Bitmap:
        """Draw page ``index`` of the document."""

    @abstractmethod
    async def _release(self) -> None:
        """Let go of where the pages come from; what is being drawn may fail."""

    async def _admit(self, receiver: str) -> None:  # noqa: B027
        """Take note of who is about to be given a page; raise what is to end the call before."""

    async def _confirmed(self, index: int, note: NoteConfirmed) -> None:  # noqa: B027
        """Take note that the page was confirmed."""

    async def prepare(self, codings: Set[Coding] = USUAL_CODINGS) -> None:
        """Draw and code the first page before dialling: what is wrong with it shows now, and the codec is loaded.

        Raises:
            RequestError: ``document.*``.
        """
        first = self._indices[0]
        bitmap = await self._draw(first, await self._layout(first, EVERYTHING))
        for coding in codings:
            await asyncio.to_thread(coded, bitmap, coding)
        await asyncio.to_thread(kernels.load, codings)

    async def perform(self, action: PageAction) -> PageEvent:
        """Answer ``FetchPage``, ``NoteConfirmed`` and ``AdmitPoller``.

        Raises:
            RequestError: ``document.*``, if the page cannot be drawn.
        """
        match action:
            case FetchPage():
                return await self._fetch(action)
            case NoteConfirmed():
                await self._confirmed(self._indices[action.index], action)
                return Noted()
            case AdmitPoller():
                return Admitted(self.key.opens(action))
            case _:
                raise TypeError(f"a page source has no answer to {action}")

    async def close(self) -> None:
        """Let go of the document and forget its pages."""
        await self._release()
        under_way = [drawn.drawing for drawn in self._drawn.values()]
        self._drawn.clear()
        await asyncio.gather(*under_way, *self._looking, return_exceptions=True)

    async def _fetch(self, wanted: FetchPage) -> PageReady | NoMorePages:
        if wanted.index >= len(self._indices):
            return NoMorePages()
        await self._admit(wanted.receiver)
        index, limits = self._indices[wanted.index], wanted.limits
        layout = await self._layout(index, limits)
        bitmap = await self._draw(index, layout)
        self._look_ahead(wanted.index, limits)
        before = self._codings.get(wanted.index - 1)
        coding, octets, self.sent[index] = await asyncio.to_thread(_coded, bitmap, layout, wanted, before)
        self._codings[wanted.index] = coding
        return PageReady(layout.format(coding=coding, ecm=limits.ecm), octets=octets, rows=bitmap.rows)

    async def _draw(self, index: int, layout: Layout) -> Bitmap:
        """Draw a page, or wait for it, or have it already. A cancelled call leaves the drawing to end by itself."""
        drawn = self._drawn.get(index)
        if drawn is None or drawn.layout != layout:
            drawing = asyncio.ensure_future(self._bitmap(index, layout))
            drawing.add_done_callback(seen)
            drawn = self._drawn[index] = _Drawn(layout, drawing)
        return await asyncio.shield(drawn.drawing)

    def _look_ahead(self, at: int, limits: PageLimits) -> None:
        """Begin to draw the page after this one, and forget those that will hardly be asked for again."""
        kept = self._indices[max(0, at - PAGES_KEPT + 1) : at + 2]
        for one in [one for one in self._drawn if one not in kept]:
            del self._drawn[one]
        for following in self._indices[at + 1 : at + 2]:
            looking = asyncio.ensure_future(self._draw_ahead(following, limits))
            self._looking.add(looking)
            looking.add_done_callback(self._looking.discard)
            looking.add_done_callback(seen)

    async def _draw_ahead(self, index: int, limits: PageLimits) -> None:
        await self._draw(index, await self._layout(index, limits))


def _coded(bitmap: Bitmap, layout: Layout, fetched: FetchPage, before: Coding | None) -> tuple[Coding, bytes, bytes]:
    """Code a page for the wire as short as can be; return the coding, the octets, and the hash of the very pels.

    A page in dots is shorter in MH than in MMR, by up to a quarter. ``before`` is the coding of the page before it:
    another one must save more than its negotiation takes.
    """
    preferred, k = fetched.limits.coding, usual_k(layout.resolution)
    fill = fetched.min_row_bits
    best, octets = preferred, coded(bitmap, preferred, k=k, min_row_bits=fill, shortest=True)
    for coding in [other for other in Coding if other in fetched.limits.codings and other is not preferred]:
        other = coded(bitmap, coding, k=k, min_row_bits=fill, shortest=True)
        if _cost(coding, other, before) < _cost(best, octets, before):
            best, octets = coding, other
    return best, octets, page_hash(bitmap, layout.resolution)


def _cost(coding: Coding, octets: bytes, before: Coding | None) -> int:
    return len(octets) + NEGOTIATION * (before not in (None, coding))


def seen(ahead: asyncio.Future[T]) -> None:
    """Take note of a failure ahead of the line; it is raised when the page is asked for."""
    if not ahead.cancelled():
        ahead.exception()
