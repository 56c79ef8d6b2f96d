"""The octets of one connection, in clear or under TLS, read when they are asked for and within a time."""

import asyncio
import ssl
from typing import cast

from faxgw.mail.submission.commands import LONGEST_COMMAND, Misspelt

MOST_WAITING = 64 * 1024
"""Octets that wait to be read, above which no more are taken from the network (but what one reading gives)."""
MOST_UNREAD = 256 * 1024
"""Octets of answers that a client does not read, above which it is cut off."""
LINGER = 2.0
"""Seconds for which a client may go on sending after the last answer, so that it gets to read that."""
HANDSHAKE_WITHIN = 20.0


class Gone(Exception):
    """The client has closed the connection, or it broke."""


class Slow(Exception):
    """The client did not say in time what was waited for."""


class Wire(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._ended = False
        self._paused = False
        self._arrival: asyncio.Future[None] | None = None
        self.transport: asyncio.Transport | None = None

    # ------------------------------------------------------------------------------------------- called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way back."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Hold what came until it is asked for."""
        self._held += data
        if len(self._held) > MOST_WAITING and self.transport is not None:
            self.hold()
        self._wake()

    def eof_received(self) -> None:
        """Take the end for the end of all: nobody needs an answer who will say nothing more."""
        self._ended = True
        self._wake()

    def connection_lost(self, _: Exception | None) -> None:
        """Wake whoever waits."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    # ---------------------------------------------------------------------------------------------------- what it does

    @property
    def waiting(self) -> bool:
        """Whether something came that was not read yet."""
        return bool(self._held)

    async def take(self, *, until: float) -> bytes:
        """Return all that has come, and wait for it if there is nothing; ``until``: by the loop's clock.

        Raises:
            Gone, Slow: see there.
        """
        if not self._held:
            await self._more(until)
        octets = bytes(self._held)
        self._held.clear()
        return octets

    async def line(self, *, until: float) -> bytes:
        """Return one line without its CR LF.

        Raises:
            Misspelt: if it is too long, or does not end with CR LF.
            Gone, Slow: see there.
        """
        while (end := self._held.find(b"\n")) < 0 and len(self._held) <= LONGEST_COMMAND:
            await self._more(until)
        if not 0 <= end < LONGEST_COMMAND:
            raise Misspelt(500, "5.5.2", "The line is too long")
        line = bytes(self._held[: end + 1])
        del self._held[: end + 1]
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise Misspelt(500, "5.5.2", "The line does not end with CR LF")
        return line[:-2]

    def give_back(self, octets: bytes) -> None:
        """Put back what was taken and belongs to what comes next."""
        self._held[:0] = octets

    def say(self, *lines: str) -> None:
        """Send an answer, one or more lines."""
        assert self.transport is not None
        self.transport.write("".join(f"{each}\r\n" for each in lines).encode())
        if self.transport.get_write_buffer_size() > MOST_UNREAD:
            self.abort()

    def hold(self) -> None:
        """Take nothing more from the network until the next reading, or TLS."""
        assert self.transport is not None
        self._paused = True
        self.transport.pause_reading()

    async def protect(self, context: ssl.SSLContext) -> None:
        """Go over to TLS; what has come in clear meanwhile is not taken for anything.

        Raises:
            OSError: if the handshake fails, or is not over in time.
        """
        assert self.transport is not None
        loop = asyncio.get_running_loop()
        self._held.clear()
        protected = await loop.start_tls(
            self.transport,
            self,
            context,
            server_side=True,
            ssl_handshake_timeout=HANDSHAKE_WITHIN,
            ssl_shutdown_timeout=LINGER,
        )
        if protected is None:
            raise ConnectionResetError("the client went away")
        self.transport, self._paused = protected, False

    @property
    def tls(self) -> tuple[str, str]:
        """Version and cipher of the TLS that is spoken; empty in clear."""
        tunnel = self.transport.get_extra_info("ssl_object") if self.transport is not None else None
        if tunnel is None:
            return "", ""
        return tunnel.version() or "", (tunnel.cipher() or ("",))[0]

    async def close(self) -> None:
        """Send what is still to be sent, close, and pass over for a moment what still comes."""
        if self.transport is None:
            return
        if not self._ended and self.transport.can_write_eof():
            until = asyncio.get_running_loop().time() + LINGER
            self.transport.write_eof()
            await self._pass_over(until, LINGER)
        self.transport.close()

    def farewell(self, line: str) -> None:
        """Say a last line, if there is still somebody."""
        if self.transport is not None and not self._ended and not self.transport.is_closing():
            self.say(line)

    async def hear_out(self, seconds: float, *, pause: float) -> None:
        """Pass over what a client sends that does not listen, until it has paused for so long, or is gone."""
        await self._pass_over(asyncio.get_running_loop().time() + seconds, pause)

    def abort(self) -> None:
        """Cut the connection."""
        self._ended = True
        if self.transport is not None:
            self.transport.abort()
        self._wake()

    async def _pass_over(self, until: float, pause: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self.take(until=min(until, loop.time() + pause))
        except (Gone, Slow):
            return

    async def _more(self, until: float) -> None:
        """Wait until more has come than there is."""
        if self._ended:
            raise Gone
        assert self.transport is not None
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
        self._arrival = asyncio.get_running_loop().create_future()
        before = len(self._held)
        try:
            async with asyncio.timeout_at(until):
                await self._arrival
        except TimeoutError:
            raise Slow from None
        finally:
            self._arrival = None
        if len(self._held) == before:
            raise Gone
