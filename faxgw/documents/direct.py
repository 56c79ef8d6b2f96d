"""TIFF files whose pages are fax pages already, taken over pel for pel without a worker.

Only the plainest form of TIFF-F is taken: one MMR strip a page, of a width and resolution that fax machines have, whole
and without damage. Whatever else comes, damaged or odd or hostile, is a worker's; nothing here looks further than it
must, and the pels come from our own decoder, which never reads past its input.

A strip that ends with its page, as those that are filed do, is filed as it came: it was decoded to its end without
damage, so coding the same pels again would make nothing better of it.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from faxgw.documents.coded import TURNED, CodedPage, coded_page, page_hash
from faxgw.documents.prepare import PreparedPage
from t30.pages import Coding, Resolution, Width
from t30.t4 import Decoder
from t30.t4.batch import over_threads

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, STRIPS, ORIENTATION = 256, 257, 258, 259, 262, 266, 273, 274
SAMPLES, STRIP_ROWS, STRIP_OCTETS, ACROSS, DOWN, T6_OPTIONS, UNIT = 277, 278, 279, 282, 283, 293, 296
PLAIN = {BITS: 1, COMPRESSION: 4, PHOTOMETRIC: 0, ORIENTATION: 1, SAMPLES: 1, T6_OPTIONS: 0, UNIT: 2}
"""What these tags must say."""
DEFAULTS = {BITS: 1, FILL_ORDER: 1, ORIENTATION: 1, SAMPLES: 1, T6_OPTIONS: 0, UNIT: 2}
SHORT, LONG, RATIONAL = 3, 4, 5
MOST_TAGS = 64

SHAPES: dict[tuple[int | Fraction | None, ...], tuple[Width, Resolution]] = {
    (resolution.pels(width), resolution.across, resolution.down): (width, resolution)
    for width in Width
    for resolution in Resolution
}
"""Pels per line, and pels per inch across and down, of every fax page there is."""

EOFB, EOFB_MASK = 0x001001, 0xFFFFFF
"""With what a page in MMR ends, and the bits that it takes."""
EOFB_OCTETS = 4
"""In so many octets it ends, wherever in them it begins."""

Tags = Mapping[int, int | Fraction]


def fax_pages(octets: bytes, *, most: int) -> list[PreparedPage] | None:
    """Return the pages of a TIFF-F file as they are; None if it is anything but the plainest. Blocks, on every core.

    Args:
        octets: the file.
        most: so many pages are taken at most; None is returned for more.
    """
    strips = _strips(octets, most=most) or []
    pages = over_threads(
        lambda index: _decoded(strips[index], index),
        range(len(strips)),
        size=lambda index: len(strips[index].octets),
    )
    whole = [page for page in pages if page is not None]
    return whole if whole and len(whole) == len(strips) else None


def fax_page_count(octets: bytes, *, most: int) -> int | None:
    """Return how many pages ``fax_pages`` would give if none is damaged; None as there. Nothing is decoded."""
    strips = _strips(octets, most=most)
    return len(strips) if strips else None


@dataclass(frozen=True, slots=True)
class _Strip:
    """A page as it lies in its file: MMR, first bit most significant."""

    width: Width
    resolution: Resolution
    rows: int
    octets: bytes


def _strips(octets: bytes, *, most: int) -> list[_Strip] | None:
    if len(octets) < 8 or octets[:4] not in (b"II*\0", b"MM\0*"):
        return None
    order = "<" if octets[:1] == b"I" else ">"
    strips: list[_Strip] = []
    (at,) = struct.unpack_from(f"{order}I", octets, 4)
    try:
        while at:
            tags, at = _directory(octets, order, at)
            strip = _strip(octets, tags) if len(strips) < most else None
            if strip is None:
                return None
            strips.append(strip)
    except (struct.error, _Odd):
        return None
    return strips


class _Odd(Exception):
    """Something that a plain file does not have."""


def _directory(octets: bytes, order: str, at: int) -> tuple[Tags, int]:
    """Return the tags that have one value, and where the next directory is."""
    (count,) = struct.unpack_from(f"{order}H", octets, at)
    if count > MOST_TAGS:
        raise _Odd
    tags: dict[int, int | Fraction] = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", octets, entry)
        if tag in PLAIN or tag in (WIDTH, LENGTH, FILL_ORDER, STRIPS, STRIP_ROWS, STRIP_OCTETS, ACROSS, DOWN):
            if values != 1 or tag in tags:
                raise _Odd
            tags[tag] = _value(octets, order, kind, entry + 8)
    (following,) = struct.unpack_from(f"{order}I", octets, at + 2 + 12 * count)
    return tags, following


def _value(octets: bytes, order: str, kind: int, at: int) -> int | Fraction:
    if kind == SHORT:
        return int(struct.unpack_from(f"{order}H", octets, at)[0])
    (value,) = struct.unpack_from(f"{order}I", octets, at)
    if kind == LONG:
        return int(value)
    if kind != RATIONAL:
        raise _Odd
    above, below = struct.unpack_from(f"{order}II", octets, value)
    if not below:
        raise _Odd
    return Fraction(above, below)


def _strip(octets: bytes, tags: Tags) -> _Strip | None:
    said = {**DEFAULTS, **tags}
    if any(said.get(tag) != value for tag, value in PLAIN.items()):
        return None
    shape = SHAPES.get((said.get(WIDTH), said.get(ACROSS), said.get(DOWN)))
    rows, begins, length = (int(said.get(tag, 0)) for tag in (LENGTH, STRIPS, STRIP_OCTETS))
    if shape is None or said[FILL_ORDER] not in (1, 2):
        return None
    width, resolution = shape
    if int(said.get(STRIP_ROWS, rows)) < rows or not 0 < length <= len(octets) - begins:
        return None
    strip = octets[begins : begins + length]
    return _Strip(width, resolution, rows, strip.translate(TURNED) if said[FILL_ORDER] == 2 else strip)


def _decoded(strip: _Strip, index: int) -> PreparedPage | None:
    """Return a page, None if it is damaged."""
    decoder = Decoder(Coding.MMR, strip.resolution.pels(strip.width), msb_first=True)
    decoder.feed(strip.octets[:-EOFB_OCTETS])
    ended_before = decoder.page_ended
    decoder.feed(strip.octets[-EOFB_OCTETS:])
    decoded = decoder.finish()
    if decoded.rows != strip.rows or decoded.bad_rows:
        return None
    if not ended_before and _ends_a_page(strip.octets):
        page = CodedPage(strip.width, strip.resolution, decoded.rows, Coding.MMR, strip.octets, 0, 0)
    else:
        page = coded_page(decoded.bitmap, width=strip.width, resolution=strip.resolution)
    return PreparedPage(index, page, page_hash(decoded.bitmap, strip.resolution))


def _ends_a_page(octets: bytes) -> bool:
    """Tell whether a strip, first bit most significant, ends with EOFB and the zeros that fill its last octet."""
    last = int.from_bytes(octets[-EOFB_OCTETS:])
    return octets[-1] != 0 and (last >> ((last & -last).bit_length() - 1)) & EOFB_MASK == EOFB
