"""Fill, the zeros that make rows of MH and MR as long as a printer needs, taken out again: compiled."""

# ruff: noqa: PLR0917  (Numba calls kernels fastest with positional arguments)

import numpy as np
from numpy.typing import NDArray

from t30.t4.instructions import octets_at, trailing_zeros
from t30.t4.jit import kernel
from t30.t4.put import put

Words = NDArray[np.uint64]

MOST_ZEROS = 56
"""Zeros that are looked at in one go."""


@kernel
def drop_fill(stream: Words, end: int, kept: int, step: int, out: Words, after: NDArray[np.int64]) -> int:
    """Copy ``end`` bits into ``out``, no more than ``kept`` zeros in a row; return their number.

    Args:
        stream: zeros and one spare word follow its bits.
        end: number of bits.
        kept: so many zeros hold an EOL and the end of any row before it; fewer than ``MOST_ZEROS``.
        step: in bits.
        out: shape (as many words as ``stream``,), zero before.
        after: shape (steps,); is told how many bits are certain after each ``step`` bits of ``stream``.
    """
    position = 0
    written = 0
    tail = np.uint64(0)
    zeros = 0
    told = 0
    while position < end:
        window = octets_at(stream, position >> 3) >> np.uint64(position & 7)
        run = min(trailing_zeros(window), MOST_ZEROS, end - position)
        while told < after.shape[0] and (told + 1) * step <= position + run:
            after[told] = written + min(zeros + (told + 1) * step - position, kept)
            told += 1
        position += run
        zeros += run
        if run < MOST_ZEROS and position < end:
            zeros = min(zeros, kept)
            written, tail = put(out, written, tail, np.uint64(1) << np.uint64(zeros), zeros + 1)
            zeros = 0
            position += 1
    written += min(zeros, kept)
    after[told:] = written
    return written
