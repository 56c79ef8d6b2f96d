"""Pages to octets: MH, MR and MMR."""

import numpy as np
from numpy.typing import NDArray

from t30.pages import Coding, Resolution
from t30.t4.ends import begin, find_rows
from t30.t4.fewest import put_rows_in_fewest
from t30.t4.order import turn_octets
from t30.t4.put import EOL_BITS
from t30.t4.raster import Bitmap
from t30.t4.state import EOFB_EOLS, RTC_EOLS
from t30.t4.tables import MAX_WIDTH
from t30.t4.writing import put_rows


def encode(
    bitmap: Bitmap,
    coding: Coding,
    *,
    k: int = 4,
    min_row_bits: int = 0,
    end_of_page: bool = True,
    goes_on: bool = False,
    shortest: bool = False,
    aligned: bool = False,
    msb_first: bool = False,
) -> bytes:
    """Code a page.

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
        aligned: in MH and MR, fill makes each EOL end with an octet, as some readers of TIFF like it.
        msb_first: the first bit is the most significant of its octet, as in most files; else the least significant one.

    Raises:
        ValueError: if the width is not 1 to 4864 pels, ``k`` is below 1, ``min_row_bits`` below 0, or MMR is to be
            ``aligned``.
    """
    eols = (EOFB_EOLS if coding is Coding.MMR else RTC_EOLS) if end_of_page else 0
    if aligned and coding is Coding.MMR:
        raise ValueError("MMR has no EOLs that could end with an octet")
    out, bits, _ = encoded(
        bitmap,
        coding,
        k=k,
        min_row_bits=min_row_bits,
        eols=eols,
        goes_on=goes_on,
        shortest=shortest,
        aligned=aligned,
    )
    if msb_first:
        turn_octets(out.view(np.uint64), -(-bits // 64))
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
    aligned: bool = False,
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
    rows, width = bitmap.rows, bitmap.width
    two_d = coding is Coding.MR
    period = k if two_d else int(coding is Coding.MH)
    shape = (width, period, int(two_d), min_row_bits, 7 * aligned)
    ends, places = begin(width, rows)
    ways = np.empty((2, width + 3 if shortest else 0), np.int32)
    out = np.empty(0, np.uint64)
    after = np.empty(rows, np.int64)
    first = found = position = tail = 0
    more = True
    while more:
        found, count = find_rows(words, width, first, found, ends, places)
        more = first + found < rows
        out = with_room(out, position + most_bits(count, found, width, min_row_bits))
        page = (ends, places, first, found, *shape, more or goes_on, 0 if more else eols)
        if shortest:
            position, tail = put_rows_in_fewest(*page, position, tail, out, after, ways)
        else:
            position, tail = put_rows(*page, position, tail, out, after)
        first += found
    return out.view(np.uint8), position, after


def usual_k(resolution: Resolution) -> int:
    """Return the K that T.4 gives: every how many rows MR codes one by itself, 2 at standard resolution, else 4."""
    return 2 if resolution is Resolution.STANDARD else 4


def most_bits(ends: int, rows: int, width: int, min_row_bits: int) -> int:
    """Bound the bits of rows with so many run ends in all, and of RTC after them, and a word to write it in.

    17 bits for a run end (pass, horizontal, a short run), 13 for every 64 pels of long runs.
    """
    each = 13 * (width // 64 + 2) + min_row_bits + 7 + EOL_BITS + 1
    return 17 * ends + each * rows + (EOL_BITS + 1) * RTC_EOLS + 64


def with_room(out: NDArray[np.uint64], bits: int) -> NDArray[np.uint64]:
    """Return ``out`` if there is room for so many bits, else a larger copy."""
    words = -(-bits // 64)
    if words <= len(out):
        return out
    larger = np.empty(max(words, 2 * len(out)), np.uint64)
    larger[: len(out)] = out
    return larger
