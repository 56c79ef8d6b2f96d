"""The archive: content goes in and comes out, sealed objects lie in the store. Wrapping their keys is the caller's."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from faxgw.archive.objects import ObjectStore, Octets
from faxgw.ids import new_id
from faxgw.keys.sealing import (
    HEADER,
    SEGMENT,
    Label,
    SealedSegments,
    Sealer,
    new_dek,
    open_sealed,
    seal,
    sealed_range,
)

LONG = 1024 * 1024
"""Content of more octets than this is sealed and opened in a thread: the loop must not wait for it."""
AT_ONCE = 16
"""Segments fetched at once when content is streamed."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object that is in the store; without a wrap of its key it is as good as gone.

    Attributes:
        label: tenant, id and kind; it opens under no other.
        size: octets as sealed.
        length: octets of content.
        sha256: of the content.
        dek: the object's key, to be wrapped to whoever may read it, then forgotten.
    """

    label: Label
    size: int
    length: int
    sha256: bytes
    dek: bytes = field(repr=False)

    @property
    def id(self) -> UUID:
        """The object's id."""
        return self.label.object

    @property
    def kind(self) -> str:
        """What it is: ``document``, ``page``, ``trace``, ..."""
        return self.label.kind


class SealedStore:
    """Seals content into an object store and opens it again. Every method may raise the store's errors."""

    def __init__(self, objects: ObjectStore) -> None:
        self.objects = objects

    async def put(
        self, content: Octets | AsyncIterator[bytes], *, tenant: UUID, kind: str, object_id: UUID | None = None
    ) -> StoredObject:
        """Seal ``content`` under a new key and store it; durable on return, nothing left behind otherwise.

        Raises:
            StoreFull, StoreUnavailable: when it cannot be stored. What the iterator raises passes through.
        """
        label = Label(tenant, object_id or new_id(), kind)
        dek = new_dek()
        if isinstance(content, bytes | bytearray | memoryview):
            sealed, digest = await _aside(len(content), _seal, content, dek, label)
            size = await self.objects.put(label.object, sealed)
            return StoredObject(label, size, len(content), digest, dek)
        stream = _SealingStream(content, dek=dek, label=label)
        size = await self.objects.put(label.object, stream.sealed())
        return StoredObject(label, size, stream.length, stream.sha256.digest(), dek)

    async def open(self, label: Label, *, dek: bytes) -> bytes:
        """Return an object's content.

        Raises:
            SealBroken: when the object is not whole and genuine, or ``dek`` not its key.
            ObjectMissing: when there is none.
        """
        sealed = await self.objects.get(label.object)
        return await _aside(len(sealed), _open, sealed, dek, label)

    async def open_range(self, label: Label, *, dek: bytes, start: int, length: int) -> bytes:
        """Return content octets ``start`` to ``start + length``, fewer at the end, reading only what they touch.

        Raises:
            SealBroken, ObjectMissing: as ``open``.
        """
        return b"".join([part async for part in self.stream(label, dek=dek, start=start, length=length)])

    async def stream(
        self, label: Label, *, dek: bytes, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Go through an object's content, or a range of it, a megabyte at a time.

        Raises:
            SealBroken, ObjectMissing: as ``open``; the first of it before the first part is given out.
        """
        segments = await self._segments(label, dek)
        end = segments.length if length is None else min(start + length, segments.length)
        touched = segments.touched(start, end - start)
        for first in range(touched.start, touched.stop, AT_ONCE):
            part = range(first, min(first + AT_ONCE, touched.stop))
            content = segments.open(await self._sealed(label, part), part)
            offset = first * SEGMENT
            yield content[max(0, start - offset) : end - offset]

    async def length(self, label: Label, *, dek: bytes) -> int:
        """Return how many octets of content an object has, going by its size.

        Raises:
            SealBroken, ObjectMissing: as ``open``.
        """
        return (await self._segments(label, dek)).length

    async def delete(self, object_ids: Iterable[UUID]) -> None:
        """Remove objects. That their wraps are gone is what makes them unreadable; this frees the room."""
        await self.objects.delete(object_ids)

    async def _segments(self, label: Label, dek: bytes) -> SealedSegments:
        size = await self.objects.size(label.object)
        header = await self.objects.get_range(label.object, start=0, length=HEADER)
        return SealedSegments(header, size=size, dek=dek, label=label)

    async def _sealed(self, label: Label, segments: range) -> bytes:
        start, end = sealed_range(segments)
        return await self.objects.get_range(label.object, start=start, length=end - start)


class _SealingStream:
    """Content on its way into the store: sealed, measured and hashed as it goes by."""

    def __init__(self, content: AsyncIterator[bytes], *, dek: bytes, label: Label) -> None:
        self._content = content
        self._sealer = Sealer(dek=dek, label=label)
        self.length = 0
        self.sha256 = hashlib.sha256()

    async def sealed(self) -> AsyncIterator[bytes]:
        async for octets in self._content:
            if sealed := await _aside(len(octets), self._take, octets):
                yield sealed
        yield self._sealer.finish()

    def _take(self, octets: bytes) -> bytes:
        self.length += len(octets)
        self.sha256.update(octets)
        return self._sealer.update(octets)


def _seal(content: Octets, dek: bytes, label: Label) -> tuple[bytes, bytes]:
    return seal(content, dek=dek, label=label), hashlib.sha256(content).digest()


def _open(sealed: bytes, dek: bytes, label: Label) -> bytes:
    return open_sealed(sealed, dek=dek, label=label)


async def _aside(octets: int, work: Callable[..., _Result], *arguments: object) -> _Result:
    return await asyncio.to_thread(work, *arguments) if octets > LONG else work(*arguments)
