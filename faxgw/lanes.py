"""Lanes: work for many places side by side, a little at a time for each, so that a slow one holds up nobody else."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

import structlog

from faxgw.store.database import DatabaseUnavailable

log = structlog.get_logger(__name__)

Look = Callable[[], Awaitable[Iterable[UUID]]]
Carry = Callable[[UUID, Callable[[], None]], Awaitable[bool | None]]


@dataclass(slots=True)
class _Lane:
    """The way to one place.

    Attributes:
        width: pieces of work that may be on it at the same time.
        busy: those who do them.
        again: something was put there since somebody last looked.
    """

    width: int
    busy: int = 0
    again: bool = False


class Lanes:
    """Looks for lanes on which there is something to do, and has it done, while ``run`` runs.

    Args:
        look: returns the lanes with something to do.
        carry: does one piece of work on a lane: True when it went well, False when not (then the lane is narrow until
            one goes well again), None when there was none. It calls what it is given once it has taken a piece, so that
            somebody else takes the next.
        width: pieces of work on one lane at the same time.
        hands: pieces of work at the same time, all in all.
        tick: seconds between two looks.
    """

    def __init__(self, look: Look, carry: Carry, *, width: int, hands: int, tick: float) -> None:
        self._look = look
        self._carry = carry
        self._width = width
        self._tick = tick
        self._lanes: dict[UUID, _Lane] = {}
        self._hands = asyncio.Semaphore(hands)
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Work until cancelled; what is under way then breaks off."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                while True:
                    await self._look_once()
                    await asyncio.sleep(self._tick)
            finally:
                self._group = None  # before those who carry are waited for: a group that ends takes nobody new

    def wake(self, lane_id: UUID) -> None:
        """Have what there is to do on a lane done."""
        if self._group is None:
            return  # not running yet, or not any more: the next look finds it
        lane = self._lanes.setdefault(lane_id, _Lane(self._width))
        if lane.busy >= lane.width:
            lane.again = True
            return
        lane.busy += 1
        self._group.create_task(self._go(lane_id, lane))

    async def _look_once(self) -> None:
        try:
            found = await self._look()
        except DatabaseUnavailable:
            return  # who keeps the database tells of it
        for lane_id in found:
            self.wake(lane_id)

    async def _go(self, lane_id: UUID, lane: _Lane) -> None:
        """Do one piece after the other until there is none, or too many do."""

        def taken() -> None:
            if lane.busy < lane.width:
                self.wake(lane_id)  # there may be more

        try:
            while lane.busy <= lane.width:
                lane.again = False
                async with self._hands:
                    went = await self._carry(lane_id, taken)
                if went is not None:
                    lane.width = self._width if went else 1
                elif not lane.again:
                    return
        except DatabaseUnavailable as fault:
            log.warning("deliveries wait for the database", reason=fault.reason)
        except Exception:  # of one piece of work; the others have nothing to do with it
            log.exception("a delivery broke off", lane=lane_id)
        finally:
            lane.busy -= 1
            if not lane.busy:
                self._lanes.pop(lane_id, None)
