"""A packet network that does to datagrams what networks do: loses, delays, reorders and doubles them, from a seed.

A ``Path`` is one direction. Between two ends in one program it runs on any loop, in virtual time too; ``Relay`` puts it
between two real sockets.

What it does not model: bandwidth and queues (a datagram's fate does not depend on the others'), fragmentation, ICMP.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Self

from t30.line import LineClock

Address = tuple[str, int]
Deliver = Callable[[bytes], None]

ENDS = (("192.0.2.1", 4000), ("192.0.2.2", 4000))
"""Where the two ends of a pair of paths say that they are."""


@dataclass(frozen=True, slots=True)
class Weather:
    """What a path does.

    Attributes:
        loss: share of datagrams that begin a loss.
        burst: datagrams that are then lost in a row.
        delay: seconds that each takes at the least.
        jitter: up to so many seconds more, each by itself: what was sent later may come sooner.
        doubled: share of datagrams that come twice.
        silent: from and to which second nothing comes through at all.
        seed: of the chance; a path with the same seed does the same to the same datagrams.
    """

    loss: float = 0.0
    burst: int = 1
    delay: float = 0.02
    jitter: float = 0.0
    doubled: float = 0.0
    silent: tuple[float, float] | None = None
    seed: int = 0


@dataclass(slots=True)
class Fates:
    """What became of datagrams."""

    sent: int = 0
    lost: int = 0
    doubled: int = 0


class Path:
    """One direction between two ends."""

    def __init__(self, weather: Weather, clock: LineClock, *, name: str = "") -> None:
        self.fates = Fates()
        self.deliver: Deliver | None = None
        self._weather = weather
        self._clock = clock
        self._random = Random(f"{weather.seed} {name}")
        self._began = clock.now()
        self._losing = 0
        self._last = 0.0

    def send(self, datagram: bytes, deliver: Deliver | None = None) -> None:
        """Send a datagram; it comes later, or never. ``deliver``: to somebody else than usual."""
        self.fates.sent += 1
        if self._is_lost():
            self.fates.lost += 1
            return
        self._later(datagram, deliver)
        if self._random.random() < self._weather.doubled:
            self.fates.doubled += 1
            self._later(datagram, deliver)

    def _is_lost(self) -> bool:
        silent, since = self._weather.silent, self._clock.now() - self._began
        if silent is not None and silent[0] <= since < silent[1]:
            return True
        if not self._losing and self._random.random() < self._weather.loss:
            self._losing = self._weather.burst
        if not self._losing:
            return False
        self._losing -= 1
        return True

    def _later(self, datagram: bytes, deliver: Deliver | None) -> None:
        loop = asyncio.get_running_loop()
        seconds = self._weather.delay + self._random.uniform(0.0, self._weather.jitter)
        due = loop.time() + self._clock.real(seconds)
        if not self._weather.jitter:  # then they come in their order, also those of the same moment
            due = self._last = max(due, math.nextafter(self._last, math.inf))
        loop.call_at(due, deliver or self._arrive, datagram)

    def _arrive(self, datagram: bytes) -> None:
        if self.deliver is not None:
            self.deliver(datagram)


@dataclass(slots=True)
class Plug:
    """One end of a pair of paths: sends on one, and is handed what comes on the other."""

    path: Path
    local: Address
    peer: Address | None
    receiver: Deliver | None = None
    fits: Callable[[bytes], bool] | None = None
    """Never asked: a path has one other end."""
    closed: bool = field(default=False)

    def send(self, datagram: bytes) -> None:
        """Send a datagram to the other end."""
        if not self.closed:
            self.path.send(datagram)

    def close(self) -> None:
        """Take the end away: what comes to it from now on is gone."""
        self.closed = True

    def _take(self, datagram: bytes) -> None:
        if self.receiver is not None and not self.closed:
            self.receiver(datagram)


def pair(there: Weather, back: Weather, clock: LineClock) -> tuple[Plug, Plug]:
    """Return two ends, with a path of its own each way."""
    out, home = Path(there, clock, name="there"), Path(back, clock, name="back")
    near, far = ENDS
    one, other = Plug(out, near, far), Plug(home, far, near)
    out.deliver, home.deliver = other._take, one._take
    return one, other


class Relay:
    """Two sockets in the middle of a way: what comes in at one goes out at the other, as the weather will have it.

    Each answers to where its last datagram came from, so each end takes the relay for the other one.
    """

    def __init__(self, there: Weather, back: Weather, clock: LineClock) -> None:
        self._paths = (Path(there, clock, name="there"), Path(back, clock, name="back"))
        self._sockets: list[_Socket] = []

    @classmethod
    async def open(cls, near: Address, far: Address, to: Address, *, there: Weather, back: Weather) -> Self:
        """Listen at ``near`` and pass on from ``far`` to ``to``, and back.

        Raises:
            OSError: if a port is not to be had.
        """
        loop = asyncio.get_running_loop()
        relay = cls(there, back, LineClock(loop.time))
        for place, (local, peer) in enumerate(((near, None), (far, to))):
            _, made = await loop.create_datagram_endpoint(
                lambda place=place, peer=peer: _Socket(relay._paths[place], peer),  # type: ignore[misc]
                local_addr=local,
            )
            relay._sockets.append(made)
        for path, socket in zip(relay._paths, reversed(relay._sockets), strict=True):
            path.deliver = socket.send
        return relay

    @property
    def fates(self) -> tuple[Fates, Fates]:
        """What became of the datagrams each way."""
        return self._paths[0].fates, self._paths[1].fates

    @property
    def addresses(self) -> tuple[Address, Address]:
        """Where it listens: for the near end, and for the far one."""
        near, far = (each.transport.get_extra_info("sockname")[:2] for each in self._sockets if each.transport)
        return near, far

    async def rebind(self) -> None:
        """Go on from another port towards the far end, as an address translation does that has forgotten the way."""
        old = self._sockets[1]
        loop = asyncio.get_running_loop()
        assert old.transport is not None
        host = old.transport.get_extra_info("sockname")[0]
        _, self._sockets[1] = await loop.create_datagram_endpoint(
            lambda: _Socket(self._paths[1], old.peer), local_addr=(host, 0)
        )
        self._paths[0].deliver = self._sockets[1].send
        old.transport.close()

    def close(self) -> None:
        """Release the ports."""
        for each in self._sockets:
            if each.transport is not None:
                each.transport.close()


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, path: Path, peer: Address | None) -> None:
        self.path = path
        self.peer = peer
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.peer = addr[:2]
        self.path.send(data)

    def error_received(self, exc: Exception) -> None:
        pass

    def send(self, datagram: bytes) -> None:
        if self.peer is not None and self.transport is not None and not self.transport.is_closing():
            self.transport.sendto(datagram, self.peer)
