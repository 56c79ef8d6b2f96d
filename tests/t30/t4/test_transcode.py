"""Pages without fill, and as MMR and back: no pel changes, nothing comes later than on a line, damage shows."""

from pathlib import Path
from weakref import ref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t30.pages import Coding
from t30.t4 import Bitmap, Decoder, encode
from t30.t4.encode import encoded
from t30.t4.tables import CODES
from t30.t4.transcode import KEPT_ZEROS, SPOILT_ROWS, FromMmr, Transcoder, as_mmr, transcode, without_fill
from tests.simulators.calls import sheet
from tests.t30.t4 import libtiff
from tests.t30.t4.decoding import octets_of
from tests.t30.t4.samples import PAGES, text
from tests.t30.t4.test_codec import damaged_streams
from tests.t30.t4.test_damage import bits_of

PAGE = sheet(3, rows=150).bitmap
CODINGS = [Coding.MH, Coding.MR, Coding.MMR]
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


def by_way_of_pels(octets: bytes, coding: Coding, to: Coding, width: int, *, k: int, least: int) -> bytes:
    decoder = Decoder(coding, width)
    decoder.feed(octets)
    return encode(decoder.finish().bitmap, to, k=k, min_row_bits=least)


def is_what_pels_give(octets: bytes, coding: Coding, width: int, *, least: int = 100, cut: int = 0) -> None:
    for to in CODINGS:
        for k in (2, 4) if to is Coding.MR else (4,):
            made = transcode(octets, coding, to, width, k=k, min_row_bits=least)
            assert made == by_way_of_pels(octets, coding, to, width, k=k, least=least)
            if cut:
                coder = Transcoder(coding, to, width, k=k, min_row_bits=least)
                pieces = [coder.feed(octets[at : at + cut]) for at in range(0, len(octets), cut)]
                assert b"".join(pieces) + coder.finish() == made


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("kind", PAGES)
def test_a_page_in_any_coding_becomes_one_in_any_other(kind: str, coding: Coding) -> None:
    for width in (1, 64, 1728, 4864):
        page = PAGES[kind](width)
        is_what_pels_give(encode(page, coding, k=4, min_row_bits=70), coding, width)


@pytest.mark.parametrize("number", range(1, 9))
def test_every_chart_becomes_one_in_any_other_coding(charts: Path, number: int) -> None:
    mmr = libtiff.strip((charts / f"itu{number}.tif").read_bytes())
    for coding in CODINGS:
        is_what_pels_give(transcode(mmr, Coding.MMR, coding, 1728), coding, 1728, least=0)


@settings(max_examples=60)
@given(stream=damaged_streams(), cut=st.integers(1, 60), least=st.sampled_from((0, 96)))
def test_a_damaged_page_becomes_what_its_pels_would(stream: tuple[Coding, int, bytes], cut: int, least: int) -> None:
    coding, width, octets = stream
    is_what_pels_give(octets, coding, width, least=least, cut=cut)


def test_many_damaged_rows_are_concealed_on_the_way() -> None:
    page = text(1728)
    for coding in (Coding.MH, Coding.MR):
        octets = bytearray(encode(page, coding, min_row_bits=96))
        for at in range(40, len(octets), 300):
            octets[at] ^= 0x55
        is_what_pels_give(bytes(octets), coding, 1728, cut=1000)


def test_rows_without_eols_are_taken_one_by_one() -> None:
    page, bits = text(1728, 100), ""
    for row in range(page.rows):
        alone = Bitmap(1728, page.words[row : row + 1])
        out, end, _ = encoded(alone, Coding.MH, k=1, min_row_bits=0, eols=0, goes_on=False)
        bits += bits_of(out.tolist())[12:end]
    octets = octets_of(bits)
    is_what_pels_give(octets, Coding.MH, 1728)


def test_a_coder_says_where_each_row_ends_however_the_page_is_cut() -> None:
    octets = encode(PAGE, Coding.MMR)
    _, _, after = encoded(PAGE, Coding.MH, k=1, min_row_bits=50, eols=6, goes_on=False)
    for cut in (7, len(octets)):
        coder = Transcoder(Coding.MMR, Coding.MH, PAGE.width, min_row_bits=50)
        for at in range(0, len(octets), cut):
            coder.feed(octets[at : at + cut])
        assert [coder.row_ends(row) for row in range(PAGE.rows)] == after.tolist()


def test_more_rows_than_are_kept_end_on_the_way_as_they_end_for_pels() -> None:
    octets = b"\xff" * 9000  # one bit a row
    assert transcode(octets, Coding.MMR, Coding.MH, 8) == by_way_of_pels(octets, Coding.MMR, Coding.MH, 8, k=4, least=0)


def test_a_coding_and_a_width_that_cannot_be_are_refused() -> None:
    for width, k, least in ((0, 4, 0), (4865, 4, 0), (8, 0, 0), (8, 4, -1)):
        with pytest.raises(ValueError, match=r"pels|k="):
            transcode(b"", Coding.MH, Coding.MR, width, k=k, min_row_bits=least)


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
    assert octets + back.finish() == encode(PAGE, coding, k=k, min_row_bits=1000)


@pytest.mark.parametrize("least", [0, 3000])
def test_a_piece_of_mmr_has_the_rows_that_a_decoder_has_by_then(least: int) -> None:
    octets = encode(PAGE, Coding.MR, k=2, min_row_bits=least)
    octets = octets[:1000] + b"\x55" * 3 + octets[1003:]
    decoder = Decoder(Coding.MR, PAGE.width)
    came = b""
    pieces = as_mmr(octets, Coding.MR, PAGE.width, 17)
    for place, piece in enumerate(pieces[:-1]):
        decoder.feed(octets[17 * place : 17 * (place + 1)])
        came += piece
        so_far = decoder.after(0)
        assert came == encode(so_far, Coding.MMR, end_of_page=False)[: len(came)]
        bits = encoded(so_far, Coding.MMR, k=1, min_row_bits=0, eols=0, goes_on=False)[1]
        assert len(came) == bits // 8
    assert decoder.bad_rows


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


@pytest.mark.parametrize(("coding", "k"), WAYS)
def test_of_damaged_mmr_only_the_good_rows_come_before_those_that_spoil_the_page(coding: Coding, k: int) -> None:
    octets = encode(PAGE, Coding.MMR)[:900]
    decoder = Decoder(Coding.MMR, PAGE.width)
    decoder.feed(octets)
    page = decoder.finish()
    assert page.bad_rows == 1
    good = Bitmap(PAGE.width, page.bitmap.words[:-1])
    back = FromMmr(coding, PAGE.width, k=k, min_row_bits=20)
    made = back.feed(octets) + back.finish()
    rows = encode(good, coding, k=k, min_row_bits=20, end_of_page=False, goes_on=True)
    assert made.startswith(rows) and len(made) == len(rows) + 7 * SPOILT_ROWS


def test_the_widest_rows_can_be_spoilt() -> None:
    back = FromMmr(Coding.MH, 4864, k=1, min_row_bits=0)
    page = decoded(back.feed(b"\xff\xff") + back.broken_off(), Coding.MH, 4864).finish()
    assert (page.rows, page.longest_bad_run) == (16 + SPOILT_ROWS, SPOILT_ROWS)


def test_what_turned_a_page_is_gone_at_once_when_nobody_holds_it() -> None:
    coder = Transcoder(Coding.MH, Coding.MMR, 64)
    gone = ref(coder)
    del coder
    assert gone() is None
