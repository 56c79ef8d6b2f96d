"""Objects as files in a local folder.

obstore's local store syncs neither file nor folder (strace shows it), and syncing after it costs a third of the rate
(2,500 against 4,000 puts of 60 kB a second); so files are written here, in threads, behind the same interface.
"""

import asyncio
import errno
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar
from uuid import UUID

from faxgw.archive.objects import ObjectMissing, Octets, Space, StoreFull, StoreUnavailable, id_of, name_of
from faxgw.errors import RequestError
from faxgw.keys.folders import sync_folder

THREADS = 16
"""More puts at once do not sync faster."""
REMOVERS = 8
"""Threads that remove files: of what has reached the disk, one removes 800 a second, and eight 10,000 (ext4)."""
LOOKED = 1.0
"""Seconds for which what was seen of the disk's room holds: less comes in meanwhile than is kept free."""
FEW = 32
"""So many files are removed by one thread."""

INCOMING = "incoming"
"""Where files lie until they are whole."""
ABANDONED = 24 * 3600.0
"""Seconds after which an incoming file is of a process that is no more."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_Result = TypeVar("_Result")


class FolderStore:
    """An ``ObjectStore`` in a folder that only its owner may enter.

    Raises:
        RequestError: ``archive.location`` when the folder cannot be made or used.
    """

    def __init__(self, folder: Path) -> None:
        self._files = _Files(folder)
        try:
            self._files.prepare()
        except OSError as error:
            raise RequestError("archive.location", f"{folder} cannot hold the archive: {error.strerror}") from error
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="objects")
        self._space: tuple[float, Space] | None = None

    async def put(self, object_id: UUID, content: Octets | AsyncIterator[bytes]) -> int:
        """Store an object; see ``ObjectStore``."""
        if isinstance(content, bytes | bytearray | memoryview):
            storing = self._run(self._files.store, object_id, content)
        else:
            storing = self._put_stream(object_id, content)
        try:
            return await storing
        except asyncio.CancelledError:
            await self._run(self._files.remove, [object_id])
            raise

    async def _put_stream(self, object_id: UUID, content: AsyncIterator[bytes]) -> int:
        drafting = asyncio.ensure_future(self._run(self._files.draft, object_id))
        try:
            draft = await asyncio.shield(drafting)
        except asyncio.CancelledError:
            await self._run(self._files.discard, await drafting)
            raise
        try:
            async for octets in content:
                await self._run(self._files.append, draft, octets)
            return await self._run(self._files.finish, draft, object_id)
        finally:
            await self._run(self._files.discard, draft)

    async def get(self, object_id: UUID) -> bytes:
        """Return a whole object; see ``ObjectStore``."""
        return await self._run(self._files.read, object_id)

    async def get_range(self, object_id: UUID, *, start: int, length: int) -> bytes:
        """Return a part of an object; see ``ObjectStore``."""
        return await self._run(self._files.read, object_id, start, length)

    async def size(self, object_id: UUID) -> int:
        """Return an object's octets; see ``ObjectStore``."""
        return await self._run(self._files.size, object_id)

    async def exists(self, object_id: UUID) -> bool:
        """Tell whether there is such an object."""
        try:
            await self.size(object_id)
        except ObjectMissing:
            return False
        return True

    async def delete(self, object_ids: Iterable[UUID]) -> None:
        """Remove objects; see ``ObjectStore``."""
        ids = list(object_ids)
        parts = min(REMOVERS, -(-len(ids) // FEW))
        removing = (self._run(self._files.remove, ids[first::parts]) for first in range(parts))
        for fault in await asyncio.gather(*removing, return_exceptions=True):
            if fault is not None:
                raise fault

    async def list(self) -> AsyncIterator[UUID]:
        """Go through the ids of all objects."""
        for folder in await self._run(self._files.folders):
            for object_id in await self._run(self._files.ids, folder):
                yield object_id

    async def free_space(self) -> Space:
        """Return the room on the disk, as it was within the last second."""
        now = time.monotonic()
        if self._space is None or now - self._space[0] > LOOKED:
            self._space = now, await self._run(self._files.space)
        return self._space[1]

    async def close(self) -> None:
        """Wait for what is being written, and end the threads."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _run(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        """Do ``work`` in a thread. It cannot be stopped there, so a cancelled caller still waits for it."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *arguments))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise


class _Draft:
    """A file that is being written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: BinaryIO = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)


class _Files:
    """What the threads do; every method blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / INCOMING
        self._synced: set[Path] = set()

    def prepare(self) -> None:
        """Make the folder, close it to others and remove what processes that died have left."""
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        for path in self._incoming.iterdir():
            if path.stat().st_mtime < time.time() - ABANDONED:
                path.unlink(missing_ok=True)

    def store(self, object_id: UUID, content: Octets) -> int:
        draft = self.draft(object_id)
        try:
            self.append(draft, content)
            return self.finish(draft, object_id)
        finally:
            self.discard(draft)

    def draft(self, object_id: UUID) -> _Draft:
        with _explained():
            return _Draft(self._incoming / f"{object_id}.{secrets.token_hex(4)}")

    def append(self, draft: _Draft, content: Octets) -> None:
        rest = memoryview(content)
        with _explained():
            while rest:
                rest = rest[draft.file.write(rest) :]

    def finish(self, draft: _Draft, object_id: UUID) -> int:
        """Give a whole file its name, after its content and before its folder are on the disk."""
        path = self._path(object_id)
        with _explained():
            size = draft.file.tell()
            os.fsync(draft.file.fileno())
            self._make_folder(path.parent)
            draft.path.rename(path)
            sync_folder(path.parent)
        return size

    def discard(self, draft: _Draft) -> None:
        with _explained():
            draft.file.close()
            draft.path.unlink(missing_ok=True)

    def read(self, object_id: UUID, start: int = 0, length: int = -1) -> bytes:
        with _explained(object_id), self._path(object_id).open("rb") as file:
            file.seek(start)
            octets = file.read(length)
        if start and not octets:
            raise ObjectMissing(object_id)
        return octets

    def size(self, object_id: UUID) -> int:
        with _explained(object_id):
            return self._path(object_id).stat().st_size

    def remove(self, object_ids: Iterable[UUID]) -> None:
        paths = [self._path(object_id) for object_id in object_ids]
        # Not brought to the disk: what a loss of power brings back has no row and no key, and upkeep finds it.
        with _explained():
            for path in paths:
                path.unlink(missing_ok=True)

    def folders(self) -> list[Path]:
        with _explained():
            return [path for path in self._folder.glob("*/*") if path.is_dir()]

    def ids(self, folder: Path) -> list[UUID]:
        with _explained():
            names = [path.relative_to(self._folder).as_posix() for path in folder.iterdir()]
        return [object_id for object_id in map(id_of, names) if object_id]

    def space(self) -> Space:
        with _explained():
            usage = shutil.disk_usage(self._folder)
        return Space(free=usage.free, total=usage.total)

    def _path(self, object_id: UUID) -> Path:
        return self._folder / name_of(object_id)

    def _make_folder(self, folder: Path) -> None:
        """Make an object's folder; whoever returns from here knows that it is on the disk, not only who made it."""
        if folder in self._synced:
            return
        for each in (folder.parent, folder):
            each.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)
        sync_folder(self._folder)
        self._synced.add(folder)


@contextmanager
def _explained(object_id: UUID | None = None) -> Iterator[None]:
    """Turn what the system says into the store's errors."""
    try:
        yield
    except OSError as error:
        if object_id and isinstance(error, FileNotFoundError):
            raise ObjectMissing(object_id) from None
        if error.errno in _NO_ROOM:
            raise StoreFull(f"no room for an object: {error.strerror}") from error
        raise StoreUnavailable(f"the archive's folder cannot be used: {error}") from error
