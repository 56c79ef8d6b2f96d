"""What is to be done later: one heap for all the timers of an agent."""

import heapq
import itertools
from collections.abc import Callable, Hashable
from typing import TypeAlias

Action: TypeAlias = Callable[[], None]

_SLACK = 64
"""So many entries of the heap may be out of date before it is made anew."""


class Alarms:
    """Actions by name, each due at one time; to set one anew costs little, as most are set and never due."""

    __slots__ = ("_due", "_heap", "_order")

    def __init__(self) -> None:
        self._due: dict[Hashable, tuple[float, int, Action]] = {}
        self._heap: list[tuple[float, int, Hashable]] = []
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._due)

    @property
    def wakes(self) -> float | None:
        """When ``due`` has something; None if never."""
        while self._heap and self._stale(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def set(self, name: Hashable, at: float | None, action: Action) -> None:
        """Have something done at a time, instead of what was set by this name; None: nothing."""
        if at is None:
            self.clear(name)
            return
        old = self._due.get(name)
        if old is not None and old[0] == at:
            self._due[name] = (at, old[1], action)
            return
        entry = (at, next(self._order), name)
        self._due[name] = (at, entry[1], action)
        heapq.heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self._due) + _SLACK:
            self._heap = [each for each in self._heap if not self._stale(each)]
            heapq.heapify(self._heap)

    def clear(self, name: Hashable) -> None:
        """Have nothing done."""
        self._due.pop(name, None)

    def next(self, now: float) -> Action | None:
        """Take the next action that is due; None if none is."""
        wakes = self.wakes
        if wakes is None or wakes > now:
            return None
        _, _, name = heapq.heappop(self._heap)
        return self._due.pop(name)[2]

    def _stale(self, entry: tuple[float, int, Hashable]) -> bool:
        due = self._due.get(entry[2])
        return due is None or due[1] != entry[1]
