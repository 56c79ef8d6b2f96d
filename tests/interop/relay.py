"""Between a client and its server: keeps what passes on every connection, and ends them all at any octet."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial

HOST = "127.0.0.2"
"""Where it listens, on the ports of the server, which is on 127.0.0.1."""


class Relay:
    """What passed, and when it is to end.

    Attributes:
        passed: every octet, of both sides and all connections.
        ends_at: how many octets may pass; None: all.
    """

    def __init__(self) -> None:
        self.passed = bytearray()
        self.ends_at: int | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, *, ends_at: int | None = None) -> None:
        """Forget what passed; end everything when so many octets have."""
        self.passed.clear()
        self.ends_at = ends_at

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        """Pass on what comes by one connection."""
        task = asyncio.create_task(self._connect(reader, writer, port))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        for each in (writer, far_writer):
            each.transport.abort()
            self._writers.discard(each)

    async def close(self) -> None:
        """End everything."""
        self._cut()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while octets := await reader.read(65536):
                left = len(octets) if self.ends_at is None else max(0, self.ends_at - len(self.passed))
                self.passed += octets[:left]
                writer.write(octets[:left])
                with suppress(OSError):
                    await writer.drain()
                if left < len(octets):
                    self._cut()
                    return
            if writer.can_write_eof():
                writer.write_eof()

    def _cut(self) -> None:
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def relay(ports: Iterable[int]) -> AsyncIterator[Relay]:
    """Listen on these ports, and pass everything on to the same of 127.0.0.1."""
    made = Relay()

    servers = [await asyncio.start_server(partial(_accept, made, port), HOST, port) for port in ports]
    try:
        yield made
    finally:
        for server in servers:
            server.close()
        await made.close()
        for server in servers:
            await server.wait_closed()


def _accept(made: Relay, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    made.accept(reader, writer, port)
