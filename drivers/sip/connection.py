"""One connection: cuts what comes into messages, keeps it open or ends it in time, knows what may not have arrived."""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from drivers.sip.messages import LARGEST, Framer, KeepAlive
from drivers.sip.port import Gate
from drivers.sip.ways import Address, Target

UNSURE = 64
"""Messages that are kept until something is heard of the peer. Stops the memory from filling where nothing is."""
SURE = 32.0
"""Seconds after which a message counts as delivered: when its transaction is over."""
UNREAD = 4 * LARGEST
"""Octets that may wait for a peer that does not read."""
PING = b"\r\n\r\n"
PONG = b"\r\n"


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Limits of TCP and TLS; times in seconds.

    Attributes:
        connect: how long a connection may take to be there, with its certificates.
        whole: how long a message may take to come whole, and a new peer to send one.
        idle: how long a connection stays without a message.
        ping: after how long a silence we send a keep-alive on a connection of ours.
        pong: how long its answer may take, of a peer that has answered one before.
        most: connections in each direction; those that a trusted host opened are not counted.
        of_one: connections from one host that is not trusted.
    """

    connect: float = 5.0
    whole: float = 30.0
    idle: float = 3600.0
    ping: float = 30.0
    pong: float = 10.0
    most: int = 256
    of_one: int = 16


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way.

    Attributes:
        target: where it goes, if it may go there by another connection; None if it has to go by this one.
    """

    octets: bytes
    failed: Callable[[], None]
    target: Target | None = None


class Connection(asyncio.Protocol):
    """One connection, from before it is there until it is gone.

    Args:
        number: by which it is known.
        peer: who is at the other end.
        opened: whether it is ours.
        heard: is given each whole message.
        lost: is told once why it is no more, and what may not have arrived.
    """

    def __init__(
        self,
        number: int,
        peer: Address,
        *,
        opened: bool,
        gate: Gate,
        limits: StreamLimits,
        heard: Callable[["Connection", bytes], None],
        lost: Callable[["Connection", str, list[Outgoing]], None],
    ) -> None:
        self.number = number
        self.peer = peer
        self.opened = opened
        self.local: Address = ("", 0)
        self.proven = False
        """Whether the peer has sent anything."""
        self._gate = gate
        self._limits = limits
        self._heard = heard
        self._lost = lost
        self._framer = Framer(opened=opened)
        self._transport: asyncio.Transport | None = None
        self._unsure: deque[tuple[float, Outgoing]] = deque()
        self._why = ""
        self._over = False
        self._times = _Times(gate.clock.now(), limits, opened=opened)
        self._alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what waited for it."""
        stream = cast(asyncio.Transport, transport)  # uvloop's is none by name
        if self._over:
            stream.abort()
            return
        self._transport = stream
        self.local = transport.get_extra_info("sockname")[:2]
        _watch_over(transport.get_extra_info("socket"), seconds=self._gate.clock.real(self._limits.whole))
        self._times = _Times(self._gate.clock.now(), self._limits, opened=self.opened)
        self._arm()
        for _, each in self._unsure:
            stream.write(each.octets)

    def data_received(self, data: bytes) -> None:
        """Cut it into messages, and hand them on."""
        now = self._gate.clock.now()
        self.proven = True
        self._unsure.clear()
        found = self._framer.feed(data)
        # Many pings at once get one answer, so that they cost no more than they are worth.
        items = [each for each in found if each is not KeepAlive.PING] + [KeepAlive.PING] * (KeepAlive.PING in found)
        for each in items:
            if self._over:
                return
            self._take(each, now)
        if self._framer.lost:
            self.end(self._framer.lost)
            return
        self._times.came(now, whole=bool(found), begun=self._framer.begun)
        self._arm()

    def eof_received(self) -> None:
        """Let the connection end: half of one is of no use here."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Say what became of it."""
        self._finish(self._why or (str(exc) if exc else "the peer closed the connection"))

    def send(self, message: Outgoing) -> None:
        """Send a message, or keep it until the connection is there."""
        now = self._gate.clock.now()
        if len(self._unsure) == UNSURE:
            _, oldest = self._unsure.popleft()
            if self._transport is None:
                asyncio.get_running_loop().call_soon(oldest.failed)
        self._unsure.append((now, message))
        if self._transport is None:
            return
        self._transport.write(message.octets)
        if self._transport.get_write_buffer_size() > UNREAD:
            self.end("the peer does not read")
            return
        self._times.sent(now)
        self._arm()

    def end(self, reason: str) -> None:
        """Break it off."""
        self._why = self._why or reason
        if self._transport is None:
            self._finish(self._why)
        else:
            self._transport.abort()

    def close(self) -> None:
        """Close it when all is sent."""
        self._why = "the port is closed"
        if self._transport is None:
            self._finish(self._why)
        else:
            self._transport.close()

    def _take(self, item: bytes | KeepAlive, now: float) -> None:
        if item is KeepAlive.PONG:
            self._times.ponged()
        elif not self.opened and not self._gate.admits(self.peer[0], now):
            self.end("it sends too much")
        elif isinstance(item, bytes):
            self._heard(self, item)
        elif self._transport is not None:
            self._transport.write(PONG)

    def _finish(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        if self._alarm is not None:
            self._alarm.cancel()
        since = self._gate.clock.now() - SURE
        unsure = [message for at, message in self._unsure if at > since]
        self._unsure.clear()
        self._lost(self, reason, unsure)

    def _arm(self) -> None:
        """Wake up at the next time that matters; later wakes are left as they are, and found to be early."""
        due = self._times.due
        if self._over or (self._alarm is not None and self._times.armed <= due):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._times.armed = due
        clock = self._gate.clock
        wait = clock.real(max(0.0, due - clock.now()))
        self._alarm = asyncio.get_running_loop().call_later(wait, self._wake)

    def _wake(self) -> None:
        self._alarm = None
        now = self._gate.clock.now()
        reason = self._times.over(now)
        if reason:
            self.end(reason)
            return
        if self._times.pings(now) and self._transport is not None:
            self._transport.write(PING)
        self._arm()


class _Times:
    """When a connection is to be pinged, and when it has lasted long enough."""

    def __init__(self, now: float, limits: StreamLimits, *, opened: bool) -> None:
        self.armed = 0.0
        self._limits = limits
        self._opened = opened
        self._used = self._active = now
        self._begun: float | None = None if opened else now
        self._pinged: float | None = None
        self._answers = False

    @property
    def due(self) -> float:
        return min(at for at, _ in self._ends() if at is not None)

    def came(self, now: float, *, whole: bool, begun: bool) -> None:
        self._active = now
        if whole:
            self._used = now
        if whole or self._begun is None:
            self._begun = now if begun else None

    def sent(self, now: float) -> None:
        self._active = self._used = now

    def ponged(self) -> None:
        self._answers = True
        self._pinged = None

    def pings(self, now: float) -> bool:
        """Return whether it is time for a ping, and take note of it."""
        if not self._opened or self._pinged is not None or now < self._active + self._limits.ping:
            return False
        self._active = now
        if self._answers:
            self._pinged = now
        return True

    def over(self, now: float) -> str:
        """Return why the connection is to end; "" if it is not."""
        return next((why for at, why in self._ends() if why and at is not None and at <= now), "")

    def _ends(self) -> tuple[tuple[float | None, str], ...]:
        limits = self._limits
        return (
            (self._used + limits.idle, "it was idle for too long"),
            (None if self._begun is None else self._begun + limits.whole, "it sent no whole message in time"),
            (None if self._pinged is None else self._pinged + limits.pong, "it does not answer keep-alives any more"),
            (self._active + limits.ping if self._opened and self._pinged is None else None, ""),
        )


def _watch_over(made: socket.socket, *, seconds: float) -> None:
    """Have the system end a connection whose peer is gone and takes nothing any more."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1000, round(seconds * 1000)))
