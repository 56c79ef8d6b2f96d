"""The documents of seeded calls: pages of every kind and size, no two of a document alike."""

from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np

from simulators.tray import Sheet, Tray
from t30.pages import FetchPage, NoMorePages, PageAction, PageEvent, PageFormat, PageReady, Resolution, Width
from t30.t4 import Bitmap

KINDS = ("text", "text", "text", "blank", "dense", "long")
MOST_PAGES = 12
ROWS = {"text": (40, 150, 400), "blank": (30, 1100), "dense": (60, 300), "long": (1100,)}
"""Scan lines of a page; a dense one takes a partial page of 64 KB and more, a long one a minute at 4800 bit/s."""


@cache
def paper(kind: str, number: int, rows: int, width: Width, resolution: Resolution) -> Sheet:
    """Return a page. Pages of another ``number`` look different; blank ones have as many lines more."""
    pels = resolution.pels(width)
    random = np.random.default_rng((number, rows, pels, len(kind)))
    if kind == "blank":
        black = np.zeros((rows + number, pels), np.uint8)
    elif kind == "dense":
        black = (random.random((rows, pels)) < 0.5).astype(np.uint8)
    else:
        words = random.random((-(-rows // 4), -(-pels // 8))) < 0.15
        black = np.repeat(np.repeat(words, 8, axis=1), 4, axis=0)[:rows, :pels].astype(np.uint8)
        black[:, : pels // 8] = 0
    return Sheet(Bitmap.from_pels(black), width, resolution)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a document, as it was drawn: what it becomes depends on what the receiver can take."""

    kind: str
    number: int
    rows: int
    width: Width
    resolution: Resolution

    @classmethod
    def drawn(cls, random: Random, number: int) -> "Page":
        kind = random.choice(KINDS)
        width, resolution = Width.A4, Resolution.STANDARD
        if random.random() < 0.25:
            width, resolution = random.choice(list(Width)), random.choice(list(Resolution))
        return cls(kind, number, random.choice(ROWS[kind]), width, resolution)

    def sheet(self, width: Width, resolutions: frozenset[Resolution]) -> Sheet:
        """Return it as a receiver can take it: too wide or too fine, it is another picture on A4 at standard."""
        fits = self.width.value <= width.value and self.resolution in resolutions
        size = (self.width, self.resolution) if fits else (Width.A4, Resolution.STANDARD)
        return paper(self.kind, self.number, self.rows, *size)


class Document(Tray):
    """A page source that keeps to what the receiver can take, as the gateway does.

    Attributes:
        sent: what each page was when it was fetched last.
    """

    def __init__(self, pages: tuple[Page, ...]) -> None:
        super().__init__()
        self.pages = pages
        self.sent: dict[int, Sheet] = {}

    async def perform(self, action: PageAction) -> PageEvent:
        if not isinstance(action, FetchPage):
            return await super().perform(action)
        if action.index >= len(self.pages):
            return NoMorePages()
        limits = action.limits
        sheet = self.pages[action.index].sheet(limits.width, limits.resolutions)
        self.sent[action.index] = sheet
        format = PageFormat(sheet.width, sheet.length, sheet.resolution, limits.coding, limits.ecm)
        return PageReady(format, sheet.coded(format, action.min_row_bits), sheet.bitmap.rows)
