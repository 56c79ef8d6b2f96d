"""Where received pages go: decoded as they come, judged, and filed as TIFF-F so that none is lost, then as a PDF.

Every page is filed in MMR, whatever it came in: one strip for TIFF and PDF alike, without the sender's fill, RTC and
padding, and never larger than MH. Its rows are exactly those that the decoder gave, with damaged ones repaired and
counted in the tags.
"""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faxgw.documents.coded import coded_page
from faxgw.documents.pdf import write_pdf
from faxgw.documents.tiff import TiffFile
from faxgw.errors import RequestError
from t30.pages import Coding, JudgePage, KeepData, Kept, PageAction, PageEvent, PageFormat, Verdict
from t30.t4 import Bitmap, Decoded, Decoder, encode

JUDGE_WITHIN = 1.8
"""Seconds; the port allows 2."""


@dataclass(slots=True)
class _Page:
    """A page on its way in; ``filing`` runs once it has been judged."""

    format: PageFormat
    decoder: Decoder
    decoded: Decoded | None = None
    filing: asyncio.Future[None] | None = None

    @property
    def judged(self) -> bool:
        return self.decoded is not None


@dataclass(frozen=True, slots=True)
class _Judged:
    """A page that is safe on the disk."""

    verdict: Verdict


class PageTarget:
    """Keeps the pages of one call in ``folder``: ``fax.tif`` grows page by page, ``fax.pdf`` is written by ``close``.

    Attributes:
        fault: why the last page could not be filed, if it could not; it is tried again whenever it is judged again.
    """

    def __init__(self, folder: Path, *, judge_within: float = JUDGE_WITHIN) -> None:
        """Claim the folder; it is made where it is missing.

        Raises:
            RequestError: ``usage``, if a fax is there already or nothing can be written there.
        """
        _claim(folder)
        self._tiff = TiffFile(folder / "fax.tif")
        self._pdf = folder / "fax.pdf"
        self._judge_within = judge_within
        self._pages: dict[int, _Page | _Judged] = {}
        self._last_filing: asyncio.Future[None] | None = None
        self.fault: OSError | None = None

    async def prepare(self) -> None:
        """Load the decoder, which takes a second the first time, before a call depends on it."""
        await asyncio.to_thread(_warm_up)

    async def perform(self, action: PageAction) -> PageEvent:
        """Answer ``KeepData`` and ``JudgePage``."""
        match action:
            case KeepData():
                return await self._keep(action)
            case JudgePage():
                return await self._judge(action.index)
            case _:
                raise TypeError(f"a page target has no answer to {action}")

    async def close(self) -> None:
        """Wait for what is being filed, and write the PDF of all pages that were. Without pages there are no files.

        Data that was never judged is given up: its page was neither confirmed nor complete.

        Raises:
            OSError: if the PDF cannot be written; the TIFF is whole all the same.
        """
        if self._last_filing is not None:
            await asyncio.wait([self._last_filing])
        try:
            if len(self._tiff):
                await asyncio.to_thread(write_pdf, self._pdf, map(self._tiff.page, self._tiff.pages()))
        finally:
            self._tiff.close()

    async def _keep(self, data: KeepData) -> Kept:
        page = self._pages.get(data.index)
        if not isinstance(page, _Page) or page.judged:
            page = _Page(data.format, Decoder(data.format.coding, data.format.pels, from_first_eol=True))
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
        await asyncio.to_thread(self._tiff.put, index, page)


def _verdict(decoded: Decoded, *, durable: bool) -> Verdict:
    return Verdict(decoded.rows, decoded.bad_rows, decoded.longest_bad_run, durable)


def _claim(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError("usage", f"{folder} cannot be made: {error.strerror}.") from None
    for name in ("fax.tif", "fax.pdf"):
        if (folder / name).exists():
            raise RequestError("usage", f"{folder / name} is there already; give a folder without a fax in it.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RequestError("usage", f"Nothing can be written to {folder}.")


def _warm_up() -> None:
    blank = Bitmap.from_pels(np.zeros((2, 64), np.uint8))
    for coding in Coding:
        decoder = Decoder(coding, blank.width)
        decoder.feed(encode(blank, coding))
        decoder.finish()
