"""A call while it is on a line: in a task of its own, so that hanging it up never harms the line's keeper."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from faxgw.faxes.ending import INTERRUPTED
from faxgw.leaving import leave_if_cancelled
from t30.outcome import Outcome

LAST_WORDS = 5.0
"""Seconds that a service that is ending gives to what is still to be written."""
TRY_AGAIN = 0.5
"""Seconds between tries to write while the database is away."""
TIMED_OUT = "call.timeout", "the call lasted longer than a call may"


class Talk:
    """One call that can be hung up at any time: before it begins, while it goes on, and when it is over already.

    Attributes:
        why: what its attempt ends with when it was ended from this side.
        text: why it is to be ended, in words; empty while it is not.
    """

    def __init__(self) -> None:
        self.why = INTERRUPTED
        self.text = ""
        self._task: asyncio.Task[Outcome] | None = None
        self._begun = False

    def hang_up(self, text: str, why: str = INTERRUPTED) -> None:
        """End the call; the first to say so is heard."""
        if self.text:
            return
        self.why, self.text = why, text
        if self._task is not None and self._begun:
            self._task.cancel(text)

    async def run(self, call: Coroutine[Any, Any, Outcome], *, at_most: float) -> Outcome:
        """Run the call to its end, for ``at_most`` seconds of real time.

        When whoever waits here is cancelled, the call says goodbye first; then this returns, and ``leaving()`` holds.
        """
        self._task = asyncio.create_task(self._talking(call))
        why, text = TIMED_OUT
        limit = asyncio.get_running_loop().call_later(at_most, self.hang_up, text, why)
        try:
            return await self._task
        finally:
            limit.cancel()
            self._task = None
            call.close()  # of a call that was cancelled before its first step

    async def _talking(self, call: Coroutine[Any, Any, Outcome]) -> Outcome:
        """Have the call, which alone knows how to be ended: a task that is cancelled before its first step has none."""
        self._begun = True
        if self.text and self._task is not None:
            self._task.cancel(self.text)
        return await call


async def written(writing: Coroutine[Any, Any, None]) -> None:
    """Have something written, however long that takes; a service that is ending waits ``LAST_WORDS`` seconds only.

    Raises:
        asyncio.CancelledError: if the service is ending, once it was written or given up.
    """
    task = asyncio.ensure_future(writing)
    try:
        leave_if_cancelled()
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=LAST_WORDS)
        if task.done():
            task.result()
        task.cancel()
        raise
