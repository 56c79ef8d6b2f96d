"""Pels to run ends: compiled, row after row, from the words of a page.

Run ends of several rows lie one row after the other in ``ends``: each row has -1 before it, and eight numbers after it
that are the width. ``places`` says of each row where its run ends begin and how many there are, first of all of the row
above the first. A row that is the same as the one above it has the place of that one.
"""

# ruff: noqa: PLR0917  (Numba calls kernels fastest with positional arguments)

import numpy as np
from numpy.typing import NDArray

from t30.t4.instructions import EIGHT, ones, trailing_zeros, which_differ
from t30.t4.jit import kernel, part
from t30.t4.state import Ends, Words

Places = NDArray[np.int64]

FIRST = 1
"""Where the run ends of the row above the first begin."""
BETWEEN = EIGHT + 1
"""Numbers between the run ends of two rows."""
AT_A_TIME = 6
"""Run ends written in one go, be there as many or not."""
MOST = 1 << 18
"""Numbers in ``ends``: few enough for a processor's cache, and so many that most pages take one call.

Threads that code pages at once wait for each other between calls, as only one at a time is in Python.
"""


def begin(width: int, rows: int) -> tuple[Ends, Places]:
    """Make room for run ends, and for the places of so many rows; the row above the first is white."""
    room = width + 1 + BETWEEN + EIGHT
    ends = np.empty(max(2 * room, min(MOST, (rows + 1) * room)), np.int32)
    ends[0] = -1
    ends[FIRST : FIRST + 1 + EIGHT] = width
    places = np.empty((rows + 1, 2), np.int64)
    places[0] = FIRST, 1
    return ends, places


@kernel
def find_rows(words: Words, width: int, first: int, last: int, ends: Ends, places: Places) -> tuple[int, int]:
    """Find the run ends of rows from ``first`` on, as many as there is room for.

    Args:
        words: shape (rows, words), as in ``Bitmap``.
        width: in pels.
        first: number of a row.
        last: how many rows the call before found, 0 in the first one.
        ends: made by ``begin``, as is
        places: shape (rows + 1, 2).

    Returns:
        How many rows these are; how many run ends they have.
    """
    rows = words.shape[0]
    columns = words.shape[1]
    pels = words.reshape(-1)
    line = places[last, 0]
    count = places[last, 1]
    for index in range(-1, count + EIGHT):
        ends[FIRST + index] = ends[line + index]
    line = FIRST
    places[0, 0] = line
    places[0, 1] = count
    free = line + count + BETWEEN
    room = width + 1 + EIGHT
    found = 0
    total = 0
    while first + found < rows and free + room <= ends.shape[0] and total < 2 * MOST:
        row = (first + found) * columns
        if row == 0 or not _as_above(pels, row, columns):
            line = free
            ends[np.uint64(line - 1)] = -1
            count = _find_ends(pels, row, columns, width, ends, line)
            free = line + count + BETWEEN
        found += 1
        total += count
        places[np.uint64(found), 0] = line
        places[np.uint64(found), 1] = count
    return found, total


@part
def _as_above(pels: Words, row: int, columns: int) -> bool:
    """Whether the row from word ``row`` on is the same as the one above it.

    Eight words are compared in one go, and some twice, so that none are left over.
    """
    differ = np.uint64(0)
    end = row + columns
    if columns < EIGHT:
        for place in range(row, end):
            differ |= pels[np.uint64(place)] ^ pels[np.uint64(place - columns)]
        return bool(differ == 0)
    for place in range(row, end, EIGHT):
        first = min(place, end - EIGHT)
        differ |= which_differ(pels, first, first - columns)
    return bool(differ == 0)


@part
def _find_ends(pels: Words, row: int, columns: int, width: int, ends: Ends, line: int) -> int:
    """Write the run ends of the row from word ``row`` on to ``ends[line]`` and on, padded; return their number.

    ``AT_A_TIME`` places are written in one go, whether or not there are as many changes left in a word, since a
    processor does that faster than it guesses how many there are.
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
                for place in range(AT_A_TIME):
                    ends[np.uint64(at + place)] = first + trailing_zeros(changes)
                    changes &= changes - np.uint64(1)
                at += AT_A_TIME
            at = found
    if at > line and ends[at - 1] >= width:
        at -= 1  # black to the end of the row: the white past it is none
    for place in range(EIGHT):
        ends[np.uint64(at + place)] = width
    return at + 1 - line
