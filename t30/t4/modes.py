"""A plain row that is coded against the one above: modes to run ends, and to the pels that differ.

One look gives all vertical modes with a1 = b1 that come next and the mode after them. That is mostly vertical or pass,
which are one step without a branch between them; horizontal mode is another.
"""

# ruff: noqa: PLR0917  (Numba calls kernels fastest with positional arguments)

import numpy as np
from numpy.typing import NDArray

from t30.t4.instructions import copy_eight, octets_at
from t30.t4.jit import part
from t30.t4.runs import take_run
from t30.t4.state import CERTAIN_BITS, NOT_PLAIN, Ends, Words, end_at, window_at
from t30.t4.tables import STEP_BITS, STEP_OTHER


@part
def take_modes(
    stream: Words,
    position: int,
    end: int,
    lines: Ends,
    line: int,
    above: int,
    ends_above: int,
    width: int,
    page: Words | None,
    row: int,
    lengths: NDArray[np.uint16],
    steps: NDArray[np.uint16],
) -> tuple[int, int]:
    """Take a row that is coded against the one above, of which it is a copy before.

    ``at`` is the place of a1 in ``lines``, ``b1`` that of b1; b2 follows it. Run ends of the row above that have no
    equal here, and new ones, are taken two by two: the pels between two of them are turned over. ``window`` has
    the next bits, ``held`` of them for certain, and those from ``octet`` on come after them.

    Returns:
        Where it ends, or ``NOT_PLAIN``; number of its run ends.
    """
    a0 = -1
    at = line
    b1 = above
    last = above + ends_above - 1
    window, held, octet = window_at(stream, position), CERTAIN_BITS - (position & 7), (position >> 3) + 7
    while a0 < width:
        window |= octets_at(stream, octet) << np.uint64(held)
        octet += (63 - held) >> 3
        held |= CERTAIN_BITS
        step = int(np.int64(steps[window & np.uint64((1 << STEP_BITS) - 1)]))
        same = step >> 12
        copy_eight(lines, b1, lines, at)
        if same > last - b1 and same > 0:
            same = max(last - b1, 0) + 1
            position = (octet << 3) - held + same
            return (position if position <= end else NOT_PLAIN), at + same - line
        b1 += same
        at += same
        window >>= np.uint64(step & 63)
        held -= step & 63
        left_of_b1 = end_at(lines, b1 - 1)
        old = end_at(lines, b1)
        passes = step >> 6 & 1
        a1 = old + (step >> 8 & 15) - 3
        a1 ^= (a1 ^ end_at(lines, b1 + 1)) & -passes  # pass goes to b2
        usual = step & STEP_OTHER == 0 and max(left_of_b1, a0) < a1 < end_at(lines, b1 + 1 + passes)
        if usual:
            lines[np.uint64(at)] = a1
            _turn_over(page, row, min(old, a1), max(old, a1))
            b1 += 1 + passes
            at += 1 - passes
            a0 = a1
            continue
        if same > 0:
            a0 = left_of_b1
        if step & STEP_OTHER:
            first, bits = take_run(window, at - line & 1, lengths)
            window >>= np.uint64(bits)
            held -= bits
            second, bits = take_run(window, at - line & 1 ^ 1, lengths)
            window >>= np.uint64(bits)
            held -= bits
            a1 = max(a0, 0) + first
            a2 = a1 + second
            empty = (first == 0 and a0 >= 0) or (second == 0 and a1 < width)
            if step & 63 == 0 or first < 0 or second < 0 or a2 > width or empty or held < 0:
                return NOT_PLAIN, 0
            lines[np.uint64(at)] = a1
            lines[np.uint64(at + 1)] = a2
            a0 = a2
            if a1 == width:
                at += 1
                break
            at += 2
            _turn_over(page, row, a1, a2)
        else:
            if passes or a1 <= a0 or a1 > width:
                return NOT_PLAIN, 0
            lines[np.uint64(at)] = a1
            at += 1
            a0 = a1
            if a1 < width:
                _turn_over(page, row, min(a1, old), max(a1, old))
                b1 += 1
                if left_of_b1 > a1:  # then that is b1 again, and the old one comes after it
                    b1 -= 2
                    if left_of_b1 < old:
                        _turn_over(page, row, left_of_b1, old)
        if a0 < width:
            while end_at(lines, b1) <= a0:
                _turn_over(page, row, end_at(lines, b1), end_at(lines, b1 + 1))
                b1 += 2
    position = (octet << 3) - held
    if position > end:
        return NOT_PLAIN, 0
    while end_at(lines, b1) < width:
        _turn_over(page, row, end_at(lines, b1), end_at(lines, b1 + 1))
        b1 += 2
    return position, at - line


@part
def _turn_over(page: Words | None, row: int, start: int, stop: int) -> None:
    """Turn over the pels of a row from ``start``, which is less than the width, up to and without ``stop``."""
    if page is None:
        return
    first = row + (start >> 6)
    last = row + (stop >> 6)
    if first == last:
        page[np.uint64(first)] ^= (np.uint64(1) << np.uint64(stop & 63)) - (np.uint64(1) << np.uint64(start & 63))
        return
    page[np.uint64(first)] ^= ~np.uint64(0) << np.uint64(start & 63)
    for column in range(first + 1, last):
        page[column] = ~page[column]
    if stop & 63:
        page[np.uint64(last)] ^= (np.uint64(1) << np.uint64(stop & 63)) - np.uint64(1)
