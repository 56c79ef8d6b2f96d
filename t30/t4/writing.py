"""Pages to code words: compiled, row after row, from pels to bits in one pass over the page.

A row's run ends are found word by word and stay in the processor's cache with those of the row above. ``position`` and
``tail`` are what ``put`` keeps.
"""

# ruff: noqa: PLR0917  (Numba calls kernels fastest with positional arguments)

import numpy as np
from numpy.typing import NDArray

from t30.t4.fewest import put_fewest
from t30.t4.instructions import ones, trailing_zeros
from t30.t4.jit import kernel, part
from t30.t4.put import EOL_BITS, MOST_PUT, put, put_eol, put_run
from t30.t4.state import Ends, Words, end_at
from t30.t4.tables import LONGEST_RUN, MODE_HORIZONTAL, MODE_PASS

# What is remembered between calls, by place in the state.
ROW, POSITION, TAIL, ABOVE, COUNT_ABOVE, STATE_SIZE = range(6)

FIRST = 1
"""Where the run ends of a row begin in its half of the lines: what precedes b1 is asked for at the first one too."""


@kernel
def encode(
    words: Words,
    width: int,
    k: int,
    tag_bits: int,
    min_row_bits: int,
    ends_with_eol: bool,
    room: int,
    s: NDArray[np.int64],
    lines: Ends,
    out: Words,
    after: NDArray[np.int64],
    codes: Ends,
    modes: Ends,
    ways: Ends,
) -> bool:
    """Code rows until there are no more, or ``room`` is used up; return whether all are coded.

    Args:
        words: shape (rows, words), as in ``Bitmap``.
        width: in pels.
        k: every ``k``-th row is coded by itself, with an EOL before every row; 0 for MMR.
        tag_bits: 1 if EOLs carry the tag bit of MR, else 0.
        min_row_bits: of the data of a row, fill, and the EOL that ends it.
        ends_with_eol: an EOL, or another row, follows the last row.
        room: position after which no row may begin.
        s: shape (STATE_SIZE,), what is remembered; at first 0, but ``FIRST`` in ``ABOVE`` and 1 in
            ``COUNT_ABOVE``.
        lines: two halves, each for -1, the run ends of a row from ``FIRST`` on, and eight numbers more; at first the
            width.
        out: shape (so many words that a row more than ``room`` fits,).
        after: shape (rows,); is told where each row ends.
        codes: ``tables.CODES``.
        modes: ``tables.MODE_CODES``.
        ways: scratch, shape (2, width + 3), to code each row in the fewest bits that any decoder reads; shape (2, 0) to
            take the modes in the order of T.6.
    """
    rows = words.shape[0]
    columns = words.shape[1]
    pels = words.reshape(-1)
    half = lines.shape[0] // 2
    row = s[ROW]
    position = s[POSITION]
    tail = np.uint64(s[TAIL])
    above = s[ABOVE]
    count_above = s[COUNT_ABOVE]
    while row < rows and position <= room:
        by_itself = k > 0 and row % k == 0
        if k > 0:
            position, tail = put_eol(out, position, tail, tag_bits, by_itself)
        least = position + min_row_bits - EOL_BITS - tag_bits
        line = above
        count = count_above
        if row == 0 or not _as_above(pels, row * columns, columns):
            line = half + 2 * FIRST - above
            count = _find_ends(pels, row * columns, columns, width, lines, line)
        if by_itself:
            position, tail = _put_runs(out, position, tail, lines, line, count, codes)
        elif ways.shape[1] > 0:
            position, tail = put_fewest(
                out, position, tail, lines, line, count, above, count_above, width, codes, modes, ways
            )
        elif line == above:
            position, tail = _put_same(out, position, tail, count)
        else:
            position, tail = _put_modes(out, position, tail, lines, line, count, above, width, codes, modes)
        if k > 0 and (ends_with_eol or row + 1 < rows):
            position, tail = _put_fill(out, position, tail, least - position)
        after[row] = position
        above = line
        count_above = count
        row += 1
    s[ROW] = row
    s[POSITION] = position
    s[TAIL] = np.int64(tail)
    s[ABOVE] = above
    s[COUNT_ABOVE] = count_above
    return bool(row == rows)


@kernel
def put_eols(out: Words, s: NDArray[np.int64], tag_bits: int, eols: int) -> None:
    """End the page with so many EOLs."""
    position = s[POSITION]
    tail = np.uint64(s[TAIL])
    for _ in range(eols):
        position, tail = put_eol(out, position, tail, tag_bits, True)
    s[POSITION] = position


@part
def _as_above(pels: Words, row: int, columns: int) -> bool:
    """Whether the row from word ``row`` on is the same as the one above it."""
    differ = np.uint64(0)
    for place in range(row, row + columns):
        differ |= pels[np.uint64(place)] ^ pels[np.uint64(place - columns)]
    return bool(differ == 0)


@part
def _find_ends(pels: Words, row: int, columns: int, width: int, lines: Ends, line: int) -> int:
    """Write the run ends of the row from word ``row`` on to ``lines[line]`` and on, padded; return their number.

    Four places are written at a time, whether or not there are as many changes left in a word, since a processor does
    that faster than it guesses how many there are.
    """
    at = line
    carry = np.uint64(0)
    for column in range(columns):
        word = pels[np.uint64(row + column)]
        changes = word ^ (word << np.uint64(1) | carry)
        carry = word >> np.uint64(63)
        if changes != 0:
            found = at + ones(changes)
            first = column << 6
            while at < found:
                for place in range(4):
                    lines[np.uint64(at + place)] = first + trailing_zeros(changes)
                    changes &= changes - np.uint64(1)
                at += 4
            at = found
    if at > line and lines[at - 1] >= width:
        at -= 1  # black to the end of the row: the white past it is none
    for place in range(8):
        lines[np.uint64(at + place)] = width
    return at + 1 - line


@part
def _put_runs(
    out: Words, position: int, tail: np.uint64, lines: Ends, line: int, count: int, codes: Ends
) -> tuple[int, np.uint64]:
    """Code a row by itself, a white and a black run at a time."""
    a0 = 0
    at = line
    last = line + count
    while at < last:
        white = end_at(lines, at) - a0
        black = end_at(lines, at + 1) - end_at(lines, at)
        a0 = end_at(lines, at + 1)
        if white > LONGEST_RUN or black > LONGEST_RUN:
            position, tail = put_run(out, position, tail, white, codes, 0)
            if at + 1 < last:
                position, tail = put_run(out, position, tail, black, codes, 1)
        else:
            code = int(codes[np.uint64(0), np.uint64(white)])
            bits = np.uint64(code >> 5)
            length = code & 31
            if at + 1 < last:
                code = int(codes[np.uint64(1), np.uint64(black)])
                bits |= np.uint64(code >> 5) << np.uint64(length)
                length += code & 31
            position, tail = put(out, position, tail, bits, length)
        at += 2
    return position, tail


@part
def _put_modes(
    out: Words,
    position: int,
    tail: np.uint64,
    lines: Ends,
    line: int,
    count: int,
    above: int,
    width: int,
    codes: Ends,
    modes: Ends,
) -> tuple[int, np.uint64]:
    """Code a row against the one above, a mode at a time.

    ``at`` is the place of a1, ``b1`` that of b1; b2 follows it. ``a0`` is the pel a0, 0 at first.

    The usual mode is vertical, with the next b1 right after this one. Whether it is so is asked in one question, which
    a processor mostly guesses: it is some modes ahead then, while it still waits for the run ends of this one.
    """
    at = line
    last = line + count
    b1 = above
    a0 = 0
    while at < last:
        a1 = end_at(lines, at)
        b2 = end_at(lines, b1 + 1)
        distance = a1 - end_at(lines, b1)
        if (abs(distance) <= 3) & (b2 > a1) & (end_at(lines, b1 - 1) <= a1):
            position, tail = _put_mode(out, position, tail, distance + 3, modes)
            a0 = a1
            at += 1
            b1 += 1
        elif (abs(distance) <= 3) | (b2 < a1):
            passed = int(b2 < a1)
            position, tail = _put_mode(out, position, tail, MODE_PASS if passed else distance + 3, modes)
            a0 = b2 if passed else a1
            at += 1 - passed
            b1 += 1 + passed + 2 * (int(b2 == a1) - int(end_at(lines, b1 - 1) > a1))
        else:
            a2 = end_at(lines, at + 1)
            position, tail = _put_horizontal(out, position, tail, a1 - a0, a2 - a1, at - line & 1, codes, modes)
            a0 = a2
            at += 2
            if a2 < width:
                while end_at(lines, b1) <= a2:
                    b1 += 2
    return position, tail


@part
def _put_mode(out: Words, position: int, tail: np.uint64, mode: int, modes: Ends) -> tuple[int, np.uint64]:
    code = int(modes[np.uint64(mode)])
    return put(out, position, tail, np.uint64(code >> 4), code & 15)


@part
def _put_horizontal(
    out: Words, position: int, tail: np.uint64, first: int, second: int, colour: int, codes: Ends, modes: Ends
) -> tuple[int, np.uint64]:
    """Code two runs, the first of ``colour``."""
    mode = int(modes[MODE_HORIZONTAL])
    bits = np.uint64(mode >> 4)
    length = mode & 15
    if first > LONGEST_RUN or second > LONGEST_RUN:
        position, tail = put(out, position, tail, bits, length)
        position, tail = put_run(out, position, tail, first, codes, colour)
        return put_run(out, position, tail, second, codes, colour ^ 1)
    code = int(codes[np.uint64(colour), np.uint64(first)])
    bits |= np.uint64(code >> 5) << np.uint64(length)
    length += code & 31
    code = int(codes[np.uint64(colour ^ 1), np.uint64(second)])
    bits |= np.uint64(code >> 5) << np.uint64(length)
    return put(out, position, tail, bits, length + (code & 31))


@part
def _put_same(out: Words, position: int, tail: np.uint64, count: int) -> tuple[int, np.uint64]:
    """Code a row that is the same as the one above: so many vertical modes with a1 = b1."""
    while count > 0:
        length = min(count, MOST_PUT)
        position, tail = put(out, position, tail, (np.uint64(1) << np.uint64(length)) - np.uint64(1), length)
        count -= length
    return position, tail


@part
def _put_fill(out: Words, position: int, tail: np.uint64, zeros: int) -> tuple[int, np.uint64]:
    """Write zeros, if there are to be any."""
    while zeros > 0:
        length = min(zeros, MOST_PUT)
        position, tail = put(out, position, tail, np.uint64(0), length)
        zeros -= length
    return position, tail
