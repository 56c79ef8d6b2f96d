"""Pages to octets: MH, MR and MMR."""

import numpy as np
from numpy.typing import NDArray

from t30.pages import Coding, Resolution
from t30.t4.kernels import EOFB_EOLS, EOL_BITS, PAD, RTC_EOLS, count_changes, find_changes
from t30.t4.kernels import encode as encode_rows
from t30.t4.raster import Bitmap
from t30.t4.tables import CODES, MAX_WIDTH, MODE_CODES


def encode(
    bitmap: Bitmap,
    coding: Coding,
    *,
    k: int = 4,
    min_row_bits: int = 0,
    end_of_page: bool = True,
    goes_on: bool = False,
    shortest: bool = False,
) -> bytes:
    """Code a page; the first bit on the wire is the least significant bit of the first octet.

    MH and MR have an EOL before every row, MMR has none. The last octet is filled up with zeros.

    Args:
        bitmap: the page; it may have no rows.
        coding: MH, MR or MMR.
        k: MR codes every ``k``-th row by itself; see ``usual_k``.
        min_row_bits: least bits of a row's data, fill and the EOL after it, in MH and MR; MMR has no fill.
        end_of_page: end with RTC (MH, MR) or EOFB (MMR).
        goes_on: in MH and MR, more of the page follows in another call, so the last row is as long as any; in MR that
            call must begin with a row that is coded by itself. The zeros that fill up the last octet are fill then.
        shortest: in MR and MMR, code each row in the modes that take the fewest bits, 2 or 3 % less than the modes that
            the flow chart of T.6 comes to first; a decoder does as the modes say, whichever they are.

    Raises:
        ValueError: if the width is not 1 to 4864 pels, ``k`` is below 1 or ``min_row_bits`` below 0.
    """
    eols = (EOFB_EOLS if coding is Coding.MMR else RTC_EOLS) if end_of_page else 0
    out, bits, _ = encoded(
        bitmap, coding, k=k, min_row_bits=min_row_bits, eols=eols, goes_on=goes_on, shortest=shortest
    )
    return out[: -(-bits // 8)].tobytes()


def encoded(
    bitmap: Bitmap,
    coding: Coding,
    *,
    k: int,
    min_row_bits: int,
    eols: int,
    goes_on: bool,
    shortest: bool = False,
) -> tuple[NDArray[np.uint8], int, NDArray[np.int64]]:
    """Code rows as ``encode`` does; return octets, how many bits of them are used, and after which bit each row ends.

    Raises:
        ValueError: as ``encode``.
    """
    if not 1 <= bitmap.width <= MAX_WIDTH:
        raise ValueError(f"a row has 1 to {MAX_WIDTH} pels, not {bitmap.width}")
    if k < 1 or min_row_bits < 0:
        raise ValueError(f"k={k}, min_row_bits={min_row_bits}")
    ends, offsets = run_ends(bitmap)
    period = {Coding.MH: 1, Coding.MR: k, Coding.MMR: 0}[coding]
    tag_bits = int(coding is Coding.MR)
    most = _most_bits(bitmap, len(ends), min_row_bits)
    out = np.zeros(most // 64 + 2, np.uint64)
    after = np.empty(bitmap.rows, np.int64)
    shape = (bitmap.width, period, tag_bits, eols, min_row_bits, goes_on)
    ways = np.empty((2, int(np.diff(offsets).max(initial=0)) if shortest else 0), np.int32)
    bits = encode_rows(ends, offsets, *shape, out, after, CODES, MODE_CODES, ways)
    return out.view(np.uint8), bits, after


def usual_k(resolution: Resolution) -> int:
    """Return the K that T.4 gives: every how many rows MR codes one by itself, 2 at standard resolution, else 4."""
    return 2 if resolution is Resolution.STANDARD else 4


def run_ends(bitmap: Bitmap) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Find the changing elements of a page.

    Returns:
        Run ends, and where each row's begin in them, shape (rows + 1,), as ``kernels`` describes them.
    """
    words = np.require(bitmap.words, np.uint64, ["C", "W"])  # one signature, so one compilation
    ends = np.empty(count_changes(words) + (bitmap.rows + 1) * (1 + PAD), np.int32)
    offsets = np.empty(bitmap.rows + 1, np.int64)
    find_changes(words, bitmap.width, ends, offsets)
    return ends, offsets


def _most_bits(bitmap: Bitmap, ends: int, min_row_bits: int) -> int:
    """Bound the length: 17 bits for a run end (pass, horizontal, a short run), 13 for every 64 pels of long runs."""
    rows = bitmap.rows + RTC_EOLS
    return 17 * ends + rows * (13 * (bitmap.width // 64 + 2) + EOL_BITS + 1 + min_row_bits)
