"""Who is listened to, and how often: a limit for each source, applied before anything is parsed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network

MOST_SOURCES = 4096
"""Sources that are remembered. Stops peers that use ever new addresses from filling the memory."""
EVERY = 1.0
"""Seconds between two reports at least."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is let through.

    Attributes:
        allowed: nobody else is listened to at all; empty: everybody.
        trusted: those of them without a limit.
        rate: messages a second from each other source.
        burst: messages that such a source may send at once.
        total: messages a second from all of them together. Stops those who make up a new address for each datagram.
    """

    allowed: tuple[Network, ...] = ()
    trusted: tuple[Network, ...] = ()
    rate: float = 20.0
    burst: float = 100.0
    total: float = 1000.0


@dataclass(frozen=True, slots=True)
class Report:
    """What was dropped in the last second.

    Attributes:
        sources: from how many; more than ``MOST_SOURCES`` are counted more than once.
        worst: who sent the most: an address, or the /64 network of one.
        of_worst: how many that were.
    """

    dropped: int
    sources: int
    worst: str
    of_worst: int


class _Standing(Enum):
    TRUSTED = auto()
    LIMITED = auto()
    UNHEARD = auto()


class _Bucket:
    """What one source may still send, and what of it was dropped."""

    __slots__ = ("at", "dropped", "left", "round")

    def __init__(self, left: float) -> None:
        self.left = left
        self.at = 0.0
        self.dropped = 0
        self.round = 0

    def take(self, now: float, rate: float, most: float) -> bool:
        left = self.left + (now - self.at) * rate
        self.at = now
        left = min(left, most)
        if left < 1.0:
            self.left = left
            return False
        self.left = left - 1.0
        return True


class Guard:
    """Lets messages pass or not, by their source and the time; one for each port, or one for many.

    It holds two tables of ``MOST_SOURCES`` at most, and forgets whom it has not seen for the longest time.

    Attributes:
        wakes: when there is something to report; None while there is not.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.wakes: float | None = None
        self._known: frozenset[Network] = frozenset()
        self._total = _Bucket(self.limits.total)
        self._round = 1
        self._dropped = 0
        self._sources = 0
        self._worst = ("", 0)
        self._look_up: Callable[[str], tuple[_Standing, str]] = lru_cache(MOST_SOURCES)(self._standing)
        self._bucket: Callable[[str], _Bucket] = lru_cache(MOST_SOURCES)(lambda _: _Bucket(self.limits.burst))

    def trust(self, hosts: Iterable[str]) -> None:
        """Listen to these numeric hosts too, without a limit: what a name leads to now, instead of what it led to."""
        known = frozenset(ip_network(host.partition("%")[0]) for host in hosts)
        if known != self._known:
            self._known = known
            self._look_up = lru_cache(MOST_SOURCES)(self._standing)

    def trusts(self, source: str) -> bool:
        """Return whether a source has no limit."""
        return self._look_up(source)[0] is _Standing.TRUSTED

    def admits(self, source: str, now: float) -> bool:
        """Return whether a message from a numeric host is to be read."""
        standing, network = self._look_up(source)
        if standing is _Standing.TRUSTED:
            return True
        bucket = self._bucket(network)
        limits = self.limits
        if (
            standing is _Standing.LIMITED
            and bucket.take(now, limits.rate, limits.burst)
            and self._total.take(now, limits.total, limits.total)
        ):
            return True
        self._count(bucket, network)
        if self.wakes is None:
            self.wakes = now + EVERY
        return False

    def report(self, now: float) -> Report | None:
        """Return what was dropped since the last report, when ``wakes`` is over; else None."""
        if self.wakes is None or now < self.wakes:
            return None
        report = Report(self._dropped, self._sources, *self._worst)
        self.wakes = None
        self._round += 1
        self._dropped = self._sources = 0
        self._worst = ("", 0)
        return report

    def _count(self, bucket: _Bucket, network: str) -> None:
        self._dropped += 1
        if bucket.round != self._round:
            bucket.round = self._round
            bucket.dropped = 0
            self._sources += 1
        bucket.dropped += 1
        if bucket.dropped > self._worst[1]:
            self._worst = (network, bucket.dropped)

    def _standing(self, source: str) -> tuple[_Standing, str]:
        """Return how a source is treated, and what it is counted as."""
        address = _address(source)
        network = str(address) if isinstance(address, IPv4Address) else f"{IPv6Address(int(address) >> 64 << 64)}/64"
        if _within(address, self._known):
            return _Standing.TRUSTED, network
        if self.limits.allowed and not _within(address, self.limits.allowed):
            return _Standing.UNHEARD, network
        return _Standing.TRUSTED if _within(address, self.limits.trusted) else _Standing.LIMITED, network


def _address(source: str) -> IPv4Address | IPv6Address:
    if ":" not in source:
        return IPv4Address(source)
    address = IPv6Address(source.partition("%")[0])
    return address.ipv4_mapped or address


def _within(address: IPv4Address | IPv6Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
