"""An FTP server in this process that says what a test has it say, and notes what it hears."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

USUAL = {
    "AUTH": "234 go on",
    "PBSZ": "200 0",
    "PROT": "200 P",
    "USER": "331 password",
    "PASS": "230 in",
    "TYPE": "200 I",
    "FEAT": "211 none",
}


class FtpServer:
    """A running server; ``heard`` has the commands, ``octets`` how many came before TLS."""

    def __init__(self, answers: Mapping[str, str], context: ssl.SSLContext | None) -> None:
        self.answers = USUAL | dict(answers)
        self.heard: list[str] = []
        self.octets = 0
        self.connections = 0
        self.port = 0
        self._context = context
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """End what is still being said."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Have a connection served."""
        self._tasks.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(reader, writer)
        finally:
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(b"220 here\r\n")
        protected = False
        with suppress(OSError):
            while line := await reader.readline():
                self.octets += 0 if protected else len(line)
                self.heard.append(line.decode(errors="replace").strip())
                verb = self.heard[-1].partition(" ")[0]
                answer = self.answers.get(verb, "502 no")
                writer.write(f"{answer}\r\n".encode())
                await writer.drain()
                if verb == "AUTH" and answer.startswith("234") and self._context:
                    await writer.start_tls(self._context)
                    protected = True


@asynccontextmanager
async def ftp_server(
    answers: Mapping[str, str] | None = None, *, context: ssl.SSLContext | None = None
) -> AsyncIterator[FtpServer]:
    """Run one that answers as usual but for these; without a context it has no TLS."""
    made = FtpServer(answers or {}, context)
    server = await asyncio.start_server(made.accept, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.close()
        await server.wait_closed()
