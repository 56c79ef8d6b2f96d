"""Pages drawn before a receiver is known, and the hash that previews promise and transmissions show."""

import asyncio
import hashlib
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from faxgw.documents.coded import bitmap_of, coded_page, page_hash
from faxgw.documents.document import Header, RenderOptions
from faxgw.documents.layout import Paper
from faxgw.documents.parts import Part, Upload
from faxgw.documents.pool import RendererPool
from faxgw.documents.prepare import DocumentLimits, PreparedPage, _Budget, prepare
from faxgw.errors import RequestError
from simulators.clock import run
from t30.pages import USUAL_CODINGS, Coding, Resolution, Width
from t30.t4 import Bitmap
from tests.faxgw.documents.making import endless, fax_tiff, pdf_page, text_like

PLAIN = RenderOptions()


async def prepared(
    pool: RendererPool, *parts: Part, options: RenderOptions = PLAIN, limits: DocumentLimits | None = None
) -> list[PreparedPage]:
    async with prepare(parts, options, pool, limits=limits) as document:
        pages = [page async for page in document]
        assert len(pages) == len(document)
    return pages


async def refusal(pool: RendererPool, *parts: Part, limits: DocumentLimits | None = None) -> RequestError:
    with pytest.raises(RequestError) as refused:
        await prepared(pool, *parts, limits=limits)
    return refused.value


async def test_every_page_is_drawn_once_in_mmr_and_fine(pool: RendererPool, sample_upload: Upload) -> None:
    pages = await prepared(pool, sample_upload)
    assert [page.index for page in pages] == [0, 1, 2]
    assert {(one.page.width, one.page.resolution, one.page.coding, one.page.rows) for one in pages} == {
        (Width.A4, Resolution.FINE, Coding.MMR, 2287)
    }


async def test_the_hash_is_that_of_the_pels_as_documented(pool: RendererPool, sample_upload: Upload) -> None:
    for one in await prepared(pool, sample_upload):
        rows = np.packbits(bitmap_of(one.page).pels(), axis=1).tobytes()
        assert one.sha256 == hashlib.sha256(b"faxgw page 1\n1728 2287 204 196\n" + rows).digest()


@pytest.mark.parametrize("coding", sorted(USUAL_CODINGS, key=str))
def test_the_hash_does_not_depend_on_the_coding(coding: Coding) -> None:
    bitmap = Bitmap.from_pels(text_like(300, 1728))
    page = coded_page(bitmap, width=Width.A4, resolution=Resolution.FINE, coding=coding)
    assert page_hash(bitmap_of(page), page.resolution) == page_hash(bitmap, Resolution.FINE)


def test_the_hash_tells_apart_what_looks_different() -> None:
    page = text_like(300, 1728)
    other = page.copy()
    other[150, 1000] ^= 1
    bitmaps = [Bitmap.from_pels(one) for one in (page, other, page[:-1], page.T)]
    hashes = {page_hash(bitmap, Resolution.FINE) for bitmap in bitmaps} | {page_hash(bitmaps[0], Resolution.STANDARD)}
    assert len(hashes) == 5


async def test_a_page_has_the_width_that_it_needs_and_a_fax_page_stays_as_it_is(
    pool: RendererPool, tmp_path: Path
) -> None:
    b4 = pdf_page(tmp_path / "b4.pdf", b"10 10 50 50 re f", across_mm=257, down_mm=364)
    a3 = pdf_page(tmp_path / "a3.pdf", b"10 10 50 50 re f", across_mm=297, down_mm=420)
    own = text_like(500, 2592)
    fax = fax_tiff(tmp_path / "fax.tif", [own], dpi=(300, 300))
    pages = [one.page for one in await prepared(pool, b4, a3, fax)]
    assert [(page.width, page.resolution) for page in pages] == [
        (Width.B4, Resolution.FINE),
        (Width.A3, Resolution.FINE),
        (Width.A4, Resolution.R300),
    ]
    assert np.array_equal(bitmap_of(pages[2]).pels(), own)


async def test_resolution_paper_and_header_are_as_wanted(pool: RendererPool, tmp_path: Path) -> None:
    wide = pdf_page(tmp_path / "a3.pdf", b"", across_mm=297, down_mm=420)
    header = Header("+49 30 1234567", datetime(2026, 11, 22, 9, 5))
    options = RenderOptions(resolution=Resolution.STANDARD, paper=Paper.A4, header=header)
    (page,) = [one.page for one in await prepared(pool, wide, options=options)]
    assert (page.width, page.resolution, page.rows) == (Width.A4, Resolution.STANDARD, 1143)
    pels = bitmap_of(page).pels()
    assert pels[:17].any()
    assert not pels[17:].any()


async def test_the_number_of_pages_is_known_before_any_is_drawn(pool: RendererPool, tmp_path: Path) -> None:
    slow = Upload("slow.pdf", endless(tmp_path / "slow.pdf").read_bytes())
    async with prepare([slow, slow], PLAIN, pool) as document:
        assert len(document) == 2


async def test_too_many_octets_pages_and_seconds_are_refused(
    pool: RendererPool, tmp_path: Path, sample_upload: Upload
) -> None:
    half = DocumentLimits(octets=len(sample_upload.octets) * 3 // 2)
    assert len(await prepared(pool, sample_upload, limits=half)) == 3
    too_large = await refusal(pool, sample_upload, sample_upload, limits=half)
    too_long = await refusal(pool, sample_upload, limits=DocumentLimits(pages=2))
    slow = Upload("slow.pdf", endless(tmp_path / "slow.pdf").read_bytes())
    too_slow = await refusal(pool, slow, limits=DocumentLimits(seconds=0.5))
    assert [(one.code, one.reason) for one in (too_large, too_long)] == [
        ("document.too_large", f"The document has more than {half.octets / 2**20:g} MB."),
        ("document.too_large", "The document has 3 pages; at most 2 may be sent."),
    ]
    assert too_slow.code == "document.timeout"


async def test_the_seconds_are_those_of_all_pages_together(pool: RendererPool) -> None:
    """Each piece of work stays within the limit, both together do not."""
    spend = _Budget(pool, 1.2)
    await spend(time.sleep, 0.7)
    with pytest.raises(RequestError, match=r"The document takes longer than 1\.2 s") as refused:
        await spend(time.sleep, 0.7)
    assert refused.value.code == "document.timeout"


def test_the_time_that_the_pages_take_elsewhere_does_not_count(sample_upload: Upload) -> None:
    async def dawdling() -> int:
        pool = RendererPool(1)
        drawn = 0
        async with prepare([sample_upload], PLAIN, pool, limits=DocumentLimits(seconds=5)) as document:
            async for _ in document:
                drawn += 1
                await asyncio.sleep(60)
        await pool.close()
        return drawn

    assert run(dawdling()) == 3
