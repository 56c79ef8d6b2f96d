"""T.85 (JBIG): octet for octet what jbigkit's programs make, and pel for pel what they read; damage; bounded work."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from t30.pages import Coding
from t30.t4 import Bitmap, Decoded, JbigDecoder, coded, decoder, jbig
from t30.t4.jbig import COMMENT, END_AND_FORGET, END_OF_STRIPE, ESCAPE, HEADER, NEW_LENGTH, Header
from t30.t4.state import MAX_ROWS
from tests.t30.t4 import samples

Pels = NDArray[np.uint8]
Peer = Callable[[str], Path]
PAGES = [("text", 1728), ("dithered", 1728), ("white", 1728), ("black", 65), ("noise", 64), ("alike", 4864)]
PAGES += [("noise", 1), ("alike", 7), ("alike", 63)]


def decoded(octets: bytes, width: int, *, chunk: int = 1 << 20) -> Decoded:
    reader = JbigDecoder(width)
    for at in range(0, len(octets), chunk):
        reader.feed(octets[at : at + chunk])
    return reader.finish()


def written(page: Bitmap, path: Path) -> Path:
    Image.fromarray(page.pels() == 0).save(path)
    return path


def theirs(peer: Peer, page: Bitmap, folder: Path, *options: object) -> bytes:
    """Have jbigkit code a page."""
    source, made = written(page, folder / "page.pbm"), folder / "theirs.jbg"
    subprocess.run([peer("pbmtojbg85"), *map(str, options), source, made], check=True)
    return made.read_bytes()


def read_by(peer: Peer, program: str, octets: bytes, folder: Path) -> Bitmap:
    """Have jbigkit decode a page."""
    source, made = folder / "ours.jbg", folder / "read.pbm"
    source.write_bytes(octets)
    subprocess.run([peer(program), source, made], check=True)
    return Bitmap.from_pels((np.asarray(Image.open(made)) == 0).view(np.uint8))


@pytest.mark.interop
@pytest.mark.parametrize(("kind", "width"), PAGES)
@pytest.mark.parametrize("stripe", [1, 127, 128, 5000])
@pytest.mark.parametrize("two_rows", [False, True])
def test_pages_are_coded_octet_for_octet_as_jbigkit_codes_them(
    peer: Peer, tmp_path: Path, *, kind: str, width: int, stripe: int, two_rows: bool
) -> None:
    page = samples.PAGES[kind](width)
    octets = jbig.encode(page, stripe=stripe, two_rows=two_rows)
    assert octets == theirs(peer, page, tmp_path, "-m", 0, "-s", stripe, "-p", 72 if two_rows else 8)
    assert read_by(peer, "jbgtopbm85", octets, tmp_path) == page
    assert decoded(octets, width).bitmap == page


@pytest.mark.interop
@pytest.mark.parametrize(
    "options",
    [
        ("-p", 0),
        ("-p", 64),
        ("-m", 127),
        ("-m", 127, "-p", 72),
        ("-C", "x" * 300),
        ("-Y", 9999, 150),
        ("-Y", 9999, 128),
    ],
    ids=str,
)
def test_what_jbigkit_codes_is_read_however_it_is_cut(peer: Peer, tmp_path: Path, options: tuple[object, ...]) -> None:
    for kind, width in PAGES[:2]:
        page = samples.PAGES[kind](width)
        octets = theirs(peer, page, tmp_path, *options)
        for chunk in (len(octets), 997, 1):
            found = decoded(octets, width, chunk=chunk)
            assert (found.bitmap == page, found.bad_rows) == (True, 0)


@pytest.mark.interop
def test_the_adaptive_pel_moves_where_dots_come_in_a_pattern(peer: Peer, tmp_path: Path) -> None:
    cell = np.array([[1, 1, 0, 0, 0, 1, 0, 0, 1], [0, 1, 1, 0, 0, 0, 0, 1, 0]], np.uint8)
    pels = np.tile(cell, (160, 192)) ^ (np.random.default_rng(1).random((320, 1728)) < 0.02)
    page = Bitmap.from_pels(pels.astype(np.uint8))
    octets = theirs(peer, page, tmp_path, "-m", 127)
    assert bytes((ESCAPE, jbig.MOVE_PEL)) in octets
    assert decoded(octets, 1728).bitmap == page


@pytest.mark.interop
def test_charts_are_coded_and_read_as_jbigkit_does(peer: Peer, charts: Path, tmp_path: Path) -> None:
    for chart in sorted(charts.glob("itu*.tif")):
        page = Bitmap.from_pels((~np.asarray(Image.open(chart).convert("1"))).astype(np.uint8))
        octets = coded(page, Coding.T85)
        assert octets == theirs(peer, page, tmp_path, "-m", 0)
        assert decoded(octets, page.width, chunk=256).bitmap == page


@pytest.mark.interop
def test_a_stripe_that_ends_with_all_forgotten_begins_as_at_the_top_of_a_page(peer: Peer, tmp_path: Path) -> None:
    upper, lower = samples.text(200, 128), samples.alike(200, 100)
    page = Bitmap.from_pels(np.vstack((upper.pels(), lower.pels())))
    first = jbig.encode(upper)[HEADER:-1] + bytes((END_AND_FORGET,))
    octets = Header(200, 228, 128, jbig.TYPICAL).octets() + first + jbig.encode(lower)[HEADER:]
    assert read_by(peer, "jbgtopbm", octets, tmp_path) == page
    assert decoded(octets, 200).bitmap == page


@given(bitmap=samples.bitmaps(), stripe=st.integers(1, 40), two_rows=st.booleans(), chunk=st.integers(1, 60))
def test_decoding_undoes_encoding(*, bitmap: Bitmap, stripe: int, two_rows: bool, chunk: int) -> None:
    octets = jbig.encode(bitmap, stripe=stripe, two_rows=two_rows)
    found = decoded(octets + b"\xff\x02 and what follows", bitmap.width, chunk=chunk)
    assert (found.bitmap, found.bad_rows) == (bitmap, 0)


def test_the_page_has_ended_with_its_last_stripe() -> None:
    page = samples.text(300, 300)
    octets = coded(page, Coding.T85)
    reader = decoder(Coding.T85, 300)
    for octet in octets[:-1]:
        reader.feed(bytes((octet,)))
        assert not reader.page_ended
    reader.feed(octets[-1:])
    assert reader.page_ended and reader.rows == 300 and reader.after(280) == Bitmap(300, page.words[280:])


def test_a_page_that_is_cut_off_is_right_up_to_the_row_that_is_marked() -> None:
    page = samples.text(200, 300)
    octets = jbig.encode(page)
    rows = set()
    for end in range(HEADER, len(octets) - 1):
        found = decoded(octets[:end], 200)
        good = found.rows - 1
        assert list(np.flatnonzero(found.damaged)) == [good]
        assert found.bitmap.words[:good].tobytes() == page.words[:good].tobytes()
        rows.add(good)
    assert {0, 128, 256} < rows and len(rows) > 50


def test_a_stripe_that_never_comes_is_missed() -> None:
    page = samples.text(200, 300)
    two = jbig.encode(page).split(bytes((ESCAPE, END_OF_STRIPE)))[:2]
    found = decoded(b"".join(each + bytes((ESCAPE, END_OF_STRIPE)) for each in two), 200)
    assert (found.rows, found.bad_rows) == (257, 1)


@pytest.mark.parametrize(
    ("at", "octet"), [(0, 1), (1, 1), (2, 2), (3, 1), (7, 0), (4, 1), (16, 128), (17, 1), (18, 1), (19, 0x80), (19, 4)]
)
def test_an_image_that_t85_does_not_have_is_damage_from_its_first_row_on(at: int, octet: int) -> None:
    octets = bytearray(jbig.encode(samples.text(200, 100)))
    octets[at] = octet
    reader = JbigDecoder(200)
    reader.feed(bytes(octets))
    assert reader.page_ended
    found = reader.finish()
    assert (found.rows, found.bad_rows, found.longest_bad_run) == (1, 1, 1)


@pytest.mark.parametrize(
    "between",
    [
        b"\xff\x04",  # the sender gives up
        b"\xff\x42",  # no marker at all
        b"\xff\x05\x00\x00\x00\x80",  # another length, though the first one was the last word
        b"\xff\x06\x00\x00\x00\x00\x80\x00",  # the adaptive pel moved too far
        b"\xff\x06\x00\x00\x00\x00\x05\x01",  # or to a row above, where T.85 has none
        b"\xff\x06\x00\x00\x00\x80\x05\x00",  # in a row that the stripe does not have
        b"\x00\xff\x07\x00\x00\x00\x00",  # a comment in the middle of a stripe
    ],
)
def test_a_marker_that_makes_no_sense_ends_the_page_with_damage(between: bytes) -> None:
    page = samples.text(200, 300)
    octets = jbig.encode(page)
    end = octets.index(bytes((ESCAPE, END_OF_STRIPE))) + 2
    found = decoded(octets[:end] + between + octets[end:], 200)
    assert (found.rows, found.bad_rows, list(found.damaged_at)) == (129, 1, [8 * end])
    assert found.bitmap.words[:128].tobytes() == page.words[:128].tobytes()


def test_comments_are_passed_over_and_a_length_may_come_last() -> None:
    page = samples.text(200, 300)
    octets = jbig.encode(page)[HEADER:]
    header = Header(200, 2**32 - 1, 128, jbig.TYPICAL | jbig.LENGTH_COMES).octets()
    comment = bytes((ESCAPE, COMMENT)) + (70_000).to_bytes(4, "big") + bytes((ESCAPE, END_OF_STRIPE)) * 35_000
    length = bytes((ESCAPE, NEW_LENGTH)) + (300).to_bytes(4, "big")
    for chunk in (1 << 20, 999):
        found = decoded(header + comment + octets + length, 200, chunk=chunk)
        assert (found.bitmap == page, found.bad_rows) == (True, 0)


def test_a_length_that_comes_and_is_longer_than_the_header_has_announced_is_damage() -> None:
    page = samples.text(200, 300)
    octets = jbig.encode(page)[HEADER:]
    header = Header(200, 300, 128, jbig.TYPICAL | jbig.LENGTH_COMES).octets()
    end = octets.index(bytes((ESCAPE, END_OF_STRIPE))) + 2
    longer = bytes((ESCAPE, NEW_LENGTH)) + (301).to_bytes(4, "big")
    for chunk in (1 << 20, 1):
        found = decoded(header + octets[:end] + longer + octets[end:], 200, chunk=chunk)
        assert (found.rows, found.bad_rows) == (1, 1)


def test_a_page_of_stripes_of_one_row_takes_no_longer_than_its_rows() -> None:
    began = time.process_time()
    found = decoded(Header(1728, MAX_ROWS, 1, jbig.TYPICAL).octets() + b"\xff\x02" * MAX_ROWS, 1728)
    assert (found.rows, found.bad_rows) == (MAX_ROWS, 0)
    assert time.process_time() - began < 30


def test_a_few_octets_make_no_more_than_a_page_of_rows() -> None:
    began = time.process_time()
    for rows in (2**32 - 1, 70_000):
        found = decoded(Header(64, rows, 2**31, jbig.TYPICAL).octets() + b"\xff\x02" * 5, 64)
        assert (found.rows, found.bad_rows) == (MAX_ROWS + 1, 1)
    assert time.process_time() - began < 30


def test_a_width_out_of_range_and_a_stripe_without_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="0"):
        JbigDecoder(0)
    with pytest.raises(ValueError, match="4865"):
        jbig.encode(Bitmap(4865, np.zeros((1, 77), np.uint64)))
    with pytest.raises(ValueError, match="stripe"):
        jbig.encode(samples.white(8), stripe=0)
