"""SIP over UDP: one socket, drained in one go, and what the network says about datagrams that did not arrive."""

import asyncio
import errno
import os
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable
from typing import Self

from drivers.sip.port import Gate, bound, is_v6, way_back
from drivers.sip.ways import Address, Flow, Target, Transport

LARGEST = 65535
AT_ONCE = 256
"""Datagrams that are taken from the socket before others have their turn."""
READ_AT_ONCE = 8
"""Of them, those that are read, which takes far longer than to drop one."""
REMEMBERED = 256
"""Datagrams for which an ICMP error is still understood. Stops the memory from filling where none come."""
BUFFER = 1 << 20
"""Octets that the system may hold for us, if it lets us have that much."""

_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
"""Level and option by which Linux keeps ICMP errors for us: IP_RECVERR and IPV6_RECVERR."""
_EXTENDED_ERROR = struct.Struct("=IBB")
"""The beginning of ``sock_extended_err``: errno, origin, type."""
_HOPELESS = {(2, 3), (2, 12), (3, 1), (3, 4)}
"""Origin and type of what fails a message: unreachable, bad parameter. All else may pass (RFC 3261 18.4)."""


class Datagrams:
    """A UDP port.

    Attributes:
        local: what it is bound to.
    """

    def __init__(self, made: socket.socket, heard: Callable[[bytes, Flow], None], gate: Gate) -> None:
        self.local: Address = made.getsockname()[:2]
        self._socket = made
        self._heard = heard
        self._gate = gate
        self._loop = asyncio.get_running_loop()
        self._sent: deque[tuple[Address, bytes, Callable[[], None]]] = deque(maxlen=REMEMBERED)
        self._loop.add_reader(made, self._readable)

    @classmethod
    async def open(cls, local: Address, heard: Callable[[bytes, Flow], None], gate: Gate) -> Self:
        """Open a port.

        Raises:
            LineError: ``line.unavailable`` if it is not to be had.
        """
        made = bound(Transport.UDP, local)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        if sys.platform == "linux":
            made.setsockopt(*_RECVERR[made.family], 1)
        return cls(made, heard, gate)

    def holds(self, flow: Flow) -> bool:  # noqa: ARG002 (as streams have it)
        """Tell whether the connection of a flow is still there: there is none."""
        return False

    def send(self, octets: bytes, to: Target | Flow, failed: Callable[[], None]) -> None:
        """Send a datagram; ``failed`` is called soon, and once, if it is known not to have arrived."""
        target = to if isinstance(to, Target) else way_back(octets, to) or Target(to.transport, to.peer)
        reason = self._refused(octets, target.address)
        if reason:
            self._fail(target.address, octets, failed, reason=reason)
        else:
            self._sent.append((target.address, octets, failed))

    async def close(self) -> None:
        """Release the port; may be called more than once."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _refused(self, octets: bytes, address: Address) -> str:
        """Send it; return why that cannot be, or ""."""
        if self._socket.fileno() < 0:
            return "the port is closed"
        if is_v6(address) != (self._socket.family == socket.AF_INET6):
            return "the port is of the other version of IP"
        reason = self._send_now(octets, address)
        if reason:
            # It may be the error of an earlier datagram, which is cleared by that.
            self._read_errors()
            reason = self._send_now(octets, address)
        return reason

    def _send_now(self, octets: bytes, address: Address) -> str:
        try:
            self._socket.sendto(octets, address)
        except BlockingIOError:
            pass  # there is no room for it: a loss like any other
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def _readable(self) -> None:
        now = self._gate.clock.now()
        read = 0
        for _ in range(AT_ONCE):
            try:
                octets, peer = self._socket.recvfrom(LARGEST)
            except BlockingIOError:
                return
            except OSError:
                self._read_errors()
                self._watch_anew()
                return
            if self._gate.admits(peer[0], now):
                self._heard(octets, Flow(Transport.UDP, peer[:2], self.local))
                read += 1
                if read == READ_AT_ONCE or self._socket.fileno() < 0:
                    return

    def _watch_anew(self) -> None:
        """Ask the loop for the socket again: libuv stops to watch one that has an error."""
        self._loop.remove_reader(self._socket)
        self._loop.add_reader(self._socket, self._readable)

    def _read_errors(self) -> None:
        """Take what came back by ICMP, and fail the datagrams that it is about."""
        while sys.platform == "linux":
            try:
                quoted, notes, _, peer = self._socket.recvmsg(LARGEST, 512, socket.MSG_ERRQUEUE)
            except BlockingIOError:
                return
            for _, _, note in notes:
                number, *kind = _EXTENDED_ERROR.unpack_from(note)
                if tuple(kind) in _HOPELESS and number != errno.EMSGSIZE:
                    self._bounced(quoted, peer[:2], os.strerror(number))

    def _bounced(self, quoted: bytes, peer: Address, reason: str) -> None:
        """Fail the oldest datagram to a peer that begins with what the error quotes, which may be nothing."""
        for sent in self._sent:
            address, octets, failed = sent
            if address == peer and octets.startswith(quoted):
                self._sent.remove(sent)
                self._fail(peer, octets, failed, reason=reason)
                return

    def _fail(self, peer: Address, octets: bytes, failed: Callable[[], None], *, reason: str) -> None:
        self._gate.unsent(octets, peer, reason)
        self._loop.call_soon(failed)
