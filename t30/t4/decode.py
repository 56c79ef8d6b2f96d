"""Octets to pages: an incremental decoder that never fails, with a map of the damage."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from t30.pages import Coding
from t30.t4 import careful, state
from t30.t4.instructions import EIGHT
from t30.t4.order import turn_octets
from t30.t4.raster import Bitmap
from t30.t4.runs import TURNS
from t30.t4.tables import LENGTHS, MAX_WIDTH, MODES, PAIRS, STEPS, blank_row_bits

_FIRST_ROWS = 2560
"""Rows that a decoder makes room for at first; doubled whenever they are full."""
_SHORTEST_MR = 4
"""Bits: a row may be a single one, but 1 + x^-18 + x^-23 leaves one or two stray bits where V.29 or V.17 hit fill."""
_HISTORY = state.HISTORY // 8
_KEPT = 16
"""Codings and widths whose beginnings are kept: most pages have one of six."""
_EOL = bytes(11) + b"\x01"

TABLES = LENGTHS, MODES, STEPS, PAIRS
Given = tuple[state.Words, int, bool, state.State, state.Ends]
"""What there is to decode: a stream, how many bits it has, whether nothing follows; what is remembered; both lines."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A page as received.

    Attributes:
        bitmap: a damaged row is a copy of the last good row above it (white at the top of the page), or white where
            nothing was to be concealed.
        damaged: shape (rows,), which rows are damaged.
        damaged_at: shape (bad_rows,), for each damaged row the bit of the stream, from 0, where damage showed: where a
            code word begins that is none (also an EOL that comes too soon), leads past the row or is not all there,
            or the row itself if it is coded against a damaged one; in JBIG, where the stripe or marker begins.
    """

    bitmap: Bitmap
    damaged: NDArray[np.bool_]
    damaged_at: NDArray[np.int64]

    @property
    def rows(self) -> int:
        """Number of scan lines, damaged ones included."""
        return self.bitmap.rows

    @property
    def bad_rows(self) -> int:
        """Number of damaged scan lines."""
        return int(np.count_nonzero(self.damaged))

    @property
    def longest_bad_run(self) -> int:
        """Most damaged scan lines in a row."""
        good = np.flatnonzero(~self.damaged)
        return int(np.diff(np.concatenate(([-1], good, [self.rows]))).max()) - 1


class Decoder:
    """Decodes one page as its octets come; how they are cut into chunks makes no difference.

    A row of MH or MR is damaged when a code word is wrong, or when its runs do not add up to the width; decoding goes
    on after the next EOL, in MR with the next row that is coded by itself. A row that has all its pels is good even if
    no EOL follows: MH may do without EOLs altogether. What is too short for a row, since noise has hit fill and made
    an EOL of it, costs no row. MMR cannot be taken up again: the row in which damage shows is the last one, marked.
    Extensions (uncompressed mode) count as damage.

    The page has ended at EOFB, or at four EOLs in a row (RTC is six, some of which noise may have hit; before the first
    row all six are asked for, since senders may start with several). All that follows is ignored. Input may also
    simply end; then a row that was cut off is damaged.

    Rows past 65,536 are not kept; one more row, marked as damaged, stands for them. So memory stays within a page.

    Args:
        coding: MH, MR or MMR.
        width: pels per row, 1 to 4864.
        from_first_eol: MH, MR: pass over everything before the first EOL. On a line every page begins with one, and
            a modem gives ones while its carrier settles; in a file there may be none.
        conceal: a damaged row becomes a copy of the last good one above it, which a reader hardly sees. Else it is
            white, all of it, so that no pel is shown that may not have been sent: the noise may have come before the
            place where damage showed.
        msb_first: the first bit is the most significant of its octet, as in most files; else the least significant one.
    """

    def __init__(
        self,
        coding: Coding,
        width: int,
        *,
        from_first_eol: bool = False,
        conceal: bool = True,
        msb_first: bool = False,
    ) -> None:
        if not 1 <= width <= MAX_WIDTH:
            raise ValueError(f"a row has 1 to {MAX_WIDTH} pels, not {width}")
        self._width = width
        self._msb_first = msb_first
        fresh, lines = _fresh(coding, width)
        self._state = fresh.copy()
        self._lines = lines.copy()
        self._page = np.empty((_FIRST_ROWS, -(-width // 64)), np.uint64)
        self._damaged = np.empty(_FIRST_ROWS, np.int64)
        self._turns = np.zeros(TURNS, np.uint64)
        self._conceal = conceal
        self._pending = b"\xff" * _HISTORY
        self._lead: bytes | None = b"" if from_first_eol and coding is not Coding.MMR else None

    @property
    def page_ended(self) -> bool:
        """RTC or EOFB has been seen: nothing more belongs to the page."""
        return int(self._state[state.PHASE]) == state.ENDED

    @property
    def rows(self) -> int:
        """Scan lines so far, damaged ones included."""
        return int(self._state[state.ROWS])

    @property
    def bad_rows(self) -> int:
        """Damaged scan lines so far."""
        return int(self._state[state.BAD_ROWS])

    @property
    def longest_bad_run(self) -> int:
        """Most damaged scan lines in a row so far."""
        return int(self._state[state.LONGEST_BAD_RUN])

    def after(self, row: int) -> Bitmap:
        """Return the scan lines so far from number ``row`` on, the first being 0."""
        words = self._page[row : self.rows].copy()
        if not self._conceal:
            words[self._damaged[row : self.rows] != 0] = 0
        return Bitmap(self._width, words)

    def feed(self, octets: bytes) -> None:
        """Take the next octets; after the end of the page ignore them."""
        if self._lead is not None:
            octets = self._begun(self._lead + octets)
        self._decode(octets, final=False)

    def finish(self) -> Decoded:
        """Give the page as it is, with a row that was cut off marked as damaged; nothing may be fed afterwards."""
        self._decode(b"", final=True)
        words, where = self._page[: self.rows], self._damaged[: self.rows]
        damaged = where != 0
        if not self._conceal:
            words[damaged] = 0
        return Decoded(Bitmap(self._width, words), damaged, where[damaged] - state.HISTORY)

    def _begun(self, octets: bytes) -> bytes:
        """Return what there is from the first EOL on, the bits before it zeroed; nothing while it has not come."""
        bits = np.unpackbits(np.frombuffer(octets, np.uint8), bitorder="big" if self._msb_first else "little").tobytes()
        found = bits.find(_EOL)
        if found < 0:
            self._lead = octets[-2:]
            self._state[state.BEFORE] += 8 * (len(octets) - len(self._lead))
            return b""
        self._lead = None
        octet, bit = divmod(found, 8)
        self._state[state.BEFORE] += 8 * octet
        kept = 0xFF >> bit if self._msb_first else 0xFF << bit & 0xFF
        return bytes((octets[octet] & kept,)) + octets[octet + 1 :]

    def _decode(self, octets: bytes, *, final: bool) -> None:
        if self._state[state.PHASE] >= state.ENDED:
            return
        octets = self._pending + octets
        stream = np.zeros(len(octets) // 8 + 1 + state.SPARE_WORDS, np.uint64)
        stream.view(np.uint8)[: len(octets)] = np.frombuffer(octets, np.uint8)
        if self._msb_first:
            turn_octets(stream, len(stream))
        self._take((stream, 8 * len(octets), final, self._state, self._lines))
        used = (int(self._state[state.POSITION]) >> 3) - _HISTORY
        self._state[state.BEFORE] += 8 * used
        self._state[state.POSITION] -= 8 * used
        self._state[state.MARK] -= 8 * used
        self._pending = octets[used:]

    def _take(self, given: Given) -> None:
        """Take all rows that there are."""
        while careful.decode(*given, self._page, self._damaged, self._turns, *TABLES):
            self._page = np.concatenate((self._page, np.empty_like(self._page)))
            self._damaged = np.concatenate((self._damaged, np.empty_like(self._damaged)))


@lru_cache(_KEPT)
def _fresh(coding: Coding, width: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return what a decoder remembers before the first bit, and the run ends of two white rows."""
    fresh = np.zeros(state.STATE_SIZE, np.int64)
    fresh[state.CODING] = {Coding.MH: state.MH, Coding.MR: state.MR, Coding.MMR: state.MMR}[coding]
    fresh[state.WIDTH] = width
    fresh[state.POSITION] = state.HISTORY
    fresh[state.SHORTEST] = blank_row_bits(width) * 3 // 4 if coding is Coding.MH else _SHORTEST_MR
    fresh[state.ENDS_ABOVE] = 1
    lines = np.full((2, state.FIRST_END + width + 2 + state.PAD + EIGHT), width, np.int32)
    lines[:, : state.FIRST_END] = -1
    return fresh, lines
