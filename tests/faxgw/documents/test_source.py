from pathlib import Path

import numpy as np
import pytest

from faxgw.documents.document import Document, RenderOptions, open_document
from faxgw.documents.sample import write_sample
from faxgw.documents.source import PageSource
from faxgw.errors import RequestError
from simulators.clock import run
from t30.pages import USUAL_CODINGS, Coding, FetchPage, JudgePage, NoMorePages, PageLimits, PageReady, Resolution, Width
from t30.t4 import Bitmap, decoder, encode
from tests.faxgw.documents.making import Pels, fax_tiff, limits, pdf_page, pdf_with_too_large_an_image, text_like

FINE = limits(Resolution.STANDARD, Resolution.FINE)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "sample.pdf"
    write_sample(path)
    return path


CORRECTED = {Coding.MMR, Coding.T85}


async def fetch(source: PageSource, index: int, within: PageLimits = FINE, *, min_row_bits: int = 0) -> PageReady:
    event = await source.perform(FetchPage(index, within, min_row_bits))
    assert isinstance(event, PageReady)
    return event


def decoded(page: PageReady) -> Bitmap:
    reader = decoder(page.format.coding, page.format.pels)
    reader.feed(page.octets)
    assert reader.page_ended
    result = reader.finish()
    assert result.bad_rows == 0
    return result.bitmap


@pytest.mark.parametrize("coding", Coding)
async def test_fetched_octets_are_the_drawn_page(sample: Path, coding: Coding) -> None:
    within = limits(Resolution.FINE, Resolution.STANDARD, coding=coding, ecm=coding in CORRECTED)
    with open_document([sample]) as document:
        source = PageSource(document)
        for index in range(3):
            page = await fetch(source, index, within, min_row_bits=0 if coding in CORRECTED else 288)
            assert decoded(page) == document.bitmap(index, document.layout(index, within))
            assert (page.format.coding, page.format.ecm) == (coding, coding in CORRECTED)
            assert page.rows == 2287
        assert isinstance(await source.perform(FetchPage(3, within, 0)), NoMorePages)
        await source.close()


async def test_a_page_fetched_again_at_another_rate_is_the_same_page(sample: Path) -> None:
    source = PageSource(open_document([sample]))
    within = limits(Resolution.FINE, coding=Coding.MH, ecm=False)
    first = await fetch(source, 0, within, min_row_bits=288)
    await fetch(source, 1, within, min_row_bits=288)
    again = await fetch(source, 0, within, min_row_bits=48)
    assert len(again.octets) < len(first.octets)
    assert decoded(again) == decoded(first)
    await source.close()


@pytest.mark.parametrize(("resolution", "k"), [(Resolution.STANDARD, 2), (Resolution.FINE, 4)])
async def test_mr_codes_every_second_line_by_itself_at_standard_and_every_fourth_at_fine(
    sample: Path, resolution: Resolution, k: int
) -> None:
    within = limits(resolution, Resolution.STANDARD, coding=Coding.MR)
    with open_document([sample]) as document:
        source = PageSource(document)
        page = await fetch(source, 0, within)
        assert page.octets == encode(document.bitmap(0, document.layout(0, within)), Coding.MR, k=k, shortest=True)
        await source.close()


def dots(rows: int, seed: int = 1) -> Pels:
    """Draw a light grey, as pictures have it: one black pel in five, and no line like the one above it."""
    return (np.random.default_rng(seed).random((rows, 1728)) < 0.2).astype(np.uint8)


async def test_a_page_in_dots_is_coded_by_its_runs_where_the_receiver_may_be_told_so(tmp_path: Path) -> None:
    tiff = fax_tiff(tmp_path / "fax.tif", [dots(500), dots(500, seed=2), text_like(500, 1728)], dpi=(204, 196))
    source = PageSource(open_document([tiff]))
    pages = [await fetch(source, index, limits(codings=USUAL_CODINGS)) for index in range(3)]
    plain = await fetch(source, 0, limits())
    assert [page.format.coding for page in pages] == [Coding.MH, Coding.MH, Coding.MH]
    assert plain.format.coding is Coding.MMR
    assert len(pages[0].octets) < 0.9 * len(plain.octets)
    assert decoded(pages[0]) == decoded(plain)
    await source.close()


async def test_the_coding_changes_between_pages_only_where_that_saves_more_than_a_negotiation(tmp_path: Path) -> None:
    long_text = np.tile(text_like(500, 1728), (12, 1))
    tiff = fax_tiff(tmp_path / "fax.tif", [text_like(500, 1728), dots(40), dots(2000), long_text], dpi=(204, 196))
    source = PageSource(open_document([tiff]))
    pages = [await fetch(source, index, limits(codings=USUAL_CODINGS)) for index in range(4)]
    assert [page.format.coding for page in pages] == [Coding.MMR, Coding.MMR, Coding.MH, Coding.MMR]
    await source.close()


async def test_the_page_follows_what_the_receiver_can_do(sample: Path) -> None:
    source = PageSource(open_document([sample], RenderOptions(resolution=Resolution.SUPERFINE)))
    pages = [await fetch(source, 0, within) for within in (limits(), FINE, limits(Resolution.STANDARD))]
    assert [(page.format.resolution, page.rows, decoded(page).rows) for page in pages] == [
        (Resolution.SUPERFINE, 4574, 4574),
        (Resolution.FINE, 2287, 2287),
        (Resolution.STANDARD, 1143, 1143),
    ]
    await source.close()


async def test_pages_of_one_document_may_have_different_formats(tmp_path: Path) -> None:
    a4 = pdf_page(tmp_path / "a4.pdf", b"10 10 50 50 re f")
    a3 = pdf_page(tmp_path / "a3.pdf", b"10 10 50 50 re f", across_mm=297, down_mm=420)
    tiff = fax_tiff(tmp_path / "fax.tif", [text_like(500, 2048)], dpi=(204, 98))
    source = PageSource(open_document([a4, a3, tiff]))
    formats = [(await fetch(source, index, limits(width=Width.A3))).format for index in range(3)]
    assert [(one.width, one.resolution) for one in formats] == [
        (Width.A4, Resolution.FINE),
        (Width.A3, Resolution.FINE),
        (Width.B4, Resolution.STANDARD),
    ]
    await source.close()


async def test_the_next_page_is_drawn_while_this_one_is_sent(sample: Path) -> None:
    """Once the next page is drawn, it is there though its document is closed."""
    document = open_document([sample])
    source = PageSource(document)
    await fetch(source, 0)
    ahead = source._drawn[1].drawing
    await ahead
    document.close()
    assert decoded(await fetch(source, 1)) == ahead.result()
    await source.close()


async def test_no_more_than_three_pages_are_kept(tmp_path: Path) -> None:
    source = PageSource(open_document([pdf_page(tmp_path / "many.pdf", b"10 10 50 50 re f", pages=8)]))
    for index in range(8):
        await fetch(source, index)
        assert len(source._drawn) <= 3
    await source.close()


async def test_preparing_draws_the_first_page_so_that_its_faults_show_before_the_call(tmp_path: Path) -> None:
    source = PageSource(open_document([pdf_with_too_large_an_image(tmp_path / "page.pdf")]))
    with pytest.raises(RequestError, match="An image on page 1"):
        await source.prepare()
    await source.close()


async def test_a_page_that_cannot_be_drawn_fails_when_it_is_asked_for_not_before(tmp_path: Path) -> None:
    good = pdf_page(tmp_path / "good.pdf", b"10 10 50 50 re f")
    source = PageSource(open_document([good, pdf_with_too_large_an_image(tmp_path / "bad.pdf")]))
    await fetch(source, 0)
    for _ in range(2):
        with pytest.raises(RequestError, match=r"An image on page 1 of bad\.pdf"):
            await source.perform(FetchPage(1, FINE, 0))
    await fetch(source, 0)
    await source.close()


def test_it_works_in_virtual_time(sample: Path) -> None:
    async def call(document: Document) -> list[int]:
        source = PageSource(document)
        await source.prepare()
        pages = [await fetch(source, index) for index in range(3)]
        await source.close()
        return [page.rows for page in pages]

    assert run(call(open_document([sample]))) == [2287] * 3


async def test_a_source_does_not_answer_what_a_target_is_asked(sample: Path) -> None:
    source = PageSource(open_document([sample]))
    with pytest.raises(TypeError):
        await source.perform(JudgePage(0))
    await source.close()


def test_the_sample_has_three_pages_and_is_the_same_every_time(sample: Path, tmp_path: Path) -> None:
    write_sample(tmp_path / "again.pdf")
    assert (tmp_path / "again.pdf").read_bytes() == sample.read_bytes()
    with open_document([sample]) as document:
        shares = [np.mean(document.bitmap(page, document.layout(page, FINE)).pels()) for page in range(3)]
    assert len(shares) == 3
    assert 0.01 < shares[0] < 0.06
    assert 0.01 < shares[1] < 0.06
    assert 0.06 < shares[2] < 0.3
