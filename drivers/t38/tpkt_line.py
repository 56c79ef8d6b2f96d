"""A line to one T.38 endpoint over TCP: ``tpkt:LOCALHOST:PORT@PEERHOST:PORT?role=...``.

The answerer listens at its own address; the caller connects to the peer's from any port. When the connection is over,
so is the call.
"""

import asyncio
import os
import socket
from typing import Self

from drivers.registry import LineUrl
from drivers.t38.endpoint import Endpoint
from drivers.t38.options import Options
from drivers.t38.pages import prepare
from drivers.t38.straight import StraightLine
from drivers.t38.tpkt import TpktStream
from t30.line import Cause, LineError, NotConnected
from t30.timers import T0

MOST_UNSENT = 1 << 16
"""Octets that may wait to be sent, half a minute of a page; a peer that takes less than it is sent is not there."""
LAST_WORDS = 1.0
"""Seconds that are left to read what came before the connection ended."""


class TpktLine(StraightLine):
    """A line on one connection at a time.

    Attributes:
        strangers: connections from elsewhere, or while there was one, which were closed.
    """

    def __init__(self, options: Options, hosts: frozenset[str]) -> None:
        super().__init__(options)
        self.strangers = 0
        self._hosts = hosts
        self._server: asyncio.Server | None = None
        self._connection: _Connection | None = None
        self._rings = asyncio.Event()
        self._watch_end: asyncio.TimerHandle | None = None

    @classmethod
    async def open(cls, url: LineUrl) -> Self:
        """Open the line, and listen where it may be called.

        Raises:
            LineError: ``usage`` if the URL makes no sense, ``line.unavailable`` if the port is not to be had, or the
                peer's name leads nowhere.
        """
        options = Options.of(url)
        await prepare(fill=options.agreed.fill_bit_removal, mmr=options.agreed.transcoding_mmr)
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(*options.peer, type=socket.SOCK_STREAM)
            line = cls(options, frozenset(str(each[4][0]) for each in found))
            if options.calls is not True:
                line._server = await loop.create_server(lambda: _Connection(line, called=True), *options.local)
        except OSError as error:
            (host, port), reason = options.local, error.strerror or str(error)
            raise LineError(f"TCP from {host}:{port} to {options.peer[0]}:{options.peer[1]}: {reason}") from error
        return line

    @property
    def local(self) -> tuple[str, int] | None:
        """Where it listens; None if it only calls."""
        if self._server is None:
            return None
        address: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        return address

    async def close(self) -> None:
        """Hang up, and listen no longer."""
        await super().close()
        if self._server is not None:
            self._server.close()

    async def _called(self) -> None:
        await self._rings.wait()

    def _answered(self) -> None:
        if self._connection is None:
            raise LineError("the other side is gone", code="line.dropped")
        self._speak(self._connection)

    async def _reached(self) -> NotConnected | None:
        began = self._clock.now()
        near = (self._options.local[0], 0)
        try:
            async with asyncio.timeout(self._clock.real(T0)):
                _, connection = await self._loop.create_connection(
                    lambda: _Connection(self, called=False), *self._options.peer, local_addr=near
                )
        except TimeoutError:
            return NotConnected(Cause.NO_ANSWER)
        except OSError as error:
            return NotConnected(Cause.NETWORK, detail=os.strerror(error.errno) if error.errno else str(error))
        self._connection = connection
        self._speak(connection)
        if not await self._met(wait=began + T0 - self._clock.now()):
            return NotConnected(Cause.NO_ANSWER)
        if connection.over:
            self._hang_up()
            return NotConnected(Cause.REJECTED, detail="they closed the connection")
        return None

    def _speak(self, connection: "_Connection") -> None:
        stream = TpktStream(self._options.agreed)
        self._begin(Endpoint(stream, connection.send, self._clock))
        connection.hear(stream)

    def _offered(self, connection: "_Connection", host: str) -> bool:
        """Take a connection, which is a call, unless there is one or it comes from elsewhere."""
        if host not in self._hosts or self._connection is not None:
            self.strangers += 1
            return False
        self._connection = connection
        self._rings.set()
        return True

    def _take(self, octets: bytes, stream: TpktStream) -> None:
        if self._endpoint is not None:
            self._endpoint.take(octets)
            self._heard.set()
        if stream.lost:
            self._fail(f"what the other side sends is no T.38: {stream.lost}")

    def _ended(self, connection: "_Connection", reason: str) -> None:
        """Take note that a connection is over; what came before is still read."""
        if self._connection is connection:
            self._connection = None
            self._rings.clear()
            self._watch_end = self._loop.call_later(self._clock.real(LAST_WORDS), self._fail, reason)

    def _fail(self, reason: str) -> None:
        if self._endpoint is not None:
            self._endpoint.fail(LineError(reason, code="line.dropped"))
        self._heard.set()

    def _hang_up(self) -> None:
        super()._hang_up()
        self._rings.clear()
        if self._watch_end is not None:
            self._watch_end.cancel()
            self._watch_end = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Connection(asyncio.Protocol):
    """A connection with the peer; one that they made says nothing until it is answered."""

    def __init__(self, line: TpktLine, *, called: bool) -> None:
        self.over = False
        self._line = line
        self._called = called
        self._stream: TpktStream | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        assert self._transport is not None
        self._transport.pause_reading()
        if self._called and not self._line._offered(self, transport.get_extra_info("peername")[0]):
            self._transport.abort()

    def hear(self, stream: TpktStream) -> None:
        """Begin to listen."""
        self._stream = stream
        if self._transport is not None:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._stream is not None:
            self._line._take(data, self._stream)

    def connection_lost(self, exc: Exception | None) -> None:
        self.over = True
        self._line._ended(self, f"the connection was lost: {exc}" if exc else "the other side closed the connection")

    def send(self, octets: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(octets)
        if self._transport.get_write_buffer_size() > MOST_UNSENT:
            self._line._fail("the other side does not take what it is sent")

    def close(self) -> None:
        """End it, once all is sent that was said."""
        if self._transport is not None:
            self._transport.close()
