"""Agreement with libtiff, octet for octet and pel for pel."""

from pathlib import Path

import numpy as np
import pytest

from t30.pages import Coding
from t30.t4 import Bitmap, Decoder, encode
from t30.t4.tables import MAX_WIDTH
from tests.t30.t4 import libtiff
from tests.t30.t4.samples import PAGES, WIDTHS

CODINGS = [(Coding.MH, 4), (Coding.MR, 2), (Coding.MR, 4), (Coding.MMR, 4)]
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
