"""Pages that are fax pages already, each different from the others."""

import numpy as np

from faxgw.documents.coded import CodedPage, coded_page
from t30.pages import Resolution, Width
from t30.t4 import Bitmap


def fax_pages(count: int, *, rows: int = 300, seed: int = 1) -> list[CodedPage]:
    """Return ``count`` pages of black boxes."""
    chance = np.random.default_rng(seed)
    pages = []
    for _ in range(count):
        pels = np.zeros((rows, Width.A4.value), np.uint8)
        for _ in range(30):
            top, left = chance.integers(0, rows - 20), chance.integers(0, 1600)
            pels[top : top + 10, left : left + chance.integers(10, 100)] = 1
        pages.append(coded_page(Bitmap.from_pels(pels), width=Width.A4, resolution=Resolution.FINE))
    return pages
