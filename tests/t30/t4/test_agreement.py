"""Agreement with libtiff, octet for octet and pel for pel."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from t30.pages import Coding
from t30.t4 import Bitmap, Decoder, encode
from t30.t4.encode import encoded
from t30.t4.tables import MAX_WIDTH
from tests.t30.t4 import libtiff
from tests.t30.t4.samples import PAGES, WIDTHS, bitmaps

CODINGS = [(Coding.MH, 4), (Coding.MR, 2), (Coding.MR, 4), (Coding.MMR, 4)]
DAMAGE: list[Callable[[bytes, random.Random], bytes]] = [
    lambda octets, rng: bytes((octets[0] ^ 1 << rng.randrange(8),)) + octets[1:],
    lambda octets, rng: octets[rng.randrange(1, 9) :],
    lambda octets, rng: rng.randbytes(rng.randrange(1, 9)) + octets,
    lambda octets, rng: rng.randbytes(20) + octets[20:],
    lambda octets, rng: bytes(rng.randrange(1, 9)) + octets[9:],
    lambda octets, rng: octets[: rng.randrange(9)],
]
"""What becomes of the octets from one on."""
STRIPS = [18_103, 10_803, 28_706, 69_275, 32_222, 16_651, 69_282, 19_099]
"""Octets of the eight ITU charts in MMR, as libtiff wrote them."""


def decoded(octets: bytes, coding: Coding, width: int) -> Bitmap:
    decoder = Decoder(coding, width)
    decoder.feed(octets)
    page = decoder.finish()
    assert page.bad_rows == 0
    return page.bitmap


def agree(bitmap: Bitmap, coding: Coding, k: int) -> None:
    theirs = libtiff.encode(bitmap, coding, k=k)
    # libtiff writes EOFB, but no RTC.
    assert encode(bitmap, coding, k=k, end_of_page=coding is Coding.MMR) == theirs
    assert decoded(theirs, coding, bitmap.width) == bitmap
    ours = encode(bitmap, coding, k=k)
    assert libtiff.decode(ours, coding, width=bitmap.width, rows=bitmap.rows) == bitmap


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", PAGES)
def test_libtiff_writes_the_same_octets_and_reads_ours(kind: str, width: int) -> None:
    for coding, k in CODINGS:
        agree(PAGES[kind](width), coding, k)


@pytest.mark.parametrize("rows", [1, 2, 3, 7])
@pytest.mark.parametrize("kind", PAGES)
def test_libtiff_agrees_on_pages_of_few_rows(kind: str, rows: int) -> None:
    for width in (1, 65, 1729):
        page = PAGES[kind](width)
        middle = page.rows // 2  # the first rows of a text are white
        for coding, k in CODINGS:
            agree(Bitmap(width, page.words[middle : middle + rows]), coding, k)


@given(bitmaps().filter(lambda bitmap: bitmap.rows > 0), st.sampled_from(CODINGS))
def test_libtiff_agrees_on_any_page(bitmap: Bitmap, coding: tuple[Coding, int]) -> None:
    agree(bitmap, *coding)


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize(("coding", "k"), CODINGS)
def test_rows_before_the_damage_are_those_that_libtiff_reads(coding: Coding, k: int, kind: str, soak_seed: int) -> None:
    rng = random.Random(soak_seed)
    for width in (65, 1728):
        page = PAGES[kind](width)
        page = Bitmap(width, page.words[page.rows // 3 :][:40])
        _, _, after = encoded(page, coding, k=k, min_row_bits=0, eols=0, goes_on=False)
        octets = encode(page, coding, k=k)
        for _ in range(12):
            at = rng.randrange(len(octets))
            stream = octets[:at] + rng.choice(DAMAGE)(octets[at:], rng)
            before = int(np.searchsorted(after, 8 * at, "right"))
            decoder = Decoder(coding, width)
            decoder.feed(stream)
            ours = decoder.finish()
            theirs = libtiff.decode_damaged(stream, coding, width=width, rows=page.rows)
            assert not ours.damaged[:before].any()
            assert np.array_equal(ours.bitmap.words[:before], page.words[:before])
            assert np.array_equal(theirs.words[:before], page.words[:before])


def in_fewest_bits(bitmap: Bitmap) -> None:
    for coding, k in CODINGS[1:]:
        shortest = encode(bitmap, coding, k=k, shortest=True)
        assert len(shortest) <= len(encode(bitmap, coding, k=k))
        assert decoded(shortest, coding, bitmap.width) == bitmap
        assert libtiff.decode(shortest, coding, width=bitmap.width, rows=bitmap.rows) == bitmap


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", PAGES)
def test_libtiff_reads_rows_in_the_fewest_bits_which_are_never_more(kind: str, width: int) -> None:
    in_fewest_bits(PAGES[kind](width))


@given(arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 70)), elements=st.integers(0, 1)))
def test_libtiff_reads_any_rows_in_the_fewest_bits(pels: NDArray[np.uint8]) -> None:
    in_fewest_bits(Bitmap.from_pels(pels))


def test_two_short_runs_that_moved_by_three_pels_are_coded_by_their_lengths() -> None:
    pels = np.zeros((2, 32), np.uint8)
    pels[0, 4:6] = pels[1, 7:9] = 1
    bitmap = Bitmap.from_pels(pels)
    # H 4 white 2 black, V0 to the end; then, not VR3 VR3 V0 (15 bits), but H 7 white 2 black, V0: 10 bits. EOFB.
    first, second = "001 1011 11 1", "001 1111 11 1"
    bits = (first + second + "000000000001" * 2).replace(" ", "")
    bits += "0" * (-len(bits) % 8)
    octets = bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))
    assert encode(bitmap, Coding.MMR, shortest=True) == octets
    assert len(encode(bitmap, Coding.MMR)) == len(octets) + 1


@pytest.mark.parametrize("number", range(1, 9))
def test_every_chart_in_the_fewest_bits_is_read_by_libtiff(charts: Path, number: int) -> None:
    bitmap = decoded(libtiff.strip((charts / f"itu{number}.tif").read_bytes()), Coding.MMR, 1728)
    in_fewest_bits(bitmap)
    assert len(encode(bitmap, Coding.MMR, shortest=True)) < 0.985 * STRIPS[number - 1]


@pytest.mark.parametrize("number", range(1, 9))
def test_libtiff_agrees_on_every_chart(charts: Path, number: int) -> None:
    strip = libtiff.strip((charts / f"itu{number}.tif").read_bytes())
    assert len(strip) == STRIPS[number - 1]
    bitmap = decoded(strip, Coding.MMR, 1728)
    assert bitmap.rows == 2376
    assert encode(bitmap, Coding.MMR) == strip
    for coding, k in CODINGS:
        agree(bitmap, coding, k)


def test_libtiff_agrees_on_runs_of_every_length() -> None:
    lengths = np.arange(MAX_WIDTH + 1)
    white_first = (np.arange(MAX_WIDTH)[None, :] >= lengths[:, None]).view(np.uint8)
    agree(Bitmap.from_pels(white_first), Coding.MH, 4)


def test_eols_that_libtiff_ends_on_octets_are_read() -> None:
    bitmap = PAGES["text"](1728)
    for coding, k in CODINGS[:3]:
        assert decoded(libtiff.encode(bitmap, coding, k=k, aligned=True), coding, 1728) == bitmap


@pytest.mark.parametrize("kind", PAGES)
def test_libtiff_writes_the_same_octets_where_eols_end_with_them(kind: str) -> None:
    for width in WIDTHS:
        bitmap = PAGES[kind](width)
        for coding, k in CODINGS[:3]:
            aligned = encode(bitmap, coding, k=k, end_of_page=False, aligned=True)
            assert aligned == libtiff.encode(bitmap, coding, k=k, aligned=True)
            assert decoded(encode(bitmap, coding, k=k, aligned=True, shortest=True), coding, width) == bitmap


def test_mmr_that_is_to_have_its_eols_end_with_octets_is_refused() -> None:
    with pytest.raises(ValueError, match="MMR has no EOLs"):
        encode(PAGES["white"](64), Coding.MMR, aligned=True)


@pytest.mark.parametrize("kind", PAGES)
def test_octets_may_have_their_first_bit_highest(kind: str) -> None:
    turned = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
    for width in WIDTHS:
        bitmap = PAGES[kind](width)
        for coding, k in CODINGS:
            octets = encode(bitmap, coding, k=k, msb_first=True)
            assert octets.translate(turned) == encode(bitmap, coding, k=k)
            decoder = Decoder(coding, width, msb_first=True, from_first_eol=coding is not Coding.MMR)
            for at in range(0, len(octets), 999):
                decoder.feed(octets[at : at + 999])
            assert decoder.page_ended
            assert decoder.finish().bitmap == bitmap
