"""Where a trunk is and where we are for it: addresses, sockets, who may talk to us."""

import asyncio
import socket
from ipaddress import ip_address, ip_network
from random import Random
from typing import Self

from drivers.sip.guard import Guard, Limits
from drivers.sip.headers import NameAddr
from drivers.sip.options import TrunkOptions
from drivers.sip.ports import Ports
from drivers.sip.profile import Profile
from drivers.sip.resolving import Resolver
from drivers.sip.tls import TlsSettings
from drivers.sip.transports import Transports
from drivers.sip.uri import Uri, escaped_user
from drivers.sip.ways import Target, Transport
from t30.line import LineClock, LineError

PRODUCT = "faxgw"
MOST_CALLS = 2000
"""Calls of one trunk at once, twice as many as it may have channels: those that have just ended linger."""


class Place:
    """The addresses of a trunk, ours, and the sockets between them.

    Attributes:
        transports: for signalling.
        ports: for media.
        media_host: the address that the trunk is told, for media and for signalling.
        hosts: the numeric addresses of the trunk.
    """

    def __init__(
        self, options: TrunkOptions, transports: Transports, resolver: Resolver, *, guard: Guard, random: Random
    ) -> None:
        self.transports = transports
        host = transports.local[0]
        self.media_host = options.advertise or host
        self.ports = Ports(host, *options.ports, random=random)
        self.hosts: frozenset[str] = frozenset()
        self._options = options
        self._resolver = resolver
        self._guard = guard

    @classmethod
    async def open(cls, options: TrunkOptions, *, random: Random) -> Self:
        """Find the trunk and open the socket for signalling.

        Raises:
            LineError: ``line.unavailable``.
        """
        resolver = Resolver(random)
        targets = await _found(resolver, options)
        host, port = options.local
        local = (host or _facing(targets[0]), port)
        # Where an empty list would let everybody in, this lets the trunk in alone.
        guard = Guard(Limits(allowed=options.allow or tuple(ip_network(each.address[0]) for each in targets)))
        clock = LineClock(asyncio.get_running_loop().time)
        tls = TlsSettings(options.ca, options.cert, options.key)
        transports = await Transports.open(options.transport, local, guard=guard, tls=tls, clock=clock)
        place = cls(options, transports, resolver, guard=guard, random=random)
        place._know(targets)
        if place.media_host in {"0.0.0.0", "::"}:
            place.media_host = _facing(targets[0])  # nobody can call or send to 0.0.0.0
        return place

    def profile(self, options: TrunkOptions) -> Profile:
        """Return who we are to the trunk."""
        # Without a certificate nobody can connect to us, and there is no port: what they send comes by our connection.
        host, port = self.media_host, self.transports.local[1] or options.transport.port
        contact = Uri("sip", escaped_user(options.user) or None, host, port=port)
        if options.transport is not Transport.UDP:
            contact = contact.with_param("transport", options.transport.value.lower())
        return Profile(
            user=options.to(options.user) if options.user else Uri("sip", None, host),
            contact=contact,
            sent_by=(host, port),
            transport=options.transport,
            route=() if options.proxy is None else (NameAddr(options.proxy.with_param("lr")),),
            registrar=options.uri,
            account=options.account,
            session_expires=options.session_expires,
            expires=options.expires,
            product=PRODUCT,
            most_calls=MOST_CALLS,
            most_transactions=4 * MOST_CALLS,
        )

    async def targets(self) -> tuple[Target, ...]:
        """Return where requests that begin something go, the best first.

        Raises:
            LineError: ``line.unavailable`` if the name leads nowhere.
        """
        found = await _found(self._resolver, self._options)
        self._know(found)
        return found

    async def next_hop(self, uri: Uri) -> Target:
        """Return where a request in a dialog goes.

        Raises:
            LineError: ``line.unavailable`` if the name leads nowhere.
        """
        return (await self._resolver.targets(uri, self._options.transport))[0]

    def _know(self, targets: tuple[Target, ...]) -> None:
        """Remember where the trunk is now: it is listened to without a limit."""
        self.hosts = frozenset(each.address[0] for each in targets)
        self._guard.trust(self.hosts)

    async def close(self) -> None:
        """Close the sockets."""
        await self.transports.close()


async def _found(resolver: Resolver, options: TrunkOptions) -> tuple[Target, ...]:
    return tuple(await resolver.targets(options.proxy or options.uri, options.transport))


def _facing(target: Target) -> str:
    """Return our address on the way to the trunk; nothing is sent for that."""
    family = socket.AF_INET6 if ip_address(target.address[0]).version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(target.address)
        except OSError as error:
            raise LineError(f"there is no way to {target.address[0]}: {error.strerror}") from error
        return str(probe.getsockname()[0])
