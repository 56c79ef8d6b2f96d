"""Pages received: decoded as they come, judged, coded for filing, and handed to whoever makes them durable.

Every page is filed in MMR, whatever it came in: one strip for TIFF and PDF alike, without the sender's fill, RTC and
padding, and never larger than MH. Its rows are exactly those that the decoder gave, with damaged ones repaired and
counted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass

from faxgw.documents import kernels
from faxgw.documents.coded import CodedPage, coded_page
from t30.pages import USUAL_CODINGS, Coding, JudgePage, KeepData, Kept, PageAction, PageEvent, PageFormat, Verdict
from t30.t4 import Decoded, PageDecoder, decoder

Store = Callable[[int, CodedPage], Awaitable[None]]

JUDGE_WITHIN = 1.8
"""Seconds; the port allows 2."""


@dataclass(slots=True)
class _Page:
    """A page on its way in; ``filing`` runs once it has been judged."""

    format: PageFormat
    decoder: PageDecoder
    decoded: Decoded | None = None
    filing: asyncio.Future[None] | None = None

    @property
    def judged(self) -> bool:
        return self.decoded is not None


@dataclass(frozen=True, slots=True)
class _Judged:
    """A page that is safe."""

    verdict: Verdict


class Receiver:
    """Answers ``KeepData`` and ``JudgePage``; a page is durable once ``store(index, page)`` has returned.

    ``store`` is called for one page at a time, in the order in which they were judged; an index that it has seen
    before replaces that page, which was refused and has been sent again. It raises OSError where the page cannot be
    made durable now: the page is then not confirmed, and stored again when it is judged again.

    Attributes:
        fault: why the last page could not be stored, if it could not.
    """

    def __init__(self, store: Store, *, judge_within: float = JUDGE_WITHIN) -> None:
        self._store = store
        self._judge_within = judge_within
        self._pages: dict[int, _Page | _Judged] = {}
        self._last_filing: asyncio.Future[None] | None = None
        self.fault: OSError | None = None

    async def prepare(self, codings: Set[Coding] = USUAL_CODINGS) -> None:
        """Load what is compiled for these codings, before a call depends on it."""
        await asyncio.to_thread(kernels.load, codings)

    async def perform(self, action: PageAction) -> PageEvent:
        """Answer ``KeepData`` and ``JudgePage``."""
        match action:
            case KeepData():
                return await self._keep(action)
            case JudgePage():
                return await self._judge(action.index)
            case _:
                raise TypeError(f"a receiver has no answer to {action}")

    async def close(self) -> None:
        """Wait for what is being stored. Data that was never judged is given up: it is neither whole nor confirmed."""
        if self._last_filing is not None:
            await asyncio.wait([self._last_filing])

    async def _keep(self, data: KeepData) -> Kept:
        page = self._pages.get(data.index)
        if not isinstance(page, _Page) or page.judged:
            page = _Page(data.format, decoder(data.format.coding, data.format.pels, from_first_eol=True))
            self._pages[data.index] = page
        await asyncio.to_thread(page.decoder.feed, data.octets)
        return Kept(page.decoder.page_ended)

    async def _judge(self, index: int) -> Verdict:
        page = self._pages.get(index)
        if page is None:
            return Verdict(rows=0, bad_rows=0, longest_bad_run=0, durable=True)
        if isinstance(page, _Judged):
            return page.verdict
        if page.decoded is None:
            page.decoded = await asyncio.to_thread(page.decoder.finish)
        if page.filing is None:
            filing = self._file(index, page.format, page.decoded, after=self._last_filing)
            self._last_filing = page.filing = asyncio.ensure_future(filing)
        await asyncio.wait([page.filing], timeout=self._judge_within)
        durable = page.filing.done() and self._is_filed(page)
        verdict = _verdict(page.decoded, durable=durable)
        if durable:
            self._pages[index] = _Judged(verdict)
        return verdict

    def _is_filed(self, page: _Page) -> bool:
        """Return whether filing went well; else remember why not, and have it tried again."""
        assert page.filing is not None
        try:
            page.filing.result()
        except OSError as fault:
            self.fault, page.filing = fault, None
            return False
        self.fault = None
        return True

    async def _file(
        self,
        index: int,
        format: PageFormat,
        decoded: Decoded,
        *,
        after: asyncio.Future[None] | None,
    ) -> None:
        """File a page once the one before is filed, so that a page sent again comes after the one that it replaces.

        A page without rows is none: what was filed under its number before is better than nothing.
        """
        if after is not None:
            await asyncio.wait([after])
        if decoded.rows == 0:
            return
        page = await asyncio.to_thread(
            coded_page,
            decoded.bitmap,
            width=format.width,
            resolution=format.resolution,
            bad_rows=decoded.bad_rows,
            longest_bad_run=decoded.longest_bad_run,
        )
        await self._store(index, page)


def _verdict(decoded: Decoded, *, durable: bool) -> Verdict:
    return Verdict(decoded.rows, decoded.bad_rows, decoded.longest_bad_run, durable)
