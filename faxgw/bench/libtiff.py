"""A small binding to the installed libtiff: strips coded and decoded in memory, each by one call into C.

The TIFF files lie in memory (``memfd_create``), so that libtiff reads and writes them by itself: it maps what it reads,
and its one write of a strip is a copy from memory to memory.
"""

import ctypes
import os
from ctypes.util import find_library
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from faxgw.bench.figures import CannotMeasure
from t30.pages import Coding
from t30.t4 import Bitmap

TURNED = np.array([int(f"{octet:08b}"[::-1], 2) for octet in range(256)], np.uint8)
"""Each octet with its bits in the other order: libtiff's first pel and first bit are the most significant."""

_WIDTH, _ROWS, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _ROWS_PER_STRIP = 256, 257, 258, 259, 262, 277, 278
_RESOLUTION_DOWN, _T4_OPTIONS = 283, 292
_MIN_IS_WHITE = 0
_TWO_D = 1
_FINE = 196.0
"""Dots per inch from which libtiff takes K to be 4."""


class Strip:
    """A page in a TIFF file in memory, as one strip; to be closed.

    Args:
        bitmap: the page, of one row or more.
        coding: MH, MR (with K 4) or MMR.

    Raises:
        CannotMeasure: if there is no libtiff here, or files cannot lie in memory.
    """

    def __init__(self, bitmap: Bitmap, coding: Coding) -> None:
        self._library = _library()
        octets_a_row = -(-bitmap.width // 8)
        self._pels: NDArray[np.uint8] = np.ascontiguousarray(TURNED[bitmap.words.view(np.uint8)[:, :octets_a_row]])
        self._room = np.zeros_like(self._pels)
        file = _file_in_memory()
        self._to = self._begun(os.dup(file), bitmap, coding)
        self.encode()
        self.octets = self._written(file)
        """What libtiff made of the page, in our order of bits."""
        self._library.TIFFClose(self._to)
        self._to = self._begun(_file_in_memory(), bitmap, coding)
        os.lseek(file, 0, os.SEEK_SET)
        self._from = self._opened(file, b"r")

    def encode(self) -> None:
        """Let libtiff code the page."""
        size = self._pels.nbytes
        if self._library.TIFFWriteEncodedStrip(self._to, 0, self._pels.ctypes.data, size) != size:
            raise CannotMeasure("libtiff could not code a page.")

    def decode(self) -> None:
        """Let libtiff decode the page."""
        size = self._room.nbytes
        if self._library.TIFFReadEncodedStrip(self._from, 0, self._room.ctypes.data, size) != size:
            raise CannotMeasure("libtiff could not decode a page.")

    @property
    def decoded(self) -> bool:
        """Whether what libtiff decoded last is the page."""
        return np.array_equal(self._room, self._pels)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the files."""
        self._library.TIFFClose(self._from)
        self._library.TIFFClose(self._to)

    def _begun(self, file: int, bitmap: Bitmap, coding: Coding) -> int:
        """Begin a TIFF file; libtiff closes ``file`` with it."""
        tiff = self._opened(file, b"w")
        for tag, value in {
            _WIDTH: bitmap.width,
            _ROWS: bitmap.rows,
            _BITS: 1,
            _SAMPLES: 1,
            _COMPRESSION: 4 if coding is Coding.MMR else 3,
            _PHOTOMETRIC: _MIN_IS_WHITE,
            _ROWS_PER_STRIP: bitmap.rows,
        }.items():
            self._library.TIFFSetField(tiff, tag, ctypes.c_int(value))
        self._library.TIFFSetField(tiff, _RESOLUTION_DOWN, ctypes.c_double(_FINE))
        if coding is not Coding.MMR:
            self._library.TIFFSetField(tiff, _T4_OPTIONS, ctypes.c_int(_TWO_D if coding is Coding.MR else 0))
        return tiff

    def _opened(self, file: int, mode: bytes) -> int:
        found = self._library.TIFFFdOpen(file, b"page", mode)
        if not found:
            raise CannotMeasure("libtiff could not open a file in memory.")
        return int(found)

    def _written(self, file: int) -> bytes:
        offset = self._library.TIFFGetStrileOffset(self._to, 0)
        length = self._library.TIFFGetStrileByteCount(self._to, 0)
        return TURNED[np.frombuffer(os.pread(file, length, offset), np.uint8)].tobytes()


def _file_in_memory() -> int:
    if not hasattr(os, "memfd_create"):
        raise CannotMeasure("libtiff is measured on files in memory, which only Linux has.")
    return os.memfd_create("faxgw-bench")


def version() -> str:
    """Return which libtiff is here, such as ``LIBTIFF, Version 4.5.0``."""
    return str(_library().TIFFGetVersion().decode().splitlines()[0])


def _library() -> ctypes.CDLL:
    """Load the system's libtiff, else the one that came with Pillow."""
    name = find_library("tiff") or next(map(str, _of_pillow()), None)
    if name is None:
        raise CannotMeasure("There is no libtiff here to compare with (Debian package libtiff6).")
    library = ctypes.CDLL(name)
    handle, number, size = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_ssize_t
    for function, arguments, result in (
        ("TIFFGetVersion", (), ctypes.c_char_p),
        ("TIFFFdOpen", (ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p), handle),
        ("TIFFSetField", (handle, number), ctypes.c_int),
        ("TIFFReadEncodedStrip", (handle, number, handle, size), size),
        ("TIFFWriteEncodedStrip", (handle, number, handle, size), size),
        ("TIFFGetStrileOffset", (handle, number), ctypes.c_uint64),
        ("TIFFGetStrileByteCount", (handle, number), ctypes.c_uint64),
        ("TIFFFlush", (handle,), ctypes.c_int),
        ("TIFFClose", (handle,), None),
    ):
        getattr(library, function).argtypes = arguments
        getattr(library, function).restype = result
    return library


def _of_pillow() -> list[Path]:
    import PIL  # noqa: PLC0415

    return sorted((Path(PIL.__file__).parent.parent / "pillow.libs").glob("libtiff-*"))
