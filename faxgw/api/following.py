"""Word of new events, from the database's notifications to all who follow on this node."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from faxgw.store.database import TRANSACTION_LIMIT

MOST_WAITING = 1000
"""Ids that may wait for one follower; a slower one is told to look for itself."""
MOST_OUTSTANDING = 20_000
"""A larger gap between ids is none: the database began anew."""


@dataclass(eq=False, slots=True)
class Follower:
    """Somebody who follows a tenant's events, or those of one fax.

    Attributes:
        news: ids of events since the last look, in the order of their commits.
        missed: some may be missing from ``news``: look at the table.
    """

    fax_id: UUID | None
    news: list[int] = field(default_factory=list)
    missed: bool = False
    ended: bool = False
    _bell: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self, seconds: float) -> bool:
        """Wait for word; False when none came in so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        except TimeoutError:
            return False
        self._bell.clear()
        return True

    def taken(self) -> list[int]:
        """Return the ids that have come, and begin anew."""
        news, self.news = self.news, []
        return news

    def tell(self, event_id: int | None) -> None:
        """Say that there is an event; None: that there may be some."""
        if event_id is None or len(self.news) >= MOST_WAITING:
            self.missed = True
            self.news.clear()
        else:
            self.news.append(event_id)
        self._bell.set()

    def end(self) -> None:
        """Have the stream end: the gateway stops."""
        self.ended = True
        self._bell.set()


class Hub:
    """Hands notifications on to those they are for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._followers: dict[UUID, set[Follower]] = defaultdict(set)
        self._stopping = False
        self._highest = 0
        self._outstanding: dict[int, float] = {}

    @contextmanager
    def follow(self, tenant_id: UUID, fax_id: UUID | None) -> Iterator[Follower]:
        """Be told of events from now on."""
        follower = Follower(fax_id)
        follower.ended = self._stopping
        self._followers[tenant_id].add(follower)
        try:
            yield follower
        finally:
            self._followers[tenant_id].discard(follower)
            if not self._followers[tenant_id]:
                del self._followers[tenant_id]

    def tell(self, payload: str) -> None:
        """Take a notification of ``faxgw_events``."""
        notice = json.loads(payload)
        self._note(notice["id"])
        fax_id = UUID(notice["fax"]) if notice["fax"] else None
        for each in self._followers.get(UUID(notice["tenant"]), ()):
            if each.fax_id is None or each.fax_id == fax_id:
                each.tell(notice["id"])

    def settled(self, event_id: int) -> int:
        """Return the highest id, at most ``event_id``, below which no event can come any more.

        Ids are given in order, but transactions that took them end in any order, or never.
        """
        now = self._clock()
        while self._outstanding:
            first = min(self._outstanding)
            if now - self._outstanding[first] < TRANSACTION_LIMIT:
                return min(event_id, first - 1)
            del self._outstanding[first]
        return event_id

    def _note(self, event_id: int) -> None:
        if self._highest and event_id - self._highest < MOST_OUTSTANDING:
            self._outstanding.update(dict.fromkeys(range(self._highest + 1, event_id), self._clock()))
        self._outstanding.pop(event_id, None)
        self._highest = max(self._highest, event_id)

    def missed(self) -> None:
        """Have everybody look at the table: notifications may have been lost."""
        self._highest = 0
        self._outstanding.clear()
        for each in self._all():
            each.tell(None)

    def stop(self) -> None:
        """End all streams, and those that come."""
        self._stopping = True
        for each in self._all():
            each.end()

    def _all(self) -> list[Follower]:
        return [each for followers in self._followers.values() for each in followers]
