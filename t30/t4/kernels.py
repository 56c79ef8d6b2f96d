"""The compiled half of the codec: pels to changing elements and back, changing elements to code words and back.

Every kernel is here, since Numba notices a change in this file only (see ``jit.py``). Bits are numbered from 0, the
first on the wire; bit ``n`` of a stream is bit ``n % 64`` of its word ``n // 64``. Positions are those bit numbers.

A row's *run ends* are strictly increasing pel numbers, those of the white runs at even places and those of the black
runs at odd ones; only the first may be 0 (the row starts black), and the last is the width. ``PAD`` more entries,
equal to the width, follow, so that a coder may look past the end of a row.
"""

# ruff: noqa: PLR0917  (Numba calls kernels fastest with positional arguments)

import numpy as np
from numpy.typing import NDArray

from t30.t4.jit import kernel, leading_zeros, ones, trailing_zeros
from t30.t4.tables import MODE_BITS, MODE_HORIZONTAL, MODE_PASS, RUN_BITS

Words = NDArray[np.uint64]
Ends = NDArray[np.int32]
State = NDArray[np.int64]

PAD = 3
"""Entries after a row's run ends: b1 and b2 are looked for at most two places past the width."""

# What a decoder remembers between chunks, by place in its state.
CODING, WIDTH, PHASE, POSITION, A0, COUNT, B1, LINE, TWO_D, REFERENCE_GOOD = range(10)
EOLS, SPOILT, MARK, ZEROS, ROWS, BAD_ROWS, BAD_RUN, LONGEST_BAD_RUN, SHORTEST, STATE_SIZE = range(10, 20)

# CODING
MH, MR, MMR = range(3)

# PHASE
START, TAG, RUNS, CODED_2D, SEEK, ENDED, LOST = range(7)

EOL_BITS = 12
EOL_ZEROS = 11
RTC_EOLS = 6
RTC_EOLS_NEEDED = 4
"""EOLs that end a page of MH or MR: some of the six may be hit, but a hit on fill looks like one or two of them."""
EOFB_EOLS = 2
HISTORY = 16
"""Bits before the position that a decoder may look back at."""
MAX_ROWS = 65536
"""Rows kept of one page (8.5 m at fine resolution): a row that refers to the last one may cost its sender one bit."""

STARVED = -1
WRONG = -2


@kernel
def count_changes(words: Words) -> int:
    """Count the places in all rows where a pel differs from the one before it (white before the first)."""
    total = 0
    for row in range(words.shape[0]):
        carry = np.uint64(0)
        for word in words[row]:
            total += ones(word ^ (word << np.uint64(1) | carry))
            carry = word >> np.uint64(63)
    return total


@kernel
def find_changes(words: Words, width: int, ends: Ends, offsets: NDArray[np.int64]) -> None:
    """Write the run ends of an imaginary white row, then of every row, each with its padding.

    Args:
        words: shape (rows, words), as in ``Bitmap``.
        width: in pels.
        ends: shape (at least changes + (rows + 1) * (1 + PAD),).
        offsets: shape (rows + 1,); where each row begins, and where the last one's padding ends.
    """
    at = _close_row(ends, 0, width)
    for row in range(words.shape[0]):
        offsets[row] = at
        carry = np.uint64(0)
        for column in range(words.shape[1]):
            word = words[row, column]
            changes = word ^ (word << np.uint64(1) | carry)
            carry = word >> np.uint64(63)
            while changes != 0:
                pel = (column << 6) + trailing_zeros(changes)
                if pel < width:
                    ends[at] = pel
                    at += 1
                changes &= changes - np.uint64(1)
        at = _close_row(ends, at, width)
    offsets[words.shape[0]] = at


@kernel
def paint(ends: Ends, count: int, width: int, row: Words) -> None:
    """Paint ``count`` run ends of one row into its words, which are zero before."""
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
        row[-1] &= (np.uint64(1) << np.uint64(width & 63)) - np.uint64(1)


# --------------------------------------------------------------------------------------------------------- encoding


@kernel
def encode(
    ends: Ends,
    offsets: NDArray[np.int64],
    width: int,
    k: int,
    tag_bits: int,
    eols: int,
    min_row_bits: int,
    goes_on: bool,
    out: Words,
    after: NDArray[np.int64],
    codes: NDArray[np.uint32],
    modes: NDArray[np.uint32],
    ways: NDArray[np.int32],
) -> int:
    """Code all rows into ``out``, which is zero before, and return the number of bits.

    Args:
        ends: as ``find_changes`` left them.
        offsets: likewise.
        width: in pels.
        k: every ``k``-th row is coded by itself, with an EOL before every row; 0 for MMR.
        tag_bits: 1 if EOLs carry the tag bit of MR, else 0.
        eols: how many EOLs end the page.
        min_row_bits: of the data of a row, fill, and the EOL that ends it.
        goes_on: another row follows the last one, in another call.
        out: shape (enough words,).
        after: shape (rows,); is told where each row ends.
        codes: ``tables.CODES``.
        modes: ``tables.MODE_CODES``.
        ways: scratch, shape (2, most run ends of a row + 2), to code each row in the fewest bits that any decoder
            reads; shape (2, 0) to take the modes in the order of T.6.
    """
    position = 0
    rows = offsets.shape[0] - 1
    for row in range(rows):
        by_itself = k > 0 and row % k == 0
        if k > 0:
            position = _put_eol(out, position, tag_bits, by_itself)
        least = position + min_row_bits - EOL_BITS - tag_bits
        if by_itself:
            position = _put_runs(out, position, ends, offsets[row], width, codes)
        else:
            above = offsets[row - 1] if row > 0 else 0
            if ways.shape[1]:
                position = _put_fewest(out, position, ends, above, offsets[row], width, codes, modes, ways)
            else:
                position = _put_modes(out, position, ends, above, offsets[row], width, codes, modes)
        if k > 0 and (goes_on or eols > 0 or row + 1 < rows):
            position = max(position, least)
        after[row] = position
    for _ in range(eols):
        position = _put_eol(out, position, tag_bits, True)
    return position


@kernel
def _put(out: Words, position: int, code: int, length: int) -> int:
    word = position >> 6
    shift = np.uint64(position & 63)
    out[word] |= np.uint64(code) << shift
    out[word + 1] |= np.uint64(code) >> np.uint64(1) >> (np.uint64(63) - shift)
    return position + length


@kernel
def _put_eol(out: Words, position: int, tag_bits: int, tag: bool) -> int:
    return _put(out, position, 1 << EOL_ZEROS | (tag_bits & tag) << EOL_BITS, EOL_BITS + tag_bits)


@kernel
def _put_run(out: Words, position: int, run: int, codes: NDArray[np.uint32], colour: int) -> int:
    while run > 2560 + 63:
        entry = int(codes[colour, 63 + 40])
        position = _put(out, position, entry >> 4, entry & 15)
        run -= 2560
    if run > 63:
        entry = int(codes[colour, 63 + (run >> 6)])
        position = _put(out, position, entry >> 4, entry & 15)
    entry = int(codes[colour, run & 63])
    return _put(out, position, entry >> 4, entry & 15)


@kernel
def _put_runs(out: Words, position: int, ends: Ends, at: int, width: int, codes: NDArray[np.uint32]) -> int:
    a0 = 0
    colour = 0
    while a0 < width:
        position = _put_run(out, position, ends[at] - a0, codes, colour)
        a0 = int(ends[at])
        at += 1
        colour ^= 1
    return position


@kernel
def _put_modes(
    out: Words,
    position: int,
    ends: Ends,
    above: int,
    at: int,
    width: int,
    codes: NDArray[np.uint32],
    modes: NDArray[np.uint32],
) -> int:
    """Code the row at ``ends[at:]`` against the one at ``ends[above:]``."""
    a0 = -1
    b1 = 0
    count = 0
    while a0 < width:
        a1 = int(ends[at + count])
        b1 = _find_b1(ends[above:at], b1, a0, count)
        distance = a1 - ends[above + b1]
        if ends[above + b1 + 1] < a1:
            mode = MODE_PASS
            a0 = int(ends[above + b1 + 1])
        elif -3 <= distance <= 3:
            mode = distance + 3
            a0 = a1
            count += 1
        else:
            mode = MODE_HORIZONTAL
        entry = int(modes[mode])
        position = _put(out, position, entry >> 4, entry & 15)
        if mode == MODE_HORIZONTAL:
            a2 = int(ends[at + count + 1])
            position = _put_run(out, position, a1 - max(a0, 0), codes, count & 1)
            position = _put_run(out, position, a2 - a1, codes, count & 1 ^ 1)
            a0 = a2
            count += 2
    return position


@kernel
def _put_fewest(
    out: Words,
    position: int,
    ends: Ends,
    above: int,
    at: int,
    width: int,
    codes: NDArray[np.uint32],
    modes: NDArray[np.uint32],
    ways: NDArray[np.int32],
) -> int:
    """Code a row as ``_put_modes`` does, in the modes that take the fewest bits in all."""
    _weigh(ends, above, at, width, codes, modes, ways)
    a0 = -1
    b1 = 0
    count = 0
    while a0 < width:
        way = ways[1, count]
        b1 = _find_b1(ends[above:at], b1, a0, count)
        for _ in range(way >> 1):
            entry = int(modes[MODE_PASS])
            position = _put(out, position, entry >> 4, entry & 15)
            a0 = int(ends[above + b1 + 1])
            b1 = _find_b1(ends[above:at], b1, a0, count)
        a1 = int(ends[at + count])
        if way & 1:
            a2 = int(ends[at + count + 1])
            entry = int(modes[MODE_HORIZONTAL])
            position = _put(out, position, entry >> 4, entry & 15)
            position = _put_run(out, position, a1 - max(a0, 0), codes, count & 1)
            position = _put_run(out, position, a2 - a1, codes, count & 1 ^ 1)
            a0 = a2
            count += 2
        else:
            entry = int(modes[a1 - ends[above + b1] + 3])
            position = _put(out, position, entry >> 4, entry & 15)
            a0 = a1
            count += 1
    return position


@kernel
def _weigh(
    ends: Ends,
    above: int,
    at: int,
    width: int,
    codes: NDArray[np.uint32],
    modes: NDArray[np.uint32],
    ways: NDArray[np.int32],
) -> None:
    """Find the cheapest way to code a row from each of its run ends on, the last first.

    ``ways[0, n]`` becomes the bits that remain when ``n`` run ends are coded, ``ways[1, n]`` how to go on: passes, then
    1 in the lowest bit for horizontal mode, 0 for vertical.
    """
    runs = _count_runs(ends, at, width)
    right = _count_runs(ends, above, width) - 1
    ways[0, runs] = ways[0, runs + 1] = 0
    for count in range(runs - 1, -1, -1):
        a0 = int(ends[at + count - 1]) if count > 0 else -1
        a1, a2 = int(ends[at + count]), int(ends[at + count + 1])
        right += (right ^ count) & 1
        while right >= 2 and ends[above + right - 2] > a0:
            right -= 2
        b1 = right
        passed = 0
        fewest = 1 << 30
        while True:
            bits = 4 * passed
            distance = a1 - ends[above + b1]
            if -3 <= distance <= 3:
                vertical = bits + (int(modes[distance + 3]) & 15) + ways[0, count + 1]
                if vertical < fewest:
                    fewest = vertical
                    ways[1, count] = passed << 1
            runs_bits = _run_bits(a1 - max(a0, 0), codes, count & 1) + _run_bits(a2 - a1, codes, count & 1 ^ 1)
            horizontal = bits + 3 + runs_bits + ways[0, count + 2]
            if horizontal < fewest:
                fewest = horizontal
                ways[1, count] = passed << 1 | 1
            if ends[above + b1 + 1] >= a1:
                break
            a0 = int(ends[above + b1 + 1])
            b1 = _find_b1(ends[above:at], b1, a0, count)
            passed += 1
        ways[0, count] = fewest


@kernel
def _count_runs(ends: Ends, at: int, width: int) -> int:
    count = 1
    while ends[at + count - 1] < width:
        count += 1
    return count


@kernel
def _run_bits(run: int, codes: NDArray[np.uint32], colour: int) -> int:
    bits = 0
    while run > 2560 + 63:
        bits += int(codes[colour, 63 + 40]) & 15
        run -= 2560
    if run > 63:
        bits += int(codes[colour, 63 + (run >> 6)]) & 15
    return bits + (int(codes[colour, run & 63]) & 15)


# ------------------------------------------------------------------------------------------------------------- fill


@kernel
def drop_fill(stream: Words, end: int, kept: int, step: int, out: Words, after: NDArray[np.int64]) -> int:
    """Copy ``end`` bits into ``out``, which is zero before, no more than ``kept`` zeros in a row; return their number.

    Args:
        stream: zeros and one spare word follow its bits.
        end: number of bits.
        kept: so many zeros hold an EOL and the end of any row before it.
        step: in bits.
        out: shape (as many words as ``stream``,).
        after: shape (steps,); is told how many bits are certain after each ``step`` bits of ``stream``.
    """
    position = 0
    written = 0
    zeros = 0
    told = 0
    while position < end:
        run = min(trailing_zeros(_peek(stream, position)), end - position)
        while told < after.shape[0] and (told + 1) * step <= position + run:
            after[told] = written + min(zeros + (told + 1) * step - position, kept)
            told += 1
        position += run
        zeros += run
        if run < 64 and position < end:
            written = _put(out, written + min(zeros, kept), 1, 1)
            zeros = 0
            position += 1
    written += min(zeros, kept)
    after[told:] = written
    return written


# --------------------------------------------------------------------------------------------------------- decoding


@kernel
def decode(
    stream: Words,
    end: int,
    final: bool,
    s: State,
    lines: Ends,
    page: Words,
    damaged: NDArray[np.bool_],
    lengths: NDArray[np.uint16],
    modes: NDArray[np.uint16],
) -> bool:
    """Decode rows until ``stream`` is used up or ``page`` is full; return whether ``page`` was full.

    What is decided never depends on where the stream was cut: a code word is taken when all of it is there, and is
    called wrong when no code word can come of what is there.

    Args:
        stream: ``end`` bits, ``HISTORY`` of them before the first position; zeros and one spare word follow them.
        end: number of bits.
        final: nothing comes after them.
        s: shape (STATE_SIZE,), what is remembered.
        lines: shape (2, width + 2 + PAD), run ends of the row being decoded and of the last good one.
        page: shape (capacity, words), rows as decoded; zero where there is none yet.
        damaged: shape (capacity,).
        lengths: ``tables.LENGTHS``.
        modes: ``tables.MODES``.
    """
    while s[PHASE] < ENDED:
        if s[ROWS] > MAX_ROWS:
            _stop(s, damaged)
            break
        if s[ROWS] == page.shape[0]:
            return True
        if s[PHASE] == START:
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
def _start(stream: Words, end: int, s: State, page: Words, damaged: NDArray[np.bool_]) -> bool:
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
    damaged: NDArray[np.bool_],
    lengths: NDArray[np.uint16],
) -> bool:
    """Go on with a row that is coded by itself."""
    line = lines[s[LINE]]
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
    damaged: NDArray[np.bool_],
    lengths: NDArray[np.uint16],
    modes: NDArray[np.uint16],
) -> bool:
    """Go on with a row that is coded against the one above."""
    line = lines[s[LINE]]
    above = lines[1 - s[LINE]]
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
def _seek(stream: Words, end: int, s: State, page: Words, damaged: NDArray[np.bool_]) -> bool:
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
def _take_eol(row_end: int, s: State, page: Words, damaged: NDArray[np.bool_]) -> None:
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
def _end_of_input(end: int, s: State, page: Words, damaged: NDArray[np.bool_]) -> None:
    """Count a row that was cut off."""
    if s[PHASE] == RUNS or s[PHASE] == CODED_2D:
        s[SPOILT] = 1
    _judge(s[POSITION] - s[ZEROS] if s[PHASE] == SEEK else end, s, page, damaged)
    s[PHASE] = LOST


@kernel
def _spoil(stream: Words, s: State, page: Words, damaged: NDArray[np.bool_]) -> None:
    """Give up the row at hand; in MH and MR it is judged when the next EOL shows how long it was."""
    if s[CODING] == MMR:
        _keep_damaged(s, page, damaged)
        s[PHASE] = LOST
    else:
        s[SPOILT] = 1
        s[ZEROS] = _zeros_before(stream, s[POSITION])
        s[PHASE] = SEEK


@kernel
def _judge(row_end: int, s: State, page: Words, damaged: NDArray[np.bool_]) -> None:
    """Keep a row that was given up, unless it is too short to be one: then it was a hit on fill."""
    if s[SPOILT] and row_end - s[MARK] >= s[SHORTEST]:
        _keep_damaged(s, page, damaged)
    s[SPOILT] = 0


@kernel
def _keep_good(s: State, lines: Ends, page: Words, damaged: NDArray[np.bool_]) -> None:
    row = s[ROWS]
    line = lines[s[LINE]]
    paint(line, s[COUNT], s[WIDTH], page[row])
    _close_row(line, s[COUNT] - 1, s[WIDTH])
    damaged[row] = False
    s[LINE] = 1 - s[LINE]
    s[REFERENCE_GOOD] = 1
    s[BAD_RUN] = 0
    s[ROWS] = row + 1
    s[PHASE] = START


@kernel
def _keep_damaged(s: State, page: Words, damaged: NDArray[np.bool_]) -> None:
    """Keep, for a damaged row, a copy of the row before it: the last good one, or itself a copy of that."""
    row = s[ROWS]
    if row > 0:
        page[row] = page[row - 1]
    damaged[row] = True
    s[REFERENCE_GOOD] = 0
    s[BAD_ROWS] += 1
    s[BAD_RUN] += 1
    s[LONGEST_BAD_RUN] = max(s[LONGEST_BAD_RUN], s[BAD_RUN])
    s[ROWS] = row + 1


@kernel
def _stop(s: State, damaged: NDArray[np.bool_]) -> None:
    """Too many rows: the last one kept stands, damaged, for all that would follow."""
    if not damaged[s[ROWS] - 1]:
        damaged[s[ROWS] - 1] = True
        s[BAD_ROWS] += 1
        s[BAD_RUN] += 1
        s[LONGEST_BAD_RUN] = max(s[LONGEST_BAD_RUN], s[BAD_RUN])
    s[PHASE] = LOST


# ----------------------------------------------------------------------------------------------------------- shared


@kernel
def _close_row(ends: Ends, at: int, width: int) -> int:
    """Write the last run end and the padding; return the place after them."""
    for index in range(at, at + 1 + PAD):
        ends[index] = width
    return at + 1 + PAD


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
        entry = int(lengths[colour, int(_peek(stream, position) & np.uint64((1 << RUN_BITS) - 1))])
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
