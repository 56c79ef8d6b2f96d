"""Rows coded against the one above in the fewest bits that any decoder reads: compiled.

T.6 gives an order in which a coder tries the modes; a decoder does as the modes say, whichever they are.
"""

# ruff: noqa: PLR0917  (Numba calls kernels fastest with positional arguments)

import numpy as np
from numpy.typing import NDArray

from t30.t4.ends import Places
from t30.t4.jit import kernel, part
from t30.t4.put import EOL_BITS, put, put_eol, put_run
from t30.t4.state import Ends, Words, end_at
from t30.t4.tables import CODES, LONGEST_MAKE_UP_BITS, LONGEST_RUN, MODE_CODES, MODE_HORIZONTAL, MODE_PASS
from t30.t4.writing import put_fill, put_runs, put_same


@kernel
def put_rows_in_fewest(
    ends: Ends,
    places: Places,
    first: int,
    rows: int,
    width: int,
    k: int,
    tag_bits: int,
    min_row_bits: int,
    align: int,
    goes_on: bool,
    eols: int,
    position: int,
    tail: int,
    out: Words,
    after: NDArray[np.int64],
    ways: Ends,
) -> tuple[int, int]:
    """Code rows as ``writing.put_rows`` does, but in the fewest bits.

    ``ways``: scratch, shape (2, width + 3).
    """
    bits = np.uint64(tail)
    for index in range(rows):
        row = first + index
        line, count = places[index + 1, 0], places[index + 1, 1]
        above, count_above = places[index, 0], places[index, 1]
        by_itself = k > 0 and row % k == 0
        if k > 0:
            position, bits = put_eol(out, position, bits, tag_bits, by_itself, align)
        start = position
        if by_itself:
            position, bits = put_runs(out, position, bits, ends, line, count)
        elif line == above:
            position, bits = put_same(out, position, bits, count)
        else:
            position, bits = _put_fewest(out, position, bits, ends, line, count, above, count_above, width, ways)
        if k > 0 and (goes_on or eols > 0 or index + 1 < rows):
            position, bits = put_fill(out, position, bits, min_row_bits - EOL_BITS - tag_bits - (position - start))
        after[row] = position
    for _ in range(eols):
        position, bits = put_eol(out, position, bits, tag_bits, True, 0)
    return position, int(bits)


@part
def _put_fewest(
    out: Words,
    position: int,
    tail: np.uint64,
    ends: Ends,
    line: int,
    runs: int,
    above: int,
    runs_above: int,
    width: int,
    ways: Ends,
) -> tuple[int, np.uint64]:
    """Code the row of ``runs`` run ends from ``ends[line]`` on against the one above; return position and tail.

    ``ways``: scratch, shape (2, ``runs`` + 2 or more).
    """
    _weigh(ends, line, runs, above, runs_above, ways)
    a0 = -1
    b1 = 0
    count = 0
    while a0 < width:
        way = int(ways[1, count])
        b1 = _find_b1(ends, above, b1, a0, count)
        for _ in range(way >> 1):
            code = int(MODE_CODES[MODE_PASS])
            position, tail = put(out, position, tail, np.uint64(code >> 4), code & 15)
            a0 = end_at(ends, above + b1 + 1)
            b1 = _find_b1(ends, above, b1, a0, count)
        a1 = end_at(ends, line + count)
        code = int(MODE_CODES[MODE_HORIZONTAL if way & 1 else a1 - end_at(ends, above + b1) + 3])
        position, tail = put(out, position, tail, np.uint64(code >> 4), code & 15)
        if way & 1:
            a2 = end_at(ends, line + count + 1)
            position, tail = put_run(out, position, tail, a1 - max(a0, 0), count & 1)
            position, tail = put_run(out, position, tail, a2 - a1, count & 1 ^ 1)
            a0 = a2
            count += 2
        else:
            a0 = a1
            count += 1
    return position, tail


@kernel
def _weigh(ends: Ends, line: int, runs: int, above: int, runs_above: int, ways: Ends) -> None:
    """Find the cheapest way to code a row from each of its run ends on, the last first.

    ``ways[0, n]`` becomes the bits that remain when ``n`` run ends are coded, ``ways[1, n]`` how to go on: passes, then
    1 in the lowest bit for horizontal mode, 0 for vertical.
    """
    right = runs_above - 1
    ways[0, runs] = ways[0, runs + 1] = 0
    for count in range(runs - 1, -1, -1):
        a0 = end_at(ends, line + count - 1) if count > 0 else -1
        a1, a2 = end_at(ends, line + count), end_at(ends, line + count + 1)
        right += (right ^ count) & 1
        while right >= 2 and end_at(ends, above + right - 2) > a0:
            right -= 2
        b1 = right
        passed = 0
        fewest = 1 << 30
        while True:
            bits = 4 * passed
            distance = a1 - end_at(ends, above + b1)
            if -3 <= distance <= 3:
                vertical = bits + (int(MODE_CODES[distance + 3]) & 15) + int(ways[0, count + 1])
                if vertical < fewest:
                    fewest = vertical
                    ways[1, count] = passed << 1
            runs_bits = _run_bits(a1 - max(a0, 0), count & 1) + _run_bits(a2 - a1, count & 1 ^ 1)
            horizontal = bits + 3 + runs_bits + int(ways[0, count + 2])
            if horizontal < fewest:
                fewest = horizontal
                ways[1, count] = passed << 1 | 1
            if end_at(ends, above + b1 + 1) >= a1:
                break
            a0 = end_at(ends, above + b1 + 1)
            b1 = _find_b1(ends, above, b1, a0, count)
            passed += 1
        ways[0, count] = fewest


@part
def _find_b1(ends: Ends, above: int, b1: int, a0: int, count: int) -> int:
    """Find b1 from where it was before: right of a0, of the colour that the run after ``count`` run ends has."""
    if (b1 ^ count) & 1:
        b1 = b1 - 1 if b1 > 0 else 1
    while end_at(ends, above + b1) <= a0:
        b1 += 2
    return b1


@part
def _run_bits(run: int, colour: int) -> int:
    bits = 0
    while run > LONGEST_RUN:
        bits += LONGEST_MAKE_UP_BITS
        run -= LONGEST_RUN - 63
    return bits + (int(CODES[colour, run]) & 31)
