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
from t30.t4 import Bitmap, greys
from t30.t4.greys import WHITE, Frame
from t30.t4.state import Words

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

PAPER = 160
"""Paper is lighter than that."""

PAPER_SPREAD = 8
"""Grey levels that the paper of a scan varies by, up and down."""

PAPER_SHARE = 0.4
"""Most of a page is its paper: at least so much."""

WHITE_PAPER = 250
"""Paper lighter than that is left as it is."""

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
    put(Frame.of(grey), page.words, left=0, screen=screen, resolution=resolution)
    return page


def put(frame: Frame, words: Words, *, left: int, screen: Screen, resolution: Resolution) -> None:
    """Put greys in black and white onto a page that is white there.

    Args:
        frame: the greys; those of a scan may be changed.
        words: shape (rows, words), as in ``Bitmap``.
        left: the pel of the page that the first of the greys is.
        screen: how grey becomes black and white.
        resolution: of the page.
    """
    if screen is Screen.DIFFUSION:
        diffused = np.array(Image.fromarray(frame.greys).convert("1"), np.uint8) * WHITE
        copy(Frame.of(diffused), words, left=left)
        return
    inked = frame.inked()
    if screen is Screen.PICTURE:
        _dot(frame, inked, words, pictures=None, left=left, resolution=resolution)
        return
    if _made_paper_white(frame, inked):
        inked = frame.inked()
    greys.cut_text(frame.octets, frame.pels, frame.pitch, inked, THRESHOLD, RIDGE, words, left)
    if screen is Screen.AUTO and (pictures := _pictures(frame, inked, resolution)) is not None:
        _dot(frame, inked, words, pictures=pictures, left=left, resolution=resolution)


def copy(frame: Frame, words: Words, *, left: int, limit: int = MIDDLE) -> None:
    """Put pels that are black or white already onto a page that is white there, as ``put`` does."""
    greys.cut(frame.octets, frame.pels, frame.pitch, frame.inked(), limit, words, left)


def load() -> None:
    """Load what is compiled of it, before a call depends on it: a picture on grey paper takes all of that."""
    grey = np.full((128, 128), WHITE_PAPER - 2 * PAPER_SPREAD, np.uint8)
    grey[:64] = WHITER // 2
    for screen in (Screen.AUTO, Screen.DIFFUSION):
        black_and_white(grey, screen=screen, resolution=Resolution.FINE)


def _dot(frame: Frame, inked: Words, words: Words, *, pictures: Grey | None, left: int, resolution: Resolution) -> None:
    """Put clustered dots where there are pictures, or everywhere: paper stays white and 0 black."""
    cell = _thresholds(DOT_CELL[resolution])
    rows, pels = _region(resolution)
    if pictures is None:
        pictures = np.ones((-(-frame.rows // rows), -(-frame.pels // pels)), np.uint8)
    where = Bitmap.from_pels(pictures.repeat(pels, axis=1)[:, : frame.pels]).words
    screen = np.tile(cell, -(-frame.pitch // cell.shape[1]))[:, : frame.pitch].ravel()
    greys.dot(frame.octets, frame.pitch, inked, screen, cell.shape[0], where, rows, words, left)


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


def _made_paper_white(frame: Frame, inked: Words) -> bool:
    """Stretch the greys so that the paper of a scan is white, where most of the page is one light grey."""
    if _is_on_white(frame, inked):
        return False
    tallies = np.zeros((greys.TALLIES, 256), np.int32)
    greys.count(frame.octets, frame.pels, frame.pitch, inked, tallies)
    counts = tallies.sum(axis=0)
    around = np.convolve(counts, np.ones(2 * PAPER_SPREAD + 1), "same")
    peak = int(around[PAPER:].argmax()) + PAPER
    near = slice(peak - PAPER_SPREAD, peak + PAPER_SPREAD + 1)
    paper = round(float((counts[near] * np.arange(256)[near]).sum()) / max(1, int(counts[near].sum())))
    if paper > WHITE_PAPER or counts[near].sum() < PAPER_SHARE * frame.rows * frame.pels:
        return False
    stretched = np.minimum(np.arange(256) * 255 // (paper - PAPER_SPREAD), 255).astype(np.uint8)
    greys.replace(frame.octets, frame.pels, frame.pitch, inked, stretched)
    return True


def _is_on_white(frame: Frame, inked: Words) -> bool:
    """Tell of most pages, in a look, that their paper is white already: other greys are too few for it.

    Paper that comes with white has a mean above ``WHITE_PAPER`` even if all else of it is as dark as can be beside
    white; paper that comes without white has its share of greys darker than that.
    """
    beside = WHITE - 2 * PAPER_SPREAD
    limits = np.array([PAPER - PAPER_SPREAD, beside, WHITE], np.int32)
    counts = np.zeros(3, np.int32)
    greys.count_darker(frame.octets, frame.pels, frame.pitch, inked, limits, counts)
    dark, darker, coloured = map(int, counts)
    pels = frame.rows * frame.pels
    light, white = coloured - darker, pels - coloured
    mean_above = light * beside + white * WHITE > (WHITE_PAPER + 0.5) * (light + white)
    return mean_above and coloured - dark < PAPER_SHARE * pels


def _pictures(frame: Frame, inked: Words, resolution: Resolution) -> Grey | None:
    """Return which regions are of a picture, shape (regions down, regions across), None for none at all."""
    rows, pels = _region(resolution)
    light, mid = (np.zeros((-(-frame.rows // rows), -(-frame.pels // pels)), np.int32) for _ in range(2))
    bounds = (STEEP, LIGHTEST_DOT, BLACKER, WHITER)
    greys.count_even(frame.octets, frame.pels, frame.pitch, inked, *bounds, rows, pels, light, mid)
    if not mid.any():
        return None
    found = _shares(mid, rows * pels, around=1) > PICTURE_SHARE * 255
    # Closed over small gaps, and grown over light greys: a dark coat and a pale sky belong to the picture around them.
    found = ~_spread(~_spread(_spread(found)))
    ground = _shares(light, rows * pels) > 0.5 * 255
    for _ in range(MOST_GROWTH):
        grown = found | _spread(found) & ground
        if np.array_equal(grown, found):
            break
        found = grown
    return found.astype(np.uint8) if found.any() else None


def _shares(counts: NDArray[np.int32], pels: int, *, around: int = 0) -> Grey:
    """Return the shares that counts are of the pels of a region, 255 for all, as a mean of the regions around each."""
    shares = (counts / pels * 255).astype(np.uint8)
    return np.asarray(Image.fromarray(shares).filter(ImageFilter.BoxBlur(around))) if around else shares


def _spread(regions: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add the eight regions around each."""
    down = regions.copy()
    down[1:] |= regions[:-1]
    down[:-1] |= regions[1:]
    spread = down.copy()
    spread[:, 1:] |= down[:, :-1]
    spread[:, :-1] |= down[:, 1:]
    return spread
