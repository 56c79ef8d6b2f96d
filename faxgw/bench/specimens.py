"""What is submitted: a page of a letter, as PDF and as the fax page that it becomes, and a fax that takes a while."""

import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pikepdf

from faxgw.documents.coded import CodedPage
from faxgw.documents.document import RenderOptions
from faxgw.documents.parts import Upload
from faxgw.documents.pool import RendererPool
from faxgw.documents.prepare import prepare
from faxgw.documents.sample import write_sample
from faxgw.documents.tiff import tiff_octets


@dataclass(frozen=True, slots=True)
class Specimens:
    """Documents of one page, and one of ``LONG`` pages: the same page again and again, a call of half an hour."""

    tiff: bytes
    pdf: bytes
    long_tiff: bytes


LONG = 150


async def specimens() -> Specimens:
    """Make them: the first page of the sample document, a letter in Helvetica, fine."""
    pdf = _letter()
    page = [await _drawn(pdf)]
    return Specimens(tiff_octets(page), pdf, tiff_octets(page * LONG))


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
