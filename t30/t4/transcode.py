"""A page in MH or MR on its way through a network: without its fill, or as MMR and back.

What goes out is in pieces, each of which can be sent when so many octets of the page would have been: who makes the
page anew at the other end then never has to wait for what a telephone line would have brought by then.
"""

from collections.abc import Callable, Iterable
from weakref import WeakMethod

import numpy as np

from t30.pages import Coding
from t30.t4.decode import TABLES, Decoder, Given
from t30.t4.encode import most_bits, with_room
from t30.t4.ends import Places, begin
from t30.t4.fill import drop_fill
from t30.t4.state import EOFB_EOLS, EOL_ZEROS, HISTORY, MAX_ROWS, RTC_EOLS, Ends
from t30.t4.tables import RUNS
from t30.t4.unpainted import decode_ends
from t30.t4.writing import put_rows

KEPT_ZEROS = EOL_ZEROS + max(len(word) - len(word.rstrip("0")) for words in RUNS for word in words.values())
"""Zeros in a row that are kept: those of an EOL, and those that a code word before it may end with."""
SPOILT_ROWS = 6
"""So many damaged rows stand at the end of a page that broke off: no receiver takes it for whole then."""
_SPOILT = {Coding.MH: b"\x00\x80\x00\xff\xff\xff\xff", Coding.MR: b"\x00\xc0\x00\xff\xff\xff\xff"}
"""An EOL and a row that cannot be: no code word begins with eight zeros."""

_AT_ONCE = 4096
"""Rows whose run ends are found before they are coded: at most, since few pages have more in the room there is."""


def without_fill(octets: bytes, step: int) -> list[bytes]:
    """Take the fill out of a page of MH or MR, but for three bits a row, since the end of a row may look like fill.

    Returns:
        Pieces: the first can be sent when ``step`` octets of the page would have been, and so on.
    """
    steps = -(-len(octets) // step)
    stream = np.zeros(len(octets) // 8 + 2, np.uint64)
    stream.view(np.uint8)[: len(octets)] = np.frombuffer(octets, np.uint8)
    out = np.zeros_like(stream)
    after = np.empty(steps, np.int64)
    bits = drop_fill(stream, 8 * len(octets), KEPT_ZEROS, 8 * step, out, after)
    return _pieces(out.view(np.uint8)[: -(-bits // 8)].tobytes(), (int(each) // 8 for each in after[:-1]))


def transcode(octets: bytes, coding: Coding, to: Coding, width: int, *, k: int = 4, min_row_bits: int = 0) -> bytes:
    """Turn a page into another coding, run ends to run ends: the octets are those of ``encode`` of the page decoded.

    Args:
        octets: the page; damaged rows become copies of the last good ones above them, as ``Decoder`` conceals them.
        coding: what it is in, MH, MR or MMR.
        to: what it is to be in, the same or another one.
        width: pels per row, 1 to 4864.
        k: as for ``encode``, as is
        min_row_bits: the least bits of a row.

    Returns:
        The page with RTC (MH, MR) or EOFB (MMR).

    Raises:
        ValueError: if the width is not 1 to 4864 pels, ``k`` is below 1 or ``min_row_bits`` below 0.
    """
    coder = Transcoder(coding, to, width, k=k, min_row_bits=min_row_bits)
    return coder.feed(octets) + coder.finish()


class Transcoder:
    """Turns a page into another coding as its octets come, see ``transcode``; cuts between chunks change nothing.

    What comes out is always as much as is certain, in whole octets.

    Args:
        coding: as for ``transcode``, as are those not named here.
        to: what it is to be in.
        width: pels per row.
        k: as for ``encode``.
        min_row_bits: the least bits of a row.
        conceal: False, for a page in MMR: the row that is damaged, its last, is left out.

    Raises:
        ValueError: as ``transcode``.
    """

    def __init__(
        self, coding: Coding, to: Coding, width: int, *, k: int = 4, min_row_bits: int = 0, conceal: bool = True
    ) -> None:
        if k < 1 or min_row_bits < 0:
            raise ValueError(f"k={k}, min_row_bits={min_row_bits}")
        # Held weakly: in a circle, what is over would keep the memory of a page until garbage is collected.
        self._rows = _Rows(coding, width, WeakMethod(self._put), conceal=conceal)
        two_d = to is Coding.MR
        self._shape = width, k if two_d else int(to is Coding.MH), int(two_d), min_row_bits, 0
        self._eols = EOFB_EOLS if to is Coding.MMR else RTC_EOLS
        self._first = self._position = self._tail = self._given = 0
        self._out = np.empty(0, np.uint64)
        self._after = np.empty(MAX_ROWS + 2, np.int64)

    @property
    def page_ended(self) -> bool:
        """RTC or EOFB has been seen: nothing more belongs to the page."""
        return self._rows.page_ended

    @property
    def bad_rows(self) -> int:
        """Damaged scan lines so far."""
        return self._rows.bad_rows

    def feed(self, octets: bytes) -> bytes:
        """Take the next octets; return what can be made of them."""
        self._rows.feed(octets)
        return self._made()

    def finish(self) -> bytes:
        """Return the rest, as nothing follows: a row that was cut off, and RTC or EOFB."""
        return self.rest() + self.end()

    def rest(self) -> bytes:
        """Return what can be made of a row that was cut off, as nothing follows."""
        self._rows.give_up()
        return self._made()

    def end(self) -> bytes:
        """Return RTC or EOFB."""
        self._put(*begin(self._shape[0], 0), 0, 0, self._eols)
        return self._made() + self.last_octet()

    def last_octet(self) -> bytes:
        """Return the bits that fill no octet yet, and zeros after them; nothing if there are none."""
        return bytes((int(self._tail) & 0xFF,)) if self._position > 0 else b""

    def rows_came(self, bits: int) -> int:
        """Tell how many rows were there after so many bits of what was fed."""
        return self._rows.came_within(bits)

    def row_ends(self, row: int) -> int:
        """Tell after which bit of what comes out a row ends."""
        return int(self._after[row])

    def _put(self, ends: Ends, places: Places, rows: int, count: int, eols: int = 0) -> None:
        """Code rows, or end the page."""
        width, _, _, min_row_bits, _ = self._shape
        self._out = with_room(self._out, self._position + most_bits(count, rows, width, min_row_bits))
        where = self._position, self._tail, self._out, self._after
        self._position, self._tail = put_rows(ends, places, self._first, rows, *self._shape, True, eols, *where)
        self._after[self._first : self._first + rows] += self._given
        self._first += rows

    def _made(self) -> bytes:
        whole = self._position // 8
        made = self._out.view(np.uint8)[:whole].tobytes()
        self._position -= 8 * whole
        self._given += 8 * whole
        return made


class _Rows(Decoder):
    """A decoder whose rows are not painted: their run ends go to ``put``, with their places and numbers."""

    def __init__(
        self, coding: Coding, width: int, put: WeakMethod[Callable[[Ends, Places, int, int], None]], *, conceal: bool
    ) -> None:
        super().__init__(coding, width, conceal=conceal)
        self._page = np.empty((MAX_ROWS + 2, self._page.shape[1]), np.uint64)
        self._damaged = np.empty(MAX_ROWS + 2, np.int64)
        self._came = np.empty(MAX_ROWS + 2, np.int64)
        self._ends, self._places = begin(width, _AT_ONCE)
        self._found = 0
        self._put = put
        self._in_time = 0
        """Rows that were there before the input ended."""

    def give_up(self) -> None:
        """Take what is left, as nothing follows."""
        self._in_time = self.rows
        self._decode(b"", final=True)

    def came_within(self, bits: int) -> int:
        return int(np.searchsorted(self._came[: self._in_time], bits + HISTORY, "right"))

    def _take(self, given: Given) -> None:
        found = -1
        while found:
            found, count = decode_ends(
                *given,
                self._page,
                self._damaged,
                self._turns,
                *TABLES,
                self._ends,
                self._places,
                self._found,
                self._came,
            )
            self._found = found
            good = found - (not self._conceal and self.bad_rows > 0)
            if good > 0:
                put = self._put()
                assert put is not None
                put(self._ends, self._places, good, count)


def as_mmr(octets: bytes, coding: Coding, width: int, step: int) -> list[bytes]:
    """Turn a page of MH or MR into MMR with EOFB.

    Returns:
        Pieces, as ``without_fill`` gives them: each has the rows that are whole after its octets of the page.
    """
    coder = Transcoder(coding, Coding.MMR, width)
    made = coder.feed(octets) + coder.finish()
    rows = (coder.rows_came(8 * came) for came in range(step, len(octets), step))
    return _pieces(made, (coder.row_ends(count - 1) // 8 if count else 0 for count in rows))


def _pieces(octets: bytes, ends: Iterable[int]) -> list[bytes]:
    pieces, start = [], 0
    for end in ends:
        pieces.append(octets[start:end])
        start = end
    return [*pieces, octets[start:]]


class FromMmr:
    """Makes MH or MR, with EOLs, fill and RTC, of a page that comes as MMR; one that comes in MH or MR stays as it is.

    A page of MMR begins with a row, one of MH or MR with an EOL or with fill: that tells them apart. Where MMR is
    damaged, some rows that cannot be follow the last good one, and no RTC.

    Args:
        coding: MH or MR.
        width: pels per row.
        k: every how many rows of MR one is coded by itself.
        min_row_bits: least bits of a row, with fill and EOL.

    Attributes:
        as_it_is: the page comes in MH or MR.
    """

    def __init__(self, coding: Coding, width: int, *, k: int, min_row_bits: int) -> None:
        self._coding = coding
        self._coder = Transcoder(Coding.MMR, coding, width, k=k, min_row_bits=min_row_bits, conceal=False)
        self._head: bytes | None = b""
        """What came, until it is known what it is."""
        self.as_it_is = False
        self._over = False

    def feed(self, octets: bytes) -> bytes:
        """Take the next octets; return what can be made of them."""
        if self._head is not None:
            octets, self._head = self._head + octets, None
            if len(octets) < 2:
                self._head = octets
                return b""
            self.as_it_is = not (octets[0] | (octets[1] & (1 << EOL_ZEROS - 8) - 1))
        if self.as_it_is:
            return octets
        if self._over:
            return b""
        made = self._coder.feed(octets)
        if self._coder.bad_rows:
            return made + self.broken_off()
        return made + self._end(damaged=False) if self._coder.page_ended else made

    def broken_off(self) -> bytes:
        """Return the end of the page, as something of it is missing; what still comes is left out."""
        return self._end(damaged=True)

    def finish(self) -> bytes:
        """Return the end of the page, as nothing more of it comes."""
        return self._end(damaged=False)

    def _end(self, *, damaged: bool) -> bytes:
        head, self._head = self._head, None
        if head:
            return head  # too short for a page of any kind
        if self.as_it_is or self._over:
            return b""
        self._over = True
        rest = b"" if damaged else self._coder.rest()
        if damaged or self._coder.bad_rows:
            return rest + self._coder.last_octet() + _SPOILT[self._coding] * SPOILT_ROWS
        return rest + self._coder.end()
