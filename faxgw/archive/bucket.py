"""Objects in a bucket (S3 and what speaks like it, Google, Azure), by obstore.

Its blocking calls, in threads: what it does for asyncio lets a cancelled iterator hang, and now and then aborts the
process at its end, when a thread of its own calls back into an interpreter that is gone (both seen with 0.12).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
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

THREADS = 16

_CLIENT: dict[str, Any] = {"connect_timeout": "5s", "timeout": "30s"}
_PATIENCE: Any = {"max_retries": 4, "retry_timeout": timedelta(seconds=30)}
_OF_THE_CLIENT = {"allow_http", "allow_invalid_certificates", "proxy_url"}


class BucketStore:
    """An ``ObjectStore`` over a store of obstore.

    A request that was cancelled or got no answer may still have been carried out: ``list`` shows what it left.
    """

    def __init__(self, bucket: Any) -> None:
        self._bucket = bucket
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="bucket")

    async def put(self, object_id: UUID, content: Octets | AsyncIterator[bytes]) -> int:
        """Store an object; see ``ObjectStore``."""
        name = name_of(object_id)
        if isinstance(content, bytes | bytearray | memoryview):
            await self._run(obstore.put, self._bucket, name, content)
            return len(content)
        size = 0
        writer = await self._run(partial(obstore.open_writer, buffer_size=PART), self._bucket, name)
        try:
            async for octets in content:
                await self._run(writer.write, octets)
                size += len(octets)
            await self._run(writer.close)
        except BaseException as error:
            # A writer that is only let go leaves its parts in the bucket, where they are paid for and seen by nobody.
            self._threads.submit(_give_up, writer, error)
            raise
        return size

    async def get(self, object_id: UUID) -> bytes:
        """Return a whole object; see ``ObjectStore``."""
        return bytes(await self._run(self._read, name_of(object_id), of=object_id))

    async def get_range(self, object_id: UUID, *, start: int, length: int) -> bytes:
        """Return a part of an object; see ``ObjectStore``."""
        read = partial(obstore.get_range, start=start, length=length)
        try:
            return bytes(await self._run(read, self._bucket, name_of(object_id), of=object_id))
        except StoreUnavailable:
            if await self.size(object_id) <= start:
                raise ObjectMissing(object_id) from None
            raise

    async def size(self, object_id: UUID) -> int:
        """Return an object's octets; see ``ObjectStore``."""
        found = await self._run(obstore.head, self._bucket, name_of(object_id), of=object_id)
        return int(found["size"])

    async def exists(self, object_id: UUID) -> bool:
        """Tell whether there is such an object."""
        try:
            await self.size(object_id)
        except ObjectMissing:
            return False
        return True

    async def delete(self, object_ids: Iterable[UUID]) -> None:
        """Remove objects; see ``ObjectStore``."""
        await self._run(self._remove, [name_of(object_id) for object_id in object_ids])

    async def list(self) -> AsyncIterator[UUID]:
        """Go through the ids of all objects."""
        batches = await self._run(partial(obstore.list, chunk_size=1000), self._bucket)
        while batch := await self._run(next, batches, None):
            for object_id in (id_of(entry["path"]) for entry in batch):
                if object_id:
                    yield object_id

    async def free_space(self) -> None:
        """Return None: a bucket does not say."""

    async def close(self) -> None:
        """Wait for what is on its way, and end the threads."""
        await asyncio.to_thread(self._threads.shutdown)

    def _read(self, name: str) -> obstore.Bytes:
        return obstore.get(self._bucket, name).bytes()

    def _remove(self, names: Sequence[str]) -> None:
        try:
            obstore.delete(self._bucket, names)
        except FileNotFoundError:
            # S3 passes over what is not there; elsewhere one such name stops the rest.
            for name in names:
                with suppress(FileNotFoundError):
                    obstore.delete(self._bucket, name)

    async def _run(self, work: Callable[..., Any], *arguments: object, of: UUID | None = None) -> Any:
        """Do ``work`` in a thread; turn obstore's errors into the store's."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        except FileNotFoundError as error:
            if of:
                raise ObjectMissing(of) from None
            raise _unavailable(error) from error
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error


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


def _give_up(writer: Any, error: BaseException) -> None:
    with suppress(BaseError, OSError, ValueError):
        writer.__exit__(type(error), error, None)


def _unavailable(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"the archive's bucket cannot be used: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
