"""Folders by FTP over TLS; FTP without it does not exist here."""

import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from ftplib import Error, error_perm, error_temp
from hashlib import sha256
from typing import TypeVar

from faxgw.delivery.carrier import NotProtected, Refused, Unreachable
from faxgw.delivery.targets import FtpsTarget
from faxgw.errors import RequestError
from faxgw.folders.carrying import FolderCarrier, with_port
from faxgw.folders.folder import Folder, Hop, SteppedFolder
from faxgw.folders.ftps_client import FtpsClient, NoTls, OtherCertificate
from faxgw.folders.reaching import reach
from faxgw.folders.threads import in_thread
from faxgw.folders.trust import trusting

Result = TypeVar("Result")

NOT_THERE = "550"
"""The answer to what cannot be done to a file, most often because it is not there."""


class FtpsCarrier(FolderCarrier[FtpsTarget]):
    """A ``Carrier`` to a folder by FTP over TLS."""

    @property
    def origin(self) -> str:
        """See ``FolderCarrier``."""
        return f"ftps://{with_port(self.settings.host, self.settings.port)}/"

    @asynccontextmanager
    async def open(self, folder: str) -> AsyncIterator[Folder]:
        """See ``FolderCarrier``."""
        settings = self.settings
        try:
            context = await in_thread(lambda: trusting(settings.authorities))
        except RequestError as error:
            raise Refused(error.code, error.reason) from error
        made = await reach(settings.host, settings.port, allowed=self.rules.allow_private)
        client = FtpsClient(made, settings.host, context)
        try:
            yield await FtpsFolder.opened(client, self, folder)
        finally:
            client.cut()
            client.close()


@contextmanager
def _told() -> Iterator[None]:
    """Say what went wrong as carriers do."""
    try:
        yield
    except OtherCertificate as error:
        raise NotProtected("delivery.certificate", "The way for files has another certificate.") from error
    except ssl.SSLCertVerificationError as error:
        raise NotProtected(
            "delivery.certificate", f"The server's certificate is not valid: {error.verify_message}."
        ) from error
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
        raise Unreachable("delivery.cut", "The connection was lost.") from error
    except ssl.SSLError as error:
        raise NotProtected("delivery.tls", f"The TLS handshake fails: {error.reason}.") from error
    except NoTls as error:
        raise NotProtected("delivery.tls", f"The server does not protect {error}.") from error
    except error_perm as error:
        if str(error)[:3] in ("530", "532"):
            raise Refused("delivery.sign_in", "The server does not let this user in with this password.") from error
        raise Refused("delivery.permission", f"The server does not do it: {_answer(error)}.") from error
    except error_temp as error:
        full = str(error)[:3] in ("452", "552")
        raise Unreachable(
            "delivery.full" if full else "delivery.failed", f"The server cannot do it now: {_answer(error)}."
        ) from error
    except (Error, OSError, EOFError, ValueError) as error:
        raise Unreachable("delivery.cut", "The connection was lost.") from error


class FtpsFolder(SteppedFolder):
    """A folder that is open by FTP over TLS."""

    def __init__(self, client: FtpsClient, hop: Hop) -> None:
        self.hop = hop
        self._client = client

    @classmethod
    async def opened(cls, client: FtpsClient, carrier: FtpsCarrier, folder: str) -> "FtpsFolder":
        """Sign in, and open a folder."""
        settings = carrier.settings

        def sign_in() -> Hop:
            with _told():
                client.protect(at_once=settings.implicit)
                client.sign_in(settings.user, carrier.target.secret.password)
                hop = client.hop
            with _told():
                _enter(client, folder)
            return hop

        return cls(client, await in_thread(sign_in, cut=client.cut))

    async def digest(self, name: str) -> bytes | None:
        """See ``Folder``."""

        def read() -> bytes | None:
            seen = sha256()
            try:
                for octets in self._client.read(name):
                    seen.update(octets)
            except error_perm as error:
                if not str(error).startswith(NOT_THERE) or self._client.is_there(name):
                    raise
                return None
            return seen.digest()

        return await self._do(read)

    async def write(self, name: str, content: bytes) -> None:
        """See ``SteppedFolder``; FTP has no word for what lasts."""
        await self._do(lambda: self._client.write(name, content))

    async def move(self, part: str, name: str) -> bool:
        """See ``SteppedFolder``; FTP's rename may replace what is there, so that is looked at just before."""

        def rename() -> bool:
            if self._client.is_there(name):
                return False
            try:
                self._client.rename(part, name)
            except error_perm:
                if not self._client.is_there(name):
                    raise
                return False
            return True

        return await self._do(rename)

    async def remove(self, name: str) -> None:
        """See ``Folder``."""

        def delete() -> None:
            try:
                self._client.delete(name)
            except error_perm:
                if self._client.is_there(name):
                    raise

        await self._do(delete)

    async def _do(self, work: Callable[[], Result]) -> Result:
        def told() -> Result:
            with _told():
                return work()

        return await in_thread(told, cut=self._client.cut)


def _enter(client: FtpsClient, folder: str) -> None:
    if not folder:
        return
    try:
        client.cwd(folder)
    except error_perm as error:
        raise Unreachable("delivery.folder", "There is no such folder.") from error


def _answer(error: Exception) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in str(error)[:100])
