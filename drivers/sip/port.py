"""What every port has: a socket that is bound, a guard before it, and a log that nobody outside can flood."""

import asyncio
import socket

import structlog

from drivers.sip.grammar import SipMalformed
from drivers.sip.guard import EVERY, Guard
from drivers.sip.messages import Request, parse
from drivers.sip.ways import Address, Flow, Target, Transport
from t30.line import LineClock, LineError

log = structlog.get_logger(__name__)

ANSWER = b"SIP/2.0 "


class Gate:
    """A guard with a clock, which says once a second what it dropped.

    Attributes:
        reason: why the last message that failed could not be sent; "" before.
    """

    def __init__(self, transport: Transport, guard: Guard, clock: LineClock) -> None:
        self.transport = transport
        self.clock = clock
        self.reason = ""
        self._guard = guard
        self._reporting: asyncio.TimerHandle | None = None
        self._told: dict[str, tuple[float, int]] = {}

    def admits(self, source: str, now: float) -> bool:
        """Return whether a message of a host is to be read."""
        if self._guard.admits(source, now):
            return True
        if self._reporting is None:
            self._report_later()
        return False

    def trusts(self, source: str) -> bool:
        """Return whether a host has no limit."""
        return self._guard.trusts(source)

    def unsent(self, octets: bytes, peer: Address, reason: str) -> None:
        """Take note of a message that did not arrive, and log it; that a stranger takes no answer is no news."""
        self.reason = reason
        if not octets.startswith(ANSWER) or self.trusts(peer[0]):
            self.tell("message not sent", peer=peer, reason=reason)

    def tell(self, event: str, *, peer: Address, reason: str) -> None:
        """Log that something went wrong, once a second; ``event`` is one of a few texts."""
        now = self.clock.now()
        before, untold = self._told.get(event, (now - EVERY, 0))
        if now - before < EVERY:
            self._told[event] = (before, untold + 1)
            return
        self._told[event] = (now, 0)
        log.warning(event, transport=self.transport.value, peer=peer, reason=reason, untold=untold)

    def close(self) -> None:
        """Report no more."""
        if self._reporting is not None:
            self._reporting.cancel()

    def _report_later(self) -> None:
        wait = (self._guard.wakes or 0.0) - self.clock.now()
        self._reporting = asyncio.get_running_loop().call_later(max(0.0, self.clock.real(wait)), self._report)

    def _report(self) -> None:
        self._reporting = None
        report = self._guard.report(self.clock.now())
        if report is not None:
            log.warning(
                "messages dropped",
                transport=self.transport.value,
                dropped=report.dropped,
                sources=report.sources,
                worst=report.worst,
                of_worst=report.of_worst,
            )
        elif self._guard.wakes is not None:
            self._report_later()


def bound(transport: Transport, local: Address) -> socket.socket:
    """Return a socket at an address of this machine; one of IPv6 knows no IPv4.

    Raises:
        LineError: ``line.unavailable`` if the port is not to be had.
    """
    kind = socket.SOCK_DGRAM if transport is Transport.UDP else socket.SOCK_STREAM
    made = None
    try:
        made = socket.socket(socket.AF_INET6 if is_v6(local) else socket.AF_INET, kind)
        made.setblocking(False)
        if is_v6(local):
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind is socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(local)
    except OSError as error:
        if made is not None:
            made.close()
        reason = error.strerror or str(error)
        raise LineError(f"{transport.value} at {local[0]} port {local[1]}: {reason}") from error
    return made


def is_v6(address: Address) -> bool:
    """Return whether an address is one of IPv6."""
    return ":" in address[0]


def way_back(octets: bytes, flow: Flow) -> Target | None:
    """Return where the answer to a request goes if not back along its flow; None if it is no answer.

    That is the host it came from and the port in its Via (RFC 3261 18.2.2), or over UDP the port it came from, where
    the peer asked for that (RFC 3581).
    """
    try:
        message = parse(octets)
    except SipMalformed:
        return None
    if isinstance(message, Request):
        return None
    via = message.via
    if flow.transport is Transport.UDP and via.asks_rport:
        return Target(flow.transport, flow.peer)
    return Target(flow.transport, (flow.peer[0], via.port or flow.transport.port), via.host)
