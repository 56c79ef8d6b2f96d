"""TIFF-F (RFC 2306, RFC 3949 profile F), written page by page so that no page once filed is ever lost.

A page is appended behind everything else and flushed to the disk; only then the four octets that point to it are
changed and flushed. Whenever the machine stops, the file holds every page that ``put`` has returned from: a page half
written is rubbish behind the last page, which readers never reach.

Own code because no library does it: tifffile refuses compressed bilevel pages, Pillow only writes whole files.
"""

import os
import struct
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from faxgw.documents.coded import CodedPage
from t30.pages import Coding

SHORT, LONG, RATIONAL, ASCII = 3, 4, 5, 2
GROUP_3, GROUP_4 = 3, 4
TWO_DIMENSIONAL = 1
REPAIRED, CLEAN = 1, 0
SOFTWARE = b"faxgw\0"
HEADER = struct.Struct("<2sHI")
ENTRY = struct.Struct("<HHII")
POINTER = struct.Struct("<I")
FIRST_POINTER = 4


@dataclass(frozen=True, slots=True)
class _Filed:
    """Where a page lies in the file; ``page`` without its octets."""

    page: CodedPage
    strip: int
    octets: int
    directory: int
    next_pointer: int


class TiffFile:
    """A TIFF-F file being written. It comes into being with its first page; safe to use from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._filed: dict[int, _Filed] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._filed)

    def put(self, index: int, page: CodedPage) -> None:
        """File page ``index``, in place of what was filed under that number; it is on the disk when this returns.

        Raises:
            OSError: if it cannot be written; the pages before are as they were.
        """
        with self._lock:
            if self._descriptor is None:
                self._begin(index, page)
            else:
                self._append(self._descriptor, index, page)

    def pages(self) -> list[int]:
        """Return the numbers of the filed pages, in order."""
        return sorted(self._filed)

    def page(self, index: int) -> CodedPage:
        """Read a filed page back."""
        with self._lock:
            filed = self._filed[index]
            assert self._descriptor is not None
            return replace(filed.page, octets=os.pread(self._descriptor, filed.octets, filed.strip))

    def close(self) -> None:
        """Close the file; it is whole at any time, so this adds nothing."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _begin(self, index: int, page: CodedPage) -> None:
        """Make the file with its first page under another name: under its own it is never without a page."""
        unfinished = self._path.with_name(f".{self._path.name}.part")
        descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            _write(descriptor, HEADER.pack(b"II", 42, 0), at=0)
            self._append(descriptor, index, page)
            unfinished.rename(self._path)
        except BaseException:
            self._filed.clear()
            os.close(descriptor)
            with suppress(OSError):
                unfinished.unlink()
            raise
        self._descriptor = descriptor
        _flush_folder(self._path.parent)

    def _append(self, descriptor: int, index: int, page: CodedPage) -> None:
        before = max((one for one in self._filed if one < index), default=None)
        after = min((one for one in self._filed if one > index), default=None)
        end = os.fstat(descriptor).st_size
        octets, filed = _laid_out(
            page,
            start=end + end % 2,
            number=sum(one < index for one in self._filed),
            following=0 if after is None else self._filed[after].directory,
        )
        _write(descriptor, octets, at=filed.strip)
        pointer = FIRST_POINTER if before is None else self._filed[before].next_pointer
        _write(descriptor, POINTER.pack(filed.directory), at=pointer)
        self._filed[index] = filed


def tiff_octets(pages: Iterable[CodedPage]) -> bytes:
    """Return pages as one TIFF-F; the same pages give the same octets."""
    out = bytearray(HEADER.pack(b"II", 42, 0))
    pointer = FIRST_POINTER
    for number, page in enumerate(pages):
        octets, filed = _laid_out(page, start=len(out), number=number, following=0)
        out += octets
        POINTER.pack_into(out, pointer, filed.directory)
        pointer = filed.next_pointer
    return bytes(out)


def _laid_out(page: CodedPage, *, start: int, number: int, following: int) -> tuple[bytes, _Filed]:
    """Return a page's octets as they go into the file from offset ``start`` on (strip, values, directory)."""
    strip = page.octets + bytes(len(page.octets) % 2)
    values = start + len(strip)
    ratios = struct.pack("<4I", page.resolution.across, 1, page.resolution.down, 1)
    entries = _entries(page, strip=start, ratios=values, software=values + len(ratios), number=number)
    directory = values + len(ratios) + len(SOFTWARE)
    body = b"".join(ENTRY.pack(*entry) for entry in sorted(entries))
    octets = strip + ratios + SOFTWARE + struct.pack("<H", len(entries)) + body + POINTER.pack(following)
    pointer = start + len(octets) - POINTER.size
    return octets, _Filed(replace(page, octets=b""), start, len(page.octets), directory, pointer)


def _entries(
    page: CodedPage, *, strip: int, ratios: int, software: int, number: int
) -> list[tuple[int, int, int, int]]:
    """Return the directory's entries: tag, type, count, value or where the value is."""
    group_4 = page.coding is Coding.MMR
    entries = [
        (254, LONG, 1, 2),  # NewSubfileType: one page of many
        (256, LONG, 1, page.pels),
        (257, LONG, 1, page.rows),
        (258, SHORT, 1, 1),  # BitsPerSample
        (259, SHORT, 1, GROUP_4 if group_4 else GROUP_3),
        (262, SHORT, 1, 0),  # PhotometricInterpretation: 0 is white
        (266, SHORT, 1, 1),  # FillOrder: most significant bit first, which every reader knows
        (273, LONG, 1, strip),
        (274, SHORT, 1, 1),  # Orientation
        (277, SHORT, 1, 1),  # SamplesPerPixel
        (278, LONG, 1, page.rows),  # RowsPerStrip: one strip
        (279, LONG, 1, len(page.octets)),
        (282, RATIONAL, 1, ratios),
        (283, RATIONAL, 1, ratios + 8),
        (293, LONG, 1, 0) if group_4 else (292, LONG, 1, TWO_DIMENSIONAL if page.coding is Coding.MR else 0),
        (296, SHORT, 1, 2),  # ResolutionUnit: inch
        (297, SHORT, 2, number),  # PageNumber: this one, of how many is not known yet
        (305, ASCII, len(SOFTWARE), software),
        (327, SHORT, 1, REPAIRED if page.bad_rows else CLEAN),
    ]
    if page.bad_rows:
        entries += [(326, LONG, 1, page.bad_rows), (328, LONG, 1, page.longest_bad_run)]
    return entries


def _write(descriptor: int, octets: bytes, *, at: int) -> None:
    """Write all octets and wait until they are on the disk."""
    written = 0
    while written < len(octets):
        written += os.pwrite(descriptor, octets[written:], at + written)
    os.fsync(descriptor)


def _flush_folder(folder: Path) -> None:
    """Make a new name last; not every file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
