"""A page in the form in which it is filed: coded octets, first bit most significant, as TIFF and PDF take them."""

from dataclasses import dataclass

from t30.pages import Coding, Resolution, Width
from t30.t4 import Bitmap, encode

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
    octets = encode(bitmap, coding, k=4, end_of_page=coding is Coding.MMR)
    return CodedPage(width, resolution, bitmap.rows, coding, octets.translate(TURNED), bad_rows, longest_bad_run)
