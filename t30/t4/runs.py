"""A plain row that is coded by itself, and the runs of horizontal mode: code words to run ends, and to pels.

Most often two code words come at one look, whichever they are: a white and a black run, a make-up code and its rest.
"""

# ruff: noqa: PLR0917  (Numba calls kernels fastest with positional arguments)

import numpy as np
from numpy.typing import NDArray

from t30.t4.instructions import clear_words, octets_at
from t30.t4.jit import part
from t30.t4.state import CERTAIN_BITS, NOT_PLAIN, Ends, Words, end_at, window_at
from t30.t4.tables import LONGEST_RUN, MAX_WIDTH, PAIR_BITS, PAIR_ENDS, PAIR_MAY_BE_EMPTY, RUN_BITS

TURNS = (MAX_WIDTH + PAIR_ENDS + 2 * LONGEST_RUN) // 64 + 1
"""Words that a row may reach into before it is found to be too long."""


@part
def take_runs(
    stream: Words,
    position: int,
    end: int,
    lines: Ends,
    line: int,
    width: int,
    page: Words | None,
    row: int,
    turns: Words | None,
    lengths: NDArray[np.uint16],
    pairs: NDArray[np.uint32],
) -> tuple[int, int]:
    """Take a row that is coded by itself, one or two code words at a time.

    ``a0`` is where the run at hand has come to, ``at`` the place where its end will be, ``colour`` which half of
    ``pairs`` it is looked up in. ``window``, ``held`` and ``octet`` are as in ``take_modes``.

    Returns:
        Where it ends, or ``NOT_PLAIN``; number of its run ends.
    """
    a0 = 0
    at = line
    colour = np.uint64(0)
    seen = 0
    window, held, octet = window_at(stream, position), 56 - (position & 7), (position >> 3) + 7
    while True:
        window |= octets_at(stream, octet) << np.uint64(held)
        octet += (63 - held) >> 3
        held |= CERTAIN_BITS
        pair = _pair(window, colour, pairs, lengths)
        bits = pair & 63
        window >>= np.uint64(bits)
        a0, at = _add_pair(lines, at, a0, turns, pair)
        seen |= pair
        if a0 + (pair & PAIR_ENDS) >= width + PAIR_ENDS or pair == 0:
            held -= bits
            break
        colour = np.uint64(pair >> 31 << PAIR_BITS)
        pair = _pair(window, colour, pairs, lengths)
        window >>= np.uint64(pair & 63)
        held -= bits + (pair & 63)
        a0, at = _add_pair(lines, at, a0, turns, pair)
        seen |= pair
        if a0 + (pair & PAIR_ENDS) >= width + PAIR_ENDS or pair == 0 or at > line + width:
            break
        colour = np.uint64(pair >> 31 << PAIR_BITS)
    position = (octet << 3) - held
    if a0 != width or pair & PAIR_ENDS == 0 or position > end or (seen & PAIR_MAY_BE_EMPTY and _empty(lines, line, at)):
        if turns is not None:
            clear_words(turns, 0, turns.shape[0])
        return NOT_PLAIN, 0
    if page is not None and turns is not None:
        _turn(turns, page, row, width)
    return position, at - line


@part
def _pair(window: np.uint64, colour: np.uint64, pairs: NDArray[np.uint32], lengths: NDArray[np.uint16]) -> int:
    """Look up one or two code words; 0 if there is none."""
    pair = np.int64(pairs[colour | window & np.uint64((1 << PAIR_BITS) - 1)])
    if pair == 0:
        longer = _word(window, int(colour >> np.uint64(PAIR_BITS)), lengths)
        pair = np.int64(longer >> 4 << 19 | longer & 15) | np.int64(colour << np.uint64(31 - PAIR_BITS)) * (longer > 0)
    return int(pair)


@part
def _add_pair(lines: Ends, at: int, a0: int, turns: Words | None, pair: int) -> tuple[int, int]:
    """Add one or two run ends; return where the run at hand has come to, and the place for its end.

    In ``turns``, each turns over the pels from itself to the end of its word.
    """
    first = pair >> 8 & 0x7FF
    a0 += first
    lines[np.uint64(at)] = a0
    ends = int(np.uint64(np.int64(first - 1)) < np.uint64(63))
    at += ends
    if turns is not None:
        turns[np.uint64(a0 >> 6)] ^= np.uint64(np.int64(-ends)) << np.uint64(a0 & 63)
    a0 += pair >> 19 & 0xFFF
    lines[np.uint64(at)] = a0
    ends = pair >> 7 & 1
    if turns is not None:
        turns[np.uint64(a0 >> 6)] ^= np.uint64(np.int64(-ends)) << np.uint64(a0 & 63)
    return a0, at + ends


@part
def _turn(turns: Words, page: Words, row: int, width: int) -> None:
    """Paint a row: a word that ends black turns over the next. ``turns`` is cleared."""
    carry = np.int64(0)
    columns = (width + 63) >> 6
    for column in range(columns):
        word = np.int64(turns[np.uint64(column)]) ^ carry
        turns[np.uint64(column)] = 0
        page[np.uint64(row + column)] = np.uint64(word)
        carry = word >> 63
    turns[np.uint64(columns)] = 0
    page[np.uint64(row + columns - 1)] &= ~np.uint64(0) >> np.uint64(-width & 63)


@part
def _empty(lines: Ends, line: int, at: int) -> bool:
    """Whether a run has no pels; the first may."""
    found = False
    for place in range(line, at):
        found |= end_at(lines, place - 1) >= end_at(lines, place)
    return found


@part
def take_run(window: np.uint64, colour: int, lengths: NDArray[np.uint16]) -> tuple[int, int]:
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
    return int(np.int32(lengths[np.uint64(colour << RUN_BITS) | window & np.uint64((1 << RUN_BITS) - 1)]))
