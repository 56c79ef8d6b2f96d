"""Pages in MH, MR and MMR: any octets give rows, the same however they are cut, and no more than a page of them."""

import numpy as np

from t30.pages import Coding
from t30.t4 import Bitmap, Decoded, Decoder, encode
from t30.t4.state import MAX_ROWS
from t30.t4.tables import MAX_WIDTH
from tests.fuzz.target import Reader, Target

CODINGS = (Coding.MH, Coding.MR, Coding.MMR)


def check(octets: bytes) -> None:
    """Decode what is after the first four octets, which say how: at once, cut in two, and octet by octet at its end."""
    reader = Reader(octets)
    coding = CODINGS[reader.number(3)]
    from_first_eol = reader.number(2) == 1
    width = 1 + reader.number(65536) % MAX_WIDTH
    stream = reader.rest()
    cut = len(stream) // 2
    whole = _decoded((stream,), coding, width, from_first_eol)
    pieces = (stream[:cut], *(stream[at : at + 1] for at in range(cut, min(cut + 64, len(stream)))), stream[cut + 64 :])
    again = _decoded(pieces, coding, width, from_first_eol)
    assert whole.rows <= MAX_ROWS + 1
    assert whole.bitmap == again.bitmap
    assert np.array_equal(whole.damaged, again.damaged)
    assert whole.bitmap == Bitmap.from_pels(whole.bitmap.pels()), "bits past the width"
    assert coding is not Coding.MMR or whole.bad_rows <= 1


def corpus() -> list[bytes]:
    """Return a small page in each coding, with and without fill, after the octets that say how to decode it."""
    rng = np.random.default_rng(1)
    found = []
    for number, coding in enumerate(CODINGS):
        for width in (1, 64, 200, 1728):
            page = Bitmap.from_pels(np.repeat(rng.random((6, width)) < 0.1, 3, axis=0).view(np.uint8))
            how = bytes((number, width % 2)) + (width - 1).to_bytes(2, "big")
            found += [how + encode(page, coding, min_row_bits=least) for least in (0, 96)]
    for each in found:
        check(each)  # compiles what is not compiled yet, which takes longer than an input may
    return found


def _decoded(pieces: tuple[bytes, ...], coding: Coding, width: int, from_first_eol: bool) -> Decoded:
    decoder = Decoder(coding, width, from_first_eol=from_first_eol)
    for piece in pieces:
        decoder.feed(piece)
    return decoder.finish()


TARGETS = (Target("pages", check, corpus),)
