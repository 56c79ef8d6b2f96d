"""Grey made black and white: a threshold for text and lines, clustered dots for pictures, chosen region by region.

Clustered dots and not the finer patterns of error diffusion: a photo takes 3 minutes at 14,400 bit/s with clustered
dots and 13 with error diffusion, since run-length codes pay for every change of colour.
"""

from enum import Enum
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

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
"""A region is a picture if this share of its pels is an even grey, or of its surroundings."""


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


def _text(grey: Grey) -> Black:
    """Return what is darker than the threshold, and thin lines lighter than that.

    A rule of 0.5 points that lies half in one scan line and half in the next of standard resolution is lighter than
    the threshold in both, and would be gone. So the darkest pel across a thin stroke counts where both sides of it, two
    pels away, are clearly lighter.
    """
    black = grey < THRESHOLD
    for pels, marks in ((grey, black), (grey.T, black.T)):
        ink = np.pad(255 - pels, [(2, 2), (0, 0)]).astype(np.int16)
        before, above, here, below, behind = (ink[at : at + pels.shape[0]] for at in range(5))
        marks[(here > above) & (here >= below) & (here - np.maximum(before, behind) >= RIDGE)] = True
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
    counts = np.bincount(grey.ravel(), minlength=256)
    around = np.convolve(counts, np.ones(17), "same")
    paper = int(around[160:].argmax()) + 160
    if paper > 250 or around[paper] < 0.4 * grey.size:
        return grey
    stretched = np.minimum(np.arange(256) * 255 // (paper - 8), 255).astype(np.uint8)
    return stretched[grey]


def _pictures(grey: Grey, resolution: Resolution) -> Black | None:
    """Return which pels lie in a picture, None for none at all."""
    even = _even_grey(grey)
    if not even.any():
        return None
    rows, pels = (2 * side for side in DOT_CELL[resolution])
    padded = np.pad(even, ((0, -even.shape[0] % rows), (0, -even.shape[1] % pels)))
    share = padded.reshape(padded.shape[0] // rows, rows, padded.shape[1] // pels, pels).mean(axis=(1, 3))
    around = Image.fromarray((share * 255).astype(np.uint8)).filter(ImageFilter.BoxBlur(1))
    found = Image.fromarray(((np.asarray(around) > PICTURE_SHARE * 255) * 255).astype(np.uint8))
    # Closed over gaps of a few regions: a bright sky and a dark coat belong to the picture around them.
    closed = np.asarray(found.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.MinFilter(3))) > 0
    if not closed.any():
        return None
    whole: Black = closed.repeat(rows, axis=0).repeat(pels, axis=1)[: grey.shape[0], : grey.shape[1]]
    return whole


def _even_grey(grey: Grey) -> Black:
    """Return the pels that are grey and differ little from all four neighbours."""
    even = (grey > BLACKER) & (grey < WHITER)
    for axis in (0, 1):
        flat = np.abs(np.diff(grey.astype(np.int16), axis=axis)) < STEEP
        ahead = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
        behind = (slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))
        even[ahead] &= flat
        even[behind] &= flat
    return even
