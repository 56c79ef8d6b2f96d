"""Grey made black and white: a threshold for text and lines, clustered dots for pictures, chosen region by region.

Clustered dots and not the finer patterns of error diffusion: a photo takes 3 minutes at 14,400 bit/s with clustered
dots and 13 with error diffusion, since run-length codes pay for every change of colour.
"""

from collections.abc import Iterator
from enum import Enum
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

from t30.pages import Resolution

Grey = NDArray[np.uint8]
"""Shape (rows, pels), 0 = black, 255 = white."""

Black = NDArray[np.bool_]
"""Shape (rows, pels), true = black."""

DOT_CELL = {
    Resolution.STANDARD: (4, 8),
    Resolution.FINE: (8, 8),
    Resolution.SUPERFINE: (16, 8),
    Resolution.R300: (12, 12),
    Resolution.R400: (16, 16),
}
"""Rows and pels of the cell that holds two dots: always about 1 mm square, so dots are round at every resolution."""

THRESHOLD = 160
"""Lighter than the middle: a hairline that covers a bit over a third of a scan line still comes out black."""

RIDGE = 48
"""Grey levels by which a thin line must stand out; noise and the halo around letters in a JPEG stay below."""

LIGHTEST_DOT = 245
"""Greys from here on get no dots: the white of a scan is never quite white."""

WHITER, BLACKER = 216, 40
"""Greys between these may be a picture's; lighter ones are paper or shading under text."""

STEEP = 24
"""Grey levels between neighbours: text and lines, even smoothed, are steeper than this around every grey pel."""

PICTURE_SHARE = 0.2
"""A region is a picture if this share of its pels and of its surroundings is an even grey."""

WHITE = 255
SURELY_WHITE = 0.75
"""With such a share of white, the mean of the 17 lightest greys is above 250, whatever the rest is."""

BAND = 32
"""Rows that are worked on at a time: they stay in the processor's cache, and its pages need not be fetched anew."""

MOST_GROWTH = 64
"""Regions, of 2 mm each, that a picture may grow over light greys."""


class Screen(Enum):
    """How grey becomes black and white; the value is the name on the command line."""

    AUTO = "auto"
    TEXT = "text"
    PICTURE = "picture"
    DIFFUSION = "diffusion"


def black_and_white(grey: Grey, *, screen: Screen, resolution: Resolution) -> Black:
    """Return which pels are black."""
    if screen is Screen.DIFFUSION:
        return ~np.asarray(Image.fromarray(grey).convert("1"), np.bool_)
    if screen is Screen.PICTURE:
        return clustered(grey, resolution)
    grey = _paper_made_white(grey)
    text = _text(grey)
    if screen is Screen.TEXT:
        return text
    pictures = _pictures(grey, resolution)
    return text if pictures is None else np.where(pictures, clustered(grey, resolution), text)


def _in_bands(grey: Grey, *, beyond: int) -> Iterator[tuple[slice, Grey, slice]]:
    """Go through the bands of a page that are not all white.

    Yields:
        The rows of the band in the page; these rows with as many more above and below as there are, up to ``beyond``;
        and the rows of the band in those.
    """
    for top in range(0, len(grey), BAND):
        first = max(top - beyond, 0)
        around = grey[first : top + BAND + beyond]
        if around.min(initial=WHITE) < WHITE:
            yield slice(top, top + BAND), around, slice(top - first, top - first + BAND)


def _text(grey: Grey) -> Black:
    """Return what is darker than the threshold, and thin lines lighter than that."""
    black = np.zeros(grey.shape, np.bool_)
    for band, around, within in _in_bands(grey, beyond=2):
        black[band] = _text_in(around)[within]
    return black


def _text_in(grey: Grey) -> Black:
    """Do ``_text`` for a few rows; what comes of the outer two is not certain.

    A rule of 0.5 points that lies half in one scan line and half in the next of standard resolution is lighter than
    the threshold in both, and would be gone. So the darkest pel across a thin stroke counts where both sides of it, two
    pels away, are clearly lighter.
    """
    black = grey < THRESHOLD
    ink = np.pad(255 - grey, 2)
    rows, pels = grey.shape
    for axis in (0, 1):
        before, above, here, below, behind = (
            ink[at : at + rows, 2 : pels + 2] if axis == 0 else ink[2 : rows + 2, at : at + pels] for at in range(5)
        )
        stands_out = here >= np.maximum(np.minimum(np.maximum(before, behind), 255 - RIDGE) + RIDGE, below)
        black |= stands_out & (here > above)
    return black


def clustered(grey: Grey, resolution: Resolution) -> Black:
    """Return the page in clustered dots: paper stays white and 0 black."""
    rows, pels = grey.shape
    cell = _thresholds(DOT_CELL[resolution])
    tiled = np.tile(cell, (-(-rows // cell.shape[0]), -(-pels // cell.shape[1])))[:rows, :pels]
    return grey < tiled


@cache
def _thresholds(cell: tuple[int, int]) -> Grey:
    """Return the grey below which each pel of a cell is black: two dots on a diagonal, growing from their centres."""
    rows, pels = cell
    down = (np.arange(rows)[:, None] + 0.5) / rows
    across = (np.arange(pels)[None, :] + 0.5) / pels
    hills = np.cos(2 * np.pi * (across + down)) + np.cos(2 * np.pi * (across - down))
    rank = np.empty(rows * pels)
    rank[np.argsort(-hills.round(9).ravel(), kind="stable")] = np.arange(rows * pels)
    return np.ceil(LIGHTEST_DOT * (1 - (rank + 0.5) / rank.size)).astype(np.uint8).reshape(cell)


def _paper_made_white(grey: Grey) -> Grey:
    """Stretch the greys so that the paper of a scan is white, where most of the page is one light grey."""
    if np.count_nonzero(grey == WHITE) >= SURELY_WHITE * grey.size:
        return grey  # what is below would come to the same, but counts all greys
    counts = np.array(Image.fromarray(grey).histogram())
    around = np.convolve(counts, np.ones(17), "same")
    peak = int(around[160:].argmax()) + 160
    near = slice(peak - 8, peak + 9)
    paper = round(float((counts[near] * np.arange(256)[near]).sum()) / max(1, int(counts[near].sum())))
    if paper > 250 or counts[near].sum() < 0.4 * grey.size:
        return grey
    stretched = np.minimum(np.arange(256) * 255 // (paper - 8), 255).astype(np.uint8)
    return stretched[grey]


def _pictures(grey: Grey, resolution: Resolution) -> Black | None:
    """Return which pels lie in a picture, None for none at all."""
    even = _even(grey)
    mid = np.zeros(grey.shape, np.bool_)
    for band, around, within in _in_bands(grey, beyond=0):
        mid[band] = even[band] & (around[within] > BLACKER) & (around[within] < WHITER)
    if not mid.any():
        return None
    region = tuple(2 * side for side in DOT_CELL[resolution])
    found = _mask(_shares(mid, region).filter(ImageFilter.BoxBlur(1)), PICTURE_SHARE)
    # Closed over small gaps, and grown over light greys: a dark coat and a pale sky belong to the picture around them.
    found = found.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.MinFilter(3))
    light = _mask(_shares(even & (grey < LIGHTEST_DOT), region), 0.5)
    for _ in range(MOST_GROWTH):
        grown = ImageChops.lighter(found, ImageChops.darker(found.filter(ImageFilter.MaxFilter(3)), light))
        if grown == found:
            break
        found = grown
    pictures = np.asarray(found) > 0
    if not pictures.any():
        return None
    whole: Black = pictures.repeat(region[0], axis=0).repeat(region[1], axis=1)[: grey.shape[0], : grey.shape[1]]
    return whole


def _even(grey: Grey) -> Black:
    """Return the pels that differ little from all four neighbours."""
    even = np.ones(grey.shape, np.bool_)
    for band, around, within in _in_bands(grey, beyond=1):
        even[band] = _even_in(around)[within]
    return even


def _even_in(grey: Grey) -> Black:
    """Do ``_even`` for a few rows; what comes of the outer ones is not certain."""
    even = np.ones(grey.shape, np.bool_)
    for axis in (0, 1):
        ahead, behind = (grey[1:], grey[:-1]) if axis == 0 else (grey[:, 1:], grey[:, :-1])
        flat = np.maximum(ahead, behind) - np.minimum(ahead, behind) < STEEP
        even[(slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))] &= flat
        even[(slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))] &= flat
    return even


def _shares(pels: Black, region: tuple[int, ...]) -> Image.Image:
    """Return the share of each region's pels that are true, 255 for all."""
    rows, across = region
    padded = np.pad(pels, ((0, -pels.shape[0] % rows), (0, -pels.shape[1] % across)))
    parts = padded.reshape(padded.shape[0] // rows, rows, padded.shape[1] // across, across)
    return Image.fromarray((parts.mean(axis=(1, 3)) * 255).astype(np.uint8))


def _mask(shares: Image.Image, least: float) -> Image.Image:
    return Image.fromarray(((np.asarray(shares) > least * 255) * 255).astype(np.uint8))
