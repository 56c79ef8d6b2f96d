"""What is submitted: a page of a letter, as PDF and as the fax page that it becomes, and a fax that takes a while."""

import io
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pikepdf

from faxgw.documents.coded import CodedPage, bitmap_of, coded_page
from faxgw.documents.document import RenderOptions
from faxgw.documents.parts import Upload
from faxgw.documents.pool import RendererPool
from faxgw.documents.prepare import prepare
from faxgw.documents.sample import write_sample
from faxgw.documents.tiff import tiff_octets
from t30.t4 import Bitmap


@dataclass(frozen=True, slots=True)
class Specimens:
    """Documents of one page, and of more: the same page again and again; ``long_tiff`` is a call of half an hour."""

    page: CodedPage
    tiff: bytes
    pdf: bytes
    long_tiff: bytes

    def dotted_tiff(self) -> bytes:
        """Return a page of about 100 kB: that of the letter under a picture in dots."""
        letter = bitmap_of(self.page).pels()
        dots = np.random.default_rng(DOTS).random(letter.shape) < DOTTED
        whole = Bitmap.from_pels(letter | dots.astype(np.uint8))
        return tiff_octets([coded_page(whole, width=self.page.width, resolution=self.page.resolution)])

    def large_pdf(self, octets: int) -> bytes:
        """Return the page as a PDF that has so many octets of chance besides, which nothing makes smaller."""
        with pikepdf.open(io.BytesIO(self.pdf)) as letter:
            letter.Root.Brought = letter.make_stream(os.urandom(octets))
            whole = io.BytesIO()
            letter.save(whole)
        return whole.getvalue()


LONG = 150
DOTS, DOTTED = 3, 0.011
"""Where chance begins, and the share of black pels, in the picture in dots."""


async def specimens() -> Specimens:
    """Make them: the first page of the sample document, a letter in Helvetica, fine."""
    pdf = _letter()
    page = await _drawn(pdf)
    return Specimens(page, tiff_octets([page]), pdf, tiff_octets([page] * LONG))


async def letter_page() -> CodedPage:
    """Make that page alone, in MMR."""
    return await _drawn(_letter())


async def _drawn(pdf: bytes) -> CodedPage:
    pool = RendererPool(1)
    try:
        async with prepare([Upload("letter.pdf", pdf)], RenderOptions(), pool) as prepared:
            (page,) = [each.page async for each in prepared]
    finally:
        await pool.close()
    return page


def _letter() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample.pdf"
        write_sample(path)
        with pikepdf.open(path) as whole, pikepdf.new() as letter:
            letter.pages.append(whole.pages[0])
            del letter.pages[0].Resources.XObject  # the picture of another page
            octets = io.BytesIO()
            letter.save(octets)
    return octets.getvalue()
