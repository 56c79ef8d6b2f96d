"""Where requests come from: which networks may connect, and who counts as one caller."""

import ipaddress
from collections.abc import Sequence

from pydantic import IPvAnyNetwork
from starlette.types import Scope

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def may_connect(scope: Scope, allowed: Sequence[IPvAnyNetwork]) -> bool:
    """Tell whether a request comes from one of the networks; without any, all may connect."""
    if not allowed:
        return True
    address = _address(scope)
    return address is not None and any(address in each for each in allowed)


def address_of(scope: Scope) -> str:
    """Return where a request comes from; of an IPv6 address the network, which one caller has to itself."""
    address = _address(scope)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address or "")


def _address(scope: Scope) -> Address | None:
    try:
        address = ipaddress.ip_address((scope.get("client") or ("",))[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
