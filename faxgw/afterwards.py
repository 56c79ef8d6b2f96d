"""Work that no answer waits for, but that is done before the gateway lets its database go."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)

PATIENCE = 5.0
"""Seconds that is waited for it when the service stops: a healthy database needs milliseconds."""


class Afterwards:
    """What is done when an answer is on its way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def do(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Begin to do something; that it failed is logged."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def finish(self, *, within: float = PATIENCE) -> None:
        """Wait until all of it is done; what takes longer than ``within`` seconds is cancelled, and logged.

        Nothing of it holds a connection to the database when this returns.
        """
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=within)
        for task in late:
            log.error("work after an answer took too long", work=task.get_name())
            task.cancel()
        if late:
            await asyncio.wait(late)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("work after an answer failed", work=task.get_name(), exc_info=fault)
