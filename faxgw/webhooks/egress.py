"""Where a webhook may lead: which URLs are taken, and which addresses are never connected to unless allowed."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpx

from faxgw.errors import RequestError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

REFUSED: dict[str, str] = {
    "0.0.0.0/8": "this machine",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "behind a carrier's address translation",
    "127.0.0.0/8": "this machine",
    "169.254.0.0/16": "link-local; cloud metadata",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "protocol assignments; cloud metadata",
    "192.0.2.0/24": "documentation",
    "192.88.99.0/24": "6to4 relays",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "benchmarks",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved, broadcast",
    "168.63.129.16/32": "a cloud's own services",
    "::/3": "unspecified, loopback, mapped and translated, reserved",
    "2001::/23": "tunnels and protocol assignments",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4: an IPv4 address in disguise",
    "3fff::/20": "documentation",
    "4000::/2": "not assigned",
    "8000::/1": "not assigned, private (fc00::/7), link-local (fe80::/10), multicast (ff00::/8)",
}
"""Network -> what lies there. What is left is the public Internet."""

_REFUSED = tuple(ip_network(each) for each in REFUSED)
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""IPv4 as machines without IPv4 see it (RFC 6052); the address inside is what counts."""

MAX_URL = 2000


class Forbidden(Exception):
    """An address to which no webhook may lead; the text says so without naming it."""

    def __init__(self) -> None:
        super().__init__("the name leads to an address that is private or reserved, and not allowed")


def admit(address: Address, allowed: Sequence[Network]) -> None:
    """Let an address pass, or not.

    Raises:
        Forbidden: if it is in ``REFUSED``, and in no allowed network.

    >>> admit(ip_address("::ffff:10.1.2.3"), [ip_network("10.1.2.0/24")])
    >>> admit(ip_address("64:ff9b::7f00:1"), [])
    Traceback (most recent call last):
    faxgw.webhooks.egress.Forbidden: the name leads to an address that is private or reserved, and not allowed
    """
    address = _real(address)
    if any(address in network for network in _REFUSED) and not is_allowed(address, allowed):
        raise Forbidden


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Tell whether an address is in one of these networks."""
    return any(_real(address) in network for network in allowed)


def checked_url(text: str, allowed: Sequence[Network]) -> str:
    """Return the URL of a webhook; names are looked up, and their addresses judged, whenever something is sent.

    Raises:
        RequestError: ``webhook.url`` when it cannot be used; ``webhook.address`` when the address in it is refused.
    """
    try:
        url = httpx.URL(text)
        host = url.raw_host.decode()
        host.encode("idna")
    except (httpx.InvalidURL, ValueError) as error:
        raise RequestError("webhook.url", f"This is not a URL: {error}.") from error
    if len(text) > MAX_URL or not host or url.userinfo or url.fragment or not 0 < (url.port or 443) < 65536:
        raise RequestError("webhook.url", f"Give a URL of at most {MAX_URL} characters, with a host, no user, no '#'.")
    if url.scheme != "https" and not (url.scheme == "http" and allowed):
        raise RequestError("webhook.url", "Give a URL that begins with https://.")
    _check_literal(host.removesuffix("."), allowed)
    return text


def _check_literal(host: str, allowed: Sequence[Network]) -> None:
    if host == "localhost" or host.endswith(".localhost"):
        host = "127.0.0.1"
    try:
        admit(ip_address(host), allowed)
    except ValueError:
        return  # a name
    except Forbidden as error:
        raise RequestError("webhook.address", "Webhooks may not lead to private or reserved addresses.") from error


def _real(address: Address) -> Address:
    """Return the IPv4 address inside an IPv6 one, where that is what is reached."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return IPv6Address(int(address))  # without a zone
