"""Who made a machine, as far as its own extensions tell: NSF, NSS and NSC begin with a country and a provider (T.35).

T.35 prints its codes with the first bit on the wire first, so that an octet as it is kept here, its first bit the least
significant, reads backwards: HylaFAX says ``AD 00 55``, of which AD is B5, the United States. Some machines send the
country's code the other way round; it is tried so, too, where it makes no sense as it should be.

Providers have their codes from an authority of their country, and few publish them. Here is only what can be vouched
for, each with where it is known from; of all others the country is told.
"""

from types import MappingProxyType

_MAKERS = MappingProxyType(
    {
        bytes.fromhex("AD 00 55"): "HylaFAX",  # measured with its version 6.0.7
        bytes.fromhex("AD 00 51"): "Cisco gateway",  # its T.38 MIB: what it writes over the extensions of others
        bytes.fromhex("00 00 45"): "Muratec",  # its field engineering manuals, on the protocol listing
    }
)
"""Country and provider, three octets as they come, and whose they are."""

_COUNTRIES = MappingProxyType(
    {
        0x00: "Japan",
        0x04: "Germany",
        0x09: "Australia",
        0x0A: "Austria",
        0x0F: "Belgium",
        0x16: "Brazil",
        0x20: "Canada",
        0x26: "China",
        0x31: "Denmark",
        0x3C: "Finland",
        0x3D: "France",
        0x42: "Germany",
        0x46: "Greece",
        0x50: "Hong Kong",
        0x51: "Hungary",
        0x53: "India",
        0x57: "Ireland",
        0x58: "Israel",
        0x59: "Italy",
        0x61: "Korea",
        0x73: "Mexico",
        0x7B: "Netherlands",
        0x7E: "New Zealand",
        0x82: "Norway",
        0x8A: "Poland",
        0x8B: "Portugal",
        0x9C: "Singapore",
        0x9F: "South Africa",
        0xA0: "Spain",
        0xA5: "Sweden",
        0xA6: "Switzerland",
        0xB4: "United Kingdom",
        0xB5: "United States",
        0xFE: "Taiwan",
    }
)
"""The countries of T.35, as printed; modems take the same codes (+GCI)."""

LENGTH = 3
"""Octets that say who: country and provider."""


def maker(nonstandard: bytes) -> str:
    """Return who made a machine that sent this information field in NSF, NSS or NSC; "" if it does not tell.

    >>> maker(bytes.fromhex("AD 00 55 48 79 6C 61")), maker(bytes.fromhex("00 00 F7 01")), maker(b"")
    ('HylaFAX', 'a maker of Japan (00 F7)', '')
    """
    if not any(nonstandard):
        return ""  # T.38 gateways blank what they cannot relay
    who = nonstandard[:LENGTH]
    if who in _MAKERS:
        return _MAKERS[who]
    country = _COUNTRIES.get(_printed(who[0])) or _COUNTRIES.get(who[0])
    return f"a maker of {country} ({who[1:].hex(' ').upper()})" if country and len(who) == LENGTH else ""


def _printed(octet: int) -> int:
    """Return an octet of the wire as T.35 prints it.

    >>> f"{_printed(0xAD):02X}"
    'B5'
    """
    return int(f"{octet:08b}"[::-1], 2)
