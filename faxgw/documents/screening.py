"""Grey made black and white: a threshold for text and lines, clustered dots for pictures, chosen region by region.

Clustered dots and not the finer patterns of error diffusion: a photo takes 3 minutes at 14,400 bit/s with clustered
dots and 13 with error diffusion, since run-length codes pay for every change of colour.
"""

from enum import Enum
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

from t30.pages import Resolution
from t30.t4 import Bitmap, greys

Grey = NDArray[np.uint8]
"""Shape (rows, pels), 0 = black, 255 = white."""

DOT_CELL = {
    Resolution.STANDARD: (4, 8),
    Resolution.FINE: (8, 8),
    Resolution.SUPERFINE: (16, 8),
    Resolution.R300: (12, 12),
    Resolution.R400: (16, 16),
}
"""Rows and pels of the cell that holds two dots: always about 1 mm square, so dots are round at every resolution."""

MIDDLE = 128
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

MOST_GROWTH = 64
"""Regions, of 2 mm each, that a picture may grow over light greys."""


class Screen(Enum):
    """How grey becomes black and white; the value is the name on the command line."""

    AUTO = "auto"
    TEXT = "text"
    PICTURE = "picture"
    DIFFUSION = "diffusion"


def black_and_white(grey: Grey, *, screen: Screen, resolution: Resolution) -> Bitmap:
    """Return a page of these greys in black and white."""
    page = Bitmap(grey.shape[1], np.zeros((grey.shape[0], -(-grey.shape[1] // 64)), np.uint64))
    put(grey, page.words, left=0, screen=screen, resolution=resolution)
    return page


def put(grey: Grey, words: NDArray[np.uint64], *, left: int, screen: Screen, resolution: Resolution) -> None:
    """Put greys in black and white onto a page that is white there.

    Args:
        grey: shape (rows, pels).
        words: shape (rows, words), as in ``Bitmap``.
        left: the pel of the page that the first of the greys is.
        screen: how grey becomes black and white.
        resolution: of the page.
    """
    if screen is Screen.DIFFUSION:
        diffused = np.array(Image.fromarray(grey).convert("1"), np.uint8) * WHITE
        greys.cut(*greys.laid_out(diffused), MIDDLE, words, left)
        return
    grey, seen = greys.laid_out(grey)
    if screen is Screen.PICTURE:
        _dot(grey, None, resolution, words, left)
        return
    _make_paper_white(grey, seen)
    greys.cut_text(grey, seen, THRESHOLD, RIDGE, words, left)
    if screen is Screen.AUTO and (pictures := _pictures(grey, seen, resolution)) is not None:
        _dot(grey, pictures, resolution, words, left)


def copy(grey: Grey, words: NDArray[np.uint64], *, left: int, limit: int = MIDDLE) -> None:
    """Put pels that are black or white already onto a page that is white there, as ``put`` does."""
    greys.cut(*greys.laid_out(grey), limit, words, left)


def load() -> None:
    """Load what is compiled of it, before a call depends on it."""
    grey = np.full((64, 64), WHITE // 2, np.uint8)
    for screen in (Screen.AUTO, Screen.DIFFUSION):
        black_and_white(grey, screen=screen, resolution=Resolution.FINE)


def _dot(grey: Grey, pictures: Grey | None, resolution: Resolution, words: NDArray[np.uint64], left: int) -> None:
    """Put clustered dots where there are pictures, or everywhere: paper stays white and 0 black."""
    cell = _thresholds(DOT_CELL[resolution])
    rows, pels = _region(resolution)
    if pictures is None:
        pictures = np.ones((-(-grey.shape[0] // rows), -(-grey.shape[1] // pels)), np.uint8)
    greys.dot(grey, cell, pictures, rows, words, left)


def _region(resolution: Resolution) -> tuple[int, int]:
    """Return the rows and pels of what is a picture as a whole, or not at all."""
    rows, pels = DOT_CELL[resolution]
    return 2 * rows, 2 * pels


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


def _make_paper_white(grey: Grey, seen: NDArray[np.uint64]) -> None:
    """Stretch the greys so that the paper of a scan is white, where most of the page is one light grey."""
    counts = np.zeros(256, np.int32)
    greys.count(grey, seen, counts)
    around = np.convolve(counts, np.ones(17), "same")
    peak = int(around[160:].argmax()) + 160
    near = slice(peak - 8, peak + 9)
    paper = round(float((counts[near] * np.arange(256)[near]).sum()) / max(1, int(counts[near].sum())))
    if paper > 250 or counts[near].sum() < 0.4 * grey.size:
        return
    stretched = np.minimum(np.arange(256) * 255 // (paper - 8), 255).astype(np.uint8)
    grey[:] = stretched[grey]


def _pictures(grey: Grey, seen: NDArray[np.uint64], resolution: Resolution) -> Grey | None:
    """Return which regions are of a picture, shape (regions down, regions across), None for none at all."""
    rows, pels = _region(resolution)
    light, mid = (np.zeros((-(-grey.shape[0] // rows), -(-grey.shape[1] // pels)), np.int32) for _ in range(2))
    greys.count_even(grey, seen, STEEP, LIGHTEST_DOT, BLACKER, WHITER, rows, pels, light, mid)
    if not mid.any():
        return None
    found = _mask(_shares(mid, rows * pels).filter(ImageFilter.BoxBlur(1)), PICTURE_SHARE)
    # Closed over small gaps, and grown over light greys: a dark coat and a pale sky belong to the picture around them.
    found = found.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.MinFilter(3))
    ground = _mask(_shares(light, rows * pels), 0.5)
    for _ in range(MOST_GROWTH):
        grown = ImageChops.lighter(found, ImageChops.darker(found.filter(ImageFilter.MaxFilter(3)), ground))
        if grown == found:
            break
        found = grown
    pictures = np.array(found)
    return pictures if pictures.any() else None


def _shares(counts: NDArray[np.int32], pels: int) -> Image.Image:
    """Return the shares that counts are of the pels of a region, 255 for all."""
    return Image.fromarray((counts / pels * 255).astype(np.uint8))


def _mask(shares: Image.Image, least: float) -> Image.Image:
    return Image.fromarray(((np.asarray(shares) > least * 255) * 255).astype(np.uint8))
