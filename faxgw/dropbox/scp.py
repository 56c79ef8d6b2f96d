"""The old protocol of ``scp`` (``scp -O``), as far as files are put down: small and without a name, so written here.

asyncssh's own would close, and so have dropped, a file whose sender went away in the middle of it.
"""

import asyncio
import shlex
from dataclasses import dataclass

import asyncssh

from faxgw.archive.objects import StoreError
from faxgw.dropbox.folder import FOLDERS, Folder, Opened
from faxgw.dropbox.naming import split
from faxgw.errors import RequestError
from faxgw.store.database import DatabaseUnavailable

PIECE = 64 * 1024
LONGEST_LINE = 1024
_OPTIONS = frozenset("dprqvt")
_FAULTS = (RequestError, StoreError, DatabaseUnavailable)


class ScpRefused(Exception):
    """What was asked for is not done here; the text is for the other side."""


def target_of(command: str) -> bytes:
    """Return where ``scp -t`` is to put files down.

    Raises:
        ScpRefused: for any other command.

    >>> target_of("scp -p -t -- .")
    b'.'
    """
    try:
        program, *words = shlex.split(command)
    except ValueError:
        raise ScpRefused("there is no shell here") from None
    options: set[str] = set()
    while words and words[0].startswith("-") and len(words[0]) > 1:
        word = words.pop(0)
        if word == "--":
            break
        options.update(word[1:])
    if program != "scp" or "t" not in options or not options <= _OPTIONS or len(words) != 1:
        raise ScpRefused("files are only put down here: no shell, no other command; fetch results by sftp")
    return words[0].encode("utf-8", "surrogateescape")


@dataclass
class Sink:
    """Takes files by the old protocol; ``silence``: seconds that may pass until the next piece."""

    folder: Folder
    reader: "asyncssh.SSHReader[bytes]"
    writer: "asyncssh.SSHWriter[bytes]"
    silence: float
    _refused: bool = False

    async def run(self, target: bytes) -> int:
        """Take files until the client has no more; return the exit status."""
        self._ok()
        while line := await self._line():
            kind, rest = line[:1], line[1:]
            if kind in (b"T", b"E"):
                self._ok()
            elif kind == b"C":
                await self._file(target, rest)
            else:
                self._no("only files are put down here, no folders")
        return int(self._refused)

    async def _file(self, target: bytes, header: bytes) -> None:
        try:
            _, size, name = header.split(b" ", 2)
            path = name if split(target) in FOLDERS else target
            left = int(size)
            if left < 0:
                raise ValueError
        except (ValueError, RequestError):
            self._no("this is no scp")
            raise ScpRefused("this is no scp") from None
        try:
            opened = await self.folder.write(path)
        except _FAULTS as fault:
            self._no(_text(fault))
            return
        self._ok()
        wrong = await self._octets(opened, left)
        if await self._exactly(1) != b"\0":
            await opened.writing.abandon()
        try:
            await self.folder.close(opened)
        except _FAULTS as late:
            wrong = wrong or late
        if wrong:
            self._no(_text(wrong))
        else:
            self._ok()

    async def _octets(self, opened: Opened, left: int) -> Exception | None:
        """Take the octets of a file; return why they could not be kept."""
        offset, refused = 0, None
        while left:
            piece = await self._exactly(min(left, PIECE))
            left -= len(piece)
            if refused is None:
                try:
                    await self.folder.put(opened, offset, piece)
                except _FAULTS as fault:
                    refused = fault
            offset += len(piece)
        return refused

    async def _line(self) -> bytes:
        """Return the next line without its end; empty: there is none."""
        line = b""
        async with asyncio.timeout(self.silence):
            while len(line) < LONGEST_LINE:
                octet = await self.reader.read(1)
                if octet in (b"", b"\n"):
                    return line
                line += octet
        raise ScpRefused("a line is too long")

    async def _exactly(self, count: int) -> bytes:
        async with asyncio.timeout(self.silence):
            return await self.reader.readexactly(count)

    def _ok(self) -> None:
        self.writer.write(b"\0")

    def _no(self, text: str) -> None:
        self._refused = True
        self.writer.write(b"\1scp: " + text.encode() + b"\n")


def _text(fault: Exception) -> str:
    return fault.reason if isinstance(fault, RequestError) else "The gateway cannot take anything now: try again later."
