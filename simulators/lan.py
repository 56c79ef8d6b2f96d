"""UDP sockets in virtual time: what a program binds on a virtual loop with a ``Lan`` is joined by simulated paths.

Programs open their sockets as always, by ``loop.create_datagram_endpoint``. Every two hosts have a path each
way with the weather of ``simulators.network``; which addresses are behind address translation is not modelled.
"""

import asyncio
import errno
from collections.abc import Callable
from typing import Any

from simulators.network import Fates, Path, Weather
from t30.line import LineClock

Address = tuple[str, int]

FIRST_FREE = 32768
"""Where ports begin that are given to whoever asks for any."""


class Lan:
    """All sockets of one virtual loop.

    Args:
        weather: of each path; what depends on chance differs from path to path.

    Attributes:
        nobody: datagrams that found nobody listening.
        seen: is shown every datagram that is sent: from where, to where, and the octets.
    """

    def __init__(self, weather: Weather = Weather()) -> None:  # noqa: B008
        self.nobody = 0
        self.seen: Callable[[Address, Address, bytes], None] | None = None
        self._weather = weather
        self._bound: dict[Address, LanSocket] = {}
        self._paths: dict[tuple[str, str], Path] = {}
        self._cut: set[str] = set()
        self._free = FIRST_FREE

    @property
    def fates(self) -> dict[tuple[str, str], Fates]:
        """What became of the datagrams from one host to another."""
        return {ends: path.fates for ends, path in self._paths.items()}

    def silence(self, host: str) -> None:
        """Cut a host off: what it sends from now on, and what is sent to it, is lost."""
        self._cut.add(host)

    def bind(self, protocol: asyncio.DatagramProtocol, local: Address) -> "LanSocket":
        """Open a socket.

        Raises:
            OSError: if somebody else has the port.
        """
        host, port = local
        if not port:
            self._free += 1
            port = self._free
        if (host, port) in self._bound:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        socket = LanSocket(self, protocol, (host, port))
        self._bound[host, port] = socket
        protocol.connection_made(socket)
        return socket

    def send(self, datagram: bytes, sender: Address, to: Address) -> None:
        """Send a datagram from one socket to another, which may not be there."""
        if self.seen is not None:
            self.seen(sender, to, datagram)
        ends = (sender[0], to[0])
        if not self._cut.isdisjoint(ends):
            return
        if ends not in self._paths:
            clock = LineClock(asyncio.get_running_loop().time)
            self._paths[ends] = Path(self._weather, clock, name=f"{ends[0]} to {ends[1]}")
        self._paths[ends].send(datagram, lambda octets: self._arrive(octets, sender, to))

    def release(self, local: Address) -> None:
        """Take a socket away."""
        self._bound.pop(local, None)

    def _arrive(self, datagram: bytes, sender: Address, to: Address) -> None:
        socket = self._bound.get(to)
        if socket is None:
            self.nobody += 1
        else:
            socket.protocol.datagram_received(datagram, sender)


class LanSocket(asyncio.DatagramTransport):
    """A bound socket, as a protocol of asyncio knows it."""

    def __init__(self, lan: Lan, protocol: asyncio.DatagramProtocol, local: Address) -> None:
        super().__init__({"sockname": local})
        self.protocol = protocol
        self._lan = lan
        self._local = local
        self._closed = False

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send a datagram."""
        if not self._closed:
            self._lan.send(bytes(data), self._local, addr[:2])

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return self._closed

    def close(self) -> None:
        """Release the port."""
        if not self._closed:
            self._closed = True
            self._lan.release(self._local)
            self.protocol.connection_lost(None)

    def abort(self) -> None:
        """Release the port."""
        self.close()
