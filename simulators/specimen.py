"""Three pages to look at, which the sandbox sends: a letter, a test chart, a grey picture."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from simulators.tray import Sheet
from t30.pages import Resolution, Width
from t30.t4 import Bitmap

ACROSS, DOWN = 1728, 2292
"""An A4 page at fine resolution."""
LEFT, TOP, RIGHT = 150, 160, ACROSS - 150
LETTER = """\
Hello,

this is a fax from the sandbox of faxgw. Nobody
typed it, no telephone line was used, and nothing
was charged for it.

You called +1 555 0105, and your fax has arrived.
This number calls back after every call and sends
three pages, so that a program which receives
faxes has something to receive:

    page 1    this letter
    page 2    a chart of lines, rings and small print
    page 3    a picture in shades of grey

All three are A4 at fine resolution, and the same
in every call: what you have stored can be compared
from one day to the next, pel for pel.

Kind regards,
a simulated fax machine"""
STROKE = 16
"""Scan lines from one stroke of a picture to the next. Grey is drawn as an engraver does it, in strokes of more or less
weight: dots would take many times as long on the line."""


@cache
def specimen() -> tuple[Sheet, ...]:
    """Return the pages; they are drawn once."""
    return tuple(_sheet(draw(number + 1)) for number, draw in enumerate((_letter, _chart, _picture)))


def _sheet(image: Image.Image) -> Sheet:
    black = (np.asarray(image) == 0).astype(np.uint8)
    return Sheet(Bitmap.from_pels(black), Width.A4, Resolution.FINE)


def _paper(number: int, title: str) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("1", (ACROSS, DOWN), 1)
    draw = ImageDraw.Draw(image)
    draw.fontmode = "1"
    draw.text((LEFT, TOP), title, font=_font(64), fill=0)
    draw.text((RIGHT, TOP + 18), f"page {number} of 3", font=_font(40), fill=0, anchor="ra")
    draw.line((LEFT, TOP + 100, RIGHT, TOP + 100), fill=0, width=5)
    draw.text((LEFT, DOWN - 130), "faxgw sandbox, +1 555 0105. Not a real fax.", font=_font(34), fill=0)
    return image, draw


def _letter(number: int) -> Image.Image:
    image, draw = _paper(number, "A fax from the sandbox")
    draw.multiline_text((LEFT, TOP + 190), LETTER, font=_font(52), fill=0, spacing=24)
    return image


def _chart(number: int) -> Image.Image:
    image, draw = _paper(number, "Test chart")
    top = TOP + 170
    for column, period in enumerate((2, 4, 6, 8, 12, 16)):
        left = LEFT + column * 240
        draw.text((left, top), f"1 in {period}", font=_font(30), fill=0)
        for offset in range(0, 200, period):
            draw.rectangle((left + offset, top + 50, left + offset + period // 2 - 1, top + 200), fill=0)
            draw.rectangle((left, top + 230 + offset, left + 199, top + 230 + offset + period // 2 - 1), fill=0)
    centre, middle = ACROSS // 2 - 300, top + 780
    for radius in range(20, 301, 20):
        draw.ellipse(
            (centre - radius, middle - radius, centre + radius, middle + radius), outline=0, width=radius // 40 + 1
        )
    for turn in np.linspace(0, np.pi, 25):
        x, y = 280 * np.cos(turn), 280 * np.sin(turn)
        draw.line((centre + 600 - x, middle - y, centre + 600 + x, middle + y), fill=0, width=2)
    line = top + 1150
    for size in (72, 56, 44, 36, 28, 22, 18):
        draw.text((LEFT, line), "The quick brown fax 0123456789", font=_font(size), fill=0)
        line += size + 22
    draw.rectangle((LEFT, line + 20, RIGHT, line + 120), fill=0)
    draw.text((LEFT + 40, line + 40), "White on black", font=_font(52), fill=1)
    return image


def _picture(number: int) -> Image.Image:
    image, draw = _paper(number, "Shades of grey")
    top, across, down = TOP + 170, RIGHT - LEFT, 1000
    image.paste(_engraved(_hills(across, down)), (LEFT, top))
    draw.rectangle((LEFT, top, RIGHT, top + down), outline=0, width=3)
    draw.text((LEFT, top + down + 30), "Hills by a lake, in the evening", font=_font(40), fill=0)
    wedge = np.repeat(np.arange(16) / 15.0, -(-across // 16))[:across]
    image.paste(_engraved(np.tile(wedge, (220, 1))), (LEFT, top + down + 160))
    draw.rectangle((LEFT, top + down + 160, RIGHT, top + down + 380), outline=0, width=3)
    draw.text((LEFT, top + down + 400), "Sixteen steps from black to white", font=_font(40), fill=0)
    return image


def _hills(across: int, down: int) -> NDArray[np.float64]:
    y, x = np.mgrid[0:down, 0:across] / down
    grey = 0.95 - 0.35 * y
    grey = np.where((x - 1.0) ** 2 + (y - 0.25) ** 2 < 0.008, 1.0, grey)
    for height, tone, waves in ((0.42, 0.55, 4.0), (0.52, 0.35, 6.5), (0.62, 0.15, 9.0)):
        ridge = height + 0.07 * np.sin(waves * x + waves) + 0.02 * np.sin(3.7 * waves * x)
        grey = np.where(y > ridge, tone + 0.4 * (y - ridge), grey)
    ripples = 0.6 + 0.2 * np.sin(120 * (y - 0.74) / (0.3 + y)) * np.cos(5 * x)
    water: NDArray[np.float64] = np.where(y > 0.76, ripples - 0.3 * np.abs(x - 1.0), grey)
    return water


def _engraved(grey: NDArray[np.float64]) -> Image.Image:
    """Return shades from 0.0, black, to 1.0, white, as strokes."""
    heaviest_first = np.argsort(np.argsort(np.abs(np.arange(STROKE) - STROKE / 2 + 0.4)))
    weight = np.resize((heaviest_first + 0.5) / STROKE, len(grey))
    white = grey > 1 - weight[:, None]
    return Image.fromarray(np.where(white, 255, 0).astype(np.uint8)).convert("1")


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
