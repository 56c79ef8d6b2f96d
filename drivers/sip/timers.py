"""Every time that RFC 3261 and RFC 6026 set for a transaction, in seconds, computed once from T1, T2 and T4.

The letters are those of RFC 3261's table of timers; L and M are RFC 6026's. Timer C is a proxy's and not here.
"""

from dataclasses import dataclass
from functools import lru_cache

T1 = 0.5
"""What a round trip is taken to last at most, until something better is known."""
T2 = 4.0
"""The longest pause between two copies of a request other than INVITE, or of a final response to INVITE."""
T4 = 5.0
"""How long a message may stay in the network."""

LONGEST_TRY = 64
"""After so many times T1 a transaction that heard nothing is given up."""

TRYING_AFTER = 0.2
"""An INVITE that has no response of ours by then is answered with 100 (17.2.1)."""

GLARE_OWNER = (2.1, 4.0)
"""Who made the Call-ID tries again so long after a 491, in steps of 10 ms (14.1)."""
GLARE_OTHER = (0.0, 2.0)
"""Who did not make it tries again so long after a 491 (14.1)."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """When copies are sent: ``first`` seconds after the original, then after twice the last pause, ``most`` at most."""

    first: float
    most: float

    def after(self, pause: float) -> float:
        """Return the pause that follows ``pause``."""
        return min(2 * pause, self.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """The table for one kind of transport. ``None``: nothing is repeated, since the transport does that."""

    a: Repeats | None
    """INVITE, until there is any response."""
    b: float
    """INVITE is given up, if there is no response by then."""
    d: float
    """Copies of a final response that refused an INVITE are acknowledged for so long."""
    e: Repeats | None
    """Any other request, until there is a final response; every ``e.most`` once there is a provisional one."""
    f: float
    """Any other request is given up, if there is no final response by then."""
    g: Repeats | None
    """A response that refuses an INVITE, until ACK."""
    h: float
    """ACK is given up."""
    i: float
    """Copies of ACK are taken for so long."""
    j: float
    """Copies of a request other than INVITE are answered for so long after the final response."""
    k: float
    """Copies of a final response to a request other than INVITE are taken for so long."""
    l: float  # noqa: E741 (its name)
    """Copies of an INVITE that was accepted are taken for so long, and its 2xx is repeated if no ACK comes."""
    m: float
    """2xx are taken for so long after the first, copies and those of other forks."""
    accepted: Repeats
    """A 2xx to INVITE, until ACK: on every transport, since there may be another one behind the next hop (13.3.1.4)."""


@lru_cache(maxsize=64)
def timers(*, reliable: bool, t1: float = T1, t2: float = T2, t4: float = T4) -> Timers:
    """Return the table for UDP, or for TCP and TLS if ``reliable``.

    >>> timers(reliable=False).b, timers(reliable=False).k, timers(reliable=True).k
    (32.0, 5.0, 0.0)
    """
    longest = LONGEST_TRY * t1
    #                                 reliable      UDP
    return Timers(
        a=None if reliable else Repeats(t1, longest),
        b=longest,
        d=0.0 if reliable else max(32.0, longest),  # 32 s even if our T1 is short: the other side's may not be
        e=None if reliable else Repeats(t1, t2),
        f=longest,
        g=None if reliable else Repeats(t1, t2),
        h=longest,
        i=0.0 if reliable else t4,
        j=0.0 if reliable else longest,
        k=0.0 if reliable else t4,
        l=longest,
        m=longest,
        accepted=Repeats(t1, t2),
    )
