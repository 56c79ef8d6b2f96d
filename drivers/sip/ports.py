"""UDP ports for media: each call has two, an even one for sound and the next for pages."""

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any, Self

from drivers.t38.route import UdpRoute
from t30.line import LineError


class Ports:
    """A range of ports, handed out in turn, so that late packets of a call that is over find nobody.

    Args:
        host: to listen on.
        low, high: both included.
    """

    def __init__(self, host: str, low: int, high: int, *, random: Random) -> None:
        self._host = host
        self._low = low + low % 2
        self._pairs = (high - self._low + 1) // 2
        self._next = random.randrange(self._pairs)
        self._range = f"{low} to {high}"

    async def pair(self) -> "Pair":
        """Open the next pair that is free.

        Raises:
            LineError: ``line.unavailable`` if none is.
        """
        for _ in range(self._pairs):
            port = self._low + 2 * self._next
            self._next = (self._next + 1) % self._pairs
            pair = await _whole(Pair.open(self._host, port))
            if pair is not None:
                return pair
        raise LineError(f"none of the UDP ports {self._range} of {self._host} is free for a call")


class Pair:
    """The two sockets of a call."""

    def __init__(self, sound: UdpRoute, image: UdpRoute) -> None:
        self.sound = sound
        self.image = image

    @classmethod
    async def open(cls, host: str, port: int) -> Self | None:
        """Open both, or none."""
        opened: list[UdpRoute] = []
        try:
            for each in (port, port + 1):
                opened.append(await UdpRoute.bind((host, each)))
        except OSError:
            for route in opened:
                route.close()
            return None
        return cls(*opened)

    def close(self) -> None:
        """Release both; may be called more than once."""
        self.sound.close()
        self.image.close()


async def _whole(opening: Coroutine[Any, Any, Pair | None]) -> Pair | None:
    """Return what is opened; if nobody waits for that any more, it is closed as soon as it is open."""
    task = asyncio.ensure_future(opening)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_discard)
        raise


def _discard(opened: "asyncio.Task[Pair | None]") -> None:
    pair = None if opened.cancelled() else opened.result()
    if pair is not None:
        pair.close()
