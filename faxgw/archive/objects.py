"""Where sealed objects lie: a local folder, or a bucket. What comes here is sealed already.

A put has happened, and survives the loss of power, when it returns; one that failed or was cancelled leaves nothing.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

Octets = bytes | bytearray | memoryview


class StoreError(Exception):
    """Something is wrong with the object store, or with what was asked of it."""


class StoreFull(StoreError):
    """There is no room for the object."""


class StoreUnavailable(StoreError):
    """The store cannot be reached, read or written."""


class ObjectMissing(StoreError):
    """There is no object of that id, or it ends before the range that was asked for."""

    def __init__(self, object_id: UUID) -> None:
        super().__init__(f"there is no object {object_id}, or not that much of it")
        self.object_id = object_id


@dataclass(frozen=True, slots=True)
class Space:
    """Room on the disk of a local store, in octets."""

    free: int
    total: int


class ObjectStore(Protocol):
    """A place for objects by their id. Every method may raise ``StoreUnavailable``; none blocks the loop."""

    async def put(self, object_id: UUID, content: Octets | AsyncIterator[bytes]) -> int:
        """Store an object, durably; return its octets. What had that id before is replaced at once or not at all.

        Raises:
            StoreFull: when there is no room.
        """

    async def get(self, object_id: UUID) -> bytes:
        """Return a whole object.

        Raises:
            ObjectMissing: when there is none.
        """

    async def get_range(self, object_id: UUID, *, start: int, length: int) -> bytes:
        """Return octets ``start`` to ``start + length``, fewer where the object ends before that.

        Raises:
            ObjectMissing: when there is no such object.
        """

    async def size(self, object_id: UUID) -> int:
        """Return how many octets an object has.

        Raises:
            ObjectMissing: when there is none.
        """

    async def exists(self, object_id: UUID) -> bool:
        """Tell whether there is such an object."""

    async def delete(self, object_ids: Iterable[UUID]) -> None:
        """Remove objects; those that are not there are passed over."""

    def list(self) -> AsyncIterator[UUID]:
        """Go through the ids of all objects, in no order; for finding those that no row names."""

    async def free_space(self) -> Space | None:
        """Return the room on the disk, or None where the store does not say."""

    async def close(self) -> None:
        """Let go of threads and connections."""


def open_store(location: str | Path, *, options: Mapping[str, str] | None = None) -> ObjectStore:
    """Open the object store at a folder, or at a URL such as ``s3://bucket/prefix``.

    Args:
        location: a path, which is made when missing, or a URL with a scheme that obstore knows.
        options: what the bucket's provider needs, by obstore's names: ``endpoint``, ``region``, ``access_key_id``, ...

    Raises:
        RequestError: ``archive.location`` when there can be no store there.
    """
    # Each is imported only where it is used: obstore brings a network stack of its own.
    if isinstance(location, str) and "://" in location:
        from faxgw.archive.bucket import open_bucket  # noqa: PLC0415

        return open_bucket(location, options=options or {})
    from faxgw.archive.folder import FolderStore  # noqa: PLC0415

    return FolderStore(Path(location))


def name_of(object_id: UUID) -> str:
    """Return where an object lies: one of 4,096 folders, by the end of its id, since the start is the time.

    >>> name_of(UUID("0196a5e0-1c2d-7abc-8def-0123456789ab"))
    'ab/9/0196a5e0-1c2d-7abc-8def-0123456789ab'
    """
    digits = object_id.hex
    return f"{digits[-2:]}/{digits[-3]}/{object_id}"


def id_of(name: str) -> UUID | None:
    """Return the object's id of a name, None for what is no object's name."""
    try:
        object_id = UUID(name.rpartition("/")[2])
    except ValueError:
        return None
    return object_id if name.endswith(name_of(object_id)) else None
