"""Objects in a bucket (S3 and what speaks like it, Google, Azure), by obstore."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from faxgw.archive.objects import ObjectMissing, Octets, StoreUnavailable, id_of, name_of
from faxgw.errors import RequestError

SCHEMES = ("s3", "gs", "az")
PART = 5 * 1024 * 1024
"""Octets that are held back before an upload in parts begins; S3 takes no smaller parts."""

_CLIENT: dict[str, Any] = {"connect_timeout": "5s", "timeout": "30s"}
_PATIENCE: Any = {"max_retries": 4, "retry_timeout": timedelta(seconds=30)}
_OF_THE_CLIENT = {"allow_http", "allow_invalid_certificates", "proxy_url"}


class BucketStore:
    """An ``ObjectStore`` over a store of obstore. What a put that failed half way left behind, ``list`` shows."""

    def __init__(self, bucket: Any) -> None:
        self._bucket = bucket

    async def put(self, object_id: UUID, content: Octets | AsyncIterator[bytes]) -> int:
        """Store an object; see ``ObjectStore``."""
        source = _Counted(content)
        try:
            with _explained():
                await obstore.put_async(self._bucket, name_of(object_id), source.content, chunk_size=PART)
        except StoreUnavailable:
            if source.failure:
                raise source.failure from None
            raise
        except asyncio.CancelledError:
            await self.delete([object_id])
            raise
        return source.octets

    async def get(self, object_id: UUID) -> bytes:
        """Return a whole object; see ``ObjectStore``."""
        with _explained(object_id):
            result = await obstore.get_async(self._bucket, name_of(object_id))
            return bytes(await result.bytes_async())

    async def get_range(self, object_id: UUID, *, start: int, length: int) -> bytes:
        """Return a part of an object; see ``ObjectStore``."""
        try:
            with _explained(object_id):
                name = name_of(object_id)
                return bytes(await obstore.get_range_async(self._bucket, name, start=start, length=length))
        except StoreUnavailable:
            if await self.size(object_id) <= start:
                raise ObjectMissing(object_id) from None
            raise

    async def size(self, object_id: UUID) -> int:
        """Return an object's octets; see ``ObjectStore``."""
        with _explained(object_id):
            return int((await obstore.head_async(self._bucket, name_of(object_id)))["size"])

    async def exists(self, object_id: UUID) -> bool:
        """Tell whether there is such an object."""
        try:
            await self.size(object_id)
        except ObjectMissing:
            return False
        return True

    async def delete(self, object_ids: Iterable[UUID]) -> None:
        """Remove objects; see ``ObjectStore``."""
        names = [name_of(object_id) for object_id in object_ids]
        with _explained():
            try:
                await obstore.delete_async(self._bucket, names)
            except FileNotFoundError:
                # S3 passes over what is not there; elsewhere one such name stops the rest.
                for name in names:
                    with suppress(FileNotFoundError):
                        await obstore.delete_async(self._bucket, name)

    async def list(self) -> AsyncIterator[UUID]:
        """Go through the ids of all objects."""
        with _explained():
            async for entries in obstore.list(self._bucket, chunk_size=1000):
                for object_id in (id_of(entry["path"]) for entry in entries):
                    if object_id:
                        yield object_id

    async def free_space(self) -> None:
        """Return None: a bucket does not say."""

    async def close(self) -> None:
        """Do nothing: obstore holds nothing that would need it."""


class _Counted:
    """Content whose octets are counted as they go by, and whose own failure is told from the bucket's."""

    def __init__(self, content: Octets | AsyncIterator[bytes]) -> None:
        self.octets = 0
        self.failure: Exception | None = None
        self.content: Octets | AsyncIterator[bytes]
        if isinstance(content, bytes | bytearray | memoryview):
            self.content, self.octets = content, len(content)
        else:
            self.content = self._counting(content)

    async def _counting(self, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async for octets in content:
                self.octets += len(octets)
                yield octets
        except Exception as failure:
            self.failure = failure
            raise


def open_bucket(url: str, *, options: Mapping[str, str]) -> BucketStore:
    """Open the bucket at a URL; nothing is asked of it yet.

    Raises:
        RequestError: ``archive.location`` for a scheme or an option that is not known.
    """
    if url.partition("://")[0] not in SCHEMES:
        raise RequestError("archive.location", f"{url}: an archive is a folder, or begins with s3://, gs:// or az://")
    if options.get("endpoint", "").startswith("http://") and options.get("allow_http") != "true":
        raise RequestError("archive.location", f"{url}: its endpoint is not https; give one that is, or set allow_http")
    client: Any = _CLIENT | {name: value for name, value in options.items() if name in _OF_THE_CLIENT}
    config: Any = {name: value for name, value in options.items() if name not in _OF_THE_CLIENT}
    try:
        bucket = from_url(url, config=config or None, client_options=client, retry_config=_PATIENCE)
    except (BaseError, ValueError) as error:
        raise RequestError("archive.location", f"{url} cannot hold the archive: {_first_line(error)}") from error
    return BucketStore(bucket)


@contextmanager
def _explained(object_id: UUID | None = None) -> Iterator[None]:
    """Turn obstore's errors into the store's."""
    try:
        yield
    except FileNotFoundError as error:
        if object_id:
            raise ObjectMissing(object_id) from None
        raise StoreUnavailable(f"the archive's bucket cannot be used: {_first_line(error)}") from error
    except (BaseError, OSError) as error:
        raise StoreUnavailable(f"the archive's bucket cannot be used: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
