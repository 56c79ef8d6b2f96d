"""A page as a picture for screens: PNG of one bit, written here, since what it takes is next to nothing."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from faxgw.documents.coded import CodedPage, bitmap_of, packed
from faxgw.documents.layout import LINES_PER_MM, scan_line_mm

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, METRE = 0, 1
UP = 2
"""The filter: each row as what it differs by from the one above, which makes nothing of a row that is repeated."""

QUICK = 1


def png_octets(page: CodedPage, *, square: bool = True) -> bytes:
    """Draw a page, one bit a pel; the same page gives the same octets.

    Args:
        page: the page.
        square: repeat rows or pels so that the picture has the page's proportions on a screen; else pel for pel, with
            proportions told in the file, which few programs look at.
    """
    bitmap = bitmap_of(page)
    rows = packed(bitmap)
    across = page.pels / scan_line_mm(page.width, page.resolution)
    down = LINES_PER_MM[page.resolution]
    pels = page.pels
    if square:
        twice = down > 1.5 * across
        if twice:
            rows, pels, across = np.packbits(bitmap.pels().repeat(2, axis=1), axis=1), 2 * pels, 2 * across
        rows = _stretched(rows, round(page.rows * across / down))
        down = across
    return _png(~rows, pels, per_metre=(round(across * 1000), round(down * 1000)))


def _stretched(rows: NDArray[np.uint8], wanted: int) -> NDArray[np.uint8]:
    """Repeat or leave out rows, evenly, until there are as many as wanted."""
    return rows[np.arange(wanted) * len(rows) // max(1, wanted)]


def _png(rows: NDArray[np.uint8], pels: int, *, per_metre: tuple[int, int]) -> bytes:
    filtered = np.full((len(rows), rows.shape[1] + 1), UP, np.uint8)
    filtered[:, 1:] = rows
    filtered[1:, 1:] -= rows[:-1]
    return b"".join(
        [
            SIGNATURE,
            _chunk(b"IHDR", struct.pack(">IIBBBBB", pels, len(rows), 1, GREY, 0, 0, 0)),
            _chunk(b"pHYs", struct.pack(">IIB", *per_metre, METRE)),
            _chunk(b"IDAT", zlib.compress(filtered.tobytes(), QUICK)),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
