"""Documents made into fax pages before any receiver is known: what a preview shows and what is then sent."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from faxgw.documents.ahead import EVERYTHING
from faxgw.documents.coded import CodedPage, coded_page, page_hash
from faxgw.documents.cover import Cover
from faxgw.documents.document import Document, RenderOptions, open_document
from faxgw.documents.parts import Part, size_of
from faxgw.documents.pool import RendererPool
from faxgw.errors import RequestError
from faxgw.metrics import RENDER_SECONDS

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """What one document, all its parts together, may be; ``seconds``: for reading and drawing it."""

    octets: int = 64 << 20
    pages: int = 500
    seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class PreparedPage:
    """Page ``index`` of a document, from 0, in MMR; ``sha256`` is its ``page_hash``."""

    index: int
    page: CodedPage
    sha256: bytes


class Prepared:
    """A document that is ready to be drawn: ``len()`` pages; iterating draws them one by one."""

    def __init__(self, document: Document, spend: "_Budget") -> None:
        self._document = document
        self._spend = spend

    def __len__(self) -> int:
        return len(self._document)

    async def __aiter__(self) -> AsyncIterator[PreparedPage]:
        """Draw page after page; one is in memory at a time.

        Raises:
            RequestError: ``document.*``, if a page cannot be drawn.
        """
        for index in range(len(self)):
            yield await self._spend(_prepared, self._document, index)


@asynccontextmanager
async def prepare(
    parts: Sequence[Part | Cover], options: RenderOptions, pool: RendererPool, *, limits: DocumentLimits | None = None
) -> AsyncIterator[Prepared]:
    """Read documents as one, with a worker of the pool for as long as the context lasts.

    Every page is laid out as if its receiver could do everything, so in its own width, and fine unless
    ``options.resolution`` or a fax page's own says otherwise.

    Raises:
        RequestError: ``document.*``, with one sentence that says what is wrong.
    """
    limits = limits or DocumentLimits()
    if sum(size_of(part) for part in parts if not isinstance(part, Cover)) > limits.octets:
        raise RequestError("document.too_large", f"The document has more than {limits.octets / 2**20:g} MB.")
    async with pool.lease() as renderer:
        spend = _Budget(pool, limits.seconds)
        try:
            document = await spend(open_document, parts, options, renderer=renderer)
            if len(document) > limits.pages:
                reason = f"The document has {len(document)} pages; at most {limits.pages} may be sent."
                raise RequestError("document.too_large", reason)
            yield Prepared(document, spend)
        finally:
            RENDER_SECONDS.observe(spend.spent)


class _Budget:
    """Does work in the pool's threads until its seconds are spent; a job then under way ends with the lease."""

    def __init__(self, pool: RendererPool, seconds: float) -> None:
        self._pool = pool
        self._seconds = seconds
        self._left = seconds

    @property
    def spent(self) -> float:
        """Seconds of work so far."""
        return self._seconds - self._left

    async def __call__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(self._left):
                return await self._pool.run(work, *args, **kwargs)
        except TimeoutError:
            reason = f"The document takes longer than {self._seconds:g} s to draw; it was given up."
            raise RequestError("document.timeout", reason) from None
        finally:
            self._left -= clock() - began


def _prepared(document: Document, index: int) -> PreparedPage:
    layout = document.layout(index, EVERYTHING)
    bitmap = document.bitmap(index, layout)
    page = coded_page(bitmap, width=layout.width, resolution=layout.resolution)
    return PreparedPage(index, page, page_hash(bitmap, layout.resolution))
