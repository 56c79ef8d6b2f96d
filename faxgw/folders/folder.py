"""The port to one folder, and how files come to lie in it: each once, whole, under its name, never over another's."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from faxgw.delivery.carrier import File, NotCarried, Refused, Unreachable

NAME = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,199}")
"""What the name of a file may be, wherever it is put."""

AT_ONCE = 256 * 1024
"""Octets that are read at a time."""


@dataclass(frozen=True, slots=True)
class Hop:
    """How the way to a folder is protected; see ``Proof``."""

    protocol: str
    decision: str
    cipher: str = ""
    peer: str = ""


class Folder(Protocol):
    """A folder that is open. Every method may raise ``NotCarried``."""

    @property
    def hop(self) -> Hop:
        """How it is reached."""
        ...

    async def digest(self, name: str) -> bytes | None:
        """Return the SHA-256 of a file as it lies there; None if nothing has that name."""
        ...

    async def add(self, name: str, content: bytes, *, part: str) -> bool:
        """Have a file appear under its name, whole; return False if something has that name already.

        ``part`` is a name that it may have before; what has that name is ours, and of no use.
        """
        ...

    async def remove(self, name: str) -> None:
        """Delete a file; what is not there is passed over."""
        ...


class SteppedFolder(ABC):
    """A folder in which a file is written under another name first, read again, and then renamed."""

    hop: Hop

    @abstractmethod
    async def digest(self, name: str) -> bytes | None:
        """See ``Folder``."""

    @abstractmethod
    async def remove(self, name: str) -> None:
        """See ``Folder``."""

    @abstractmethod
    async def write(self, name: str, content: bytes) -> None:
        """Make a file; it lasts, where the other side can be told so."""

    @abstractmethod
    async def move(self, part: str, name: str) -> bool:
        """Give a file its name; return False if something has that name already."""

    async def add(self, name: str, content: bytes, *, part: str) -> bool:
        """See ``Folder``."""
        await self.remove(part)
        await self.write(part, content)
        if await self.digest(part) != sha256(content).digest():
            raise Unreachable("delivery.damaged", "What was written there is not what is read there.")
        return await self.move(part, name)


async def lay_down(folder: Folder, files: Sequence[File], *, part: str) -> None:
    """Have all files there, in their order; what an earlier try has put down already stays as it is.

    Only what is encrypted anew at each try takes the place of what has its name.

    Raises:
        Refused: ``delivery.exists`` if another file has the name of one.
        NotCarried: what the folder raises.
    """
    try:
        for file in files:
            await _lay_down(folder, file, part)
    except NotCarried:
        with suppress(NotCarried):  # the next try removes it, too
            await folder.remove(part)
        raise
    await folder.remove(part)


async def take(folder: Folder, name: str, digest: bytes) -> bool:
    """Delete a file if it is still the same; return False if it is there no more.

    Raises:
        Refused: ``delivery.kept`` if it stays there all the same.
        NotCarried: what the folder raises.
    """
    if await folder.digest(name) != digest:
        return False
    await folder.remove(name)
    if await folder.digest(name) == digest:
        raise Refused("delivery.kept", "The file was deleted there, and is there all the same.")
    return True


async def _lay_down(folder: Folder, file: File, part: str) -> None:
    if not NAME.fullmatch(file.name):
        raise Refused("delivery.name", "The name of the file is none that can be used everywhere.")
    found = await folder.digest(file.name)
    if found is not None and found != file.sha256 and file.replaces:
        await folder.remove(file.name)
        found = None
    if found is None:
        if await folder.add(file.name, file.content, part=part):
            return
        found = await folder.digest(file.name)
    if found is None:
        raise Unreachable("delivery.busy", "Something of that name was there for a moment, and is gone.")
    if found != file.sha256:
        raise Refused("delivery.exists", f"There is another file {file.name} already; it was left as it is.")
