"""Pages in JBIG as T.85 has it for fax: one image, one resolution, in stripes; octets as in files and on lines.

Octets, not bits, are what a marker is made of, and the first bit on the wire is the lowest of an octet as everywhere
here: whoever has octets of a file turns none of them.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from t30.t4 import stripes
from t30.t4.arithmetic import CONTEXTS, STEPS
from t30.t4.decode import Decoded
from t30.t4.raster import Bitmap
from t30.t4.state import MAX_ROWS, Words
from t30.t4.tables import MAX_WIDTH

STRIPE: Final = 128
"""Rows of a stripe that every machine takes (T.85's basic height)."""

HEADER: Final = 20
"""Octets before the first stripe."""

ESCAPE: Final = 0xFF
END_OF_STRIPE: Final = 0x02
END_AND_FORGET: Final = 0x03
ABORT: Final = 0x04
NEW_LENGTH: Final = 0x05
MOVE_PEL: Final = 0x06
COMMENT: Final = 0x07
"""Markers, each after an escape."""

TWO_ROWS: Final = 0x40
LENGTH_COMES: Final = 0x20
TYPICAL: Final = 0x08
"""Options of an image."""
_KNOWN: Final = TWO_ROWS | LENGTH_COMES | TYPICAL

_LONGEST_SHIFT: Final = 127


@dataclass(frozen=True, slots=True)
class Header:
    """What an image says of itself.

    Attributes:
        rows: how many; where ``LENGTH_COMES``, at most.
        stripe: rows of each stripe but the last.
    """

    width: int
    rows: int
    stripe: int
    options: int

    @classmethod
    def read(cls, octets: bytes) -> Self | None:
        """Read it from its 20 octets; None if it is no image that T.85 has."""
        if octets[:4] != b"\x00\x00\x01\x00" or octets[18] or octets[19] & ~_KNOWN:
            return None
        width, rows, stripe = (int.from_bytes(octets[at : at + 4], "big") for at in (4, 8, 12))
        if not (0 < width <= MAX_WIDTH and stripe and octets[17] == 0 and octets[16] <= _LONGEST_SHIFT):
            return None
        return cls(width, rows, stripe, octets[19])

    def octets(self) -> bytes:
        """Return it as it is sent; the adaptive pel stays where it is."""
        sizes = b"".join(each.to_bytes(4, "big") for each in (self.width, self.rows, self.stripe))
        return b"\x00\x00\x01\x00" + sizes + bytes([0, 0, 0, self.options])


def encode(bitmap: Bitmap, *, stripe: int = STRIPE, two_rows: bool = False) -> bytes:
    """Code a page, rows that are like the one above in a fraction of a bit.

    Args:
        bitmap: the page.
        stripe: rows of each stripe; machines without the optional capability take 128 only.
        two_rows: contexts of two rows: a little faster and a little longer.

    Raises:
        ValueError: if the width is not 1 to 4864 pels, or a stripe has no rows.
    """
    if not 1 <= bitmap.width <= MAX_WIDTH:
        raise ValueError(f"a row has 1 to {MAX_WIDTH} pels, not {bitmap.width}")
    if stripe < 1:
        raise ValueError(f"a stripe of {stripe} rows")
    words = np.require(bitmap.words, np.uint64, ["C", "W"])
    state, contexts, registers = _fresh()
    out = np.empty(4 * bitmap.width * min(stripe, max(bitmap.rows, 1)) + 16, np.uint8)
    header = Header(bitmap.width, bitmap.rows, stripe, TYPICAL | (TWO_ROWS if two_rows else 0))
    coded = [header.octets()]
    for first in range(0, bitmap.rows, stripe):
        last = min(first + stripe, bitmap.rows)
        shape = (words, bitmap.width, first, last, two_rows)
        length = stripes.encode(*shape, state, contexts, STEPS, registers, out)
        coded += [out[:length].tobytes(), bytes((ESCAPE, END_OF_STRIPE))]
    return b"".join(coded)


class JbigDecoder:
    """Decodes one page as its octets come; how they are cut into chunks makes no difference.

    Nothing in the code itself shows damage. What is found is a header or a marker that makes no sense, and an end
    before all rows are there: the first ends the page, the row that the second has cut is the last one, marked.

    Rows past 65,536 are not kept; one more row, marked as damaged, stands for them.

    Args:
        width: pels per row that are asked for, 1 to 4864; an image of another width is damage from its first octet on.
        conceal: the damaged row becomes a copy of the one above it; else it is white.
    """

    def __init__(self, width: int, *, conceal: bool = True) -> None:
        if not 1 <= width <= MAX_WIDTH:
            raise ValueError(f"a row has 1 to {MAX_WIDTH} pels, not {width}")
        self._width = width
        self._conceal = conceal
        self._header: Header | None = None
        self._state, self._contexts, self._registers = _fresh()
        self._page = np.empty((0, -(-width // 64)), np.uint64)
        self._pending = bytearray()
        self._fed = 0
        self._given_up_at = 0
        self._looked = 0
        self._skip = 0
        self._length = 0
        self._length_known = False
        self._move: tuple[int, int] | None = None
        self._over = False
        self._damaged = False

    @property
    def page_ended(self) -> bool:
        """All rows are there, or damage has ended the page: nothing more belongs to it."""
        return self._over

    @property
    def rows(self) -> int:
        """Scan lines so far, damaged ones included."""
        return int(self._state[stripes.ROWS]) + self._damaged

    @property
    def bad_rows(self) -> int:
        """Damaged scan lines so far: one at most, the last."""
        return int(self._damaged)

    @property
    def longest_bad_run(self) -> int:
        """Most damaged scan lines in a row so far."""
        return int(self._damaged)

    def after(self, row: int) -> Bitmap:
        """Return the scan lines so far from number ``row`` on, the first being 0."""
        good = int(self._state[stripes.ROWS])
        words = self._page[row:good].copy()
        if self._damaged:
            words = np.concatenate((words, self._stand_in()))
        return Bitmap(self._width, words)

    def feed(self, octets: bytes) -> None:
        """Take the next octets; after the end of the page ignore them."""
        if not self._over:
            self._fed += len(octets)
            self._pending += octets
            self._go_on(final=False)

    def finish(self) -> Decoded:
        """Give the page as it is, with a row that was cut off marked as damaged; nothing may be fed afterwards."""
        if not self._over:
            self._go_on(final=True)
        if not self._over:
            self._cut_off()
        damaged = np.zeros(self.rows, np.bool_)
        damaged[self.rows - self.bad_rows :] = True
        return Decoded(self.after(0), damaged, np.full(self.bad_rows, 8 * self._given_up_at, np.int64))

    def _go_on(self, *, final: bool) -> None:
        if self._header is None and len(self._pending) >= HEADER:
            self._header = Header.read(bytes(self._pending[:HEADER]))
            if self._header is None or self._header.width != self._width:
                return self._end(damaged=True)
            self._length = self._header.rows
            self._length_known = not self._header.options & LENGTH_COMES
            del self._pending[:HEADER]
        while self._header is not None and not self._over:
            if self._state[stripes.ROWS] >= self._length:
                return self._end(damaged=False)
            if not self._step(self._header, final=final):
                return None
        return None

    def _step(self, header: Header, *, final: bool) -> bool:
        """Take the next marker, and the stripe before it; False if there is too little of it yet."""
        if self._skip:
            passed = min(self._skip, len(self._pending))
            del self._pending[:passed]
            self._skip -= passed
        at = self._marker()
        if self._skip or at < 0:
            return False
        marker = self._pending[at + 1]
        if marker in (END_OF_STRIPE, END_AND_FORGET):
            return self._stripe(header, at, final=final)
        if at or marker not in _SEGMENTS:
            self._end(damaged=True)
            return True
        if len(self._pending) < _SEGMENTS[marker]:
            return False
        self._take_segment(marker, bytes(self._pending[2 : _SEGMENTS[marker]]), header)
        del self._pending[: _SEGMENTS[marker]]
        return True

    def _marker(self) -> int:
        """Return where the next marker is; -1: none yet."""
        at = self._pending.find(ESCAPE, self._looked)
        while 0 <= at < len(self._pending) - 1 and self._pending[at + 1] == stripes.STUFFED:
            at = self._pending.find(ESCAPE, at + 2)
        there = 0 <= at < len(self._pending) - 1
        self._looked = 0 if there else (len(self._pending) if at < 0 else at)
        return at if there else -1

    def _take_segment(self, marker: int, said: bytes, header: Header) -> None:
        if marker == COMMENT:
            self._skip = int.from_bytes(said, "big")
        elif marker == NEW_LENGTH:
            rows = int.from_bytes(said, "big")
            if self._length_known or rows > self._length:
                return self._end(damaged=True)
            self._length, self._length_known = rows, True
        else:
            row, across, down = int.from_bytes(said[:4], "big"), said[4], said[5]
            if down or across > _LONGEST_SHIFT or row >= header.stripe:
                return self._end(damaged=True)
            self._move = row, across
        return None

    def _stripe(self, header: Header, at: int, *, final: bool) -> bool:
        """Decode a stripe that is whole; where the length is still to come, it may follow right after."""
        if not self._length_known:
            ahead = bytes(self._pending[at + 2 : at + 4])
            comes = ahead == bytes((ESCAPE, NEW_LENGTH))
            wanted = at + 2 + (_SEGMENTS[NEW_LENGTH] if comes else 2)
            if len(self._pending) < wanted and not final:
                return False
            if comes and len(self._pending) >= wanted:
                self._take_segment(NEW_LENGTH, bytes(self._pending[at + 4 : wanted]), header)
                if self._over:
                    return True
                del self._pending[at + 2 : wanted]
        forget = self._pending[at + 1] == END_AND_FORGET
        self._decode(header, bytes(self._pending[:at]))
        del self._pending[: at + 2]
        self._looked = 0
        if forget:
            self._contexts[:] = 0
            self._state[stripes.UNLIKE_ABOVE], self._state[stripes.SHIFTED] = 1, 0
            self._state[stripes.TOP] = self._state[stripes.ROWS]
        if self._state[stripes.ROWS] >= MAX_ROWS and self._length > MAX_ROWS:
            self._end(damaged=True)
        return True

    def _decode(self, header: Header, code: bytes) -> None:
        """Decode the rows of a stripe, of which ``code`` is all there is."""
        before = int(self._state[stripes.ROWS])
        rows = max(0, min(header.stripe, self._length - before, MAX_ROWS - before))
        if before + rows > len(self._page):
            room = max(rows, before)  # at least doubled: a stripe may be a single row
            self._page = np.concatenate((self._page[:before], np.empty((room, self._page.shape[1]), np.uint64)))
        self._registers[stripes.POSITION] = -1
        octets = np.array(bytearray(code), np.uint8)  # one signature, so one compilation
        moved, across = self._move or (0, int(self._state[stripes.SHIFTED]))
        for count in (min(moved, rows), rows - min(moved, rows)):
            if count == rows - min(moved, rows):
                self._state[stripes.SHIFTED] = across
            typical, two_rows = bool(header.options & TYPICAL), bool(header.options & TWO_ROWS)
            coder = self._state, self._contexts
            stripes.decode(octets, self._width, count, typical, two_rows, *coder, STEPS, self._registers, self._page)
        self._move = None

    def _cut_off(self) -> None:
        """Decode what there is of a stripe without an end; the row in which it gives out is damaged.

        A page that has fewer stripes than its header has announced is cut off, too.
        """
        if self._header is None:
            return self._end(damaged=bool(self._pending))
        if not self._pending:
            return self._end(damaged=self._length_known)
        self._state[stripes.LACKING] = -1
        before = int(self._state[stripes.ROWS])
        escape = self._pending.endswith(bytes((ESCAPE,)))
        self._decode(self._header, bytes(self._pending[: -1 if escape else None]))
        lacking = int(self._state[stripes.LACKING])
        self._state[stripes.ROWS] = max(before, lacking if lacking >= 0 else before)
        return self._end(damaged=True)

    def _stand_in(self) -> Words:
        """Return what stands for a damaged row: the one above it, white if there is none or it is not to conceal."""
        good = int(self._state[stripes.ROWS])
        return (
            self._page[good - 1 : good].copy()
            if good and self._conceal
            else np.zeros((1, self._page.shape[1]), np.uint64)
        )

    def _end(self, *, damaged: bool) -> None:
        self._over, self._damaged = True, damaged
        self._given_up_at = self._fed - len(self._pending)
        self._pending.clear()


_SEGMENTS = {NEW_LENGTH: 6, MOVE_PEL: 8, COMMENT: 6}
"""Marker that floats between stripes -> octets of it, without those of a comment."""


def _fresh() -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """Return what a coder remembers, at the top of a page: its state, its contexts and its registers."""
    state = np.zeros(stripes.STATE_SIZE, np.int64)
    state[stripes.UNLIKE_ABOVE], state[stripes.LACKING] = 1, -1
    return state, np.zeros(CONTEXTS, np.int32), np.zeros(stripes.REGISTERS, np.int64)
