"""Pages in batches: what single pages give, in their order, on as many threads as are asked for."""

import threading

import numpy as np
import pytest

from t30.pages import Coding
from t30.t4 import Bitmap, coded, decoder, encode
from t30.t4.batch import decode_pages, encode_pages, over_threads
from tests.t30.t4.samples import PAGES

WIDTH = 1728
BITMAPS = [make(WIDTH) for _, make in sorted(PAGES.items())]
CODINGS = [Coding.MH, Coding.MR, Coding.MMR, Coding.T85]


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("threads", [None, 1, 2, 9])
def test_pages_in_a_batch_are_those_that_come_one_by_one(coding: Coding, threads: int | None) -> None:
    strips = encode_pages(BITMAPS, coding, threads=threads, k=2, min_row_bits=90, shortest=True)
    assert strips == [coded(bitmap, coding, k=2, min_row_bits=90, shortest=True) for bitmap in BITMAPS]
    hit = [strip[:100] + bytes(20) + strip[100:] for strip in strips]
    for octets, page in zip(hit, decode_pages(hit, coding, WIDTH, threads=threads), strict=True):
        alone = decoder(coding, WIDTH)
        alone.feed(octets)
        expected = alone.finish()
        assert page.bitmap == expected.bitmap and np.array_equal(page.damaged, expected.damaged)


def test_pages_of_a_batch_may_go_without_rtc_and_come_after_a_carrier_that_settles() -> None:
    strips = encode_pages(BITMAPS, Coding.MH, end_of_page=False)
    assert strips == [encode(bitmap, Coding.MH, end_of_page=False) for bitmap in BITMAPS]
    settling = [b"\xff" * 9 + strip for strip in strips]
    assert [page.bitmap for page in decode_pages(settling, Coding.MH, WIDTH, from_first_eol=True)] == BITMAPS


def test_a_batch_may_be_empty() -> None:
    assert encode_pages([], Coding.MMR) == []
    assert decode_pages([], Coding.MMR, WIDTH) == []


def test_large_pages_go_first_and_all_come_back_in_their_order() -> None:
    begun: list[int] = []

    def work(page: int) -> int:
        begun.append(page)
        return -page

    assert over_threads(work, [3, 1, 2], size=int, threads=1) == [-3, -1, -2]
    assert begun == [3, 2, 1]


def test_as_many_pages_as_threads_are_under_way_at_once() -> None:
    together = threading.Barrier(3, timeout=10)

    def work(_page: int) -> int:
        together.wait()
        return threading.get_ident()

    who = over_threads(work, [0, 1, 2], size=int, threads=3)
    assert len(set(who)) == 3 and threading.get_ident() in who


def test_of_several_pages_that_cannot_be_coded_the_first_one_is_told_of() -> None:
    wide = [Bitmap(width, np.zeros((rows, 1), np.uint64)) for width, rows in ((9, 2), (5000, 1), (6000, 3))]
    for threads in (1, 2):
        with pytest.raises(ValueError, match="not 5000"):
            encode_pages(wide, Coding.MMR, threads=threads)
    with pytest.raises(ValueError, match="not 0"):
        decode_pages([b"", b""], Coding.MMR, 0)


def test_a_batch_needs_a_thread() -> None:
    with pytest.raises(ValueError, match="0 threads"):
        encode_pages(BITMAPS, Coding.MMR, threads=0)


def test_nothing_more_is_begun_once_the_caller_is_interrupted() -> None:
    begun: list[int] = []
    caller = threading.get_ident()
    go_on = threading.Event()

    def work(page: int) -> None:
        begun.append(page)
        if threading.get_ident() == caller:
            threading.Timer(0.05, go_on.set).start()
            raise KeyboardInterrupt
        go_on.wait(10)

    with pytest.raises(KeyboardInterrupt):
        over_threads(work, range(50), size=int, threads=2)
    assert len(begun) <= 2
