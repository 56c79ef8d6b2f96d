"""A page in MH or MR on its way through a network: without its fill, or as MMR and back.

What goes out is in pieces, each of which can be sent when so many octets of the page would have been: who makes the
page anew at the other end then never has to wait for what a telephone line would have brought by then.
"""

from collections.abc import Iterable

import numpy as np

from t30.pages import Coding
from t30.t4.decode import Decoder
from t30.t4.encode import encode, encoded
from t30.t4.fill import drop_fill
from t30.t4.raster import Bitmap
from t30.t4.state import EOFB_EOLS, EOL_ZEROS
from t30.t4.tables import RUNS

KEPT_ZEROS = EOL_ZEROS + max(len(word) - len(word.rstrip("0")) for words in RUNS for word in words.values())
"""Zeros in a row that are kept: those of an EOL, and those that a code word before it may end with."""
SPOILT_ROWS = 6
"""So many damaged rows stand at the end of a page that broke off: no receiver takes it for whole then."""
_SPOILT = {Coding.MH: b"\x00\x80\x00\xff\xff\xff\xff", Coding.MR: b"\x00\xc0\x00\xff\xff\xff\xff"}
"""An EOL and a row that cannot be: no code word begins with eight zeros."""


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


def as_mmr(octets: bytes, coding: Coding, width: int, step: int) -> list[bytes]:
    """Turn a page of MH or MR into MMR with EOFB.

    Returns:
        Pieces, as ``without_fill`` gives them: each has the rows that are whole after its octets of the page.
    """
    decoder = Decoder(coding, width)
    rows = []
    for start in range(0, len(octets), step):
        decoder.feed(octets[start : start + step])
        rows.append(decoder.rows)
    bitmap = decoder.finish().bitmap
    out, bits, after = encoded(bitmap, Coding.MMR, k=1, min_row_bits=0, eols=EOFB_EOLS, goes_on=False)
    ends = (int(after[count - 1]) // 8 if count else 0 for count in rows[:-1])
    return _pieces(out[: -(-bits // 8)].tobytes(), ends)


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
        self._k = k if coding is Coding.MR else 1
        self._min_row_bits = min_row_bits
        self._decoder = Decoder(Coding.MMR, width)
        self._made = 0
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
        self._decoder.feed(octets)
        if self._decoder.bad_rows:
            return self.broken_off()
        if self._decoder.page_ended:
            return self._end(damaged=False)
        count = (self._decoder.rows - self._made) // self._k * self._k
        return self._rows(self._made + count) if count else b""

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
        if not damaged:
            damaged = self._decoder.finish().bad_rows > 0
        rows = self._rows(self._decoder.rows - self._decoder.bad_rows)
        if damaged:
            return rows + _SPOILT[self._coding] * SPOILT_ROWS
        return rows + encode(self._decoder.after(self._made), self._coding)

    def _rows(self, until: int) -> bytes:
        """Return the rows from those that were made already up to another one."""
        bitmap = self._decoder.after(self._made)
        bitmap = Bitmap(bitmap.width, bitmap.words[: max(0, until - self._made)])
        self._made += bitmap.rows
        return encode(
            bitmap,
            self._coding,
            k=self._k,
            min_row_bits=self._min_row_bits,
            end_of_page=False,
            goes_on=True,
        )
