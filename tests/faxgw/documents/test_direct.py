"""Fax pages in a TIFF that are taken over as they are: the same as a worker draws, or not at all."""

import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers
from numpy.typing import NDArray

from faxgw.documents.coded import TURNED, bitmap_of, coded_page, page_hash
from faxgw.documents.direct import fax_page_count, fax_pages
from faxgw.documents.document import RenderOptions
from faxgw.documents.parts import Upload
from faxgw.documents.pool import RendererPool
from faxgw.documents.prepare import PreparedPage, prepare
from faxgw.documents.tiff import tiff_octets
from t30.pages import Coding, Resolution, Width
from t30.t4 import Bitmap, encode
from tests.faxgw.lines.pages import fax_pages as drawn

FILE = tiff_octets(drawn(2, rows=40))


async def test_pages_taken_over_are_those_that_a_worker_draws() -> None:
    files = [FILE]
    for width, resolution in ((Width.B4, Resolution.STANDARD), (Width.A3, Resolution.SUPERFINE)):
        (page,) = drawn(1, rows=60)
        wide = Bitmap.from_pels(page_pels(resolution.pels(width)))
        files.append(tiff_octets([coded_page(wide, width=width, resolution=resolution), page]))
    pool = RendererPool(1)
    try:
        for octets in files:
            taken = fax_pages(octets, most=10)
            async with prepare([Upload("x.tif", octets)], RenderOptions(), pool) as prepared:
                assert taken == [page async for page in prepared]
    finally:
        await pool.close()


def page_pels(across: int) -> NDArray[np.uint8]:
    return (np.random.default_rng(3).random((60, across)) < 0.1).astype(np.uint8)


def test_what_is_odd_is_left_to_a_worker() -> None:
    assert fax_pages(FILE, most=2) is not None and fax_pages(FILE, most=1) is None
    for octets in (b"", b"II*\0", FILE[:-20], b"%PDF-1.7" + FILE, FILE[:8]):
        assert fax_pages(octets, most=9) is None
    (page,) = drawn(1, rows=40)
    mh = coded_page(bitmap_of(page), width=Width.A4, resolution=Resolution.FINE, coding=Coding.MH)
    assert fax_pages(tiff_octets([mh]), most=9) is None


def test_a_file_whose_directories_go_round_in_circles_ends() -> None:
    (first,) = struct.unpack_from("<I", FILE, 4)
    (count,) = struct.unpack_from("<H", FILE, first)
    circle = bytearray(FILE)
    struct.pack_into("<I", circle, first + 2 + 12 * count, first)
    assert fax_pages(bytes(circle), most=50) is None


@given(at=integers(0, len(FILE) - 1), octets=binary(min_size=1, max_size=8))
def test_damage_anywhere_is_no_worse_than_none(at: int, octets: bytes) -> None:
    damaged = FILE[:at] + octets + FILE[at + len(octets) :]
    pages = fax_pages(damaged, most=4)
    assert pages is None or all(page.page.bad_rows == 0 for page in pages)


def test_pages_are_counted_without_being_decoded() -> None:
    assert fax_page_count(FILE, most=2) == 2
    assert fax_page_count(FILE, most=1) is None
    assert fax_page_count(FILE[:-20], most=2) is None
    damaged = bytearray(FILE)
    damaged[8:20] = bytes(12)  # the strip of the first page begins behind the header
    assert fax_page_count(bytes(damaged), most=2) == 2
    assert fax_pages(bytes(damaged), most=2) is None


def one_taken_over(octets: bytes) -> PreparedPage:
    pages = fax_pages(octets, most=1)
    assert pages is not None
    return pages[0]


def test_a_strip_that_is_coded_otherwise_is_filed_as_it_came_if_it_ends_with_its_page() -> None:
    # A white row in horizontal mode, where vertical mode takes one bit: 1728 and 0 white pels, 0 black ones; EOFB.
    bits = "001" + "010011011" + "00110101" + "0000110111" + "000000000001" * 2
    theirs = int(bits.ljust(56, "0"), 2).to_bytes(7)
    page = coded_page(Bitmap.from_pels(np.zeros((1, 1728), np.uint8)), width=Width.A4, resolution=Resolution.FINE)
    taken = one_taken_over(tiff_octets([replace(page, octets=theirs)]))
    assert taken.page == replace(page, octets=theirs)
    assert taken.sha256 == page_hash(bitmap_of(page), page.resolution)


@pytest.mark.parametrize("more", [b"\0", b"\0" * 9, b"more", b"secret" * 50 + bytes.fromhex("001001")])
def test_what_follows_a_page_in_its_strip_is_not_filed(more: bytes) -> None:
    (page,) = drawn(1, rows=40)
    taken = one_taken_over(tiff_octets([replace(page, octets=page.octets + more)]))
    assert taken.page == page


def test_a_strip_that_ends_without_a_word_gets_its_end() -> None:
    (page,) = drawn(1, rows=40)
    bare = encode(bitmap_of(page), Coding.MMR, end_of_page=False).translate(TURNED)
    taken = one_taken_over(tiff_octets([replace(page, octets=bare)]))
    assert taken.page == page
