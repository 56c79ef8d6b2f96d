"""Rows coded against the one above in the fewest bits that any decoder reads: compiled.

T.6 gives an order in which a coder tries the modes; a decoder does as the modes say, whichever they are.
"""

# ruff: noqa: PLR0917  (Numba calls kernels fastest with positional arguments)

import numpy as np

from t30.t4.jit import kernel, part
from t30.t4.put import put, put_run
from t30.t4.state import Ends, Words, end_at
from t30.t4.tables import LONGEST_MAKE_UP_BITS, LONGEST_RUN, MODE_HORIZONTAL, MODE_PASS


@kernel
def put_fewest(
    out: Words,
    position: int,
    tail: np.uint64,
    lines: Ends,
    line: int,
    runs: int,
    above: int,
    runs_above: int,
    width: int,
    codes: Ends,
    modes: Ends,
    ways: Ends,
) -> tuple[int, np.uint64]:
    """Code the row of ``runs`` run ends from ``lines[line]`` on against the one above; return position and tail.

    ``ways``: scratch, shape (2, ``runs`` + 2 or more).
    """
    _weigh(lines, line, runs, above, runs_above, codes, modes, ways)
    a0 = -1
    b1 = 0
    count = 0
    while a0 < width:
        way = int(ways[1, count])
        b1 = _find_b1(lines, above, b1, a0, count)
        for _ in range(way >> 1):
            code = int(modes[MODE_PASS])
            position, tail = put(out, position, tail, np.uint64(code >> 4), code & 15)
            a0 = end_at(lines, above + b1 + 1)
            b1 = _find_b1(lines, above, b1, a0, count)
        a1 = end_at(lines, line + count)
        code = int(modes[MODE_HORIZONTAL if way & 1 else a1 - end_at(lines, above + b1) + 3])
        position, tail = put(out, position, tail, np.uint64(code >> 4), code & 15)
        if way & 1:
            a2 = end_at(lines, line + count + 1)
            position, tail = put_run(out, position, tail, a1 - max(a0, 0), codes, count & 1)
            position, tail = put_run(out, position, tail, a2 - a1, codes, count & 1 ^ 1)
            a0 = a2
            count += 2
        else:
            a0 = a1
            count += 1
    return position, tail


@kernel
def _weigh(
    lines: Ends, line: int, runs: int, above: int, runs_above: int, codes: Ends, modes: Ends, ways: Ends
) -> None:
    """Find the cheapest way to code a row from each of its run ends on, the last first.

    ``ways[0, n]`` becomes the bits that remain when ``n`` run ends are coded, ``ways[1, n]`` how to go on: passes, then
    1 in the lowest bit for horizontal mode, 0 for vertical.
    """
    right = runs_above - 1
    ways[0, runs] = ways[0, runs + 1] = 0
    for count in range(runs - 1, -1, -1):
        a0 = end_at(lines, line + count - 1) if count > 0 else -1
        a1, a2 = end_at(lines, line + count), end_at(lines, line + count + 1)
        right += (right ^ count) & 1
        while right >= 2 and end_at(lines, above + right - 2) > a0:
            right -= 2
        b1 = right
        passed = 0
        fewest = 1 << 30
        while True:
            bits = 4 * passed
            distance = a1 - end_at(lines, above + b1)
            if -3 <= distance <= 3:
                vertical = bits + (int(modes[distance + 3]) & 15) + int(ways[0, count + 1])
                if vertical < fewest:
                    fewest = vertical
                    ways[1, count] = passed << 1
            runs_bits = _run_bits(a1 - max(a0, 0), codes, count & 1) + _run_bits(a2 - a1, codes, count & 1 ^ 1)
            horizontal = bits + 3 + runs_bits + int(ways[0, count + 2])
            if horizontal < fewest:
                fewest = horizontal
                ways[1, count] = passed << 1 | 1
            if end_at(lines, above + b1 + 1) >= a1:
                break
            a0 = end_at(lines, above + b1 + 1)
            b1 = _find_b1(lines, above, b1, a0, count)
            passed += 1
        ways[0, count] = fewest


@part
def _find_b1(lines: Ends, above: int, b1: int, a0: int, count: int) -> int:
    """Find b1 from where it was before: right of a0, of the colour that the run after ``count`` run ends has."""
    if (b1 ^ count) & 1:
        b1 = b1 - 1 if b1 > 0 else 1
    while end_at(lines, above + b1) <= a0:
        b1 += 2
    return b1


@part
def _run_bits(run: int, codes: Ends, colour: int) -> int:
    bits = 0
    while run > LONGEST_RUN:
        bits += LONGEST_MAKE_UP_BITS
        run -= LONGEST_RUN - 63
    return bits + (int(codes[colour, run]) & 31)
