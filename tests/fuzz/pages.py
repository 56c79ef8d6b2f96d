"""Pages in MH, MR, MMR, T.85: any octets give rows, the same however they are cut, and no more than a page of them."""

import numpy as np

from t30.pages import Coding
from t30.t4 import Bitmap, Decoded, Decoder, JbigDecoder, encode, jbig
from t30.t4.jbig import Header
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
    whole = _decoded((stream,), Decoder(coding, width, from_first_eol=from_first_eol))
    again = _decoded(_pieces(stream), Decoder(coding, width, from_first_eol=from_first_eol))
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


def check_jbig(octets: bytes) -> None:
    """Decode what is after the first four octets, which say how wide and how long an image the rest is to be of."""
    reader = Reader(octets)
    width, rows, stripe, options = (1 + reader.number(most) for most in (200, 300, 200, 256))
    header = Header(width, rows, stripe, options - 1).octets()
    stream = header[: 20 - options % 2] + reader.rest()
    whole, again = _decoded((stream,), JbigDecoder(width)), _decoded(_pieces(stream), JbigDecoder(width))
    assert whole.rows <= rows + 1
    assert whole.bitmap == again.bitmap
    assert np.array_equal(whole.damaged, again.damaged)
    assert whole.bitmap == Bitmap.from_pels(whole.bitmap.pels()), "bits past the width"
    assert whole.bad_rows <= 1


def corpus_jbig() -> list[bytes]:
    """Return small pages, in stripes and in one, after the octets that say how to decode them."""
    rng = np.random.default_rng(2)
    found = []
    for width, stripe in ((1, 128), (64, 5), (200, 128), (130, 1)):
        page = Bitmap.from_pels(np.repeat(rng.random((9, width)) < 0.1, 2, axis=0).view(np.uint8))
        how = bytes((width - 1, 17, stripe - 1, 8))
        found += [how + jbig.encode(page, stripe=stripe)[20:], how + b"\xff\x06\0\0\0\0\x05\0" + jbig.encode(page)[20:]]
        found.append(bytes((width - 1, 199, stripe - 1, 0x28)) + jbig.encode(page)[20:] + b"\xff\x05\0\0\0\x12")
    for each in found:
        check_jbig(each)
    return found


def _pieces(stream: bytes) -> tuple[bytes, ...]:
    cut = len(stream) // 2
    return (stream[:cut], *(stream[at : at + 1] for at in range(cut, min(cut + 64, len(stream)))), stream[cut + 64 :])


def _decoded(pieces: tuple[bytes, ...], decoder: Decoder | JbigDecoder) -> Decoded:
    for piece in pieces:
        decoder.feed(piece)
    return decoder.finish()


TARGETS = (Target("pages", check, corpus), Target("jbig", check_jbig, corpus_jbig))
