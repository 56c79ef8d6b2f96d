"""How those who wait on a line are woken: by the event loop's timers, or on a timeline of the line's own.

A ``Timeline`` makes a fast line honest. Its clock runs ``speed`` times faster only while everybody on the line waits.
As soon as one of them has work to do it stands still, and after ``GRACE`` it goes on in real time, until all of them
wait again. So a page that takes 10 ms to decode takes no time on the line, and not 10 s; but who takes half a minute to
store it takes that long, and the other side loses patience. Who is woken late, since the machine is busy, is woken at
the right moment of the timeline all the same.
"""

import asyncio
import heapq
import math
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from t30.line import LineClock

GRACE = 1.0
"""Seconds of real time that work may take without taking time on a timeline; none on one that is not fast."""
GRAIN = 0.001
"""Seconds by which an event loop's timer may be early: uvloop counts in milliseconds."""
MOST_BEHIND = 0.1
"""Seconds of real time that a timeline makes up for when it was late; a longer standstill is not made up for."""

T = TypeVar("T")


class Timer(Protocol):
    """Something that will be done."""

    def cancel(self) -> None:
        """Do not do it."""


class Pace:
    """The event loop's own timers, at the clock's speed."""

    def __init__(self, clock: LineClock) -> None:
        self.clock = clock

    def later(self, seconds: float, do: Callable[[], object]) -> Timer:
        """Do something after so many seconds of the line."""
        return asyncio.get_running_loop().call_later(self.clock.real(max(0.0, seconds)), do)

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds of the line."""
        await Waiting(self).woken(seconds)

    def rest(self) -> None:
        """Take note that somebody on the line waits now."""

    def work(self) -> None:
        """Take note that somebody on the line has something to do."""


class Waiting:
    """Somebody on a line who waits to be woken."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(self) -> None:
        """End the wait."""
        if not self._woken.done():
            self._pace.work()
            self._woken.set_result(None)

    async def woken(self, within: float = math.inf) -> None:
        """Wait to be woken, but not longer than ``within`` seconds of the line."""
        timer = None if math.isinf(within) else self._pace.later(within, self.wake)
        self._pace.rest()
        try:
            await self._woken
        finally:
            if timer:
                timer.cancel()
            if self._woken.cancelled():
                self._pace.work()


class Timeline(Pace):
    """The time of one line, both ends of whose calls are in this process.

    Whoever is not waiting (``Waiting``) works. The line's owner always counts; others do so while their task runs, if
    it is ``aboard``.

    Args:
        speed: how much faster than real time it runs while nobody works.
    """

    def __init__(self, speed: float) -> None:
        super().__init__(LineClock(lambda: self.now() / speed, speed))
        self._speed = speed
        self._grace = GRACE if speed > 1.0 else 0.0
        self._loop = asyncio.get_running_loop()
        self._working = 1
        self._at = 0.0
        self._since = self._loop.time()
        self._behind = 0.0
        self._timers: list[_Timer] = []
        self._made = 0
        self._alarm: asyncio.TimerHandle | None = None

    def now(self) -> float:
        """Seconds of the line since it was made. It is never later than the first thing that is still to be done."""
        passed = self._loop.time() - self._since
        if self._working > 0:
            now = self._at + max(0.0, passed - self._grace) * min(1.0, self._speed)
        else:
            now = self._at + passed * self._speed
        return min(now, self._timers[0].at) if self._next() else now

    def later(self, seconds: float, do: Callable[[], object]) -> Timer:
        """Do something after so many seconds of the line. What is due at one time is done in the order of asking."""
        self._made += 1
        timer = _Timer(self.now() + max(0.0, seconds), self._made, do)
        heapq.heappush(self._timers, timer)
        if self._timers[0] is timer:
            self._arm()
        return timer

    def aboard(self, doing: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Do something in a task that counts among those on the line."""
        self.work()
        task = self._loop.create_task(doing)
        task.add_done_callback(lambda _: self.rest())
        return task

    def rest(self) -> None:
        """Let the time run when this was the last one at work."""
        self._count(-1)

    def work(self) -> None:
        """Hold the time."""
        self._count(1)

    def _count(self, change: int) -> None:
        turns = (self._working > 0) is not (self._working + change > 0)
        if turns:
            self._at, self._since = self.now(), self._loop.time()
        self._working += change
        if turns:
            self._arm()

    def _next(self) -> bool:
        """Tell whether there is anything to be done, and bring it to the front."""
        while self._timers and self._timers[0].canceled:
            heapq.heappop(self._timers)
        return bool(self._timers)

    def _due(self) -> float:
        """Return when the first thing is to be done, on the event loop's clock."""
        left = self._timers[0].at - self._at
        if self._working > 0:
            return self._since + (self._grace + left / min(1.0, self._speed) if left > 0 else 0.0)
        return self._since + left / self._speed - self._behind

    def _arm(self) -> None:
        if self._alarm:
            self._alarm.cancel()
        self._alarm = self._loop.call_at(self._due(), self._ring) if self._next() else None

    def _ring(self) -> None:
        """Do the first thing, if it is time, and no more: those whom it wakes come first."""
        self._alarm = None
        if self._next() and self._due() <= self._loop.time() + GRAIN:
            if self._working <= 0:
                self._behind = min(self._loop.time() - self._due(), MOST_BEHIND)
            timer = heapq.heappop(self._timers)
            self._go_to(timer.at)
            self._working += 1  # no time passes while it is done, however fast the line
            try:
                timer.do()
            finally:
                self._working -= 1
        self._arm()

    def _go_to(self, at: float) -> None:
        if self._working <= 0:
            self._at, self._since = at, self._loop.time()
        elif at > self._at:
            self._at, self._since = at, self._loop.time() - self._grace  # which is used up


class _Timer:
    def __init__(self, at: float, number: int, do: Callable[[], object]) -> None:
        self.at = at
        self.do = do
        self.canceled = False
        self._number = number

    def cancel(self) -> None:
        self.canceled = True

    def __lt__(self, other: "_Timer") -> bool:
        return (self.at, self._number) < (other.at, other._number)
