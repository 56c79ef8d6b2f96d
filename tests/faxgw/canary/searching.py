"""The search for a canary: any window of 24 octets of it, in whatever form, anywhere in a file or in what it packs.

A window of 24 octets has, at some multiple of 16, eight octets that are looked up in a table: so all windows of tens of
thousands of pieces are looked for at once, at some hundreds of MB a second.
"""

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

WINDOW = 24
"""Octets that nothing has by chance."""
KEY = 8
STRIDE = WINDOW - KEY
VARIED = 2
"""Different octets that a key has at least: runs of one octet are everywhere."""
TABLE_BITS = 22
SPREAD = np.uint64(0x9E3779B97F4A7C15)
MOST_LIKELY = 1 << 16
"""Places that are looked at closer at a time."""

PACKED = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08|PK\x03\x04")
"""How what zlib, gzip and ZIP have packed begins."""
FIRST, MOST = 1 << 12, 1 << 24
"""Octets that are unpacked to see whether anything comes, and then at most."""
LEVELS = 2
"""Packed things within packed things that are looked into."""


@dataclass(frozen=True, slots=True)
class Found:
    """A piece of the canary.

    Attributes:
        form: which form of it.
        where: the file, and how one gets there.
    """

    form: str
    where: str


class Search:
    """Looks for forms of a canary.

    Args:
        forms: name -> octets, of which no window of 24 may be anywhere.
        whole: name -> octets that may not be anywhere as a whole: what is shorter, or poor in different octets.
    """

    def __init__(self, forms: Mapping[str, bytes], whole: Mapping[str, bytes] | None = None) -> None:
        assert all(len(octets) >= WINDOW for octets in forms.values())
        self._names, self._octets = list(forms), list(forms.values())
        self._whole = dict(whole or {})
        places = [
            (int.from_bytes(octets[at : at + KEY], "little"), form, at)
            for form, octets in enumerate(self._octets)
            for at in range(0, len(octets) - KEY + 1, STRIDE)
            if len(set(octets[at : at + KEY])) >= VARIED
        ]
        places.sort()
        self._keys = np.array([key for key, _, _ in places], np.uint64)
        self._places = [(form, at) for _, form, at in places]
        self._table = np.zeros(1 << TABLE_BITS >> 3, np.uint8)
        _enter(self._keys, self._table)

    def files(self, paths: Iterable[Path]) -> set[Found]:
        """Return what is found in files, in their names, and in what they have packed."""
        found: set[Found] = set()
        for path in paths:
            found |= {Found(form, f"the name of {path}") for form in self.octets(str(path).encode())}
            try:
                octets = path.read_bytes()
            except (FileNotFoundError, ProcessLookupError):  # PostgreSQL removes some of its own
                continue
            found |= {Found(form, f"{path}{packed}") for form, packed in self._deep(octets, LEVELS)}
        return found

    def octets(self, octets: bytes) -> set[str]:
        """Return the forms of which there is a window in ``octets``, as they are."""
        found = {name for name, whole in self._whole.items() if whole in octets}
        for at in self._likely(octets):
            found |= self._forms_at(octets, at)
        return found

    def _deep(self, octets: bytes, levels: int) -> Iterator[tuple[str, str]]:
        yield from ((form, "") for form in self.octets(octets))
        if levels:
            for at, unpacked in unpackings(octets):
                yield from ((form, f", unpacked at {at}{more}") for form, more in self._deep(unpacked, levels - 1))

    def _likely(self, octets: bytes) -> Iterator[int]:
        view, places = np.frombuffer(octets, np.uint8), np.empty(MOST_LIKELY, np.int64)
        start = 0
        while start + KEY <= len(octets):
            count, start = _scan(view, start, self._keys, self._table, places)
            yield from places[:count].tolist()

    def _forms_at(self, octets: bytes, at: int) -> set[str]:
        key = int.from_bytes(octets[at : at + KEY], "little")
        first = int(np.searchsorted(self._keys, np.uint64(key)))
        found = set()
        for form, place in self._places[first:]:
            mark = self._octets[form]
            if mark[place : place + KEY] != octets[at : at + KEY]:
                break
            if _common(octets, at, mark, place) >= WINDOW:
                found.add(self._names[form])
        return found


def unpackings(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Go through whatever somebody has packed into ``octets``: where it begins, and what comes out."""
    for start in PACKED.finditer(octets):
        at = start.start()
        unpacked = _unpacked(octets, at, FIRST)
        if len(unpacked) >= WINDOW:
            yield at, unpacked if len(unpacked) < FIRST else _unpacked(octets, at, MOST) or unpacked


def _unpacked(octets: bytes, at: int, most: int) -> bytes:
    head = octets[at : at + 30]
    unpacker = zlib.decompressobj(31 if head.startswith(b"\x1f") else 15)
    if head.startswith(b"PK"):
        if len(head) < 30 or head[8:10] != b"\x08\x00":
            return b""  # stored: it lies there as it is
        unpacker = zlib.decompressobj(-15)
        at += 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    try:
        return unpacker.decompress(octets[at : at + most], most)
    except (zlib.error, gzip.BadGzipFile):
        return b""


def _enter_keys(keys: NDArray[np.uint64], table: NDArray[np.uint8]) -> None:
    for key in keys:
        index = (key * SPREAD) >> np.uint64(64 - TABLE_BITS)
        table[index >> np.uint64(3)] |= np.uint8(1 << (index & np.uint64(7)))


def _scan_octets(
    octets: NDArray[np.uint8],
    start: int,
    keys: NDArray[np.uint64],
    table: NDArray[np.uint8],
    places: NDArray[np.int64],
) -> tuple[int, int]:
    """Write down where one of the keys is, from ``start`` on; return how many there are, and where to go on."""
    word, count = np.uint64(0), 0
    for at in range(start, start + 7):
        word = (word >> np.uint64(8)) | (np.uint64(octets[at]) << np.uint64(56))
    for at in range(start + 7, len(octets)):
        word = (word >> np.uint64(8)) | (np.uint64(octets[at]) << np.uint64(56))
        index = (word * SPREAD) >> np.uint64(64 - TABLE_BITS)
        if (table[index >> np.uint64(3)] >> (index & np.uint64(7))) & np.uint64(1):
            near = np.searchsorted(keys, word)
            if near < len(keys) and keys[near] == word:
                places[count] = at - 7
                count += 1
                if count == len(places):
                    return count, at - 6
    return count, len(octets)


_enter = numba.njit(cache=True)(_enter_keys)
_scan = numba.njit(cache=True, nogil=True)(_scan_octets)


def _common(one: bytes, at: int, other: bytes, place: int) -> int:
    """Return how many octets around two places are the same."""
    back = 0
    while back < WINDOW and at > back and place > back and one[at - back - 1] == other[place - back - 1]:
        back += 1
    on = 0
    while on < WINDOW and at + on < len(one) and place + on < len(other) and one[at + on] == other[place + on]:
        on += 1
    return back + on
