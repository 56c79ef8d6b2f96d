"""What the codec promises of every page and of every stream."""

import random
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from t30.pages import USUAL_CODINGS, Coding
from t30.t4 import Bitmap, Decoder, encode
from t30.t4.encode import encoded
from tests.t30.t4 import samples
from tests.t30.t4.decoding import cut, decode

CODINGS = st.sampled_from(sorted(USUAL_CODINGS, key=str))


@given(
    bitmap=samples.bitmaps(),
    coding=CODINGS,
    k=st.sampled_from([1, 2, 4, 100]),
    min_row_bits=st.sampled_from([0, 1, 24, 100, 577]),
    end_of_page=st.booleans(),
    places=st.lists(st.integers(0, 10_000), max_size=6),
)
def test_decoding_undoes_encoding(
    *, bitmap: Bitmap, coding: Coding, k: int, min_row_bits: int, end_of_page: bool, places: list[int]
) -> None:
    octets = encode(bitmap, coding, k=k, min_row_bits=min_row_bits, end_of_page=end_of_page)
    decoder, page = decode(coding, bitmap.width, cut(octets, places))
    assert page.bitmap == bitmap
    assert page.bad_rows == 0
    assert decoder.page_ended == end_of_page


@given(bitmap=samples.bitmaps(), coding=CODINGS)
def test_each_row_ends_where_a_page_does_that_has_no_rows_after_it(bitmap: Bitmap, coding: Coding) -> None:
    pages = [Bitmap(bitmap.width, bitmap.words[:rows]) for rows in range(1, bitmap.rows + 1)]
    ends = [encoded(page, coding, k=2, min_row_bits=0, eols=0, goes_on=False)[1] for page in pages]
    assert encoded(bitmap, coding, k=2, min_row_bits=0, eols=0, goes_on=False)[2].tolist() == ends


@given(bitmap=samples.bitmaps(), coding=CODINGS, tail=st.binary(max_size=60))
def test_what_follows_the_end_of_a_page_is_ignored(bitmap: Bitmap, coding: Coding, tail: bytes) -> None:
    decoder, page = decode(coding, bitmap.width, [encode(bitmap, coding), tail])
    assert decoder.page_ended
    assert page.bitmap == bitmap
    assert page.bad_rows == 0


@st.composite
def damaged_streams(draw: st.DrawFn) -> tuple[Coding, int, bytes]:
    """Draw a coded page with bits turned, octets lost, added and replaced by noise; or nothing but noise."""
    bitmap, coding = draw(samples.bitmaps(max_rows=12)), draw(CODINGS)
    octets = bytearray(
        encode(bitmap, coding, k=draw(st.sampled_from([2, 4])), min_row_bits=draw(st.sampled_from([0, 99])))
    )
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(octets)))
        match draw(st.sampled_from(["turn", "lose", "add", "cut", "zero", "noise"])):
            case "turn" if at < len(octets):
                octets[at] ^= 1 << draw(st.integers(0, 7))
            case "lose":
                del octets[at : at + draw(st.integers(1, 9))]
            case "add":
                octets[at:at] = draw(st.binary(min_size=1, max_size=9))
            case "cut":
                del octets[at:]
            case "zero":
                length = draw(st.integers(1, 9))
                octets[at : at + length] = bytes(length)
            case "noise":
                octets = bytearray(draw(st.binary(max_size=300)))
    return coding, bitmap.width, bytes(octets)


@given(stream=damaged_streams(), places=st.lists(st.integers(0, 10_000), max_size=6))
def test_damage_ends_without_an_exception_and_cutting_changes_nothing(
    stream: tuple[Coding, int, bytes], places: list[int]
) -> None:
    coding, width, octets = stream
    whole, page = decode(coding, width, [octets])
    for chunks in (cut(octets, places), [bytes([octet]) for octet in octets]):
        decoder, again = decode(coding, width, chunks)
        assert again.bitmap == page.bitmap
        assert np.array_equal(again.damaged, page.damaged)
        assert np.array_equal(again.damaged_at, page.damaged_at)
        assert decoder.page_ended == whole.page_ended


@pytest.mark.parametrize("coding", sorted(USUAL_CODINGS, key=str), ids=str)
@pytest.mark.parametrize("kind", samples.PAGES)
def test_rows_that_the_careful_decoder_takes_are_those_of_the_plain_one(
    kind: str, coding: Coding, soak_seed: int
) -> None:
    """Octet by octet no row is there as a whole when it begins, so that none is plain."""
    rng = random.Random(soak_seed)
    for width in (63, 1728):
        page = samples.PAGES[kind](width)
        octets = encode(Bitmap(width, page.words[page.rows // 3 :][:40]), coding, k=4)
        at = rng.randrange(len(octets))
        for stream in (octets, octets[:at] + rng.randbytes(3) + octets[at + 3 :]):
            _, whole = decode(coding, width, [stream])
            _, pieces = decode(coding, width, [stream[at : at + 1] for at in range(len(stream))])
            assert whole.bitmap == pieces.bitmap
            assert np.array_equal(whole.damaged, pieces.damaged)


@given(bitmap=samples.bitmaps(max_width=64), coding=CODINGS)
def test_a_page_is_ended_by_its_last_octet_at_the_latest(bitmap: Bitmap, coding: Coding) -> None:
    decoder = Decoder(coding, bitmap.width)
    for octet in encode(bitmap, coding):
        decoder.feed(bytes([octet]))
    assert decoder.page_ended
    assert decoder.rows == bitmap.rows


@pytest.mark.parametrize(("coding", "eol_bits"), [(Coding.MH, 12), (Coding.MR, 13)])
def test_fill_makes_short_rows_as_long_as_asked_and_no_row_longer(coding: Coding, eol_bits: int) -> None:
    bitmap = samples.alike(200, 40)
    plain = _row_bits(encode(bitmap, coding, k=2), eol_bits)
    filled = _row_bits(encode(bitmap, coding, k=2, min_row_bits=150), eol_bits)
    assert len(filled) == bitmap.rows + 5  # RTC is five empty rows and one EOL
    assert min(plain) < 150 < max(plain[: bitmap.rows])
    assert filled[: bitmap.rows] == [max(bits, 150) for bits in plain[: bitmap.rows]]
    assert filled[bitmap.rows :] == [eol_bits] * 5


@pytest.mark.parametrize("width", [0, 4865, -1])
def test_widths_outside_the_recommendations_are_refused(width: int) -> None:
    with pytest.raises(ValueError, match="4864"):
        Decoder(Coding.MH, width)
    with pytest.raises(ValueError, match="4864"):
        encode(Bitmap(width, np.zeros((1, 1), np.uint64)), Coding.MH)


def _row_bits(octets: bytes, eol_bits: int) -> list[int]:
    """Return how many bits every row has, from after one EOL to after the next."""
    bits = "".join(f"{octet:08b}"[::-1] for octet in octets)
    ends = [place.end() - 12 + eol_bits for place in re.finditer("0{11}1", bits)]
    return [end - start for start, end in pairwise(ends)]
