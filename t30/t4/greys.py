"""Greys to black and white: compiled, 64 pels at a time.

A page of greys is mostly white. ``find_ink`` looks at all of it, once, and the other kernels only at the blocks of 64
pels of a row that are not all white: bit ``n`` of ``inked[row]``, shape (rows, words), uint64, says so of block ``n``.

Where pels go has shape (rows, words), uint64, as in ``Bitmap``: pel 0 of the greys is pel ``left`` there.
"""

# ruff: noqa: PLR0917  (Numba calls kernels fastest with positional arguments)

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from t30.t4.instructions import ones, trailing_zeros
from t30.t4.jit import kernel, part
from t30.t4.lanes import LANES, Greys, alike, darker, darker_than_those, stands_out
from t30.t4.state import Words

Counts = NDArray[np.int32]

WHITE = 255
MARGIN = 2
"""White rows above the greys and below: as far as a kernel looks from a pel."""
TALLIES = 4
"""Pels that are counted apart from each other: to add to the same number again at once takes its time."""
_ALL = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Greys, 0 = black, 255 = white, with white around them, as the kernels take them.

    Attributes:
        octets: shape (``size(rows, pels)``,), uint8: rows of ``pitch`` octets, ``MARGIN`` of them above the greys.
        rows: of the greys.
        pels: of a row.
    """

    octets: Greys
    rows: int
    pels: int

    @property
    def pitch(self) -> int:
        """Octets from a row to the next: whole blocks and one that is white, which is also left of the next row."""
        return -(-self.pels // LANES) * LANES + LANES

    @property
    def greys(self) -> Greys:
        """The greys themselves, shape (rows, pels)."""
        return self.octets.reshape(-1, self.pitch)[MARGIN : MARGIN + self.rows, : self.pels]

    @classmethod
    def white(cls, rows: int, pels: int) -> Self:
        """Make one that is all white."""
        return cls(np.full(size(rows, pels), WHITE, np.uint8), rows, pels)

    @classmethod
    def of(cls, greys: Greys) -> Self:
        """Copy greys into one, shape (rows, pels)."""
        frame = cls.white(*greys.shape)
        frame.greys[:] = greys
        return frame

    def inked(self) -> Words:
        """Find the blocks that are not all white."""
        inked = np.empty((self.rows, -(-self.pels // LANES**2)), np.uint64)
        find_ink(self.octets, self.pels, self.pitch, inked)
        return inked


def size(rows: int, pels: int) -> int:
    """Return the octets of a frame."""
    return (rows + 2 * MARGIN) * (-(-pels // LANES) * LANES + LANES)


@kernel
def find_ink(greys: Greys, pels: int, pitch: int, inked: Words) -> None:
    """Mark the blocks that are not all white in ``inked``."""
    blocks = (pels + LANES - 1) // LANES
    for row in range(inked.shape[0]):
        start = (row + MARGIN) * pitch
        for column in range(inked.shape[1]):
            first = LANES * column
            word = np.uint64(0)
            for block in range(first, min(first + LANES, blocks)):
                ink = darker(greys, start + LANES * block, WHITE) != np.uint64(0)
                word |= np.uint64(ink) << np.uint64(block - first)
            inked[row, column] = word


@kernel
def cut(greys: Greys, pels: int, pitch: int, inked: Words, limit: int, words: Words, left: int) -> None:
    """Make black what is darker than ``limit``."""
    for row in range(inked.shape[0]):
        for column in range(inked.shape[1]):
            blocks = inked[row, column]
            while blocks != np.uint64(0):
                first = LANES * (LANES * column + trailing_zeros(blocks))
                blocks &= blocks - np.uint64(1)
                black = darker(greys, (row + MARGIN) * pitch + first, limit)
                _put(words, row, left + first, black & _lowest(pels - first))


@kernel
def cut_text(
    greys: Greys, pels: int, pitch: int, inked: Words, limit: int, ridge: int, words: Words, left: int
) -> None:
    """Make black what is darker than ``limit``, and the darkest pel across a thin stroke that is lighter.

    A stroke is thin where both sides of it, two pels away, are lighter by ``ridge`` greys; of two pels that are as dark
    the first one counts.
    """
    for row in range(inked.shape[0]):
        for column in range(inked.shape[1]):
            blocks = inked[row, column]
            while blocks != np.uint64(0):
                first = LANES * (LANES * column + trailing_zeros(blocks))
                blocks &= blocks - np.uint64(1)
                at = (row + MARGIN) * pitch + first
                black = darker(greys, at, limit)
                black |= stands_out(greys, at, 1, ridge) | stands_out(greys, at, pitch, ridge)
                _put(words, row, left + first, black & _lowest(pels - first))


@kernel
def dot(
    greys: Greys,
    pitch: int,
    inked: Words,
    screen: Greys,
    screen_rows: int,
    where: Words,
    region_rows: int,
    words: Words,
    left: int,
) -> None:
    """Make black, in some regions, what is darker than a screen, in place of what was there.

    Args:
        greys: see above.
        pitch: octets from row to row of the greys, and of the screen.
        inked: see above.
        screen: rows of limits, as long as those of the greys, and repeated over the page.
        screen_rows: how many.
        where: shape (regions down, blocks), the pels of a row that lie in these regions.
        region_rows: rows of a region.
        words: see above.
        left: see above.
    """
    for row in range(inked.shape[0]):
        for column in range(inked.shape[1]):
            blocks = inked[row, column]
            while blocks != np.uint64(0):
                block = LANES * column + trailing_zeros(blocks)
                blocks &= blocks - np.uint64(1)
                wanted = where[row // region_rows, block]
                if wanted == np.uint64(0):
                    continue
                first = LANES * block
                at = (row + MARGIN) * pitch + first
                black = darker_than_those(greys, at, screen, row % screen_rows * pitch + first)
                _clear(words, row, left + first, wanted)
                _put(words, row, left + first, black & wanted)


@kernel
def count_even(
    greys: Greys,
    pels: int,
    pitch: int,
    inked: Words,
    steep: int,
    lightest: int,
    blacker: int,
    whiter: int,
    region_rows: int,
    region_pels: int,
    light: Counts,
    mid: Counts,
) -> None:
    """Count, region by region, the pels that differ from all four neighbours by less than ``steep`` greys.

    What lies beyond the edges does not count as a neighbour.

    Args:
        greys: see above.
        pels: of a row.
        pitch: octets from row to row.
        inked: see above.
        steep: see above.
        lightest: those darker than that are counted in ``light``.
        blacker: those lighter than that,
        whiter: and darker than that, in ``mid``.
        region_rows: rows of a region.
        region_pels: pels of a region.
        light: shape (regions down, regions across).
        mid: of the same shape.
    """
    rows = inked.shape[0]
    for row in range(rows):
        above, below = pitch if row > 0 else 0, pitch if row + 1 < rows else 0
        lights, mids = light[row // region_rows], mid[row // region_rows]
        for column in range(inked.shape[1]):
            blocks = inked[row, column]
            while blocks != np.uint64(0):
                first = LANES * (LANES * column + trailing_zeros(blocks))
                blocks &= blocks - np.uint64(1)
                at = (row + MARGIN) * pitch + first
                even = darker(greys, at, lightest) & _lowest(pels - first)
                # A neighbour beyond the edge of the page is the pel itself: the lowest bit, and the last one.
                even &= alike(greys, at, at - 1, steep) | np.uint64(first == 0)
                even &= alike(greys, at, at + 1, steep) | ~_lowest(pels - first - 1)
                if even == np.uint64(0):
                    continue
                even &= alike(greys, at, at - above, steep) & alike(greys, at, at + below, steep)
                between = even & darker(greys, at, whiter) & ~darker(greys, at, blacker + 1)
                last = min(first + LANES, pels)
                region = first // region_pels
                pel, stop = first, (region + 1) * region_pels
                while pel < last:
                    span = _lowest(stop - pel) << np.uint64(pel - first)
                    lights[region] += ones(even & span)
                    mids[region] += ones(between & span)
                    region += 1
                    pel, stop = stop, stop + region_pels


@kernel
def count_darker(greys: Greys, pels: int, pitch: int, inked: Words, limits: Counts, counts: Counts) -> None:
    """Count the greys that are darker than each of some limits."""
    for row in range(inked.shape[0]):
        for column in range(inked.shape[1]):
            blocks = inked[row, column]
            while blocks != np.uint64(0):
                first = LANES * (LANES * column + trailing_zeros(blocks))
                blocks &= blocks - np.uint64(1)
                at, within = (row + MARGIN) * pitch + first, _lowest(pels - first)
                for each in range(limits.shape[0]):
                    counts[each] += ones(darker(greys, at, limits[each]) & within)


@kernel
def count(greys: Greys, pels: int, pitch: int, inked: Words, tallies: Counts) -> None:
    """Count how often each grey is there: ``tallies`` has shape (``TALLIES``, 256), and its sum is what was counted."""
    for row in range(inked.shape[0]):
        tallies[0, WHITE] += pels
        for column in range(inked.shape[1]):
            blocks = inked[row, column]
            while blocks != np.uint64(0):
                first = LANES * (LANES * column + trailing_zeros(blocks))
                blocks &= blocks - np.uint64(1)
                last = min(first + LANES, pels)
                tallies[0, WHITE] -= last - first
                for pel in range(first, last):
                    tallies[pel % TALLIES, greys[(row + MARGIN) * pitch + pel]] += 1


@kernel
def replace(greys: Greys, pels: int, pitch: int, inked: Words, instead: Greys) -> None:
    """Put another grey in place of each: ``instead`` has shape (256,), and white for white."""
    for row in range(inked.shape[0]):
        for column in range(inked.shape[1]):
            blocks = inked[row, column]
            while blocks != np.uint64(0):
                first = LANES * (LANES * column + trailing_zeros(blocks))
                blocks &= blocks - np.uint64(1)
                at = (row + MARGIN) * pitch
                for place in range(at + first, at + min(first + LANES, pels)):
                    greys[place] = instead[greys[place]]


@part
def _lowest(count: int) -> np.uint64:
    """Return a word whose lowest bits are ones, so many of them; none for less than one, all for 64 and more."""
    if count >= LANES:
        return np.uint64(_ALL)
    return (np.uint64(1) << np.uint64(max(count, 0))) - np.uint64(1)


@part
def _put(words: Words, row: int, at: int, bits: np.uint64) -> None:
    """Add 64 bits to a row from pel ``at`` on."""
    column, shift = at >> 6, np.uint64(at & 63)
    words[row, column] |= bits << shift
    over = bits >> np.uint64(1) >> (np.uint64(63) - shift)
    if over != np.uint64(0):
        words[row, column + 1] |= over


@part
def _clear(words: Words, row: int, at: int, bits: np.uint64) -> None:
    """Take bits away from a row from pel ``at`` on."""
    column, shift = at >> 6, np.uint64(at & 63)
    words[row, column] &= ~(bits << shift)
    over = bits >> np.uint64(1) >> (np.uint64(63) - shift)
    if over != np.uint64(0):
        words[row, column + 1] &= ~over
