"""Two listeners, STARTTLS and TLS from the first octet, in the loop of the service; each connection is one task."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from faxgw.api.addresses import address_of, may_connect
from faxgw.config import Config
from faxgw.health import Degraded, NotReady
from faxgw.mail.submission.clear import until_starttls
from faxgw.mail.submission.limits import Limits, Shared
from faxgw.mail.submission.port import Desk, Peer
from faxgw.mail.submission.session import Over, Session
from faxgw.mail.submission.wire import HANDSHAKE_WITHIN, LINGER, Gone, Wire
from faxgw.metrics import SUBMISSION_CLOSED
from faxgw.private import bound
from faxgw.tls import ServerTls, listener_context

log = structlog.get_logger(__name__)

GRACE = 5.0
"""Seconds that messages at the desk have when the service stops."""
NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
WAIT_FOR_DESCRIPTORS = 0.5


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the two listen."""

    starttls: int
    tls: int


class SubmissionServer:
    """The submission server of a node.

    Args:
        tls: the API's certificate, which serves here, too, where the settings name no other.
        desk: what becomes of credentials and messages.
    """

    def __init__(self, config: Config, desk: Desk, tls: ServerTls, *, limits: Limits | None = None) -> None:
        """Prepare; nothing listens yet.

        Raises:
            RequestError: ``config.invalid`` if the certificate of its own cannot be used.
        """
        self._config = config
        self._settings = config.submission
        self._name = config.node
        self._desk = desk
        self.tls = ServerTls(self._settings, config.data_dir) if self._settings.certificate else tls
        self._context = listener_context(self._settings.tls_minimum)
        self.tls.certify(self._context)
        self._shared = Shared.of(self._settings, limits or Limits())
        self._sessions: dict[asyncio.Task[None], Session | None] = {}
        self.ports: Ports | None = None

    async def serve(self, started: Callable[[Ports], None] | None = None) -> None:
        """Take connections until cancelled; then what is at the desk has a few seconds.

        Raises:
            RequestError: ``listener.unavailable``, if a port cannot be had.
        """
        host = self._settings.host
        with (
            bound(host, self._settings.port, "submission") as starttls,
            bound(host, self._config.submissions.port, "submissions") as tls,
        ):
            self.ports = Ports(starttls.getsockname()[1], tls.getsockname()[1])
            log.info("listening", what="submission", host=host, starttls=self.ports.starttls, tls=self.ports.tls)
            if started is not None:
                started(self.ports)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._accept(starttls, implicit=False))
                    group.create_task(self._accept(tls, implicit=True))
            finally:
                self.ports = None
                await self._stop()

    async def health(self) -> str:
        """Say how it is, as a check of the service's health.

        Raises:
            NotReady, Degraded: see there.
        """
        if self.ports is None:
            raise NotReady("Mail is not listened for.")
        if self._shared.is_full:
            raise Degraded("No more devices can connect: raise submission.connections, or see who holds them.")
        return "Mail can be submitted."

    async def _accept(self, listener: socket.socket, *, implicit: bool) -> None:
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        while True:
            try:
                connection, (host, *_) = await loop.sock_accept(listener)
            except ConnectionError:
                continue
            except OSError as fault:
                if fault.errno not in NO_DESCRIPTORS:
                    raise
                log.error("no connection can be taken", reason=str(fault))
                await asyncio.sleep(WAIT_FOR_DESCRIPTORS)
                continue
            task = loop.create_task(self._one(connection, host, implicit=implicit))
            self._sessions[task] = None
            task.add_done_callback(self._sessions.pop)

    async def _one(self, connection: socket.socket, host: str, *, implicit: bool) -> None:
        """Deal with one connection, from its first octet to its last."""
        where = {"client": (host, 0)}
        caller = address_of(where)
        if not may_connect(where, self._settings.allowed):
            SUBMISSION_CLOSED.labels("network").inc()
            connection.close()
            return
        if not self._shared.has_room_for(caller):
            SUBMISSION_CLOSED.labels("full").inc()
            _turn_away(connection, in_clear=not implicit)
            return
        with self._shared.counted(caller):
            wire = Wire()
            try:
                await self._talk(wire, connection, host, caller, implicit=implicit)
            except Gone:
                return
            except asyncio.CancelledError:
                wire.farewell("421 4.3.2 The server is being stopped")
                raise
            except Exception:  # one connection ends, the others go on
                log.exception("a connection of the submission server failed")
            finally:
                await wire.close()

    async def _talk(self, wire: Wire, connection: socket.socket, host: str, caller: str, *, implicit: bool) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not implicit and not await self._asks_for_tls(wire, connection, host, caller):
            return
        try:
            if implicit:
                await self._connect(wire, connection, self._context)
            else:
                await wire.protect(self._context)
        except OSError as fault:  # of TLS, or of the network: nothing was said, so nothing is answered
            SUBMISSION_CLOSED.labels("tls").inc()
            log.info("TLS handshake failed", address=host, reason=_reason(fault))
            return
        session = Session(wire, self._desk, self._shared, name=self._name, peer=Peer(host, *wire.tls), caller=caller)
        self._sessions[_this_task()] = session
        try:
            await session.run(greet=implicit)
        except Over as over:
            if over.reason:
                SUBMISSION_CLOSED.labels(over.reason).inc()

    async def _asks_for_tls(self, wire: Wire, connection: socket.socket, host: str, caller: str) -> bool:
        """Talk in clear; return whether TLS is next. A credential that was said is told to the desk."""
        await self._connect(wire, connection, None)
        ended = await until_starttls(wire, self._name, self._shared.limits)
        if ended.protect:
            return True
        if ended.reason:
            SUBMISSION_CLOSED.labels(ended.reason).inc()
        await wire.close()
        if ended.exposed is not None and not self._shared.failures.take(caller).wait:
            log.warning("credential seen in clear", address=host)
            await self._desk.exposed(ended.exposed.login, ended.exposed.secret, Peer(host, "", ""))
        return False

    async def _connect(self, wire: Wire, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        times = {"ssl_handshake_timeout": HANDSHAKE_WITHIN, "ssl_shutdown_timeout": LINGER} if context else {}
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: wire, connection, ssl=context, **times)

    async def _stop(self) -> None:
        """Say goodbye to everybody; a message at the desk is waited for."""
        for task, session in list(self._sessions.items()):
            if session is None or not session.is_taking:
                task.cancel()
        if not self._sessions:
            return
        _, late = await asyncio.wait(set(self._sessions), timeout=GRACE)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)


def _turn_away(connection: socket.socket, *, in_clear: bool) -> None:
    with connection, suppress(OSError):
        connection.setblocking(False)
        if in_clear:
            connection.send(b"421 4.7.0 Too many connections; come again later\r\n")


def _reason(fault: OSError) -> str:
    """Say why a handshake failed, in OpenSSL's words."""
    return getattr(fault, "reason", None) or type(fault).__name__


def _this_task() -> "asyncio.Task[None]":
    task = asyncio.current_task()
    assert task is not None
    return task
