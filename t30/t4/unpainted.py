"""Octets to run ends: compiled. Rows are decoded as for a page, but not painted: another coder takes their run ends.

Run ends of several rows lie one row after the other, as ``ends.py`` has them: ``line`` is where those of the last row
begin, ``count`` how many there are, ``free`` where those of the next may. Plain rows are taken here; a row that is not
plain is the careful decoder's, one at a time, and its run ends are then copied from there. A damaged row has the place
of the one above it, which is what conceals it.
"""

# ruff: noqa: PLR0917  (Numba calls kernels fastest with positional arguments)

import numpy as np
from numpy.typing import NDArray

from t30.t4.careful import decode
from t30.t4.ends import BETWEEN, FIRST, MOST, Places
from t30.t4.instructions import EIGHT
from t30.t4.jit import kernel, part
from t30.t4.plain import take_row
from t30.t4.state import (
    BAD_RUN,
    BEFORE,
    CODING,
    ENDED,
    ENDS_ABOVE,
    EOLS,
    FIRST_END,
    LINE,
    MAX_ROWS,
    MMR,
    NOT_PLAIN,
    PAD,
    PHASE,
    POSITION,
    REFERENCE_GOOD,
    ROWS,
    SPOILT,
    START,
    TWO_D,
    WIDTH,
    Damage,
    Ends,
    State,
    Words,
)


@kernel
def decode_ends(
    stream: Words,
    end: int,
    final: bool,
    s: State,
    lines: Ends,
    page: Words,
    damaged: Damage,
    turns: Words,
    lengths: NDArray[np.uint16],
    modes: NDArray[np.uint16],
    steps: NDArray[np.uint16],
    pairs: NDArray[np.uint32],
    ends: Ends,
    places: Places,
    last: int,
    came: NDArray[np.int64],
) -> tuple[int, int]:
    """Decode rows until ``stream`` is used up, or there is no room for one more.

    Args:
        stream: as for ``careful.decode``, as are all that are not named here.
        end: number of bits.
        final: nothing comes after them.
        s: what is remembered.
        lines: both lines of the careful decoder.
        page: shape (MAX_ROWS + 2, words); only rows that are not plain are painted.
        damaged: shape (MAX_ROWS + 2,); only rows that are not plain are told of.
        turns: scratch.
        lengths: ``tables.LENGTHS``.
        modes: ``tables.MODES``.
        steps: ``tables.STEPS``.
        pairs: ``tables.PAIRS``.
        ends: made by ``ends.begin``, as is
        places: shape (most rows + 1, 2).
        last: how many rows the call before found, 0 in the first one.
        came: shape (MAX_ROWS + 2,); is told at which bit of the whole stream each row ends.

    Returns:
        How many rows these are; how many run ends they have.
    """
    width = s[WIDTH]
    coding = s[CODING]
    most = places.shape[0] - 1
    room = width + 2 + PAD + EIGHT + BETWEEN
    line = places[last, 0]
    count = places[last, 1]
    for index in range(-1, count + EIGHT):
        ends[FIRST + index] = ends[line + index]
    line = FIRST
    places[0, 0] = line
    places[0, 1] = count
    free = line + count + BETWEEN
    found = 0
    total = 0
    while s[PHASE] < ENDED and found < most and free + room <= ends.shape[0] and total < 2 * MOST:
        rows = s[ROWS]
        if s[PHASE] == START and s[EOLS] == 0 and not s[SPOILT]:
            position = s[POSITION]
            known = coding == MMR or s[REFERENCE_GOOD] != 0
            before = NOT_PLAIN
            while rows < MAX_ROWS and found < most and free + room <= ends.shape[0] and total < 2 * MOST:
                ends[free - 1] = -1
                at, taken, by_itself, before = take_row(
                    stream, position, end, coding, known, before, ends, free, line, count, width, None, 0, None,
                    lengths, steps, pairs,
                )  # fmt: skip
                if at == NOT_PLAIN:
                    break
                if taken > 0:
                    line = free
                    count = taken
                    free = _closed(ends, line, count, width)
                known = True
                position = at
                s[TWO_D] = not by_itself
                came[rows] = s[BEFORE] + position
                rows += 1
                found += 1
                total += count
                places[np.uint64(found), 0] = line
                places[np.uint64(found), 1] = count
            if rows > s[ROWS]:
                s[REFERENCE_GOOD] = 1
                s[BAD_RUN] = 0
                s[ROWS] = rows
                s[POSITION] = position
                s[ENDS_ABOVE] = count
                for index in range(count + PAD):
                    lines[1 - s[LINE], FIRST_END + index] = ends[line + index]
                continue
        decode(stream, end, final, s, lines, page[: rows + 1], damaged[: rows + 1], turns, lengths, modes, steps, pairs)
        if s[ROWS] == rows:
            break
        if damaged[rows] == 0:
            line = free
            count = s[ENDS_ABOVE]
            ends[line - 1] = -1
            for index in range(count):
                ends[line + index] = lines[1 - s[LINE], FIRST_END + index]
            free = _closed(ends, line, count, width)
        came[rows] = s[BEFORE] + s[POSITION]
        found += 1
        total += count
        places[found, 0] = line
        places[found, 1] = count
    return found, total


@part
def _closed(ends: Ends, line: int, count: int, width: int) -> int:
    """Write the last run end of a row and what follows it; return where the next row's may begin."""
    for index in range(line + count - 1, line + count + EIGHT):
        ends[index] = width
    return line + count + BETWEEN
