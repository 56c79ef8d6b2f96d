import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faxgw.documents.target import PageTarget
from faxgw.errors import RequestError
from t30.pages import Coding, FetchPage, JudgePage, KeepData, Kept, Length, PageFormat, Resolution, Verdict, Width
from t30.t4 import Bitmap, Decoder, coded
from tests.faxgw.documents.making import Pels, limits, pdf_pels, text_like, tiff_pages

CORRECTED = {Coding.MMR, Coding.T85}
FORMATS = {
    coding: PageFormat(Width.A4, Length.A4, Resolution.FINE, coding, ecm=coding in CORRECTED) for coding in Coding
}


def sent(pels: Pels, coding: Coding = Coding.MMR, *, min_row_bits: int = 0) -> bytes:
    return coded(Bitmap.from_pels(pels), coding, min_row_bits=min_row_bits)


async def keep(
    target: PageTarget, index: int, octets: bytes, coding: Coding = Coding.MMR, *, chunk: int = 8192
) -> list[bool]:
    """Hand a page over in chunks and return what was said about its end."""
    answers = [
        await target.perform(KeepData(index, FORMATS[coding], octets[at : at + chunk]))
        for at in range(0, len(octets), chunk)
    ]
    assert all(isinstance(answer, Kept) for answer in answers)
    return [answer.page_ended for answer in answers if isinstance(answer, Kept)]


async def judge(target: PageTarget, index: int) -> Verdict:
    verdict = await target.perform(JudgePage(index))
    assert isinstance(verdict, Verdict)
    return verdict


@pytest.mark.parametrize("coding", Coding)
@pytest.mark.parametrize("chunk", [7, 8192])
async def test_a_page_is_filed_as_it_was_sent(tmp_path: Path, coding: Coding, chunk: int) -> None:
    page = text_like(300, 1728)
    target = PageTarget(tmp_path)
    octets = sent(page, coding, min_row_bits=0 if coding in CORRECTED else 200)
    ends = await keep(target, 0, octets, coding, chunk=chunk)
    assert ends[-1]
    assert not any(ends[:-2])
    assert await judge(target, 0) == Verdict(rows=300, bad_rows=0, longest_bad_run=0, durable=True)
    assert np.array_equal(tiff_pages(tmp_path / "fax.tif")[0], page)
    await target.close()
    assert np.array_equal(pdf_pels(tmp_path / "fax.pdf", 0, pels=1728, rows=300), page)


async def test_pages_are_on_the_disk_once_judged_before_the_call_ends(tmp_path: Path) -> None:
    pages = [text_like(200, 1728, seed) for seed in range(3)]
    target = PageTarget(tmp_path)
    for index, page in enumerate(pages):
        await keep(target, index, sent(page))
        assert (await judge(target, index)).durable
        assert len(tiff_pages(tmp_path / "fax.tif")) == index + 1
    assert not (tmp_path / "fax.pdf").exists()
    await target.close()
    assert [np.array_equal(a, b) for a, b in zip(tiff_pages(tmp_path / "fax.tif"), pages, strict=True)] == [True] * 3


async def test_what_a_modem_gives_before_the_first_eol_is_no_row(tmp_path: Path) -> None:
    page = text_like(300, 1728)
    target = PageTarget(tmp_path)
    await keep(target, 0, b"\xff" * 30 + b"\xa5" * 50 + sent(page, Coding.MH), Coding.MH)
    assert await judge(target, 0) == Verdict(rows=300, bad_rows=0, longest_bad_run=0, durable=True)
    assert np.array_equal(tiff_pages(tmp_path / "fax.tif")[0], page)
    await target.close()


async def test_damage_is_counted_and_the_repaired_rows_are_filed(tmp_path: Path) -> None:
    octets = bytearray(sent(text_like(300, 1728), Coding.MH))
    middle = len(octets) // 2
    octets[middle : middle + 40] = b"\xa5" * 40
    decoder = Decoder(Coding.MH, 1728)
    decoder.feed(bytes(octets))
    expected = decoder.finish()
    assert expected.bad_rows > 0
    target = PageTarget(tmp_path)
    await keep(target, 0, bytes(octets), Coding.MH)
    verdict = await judge(target, 0)
    assert verdict == Verdict(expected.rows, expected.bad_rows, expected.longest_bad_run, durable=True)
    await target.close()
    assert np.array_equal(tiff_pages(tmp_path / "fax.tif")[0], expected.bitmap.pels())
    with Image.open(tmp_path / "fax.tif") as image:
        tags = image.tag_v2  # type: ignore[attr-defined]
        assert (tags[326], tags[327], tags[328]) == (expected.bad_rows, 1, expected.longest_bad_run)


async def test_a_page_sent_again_replaces_the_refused_one(tmp_path: Path) -> None:
    first, good, next_page = (text_like(200, 1728, seed) for seed in range(3))
    target = PageTarget(tmp_path)
    await keep(target, 0, sent(first))
    await judge(target, 0)
    await keep(target, 0, sent(good))
    assert (await judge(target, 0)).rows == 200
    await keep(target, 1, sent(next_page))
    await judge(target, 1)
    await target.close()
    assert [page.tobytes() for page in tiff_pages(tmp_path / "fax.tif")] == [good.tobytes(), next_page.tobytes()]


async def test_a_page_judged_twice_is_judged_alike_and_filed_once(tmp_path: Path) -> None:
    target = PageTarget(tmp_path)
    await keep(target, 0, sent(text_like(200, 1728)))
    assert await judge(target, 0) == await judge(target, 0)
    assert len(tiff_pages(tmp_path / "fax.tif")) == 1


@pytest.mark.parametrize("octets", [b"", bytes(500), sent(np.zeros((0, 1728), np.uint8))], ids=["none", "fill", "eofb"])
async def test_a_page_without_rows_is_judged_but_makes_no_file(tmp_path: Path, octets: bytes) -> None:
    target = PageTarget(tmp_path / "out")
    await keep(target, 0, octets)
    verdict = await judge(target, 0)
    assert (verdict.rows, verdict.durable) == (verdict.bad_rows, True)
    if verdict.rows == 0:
        await target.close()
        assert list((tmp_path / "out").iterdir()) == []


async def test_a_page_sent_again_without_rows_does_not_take_the_first_away(tmp_path: Path) -> None:
    page = text_like(200, 1728)
    target = PageTarget(tmp_path)
    await keep(target, 0, sent(page))
    await judge(target, 0)
    await keep(target, 0, sent(np.zeros((0, 1728), np.uint8)))
    assert (await judge(target, 0)).rows == 0
    await target.close()
    assert np.array_equal(tiff_pages(tmp_path / "fax.tif")[0], page)


async def test_a_call_without_pages_leaves_no_files(tmp_path: Path) -> None:
    target = PageTarget(tmp_path / "out")
    await target.close()
    assert list((tmp_path / "out").iterdir()) == []


async def test_a_page_cut_off_before_it_was_judged_is_not_filed(tmp_path: Path) -> None:
    target = PageTarget(tmp_path)
    await keep(target, 0, sent(text_like(200, 1728)))
    await judge(target, 0)
    await keep(target, 1, sent(text_like(200, 1728))[:500])
    await target.close()
    assert len(tiff_pages(tmp_path / "fax.tif")) == 1
    assert (tmp_path / "fax.pdf").exists()


@pytest.mark.parametrize("name", ["fax.tif", "fax.pdf"])
def test_a_fax_that_is_there_is_not_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(RequestError, match="is there already") as refused:
        PageTarget(tmp_path)
    assert refused.value.code == "usage"
    assert (tmp_path / name).read_bytes() == b"precious"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RequestError, match="cannot be made") as refused:
        PageTarget(tmp_path / "file" / "out")
    assert refused.value.code == "usage"


async def test_a_slow_disk_makes_the_page_not_durable_yet_and_it_is_asked_for_again(tmp_path: Path) -> None:
    """The TIFF's lock, held by the test, stands for a disk that takes its time."""
    target = PageTarget(tmp_path, judge_within=0.02)
    page = text_like(100, 1728)
    await keep(target, 0, sent(page))
    busy: threading.Lock = target._tiff._lock
    with busy:
        assert await judge(target, 0) == Verdict(100, 0, 0, durable=False)
        assert await judge(target, 0) == Verdict(100, 0, 0, durable=False)
    async with asyncio.timeout(10):
        while not (await judge(target, 0)).durable:
            pass
    await target.close()
    assert np.array_equal(tiff_pages(tmp_path / "fax.tif")[0], page)


async def test_a_page_sent_again_while_the_disk_is_slow_still_replaces_the_first(tmp_path: Path) -> None:
    target = PageTarget(tmp_path, judge_within=0.02)
    first, again = text_like(100, 1728, seed=1), text_like(120, 1728, seed=2)
    await keep(target, 0, sent(first))
    busy: threading.Lock = target._tiff._lock
    with busy:
        assert not (await judge(target, 0)).durable
        await keep(target, 0, sent(again))
        assert await judge(target, 0) == Verdict(120, 0, 0, durable=False)
    await target.close()
    (filed,) = tiff_pages(tmp_path / "fax.tif")
    assert np.array_equal(filed, again)


async def test_a_page_that_cannot_be_filed_is_not_durable_until_it_can(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    target = PageTarget(folder)
    await keep(target, 0, sent(text_like(100, 1728)))
    folder.rmdir()
    assert not (await judge(target, 0)).durable
    fault = target.fault
    assert isinstance(fault, FileNotFoundError)
    folder.mkdir()
    assert (await judge(target, 0)).durable
    assert target.fault is None
    await target.close()
    assert len(tiff_pages(folder / "fax.tif")) == 1


async def test_a_target_does_not_answer_what_a_source_is_asked(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        await PageTarget(tmp_path).perform(FetchPage(0, limits(), 0))
