"""The sealed object: AES-256-GCM in segments of 64 KiB, each bound to its place and to what it belongs to (STREAM).

``docs/sealed-objects.md`` is the published form; a test holds this file to it.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"FAXGWOBJ"
VERSION = 1
AES_256_GCM_STREAM = 1
"""The one algorithm so far; its id is the octet after the version."""

DEK_OCTETS = 32
SEGMENT = 64 * 1024
"""Octets of content in every segment but the last, which has 1 to this many (0 when there is no content at all)."""
TAG = 16
SEALED_SEGMENT = SEGMENT + TAG
PREFIX = 7
HEADER = len(MAGIC) + 2 + PREFIX

_START = MAGIC + bytes([VERSION, AES_256_GCM_STREAM])

Octets = bytes | bytearray | memoryview


class SealBroken(Exception):
    """The octets are not a whole sealed object of this label and key: damaged, cut, reordered, swapped or another's."""

    def __init__(self) -> None:
        super().__init__("this is not a whole sealed object of that name, or not its key")


@dataclass(frozen=True, slots=True)
class Label:
    """What a sealed object is bound to: it opens under no other label.

    Attributes:
        tenant: whose it is.
        object: the object's own id.
        kind: ``document``, ``page``, ``trace``, ...: at most 255 octets of UTF-8.
    """

    tenant: UUID
    object: UUID
    kind: str

    def bound_to(self, header: bytes) -> bytes:
        """Return the additional data of every segment of an object with this header."""
        kind = self.kind.encode()
        return header + self.tenant.bytes + self.object.bytes + bytes([len(kind)]) + kind


def new_dek() -> bytes:
    """Return a new data encryption key: 32 random octets, for one object only."""
    return os.urandom(DEK_OCTETS)


def seal(content: Octets, *, dek: bytes, label: Label) -> bytes:
    """Return ``content`` as one sealed object; ``dek`` must be new (``new_dek``)."""
    segments = _Segments(dek, label, _START + os.urandom(PREFIX))
    view = memoryview(content)
    last = segment_count(len(view)) - 1
    # This copies least; what long content costs beside that is the system giving fresh memory, not the cipher.
    sealed = BytesIO()
    sealed.write(segments.header)
    for index in range(last + 1):
        part = view[index * SEGMENT : (index + 1) * SEGMENT]
        sealed.write(segments.seal(part, index=index, last=index == last))
    return sealed.getvalue()


def open_sealed(sealed: Octets, *, dek: bytes, label: Label) -> bytes:
    """Return the content of a whole sealed object.

    Raises:
        SealBroken: when a single bit of it, of its length or of its label is not as sealed.
    """
    view = memoryview(sealed)
    segments = SealedSegments(view[:HEADER], size=len(view), dek=dek, label=label)
    return segments.open(view[HEADER:], range(segment_count(segments.length)))


class Sealer:
    """Seals content that comes in pieces of any size; nothing of it is kept beyond one segment."""

    def __init__(self, *, dek: bytes, label: Label) -> None:
        self._segments = _Segments(dek, label, _START + os.urandom(PREFIX))
        self._unsent = self._segments.header
        self._held = bytearray()
        self._index = 0

    def update(self, content: Octets) -> bytes:
        """Take the next octets of content; return the sealed octets that they complete, perhaps none."""
        self._held += content
        sealed = [self._header()]
        # The last segment is told apart by its nonce, so a full one waits until it is known whether more follows.
        while len(self._held) > SEGMENT:
            with memoryview(self._held) as held:
                sealed.append(self._segments.seal(held[:SEGMENT], index=self._index, last=False))
            del self._held[:SEGMENT]
            self._index += 1
        return b"".join(sealed)

    def finish(self) -> bytes:
        """Return the sealed octets that end the object; the sealer is of no use afterwards."""
        sealed = self._header() + self._segments.seal(self._held, index=self._index, last=True)
        self._held.clear()
        return sealed

    def _header(self) -> bytes:
        header, self._unsent = self._unsent, b""
        return header


class Opener:
    """Opens a sealed object that comes in pieces of any size; gives out only octets that were found genuine.

    What ``update`` has given out is genuine but not known to be all of it until ``finish`` returns.
    """

    def __init__(self, *, dek: bytes, label: Label) -> None:
        self._dek = dek
        self._label = label
        self._segments: _Segments | None = None
        self._held = bytearray()
        self._index = 0

    def update(self, sealed: Octets) -> bytes:
        """Take the next sealed octets; return the content that they complete, perhaps none.

        Raises:
            SealBroken: at the first segment that is not as sealed.
        """
        self._held += sealed
        if self._segments is None:
            if len(self._held) < HEADER:
                return b""
            self._segments = _Segments(self._dek, self._label, bytes(self._held[:HEADER]))
            del self._held[:HEADER]
        return b"".join(self._whole_segments(self._segments))

    def finish(self) -> bytes:
        """Return the content of the last segment.

        Raises:
            SealBroken: when what came is not the whole object.
        """
        if self._segments is None or (self._index and len(self._held) == TAG):
            raise SealBroken
        content = self._segments.open(self._held, index=self._index, last=True)
        self._held.clear()
        return content

    def _whole_segments(self, segments: "_Segments") -> Iterator[bytes]:
        while len(self._held) > SEALED_SEGMENT:
            with memoryview(self._held) as held:
                content = segments.open(held[:SEALED_SEGMENT], index=self._index, last=False)
            yield content
            del self._held[:SEALED_SEGMENT]
            self._index += 1


class SealedSegments:
    """Opens some segments of an object, so that a range of a long one costs no more than the segments it touches.

    Args:
        header: the object's first ``HEADER`` octets.
        size: octets of the whole sealed object. From it follows which segment is the last, so a wrong one is found
            out when the last segment is opened; a caller that knows the size from elsewhere should compare.
        dek: the object's key.
        label: what it is bound to.

    Raises:
        SealBroken: when no object has such a header or size.
    """

    def __init__(self, header: Octets, *, size: int, dek: bytes, label: Label) -> None:
        self._segments = _Segments(dek, label, bytes(header))
        self.length = content_length(size)
        """Octets of content."""
        self._last = segment_count(self.length) - 1

    def touched(self, start: int, length: int) -> range:
        """Return the indices of the segments that hold content octets ``start`` to ``start + length``."""
        end = min(start + length, self.length)
        return range(start // SEGMENT, -(-end // SEGMENT)) if start < end else range(0)

    def open(self, sealed: Octets, segments: range) -> bytes:
        """Return the content of consecutive segments.

        Raises:
            SealBroken: when these are not all of them, as sealed.
        """
        view = memoryview(sealed)
        if -(-len(view) // SEALED_SEGMENT) != len(segments):
            raise SealBroken
        content = BytesIO()
        for index, start in zip(segments, range(0, len(view), SEALED_SEGMENT), strict=True):
            part = view[start : start + SEALED_SEGMENT]
            content.write(self._segments.open(part, index=index, last=index == self._last))
        return content.getvalue()


def sealed_range(segments: range) -> tuple[int, int]:
    """Return where in a sealed object these segments lie: start and end; the end may lie beyond a short last one."""
    return HEADER + segments.start * SEALED_SEGMENT, HEADER + segments.stop * SEALED_SEGMENT


def segment_count(length: int) -> int:
    """Return how many segments hold this many octets of content; no content is one empty segment."""
    return max(1, -(-length // SEGMENT))


def sealed_size(length: int) -> int:
    """Return how many octets a sealed object of this many octets of content has."""
    return HEADER + length + TAG * segment_count(length)


def content_length(size: int) -> int:
    """Return how many octets of content a sealed object of this many octets holds.

    Raises:
        SealBroken: when no sealed object has that size.
    """
    length = size - HEADER - TAG * -(-(size - HEADER) // SEALED_SEGMENT)
    if length < 0 or sealed_size(length) != size:
        raise SealBroken
    return length


class _Segments:
    """One object's cipher: seals and opens its segments by their place."""

    def __init__(self, dek: bytes, label: Label, header: bytes) -> None:
        if len(header) != HEADER or not header.startswith(_START):
            raise SealBroken
        self.header = header
        self._prefix = header[-PREFIX:]
        self._bound = label.bound_to(header)
        self._cipher = AESGCM(dek)

    def seal(self, content: Octets, *, index: int, last: bool) -> bytes:
        return self._cipher.encrypt(self._nonce(index, last=last), content, self._bound)

    def open(self, sealed: Octets, *, index: int, last: bool) -> bytes:
        try:
            return self._cipher.decrypt(self._nonce(index, last=last), sealed, self._bound)
        except InvalidTag:
            raise SealBroken from None

    def _nonce(self, index: int, *, last: bool) -> bytes:
        return self._prefix + index.to_bytes(4) + bytes([last])
