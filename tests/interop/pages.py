"""Pages for calls with peers: short ones, so that a call is quick, and a comparison that says which rows differ.

Pillow alone reads and writes them, so that no code of ours stands between a peer's file and the verdict.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageSequence
from PIL.TiffImagePlugin import AppendingTiffWriter

Pels = NDArray[np.bool_]
"""Shape (rows, width), True = black."""

STANDARD = (204, 98)
FINE = (204, 196)


def text_page(rows: int = 300, *, title: str = "Page 1", width: int = 1728) -> Pels:
    """Draw lines of text across the page, each different, under a large title."""
    image = Image.new("L", (width, rows), 255)
    draw = ImageDraw.Draw(image)
    draw.text((80, 20), title, font=ImageFont.load_default(64), fill=0)
    small = ImageFont.load_default(24)
    for number, y in enumerate(range(110, rows, 34), start=1):
        draw.text((80, y), f"{title}, line {number}: the quick brown fox jumps over {number * 37} lazy dogs", 0, small)
    return np.asarray(image) < 128


def write_pages(path: Path, pages: Sequence[Pels], *, resolution: tuple[int, int] = FINE) -> Path:
    """Write the pages as a multi-page TIFF in T.6, all at ``resolution`` dots per inch across and down."""
    return write_mixed(path, [(page, resolution) for page in pages])


def write_mixed(path: Path, pages: Sequence[tuple[Pels, tuple[int, int]]]) -> Path:
    """Write pages that each have a resolution of their own."""
    with AppendingTiffWriter(str(path), new=True) as file:
        for page, resolution in pages:
            image = Image.fromarray(np.where(page, 0, 255).astype(np.uint8)).convert("1")
            image.save(file, format="TIFF", compression="group4", dpi=resolution)
            file.newFrame()
    return path


def read_pages(path: Path) -> list[Pels]:
    """Read every page of a TIFF."""
    with Image.open(path) as file:
        return [~np.asarray(image.convert("1")) for image in ImageSequence.Iterator(file)]


def differences(sent: Sequence[Pels], received: Sequence[Pels]) -> list[str]:
    """Say for each page that is not the same how it differs; an empty list means that every pel is right."""
    found = []
    if len(sent) != len(received):
        found.append(f"{len(sent)} pages sent, {len(received)} received")
    for number, (one, other) in enumerate(zip(sent, received, strict=False), start=1):
        if one.shape != other.shape:
            found.append(
                f"page {number}: {one.shape[0]} rows of {one.shape[1]} sent, {other.shape[0]} of {other.shape[1]} came"
            )
        if one.shape[1] == other.shape[1]:
            rows = min(len(one), len(other))
            wrong = np.flatnonzero((one[:rows] != other[:rows]).any(axis=1))
            if wrong.size:
                found.append(f"page {number}: {wrong.size} rows differ, the first {wrong[:5].tolist()}")
    return found
