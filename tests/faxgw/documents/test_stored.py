"""Prepared pages on their way to a receiver: pel for pel where it can take them, laid out anew where it cannot."""

import asyncio
import time
from collections.abc import Sequence

import numpy as np
import pytest

from faxgw.documents.coded import CodedPage, bitmap_of, coded_page, page_hash
from faxgw.documents.document import RenderOptions
from faxgw.documents.parts import Upload
from faxgw.documents.pool import RendererPool
from faxgw.documents.prepare import prepare
from faxgw.documents.stored import StoredPages
from faxgw.errors import RequestError
from t30.pages import (
    Coding,
    FetchPage,
    JudgePage,
    Length,
    NoMorePages,
    NoteConfirmed,
    Noted,
    PageLimits,
    PageReady,
    Resolution,
    Width,
)
from t30.t4 import Bitmap, decoder
from tests.faxgw.documents.making import limits, text_like


class Shelf:
    """Pages as a store has them: handed out one by one, and now and then not."""

    def __init__(self, pages: Sequence[CodedPage]) -> None:
        self.pages = pages
        self.asked: list[int] = []
        self.fails = 0

    async def page(self, index: int) -> CodedPage:
        self.asked.append(index)
        if self.fails:
            self.fails -= 1
            raise OSError("the store is away")
        return self.pages[index]


def coded(rows: int = 2287, *, width: Width = Width.A4, resolution: Resolution = Resolution.FINE) -> CodedPage:
    bitmap = Bitmap.from_pels(text_like(rows, resolution.pels(width)))
    return coded_page(bitmap, width=width, resolution=resolution)


async def fetch(source: StoredPages, index: int, within: PageLimits | None = None) -> PageReady:
    event = await source.perform(FetchPage(index, within or limits(), 0))
    assert isinstance(event, PageReady)
    return event


def decoded(page: PageReady) -> Bitmap:
    reader = decoder(page.format.coding, page.format.pels)
    reader.feed(page.octets)
    assert reader.page_ended
    return reader.finish().bitmap


@pytest.mark.parametrize("coding", Coding)
async def test_what_is_sent_is_what_was_prepared_pel_for_pel(
    pool: RendererPool, sample_upload: Upload, coding: Coding
) -> None:
    """FP-02, FP-03: the hash that a preview shows is the hash of what the engine got."""
    async with prepare([sample_upload], RenderOptions(), pool) as document:
        pages = [page async for page in document]
    source = StoredPages(Shelf([one.page for one in pages]).page, range(3), pool)
    await source.prepare()
    for one in pages:
        sent = await fetch(
            source, one.index, limits(Resolution.FINE, coding=coding, ecm=coding in {Coding.MMR, Coding.T85})
        )
        assert page_hash(decoded(sent), sent.format.resolution) == one.sha256 == source.sent[one.index]
        assert (sent.format.coding, sent.format.length, sent.rows) == (coding, Length.A4, 2287)
    assert isinstance(await source.perform(FetchPage(3, limits(), 0)), NoMorePages)
    await source.close()


@pytest.mark.parametrize(
    ("page", "within", "expected"),
    [
        (coded(), limits(Resolution.STANDARD), (Width.A4, Resolution.STANDARD, 1143)),
        (coded(resolution=Resolution.R300, rows=3508), limits(Resolution.FINE), (Width.A4, Resolution.FINE, 2241)),
        (coded(width=Width.A3, rows=3234), limits(Resolution.FINE), (Width.A4, Resolution.FINE, 2295)),
        (
            coded(rows=3000),
            limits(Resolution.FINE, Resolution.STANDARD, length=Length.A4),
            (Width.A4, Resolution.FINE, 2287),
        ),
    ],
    ids=["fine to standard", "300 to fine", "A3 to A4", "B4's length to A4's"],
)
async def test_a_page_that_the_receiver_cannot_take_is_laid_out_anew(
    pool: RendererPool, page: CodedPage, within: PageLimits, expected: tuple[Width, Resolution, int]
) -> None:
    source = StoredPages(Shelf([page]).page, [0], pool)
    sent = await fetch(source, 0, within)
    assert (sent.format.width, sent.format.resolution) == expected[:2]
    assert sent.rows == pytest.approx(expected[2], abs=8)
    bitmap = decoded(sent)
    assert source.sent[0] == page_hash(bitmap, sent.format.resolution) != page_hash(bitmap_of(page), page.resolution)
    assert bitmap.pels().mean() == pytest.approx(bitmap_of(page).pels().mean(), rel=0.35)
    await source.close()


async def test_only_the_pages_of_this_call_are_sent_under_their_numbers_in_the_document(pool: RendererPool) -> None:
    shelf = Shelf([coded(rows) for rows in (100, 200, 300, 400, 500)])
    confirmed: list[tuple[int, bytes]] = []

    async def note(index: int, note: NoteConfirmed, sha256: bytes) -> None:
        confirmed.append((index, sha256))

    source = StoredPages(shelf.page, [1, 2, 4], pool, confirmed=note)
    for index, rows in enumerate((200, 300, 500)):
        page = await fetch(source, index)
        assert page.rows == rows
        assert isinstance(await source.perform(NoteConfirmed(index, page.format, rows, 1, 1.0)), Noted)
    assert isinstance(await source.perform(FetchPage(3, limits(), 0)), NoMorePages)
    assert confirmed == [(index, page_hash(bitmap_of(shelf.pages[index]), Resolution.FINE)) for index in (1, 2, 4)]
    assert set(shelf.asked) == {1, 2, 4}
    await source.close()


async def test_the_receiver_is_admitted_once_before_any_page_is_given(pool: RendererPool) -> None:
    asked: list[str] = []

    async def admit(receiver: str) -> None:
        asked.append(receiver)
        if receiver == "+1 555 0106":
            raise RequestError("fax.misdirected", "Somebody else answers.")

    stranger = StoredPages(Shelf([coded(100)]).page, [0], pool, admit=admit)
    with pytest.raises(RequestError, match="Somebody else"):
        await stranger.perform(FetchPage(0, limits(), 0, "+1 555 0106"))
    known = StoredPages(Shelf([coded(100)]).page, [0], pool, admit=admit)
    for _ in range(2):
        await known.perform(FetchPage(0, limits(), 0, "+1 555 0100"))
    assert asked == ["+1 555 0106", "+1 555 0100"]
    for source in (stranger, known):
        await source.close()


async def test_the_next_page_is_unsealed_and_decoded_ahead_and_three_at_most_are_kept(pool: RendererPool) -> None:
    shelf = Shelf([coded(100) for _ in range(8)])
    source = StoredPages(shelf.page, range(8), pool)
    for index in range(8):
        await fetch(source, index)
        await asyncio.gather(*source._looking)
        assert sorted(set(shelf.asked)) == list(range(min(index + 2, 8)))
        assert len(source._drawn) <= 3
        assert len(source._unsealed) <= 3
    assert len(shelf.asked) == 8
    await source.close()


async def test_a_page_that_could_not_be_had_ahead_is_asked_for_again_when_it_is_due(pool: RendererPool) -> None:
    shelf = Shelf([coded(100), coded(200)])
    source = StoredPages(shelf.page, range(2), pool)
    await source.prepare()
    shelf.fails = 1
    await fetch(source, 0)
    await asyncio.gather(*source._looking, return_exceptions=True)
    assert shelf.asked == [0, 1]
    assert (await fetch(source, 1)).rows == 200
    shelf.fails = 1
    await source.close()


async def test_what_the_store_raises_goes_up(pool: RendererPool) -> None:
    shelf = Shelf([coded(100)])
    shelf.fails = 1
    source = StoredPages(shelf.page, [0], pool)
    with pytest.raises(OSError, match="store is away"):
        await source.prepare()
    await source.close()


async def test_a_page_takes_30_ms_at_most_and_none_of_them_on_the_loop(pool: RendererPool) -> None:
    pages = [coded() for _ in range(6)]
    source = StoredPages(Shelf(pages).page, range(6), pool)
    await source.prepare()
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.001)
            longest = max(longest, time.monotonic() - before)

    watching = asyncio.create_task(watch())
    took = []
    for index in range(6):
        began = time.monotonic()
        await fetch(source, index)
        took.append(time.monotonic() - began)
    watching.cancel()
    await source.close()
    print(f"{np.median(took) * 1000:.1f} ms a page, loop held up {longest * 1000:.1f} ms at most")
    assert np.median(took) < 0.03


async def test_a_source_does_not_answer_what_a_target_is_asked(pool: RendererPool) -> None:
    source = StoredPages(Shelf([coded(100)]).page, [0], pool)
    with pytest.raises(TypeError):
        await source.perform(JudgePage(0))
    await source.close()
