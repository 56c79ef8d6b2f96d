"""Keeps one telephone line: opens it, answers its calls, makes those that it is given, opens it again when it dies."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from drivers.registry import Line, open_line
from drivers.witness import Witnessed
from faxgw.config import LineSettings
from faxgw.leaving import leave_if_cancelled
from faxgw.rules.routing import Health, LineState
from faxgw.trace.wires import Prelude
from t30.line import AwaitCall, LineError, Ringing

log = structlog.get_logger(__name__)

REOPENED_AFTER = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between attempts to open a line that is not to be had; the last one for ever."""
UNTRIED = "not opened yet"
"""The fault of a line until the first attempt to open it is over."""


class Job(Protocol):
    """A call to make."""

    async def make(self, line: Line, settings: LineSettings) -> bool:
        """Make the call, and return whether the line did its part; the outcome is the job's own business."""
        ...

    async def give_back(self) -> None:
        """Let somebody else make it: this line cannot now."""
        ...


Answer = Callable[[Line, LineSettings, Ringing], Awaitable[bool]]
"""Takes a call that rings, and returns whether the line did its part."""


class Keeper:
    """One line, from the start of the service to its end.

    Attributes:
        state: ``down``, ``idle`` or ``busy``.
        fault: why it is down.
    """

    def __init__(self, settings: LineSettings, url: str, *, node: str, changed: Callable[[], None]) -> None:
        self.settings = settings
        self._url = url
        self.state = "down"
        self.fault = UNTRIED
        self.health = Health()
        self._node = node
        self._changed = changed
        self._job: asyncio.Future[Job] | None = None

    @property
    def seen(self) -> LineState:
        """The line as routing looks at it."""
        return LineState(
            name=self.settings.name,
            sends=self.settings.sends,
            idle=self.state == "idle",
            up=self.state != "down",
            health=self.health,
            tenants=self.settings.tenants,
            node=self._node,
        )

    def take(self, job: Job) -> bool:
        """Give the line a call to make; false when it is not idle after all."""
        if self._job is None or self._job.done():
            return False
        self._job.set_result(job)
        self._set("busy")
        return True

    async def run(self, answer: Answer) -> None:
        """Keep the line until cancelled."""
        failures = 0
        while True:
            try:
                line = await open_line(self._url)
            except LineError as fault:
                self._set("down", str(fault))
            else:
                try:
                    if await self._serve(line, answer):
                        failures = 0
                finally:
                    await line.close()
            await asyncio.sleep(REOPENED_AFTER[min(failures, len(REOPENED_AFTER) - 1)])
            failures += 1

    async def _serve(self, line: Line, answer: Answer) -> bool:
        """Work on an open line until it dies; return whether it worked at all."""
        worked = False
        try:
            while True:
                good = await self._work(line, answer)
                leave_if_cancelled()
                now = datetime.now(UTC)
                self.health = self.health.succeeded(now) if good else self.health.failed(now)
                worked = worked or good
                if not good:
                    raise LineError("the line or its modem failed in the last call")
        except LineError as fault:
            log.warning("a line is down", line=self.settings.name, error=str(fault))
            self._set("down", str(fault))
        except Exception:
            # A fault in the gateway costs this line a moment, not the others their calls.
            log.exception("work on a line broke off", line=self.settings.name)
            self._set("down", "a fault in the gateway: its log says more")
        return worked

    async def _work(self, line: Line, answer: Answer) -> bool:
        """Wait for one call, to make or to take, and have it; return whether the line did its part.

        Raises:
            LineError: if the line died while nobody called.
        """
        job: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        try:
            ringing = await self._next(line, job)
        except BaseException:
            if job.done():
                await job.result().give_back()
            raise
        self._set("busy")
        if ringing is None:
            return await job.result().make(line, self.settings)
        if job.done():  # both at once: whoever rings cannot wait
            await job.result().give_back()
        return await answer(line, self.settings, ringing)

    async def _next(self, line: Line, job: "asyncio.Future[Job]") -> Ringing | None:
        """Wait until a job is given or the line rings, or both."""
        self._job = job
        if isinstance(line, Witnessed):
            line.witness = Prelude()
        ring = asyncio.ensure_future(self._ringing(line))
        either: list[asyncio.Future[Any]] = [job, ring]
        self._set("idle")
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._job = None
            ring.cancel()
            await asyncio.wait([ring])
        return None if ring.cancelled() else ring.result()

    async def _ringing(self, line: Line) -> Ringing:
        """Wait for a call that is to be answered. A line for sending is waited on, too: so it is seen to die."""
        while True:
            event = await line.perform(AwaitCall())
            if isinstance(event, Ringing) and self.settings.receives:
                return event

    def _set(self, state: str, fault: str = "") -> None:
        if (state, fault) != (self.state, self.fault):
            self.state, self.fault = state, fault
            self._changed()
