"""Pages in MH, MR, MMR, T.85, and what turns one into another: any octets give rows, the same however they are cut.

Interpreted, where Atheris sees which branches are taken, pages are narrow, since a pel takes a thousand times longer.
"""

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from t30.pages import Coding
from t30.t4 import Bitmap, Decoded, Decoder, JbigDecoder, encode, jbig
from t30.t4.jbig import Header
from t30.t4.state import MAX_ROWS
from t30.t4.tables import MAX_WIDTH
from t30.t4.transcode import FromMmr, Transcoder, as_mmr, transcode, without_fill
from tests.fuzz.target import Reader, Target
from tests.t30.t4.watching import CALLS, INTERPRETED, KERNELS, watched

NARROW = 160
"""Widths up to this one are as they are said to be; the others are one of those below."""
WIDE = (200, 161) if INTERPRETED else (1728, 2048, 2432, 3456, MAX_WIDTH)
TO = (Coding.MMR, Coding.MR, Coding.MH)
JBIG_WIDTH, JBIG_ROWS = (12, 10) if INTERPRETED else (200, 250)
"""At most."""
AT_ITS_END = 8 if INTERPRETED else 64
"""Octets that are fed one by one."""


@np.errstate(over="ignore")  # interpreted, words that lose bits are worth a warning
def check(coding: Coding, octets: bytes) -> Decoded:
    """Decode what is after the first two octets, which say how, and turn it into the other codings."""
    reader = Reader(octets)
    said, how = reader.number(256), reader.number(256)
    width = said + 1 if said < NARROW else WIDE[said % len(WIDE)]
    stream = reader.rest()
    whole = _compare(stream, partial(Decoder, coding, width, from_first_eol=bool(how & 1)))
    assert whole.rows <= MAX_ROWS + 1
    above = np.vstack((np.zeros_like(whole.bitmap.words[:1]), whole.bitmap.words))[: whole.rows]
    assert np.array_equal(whole.bitmap.words[whole.damaged], above[whole.damaged]), "a damaged row is the one above it"
    if coding is Coding.MMR:
        assert whole.bad_rows <= 1 and not np.any(whole.damaged[:-1])
        _check_back(stream, whole, Coding.MR if how & 2 else Coding.MH)
    elif how & 2:
        _check_on_the_way(stream, coding, width, 1 + how // 4)
    if how & 4:
        _check_transcoded(stream, coding, TO[how // 8 % len(TO)], width)
    return whole


def _check_on_the_way(stream: bytes, coding: Coding, width: int, step: int) -> None:
    """Take the fill out of a page of MH or MR, and make MMR of it: the pieces that were asked for, the same pels."""
    if not stream:
        return
    with watched():
        bare = without_fill(stream, step)
    assert len(bare) == -(-len(stream) // step) and sum(map(len, bare)) <= len(stream)
    page = _decoded((stream,), Decoder(coding, width)).bitmap
    assert b"".join(as_mmr(stream, coding, width, step)) == encode(page, Coding.MMR)


def _check_transcoded(stream: bytes, coding: Coding, to: Coding, width: int) -> None:
    """Turn a page into another coding without a bitmap, at once and in pieces: as if it had been decoded and coded."""
    page = _decoded((stream,), Decoder(coding, width)).bitmap
    with watched():
        coder = Transcoder(coding, to, width)
        made = b"".join(map(coder.feed, _pieces(stream))) + coder.finish()
    assert made == transcode(stream, coding, to, width) == encode(page, to)


def _check_back(stream: bytes, whole: Decoded, coding: Coding) -> None:
    """Make MH or MR of a page of MMR: all rows that are good are there; one of MH or MR itself stays as it is."""
    back = FromMmr(coding, whole.bitmap.width, k=2, min_row_bits=24)
    made = b"".join(map(back.feed, _pieces(stream))) + back.finish()
    if back.as_it_is or len(stream) == 1:
        assert made == stream
        return
    good = whole.rows - whole.bad_rows
    again = _decoded((made,), Decoder(coding, whole.bitmap.width))
    assert again.rows >= good and not np.any(again.damaged[:good])
    assert np.array_equal(again.bitmap.words[:good], whole.bitmap.words[:good])


def corpus(coding: Coding) -> list[bytes]:
    """Return small pages, with and without fill and RTC, after the octets that say how to decode them."""
    rng = np.random.default_rng(1)
    found = []
    for said in (0, 7, 63, 129) if INTERPRETED else (0, 63, 129, 255):
        width = said + 1 if said < NARROW else WIDE[said % len(WIDE)]
        page = Bitmap.from_pels(np.repeat(rng.random((3, width)) < 0.1, 2, axis=0).view(np.uint8))
        how = bytes((said, said | 6))
        found += [how + encode(page, coding, k=2, min_row_bits=least, end_of_page=bool(least)) for least in (0, 96)]
        assert all(check(coding, each).bitmap == page for each in found[-2:])
    assert {name for _, name in KERNELS[: 2 if coding is Coding.MMR else 3]} <= CALLS.keys()
    return found


@np.errstate(over="ignore")
def check_jbig(octets: bytes) -> Decoded:
    """Decode what is after the first four octets, which say how wide and how long an image the rest is to be of."""
    reader = Reader(octets)
    width, rows, stripe = (1 + reader.number(most) for most in (JBIG_WIDTH, JBIG_ROWS, JBIG_WIDTH))
    options = reader.number(256)
    header = Header(width, rows, stripe, options & ~1).octets()
    whole = _compare(header[: 20 - options % 2] + reader.rest(), partial(JbigDecoder, width))
    assert whole.rows <= rows + 1
    assert whole.bad_rows <= 1 and not np.any(whole.damaged[:-1])
    return whole


def corpus_jbig() -> list[bytes]:
    """Return small pages, in stripes and in one, after the octets that say how to decode them."""
    rng = np.random.default_rng(2)
    found = []
    for width, stripe in ((1, 10), (8, 5), (12, 10)) if INTERPRETED else ((1, 128), (64, 5), (200, 128), (130, 1)):
        page = Bitmap.from_pels(np.repeat(rng.random((4, width)) < 0.1, 2, axis=0).view(np.uint8))
        how = bytes((width - 1, 7, stripe - 1, 8))
        stripes = jbig.encode(page, stripe=stripe)[20:]
        later = bytes((width - 1, 9, stripe - 1, 0x28)) + stripes + b"\xff\x05\0\0\0\x08"
        assert check_jbig(how + stripes).bitmap == check_jbig(later).bitmap == page
        found += [how + stripes, later, how + b"\xff\x06\0\0\0\0\x05\0" + stripes]
    return found


def _compare(stream: bytes, decoder: Callable[[], Decoder | JbigDecoder]) -> Decoded:
    """Decode a stream at once, and cut in two and octet by octet from there on: what is behind a cut must not show."""
    whole = _decoded((stream,), decoder())
    with watched():
        again = _decoded(_pieces(stream), decoder())
    assert whole.bitmap == again.bitmap
    assert np.array_equal(whole.damaged, again.damaged)
    assert np.array_equal(whole.damaged_at, again.damaged_at)
    assert whole.bitmap == Bitmap.from_pels(whole.bitmap.pels()), "bits past the width"
    return whole


def _pieces(stream: bytes) -> tuple[bytes, ...]:
    cut = len(stream) // 2
    ones = (stream[at : at + 1] for at in range(cut, min(cut + AT_ITS_END, len(stream))))
    return (stream[:cut], *ones, stream[cut + AT_ITS_END :])


def _decoded(pieces: Iterable[bytes], decoder: Decoder | JbigDecoder) -> Decoded:
    for piece in pieces:
        decoder.feed(piece)
    return decoder.finish()


TARGETS = (
    *(
        Target(each.value.lower(), partial(check, each), partial(corpus, each))
        for each in Coding
        if each is not Coding.T85
    ),
    Target("jbig", check_jbig, corpus_jbig),
)
"""One for each decoder."""
