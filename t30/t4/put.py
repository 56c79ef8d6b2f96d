"""Code words into octets: compiled.

What is written is kept in two variables: ``position``, how many bits there are, and ``tail``, those of the last octet
that is not full yet. Each ``put`` writes eight whole octets from that one on, of which the next overwrites what is not
used.
"""

# ruff: noqa: PLR0917  (Numba calls kernels fastest with positional arguments)

import numpy as np

from t30.t4.instructions import put_octets
from t30.t4.jit import kernel, part
from t30.t4.state import Words
from t30.t4.tables import CODES, LONGEST_MAKE_UP, LONGEST_MAKE_UP_BITS, LONGEST_RUN

EOL = 1 << 11
EOL_BITS = 12
MOST_PUT = 56
"""Bits that one ``put`` writes at most."""


@part
def put(out: Words, position: int, tail: np.uint64, code: np.uint64, length: int) -> tuple[int, np.uint64]:
    """Write a code of 1 to ``MOST_PUT`` bits; return the new position and tail."""
    word = tail | code << np.uint64(position & 7)
    put_octets(out, position >> 3, word)
    after = position + length
    return after, word >> np.uint64(((after >> 3) - (position >> 3)) << 3)


@part
def put_eol(out: Words, position: int, tail: np.uint64, tag_bits: int, tag: bool, align: int) -> tuple[int, np.uint64]:
    """Write an EOL, and its tag bit where it has one. With ``align`` 7, not 0, fill makes it end with an octet."""
    fill = -(position + EOL_BITS) & align
    eol = np.uint64(EOL | (tag_bits & tag) << EOL_BITS)
    return put(out, position, tail, eol << np.uint64(fill), fill + EOL_BITS + tag_bits)


@kernel
def put_run(out: Words, position: int, tail: np.uint64, run: int, colour: int) -> tuple[int, np.uint64]:
    """Write a run of any length."""
    while run > LONGEST_RUN:
        position, tail = put(out, position, tail, np.uint64(LONGEST_MAKE_UP), LONGEST_MAKE_UP_BITS)
        run -= LONGEST_RUN - 63
    code = int(CODES[colour, run])
    return put(out, position, tail, np.uint64(code >> 5), code & 31)
