"""A device that submits mail, and costs little beside the service that it measures."""

import asyncio
import base64
import ssl
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from faxgw.bench.client import PATIENCE


@dataclass(frozen=True, slots=True)
class Account:
    """What a device signs in with, and where."""

    port: int
    login: str
    secret: str
    context: ssl.SSLContext

    @classmethod
    def of(cls, port: int, login: str, secret: str, certificate: Path) -> "Account":
        """Return a device's account on this machine; each connection makes a TLS session of its own."""
        return cls(port, login, secret, ssl.create_default_context(cafile=str(certificate)))


class Refused(Exception):
    """The server said no; ``code`` is its answer."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code


class Session:
    """One connection of a device that has signed in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def opened(cls, account: Account) -> "Session":
        """Connect, and sign in.

        Raises:
            Refused, OSError: see there.
        """
        streams = await asyncio.open_connection(
            "127.0.0.1", account.port, ssl=account.context, server_hostname="localhost"
        )
        session = cls(*streams)
        try:
            credential = base64.b64encode(f"\0{account.login}\0{account.secret}".encode()).decode()
            await session._answer(220)
            await session._said("EHLO device.bench.example", 250)
            await session._said(f"AUTH PLAIN {credential}", 235)
        except BaseException:
            session.close()
            raise
        return session

    async def send(self, message: bytes, to: str) -> None:
        """Send one message, each command after the answer to the one before, as office machines do.

        Raises:
            Refused, OSError: see there.
        """
        await self._said("MAIL FROM:<device@bench.example>", 250)
        await self._said(f"RCPT TO:<{to}@fax.bench.example>", 250)
        await self._said("DATA", 354)
        self._writer.write(message)
        self._writer.write(b".\r\n")
        await self._writer.drain()
        await self._answer(250)

    def close(self) -> None:
        """Leave, without a word more."""
        self._writer.close()

    async def quit(self) -> None:
        """Leave politely."""
        await self._said("QUIT", 221)
        self.close()

    async def _said(self, line: str, wanted: int) -> None:
        self._writer.write(f"{line}\r\n".encode())
        await self._answer(wanted)

    async def _answer(self, wanted: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while (line := await self._reader.readuntil(b"\n"))[3:4] == b"-":
                pass
        if line[:3] != b"%d" % wanted:
            raise Refused(int(line[:3]), line[4:].decode("ascii", "replace").strip())


def named() -> bytes:
    """Return the line of a header that makes a message another one than all before it."""
    return f"Message-ID: <{uuid4()}@device.bench.example>\r\n".encode()


def message_of(document: bytes, media_type: str) -> bytes:
    """Return a message with one attachment, as an office machine writes it: lines in CR LF, no dot begins one."""
    head = (
        "From: device@bench.example",
        "Subject: scan",
        "MIME-Version: 1.0",
        'Content-Type: multipart/mixed; boundary="=_bench"',
        "",
        "--=_bench",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        "Scanned.",
        "--=_bench",
        f'Content-Type: {media_type}; name="scan"',
        "Content-Transfer-Encoding: base64",
        'Content-Disposition: attachment; filename="scan"',
        "",
        "",
    )
    coded = base64.encodebytes(document).replace(b"\n", b"\r\n")
    return "\r\n".join(head).encode() + coded + b"--=_bench--\r\n"
