"""Rows without anything out of the ordinary, decoded in one go: the quick way beside the careful decoder.

A row is *plain* if all of it is there, no code word is wrong, its runs add up to the width, none but the first is of
no pels, and in MH and MR an EOL stands before it. Here such a row is taken whole, or nothing is: then the careful
decoder takes it, and both agree on what they take.

A row is painted while it is decoded: one coded by itself by turning over all pels from each run end on; one coded
against the row above as a copy of that, in which what differs is turned over. Rows and run ends lie one after the
other in ``page`` and ``lines``, and ``row``, ``line`` and ``above`` say from where on in them. Where only run ends are
wanted there is no ``page``, and what paints is not compiled at all.

A processor waits longest where it guessed a branch wrong, and next for what the last lookup gave. So what comes about
by chance is reckoned, not asked: vertical modes and pass are one step, make-up codes and runs are another, and the one
question that each of them asks is mostly answered in the same way.
"""

# ruff: noqa: PLR0917  (Numba calls kernels fastest with positional arguments)

import numpy as np
from numpy.typing import NDArray

from t30.t4.instructions import clear_words, copy_eight, copy_words, octets_at, trailing_zeros
from t30.t4.jit import kernel, part
from t30.t4.state import (
    BAD_RUN,
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
    end_at,
)
from t30.t4.tables import (
    LONGEST_RUN,
    MAX_WIDTH,
    PAIR_BITS,
    PAIR_ENDS,
    PAIR_MAY_BE_EMPTY,
    RUN_BITS,
    STEP_BITS,
    STEP_OTHER,
)

NOT_PLAIN = -1
CERTAIN_BITS = 56
"""Bits of a window that are there wherever in an octet it begins."""
MOST_ZEROS = 44
"""Zeros of an EOL with its fill that are looked at: so many, the one and the tag bit are in one window."""
TURNS = (MAX_WIDTH + PAIR_ENDS + 2 * LONGEST_RUN) // 64 + 1
"""Words that a row may reach into before it is found to be too long."""


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
    by_itself = coding == MH
    before = NOT_PLAIN
    known = coding == MMR or s[REFERENCE_GOOD] != 0
    while rows < min(damaged.shape[0], MAX_ROWS):
        at = position
        window = window_at(stream, at)
        if coding != MMR:
            zeros = trailing_zeros(window)
            if not EOL_ZEROS <= zeros <= MOST_ZEROS:
                break
            at += zeros + 1
            window >>= np.uint64(zeros + 1)
            if coding == MR:
                by_itself = window & np.uint64(1) != 0
                at += 1
                window >>= np.uint64(1)
            if at > end:
                break
        row = rows * columns
        count = 0
        if before != NOT_PLAIN and repeats(stream, before, position - before, at, end):
            _begin_as_above(page, row, columns)
            before, at = at, at + position - before
        elif by_itself:
            before = at if coding == MH else NOT_PLAIN
            at, count = take_runs(stream, at, end, lines, line, width, page, row, turns, lengths, pairs)
        elif known:
            _begin_as_above(page, row, columns)
            same = trailing_zeros(~window)
            if same >= ends_above and at + ends_above <= end:
                at += ends_above
            else:
                above = numbers + 2 * FIRST_END - line
                at, count = take_modes(
                    stream, at, end, lines, line, above, ends_above, width, page, row, lengths, steps
                )
        else:
            break
        if at == NOT_PLAIN:
            break
        if count > 0:
            close_row(lines, line + count - 1, width)
            ends_above = count
            line = numbers + 2 * FIRST_END - line
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
def window_at(stream: Words, position: int) -> np.uint64:
    """Return the next 57 bits at least, the first of them lowest."""
    window: np.uint64 = octets_at(stream, position >> 3) >> np.uint64(position & 7)
    return window


@part
def repeats(stream: Words, before: int, bits: int, position: int, end: int) -> bool:
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
def _begin_as_above(page: Words, row: int, columns: int) -> None:
    """Copy the row above, which is white before the first one."""
    if row == 0:
        clear_words(page, row, columns)
    else:
        copy_words(page, row - columns, row, columns)


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
        held |= 56
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
            first, bits = _run(window, at - line & 1, lengths)
            window >>= np.uint64(bits)
            held -= bits
            second, bits = _run(window, at - line & 1 ^ 1, lengths)
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
    return int(np.int32(lengths[np.uint64(colour << RUN_BITS) | window & np.uint64((1 << RUN_BITS) - 1)]))


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
