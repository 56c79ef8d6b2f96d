"""Folders by SFTP."""

import posixpath
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from typing import cast

import asyncssh

from faxgw.delivery.carrier import Refused, Unreachable
from faxgw.delivery.targets import SftpTarget
from faxgw.folders.carrying import FolderCarrier, with_port
from faxgw.folders.folder import AT_ONCE, Folder, SteppedFolder
from faxgw.folders.ssh import hop, signed_in


class SftpCarrier(FolderCarrier[SftpTarget]):
    """A ``Carrier`` to a folder by SFTP."""

    @property
    def origin(self) -> str:
        """See ``FolderCarrier``."""
        return f"sftp://{with_port(self.settings.host, self.settings.port)}/"

    @asynccontextmanager
    async def open(self, folder: str) -> AsyncIterator[Folder]:
        """See ``FolderCarrier``."""
        allowed = self.rules.allow_private
        async with signed_in(self.settings, self.target.secret, allowed=allowed) as connection:
            try:
                sftp = await connection.start_sftp_client()
            except (asyncssh.Error, OSError) as error:
                if connection.is_closed():
                    raise Unreachable("delivery.cut", "The connection was lost.") from error
                raise Refused("delivery.no_sftp", f"{self.settings.host} has no SFTP for this user.") from error
            yield SftpFolder(connection, sftp, folder)


@asynccontextmanager
async def _told() -> AsyncIterator[None]:
    """Say what went wrong as carriers do."""
    try:
        yield
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath) as error:
        raise Unreachable("delivery.folder", "There is no such folder.") from error
    except (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect) as error:
        raise Refused("delivery.permission", "The user may not do that in this folder.") from error
    except (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded) as error:
        raise Unreachable("delivery.full", "There is no room left.") from error
    except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection) as error:
        raise Unreachable("delivery.cut", "The connection was lost.") from error
    except asyncssh.SFTPError as error:
        raise Unreachable("delivery.failed", f"The server could not do it: {error.reason[:100]!r}.") from error
    except (asyncssh.Error, OSError, ValueError) as error:
        raise Unreachable("delivery.cut", "The connection was lost.") from error


class SftpFolder(SteppedFolder):
    """A folder that is open by SFTP."""

    def __init__(self, connection: asyncssh.SSHClientConnection, sftp: asyncssh.SFTPClient, folder: str) -> None:
        self.hop = hop(connection)
        self._sftp = sftp
        self._folder = folder

    @_told()
    async def digest(self, name: str) -> bytes | None:
        """See ``Folder``."""
        seen = sha256()
        try:
            async with self._sftp.open(self._at(name), "rb") as file:
                while octets := await file.read(AT_ONCE):
                    seen.update(cast(bytes, octets))
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            return None
        return seen.digest()

    @_told()
    async def write(self, name: str, content: bytes) -> None:
        """See ``SteppedFolder``."""
        async with self._sftp.open(self._at(name), "xb") as file:
            await file.write(content)
            with suppress(asyncssh.SFTPOpUnsupported):
                await file.fsync()

    @_told()
    async def move(self, part: str, name: str) -> bool:
        """See ``SteppedFolder``: by the rename of SFTP itself, which never replaces anything, as POSIX's does."""
        try:
            await self._sftp.rename(self._at(part), self._at(name))
        except asyncssh.SFTPError as error:
            if await self._sftp.lexists(self._at(name)):
                return False
            if not isinstance(error, asyncssh.SFTPOpUnsupported):
                raise
            await self._sftp.posix_rename(self._at(part), self._at(name))
        return True

    @_told()
    async def remove(self, name: str) -> None:
        """See ``Folder``."""
        with suppress(asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            await self._sftp.remove(self._at(name))

    def _at(self, name: str) -> str:
        return posixpath.join(self._folder, name)
