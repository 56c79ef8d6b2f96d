"""Connections to hosts that a tenant has named: to the very address that was judged."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

from faxgw.delivery.carrier import Refused, Unreachable
from faxgw.webhooks.egress import Address, Forbidden, Network, admit
from faxgw.webhooks.posting import MAX_ADDRESSES, by_system

SECONDS = 15.0
"""For the name, and for each of its addresses."""

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]


async def reach(host: str, port: int, *, allowed: Sequence[Network], resolve: Resolve = by_system) -> socket.socket:
    """Connect by TCP; the socket does not block.

    Raises:
        Refused: ``delivery.address`` if one of the addresses is private or reserved, and not allowed.
        Unreachable: ``delivery.unreachable``.
    """
    last = "the name has no address"
    for address in (await judged(host, port, allowed=allowed, resolve=resolve))[:MAX_ADDRESSES]:
        made = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
        made.setblocking(False)
        try:
            async with asyncio.timeout(SECONDS):
                await asyncio.get_running_loop().sock_connect(made, (str(address), port))
        except (TimeoutError, OSError) as error:
            made.close()
            last = _told(error)
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise Unreachable("delivery.unreachable", f"There is no connection to {host}, port {port}: {last}.")


async def judged(host: str, port: int, *, allowed: Sequence[Network], resolve: Resolve = by_system) -> list[Address]:
    """Return the addresses of a host: all of them may be connected to.

    Raises:
        Refused: ``delivery.address`` if one of them is private or reserved, and not allowed.
        Unreachable: ``delivery.unreachable`` if the name cannot be looked up.
    """
    try:
        async with asyncio.timeout(SECONDS):
            addresses = await resolve(host, port)
    except (TimeoutError, OSError) as error:
        raise Unreachable("delivery.unreachable", f"The name {host} cannot be looked up: {_told(error)}.") from error
    try:
        for address in addresses:
            admit(address, allowed)
    except Forbidden as error:
        raise Refused(
            "delivery.address",
            f"{host} leads to an address that is private or reserved; whoever runs the gateway may allow its network.",
        ) from error
    return list(addresses)


def _told(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing within {SECONDS:g} s"
    return (error.strerror if isinstance(error, OSError) else "") or type(error).__name__
