"""Stripes of a JBIG image, compiled: pels to octets and back by the arithmetic coder of T.82.

A row is worked through word by word. Three windows slide along with the pel that comes next: ``top``, three pels of two
rows above, ``above``, five of the row above, ``own``, those before it. Together they are its context.

```
  three rows      t t t          two rows      a a a a a A
                a a a a A                      o o o o X
                o o X            X comes next, A is the adaptive pel, here in its first place
```

``a`` is the size of the coder's interval, ``c`` its base (coding) or where the code lies in it (decoding), ``ct`` how
many bits may be shifted before an octet is written or read. An octet is held back in ``held`` while a carry may still
reach it, with ``stacked`` octets of ones after it, through which a carry would go.
"""

# ruff: noqa: PLR0917  (Numba calls kernels fastest with positional arguments)

import numpy as np
from numpy.typing import NDArray

from t30.t4.arithmetic import AFTER_LPS, AFTER_MPS, LPS
from t30.t4.jit import kernel, part
from t30.t4.state import Words

Octets = NDArray[np.uint8]
Numbers = NDArray[np.int32]

ESCAPE = 0xFF
STUFFED = 0x00
"""What follows an escape that is an octet of the code."""

TYPICAL_OF_THREE = 0x0E5
TYPICAL_OF_TWO = 0x195
"""Contexts in which it is coded whether a row is like the one above."""

# What is remembered between stripes, by place in the state.
ROWS, TOP, UNLIKE_ABOVE, SHIFTED, LACKING, STATE_SIZE = range(6)
"""Rows there are; the first of those that count, above which all is white; whether the last one differed from that
above; where the adaptive pel is; the row in which the input gave out."""

# The coder's registers, by place.
A, C, CT, HELD, STACKED, POSITION, REGISTERS = range(7)


# -------------------------------------------------------------------------------------------------------------- coding


@kernel
def encode(
    words: Words,
    width: int,
    first: int,
    last: int,
    two_rows: bool,
    s: NDArray[np.int64],
    contexts: Numbers,
    steps: Numbers,
    r: NDArray[np.int64],
    out: Octets,
) -> int:
    """Code the rows ``first`` to ``last`` (excluded) as one stripe; return how many octets it has.

    Args:
        words: shape (rows, words), as in ``Bitmap``.
        width: in pels.
        first: the first row of the stripe; those above it are looked at.
        last: the row after its last one.
        two_rows: contexts are of two rows, not of three.
        s: shape (STATE_SIZE,).
        contexts: shape (CONTEXTS,), twice a state plus the colour expected; goes on from stripe to stripe.
        steps: ``arithmetic.STEPS``.
        r: shape (REGISTERS,), scratch: the coder's registers.
        out: as many octets as the worst case takes: four for each pel and row, and sixteen.
    """
    r[A], r[C], r[CT], r[HELD], r[STACKED], r[POSITION] = 0x10000, 0, 11, -1, 0, 0
    typical = TYPICAL_OF_TWO if two_rows else TYPICAL_OF_THREE
    columns = words.shape[1]
    for row in range(first, last):
        unlike = 0
        for column in range(columns):
            over = words[row - 1, column] if row > 0 else np.uint64(0)
            if words[row, column] != over:
                unlike = 1
                break
        _code(np.int64(unlike == s[UNLIKE_ABOVE]), typical, r, contexts, steps, out)
        s[UNLIKE_ABOVE] = unlike
        if unlike:
            _code_row(words, width, row, two_rows, r, contexts, steps, out)
    return _flush(r, out)


@part
def _code_row(
    words: Words,
    width: int,
    row: int,
    two_rows: bool,
    r: NDArray[np.int64],
    contexts: Numbers,
    steps: Numbers,
    out: Octets,
) -> None:
    top = above = own = np.int64(0)
    if row > 1:
        top = np.int64(words[row - 2, 0] & np.uint64(1))
    if row > 0:
        above = np.int64(words[row - 1, 0] & np.uint64(1)) << 1 | np.int64(
            words[row - 1, 0] >> np.uint64(1) & np.uint64(1)
        )
    for column in range(words.shape[1]):
        word = words[row, column]
        next_top = _ahead(words, row - 2, 0, column, 1)
        next_above = _ahead(words, row - 1, 0, column, 2)
        for _ in range(min(64, width - 64 * column)):
            top = (top << 1 | np.int64(next_top & np.uint64(1))) & 7
            above = (above << 1 | np.int64(next_above & np.uint64(1))) & 63
            context = above << 4 | own if two_rows else top << 7 | (above & 31) << 2 | own & 3
            pel = np.int64(word & np.uint64(1))
            _code(pel, context, r, contexts, steps, out)
            own = (own << 1 | pel) & 15
            word >>= np.uint64(1)
            next_top >>= np.uint64(1)
            next_above >>= np.uint64(1)


@part
def _ahead(words: Words, row: int, first: int, column: int, pels: int) -> np.uint64:
    """Return 64 pels of a row from so many after the beginning of a column on; above the first row all is white."""
    if row < first:
        return np.uint64(0)
    word: np.uint64 = words[row, column] >> np.uint64(pels)
    if column + 1 < words.shape[1]:
        word |= words[row, column + 1] << np.uint64(64 - pels)
    return word


@part
def _code(
    pel: np.int64, context: int | np.int64, r: NDArray[np.int64], contexts: Numbers, steps: Numbers, out: Octets
) -> None:
    """Code one pel."""
    state = contexts[context]
    size = int(steps[LPS, state])
    a = r[A] - size
    if pel == state & 1:
        if a >= 0x8000:
            r[A] = a
            return
        if a < size:
            r[C] += a
            a = size
        contexts[context] = steps[AFTER_MPS, state]
    else:
        if a >= size:
            r[C] += a
            a = size
        contexts[context] = steps[AFTER_LPS, state]
    r[A] = a
    while r[A] < 0x8000:
        r[A] <<= 1
        r[C] <<= 1
        r[CT] -= 1
        if r[CT] == 0:
            _octet_out(r, out)


@kernel
def _octet_out(r: NDArray[np.int64], out: Octets) -> None:
    """Take the eight bits that no shift can change any more out of ``c``; they may still get a carry."""
    octet = r[C] >> 19
    if octet > 0xFF:
        _put_held(1, STUFFED, r, out)
        r[HELD] = octet & 0xFF
    elif octet == ESCAPE:
        r[STACKED] += 1
    else:
        _put_held(0, ESCAPE, r, out)
        r[HELD] = octet
    r[C] &= 0x7FFFF
    r[CT] = 8


@kernel
def _put_held(carry: int, stacked: int, r: NDArray[np.int64], out: Octets) -> None:
    """Write the octet that was held back, and those of ones after it, which a carry has made zeros."""
    if r[HELD] >= 0:
        _put(r[HELD] + carry, r, out)
    while r[STACKED] > 0:
        _put(stacked, r, out)
        r[STACKED] -= 1


@kernel
def _put(octet: int, r: NDArray[np.int64], out: Octets) -> None:
    out[r[POSITION]] = octet
    r[POSITION] += 1
    if octet == ESCAPE:
        out[r[POSITION]] = STUFFED
        r[POSITION] += 1


@kernel
def _flush(r: NDArray[np.int64], out: Octets) -> int:
    """Write what is left, in the fewest octets: zeros at the end need not be there."""
    c = (r[C] + r[A] - 1) & ~0xFFFF
    if c < r[C]:
        c += 0x8000
    c <<= r[CT]
    if c >> 27:
        _put_held(1, STUFFED, r, out)
    else:
        _put_held(0, ESCAPE, r, out)
    _put(c >> 19 & 0xFF, r, out)
    _put(c >> 11 & 0xFF, r, out)
    while r[POSITION] > 0 and out[r[POSITION] - 1] == 0:
        if r[POSITION] > 1 and out[r[POSITION] - 2] == ESCAPE:
            break  # the zero belongs to the escape
        r[POSITION] -= 1
    return int(r[POSITION])


# ------------------------------------------------------------------------------------------------------------ decoding


@kernel
def decode(
    code: Octets,
    width: int,
    rows: int,
    typical: bool,
    two_rows: bool,
    s: NDArray[np.int64],
    contexts: Numbers,
    steps: Numbers,
    r: NDArray[np.int64],
    page: Words,
) -> None:
    """Decode the next rows, all of one stripe.

    Args:
        code: the stripe, escapes still stuffed, without the marker at its end; after it come zeros.
        width: in pels.
        rows: how many there are.
        typical: it is coded of each row whether it is like the one above.
        two_rows: contexts are of two rows, not of three.
        s: shape (STATE_SIZE,); is told in which row the input gave out.
        contexts: shape (CONTEXTS,), twice a state plus the colour expected; goes on from stripe to stripe.
        steps: ``arithmetic.STEPS``.
        r: shape (REGISTERS,): the coder's registers; a position below 0 where the stripe begins.
        page: shape (room for those rows, words); words are written whole.
    """
    if r[POSITION] < 0:
        _begin(code, r)
    context = TYPICAL_OF_TWO if two_rows else TYPICAL_OF_THREE
    for _ in range(rows):
        row = int(s[ROWS])
        like = False
        if typical:
            s[UNLIKE_ABOVE] ^= 1 - _decoded(context, code, r, contexts, steps)
            like = s[UNLIKE_ABOVE] == 0
        if like:
            for column in range(page.shape[1]):
                page[row, column] = page[row - 1, column] if row > s[TOP] else np.uint64(0)
        else:
            _decode_row(page, width, row, int(s[TOP]), two_rows, int(s[SHIFTED]), code, r, contexts, steps)
        if r[STACKED] > 0 and s[LACKING] < 0:
            s[LACKING] = row
        s[ROWS] += 1


@part
def _begin(code: Octets, r: NDArray[np.int64]) -> None:
    r[A], r[C], r[CT], r[POSITION], r[STACKED] = 0x10000, 0, 0, 0, 0
    for _ in range(2):
        _octet_in(code, r)
        r[C] <<= 8


@part
def _decode_row(
    page: Words,
    width: int,
    row: int,
    first: int,
    two_rows: bool,
    shifted: int,
    code: Octets,
    r: NDArray[np.int64],
    contexts: Numbers,
    steps: Numbers,
) -> None:
    top = above = own = np.int64(0)
    if row > first + 1:
        top = np.int64(page[row - 2, 0] & np.uint64(1))
    if row > first:
        above = np.int64(page[row - 1, 0] & np.uint64(1)) << 1 | np.int64(
            page[row - 1, 0] >> np.uint64(1) & np.uint64(1)
        )
    for column in range(page.shape[1]):
        word = np.uint64(0)
        next_top = _ahead(page, row - 2, first, column, 1)
        next_above = _ahead(page, row - 1, first, column, 2)
        for bit in range(min(64, width - 64 * column)):
            top = (top << 1 | np.int64(next_top & np.uint64(1))) & 7
            above = (above << 1 | np.int64(next_above & np.uint64(1))) & 63
            around = above
            if shifted > 0:
                around = above & ~1 | _own_before(page, row, word, 64 * column + bit, shifted)
            context = around << 4 | own if two_rows else top << 7 | (around & 31) << 2 | own & 3
            pel = _decoded(context, code, r, contexts, steps)
            own = (own << 1 | pel) & 15
            word |= np.uint64(pel) << np.uint64(bit)
            next_top >>= np.uint64(1)
            next_above >>= np.uint64(1)
        page[row, column] = word


@part
def _own_before(page: Words, row: int, word: np.uint64, pel: int, shifted: int) -> np.int64:
    """Return the pel that lies so many before this one, of a row whose last word is not written yet."""
    at = pel - shifted
    if at < 0:
        return np.int64(0)
    own = word if at >> 6 == pel >> 6 else page[row, at >> 6]
    return np.int64(own >> np.uint64(at & 63) & np.uint64(1))


@part
def _decoded(context: int | np.int64, code: Octets, r: NDArray[np.int64], contexts: Numbers, steps: Numbers) -> int:
    """Decode one pel."""
    state = contexts[context]
    size = int(steps[LPS, state])
    a = r[A] - size
    pel = int(state & 1)
    if r[C] >> 16 < a:
        if a >= 0x8000:
            r[A] = a
            return pel
        if a < size:
            pel = 1 - pel
            contexts[context] = steps[AFTER_LPS, state]
        else:
            contexts[context] = steps[AFTER_MPS, state]
    else:
        r[C] -= a << 16
        if a < size:
            contexts[context] = steps[AFTER_MPS, state]
        else:
            pel = 1 - pel
            contexts[context] = steps[AFTER_LPS, state]
        a = size
    r[A] = a
    while r[A] < 0x8000:
        if r[CT] == 0:
            _octet_in(code, r)
            r[CT] = 8
        r[A] <<= 1
        r[C] <<= 1
        r[CT] -= 1
    return pel


@kernel
def _octet_in(code: Octets, r: NDArray[np.int64]) -> None:
    """Take the next octet of the code into ``c``; zeros after its end, which are counted in ``stacked``."""
    position = r[POSITION]
    if position >= code.shape[0]:
        r[STACKED] += 1
        return
    r[C] += np.int64(code[position]) << 8
    r[POSITION] = position + (2 if code[position] == ESCAPE else 1)
