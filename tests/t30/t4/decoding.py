"""Decoding as the tests do it: in chunks, with a look at what must hold whatever came in."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from t30.pages import Coding
from t30.t4 import Bitmap, Decoded, Decoder


def decode(coding: Coding, width: int, chunks: Sequence[bytes]) -> tuple[Decoder, Decoded]:
    """Decode chunks, and check what must hold whatever is in them."""
    decoder = Decoder(coding, width)
    for chunk in chunks:
        decoder.feed(chunk)
    page = decoder.finish()
    assert page.damaged.shape == (page.rows,)
    assert page.damaged_at.shape == (page.bad_rows,)
    assert list(page.damaged_at) == sorted(page.damaged_at)
    assert all(0 <= bit <= 8 * sum(map(len, chunks)) for bit in page.damaged_at)
    assert (decoder.rows, decoder.bad_rows) == (page.rows, page.bad_rows) == (page.rows, sum(page.damaged))
    runs = "".join("#" if bad else " " for bad in page.damaged).split()
    assert decoder.longest_bad_run == page.longest_bad_run == max(map(len, runs), default=0)
    assert page.bitmap == Bitmap.from_pels(page.bitmap.pels()), "bits past the width"
    above = np.vstack((np.zeros_like(page.bitmap.words[:1]), page.bitmap.words))[: page.rows]
    assert np.array_equal(page.bitmap.words[page.damaged], above[page.damaged]), "a damaged row is the one above it"
    return decoder, page


def cut(octets: bytes, places: Sequence[int]) -> list[bytes]:
    edges = sorted({0, len(octets), *(place % (len(octets) + 1) for place in places)})
    return [octets[start:end] for start, end in pairwise(edges)]


def octets_of(bits: str) -> bytes:
    """Turn bits as written in the Recommendations into octets, the first bit on the wire least significant."""
    bits = bits.replace(" ", "")
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))
