"""The way of datagrams to one peer and back: a socket that listens to nobody else."""

import asyncio
import socket
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Protocol, Self

from t30.line import LineError

Address = tuple[str, int]
Network = IPv4Network | IPv6Network


class Route(Protocol):
    """What a line needs of a network: datagrams out, and somebody to whom those that come in are handed."""

    receiver: Callable[[bytes], None] | None
    """Is given each datagram of the peer."""
    fits: Callable[[bytes], bool] | None
    """Tells whether a datagram from somewhere else goes on with the peer's."""
    local: Address
    """Where this end is."""
    peer: Address | None
    """Where the other one is, as far as that is known."""

    def send(self, datagram: bytes) -> None:
        """Send a datagram; whether it arrives nobody knows."""
        ...

    def close(self) -> None:
        """Release the port; may be called more than once."""
        ...


class UdpRoute(asyncio.DatagramProtocol):
    """A UDP socket and the peer it talks to.

    A peer behind address translation sends from another port than it says, and may change it: answers go to where its
    last datagram came from, as long as that is one of the peer's hosts.

    Attributes:
        fits: is asked of a datagram from another port or host of the peer than the last one; where it says no, that is
            a stranger's. None: any fits.
        local: the host and port that it listens on.
        peer: where datagrams are sent now; None: nowhere, as nobody is known yet.
        strangers: datagrams that came from anywhere else, and were dropped.
    """

    def __init__(self) -> None:
        self.receiver: Callable[[bytes], None] | None = None
        self.fits: Callable[[bytes], bool] | None = None
        self.local: Address = ("", 0)
        self.peer: Address | None = None
        self.strangers = 0
        self._hosts: frozenset[str] = frozenset()
        self._networks: tuple[Network, ...] = ()
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls, local: Address, peer: Address) -> Self:
        """Open a socket.

        Raises:
            LineError: ``line.unavailable`` if the port is not to be had, or the peer's name leads nowhere.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(*peer, type=socket.SOCK_DGRAM)
            _, route = await loop.create_datagram_endpoint(cls, local_addr=local, family=found[0][0])
        except OSError as error:
            reason = error.strerror or str(error)
            raise LineError(f"UDP from {local[0]}:{local[1]} to {peer[0]}:{peer[1]}: {reason}") from error
        route.aim(found[0][4][:2])  # type: ignore[arg-type]
        return route

    @classmethod
    async def bind(cls, local: Address) -> Self:
        """Open a socket that listens to nobody yet.

        Raises:
            OSError: if the port is not to be had.
        """
        _, route = await asyncio.get_running_loop().create_datagram_endpoint(cls, local_addr=local)
        return route

    def aim(
        self, peer: Address | None, *, also: frozenset[str] = frozenset(), networks: tuple[Network, ...] = ()
    ) -> None:
        """Talk to a peer from now on, and listen to nobody else.

        Args:
            peer: numeric host, and port; None: it is not known yet, but where it may send from is.
            also: other hosts from which it may send.
            networks: where any of its hosts may be.
        """
        self.peer = peer
        self._hosts = also if peer is None else also | {peer[0]}
        self._networks = networks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the socket."""
        self._transport = transport  # type: ignore[assignment]
        self.local = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Hand a datagram on, if it is the peer's."""
        if addr[0] not in self._hosts and not self._is_of_network(addr[0]):
            self.strangers += 1
            return
        if addr[:2] != self.peer:
            if self.fits is not None and not self.fits(data):
                self.strangers += 1
                return
            self.peer = addr[:2]
        if self.receiver is not None:
            self.receiver(data)

    def _is_of_network(self, host: str) -> bool:
        """Tell whether a host is in one of the networks, and remember it."""
        if not any(ip_address(host) in network for network in self._networks):
            return False
        self._hosts |= {host}
        return True

    def error_received(self, exc: Exception) -> None:
        """Go on: that nobody listens there yet is no news, since nobody promised to."""

    def send(self, datagram: bytes) -> None:
        """Send a datagram to the peer; to one of the other version of IP there is no way."""
        if self.peer is None or (":" in self.peer[0]) != (":" in self.local[0]):
            return
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(datagram, self.peer)

    def close(self) -> None:
        """Release the port."""
        if self._transport is not None:
            self._transport.close()
