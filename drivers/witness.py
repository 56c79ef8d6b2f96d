"""What a line shows of its network to whoever records a call: signalling and datagrams, as octets."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias, runtime_checkable


class Wire(Enum):
    """What octets are; the value is what traces call it."""

    SIP = "sip"
    UDPTL = "udptl"
    RTP = "rtp"


@dataclass(frozen=True, slots=True)
class Seen:
    """One message or datagram.

    Attributes:
        at: when, in seconds of the line's clock.
        sent: whether it was ours.
        local, peer: host and port of both ends; numeric.
        transport: how it travelled: ``UDP``, ``TCP`` or ``TLS``.
    """

    at: float
    wire: Wire
    sent: bool
    local: tuple[str, int]
    peer: tuple[str, int]
    octets: bytes
    transport: str = "UDP"


Witness: TypeAlias = Callable[[Seen], None]
"""Is shown each of them; a line that has none calls nobody. It must not raise, and must be quick."""


@runtime_checkable
class Witnessed(Protocol):
    """A line that shows what it sends and receives; not every line has anything to show."""

    witness: Witness | None
