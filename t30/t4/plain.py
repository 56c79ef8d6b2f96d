"""Rows without anything out of the ordinary, decoded in one go: the quick way beside the careful decoder.

A row is *plain* if all of it is there, no code word is wrong, its runs add up to the width, none but the first is of
no pels, and in MH and MR an EOL stands before it. Here such a row is taken whole, or nothing is: then the careful
decoder takes it, and both agree on what they take.

A row is painted while it is decoded: one coded by itself (``runs.py``) by turning over all pels from each run end on;
one coded against the row above (``modes.py``) as a copy of that, in which what differs is turned over. Rows and run
ends lie one after the other in ``page`` and ``lines``, and ``row``, ``line`` and ``above`` say from where on in them.
Where only run ends are wanted there is no ``page``, and what paints is not compiled at all.

A processor waits longest where it guessed a branch wrong, and next for what the last lookup gave. So what comes about
by chance is reckoned, not asked: vertical modes and pass are one step, make-up codes and runs are another, and the one
question that each of them asks is mostly answered in the same way.
"""

# ruff: noqa: PLR0917  (Numba calls kernels fastest with positional arguments)

import numpy as np
from numpy.typing import NDArray

from t30.t4.instructions import clear_words, copy_words, trailing_zeros
from t30.t4.jit import kernel, part
from t30.t4.modes import take_modes
from t30.t4.runs import take_runs
from t30.t4.state import (
    BAD_RUN,
    CERTAIN_BITS,
    CODING,
    ENDS_ABOVE,
    EOL_ZEROS,
    EOLS,
    FIRST_END,
    LINE,
    MAX_ROWS,
    MH,
    MMR,
    MR,
    NOT_PLAIN,
    POSITION,
    REFERENCE_GOOD,
    ROWS,
    SPOILT,
    TWO_D,
    WIDTH,
    Damage,
    Ends,
    State,
    Words,
    close_row,
    window_at,
)

MOST_ZEROS = 44
"""Zeros of an EOL with its fill that are looked at: so many, the one and the tag bit are in one window."""


@kernel
def take_plain_rows(
    stream: Words,
    end: int,
    s: State,
    lines: Ends,
    page: Words,
    damaged: Damage,
    turns: Words,
    lengths: NDArray[np.uint16],
    steps: NDArray[np.uint16],
    pairs: NDArray[np.uint32],
) -> None:
    """Take rows as long as they are plain; all that is remembered is then as if they had been taken one by one.

    Args:
        stream: as for ``careful.decode``, as are all that are not named here.
        end: number of bits.
        s: what is remembered.
        lines: shape (2 * numbers,), both lines.
        page: shape (capacity * words,), all rows.
        damaged: shape (capacity,).
        turns: scratch of ``TURNS`` words, all 0.
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
    line = s[LINE] * numbers + FIRST_END
    ends_above = s[ENDS_ABOVE]
    before = NOT_PLAIN
    known = coding == MMR or s[REFERENCE_GOOD] != 0
    while rows < min(damaged.shape[0], MAX_ROWS):
        above = numbers + 2 * FIRST_END - line
        at, count, by_itself, before = take_row(
            stream, position, end, coding, known, before, lines, line, above, ends_above, width, page, rows * columns,
            turns, lengths, steps, pairs,
        )  # fmt: skip
        if at == NOT_PLAIN:
            break
        if count > 0:
            close_row(lines, line + count - 1, width)
            ends_above = count
            line = above
        known = True
        damaged[rows] = 0
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
def take_row(
    stream: Words,
    position: int,
    end: int,
    coding: int,
    known: bool,
    before: int,
    lines: Ends,
    line: int,
    above: int,
    ends_above: int,
    width: int,
    page: Words | None,
    row: int,
    turns: Words | None,
    lengths: NDArray[np.uint16],
    steps: NDArray[np.uint16],
    pairs: NDArray[np.uint32],
) -> tuple[int, int, bool, int]:
    """Take one row if it is plain.

    Args:
        stream: as for ``take_plain_rows``, as are all that are not named here.
        position: where the row above ended.
        end: number of bits.
        coding: MH, MR or MMR.
        known: a row may be coded against the one above.
        before: where the bits of the row above begin, if it was one of MH that was taken here; else ``NOT_PLAIN``.
        lines: run ends.
        line: where in it those of this row go.
        above: where those of the row above are.
        ends_above: how many of them there are.
        width: in pels.
        page: all rows, or None.
        row: where in it this row begins.
        turns: scratch, or None without a page.
        lengths: ``tables.LENGTHS``.
        steps: ``tables.STEPS``.
        pairs: ``tables.PAIRS``.

    Returns:
        Where it ends, or ``NOT_PLAIN``; number of its run ends, 0 if it is the same as the row above; whether it is
        coded by itself; ``before`` for the next row.
    """
    at = position
    by_itself = coding == MH
    window = window_at(stream, at)
    if coding != MMR:
        zeros = trailing_zeros(window)
        if not EOL_ZEROS <= zeros <= MOST_ZEROS:
            return NOT_PLAIN, 0, by_itself, before
        at += zeros + 1
        window >>= np.uint64(zeros + 1)
        if coding == MR:
            by_itself = window & np.uint64(1) != 0
            at += 1
            window >>= np.uint64(1)
        if at > end:
            return NOT_PLAIN, 0, by_itself, before
    if before != NOT_PLAIN and _repeats(stream, before, position - before, at, end):
        _begin_as_above(page, row, width)
        return at + position - before, 0, by_itself, at
    if by_itself:
        before = at if coding == MH else NOT_PLAIN
        at, count = take_runs(stream, at, end, lines, line, width, page, row, turns, lengths, pairs)
        return at, count, by_itself, before
    if not known:
        return NOT_PLAIN, 0, by_itself, before
    _begin_as_above(page, row, width)
    if trailing_zeros(~window) >= ends_above and at + ends_above <= end:
        return at + ends_above, 0, by_itself, before
    at, count = take_modes(stream, at, end, lines, line, above, ends_above, width, page, row, lengths, steps)
    return at, count, by_itself, before


@part
def _repeats(stream: Words, before: int, bits: int, position: int, end: int) -> bool:
    """Whether the ``bits`` bits from ``before`` on, those of a row, are there once more from ``position`` on."""
    if position + bits > end:
        return False
    differ = np.uint64(0)
    while bits > CERTAIN_BITS and differ == 0:
        differ = (window_at(stream, before) ^ window_at(stream, position)) << np.uint64(64 - CERTAIN_BITS)
        before += CERTAIN_BITS
        position += CERTAIN_BITS
        bits -= CERTAIN_BITS
    differ |= (window_at(stream, before) ^ window_at(stream, position)) << np.uint64(64 - bits)
    return bool(differ == 0)


@part
def _begin_as_above(page: Words | None, row: int, width: int) -> None:
    """Copy the row above, which is white before the first one."""
    if page is None:
        return
    columns = (width + 63) >> 6
    if row == 0:
        clear_words(page, row, columns)
    else:
        copy_words(page, row - columns, row, columns)
