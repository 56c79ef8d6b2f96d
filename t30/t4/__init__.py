"""The image codec: pages of pels to octets of T.4 (MH, MR), T.6 (MMR) and T.85 (JBIG), and back."""

from collections.abc import Iterable

import numpy as np

from t30.pages import Coding
from t30.t4 import jbig
from t30.t4.decode import Decoded, Decoder
from t30.t4.encode import encode, usual_k
from t30.t4.jbig import JbigDecoder
from t30.t4.raster import Bitmap

__all__ = [
    "Bitmap",
    "Decoded",
    "Decoder",
    "JbigDecoder",
    "PageDecoder",
    "coded",
    "decoder",
    "encode",
    "load_kernels",
    "usual_k",
]

PageDecoder = Decoder | JbigDecoder


def decoder(
    coding: Coding, width: int, *, from_first_eol: bool = False, conceal: bool = True, msb_first: bool = False
) -> PageDecoder:
    """Return what decodes a page of any coding; see ``Decoder`` and ``JbigDecoder``, whose octets know one order only.

    Raises:
        ValueError: if the width is not 1 to 4864 pels.
    """
    if coding is Coding.T85:
        return JbigDecoder(width, conceal=conceal)
    return Decoder(coding, width, from_first_eol=from_first_eol, conceal=conceal, msb_first=msb_first)


def coded(bitmap: Bitmap, coding: Coding, *, k: int = 4, min_row_bits: int = 0, shortest: bool = False) -> bytes:
    """Code a page for the line in any coding; see ``encode``, and ``jbig.encode`` for T.85, which has no fill.

    Raises:
        ValueError: as those.
    """
    if coding is Coding.T85:
        return jbig.encode(bitmap)
    return encode(bitmap, coding, k=k, min_row_bits=min_row_bits, shortest=shortest)


def load_kernels(codings: Iterable[Coding]) -> None:
    """Load all that is compiled for pages in these codings, so that no call waits for it.

    It takes half a second; the first time after installation, when there is nothing to load yet, some seconds.
    """
    blank = Bitmap(64, np.zeros((2, 1), np.uint64))
    for coding in codings:
        page = decoder(coding, blank.width)
        page.feed(coded(blank, coding))
        page.finish()
        coded(blank, coding, shortest=True)
    encode(blank, Coding.MMR, msb_first=True)
