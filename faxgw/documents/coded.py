"""A page in the form in which it is filed: coded octets, first bit most significant, as TIFF and PDF take them."""

import hashlib
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from t30.pages import Coding, Resolution, Width
from t30.t4 import Bitmap, Decoder, encode
from t30.t4.order import turn_octets

TURNED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
"""Each octet with its bits in the other order, for ``bytes.translate``: the wire's order to the file's, and back."""


@dataclass(frozen=True, slots=True)
class CodedPage:
    """A page to file. ``bad_rows`` of its rows were damaged on the way and have been repaired."""

    width: Width
    resolution: Resolution
    rows: int
    coding: Coding
    octets: bytes
    bad_rows: int = 0
    longest_bad_run: int = 0

    @property
    def pels(self) -> int:
        """Pels per scan line."""
        return self.resolution.pels(self.width)


def coded_page(
    bitmap: Bitmap,
    *,
    width: Width,
    resolution: Resolution,
    coding: Coding = Coding.MMR,
    bad_rows: int = 0,
    longest_bad_run: int = 0,
) -> CodedPage:
    """Code a page for filing: without fill, MMR with EOFB and the others without RTC, as TIFF-F has it."""
    octets = encode(bitmap, coding, k=4, end_of_page=coding is Coding.MMR, msb_first=True)
    return CodedPage(width, resolution, bitmap.rows, coding, octets, bad_rows, longest_bad_run)


def bitmap_of(page: CodedPage) -> Bitmap:
    """Decode a filed page; blocks for some 5 ms. Damage is repaired as it is in a page received."""
    decoder = Decoder(page.coding, page.pels, msb_first=True)
    decoder.feed(page.octets)
    return decoder.finish().bitmap


def page_hash(bitmap: Bitmap, resolution: Resolution) -> bytes:
    r"""Return the SHA-256 of a page's pels: the same pels, the same hash, whatever they were coded in.

    It covers one line of text, ``faxgw page 1``, one with pels per line, rows, and pels per inch across and down, then
    the rows as in a PBM file: whole octets, first pel most significant, black = 1.

    >>> import numpy as np
    >>> bitmap = Bitmap.from_pels(np.ones((2, 9), np.uint8))
    >>> lines = b"faxgw page 1\n9 2 204 196\n" + bytes([0xFF, 0x80, 0xFF, 0x80])
    >>> page_hash(bitmap, Resolution.FINE) == hashlib.sha256(lines).digest()
    True
    """
    text = f"faxgw page 1\n{bitmap.width} {bitmap.rows} {resolution.across} {resolution.down}\n"
    digest = hashlib.sha256(text.encode())
    digest.update(packed(bitmap).data)
    return digest.digest()


def packed(bitmap: Bitmap) -> NDArray[np.uint8]:
    """Return the rows as in a PBM file: shape (rows, ceil(width / 8)), first pel most significant, black = 1."""
    words = np.array(bitmap.words, np.uint64, order="C")
    turn_octets(words.reshape(-1), words.size)
    return np.ascontiguousarray(words.view(np.uint8)[:, : -(-bitmap.width // 8)])


# --------------------------------------------------------------------------------------------------- a page by itself

_ALONE = "image/g4; width={}; resolution={}; rows={}; bad-rows={}; longest-bad-run={}"
_ALONE_PATTERN = re.compile(_ALONE.format(r"(\w+)", r"(\w+)", r"(\d+)", r"(\d+)", r"(\d+)"))


def media_type(page: CodedPage) -> str:
    """Say what the octets of a page in MMR are, so that it can be read from them alone.

    >>> media_type(CodedPage(Width.A4, Resolution.FINE, 2287, Coding.MMR, b""))
    'image/g4; width=A4; resolution=fine; rows=2287; bad-rows=0; longest-bad-run=0'
    """
    said = (page.width.name, page.resolution.label, page.rows, page.bad_rows, page.longest_bad_run)
    return _ALONE.format(*said)


def page_of(said: str, octets: bytes) -> CodedPage | None:
    """Return the page that octets of this media type are; None if it says that they are something else."""
    found = _ALONE_PATTERN.fullmatch(said)
    if found is None:
        return None
    width, resolution, *counts = found.groups()
    rows, bad_rows, longest = map(int, counts)
    resolutions = {each.label: each for each in Resolution}
    return CodedPage(Width[width], resolutions[resolution], rows, Coding.MMR, octets, bad_rows, longest)
