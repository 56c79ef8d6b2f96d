"""Folders by SCP: the old protocol of ``scp`` for content, and a shell for the rest, which SCP has no words for.

The protocol is spoken here and not by a library, since those have files copied, and no content of ours lies in one.
"""

import asyncio
import posixpath
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

import asyncssh

from faxgw.delivery.carrier import NotCarried, Refused, Unreachable
from faxgw.delivery.targets import ScpTarget
from faxgw.folders.carrying import FolderCarrier, with_port
from faxgw.folders.folder import AT_ONCE, Folder, SteppedFolder
from faxgw.folders.ssh import hop, signed_in

GREETING = b"faxgw"
LONGEST_LINE = 4096
NOT_FOUND = 127
"""With which a shell ends that does not know a command."""

Process = asyncssh.SSHClientProcess[bytes]


class ScpCarrier(FolderCarrier[ScpTarget]):
    """A ``Carrier`` to a folder by SCP."""

    @property
    def origin(self) -> str:
        """See ``FolderCarrier``."""
        return f"scp://{with_port(self.settings.host, self.settings.port)}/"

    @asynccontextmanager
    async def open(self, folder: str) -> AsyncIterator[Folder]:
        """See ``FolderCarrier``."""
        allowed = self.rules.allow_private
        async with signed_in(self.settings, self.target.secret, allowed=allowed) as connection:
            opened = ScpFolder(connection, folder)
            await opened.enter()
            yield opened


class ScpFolder(SteppedFolder):
    """A folder that is open by SCP."""

    def __init__(self, connection: asyncssh.SSHClientConnection, folder: str) -> None:
        self.hop = hop(connection)
        self._connection = connection
        self._folder = folder

    async def enter(self) -> None:
        """Find out whether there is a shell, and the folder.

        Raises:
            NotCarried: if not.
        """
        async with self._told():
            found = await self._run(f"printf {GREETING.decode()}; test -d {self._at('')}")
        if found.stdout != GREETING:
            raise Refused(
                "delivery.no_shell",
                "SCP can neither rename nor delete: the user needs a shell that prints nothing by itself. Or use SFTP.",
            )
        if found.exit_status != 0:
            raise Unreachable("delivery.folder", "There is no such folder.")

    async def digest(self, name: str) -> bytes | None:
        """See ``Folder``."""
        async with self._told():
            try:
                return await self._read(name)
            except NotCarried:
                if await self._is_there(name):
                    raise
                return None

    async def write(self, name: str, content: bytes) -> None:
        """See ``SteppedFolder``; SCP has no word for what lasts."""
        async with self._told(), self._scp("-t", name) as process:
            await _confirmed(process)
            process.stdin.write(f"C0666 {len(content)} {name}\n".encode())  # less what is masked there
            await _confirmed(process)
            process.stdin.write(content)
            process.stdin.write(b"\0")
            await process.stdin.drain()
            await _confirmed(process)

    async def move(self, part: str, name: str) -> bool:
        """See ``SteppedFolder``: by a second name, which replaces nothing; where there are none, by ``mv -n``."""
        old, new = self._at(part), self._at(name)
        async with self._told():
            if (await self._run(f"ln -- {old} {new} && rm -f -- {old}")).exit_status == 0:
                return True
            if await self._is_there(name):
                return False
            await self._run(f"mv -n -- {old} {new}")
            if await self._is_there(name):
                return not await self._is_there(part)
        raise Refused("delivery.no_rename", "Files cannot be renamed there without replacing others.")

    async def remove(self, name: str) -> None:
        """See ``Folder``."""
        async with self._told():
            if (await self._run(f"rm -f -- {self._at(name)}")).exit_status != 0:
                raise Refused("delivery.permission", "The user may not do that in this folder.")

    async def _read(self, name: str) -> bytes:
        seen = sha256()
        async with self._scp("-f", name) as process:
            process.stdin.write(b"\0")
            size = await _announced(process)
            process.stdin.write(b"\0")
            while size:
                octets = await process.stdout.readexactly(min(size, AT_ONCE))
                seen.update(octets)
                size -= len(octets)
            await _confirmed(process)
        return seen.digest()

    async def _is_there(self, name: str) -> bool:
        path = self._at(name)
        return (await self._run(f"test -e {path} || test -h {path}")).exit_status == 0

    async def _run(self, command: str) -> asyncssh.SSHCompletedProcess:
        done = await self._connection.run(command, stdin=asyncssh.DEVNULL, encoding=None)
        if done.exit_status is None:
            raise asyncssh.ConnectionLost("no end")
        return done

    @asynccontextmanager
    async def _scp(self, way: str, name: str) -> AsyncIterator[Process]:
        process: Process = await self._connection.create_process(f"scp {way} {self._at(name)}", encoding=None)
        try:
            yield process
            process.stdin.write_eof()
            await process.wait()
        except asyncio.IncompleteReadError as error:
            await process.wait()
            if process.exit_status == NOT_FOUND:
                raise Refused("delivery.no_scp", "There is no scp for this user; use SFTP.") from error
            raise
        finally:
            process.close()

    def _at(self, name: str) -> str:
        """Return a path as the shell takes it, and never for an option."""
        path = posixpath.join(self._folder, name) or "."
        return shlex.quote(path if path.startswith("/") else f"./{path}")

    @asynccontextmanager
    async def _told(self) -> AsyncIterator[None]:
        """Say what went wrong as carriers do."""
        try:
            yield
        except (asyncssh.Error, OSError, EOFError) as error:
            raise Unreachable("delivery.cut", "The connection was lost.") from error


async def _confirmed(process: Process) -> None:
    """Wait until the other side says that it has it.

    Raises:
        NotCarried: if it says something else.
    """
    if (said := await process.stdout.readexactly(1)) != b"\0":
        raise _fault(said + await _line(process))


async def _announced(process: Process) -> int:
    """Return how many octets of a file will come."""
    line = await _line(process)
    words = line.split(b" ", 2)
    if not line.startswith(b"C") or len(words) < 3 or not words[1].isdigit():
        raise _fault(line)
    return int(words[1])


async def _line(process: Process) -> bytes:
    line = b""
    while len(line) < LONGEST_LINE and not line.endswith(b"\n"):
        line += await process.stdout.readexactly(1)
    return line


def _fault(line: bytes) -> NotCarried:
    text = "".join(sign for sign in line.decode(errors="replace") if sign.isprintable())
    if "Permission denied" in text:
        return Refused("delivery.permission", "The user may not do that in this folder.")
    if "No space left" in text or "quota" in text.lower():
        return Unreachable("delivery.full", "There is no room left.")
    return Unreachable("delivery.failed", f"The server could not do it: {text.rpartition(': ')[2][:100]!r}.")
