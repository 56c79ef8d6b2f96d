"""Pages to octets: MH, MR and MMR."""

import numpy as np
from numpy.typing import NDArray

from t30.pages import Coding, Resolution
from t30.t4 import writing
from t30.t4.instructions import EIGHT
from t30.t4.put import EOL_BITS
from t30.t4.raster import Bitmap
from t30.t4.state import EOFB_EOLS, RTC_EOLS
from t30.t4.tables import CODES, MAX_WIDTH, MODE_CODES

_FIRST_WORDS = 1 << 13
"""Room for coded octets at first, as words; doubled whenever it is full."""


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
    words = np.require(bitmap.words, np.uint64, ["C", "W"])  # one signature, so one compilation
    period = {Coding.MH: 1, Coding.MR: k, Coding.MMR: 0}[coding]
    tag_bits = int(coding is Coding.MR)
    most = _most_row_bits(bitmap.width, min_row_bits)
    state = np.zeros(writing.STATE_SIZE, np.int64)
    state[writing.COUNT_ABOVE] = 1
    state[writing.ABOVE] = writing.FIRST
    lines = np.full(2 * (writing.FIRST + bitmap.width + 1 + 2 * EIGHT), bitmap.width, np.int32)
    lines.reshape(2, -1)[:, : writing.FIRST] = -1
    out = np.empty(most // 64 + _FIRST_WORDS, np.uint64)
    after = np.empty(bitmap.rows, np.int64)
    ways = np.empty((2, bitmap.width + 3 if shortest else 0), np.int32)
    shape = (words, bitmap.width, period, tag_bits, min_row_bits, goes_on or eols > 0)
    while not writing.encode(*shape, 64 * len(out) - most, state, lines, out, after, CODES, MODE_CODES, ways):
        out = np.concatenate((out, np.empty_like(out)))
    writing.put_eols(out, state, tag_bits, eols)
    return out.view(np.uint8), int(state[writing.POSITION]), after


def usual_k(resolution: Resolution) -> int:
    """Return the K that T.4 gives: every how many rows MR codes one by itself, 2 at standard resolution, else 4."""
    return 2 if resolution is Resolution.STANDARD else 4


def _most_row_bits(width: int, min_row_bits: int) -> int:
    """Bound the bits of a row, and of what may follow it: two EOLs and RTC, and a word to write it in.

    17 bits for a run end (pass, horizontal, a short run), 13 for every 64 pels of long runs.
    """
    return 17 * (width + 1) + 13 * (width // 64 + 2) + min_row_bits + (EOL_BITS + 1) * (RTC_EOLS + 2) + 64
