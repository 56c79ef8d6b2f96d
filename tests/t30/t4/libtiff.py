"""libtiff as Pillow carries it: the codec that nobody here wrote. Octets are turned to our order of bits."""

import ctypes
import io
import os
import struct
from ctypes.util import find_library
from functools import cache
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageChops

from t30.pages import Coding
from t30.t4 import Bitmap

TURNED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
WIDTH, ROWS, COMPRESSION, PHOTOMETRIC, OFFSET, ROWS_PER_STRIP, LENGTH, T4_OPTIONS = (
    256,
    257,
    259,
    262,
    273,
    278,
    279,
    292,
)
TWO_D, ALIGNED_EOLS = 1, 4
DOTS_PER_INCH = {2: (204, 98), 4: (204, 196)}
"""K -> the resolution at which libtiff chooses it."""


def encode(bitmap: Bitmap, coding: Coding, *, k: int = 4, aligned: bool = False) -> bytes:
    """Let libtiff code a page of at least one row, as one strip, without RTC."""
    # Pillow says "0 is black", so black is what we hand it as white.
    image = ImageChops.invert(Image.fromarray(bitmap.pels() == 0))
    tags = {ROWS_PER_STRIP: bitmap.rows}
    if coding is not Coding.MMR:
        tags[T4_OPTIONS] = (coding is Coding.MR) * TWO_D | aligned * ALIGNED_EOLS
    file = io.BytesIO()
    compression = "group4" if coding is Coding.MMR else "group3"
    image.save(file, "TIFF", compression=compression, tiffinfo=tags, dpi=DOTS_PER_INCH[k])
    return strip(file.getvalue())


def strip(tiff: bytes) -> bytes:
    """Take the coded octets of the only strip out of a TIFF file."""
    with Image.open(io.BytesIO(tiff)) as image:
        (offset,), (length,) = image.tag_v2[OFFSET], image.tag_v2[LENGTH]  # type: ignore[attr-defined]
    return tiff[offset : offset + length].translate(TURNED)


def decode(octets: bytes, coding: Coding, *, width: int, rows: int) -> Bitmap:
    """Let libtiff decode undamaged octets."""
    with Image.open(io.BytesIO(_tiff(octets, coding, width, rows))) as image:
        return Bitmap.from_pels((np.asarray(image, np.bool_) == 0).view(np.uint8))


def decode_damaged(octets: bytes, coding: Coding, *, width: int, rows: int) -> Bitmap:
    """Let libtiff decode what it can, without a word of what it cannot: rows that it gives up are white."""
    library = _library()
    pels = np.zeros((rows, -(-width // 8)), np.uint8)
    file = os.memfd_create("damaged")
    os.write(file, _tiff(octets, coding, width, rows))
    os.lseek(file, 0, os.SEEK_SET)
    tiff = library.TIFFFdOpen(file, b"damaged", b"r")
    assert tiff, "libtiff opens no file in memory"
    for row in range(rows):
        library.TIFFReadScanline(tiff, pels[row].ctypes.data, row, 0)
    library.TIFFClose(tiff)
    return Bitmap.from_pels(np.unpackbits(pels, axis=1)[:, :width])


@cache
def _library() -> ctypes.CDLL:
    """Load the libtiff that came with Pillow, or the system's, and let it say nothing."""
    bundled = sorted((Path(PIL.__file__).parent.parent / "pillow.libs").glob("libtiff-*"))
    library = ctypes.CDLL(str(bundled[0]) if bundled else find_library("tiff"))
    for function in (library.TIFFSetWarningHandler, library.TIFFSetErrorHandler):
        function.argtypes, function.restype = (ctypes.c_void_p,), ctypes.c_void_p
        function(None)
    library.TIFFFdOpen.argtypes = ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p
    library.TIFFFdOpen.restype = ctypes.c_void_p
    library.TIFFReadScanline.argtypes = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint16
    library.TIFFClose.argtypes, library.TIFFClose.restype = (ctypes.c_void_p,), None
    return library


def _tiff(octets: bytes, coding: Coding, width: int, rows: int) -> bytes:
    tags = {
        WIDTH: width,
        ROWS: rows,
        COMPRESSION: 4 if coding is Coding.MMR else 3,
        PHOTOMETRIC: 0,
        OFFSET: 8,
        ROWS_PER_STRIP: rows,
        LENGTH: len(octets),
    }
    if coding is not Coding.MMR:
        tags[T4_OPTIONS] = TWO_D if coding is Coding.MR else 0
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    octets += bytes(len(octets) % 2)
    header = struct.pack("<2sHI", b"II", 42, 8 + len(octets))
    return header + octets.translate(TURNED) + struct.pack("<H", len(tags)) + directory + bytes(4)
