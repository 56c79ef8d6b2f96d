"""SIP over TCP and TLS: a port that listens, and connections that are opened when there is something to send."""

import asyncio
import itertools
import os
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Self

from drivers.sip.connection import Connection, Outgoing, StreamLimits
from drivers.sip.port import ANSWER, Gate, bound, is_v6, way_back
from drivers.sip.tls import Tls
from drivers.sip.ways import Address, Flow, Target, Transport
from t30.line import LineError

AT_ONCE = 16
"""Connections that are taken before others have their turn."""
WAITING = 128
"""Connections that may wait to be taken."""
REST = 1.0
"""Seconds without taking connections, when the system has no room for them."""
FLUSH = 2.0
"""Seconds for what is still to be sent when the port is closed."""


class Streams:
    """A TCP or TLS port. One of TLS without a certificate only opens connections.

    Attributes:
        local: what it is bound to.
    """

    def __init__(
        self,
        transport: Transport,
        local: Address,
        listening: socket.socket | None,
        heard: Callable[[bytes, Flow], None],
        *,
        gate: Gate,
        tls: Tls | None,
        limits: StreamLimits,
    ) -> None:
        self.local = local
        self._transport = transport
        self._listening = listening
        self._heard = heard
        self._gate = gate
        self._tls = tls
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count(1)
        self._all: dict[int, Connection] = {}
        self._by_target: dict[tuple[Address, str], Connection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._empty = asyncio.Event()
        self._resting: asyncio.TimerHandle | None = None
        if listening is not None:
            self._loop.add_reader(listening, self._accept)

    @classmethod
    async def open(
        cls,
        transport: Transport,
        local: Address,
        heard: Callable[[bytes, Flow], None],
        *,
        gate: Gate,
        tls: Tls | None,
        limits: StreamLimits,
    ) -> Self:
        """Open a port.

        Raises:
            LineError: ``line.unavailable`` if it is not to be had.
        """
        if tls is not None and tls.settings.certificate is None:
            return cls(transport, local, None, heard, gate=gate, tls=tls, limits=limits)
        made = bound(transport, local)
        try:
            made.listen(WAITING)
        except OSError as error:
            made.close()
            raise LineError(f"{transport.value} at {local[0]} port {local[1]}: {error.strerror}") from error
        return cls(transport, made.getsockname()[:2], made, heard, gate=gate, tls=tls, limits=limits)

    def holds(self, flow: Flow) -> bool:
        """Tell whether the connection of a flow is still there."""
        return flow.connection in self._all

    def send(self, octets: bytes, to: Target | Flow, failed: Callable[[], None]) -> None:
        """Send a message by the connection that there is, or by a new one.

        ``failed`` is called soon, and once, if it is known not to have arrived.
        """
        if isinstance(to, Target):
            self._send_to(to, Outgoing(octets, failed, to))
            return
        connection = self._all.get(to.connection)
        back = None if connection else way_back(octets, to)
        if connection is not None:
            connection.send(Outgoing(octets, failed))
        elif back is not None:
            self._send_to(back, Outgoing(octets, failed))
        else:
            self._fail(to.peer, "its connection is closed", [Outgoing(octets, failed)])

    async def close(self) -> None:
        """Send what is still to be sent, then end every connection; may be called more than once."""
        await asyncio.sleep(0)  # so that no task is cancelled before it has taken over its socket
        if not self._closed:
            self._closed = True
            if self._resting is not None:
                self._resting.cancel()
            if self._listening is not None:
                self._loop.remove_reader(self._listening)
                self._listening.close()
            for connection in list(self._all.values()):
                connection.close()
        await self._gone(FLUSH)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self._all.values()):
            connection.end("the port is closed")
        await self._gone(FLUSH)

    # ------------------------------------------------------------------------------------------ connections of ours

    def _send_to(self, target: Target, message: Outgoing) -> None:
        key = self._key(target)
        connection = self._by_target.get(key)
        if connection is None:
            reason = self._refused(target)
            if reason:
                self._fail(target.address, reason, [message])
                return
            connection = self._new(target.address, opened=True)
            self._by_target[key] = connection
            self._run(self._connect(connection, target))
        connection.send(message)

    def _refused(self, target: Target) -> str:
        if self._closed:
            return "the port is closed"
        if is_v6(target.address) != is_v6(self.local):
            return "the port is of the other version of IP"
        if sum(each.opened for each in self._all.values()) >= self._limits.most:
            return f"{self._limits.most} connections are open"
        return ""

    async def _connect(self, connection: Connection, target: Target) -> None:
        name = target.name.rstrip(".") or target.address[0]
        anywhere = self.local[0] in {"0.0.0.0", "::"}
        try:
            async with asyncio.timeout(self._gate.clock.real(self._limits.connect)):
                await self._loop.create_connection(
                    lambda: connection,
                    *target.address,
                    ssl=self._tls.connecting() if self._tls else None,
                    server_hostname=name if self._tls else None,
                    local_addr=None if anywhere else (self.local[0], 0),
                )
        except (OSError, ValueError) as error:
            connection.end(_why(error, name))
        except asyncio.CancelledError:
            connection.end("the port is closed")
            raise

    def _key(self, target: Target) -> tuple[Address, str]:
        """Return by what connections are reused; over TLS only for whom the certificate was checked."""
        return target.address, (target.name.lower() if self._tls else "")

    # --------------------------------------------------------------------------------------- connections of others

    def _accept(self) -> None:
        assert self._listening is not None
        for _ in range(AT_ONCE):
            try:
                made, peer = self._listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                self._gate.tell("connections wait", peer=self.local, reason=error.strerror or str(error))
                self._loop.remove_reader(self._listening)
                self._resting = self._loop.call_later(REST, self._loop.add_reader, self._listening, self._accept)
                return
            reason = self._unwelcome(peer[0])
            if reason is None:
                self._run(self._welcome(made, peer[:2]))
                continue
            # With a reset, so that those who are turned away leave nothing behind.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            made.close()
            if reason:
                self._gate.tell("connection refused", peer=peer[:2], reason=reason)

    def _unwelcome(self, host: str) -> str | None:
        """Return why a host may not connect, "" if that is the guard's affair, None if it may."""
        if not self._gate.admits(host, self._gate.clock.now()):
            return ""
        if self._gate.trusts(host):
            return None
        theirs = [each.peer[0] for each in self._all.values() if not each.opened]
        limited = [each for each in theirs if not self._gate.trusts(each)]
        if len(limited) >= self._limits.most:
            return f"{self._limits.most} connections are open"
        if limited.count(host) >= self._limits.of_one:
            return f"{self._limits.of_one} connections of this host are open"
        return None

    async def _welcome(self, made: socket.socket, peer: Address) -> None:
        if self._closed:
            made.close()
            return
        connection = self._new(peer, opened=False)
        if self._tls is None:
            self._by_target.setdefault((peer, ""), connection)
        context = self._tls.connected() if self._tls else None
        try:
            async with asyncio.timeout(self._gate.clock.real(self._limits.connect)):
                made.setblocking(False)
                await self._loop.connect_accepted_socket(lambda: connection, made, ssl=context)
        except OSError as error:
            connection.end(_why(error, peer[0]))
        except asyncio.CancelledError:
            connection.end("the port is closed")
            raise

    # --------------------------------------------------------------------------------------------------------- both

    def _new(self, peer: Address, *, opened: bool) -> Connection:
        connection = Connection(
            next(self._numbers),
            peer,
            opened=opened,
            gate=self._gate,
            limits=self._limits,
            heard=self._came,
            lost=self._lost,
        )
        self._all[connection.number] = connection
        return connection

    def _came(self, connection: Connection, octets: bytes) -> None:
        self._heard(octets, Flow(self._transport, connection.peer, connection.local, connection.number))

    def _lost(self, connection: Connection, reason: str, unsure: list[Outgoing]) -> None:
        """Forget a connection; what may not have arrived goes out again if it was an old one, but once only."""
        self._all.pop(connection.number, None)
        for key in [key for key, each in self._by_target.items() if each is connection]:
            del self._by_target[key]
        again = [each for each in unsure if each.target is not None and connection.proven and not self._closed]
        # Who closes a connection after our answer to its last request has had the answer.
        requests = [each for each in unsure if not each.octets.startswith(ANSWER)]
        self._fail(connection.peer, reason, [each for each in requests if each not in again])
        for each in again:
            assert each.target is not None
            self._send_to(each.target, Outgoing(each.octets, each.failed))
        if self._closed and not self._all:
            self._empty.set()

    def _fail(self, peer: Address, reason: str, messages: list[Outgoing]) -> None:
        for each in messages:
            self._gate.unsent(each.octets, peer, reason)
            self._loop.call_soon(each.failed)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _gone(self, seconds: float) -> None:
        """Wait until there are no connections any more, but not for ever."""
        if self._all:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), self._gate.clock.real(seconds))


def _why(error: Exception, name: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of {name} is refused: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "it did not connect in time"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}".replace("_", " ").lower()
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
