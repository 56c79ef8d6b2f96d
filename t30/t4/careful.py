"""The careful decoder: goes on at any bit, gives up a row that is damaged, finds the next one, keeps the map of damage.

Rows without anything out of the ordinary it leaves to ``plain``. What is remembered is described in ``state``.
"""

# ruff: noqa: PLR0917  (Numba calls kernels fastest with positional arguments)

import numpy as np
from numpy.typing import NDArray

from t30.t4.instructions import leading_zeros, trailing_zeros
from t30.t4.jit import kernel
from t30.t4.plain import take_plain_rows
from t30.t4.state import (
    A0,
    B1,
    BAD_ROWS,
    BAD_RUN,
    BEFORE,
    CODED_2D,
    CODING,
    COUNT,
    ENDED,
    ENDS_ABOVE,
    EOFB_EOLS,
    EOL_ZEROS,
    EOLS,
    FIRST_END,
    GIVEN_UP_AT,
    HISTORY,
    LINE,
    LONGEST_BAD_RUN,
    LOST,
    MARK,
    MAX_ROWS,
    MH,
    MMR,
    MR,
    PHASE,
    POSITION,
    REFERENCE_GOOD,
    ROWS,
    RTC_EOLS,
    RTC_EOLS_NEEDED,
    RUNS,
    SEEK,
    SHORTEST,
    SPOILT,
    START,
    STARVED,
    TAG,
    TWO_D,
    WIDTH,
    WRONG,
    ZEROS,
    Damage,
    Ends,
    State,
    Words,
    close_row,
)
from t30.t4.tables import MODE_BITS, MODE_HORIZONTAL, MODE_PASS, RUN_BITS


@kernel
def decode(
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
) -> bool:
    """Decode rows until ``stream`` is used up or ``page`` is full; return whether ``page`` was full.

    What is decided never depends on where the stream was cut: a code word is taken when all of it is there, and is
    called wrong when no code word can come of what is there.

    Args:
        stream: ``end`` bits, ``HISTORY`` of them before the first position; zeros follow them.
        end: number of bits.
        final: nothing comes after them.
        s: shape (STATE_SIZE,), what is remembered.
        lines: shape (2, FIRST_END + width + 2 + PAD + EIGHT), run ends of the row being decoded and the last good one.
        page: shape (capacity, words), rows as decoded.
        damaged: shape (capacity,), which rows are damaged, and where.
        turns: scratch of ``runs.TURNS`` words, all 0.
        lengths: ``tables.LENGTHS``.
        modes: ``tables.MODES``.
        steps: ``tables.STEPS``.
        pairs: ``tables.PAIRS``.
    """
    while s[PHASE] < ENDED:
        if s[ROWS] > MAX_ROWS:
            _stop(s, damaged)
            break
        if s[ROWS] == page.shape[0]:
            return True
        if s[PHASE] == START:
            take_plain_rows(stream, end, s, lines.reshape(-1), page.reshape(-1), damaged, turns, lengths, steps, pairs)
            if s[ROWS] == page.shape[0]:
                return True
            fed = _start(stream, end, s, page, damaged)
        elif s[PHASE] == RUNS:
            fed = _take_runs(stream, end, s, lines, page, damaged, lengths)
        elif s[PHASE] == CODED_2D:
            fed = _take_modes(stream, end, s, lines, page, damaged, lengths, modes)
        elif s[PHASE] == SEEK:
            fed = _seek(stream, end, s, page, damaged)
        else:
            fed = _take_tag(stream, end, s)
        if not fed:
            if final:
                _end_of_input(end, s, page, damaged)
            break
    return False


@kernel
def _start(stream: Words, end: int, s: State, page: Words, damaged: Damage) -> bool:
    """Between rows: decide whether a row or an EOL comes next."""
    position = s[POSITION]
    zeros = min(trailing_zeros(_peek(stream, position)), end - position)
    if zeros >= EOL_ZEROS:
        s[ZEROS] = 0
        s[PHASE] = SEEK
        return True
    if zeros == end - position:
        return False
    announced = s[EOLS] > 0
    s[EOLS] = 0
    s[MARK] = position + zeros
    s[A0] = -1
    s[COUNT] = 0
    s[B1] = 0
    if s[CODING] == MH:
        s[PHASE] = RUNS
    elif s[CODING] == MR:
        s[PHASE] = CODED_2D if s[TWO_D] else RUNS
        if not announced:
            _spoil(stream, s, page, damaged)
            s[SPOILT] = s[ROWS] > 0  # before its first EOL a page has no rows
        elif s[TWO_D] and not s[REFERENCE_GOOD]:
            _spoil(stream, s, page, damaged)
            s[MARK] = position - s[SHORTEST]  # nothing is known to be wrong with it: it counts, however short
    else:
        s[PHASE] = CODED_2D
        if announced:
            _spoil(stream, s, page, damaged)
    return True


@kernel
def _take_runs(
    stream: Words,
    end: int,
    s: State,
    lines: Ends,
    page: Words,
    damaged: Damage,
    lengths: NDArray[np.uint16],
) -> bool:
    """Go on with a row that is coded by itself."""
    line = lines[s[LINE], FIRST_END:]
    width = s[WIDTH]
    a0 = max(s[A0], 0)
    count = s[COUNT]
    position = s[POSITION]
    run = 0
    while a0 < width and run >= 0:
        run, after = _take_run(stream, position, end, lengths, count & 1, width - a0)
        if run >= 0:
            a0 += run
            count = _add_end(line, count, a0)
            position = after
    s[A0] = a0
    s[COUNT] = count
    s[POSITION] = position
    if run == WRONG:
        _spoil(stream, s, page, damaged)
    elif run >= 0:
        _keep_good(s, lines, page, damaged)
    return run != STARVED


@kernel
def _take_modes(
    stream: Words,
    end: int,
    s: State,
    lines: Ends,
    page: Words,
    damaged: Damage,
    lengths: NDArray[np.uint16],
    modes: NDArray[np.uint16],
) -> bool:
    """Go on with a row that is coded against the one above."""
    line = lines[s[LINE], FIRST_END:]
    above = lines[1 - s[LINE], FIRST_END:]
    width = s[WIDTH]
    a0 = s[A0]
    b1 = s[B1]
    count = s[COUNT]
    position = s[POSITION]
    outcome = 0
    while a0 < width and outcome == 0:
        b1 = _find_b1(above, b1, a0, count)
        entry = int(modes[int(_peek(stream, position) & np.uint64((1 << MODE_BITS) - 1))])
        after = position + (entry & 15)
        mode = entry >> 4
        if entry == 0:
            outcome = WRONG if end - position >= MODE_BITS else STARVED
        elif after > end:
            outcome = STARVED
        elif mode == MODE_HORIZONTAL:
            start = max(a0, 0)
            first, after = _take_run(stream, after, end, lengths, count & 1, width - start)
            if first < 0:
                outcome = first
                break
            second, after = _take_run(stream, after, end, lengths, count & 1 ^ 1, width - start - first)
            if second < 0:
                outcome = second
                break
            a0 = start + first
            count = _add_end(line, count, a0)
            if a0 < width:
                a0 += second
                count = _add_end(line, count, a0)
        elif mode == MODE_PASS:
            b2 = int(above[b1 + 1])
            if b2 < width:
                a0 = b2
            else:
                outcome = WRONG
        else:
            a1 = above[b1] + mode - 3
            if a0 < a1 <= width:
                a0 = a1
                count = _add_end(line, count, a0)
            else:
                outcome = WRONG
        if outcome == 0:
            position = after
    s[A0] = a0
    s[B1] = b1
    s[COUNT] = count
    s[POSITION] = position
    if outcome == WRONG:
        _spoil(stream, s, page, damaged)
    elif outcome == 0:
        _keep_good(s, lines, page, damaged)
    return outcome != STARVED


@kernel
def _seek(stream: Words, end: int, s: State, page: Words, damaged: Damage) -> bool:
    """Skip bits until an EOL: 11 zeros or more, then a one, wherever code words were thought to begin."""
    position = s[POSITION]
    zeros = s[ZEROS]
    found = False
    while position < end and not found:
        run = min(trailing_zeros(_peek(stream, position)), end - position)
        position += run
        zeros += run
        if run < 64 and position < end:
            position += 1
            found = zeros >= EOL_ZEROS
            if not found:
                zeros = 0
    s[POSITION] = position
    s[ZEROS] = zeros
    if found:
        _take_eol(position - 1 - zeros, s, page, damaged)
    return found


@kernel
def _take_eol(row_end: int, s: State, page: Words, damaged: Damage) -> None:
    """Count an EOL; what came before it ended at ``row_end``."""
    _judge(row_end, s, page, damaged)
    s[EOLS] += 1
    needed = EOFB_EOLS if s[CODING] == MMR else RTC_EOLS_NEEDED if s[ROWS] > 0 else RTC_EOLS
    if s[EOLS] >= needed:
        s[PHASE] = ENDED
    else:
        s[PHASE] = TAG if s[CODING] == MR else START


@kernel
def _take_tag(stream: Words, end: int, s: State) -> bool:
    if s[POSITION] == end:
        return False
    s[TWO_D] = _peek(stream, s[POSITION]) & np.uint64(1) == 0
    s[POSITION] += 1
    s[PHASE] = START
    return True


@kernel
def _end_of_input(end: int, s: State, page: Words, damaged: Damage) -> None:
    """Count a row that was cut off."""
    if s[PHASE] == RUNS or s[PHASE] == CODED_2D:
        s[SPOILT] = 1
        s[GIVEN_UP_AT] = s[BEFORE] + s[POSITION]
    _judge(s[POSITION] - s[ZEROS] if s[PHASE] == SEEK else end, s, page, damaged)
    s[PHASE] = LOST


@kernel
def _spoil(stream: Words, s: State, page: Words, damaged: Damage) -> None:
    """Give up the row at hand; in MH and MR it is judged when the next EOL shows how long it was."""
    s[GIVEN_UP_AT] = s[BEFORE] + s[POSITION]
    if s[CODING] == MMR:
        _keep_damaged(s, page, damaged)
        s[PHASE] = LOST
    else:
        s[SPOILT] = 1
        s[ZEROS] = _zeros_before(stream, s[POSITION])
        s[PHASE] = SEEK


@kernel
def _judge(row_end: int, s: State, page: Words, damaged: Damage) -> None:
    """Keep a row that was given up, unless it is too short to be one: then it was a hit on fill."""
    if s[SPOILT] and row_end - s[MARK] >= s[SHORTEST]:
        _keep_damaged(s, page, damaged)
    s[SPOILT] = 0


@kernel
def _keep_good(s: State, lines: Ends, page: Words, damaged: Damage) -> None:
    row = s[ROWS]
    line = lines[s[LINE], FIRST_END:]
    _paint(line, s[COUNT], s[WIDTH], page[row])
    s[ENDS_ABOVE] = s[COUNT]
    close_row(line, s[COUNT] - 1, s[WIDTH])
    damaged[row] = 0
    s[LINE] = 1 - s[LINE]
    s[REFERENCE_GOOD] = 1
    s[BAD_RUN] = 0
    s[ROWS] = row + 1
    s[PHASE] = START


@kernel
def _keep_damaged(s: State, page: Words, damaged: Damage) -> None:
    """Keep, for a damaged row, a copy of the row before it: the last good one, or itself a copy of that."""
    row = s[ROWS]
    for column in range(page.shape[1]):
        page[row, column] = page[row - 1, column] if row > 0 else np.uint64(0)
    damaged[row] = s[GIVEN_UP_AT]
    s[REFERENCE_GOOD] = 0
    s[BAD_ROWS] += 1
    s[BAD_RUN] += 1
    s[LONGEST_BAD_RUN] = max(s[LONGEST_BAD_RUN], s[BAD_RUN])
    s[ROWS] = row + 1


@kernel
def _stop(s: State, damaged: Damage) -> None:
    """Too many rows: the last one kept stands, damaged, for all that would follow."""
    if damaged[s[ROWS] - 1] == 0:
        damaged[s[ROWS] - 1] = s[BEFORE] + s[POSITION]
        s[BAD_ROWS] += 1
        s[BAD_RUN] += 1
        s[LONGEST_BAD_RUN] = max(s[LONGEST_BAD_RUN], s[BAD_RUN])
    s[PHASE] = LOST


@kernel
def _paint(ends: Ends, count: int, width: int, row: Words) -> None:
    """Paint ``count`` run ends of one row into its words."""
    row[:] = np.uint64(0)
    for index in range(count - 1):
        row[ends[index] >> 6] ^= np.uint64(1) << np.uint64(ends[index] & 63)
    carry = np.uint64(0)
    for column in range(row.shape[0]):
        word = row[column]
        for shift in (1, 2, 4, 8, 16, 32):
            word ^= word << np.uint64(shift)
        word ^= carry
        row[column] = word
        carry = np.uint64(0) - (word >> np.uint64(63))
    if width & 63:
        row[row.shape[0] - 1] &= (np.uint64(1) << np.uint64(width & 63)) - np.uint64(1)


@kernel
def _find_b1(above: Ends, b1: int, a0: int, count: int) -> int:
    """Find b1 from where it was before: right of a0, of the colour that the run after ``count`` run ends has."""
    if (b1 ^ count) & 1:
        b1 = b1 - 1 if b1 > 0 else 1
    while above[b1] <= a0:
        b1 += 2
    return b1


@kernel
def _add_end(line: Ends, count: int, end: int) -> int:
    """Add a run end; a run of no pels in mid-row joins its neighbours."""
    if count > 0 and line[count - 1] == end:
        return count - 1
    line[count] = end
    return count + 1


@kernel
def _take_run(
    stream: Words, position: int, end: int, lengths: NDArray[np.uint16], colour: int, room: int
) -> tuple[int, int]:
    """Read one run, make-up codes first; return its pels, or STARVED or WRONG, and where it ends."""
    total = 0
    while True:
        entry = int(lengths[colour << RUN_BITS | int(_peek(stream, position) & np.uint64((1 << RUN_BITS) - 1))])
        length = entry & 15
        if entry == 0:
            return (WRONG if end - position >= RUN_BITS else STARVED), position
        if length > end - position:
            return STARVED, position
        position += length
        total += entry >> 4
        if total > room:
            return WRONG, position
        if entry >> 4 < 64:
            return total, position


@kernel
def _peek(stream: Words, position: int) -> np.uint64:
    """Return the next 64 bits, the first of them lowest."""
    word = position >> 6
    shift = np.uint64(position & 63)
    bits: np.uint64 = stream[word] >> shift | stream[word + 1] << np.uint64(1) << (np.uint64(63) - shift)
    return bits


@kernel
def _zeros_before(stream: Words, position: int) -> int:
    """Count the zeros straight before a position, at most ``HISTORY``."""
    return min(leading_zeros(_peek(stream, position - HISTORY) << np.uint64(64 - HISTORY)), HISTORY)
