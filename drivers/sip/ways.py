"""Ways of a message: the transports there are, where a request goes, where one came from."""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

Address: TypeAlias = tuple[str, int]
"""Host and port; the host is numeric."""


class Transport(Enum):
    """How messages travel; the value is how Via spells it."""

    UDP = "UDP"
    TCP = "TCP"
    TLS = "TLS"

    @property
    def reliable(self) -> bool:
        """Whether what is sent arrives, unless we are told."""
        return self is not Transport.UDP

    @property
    def port(self) -> int:
        """Where it listens unless somebody says otherwise (RFC 3261 18.1)."""
        return 5061 if self is Transport.TLS else 5060


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes.

    Attributes:
        address: of the next hop.
        name: the host that was asked for, which its certificate must name (TLS).
    """

    transport: Transport
    address: Address
    name: str = ""


@dataclass(frozen=True, slots=True)
class Flow:
    """How a message came, which is the way for the answer.

    Attributes:
        peer: where it came from.
        local: where it came to.
        connection: a number for the connection it came by; 0 for UDP.
    """

    transport: Transport
    peer: Address
    local: Address
    connection: int = 0
