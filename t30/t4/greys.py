"""Greys to black and white: compiled. A page of greys is mostly white, which takes a look for each row or 64 pels.

Greys have shape (rows, pels), uint8, 0 = black, 255 = white; what lies beyond their edges counts as white. ``seen`` is
the same memory by words, one more than there are (``laid_out`` makes both). Where they go has shape (rows, words),
uint64, as in ``Bitmap``: pel 0 of the greys is pel ``left`` there.
"""

# ruff: noqa: PLR0917  (Numba calls kernels fastest with positional arguments)

import numpy as np
from numpy.typing import NDArray

from t30.t4.instructions import octets_at
from t30.t4.jit import kernel, part
from t30.t4.state import Words

Greys = NDArray[np.uint8]
Counts = NDArray[np.int32]

WHITE = 255
BLOCK = 64
_WHITE_EIGHT = 0xFFFFFFFFFFFFFFFF


def laid_out(greys: Greys) -> tuple[Greys, Words]:
    """Return greys as the kernels take them, and the words that they lie in."""
    seen = np.empty(greys.size // 8 + 2, np.uint64)
    octets = seen.view(np.uint8)
    laid = octets[: greys.size].reshape(greys.shape)
    laid[:] = greys
    octets[greys.size :] = WHITE
    return laid, seen


@kernel
def cut(greys: Greys, seen: Words, limit: int, words: Words, left: int) -> None:
    """Make black what is darker than ``limit``."""
    pels = greys.shape[1]
    for row in range(greys.shape[0]):
        grey = greys[row]
        if _is_white(seen, row * pels, pels):
            continue
        for column in range(left >> 6, (left + pels + 63) >> 6):
            start, stop = max(64 * column - left, 0), min(64 * column + 64 - left, pels)
            if _is_white(seen, row * pels + start, stop - start):
                continue
            word = np.uint64(0)
            for pel in range(start, stop):
                word |= np.uint64(grey[pel] < limit) << np.uint64(left + pel & 63)
            words[row, column] |= word


@kernel
def cut_text(greys: Greys, seen: Words, limit: int, ridge: int, words: Words, left: int) -> None:
    """Make black what is darker than ``limit``, and the darkest pel across a thin stroke that is lighter.

    A stroke is thin where both sides of it, two pels away, are lighter by ``ridge`` greys; of two pels that are as dark
    the first one counts.
    """
    rows, pels = greys.shape
    for row in range(rows):
        grey = greys[row]
        if _is_white(seen, row * pels, pels):
            continue
        for column in range(left >> 6, (left + pels + 63) >> 6):
            start, stop = max(64 * column - left, 0), min(64 * column + 64 - left, pels)
            if _is_white(seen, row * pels + start, stop - start):
                continue
            word = np.uint64(0)
            for pel in range(start, stop):
                here = np.int64(grey[pel])
                if here == WHITE:
                    continue
                if (
                    here < limit
                    or _stands_out_down(greys, row, pel, here, ridge)
                    or _stands_out_across(grey, pel, here, ridge)
                ):
                    word |= np.uint64(1) << np.uint64(left + pel & 63)
            words[row, column] |= word


@kernel
def dot(greys: Greys, cell: Greys, where: Greys, region_rows: int, words: Words, left: int) -> None:
    """Make black, in some regions, what is darker than a screen, in place of what was there.

    Args:
        greys: see above.
        cell: shape (rows, pels): the screen, repeated over the page; at most 32 pels across.
        where: shape (regions down, regions across), 0 where nothing is to be done; a region is two cells across.
        region_rows: rows of a region.
        words: see above.
        left: see above.
    """
    rows, pels = greys.shape
    across = 2 * cell.shape[1]
    for row in range(rows):
        grey, limits, wanted = greys[row], cell[row % cell.shape[0]], where[row // region_rows]
        for region in range(wanted.shape[0]):
            if wanted[region] == 0:
                continue
            first = region * across
            count = min(across, pels - first)
            bits = np.uint64(0)
            for pel in range(count):
                limit = limits[pel if pel < cell.shape[1] else pel - cell.shape[1]]
                bits |= np.uint64(grey[first + pel] < limit) << np.uint64(pel)
            _replace(words, row, left + first, count, bits)


@kernel
def count_even(
    greys: Greys,
    seen: Words,
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

    Args:
        greys: see above.
        seen: see above.
        steep: see above.
        lightest: those darker than that are counted in ``light``.
        blacker: those lighter than that,
        whiter: and darker than that, in ``mid``.
        region_rows: rows of a region.
        region_pels: pels of a region.
        light: shape (regions down, regions across).
        mid: of the same shape.
    """
    rows, pels = greys.shape
    for row in range(rows):
        if _is_white(seen, row * pels, pels):
            continue
        grey, above, below = greys[row], greys[max(row - 1, 0)], greys[min(row + 1, rows - 1)]
        for first in range(0, pels, BLOCK):
            last = min(first + BLOCK, pels)
            if _is_white(seen, row * pels + first, last - first):
                continue
            start = first
            while start < last:
                region = start // region_pels
                stop = min(last, (region + 1) * region_pels)
                lights = mids = 0
                for pel in range(start, stop):
                    here = np.int64(grey[pel])
                    if (
                        here < lightest
                        and abs(here - above[pel]) < steep
                        and abs(here - below[pel]) < steep
                        and abs(here - grey[max(pel - 1, 0)]) < steep
                        and abs(here - grey[min(pel + 1, pels - 1)]) < steep
                    ):
                        lights += 1
                        mids += int(blacker < here < whiter)
                light[row // region_rows, region] += lights
                mid[row // region_rows, region] += mids
                start = stop


@kernel
def count(greys: Greys, seen: Words, counts: Counts) -> None:
    """Count how often each grey is there: ``counts`` has shape (256,)."""
    rows, pels = greys.shape
    for row in range(rows):
        for first in range(0, pels, BLOCK):
            last = min(first + BLOCK, pels)
            if _is_white(seen, row * pels + first, last - first):
                counts[WHITE] += last - first
                continue
            for pel in range(first, last):
                counts[greys[row, pel]] += 1


@part
def _is_white(seen: Words, start: int, count: int) -> bool:
    """Tell whether so many greys are all white, from that one on."""
    for octet in range(start, start + count - 7, 8):
        if octets_at(seen, octet) != np.uint64(_WHITE_EIGHT):
            return False
    left = count & 7
    if left == 0:
        return True
    beyond = np.uint64(_WHITE_EIGHT) << np.uint64(8 * left)
    return bool(octets_at(seen, start + count - left) | beyond == np.uint64(_WHITE_EIGHT))


@part
def _stands_out_down(greys: Greys, row: int, pel: int, here: np.int64, ridge: int) -> bool:
    rows = greys.shape[0]
    above = greys[row - 1, pel] if row >= 1 else WHITE
    if here >= above:
        return False
    below = greys[row + 1, pel] if row + 1 < rows else WHITE
    before = greys[row - 2, pel] if row >= 2 else WHITE
    behind = greys[row + 2, pel] if row + 2 < rows else WHITE
    return bool(here <= below and here <= max(min(before, behind), ridge) - ridge)


@part
def _stands_out_across(grey: Greys, pel: int, here: np.int64, ridge: int) -> bool:
    pels = grey.shape[0]
    above = grey[pel - 1] if pel >= 1 else WHITE
    if here >= above:
        return False
    below = grey[pel + 1] if pel + 1 < pels else WHITE
    before = grey[pel - 2] if pel >= 2 else WHITE
    behind = grey[pel + 2] if pel + 2 < pels else WHITE
    return bool(here <= below and here <= max(min(before, behind), ridge) - ridge)


@part
def _replace(words: Words, row: int, at: int, count: int, bits: np.uint64) -> None:
    """Put so many bits in place of those that are there."""
    mask = (np.uint64(1) << np.uint64(count)) - np.uint64(1)
    column, shift = at >> 6, at & 63
    words[row, column] = words[row, column] & ~(mask << np.uint64(shift)) | bits << np.uint64(shift)
    if shift + count > 64:
        over = np.uint64(64 - shift)
        words[row, column + 1] = words[row, column + 1] & ~(mask >> over) | bits >> over
