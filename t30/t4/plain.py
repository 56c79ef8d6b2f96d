"""Rows without anything out of the ordinary, decoded in one go: the quick way beside the careful decoder.

A row is *plain* if all of it is there, no code word is wrong, its runs add up to the width, none but the first is of
no pels, and in MH and MR an EOL stands before it. Here such a row is taken whole, or nothing is: then the careful
decoder takes it, and both agree on what they take.

A row is painted while it is decoded: one coded by itself run by run, one coded against the row above as a copy of
that, in which what differs is turned over. Rows and run ends lie one after the other in ``page`` and ``lines``, and
``row``, ``line`` and ``above`` say from where on in them.
"""

# ruff: noqa: PLR0917  (Numba calls kernels fastest with positional arguments)

import numpy as np
from numpy.typing import NDArray

from t30.t4.instructions import copy_eight, octets_at, trailing_zeros
from t30.t4.jit import kernel, part
from t30.t4.state import (
    BAD_RUN,
    CODING,
    ENDS_ABOVE,
    EOL_ZEROS,
    EOLS,
    LINE,
    MAX_ROWS,
    MH,
    MMR,
    MR,
    POSITION,
    REFERENCE_GOOD,
    ROWS,
    SPOILT,
    TWO_D,
    WIDTH,
    Ends,
    State,
    Words,
    close_row,
    end_at,
)
from t30.t4.tables import MODE_HORIZONTAL, MODE_PASS, PAIR_BITS, RUN_BITS, STEP_BITS

NOT_PLAIN = -1
WINDOW_BITS = 57
MOST_ZEROS = 44
"""Zeros of an EOL with its fill that are looked at: so many, the one and the tag bit are in one window."""


@kernel
def take_plain_rows(
    stream: Words,
    end: int,
    s: State,
    lines: Ends,
    page: Words,
    damaged: NDArray[np.bool_],
    lengths: NDArray[np.uint16],
    steps: NDArray[np.int16],
    pairs: NDArray[np.int32],
) -> None:
    """Take rows as long as they are plain; all that is remembered is then as if they had been taken one by one.

    Args:
        stream: as for ``careful.decode``, as are all that are not named here.
        end: number of bits.
        s: what is remembered.
        lines: shape (2 * numbers,), both lines.
        page: shape (capacity * words,), all rows.
        damaged: shape (capacity,).
        lengths: ``tables.LENGTHS``.
        steps: ``tables.STEPS``.
        pairs: ``tables.PAIRS``.
    """
    if s[EOLS] > 0 or s[SPOILT]:
        return
    coding = s[CODING]
    width = s[WIDTH]
    columns = (width + 63) >> 6
    numbers = lines.shape[0] // 2
    rows = s[ROWS]
    position = s[POSITION]
    line = s[LINE] * numbers
    ends_above = s[ENDS_ABOVE]
    by_itself = coding == MH
    known = coding == MMR or s[REFERENCE_GOOD] != 0
    while rows < min(damaged.shape[0], MAX_ROWS):
        at = position
        if coding != MMR:
            at = _after_eol(stream, at)
            if at == NOT_PLAIN or at >= end:
                break
            if coding == MR:
                by_itself = window_at(stream, at) & np.uint64(1) != 0
                at += 1
        row = rows * columns
        count = 0
        if by_itself:
            at, count = _runs(stream, at, end, lines, line, width, page, row, lengths, pairs)
        elif known:
            _begin_as_above(page, row, columns)
            same = trailing_zeros(~window_at(stream, at))
            if same >= ends_above and at + ends_above <= end:
                at += ends_above
            else:
                above = numbers - line
                at, count = _modes(stream, at, end, lines, line, above, ends_above, width, page, row, lengths, steps)
        else:
            break
        if at == NOT_PLAIN:
            break
        if count > 0:
            close_row(lines, line + count - 1, width)
            ends_above = count
            line = numbers - line
        known = True
        damaged[rows] = False
        rows += 1
        position = at
        s[TWO_D] = not by_itself
    if rows > s[ROWS]:
        s[REFERENCE_GOOD] = 1
        s[BAD_RUN] = 0
        s[ROWS] = rows
        s[POSITION] = position
        s[ENDS_ABOVE] = ends_above
        s[LINE] = line // numbers


@part
def window_at(stream: Words, position: int) -> np.uint64:
    """Return the next 57 bits at least, the first of them lowest."""
    window: np.uint64 = octets_at(stream, position >> 3) >> np.uint64(position & 7)
    return window


@part
def _after_eol(stream: Words, position: int) -> int:
    """Return where an EOL ends that is next, fill included; ``NOT_PLAIN`` if none is or there is too much fill."""
    zeros = trailing_zeros(window_at(stream, position))
    return position + zeros + 1 if EOL_ZEROS <= zeros <= MOST_ZEROS else NOT_PLAIN


@part
def _begin_as_above(page: Words, row: int, columns: int) -> None:
    """Copy the row above, which is white before the first one."""
    if row == 0:
        _begin_white(page, row, columns)
        return
    for column in range(row, row + columns):
        page[column] = page[column - columns]


@part
def _begin_white(page: Words, row: int, columns: int) -> None:
    for column in range(row, row + columns):
        page[column] = 0


@part
def _runs(
    stream: Words,
    position: int,
    end: int,
    lines: Ends,
    line: int,
    width: int,
    page: Words,
    row: int,
    lengths: NDArray[np.uint16],
    pairs: NDArray[np.int32],
) -> tuple[int, int]:
    """Take a row that is coded by itself, a white and a black run at a time.

    Returns:
        Where it ends, or ``NOT_PLAIN``; number of its run ends.
    """
    _begin_white(page, row, (width + 63) >> 6)
    a0 = 0
    at = line
    while position < end:
        window = window_at(stream, position)
        pair = int(pairs[int(window & np.uint64((1 << PAIR_BITS) - 1))])
        if pair != 0:
            a1 = a0 + (pair >> 4 & 0xFFF)
            a2 = a1 + (pair >> 16)
            position += pair & 15
        else:
            white, bits = _run(window, 0, lengths)
            a1 = a0 + white
            if a1 == width and white > 0:
                lines[np.uint64(at)] = width
                position += bits
                return (position if position <= end else NOT_PLAIN), at + 1 - line
            black, more = _run(window >> np.uint64(bits), 1, lengths)
            if white < 0 or black <= 0 or (white == 0 and a0 > 0):
                return NOT_PLAIN, 0
            a2 = a1 + black
            position += bits + more
        if a2 > width:
            return NOT_PLAIN, 0
        lines[np.uint64(at)] = a1
        lines[np.uint64(at + 1)] = a2
        at += 2
        _turn_over(page, row, a1, a2)
        a0 = a2
        if a0 == width:
            return (position if position <= end else NOT_PLAIN), at - line
    return NOT_PLAIN, 0


@part
def _modes(
    stream: Words,
    position: int,
    end: int,
    lines: Ends,
    line: int,
    above: int,
    ends_above: int,
    width: int,
    page: Words,
    row: int,
    lengths: NDArray[np.uint16],
    steps: NDArray[np.int16],
) -> tuple[int, int]:
    """Take a row that is coded against the one above, of which it is a copy before.

    ``at`` is the place of a1 in ``lines``, ``b1`` that of b1; b2 follows it. Run ends of the row above that have no
    equal here, and new ones, are taken two by two: the pels between two of them are turned over.

    Returns:
        Where it ends, or ``NOT_PLAIN``; number of its run ends.
    """
    a0 = -1
    at = line
    b1 = above
    last = above + ends_above - 1
    window = np.uint64(0)
    left = 0
    while position < end:
        if left < STEP_BITS:
            window = window_at(stream, position)
            left = WINDOW_BITS
        step = int(steps[int(window & np.uint64((1 << STEP_BITS) - 1))])
        same = step >> 8
        copy_eight(lines, b1, lines, at)
        if b1 + same > last and same > 0:
            same = max(last - b1, 0) + 1
            position += same
            return (position if position <= end else NOT_PLAIN), at + same - line
        b1 += same
        at += same
        end_above = end_at(lines, max(b1 - 1, above))
        a0 = end_above if same > 0 else a0
        mode = step >> 4 & 15
        bits = step & 15
        position += bits
        window >>= np.uint64(bits)
        left -= bits
        if mode < MODE_PASS:
            old = end_at(lines, b1)
            a1 = old + mode - 3
            if a1 <= a0 or a1 > width:
                break
            lines[np.uint64(at)] = a1
            at += 1
            a0 = a1
            if a1 == width:
                break
            _turn_over(page, row, min(a1, old), max(a1, old))
            if end_at(lines, max(b1 - 1, above)) > a1 and b1 > above:
                b1 -= 1
                if end_at(lines, b1) < old:
                    _turn_over(page, row, end_at(lines, b1), old)
            else:
                b1 += 1
        elif mode == MODE_HORIZONTAL:
            window = window_at(stream, position)
            first, bits = _run(window, at - line & 1, lengths)
            second, more = _run(window >> np.uint64(bits), at - line & 1 ^ 1, lengths)
            position += bits + more
            left = 0
            a1 = max(a0, 0) + first
            a2 = a1 + second
            if first < 0 or second < 0 or a2 > width or (first == 0 and a0 >= 0) or (second == 0 and a1 < width):
                return NOT_PLAIN, 0
            lines[np.uint64(at)] = a1
            lines[np.uint64(at + 1)] = a2
            at += 2
            a0 = a2
            if a1 == width:
                at -= 1
                break
            _turn_over(page, row, a1, a2)
            if a2 == width:
                break
        elif mode == MODE_PASS:
            a0 = end_at(lines, b1 + 1)
            if a0 >= width:
                return NOT_PLAIN, 0
            _turn_over(page, row, end_at(lines, b1), a0)
            b1 += 2
        else:
            break
        while end_at(lines, b1) <= a0:
            _turn_over(page, row, end_at(lines, b1), end_at(lines, b1 + 1))
            b1 += 2
    if a0 != width or position > end:
        return NOT_PLAIN, 0
    while end_at(lines, b1) < width:
        _turn_over(page, row, end_at(lines, b1), end_at(lines, b1 + 1))
        b1 += 2
    return position, at - line


@part
def _run(window: np.uint64, colour: int, lengths: NDArray[np.uint16]) -> tuple[int, int]:
    """Read a run of one code word, or of a make-up code and one more; return it and its bits, or ``NOT_PLAIN``."""
    entry = _word(window, colour, lengths)
    if entry < 64 << 4:
        return (entry >> 4 if entry != 0 else NOT_PLAIN), entry & 15
    bits = entry & 15
    last = _word(window >> np.uint64(bits), colour, lengths)
    if last == 0 or last >= 64 << 4:
        return NOT_PLAIN, bits
    return (entry >> 4) + (last >> 4), bits + (last & 15)


@part
def _word(window: np.uint64, colour: int, lengths: NDArray[np.uint16]) -> int:
    """Look up the code word of a run: its pels << 4 | its bits, 0 if there is none."""
    return int(np.int32(lengths[colour, int(window & np.uint64((1 << RUN_BITS) - 1))]))


@part
def _turn_over(page: Words, row: int, start: int, stop: int) -> None:
    """Turn over the pels of a row from ``start``, which is less than the width, up to and without ``stop``."""
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
