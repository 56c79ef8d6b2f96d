"""Run ends to code words: compiled, row after row.

``ends`` and ``places`` are those of ``ends.py``: ``line`` is where a row begins in ``ends``, ``count`` how many run
ends it has, ``above`` where the row above begins. ``position`` and ``tail`` are what ``put`` keeps.
"""

# ruff: noqa: PLR0917  (Numba calls kernels fastest with positional arguments)

import numpy as np
from numpy.typing import NDArray

from t30.t4.ends import Places
from t30.t4.jit import kernel, part
from t30.t4.put import EOL_BITS, MOST_PUT, put, put_eol, put_run
from t30.t4.state import Ends, Words, end_at
from t30.t4.tables import CODES, LONGEST_RUN, MODE_CODES, MODE_HORIZONTAL, MODE_PASS


@kernel
def put_rows(
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
) -> tuple[int, int]:
    """Code rows; return position and tail.

    Args:
        ends: run ends.
        places: those of the row above, then of each row.
        first: the number of the first row of these in its page.
        rows: how many to code.
        width: in pels.
        k: every ``k``-th row is coded by itself, with an EOL before every row; 0 for MMR.
        tag_bits: 1 if EOLs carry the tag bit of MR, else 0.
        min_row_bits: of the data of a row, fill, and the EOL that ends it.
        align: 7 if EOLs end with an octet, else 0; those that end the page follow each other.
        goes_on: another row follows the last one, in another call.
        eols: so many EOLs end the page.
        position: bits written before, 0 at first, as is
        tail: the octet that is not full yet.
        out: room for as much as the rows can take.
        after: shape (rows of the page,); is told where each row ends.
    """
    bits = np.uint64(tail)
    waiting = 0  # run ends of rows in MMR that are the same as the one above: a bit each, written together
    for index in range(rows):
        row = first + index
        line = places[index + 1, 0]
        count = places[index + 1, 1]
        above = places[index, 0]
        if k == 0 and line == above:
            waiting += count
            after[row] = position + waiting
            continue
        position, bits = put_same(out, position, bits, waiting)
        waiting = 0
        by_itself = k > 0 and row % k == 0
        if k > 0:
            position, bits = put_eol(out, position, bits, tag_bits, by_itself, align)
        start = position
        if by_itself:
            position, bits = put_runs(out, position, bits, ends, line, count)
        elif line == above:
            position, bits = put_same(out, position, bits, count)
        else:
            position, bits = _put_modes(out, position, bits, ends, line, count, above, width)
        if k > 0 and (goes_on or eols > 0 or index + 1 < rows):
            position, bits = put_fill(out, position, bits, min_row_bits - EOL_BITS - tag_bits - (position - start))
        after[row] = position
    position, bits = put_same(out, position, bits, waiting)
    for _ in range(eols):
        position, bits = put_eol(out, position, bits, tag_bits, True, 0)
    return position, int(bits)


@part
def put_runs(out: Words, position: int, tail: np.uint64, ends: Ends, line: int, count: int) -> tuple[int, np.uint64]:
    """Code a row by itself, a white and a black run at a time."""
    a0 = 0
    at = line
    last = line + count
    while at < last - 1:
        a1 = end_at(ends, at)
        a2 = end_at(ends, at + 1)
        position, tail = _put_pair(out, position, tail, np.uint64(0), 0, a1 - a0, a2 - a1, at - line & 1)
        a0 = a2
        at += 2
    if at < last:
        white = end_at(ends, at) - a0
        if white > LONGEST_RUN:
            return put_run(out, position, tail, white, at - line & 1)
        code = int(CODES[np.uint64(0), np.uint64(white)])
        position, tail = put(out, position, tail, np.uint64(code >> 5), code & 31)
    return position, tail


@part
def _put_modes(
    out: Words,
    position: int,
    tail: np.uint64,
    ends: Ends,
    line: int,
    count: int,
    above: int,
    width: int,
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
        a1 = end_at(ends, at)
        b2 = end_at(ends, b1 + 1)
        distance = a1 - end_at(ends, b1)
        if (abs(distance) <= 3) & (b2 > a1) & (end_at(ends, b1 - 1) <= a1):
            position, tail = _put_mode(out, position, tail, distance + 3)
            a0 = a1
            at += 1
            b1 += 1
        elif (abs(distance) <= 3) | (b2 < a1):
            passed = int(b2 < a1)
            position, tail = _put_mode(out, position, tail, MODE_PASS if passed else distance + 3)
            a0 = b2 if passed else a1
            at += 1 - passed
            b1 += 1 + passed + 2 * (int(b2 == a1) - int(end_at(ends, b1 - 1) > a1))
        else:
            a2 = end_at(ends, at + 1)
            code = int(MODE_CODES[MODE_HORIZONTAL])
            bits = np.uint64(code >> 4)
            position, tail = _put_pair(out, position, tail, bits, code & 15, a1 - a0, a2 - a1, at - line & 1)
            a0 = a2
            at += 2
            if a2 < width:
                while end_at(ends, b1) <= a2:
                    b1 += 2
    return position, tail


@part
def _put_mode(out: Words, position: int, tail: np.uint64, mode: int) -> tuple[int, np.uint64]:
    code = int(MODE_CODES[np.uint64(mode)])
    return put(out, position, tail, np.uint64(code >> 4), code & 15)


@part
def _put_pair(
    out: Words, position: int, tail: np.uint64, bits: np.uint64, length: int, first: int, second: int, colour: int
) -> tuple[int, np.uint64]:
    """Write so many bits, then two runs, the first of ``colour``."""
    if first > LONGEST_RUN or second > LONGEST_RUN:
        if length > 0:
            position, tail = put(out, position, tail, bits, length)
        position, tail = put_run(out, position, tail, first, colour)
        return put_run(out, position, tail, second, colour ^ 1)
    code = int(CODES[np.uint64(colour), np.uint64(first)])
    bits |= np.uint64(code >> 5) << np.uint64(length)
    length += code & 31
    code = int(CODES[np.uint64(colour ^ 1), np.uint64(second)])
    bits |= np.uint64(code >> 5) << np.uint64(length)
    return put(out, position, tail, bits, length + (code & 31))


@part
def put_same(out: Words, position: int, tail: np.uint64, count: int) -> tuple[int, np.uint64]:
    """Code a row that is the same as the one above: so many vertical modes with a1 = b1."""
    while count > 0:
        length = min(count, MOST_PUT)
        position, tail = put(out, position, tail, (np.uint64(1) << np.uint64(length)) - np.uint64(1), length)
        count -= length
    return position, tail


@part
def put_fill(out: Words, position: int, tail: np.uint64, zeros: int) -> tuple[int, np.uint64]:
    """Write zeros, if there are to be any."""
    while zeros > 0:
        length = min(zeros, MOST_PUT)
        position, tail = put(out, position, tail, np.uint64(0), length)
        zeros -= length
    return position, tail
