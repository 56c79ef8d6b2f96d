"""FP-02: whatever is sent becomes pages of 1728 pels, and what a preview shows is what the engine gets."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faxgw.documents.coded import CodedPage, page_hash
from faxgw.documents.document import RenderOptions
from faxgw.documents.parts import Upload
from faxgw.documents.pool import RendererPool
from faxgw.documents.prepare import prepare
from faxgw.documents.stored import StoredPages
from t30.pages import FetchPage, PageReady, Width
from t30.t4 import Decoder
from tests.faxgw.documents.making import fax_tiff, jpeg, limits, pdf_page, text_like
from tests.faxgw.documents.office_files import docx, odt


def png() -> bytes:
    out = io.BytesIO()
    Image.fromarray(255 - 255 * text_like(400, 300)).save(out, "PNG", dpi=(100, 100))
    return out.getvalue()


MADE: dict[str, Callable[[Path], bytes]] = {
    "PDF": lambda folder: pdf_page(folder / "a.pdf", b"10 10 50 50 re f", pages=2).read_bytes(),
    "TIFF": lambda folder: fax_tiff(folder / "a.tif", [text_like(999, 1728)] * 2, dpi=(204, 196)).read_bytes(),
    "PNG": lambda _: png(),
    "JPEG": lambda _: jpeg(Image.fromarray(255 - 255 * text_like(400, 300)), dpi=(100, 100)),
    "TXT": lambda _: b"Hello\fWorld\n",
    "DOCX": lambda _: docx("Hello"),
    "ODT": lambda _: odt("Hello"),
    "RTF": lambda _: rb"{\rtf1\ansi Hello \page World}",
    "HTML": lambda _: b"<html><body>Hello</body></html>",
}
PAGES = {"PDF": 2, "TIFF": 2, "PNG": 1, "JPEG": 1, "TXT": 2, "DOCX": 1, "ODT": 1, "RTF": 2, "HTML": 1}
OFFICE = ("DOCX", "ODT", "RTF", "HTML")


@pytest.fixture
def upload(request: pytest.FixtureRequest, tmp_path: Path) -> Upload:
    name = str(request.param)
    if name in OFFICE:
        find = request.getfixturevalue("peer")
        for program in ("soffice", "bwrap"):
            find(program)
    return Upload(name, MADE[name](tmp_path))


@pytest.mark.parametrize(
    "upload", [pytest.param(name, marks=pytest.mark.interop if name in OFFICE else ()) for name in MADE], indirect=True
)
async def test_every_format_becomes_pages_of_1728_pels_that_are_sent_as_they_were_shown(
    pool: RendererPool, upload: Upload
) -> None:
    async with prepare([upload], RenderOptions(), pool) as document:
        pages = [page async for page in document]
    assert len(pages) == PAGES[upload.name]
    assert {(one.page.width, one.page.pels) for one in pages} == {(Width.A4, 1728)}

    async def page(index: int) -> CodedPage:
        return pages[index].page

    source = StoredPages(page, range(len(pages)), pool)
    for one in pages:
        sent = await source.perform(FetchPage(one.index, limits(), 0))
        assert isinstance(sent, PageReady)
        decoder = Decoder(sent.format.coding, sent.format.pels)
        decoder.feed(sent.octets)
        got = decoder.finish().bitmap
        assert page_hash(got, sent.format.resolution) == one.sha256
        assert np.any(got.pels())
    await source.close()
