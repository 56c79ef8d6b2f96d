"""Pages to code: text, a picture, plain and random ones, and what Hypothesis draws."""

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from t30.t4 import Bitmap

WIDTHS = (1, 7, 63, 64, 65, 1728, 2048, 2432, 4864)
LINE = "The quick brown fox jumps over 13 lazy dogs. EOL 000000000001. "


def text(width: int, rows: int = 600) -> Bitmap:
    """Set lines of text in several sizes."""
    image = Image.new("L", (width, rows), 255)
    draw = ImageDraw.Draw(image)
    top, size = 20, 14
    while top < rows:
        draw.text((30, top), LINE * 4, 0, ImageFont.load_default(size))
        top, size = top + 2 * size, 14 + (size + 5) % 30
    return Bitmap.from_pels((np.asarray(image, np.uint8) < 128).view(np.uint8))


def dithered(width: int, rows: int = 200) -> Bitmap:
    """Diffuse the error of a grey ramp."""
    ramp = np.linspace(0, 255, width)[None, :] * np.linspace(0.3, 1, rows)[:, None]
    image = Image.fromarray(ramp.astype(np.uint8)).convert("1")
    return Bitmap.from_pels((np.asarray(image, np.bool_) == 0).view(np.uint8))


def dots(width: int, rows: int = 97) -> Bitmap:
    """Print a grey ramp in clustered dots, as photos are."""
    ramp = np.linspace(0, 255, width)[None, :] * np.linspace(0.3, 1, rows)[:, None]
    down, across = np.indices((8, 8)) / 8
    hills = np.cos(2 * np.pi * (across + down)) + np.cos(2 * np.pi * (across - down))
    limits = 255 * hills.ravel().argsort().argsort().reshape(8, 8) / 64
    return Bitmap.from_pels((ramp < np.tile(limits, (-(-rows // 8), -(-width // 8)))[:rows, :width]).view(np.uint8))


def white(width: int, rows: int = 50) -> Bitmap:
    return Bitmap.from_pels(np.zeros((rows, width), np.uint8))


def black(width: int, rows: int = 50) -> Bitmap:
    return Bitmap.from_pels(np.ones((rows, width), np.uint8))


def noise(width: int, rows: int = 60) -> Bitmap:
    return Bitmap.from_pels(np.random.default_rng(width).integers(0, 2, (rows, width), np.uint8))


def alike(width: int, rows: int = 120) -> Bitmap:
    """Draw rows that resemble the one above, so that every mode of two-dimensional coding turns up."""
    return Bitmap.from_pels(_alike(np.random.default_rng(width), width, rows))


PAGES: dict[str, Callable[[int], Bitmap]] = {
    "text": text,
    "dithered": dithered,
    "dots": dots,
    "white": white,
    "black": black,
    "noise": noise,
    "alike": alike,
}


def _alike(rng: np.random.Generator, width: int, rows: int) -> NDArray[np.uint8]:
    pels = np.zeros((rows, width), np.uint8)
    changes = np.sort(rng.integers(0, width + 1, rng.integers(0, min(width, 60) + 1)))
    for row in pels:
        kind = rng.random()
        if kind < 0.1:
            changes = np.sort(rng.integers(0, width + 1, rng.integers(0, min(width, 60) + 1)))
        elif kind < 0.9:
            changes = np.sort(np.clip(changes + rng.integers(-4, 5, changes.shape), 0, width))
            changes = changes[rng.random(changes.shape) < 0.97]
        for start, end in zip(changes[::2], [*changes[1::2], width], strict=False):
            row[start:end] ^= 1
    return pels


@st.composite
def bitmaps(draw: st.DrawFn, *, max_width: int = 300, max_rows: int = 20) -> Bitmap:
    """Draw pages of 0 rows or more, of any width, now and then of a fax width."""
    width = draw(st.integers(1, max_width) | st.sampled_from(WIDTHS))
    rows = draw(st.integers(0, max_rows))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    ink = draw(st.sampled_from([None, 0.0, 0.03, 0.5, 0.97, 1.0]))
    pels = _alike(rng, width, rows) if ink is None else (rng.random((rows, width)) < ink).view(np.uint8)
    return Bitmap.from_pels(pels)
