"""What a decoder remembers between chunks, and how the run ends of a row are kept.

Bits are numbered from 0, the first on the wire; bit ``n`` of a stream is bit ``n % 64`` of its word ``n // 64``.
Positions are those bit numbers.

A row's *run ends* are strictly increasing pel numbers, those of the white runs at even places and those of the black
runs at odd ones; only the first may be 0 (the row starts black), and the last is the width. ``PAD`` more entries,
equal to the width, follow, so that a coder may look past the end of a row.
"""

import numpy as np
from numpy.typing import NDArray

from t30.t4.instructions import octets_at
from t30.t4.jit import kernel, part

Words = NDArray[np.uint64]
Ends = NDArray[np.int32]
State = NDArray[np.int64]
Damage = NDArray[np.int64]
"""By row: 0 if it is good, else the bit of the whole stream where damage showed, ``HISTORY`` bits before it counted."""

PAD = 3
"""Entries after a row's run ends: b1 and b2 are looked for at most two places past the width."""

FIRST_END = 1
"""Where in its line a row's run ends begin: -1 lies before them, so that a coder may look back from the first."""
SPARE_WORDS = 3
"""Words of zeros after a stream, which a decoder may look at."""

# What a decoder remembers between chunks, by place in its state.
CODING, WIDTH, PHASE, POSITION, A0, COUNT, B1, LINE, TWO_D, REFERENCE_GOOD = range(10)
EOLS, SPOILT, MARK, ZEROS, ROWS, BAD_ROWS, BAD_RUN, LONGEST_BAD_RUN, SHORTEST, ENDS_ABOVE = range(10, 20)
BEFORE, GIVEN_UP_AT, STATE_SIZE = range(20, 23)

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
NOT_PLAIN = -1
CERTAIN_BITS = 56
"""Bits of a window that are there wherever in an octet it begins."""


@kernel
def close_row(ends: Ends, at: int, width: int) -> None:
    """Write the last run end of a row and the padding."""
    for index in range(at, at + 1 + PAD):
        ends[index] = width


@part
def end_at(ends: Ends, place: int) -> int:
    """Return a run end. Numba asks of signed places whether they count from the end, of unsigned ones it does not."""
    return int(ends[np.uint64(place)])


@part
def window_at(stream: Words, position: int) -> np.uint64:
    """Return the next 57 bits at least, the first of them lowest."""
    window: np.uint64 = octets_at(stream, position >> 3) >> np.uint64(position & 7)
    return window
