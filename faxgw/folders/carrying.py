"""What all carriers to folders do alike: carry, take back, try out; each opens its folder in its own way."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Generic, TypeVar, cast
from urllib.parse import quote, unquote
from uuid import uuid4

from faxgw.config.folders import DeliverySettings
from faxgw.delivery.carrier import Parcel, Proof, Refused, Unreachable
from faxgw.delivery.targets import FtpsTarget, LocalTarget, S3Target, ScpTarget, SftpTarget, Target
from faxgw.folders.folder import Folder, Hop, lay_down, take
from faxgw.gateway import Gateway

Settings = TypeVar("Settings", bound=SftpTarget | ScpTarget | FtpsTarget | LocalTarget | S3Target)


class FolderCarrier(ABC, Generic[Settings]):
    """A ``Carrier`` to one folder; it keeps nothing between two calls."""

    def __init__(self, target: Target, gateway: Gateway) -> None:
        self.target = target
        self.settings: Settings = cast(Settings, target.settings)
        self.rules: DeliverySettings = gateway.config.delivery

    @property
    @abstractmethod
    def origin(self) -> str:
        """Where places of this target begin, up to and with the slash before the folder."""

    @abstractmethod
    def open(self, folder: str) -> AbstractAsyncContextManager[Folder]:
        """Open a folder of the target.

        Raises:
            NotCarried: if it cannot be, or not protected.
        """

    async def carry(self, parcel: Parcel) -> Proof:
        """Put a parcel down; see ``Carrier``."""
        async with self._opened(self.settings.folder) as folder:
            await lay_down(folder, parcel.files, part=f".{parcel.id}.part")
        return self._proof(folder.hop, Path.of(self.settings.folder, parcel))

    async def take_back(self, path: str, sha256: bytes) -> bool:
        """Delete what was put down, and what was laid beside it; see ``Carrier``."""
        where = Path.read(path, self.origin)
        async with self._opened(where.folder) as folder:
            for name, digest in where.beside:
                await take(folder, name, digest)
            return await take(folder, where.name, sha256)

    async def probe(self) -> Proof:
        """Try the target out: a small file is put down, read again and deleted; nothing stays there.

        Raises:
            NotCarried: what is wrong with it.
        """
        name = f".{uuid4()}"
        content = b"faxgw tries out whether it can put files down here.\n"
        async with self._opened(self.settings.folder) as folder:
            if not await folder.add(f"{name}.test", content, part=f"{name}.part"):
                raise Refused("delivery.exists", "Every name is taken there, even one that nobody can know.")
            if not await take(folder, f"{name}.test", sha256(content).digest()):
                raise Refused("delivery.gone", "What is put down there is gone, or changed, at once.")
        return self._proof(folder.hop, Path(self.settings.folder, ""))

    @asynccontextmanager
    async def _opened(self, name: str) -> AsyncIterator[Folder]:
        try:
            async with asyncio.timeout(self.rules.timeout), self.open(name) as folder:
                yield folder
        except TimeoutError as error:
            raise Unreachable("delivery.timeout", f"It took longer than {self.rules.timeout:g} s.") from error

    def _proof(self, hop: Hop, path: "Path") -> Proof:
        place = self.origin + path.in_words
        return Proof(
            protocol=hop.protocol,
            cipher=hop.cipher,
            peer=hop.peer,
            verified=True,
            decision=hop.decision,
            place=place,
            at=datetime.now(UTC),
            path=f"{place}#{path.beside_in_words}" if path.name else "",
        )


@dataclass(frozen=True, slots=True)
class Path:
    """Where the first file of a parcel lies, and the names and hashes of what lies beside it."""

    folder: str
    name: str
    beside: tuple[tuple[str, bytes], ...] = ()

    @classmethod
    def of(cls, folder: str, parcel: Parcel) -> "Path":
        """Return that of a parcel."""
        first, *others = parcel.files
        return cls(folder, first.name, tuple((file.name, file.sha256) for file in others))

    @classmethod
    def read(cls, path: str, origin: str) -> "Path":
        """Return it from what a proof has.

        Raises:
            Refused: ``delivery.moved`` if it lies elsewhere than the target leads to now.
        """
        place, _, beside = path.partition("#")
        if not place.startswith(origin):
            raise Refused("delivery.moved", "The target leads elsewhere now than when the file was put down.")
        folder, _, name = unquote(place.removeprefix(origin)).rpartition("/")
        pairs = (each.partition("=") for each in beside.split("&") if each)
        return cls(folder, name, tuple((each, bytes.fromhex(digest)) for each, _, digest in pairs))

    @property
    def in_words(self) -> str:
        """As a place has it."""
        return quote(f"{self.folder}/{self.name}" if self.folder else self.name)

    @property
    def beside_in_words(self) -> str:
        """As a path has it after its place."""
        return "&".join(f"{name}={digest.hex()}" for name, digest in self.beside)


def with_port(host: str, port: int) -> str:
    """Return a host and its port as a place has them.

    >>> with_port("2001:db8::1", 22), with_port("sftp.example", 2222)
    ('[2001:db8::1]:22', 'sftp.example:2222')
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
