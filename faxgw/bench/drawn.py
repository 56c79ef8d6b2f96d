"""Pages drawn for ``faxgw bench codec`` where the ITU charts are not at hand: of the same size, and as different."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from t30.t4 import Bitmap

_WORDS = "Voucher 4711 of the twelfth: received with thanks, payable within 30 days net. "
_SIZES = (28, 60, 34, 20, 40, 80)
_RULES = (60, 180)


def drawn_pages(width: int, rows: int) -> list[Bitmap]:
    """Draw six pages of text from sparse to dense, one of rules, and one of a halftone."""
    pages = [_text(width, rows, size, step) for size, step in zip(_SIZES, (3.0, 4.0, 2.0, 1.2, 1.6, 6.0), strict=True)]
    return [*pages, _ruled(width, rows), _halftone(width, rows)]


def _text(width: int, rows: int, size: int, step: float) -> Bitmap:
    image = Image.new("L", (width, rows), 255)
    draw = ImageDraw.Draw(image)
    for line, top in enumerate(range(2 * size, rows - 2 * size, int(size * step))):
        draw.text((2 * size, top), (_WORDS * 3)[line % 20 :], 0, ImageFont.load_default(size))
    return _black_of(image)


def _ruled(width: int, rows: int) -> Bitmap:
    image = Image.new("L", (width, rows), 255)
    draw = ImageDraw.Draw(image)
    for place in range(_RULES[0], max(width, rows), _RULES[1]):
        draw.line((place, 0, place, rows), 0, 3)
        draw.line((0, place, width, place), 0, 3)
        draw.line((0, place, place, 0), 0, 2)
    return _black_of(image)


def _halftone(width: int, rows: int) -> Bitmap:
    """Draw dots of growing size, eight pels apart."""
    down, across = np.mgrid[0:rows, 0:width]
    dots = (np.cos(across * np.pi / 8) * np.cos(down * np.pi / 8) + 1) / 2
    return Bitmap.from_pels((dots < across / width).view(np.uint8))


def _black_of(image: Image.Image) -> Bitmap:
    return Bitmap.from_pels((np.asarray(image, np.uint8) < 128).view(np.uint8))
