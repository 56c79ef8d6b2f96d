"""The lines that there are, by name: line URLs are taken apart here; a driver is imported when it is needed."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self
from urllib.parse import parse_qsl

from t30.line import FaxLine, LineError
from t30.rates import Modulation

DRIVERS: Mapping[str, str] = {
    "class1": "drivers.class1.modem:Class1Line",
    "sip": "drivers.sip.line:SipLine",
    "tpkt": "drivers.t38.tpkt_line:TpktLine",
    "udptl": "drivers.t38.line:UdptlLine",
    "sim": "simulators.sandbox:SandboxLine",  # by name only: a driver knows nothing of simulators
}
"""Scheme of a line URL -> ``module:Class``; the class has ``async open(url)``."""

EXAMPLE = "class1:/dev/ttyACM0"


class Line(FaxLine, Protocol):
    """A line that was opened here: a ``FaxLine`` that must be closed."""

    @property
    def sends(self) -> frozenset[Modulation]:
        """What it can send: a station must not try anything else."""
        ...

    @property
    def receives(self) -> frozenset[Modulation]:
        """What it can receive: a station must not promise anything else."""
        ...

    async def close(self) -> None:
        """Go on hook as well as can be and release the port. Never raises; may be called more than once."""
        ...


class Driver(Protocol):
    """What a class named in ``DRIVERS`` offers."""

    async def open(self, url: "LineUrl") -> Line:
        """Open the line.

        Raises:
            LineError: ``usage`` if the URL makes no sense, ``line.unavailable`` if the line is not to be had.
        """
        ...


@dataclass(frozen=True, slots=True)
class LineUrl:
    """A line URL, taken apart: ``scheme:address?options``. An option may be given more than once."""

    scheme: str
    address: str
    options: tuple[tuple[str, str], ...] = field(default=())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a line URL apart.

        >>> LineUrl.parse("class1:/dev/ttyACM0?flow=rtscts&init=ATX3")
        LineUrl(scheme='class1', address='/dev/ttyACM0', options=(('flow', 'rtscts'), ('init', 'ATX3')))

        Raises:
            LineError: with code ``usage``.
        """
        scheme, colon, rest = text.partition(":")
        address, _, query = rest.partition("?")
        if not colon or not scheme or not address:
            raise LineError(f"{text!r} is not a line; one looks like {EXAMPLE}", code="usage")
        try:
            # A plus in a modem command is a plus: AT+MS=... must not become "AT MS".
            options = parse_qsl(query.replace("+", "%2B"), keep_blank_values=True, strict_parsing=bool(query))
        except ValueError:
            raise LineError(f"{text!r}: what follows '?' is name=value&name=value", code="usage") from None
        return cls(scheme.lower(), address, tuple(options))

    def __str__(self) -> str:
        return f"{self.scheme}:{self.address}"


async def open_line(url: str) -> Line:
    """Open the line that a URL names.

    Raises:
        LineError: ``usage`` if the URL makes no sense, ``line.unavailable`` if the line is not to be had.
    """
    parsed = LineUrl.parse(url)
    target = DRIVERS.get(parsed.scheme)
    if target is None:
        raise LineError(
            f"{url!r}: there is no driver for {parsed.scheme}: lines; there is one for {', '.join(sorted(DRIVERS))}:",
            code="usage",
        )
    module, _, name = target.partition(":")
    driver: Driver = getattr(importlib.import_module(module), name)
    return await driver.open(parsed)
