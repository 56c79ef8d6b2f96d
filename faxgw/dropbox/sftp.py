"""SFTP (version 3) to a folder: asyncssh's server, with everything switched off that a drop box does not need."""

import asyncio
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import cast

import asyncssh
import structlog
from asyncssh.constants import (
    FXF_APPEND,
    FXF_CREAT,
    FXF_EXCL,
    FXF_WRITE,
    FXP_CLOSE,
    FXP_FSETSTAT,
    FXP_FSTAT,
    FXP_LSTAT,
    FXP_MKDIR,
    FXP_OPEN,
    FXP_OPENDIR,
    FXP_READ,
    FXP_READDIR,
    FXP_REALPATH,
    FXP_REMOVE,
    FXP_RENAME,
    FXP_RMDIR,
    FXP_SETSTAT,
    FXP_STAT,
    FXP_WRITE,
)
from asyncssh.packet import SSHPacket
from asyncssh.sftp import SFTPAttrs, SFTPName, SFTPServerHandler

from faxgw.archive.objects import StoreError
from faxgw.dropbox.folder import FOLDERS, Folder, Opened
from faxgw.dropbox.looking import Entry
from faxgw.dropbox.naming import RESULTS, split
from faxgw.errors import RequestError
from faxgw.store.database import DatabaseUnavailable

log = structlog.get_logger(__name__)

VERSION = 3
MOST_OCTETS = 256 * 1024 + 1024
"""Of one packet; the largest that OpenSSH sends."""
MOST_LISTINGS = 8
"""Folders that one connection may be listing at once."""
SERVED: tuple[int | bytes, ...] = (
    *(FXP_OPEN, FXP_CLOSE, FXP_READ, FXP_WRITE, FXP_LSTAT, FXP_FSTAT, FXP_SETSTAT, FXP_FSETSTAT, FXP_OPENDIR),
    *(FXP_READDIR, FXP_REMOVE, FXP_MKDIR, FXP_RMDIR, FXP_REALPATH, FXP_STAT, FXP_RENAME),
    *(b"posix-rename@openssh.com", b"fsync@openssh.com"),
)
"""Requests that are answered at all: asyncssh would serve the others from this machine's own files."""


@contextmanager
def _told() -> Iterator[None]:
    """Say what went wrong in the words of SFTP, and nothing that only the log may have."""
    try:
        yield
    except RequestError as refused:
        if refused.code == "drop.unknown":
            raise asyncssh.SFTPNoSuchFile(refused.reason) from None
        if refused.code in ("drop.name", "drop.sealed", "auth.device"):
            raise asyncssh.SFTPPermissionDenied(refused.reason) from None
        if refused.code == "drop.order":
            raise asyncssh.SFTPOpUnsupported(refused.reason) from None
        raise asyncssh.SFTPFailure(refused.reason) from None
    except (StoreError, DatabaseUnavailable) as fault:
        log.warning("a drop box cannot be served now", fault=str(fault))
        raise asyncssh.SFTPFailure("The gateway cannot take anything now: try again later.") from None
    except (asyncssh.Error, asyncio.CancelledError):
        raise
    except Exception:
        log.exception("a request to a drop box failed")
        raise asyncssh.SFTPFailure("Something went wrong in the gateway; its log has more.") from None


class FolderServer(asyncssh.SFTPServer):
    """A folder, as asyncssh asks for its files."""

    def __init__(self, channel: "asyncssh.SSHServerChannel[bytes]", folder: Folder) -> None:
        super().__init__(channel)
        self.folder = folder
        self._listings = 0

    async def open(self, path: bytes, pflags: int, attrs: SFTPAttrs) -> object:
        """Begin to write a file, or read one whole."""
        del attrs
        with _told():
            if not pflags & FXF_WRITE:
                return await self.folder.read(path)
            if pflags & FXF_APPEND:
                raise RequestError("drop.order", "Nothing can be appended to a file: write it anew.")
            if split(path) in FOLDERS:
                raise RequestError("drop.name", "This is a folder.")
            create, new = bool(pflags & FXF_CREAT), bool(pflags & FXF_EXCL)
            return await self.folder.write(path, new=create and new, known=not create)

    async def close(self, file_obj: object) -> None:
        """Take a file that is whole."""
        if isinstance(file_obj, Opened):
            with _told():
                await self.folder.close(file_obj)

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        """Give a piece of a result or a note."""
        if not isinstance(file_obj, bytes):
            raise asyncssh.SFTPPermissionDenied("This file is being written.")
        return file_obj[offset : offset + size]

    async def write(self, file_obj: object, offset: int, data: bytes) -> int:
        """Take a piece of a file."""
        if not isinstance(file_obj, Opened):
            raise asyncssh.SFTPPermissionDenied("This file is being read.")
        with _told():
            await self.folder.put(file_obj, offset, data)
        return len(data)

    async def stat(self, path: bytes) -> SFTPAttrs:
        """Say what a file or a folder is."""
        with _told():
            if split(path) in FOLDERS:
                return _of_folder()
            entry = await self.folder.find(path)
        if entry is None:
            raise asyncssh.SFTPNoSuchFile("There is no such file here.")
        return _of_entry(entry)

    lstat = stat

    async def fstat(self, file_obj: object) -> SFTPAttrs:
        """Say how much of a file is there."""
        size = file_obj.writing.size if isinstance(file_obj, Opened) else len(cast(bytes, file_obj))
        return SFTPAttrs(size=size, permissions=stat.S_IFREG | 0o600)

    async def setstat(self, path: bytes, attrs: SFTPAttrs) -> None:
        """Let clients set times and permissions, which are nothing here; not a size."""
        with _told():
            split(path)
        if attrs.size is not None:
            raise asyncssh.SFTPOpUnsupported("A file is as long as it was written.")

    async def fsetstat(self, file_obj: object, attrs: SFTPAttrs) -> None:
        """As ``setstat``; that an empty file is empty is no news."""
        if attrs.size and not (isinstance(file_obj, Opened) and attrs.size == file_obj.writing.size):
            raise asyncssh.SFTPOpUnsupported("A file is as long as it was written.")

    async def fsync(self, file_obj: object) -> None:
        """Do nothing: with ``close`` a file is durable, and before it is nothing."""

    async def scandir(self, path: bytes) -> AsyncIterator[SFTPName]:
        """List a folder."""
        if self._listings >= MOST_LISTINGS:
            raise asyncssh.SFTPFailure("Too many folders are being listed.")
        self._listings += 1
        try:
            with _told():
                entries = await self.folder.entries(path)
                above = [b".", b".."] if split(path) else [b".", b"..", RESULTS.encode()]
            for each in above:
                yield SFTPName(each, attrs=_of_folder())
            for entry in entries:
                yield SFTPName(entry.name.encode(), attrs=_of_entry(entry))
        finally:
            self._listings -= 1

    async def remove(self, path: bytes) -> None:
        """Delete a file."""
        with _told():
            await self.folder.remove(path)

    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Give a file another name."""
        with _told():
            await self.folder.rename(oldpath, newpath)

    posix_rename = rename

    async def mkdir(self, path: bytes, attrs: SFTPAttrs) -> None:
        """Refuse: there are the folders that there are."""
        del path, attrs
        raise asyncssh.SFTPPermissionDenied("There are no other folders here.")

    async def rmdir(self, path: bytes) -> None:
        """Refuse likewise."""
        del path
        raise asyncssh.SFTPPermissionDenied("This folder stays.")

    async def realpath(self, path: bytes) -> bytes:
        """Return a path from the folder on."""
        with _told():
            return ("/" + "/".join(split(path))).encode()

    def format_user(self, uid: int | None) -> str:
        """Return nothing: there are no users here."""
        del uid
        return "-"

    def format_group(self, gid: int | None) -> str:
        """Return nothing likewise."""
        del gid
        return "-"

    async def exit(self) -> None:
        """Say goodbye so that new scp ends with 0."""
        await self.folder.abandon()
        self.channel.exit(0)


class FolderHandler(SFTPServerHandler):
    """asyncssh's side of the protocol, without what it would serve from files, and with a limit on time and size."""

    def __init__(
        self,
        server: FolderServer,
        reader: "asyncssh.SSHReader[bytes]",
        writer: "asyncssh.SSHWriter[bytes]",
        *,
        silence: float,
    ) -> None:
        super().__init__(server, reader, writer, VERSION)
        self._packet_handlers = {kind: each for kind, each in self._packet_handlers.items() if kind in SERVED}
        self._extensions = [(each, b"1") for each in SERVED if isinstance(each, bytes)]
        self._folder = server.folder
        self._silence = silence

    async def recv_packet(self) -> SSHPacket:
        """Return the next request, which has to be whole in time."""
        assert self._reader is not None
        async with asyncio.timeout(self._silence):
            size = int.from_bytes(await self._reader.readexactly(4))
            if size > MOST_OCTETS:
                raise asyncssh.SFTPBadMessage("A packet is larger than any client sends.")
            return SSHPacket(await self._reader.readexactly(size))

    async def _cleanup(self, exc: Exception | None) -> None:
        # Files that are open now were not closed by their client: what there is of them must not be taken for whole.
        await self._folder.abandon()
        await super()._cleanup(exc)


def _of_folder() -> SFTPAttrs:
    return SFTPAttrs(permissions=stat.S_IFDIR | 0o700, nlink=1, uid=0, gid=0, size=0, atime=0, mtime=0)


def _of_entry(entry: Entry) -> SFTPAttrs:
    when = int(entry.at.timestamp())
    mode = stat.S_IFREG | (0o400 if entry.content is None else 0o600)
    return SFTPAttrs(permissions=mode, nlink=1, uid=0, gid=0, size=entry.size, atime=when, mtime=when)
