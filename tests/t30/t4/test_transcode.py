"""Pages without fill, and as MMR and back: no pel changes, nothing comes later than on a line, damage shows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t30.pages import Coding
from t30.t4 import Bitmap, Decoder, encode
from t30.t4.tables import CODES
from t30.t4.transcode import KEPT_ZEROS, SPOILT_ROWS, FromMmr, as_mmr, without_fill
from tests.simulators.calls import sheet

PAGE = sheet(3, rows=150).bitmap
WAYS = [(Coding.MH, 1), (Coding.MR, 2), (Coding.MR, 4)]


def decoded(octets: bytes, coding: Coding, width: int = PAGE.width) -> Decoder:
    decoder = Decoder(coding, width, from_first_eol=True)
    decoder.feed(octets)
    return decoder


def pages() -> st.SearchStrategy[Bitmap]:
    def page(shape: tuple[int, int, int, float]) -> Bitmap:
        rows, width, seed, black = shape
        return Bitmap.from_pels((np.random.default_rng(seed).random((rows, width)) < black).astype(np.uint8))

    sizes = st.tuples(st.integers(1, 80), st.integers(1, 400), st.integers(0, 1 << 32), st.sampled_from((0, 0.02, 0.5)))
    return sizes.map(page)


@settings(max_examples=60)
@given(page=pages(), way=st.sampled_from(WAYS), least=st.integers(0, 300), step=st.integers(1, 80))
def test_without_its_fill_a_page_is_the_same(page: Bitmap, way: tuple[Coding, int], least: int, step: int) -> None:
    coding, k = way
    octets = encode(page, coding, k=k, min_row_bits=least)
    pieces = without_fill(octets, step)
    assert len(pieces) == -(-len(octets) // step)
    bare = b"".join(pieces)
    assert decoded(bare, coding, page.width).finish().bitmap == page
    unfilled = encode(page, coding, k=k)
    assert len(unfilled) <= len(bare) + 1 and 8 * len(bare) <= 8 * len(unfilled) + 3 * page.rows + 24


def test_no_row_ends_like_a_longer_eol_than_is_kept() -> None:
    last = max((int(entry) & 31) - (int(entry) >> 5).bit_length() for entry in CODES.flat)
    assert KEPT_ZEROS == 11 + last == 14


def test_a_piece_without_fill_comes_no_later_than_the_row_it_is_of() -> None:
    octets = encode(PAGE, Coding.MH, min_row_bits=1000)
    came = b""
    for place, piece in enumerate(without_fill(octets, 54)):
        came += piece
        if place % 10 == 0:
            # All rows but one that ends in the last octet.
            assert decoded(came, Coding.MH).rows >= decoded(octets[: (place + 1) * 54 - 1], Coding.MH).rows
    assert len(came) < len(octets) / 2


@settings(max_examples=60)
@given(page=pages(), way=st.sampled_from(WAYS), step=st.integers(1, 200), cut=st.integers(1, 200))
def test_a_page_comes_back_from_mmr_as_it_was(page: Bitmap, way: tuple[Coding, int], step: int, cut: int) -> None:
    coding, k = way
    octets = encode(page, coding, k=k, min_row_bits=96)
    mmr = b"".join(as_mmr(octets, coding, page.width, step))
    assert mmr == encode(page, Coding.MMR)
    back = FromMmr(coding, page.width, k=k, min_row_bits=96)
    again = b"".join(back.feed(mmr[at : at + cut]) for at in range(0, len(mmr), cut)) + back.finish()
    decoder = decoded(again, coding, page.width)
    assert decoder.page_ended and decoder.finish().bitmap == page and not decoder.bad_rows


@pytest.mark.parametrize(("coding", "k"), WAYS)
@pytest.mark.parametrize("cut", [1, 50, 5000])
def test_rows_come_back_with_their_fill(coding: Coding, k: int, cut: int) -> None:
    back = FromMmr(coding, PAGE.width, k=k, min_row_bits=1000)
    mmr = encode(PAGE, Coding.MMR)
    octets = b"".join(back.feed(mmr[at : at + cut]) for at in range(0, len(mmr), cut))
    assert 8 * len(octets) >= 1000 * PAGE.rows
    assert len(octets) - len(encode(PAGE, coding, k=k, min_row_bits=1000)) <= PAGE.rows


def test_a_piece_of_mmr_has_the_rows_that_are_whole_by_then() -> None:
    octets = encode(PAGE, Coding.MR, k=2, min_row_bits=72)
    came = b""
    for place, piece in enumerate(as_mmr(octets, Coding.MR, PAGE.width, 54)):
        came += piece
        if place % 10 == 0:
            on_line = decoded(octets[: 54 * (place + 1)], Coding.MR).rows
            assert on_line - 8 <= decoded(came, Coding.MMR).rows <= on_line


@pytest.mark.parametrize(("coding", "k"), WAYS)
def test_what_comes_in_the_coding_of_the_line_stays_as_it_is(coding: Coding, k: int) -> None:
    octets = encode(PAGE, coding, k=k, min_row_bits=40)
    back = FromMmr(coding, PAGE.width, k=k, min_row_bits=288)
    assert b"".join(back.feed(octets[at : at + 1]) for at in range(len(octets))) + back.finish() == octets
    back = FromMmr(coding, PAGE.width, k=k, min_row_bits=288)
    assert back.feed(b"\0") + back.finish() == b"\0"


@pytest.mark.parametrize(("coding", "k"), WAYS)
@pytest.mark.parametrize("at", [3, 400, 900])
@pytest.mark.parametrize("told", [False, True])
def test_what_is_missing_of_mmr_spoils_the_page(coding: Coding, k: int, at: int, told: bool) -> None:
    octets = encode(PAGE, Coding.MMR)
    back = FromMmr(coding, PAGE.width, k=k, min_row_bits=20)
    made = back.feed(octets[:at])
    made += back.broken_off() if told else back.feed(b"\0\0\1" + octets[at + 57 :])
    made += back.feed(b"more") + back.finish()
    decoder = decoded(made, coding)
    page = decoder.finish()
    assert page.longest_bad_run >= SPOILT_ROWS and not decoder.page_ended
    good = page.rows - page.bad_rows
    if told:
        assert page.bitmap.pels()[:good].tolist() == PAGE.pels()[:good].tolist()


def test_the_widest_rows_can_be_spoilt() -> None:
    back = FromMmr(Coding.MH, 4864, k=1, min_row_bits=0)
    page = decoded(back.feed(b"\xff\xff") + back.broken_off(), Coding.MH, 4864).finish()
    assert (page.rows, page.longest_bad_run) == (16 + SPOILT_ROWS, SPOILT_ROWS)
