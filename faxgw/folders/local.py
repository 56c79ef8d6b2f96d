"""Folders of this machine, also mounted ones: below what the operator has opened, and by no link out of it."""

import ctypes
import errno
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TypeVar
from uuid import UUID

from faxgw.config.folders import TENANT, DeliverySettings
from faxgw.delivery.carrier import Refused, Unreachable
from faxgw.delivery.targets import LocalTarget
from faxgw.errors import RequestError
from faxgw.folders.carrying import FolderCarrier
from faxgw.folders.folder import AT_ONCE, Folder, SteppedFolder
from faxgw.folders.mounts import hop_of
from faxgw.folders.threads import in_thread

Result = TypeVar("Result")

MARKER = ".faxgw"
"""A file that the operator has put into the folder that is opened; without it, what is mounted there is not mounted."""

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_RENAME_NOREPLACE = 1
_libc = ctypes.CDLL(None, use_errno=True)


class LocalCarrier(FolderCarrier[LocalTarget]):
    """A ``Carrier`` to a folder of this machine."""

    @property
    def origin(self) -> str:
        """See ``FolderCarrier``; a folder begins with a slash of its own."""
        return "file://"

    @asynccontextmanager
    async def open(self, folder: str) -> AsyncIterator[Folder]:
        """See ``FolderCarrier``."""
        try:
            root = root_of(folder, self.target.tenant_id, self.rules)
        except RequestError as error:
            raise Refused(error.code, error.reason) from error
        mode = 0o640 if self.settings.readable_by == "group" else 0o600
        opened = await in_thread(lambda: LocalFolder(root, folder, mode=mode))
        try:
            yield opened
        finally:
            os.close(opened.descriptor)


def root_of(folder: str, tenant_id: UUID, rules: DeliverySettings) -> Path:
    """Return which of the folders that the operator has opened a folder is in.

    Raises:
        RequestError: ``target.folder`` if it is in none.
    """
    path = PurePosixPath(folder)
    roots = [Path(str(root).replace(TENANT, str(tenant_id))) for root in rules.folders]
    found = [root for root in roots if path.is_relative_to(root)]
    if not found or ".." in path.parts or not path.is_absolute():
        raise RequestError("target.folder", "The folder is in none of those that the gateway's operator has opened.")
    return max(found, key=lambda root: len(root.parts))


class LocalFolder(SteppedFolder):
    """A folder that is open; its files are reached by its descriptor, so that nobody can exchange it."""

    def __init__(self, root: Path, folder: str, *, mode: int) -> None:
        """Open it: from the root down, by no link.

        Raises:
            Unreachable, Refused, NotProtected: if it is not there, not to be opened, or mounted in clear.
        """
        with _told():
            self.descriptor = _opened(root, PurePosixPath(folder).relative_to(root))
        self._mode = mode
        try:
            self.hop = hop_of(os.fstat(self.descriptor).st_dev)
        except BaseException:
            os.close(self.descriptor)
            raise

    async def digest(self, name: str) -> bytes | None:
        """See ``Folder``."""

        def read() -> bytes | None:
            try:
                descriptor = self._open(name, os.O_RDONLY | os.O_NONBLOCK)
            except FileNotFoundError:
                return None
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise Refused("delivery.exists", f"There is something {name} already that is no file.")
                seen = sha256()
                while octets := file.read(AT_ONCE):
                    seen.update(octets)
            return seen.digest()

        return await self._do(read)

    async def write(self, name: str, content: bytes) -> None:
        """See ``SteppedFolder``."""

        def write() -> None:
            room = os.fstatvfs(self.descriptor)
            if room.f_bavail * room.f_frsize < len(content):
                raise Unreachable("delivery.full", "There is no room left.")
            with os.fdopen(self._open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                file.write(content)
                file.flush()
                os.fchmod(file.fileno(), self._mode)
                os.fsync(file.fileno())

        await self._do(write)

    async def move(self, part: str, name: str) -> bool:
        """See ``SteppedFolder``."""

        def move() -> bool:
            try:
                self._rename(part, name)
            except FileExistsError:
                return False
            os.fsync(self.descriptor)
            return True

        return await self._do(move)

    async def remove(self, name: str) -> None:
        """See ``Folder``."""

        def unlink() -> None:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self.descriptor)
                os.fsync(self.descriptor)

        await self._do(unlink)

    def _open(self, name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self.descriptor)

    def _rename(self, part: str, name: str) -> None:
        """Rename, replacing nothing: by a second name, or where there are none, by what Linux has for it."""
        here = self.descriptor
        try:
            os.link(part, name, src_dir_fd=here, dst_dir_fd=here, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            rename_without_replacing(here, part, name)
        else:
            os.unlink(part, dir_fd=here)

    async def _do(self, work: Callable[[], Result]) -> Result:
        def told() -> Result:
            with _told():
                return work()

        return await in_thread(told)


def rename_without_replacing(descriptor: int, part: str, name: str) -> None:
    """Rename a file within a folder.

    Raises:
        FileExistsError: if something has that name.
        Refused: ``delivery.no_rename`` if the file system cannot do that.
    """
    old, new = os.fsencode(part), os.fsencode(name)
    if _libc.renameat2(descriptor, old, descriptor, new, _RENAME_NOREPLACE) == 0:
        return
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS):
        raise Refused("delivery.no_rename", "Files cannot be renamed there without replacing others.")
    raise OSError(number, os.strerror(number))


def _opened(root: Path, below: PurePosixPath) -> int:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            os.stat(MARKER, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError as error:
            raise Unreachable(
                "delivery.not_mounted", f"There is no file {MARKER} in {root}: what belongs there is not mounted."
            ) from error
        for part in below.parts:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor, before = os.open(part, flags, dir_fd=descriptor), descriptor
            os.close(before)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _told() -> Iterator[None]:
    """Say what went wrong as carriers do."""
    try:
        yield
    except FileNotFoundError as error:
        raise Unreachable("delivery.folder", "There is no such folder.") from error
    except PermissionError as error:
        raise Refused("delivery.permission", "The gateway may not do that in this folder.") from error
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise Refused("delivery.link", "There is a link on the way, or what should be a folder is none.") from error
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise Unreachable("delivery.full" if full else "delivery.failed", f"{error.strerror}.") from error
