"""A document: files in, fax pages out, drawn when they are wanted."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Self

from faxgw.documents.cover import Cover
from faxgw.documents.layout import Layout, PageShape, Paper, place
from faxgw.documents.parts import Part
from faxgw.documents.renderer import Renderer, WorkerLimits
from faxgw.documents.screening import Screen
from faxgw.documents.wire import PageJob
from faxgw.errors import RequestError
from t30.pages import PageLimits, Resolution
from t30.t4.raster import Bitmap


@dataclass(frozen=True, slots=True)
class Header:
    """The line above every page: when it was sent, by whom, which page of how many."""

    sender: str
    sent: datetime

    def line(self, page: int, pages: int) -> str:
        """Write the line for page ``page``, from 0.

        >>> Header("+49 30 1234567", datetime(2026, 11, 22, 9, 5)).line(0, 3)
        '2026-11-22 09:05    +49 30 1234567    1/3'
        """
        return f"{self.sent:%Y-%m-%d %H:%M}    {self.sender}    {page + 1}/{pages}"


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """What the user wants of the pages.

    Attributes:
        resolution: None: fine, and a fax page's own; else this or what the receiver has below it.
        paper: None: every page in its own size; else every page is made to fill this paper.
        screen: how grey becomes black and white.
        header: a line above every page, or None.
        limits: what drawing one page may take by a worker of the document's own.
    """

    resolution: Resolution | None = None
    paper: Paper | None = None
    screen: Screen = Screen.AUTO
    header: Header | None = None
    limits: WorkerLimits = field(default_factory=WorkerLimits)


@dataclass(frozen=True, slots=True)
class _Page:
    part: Part
    index: int
    shape: PageShape


class Document:
    """An open document: ``len()`` pages, none of which is in memory. ``close`` ends the worker that it started."""

    def __init__(self, renderer: Renderer, pages: Sequence[_Page], options: RenderOptions, *, borrowed: bool) -> None:
        self._renderer = renderer
        self._borrowed = borrowed
        self._pages = tuple(pages)
        self._options = options

    def __len__(self) -> int:
        return len(self._pages)

    def layout(self, index: int, limits: PageLimits) -> Layout:
        """Return how page ``index`` is sent between machines that can do ``limits``."""
        options = self._options
        return place(
            self._pages[index].shape,
            limits=limits,
            paper=options.paper,
            resolution=options.resolution,
            header=options.header is not None,
        )

    def bitmap(self, index: int, layout: Layout) -> Bitmap:
        """Draw page ``index``; blocks for 3 to 100 ms as a rule. The same layout gives the same pels.

        Raises:
            RequestError: ``document.*``, if the page cannot be drawn.
        """
        page, header = self._pages[index], self._options.header
        return self._renderer.bitmap(
            page.part,
            PageJob(
                slot=0,
                page=page.index,
                resolution=layout.resolution,
                pels=layout.pels,
                rows=layout.rows,
                box=layout.box,
                turned=layout.turned,
                copied=layout.copied,
                screen=self._options.screen,
                header_rows=layout.header_rows,
                header="" if header is None else header.line(index, len(self)),
            ),
        )

    def close(self) -> None:
        """End the worker, also in the middle of a page; one that was lent is left to whoever lent it."""
        if not self._borrowed:
            self._renderer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_document(
    parts: Sequence[Part | Cover], options: RenderOptions | None = None, *, renderer: Renderer | None = None
) -> Document:
    """Open files, uploads and covers, one or many, as one document; blocks while the worker starts and reads them.

    Args:
        parts: what the document is made of, in order.
        options: what is wanted of the pages.
        renderer: a worker that is lent for as long as the document is open; None: one of its own.

    Raises:
        RequestError: ``document.missing``, ``.empty``, ``.encrypted``, ``.unreadable`` (not a document), ``.damaged``,
            ``.too_large``, ``.no_pages``, ``.characters``, ``.timeout``, ``.crashed``, each with one clear sentence.
    """
    options = options or RenderOptions()
    if not parts:
        raise RequestError("document.no_pages", "There is no document to send.")
    with ExitStack() as undo:
        worker = renderer or undo.enter_context(Renderer(options.limits))
        pages = [
            _Page(part, index, shape)
            for part in map(worker.readable, map(_fixed, parts))
            for index, shape in enumerate(worker.shapes(part))
        ]
        undo.pop_all()
    return Document(worker, pages, options, borrowed=renderer is not None)


def _fixed(part: Part | Cover) -> Part | Cover:
    """Return the same file whatever folder the process changes to."""
    return part.absolute() if isinstance(part, Path) else part
