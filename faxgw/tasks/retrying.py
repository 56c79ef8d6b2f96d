"""When a job that failed runs again: by a table, and at once when only its node was stopped."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from procrastinate import BaseRetryStrategy, RetryDecision
from procrastinate.jobs import Job

WAITS = (1, 5, 30, 120, 600, 3600)
"""Seconds before the first, second, ... time that a failed job is run again; after the last it has failed for good."""


class ByTable(BaseRetryStrategy):
    """The one strategy of all tasks; a task that wants to give up earlier just ends."""

    def __init__(self, waits: Sequence[float] = WAITS) -> None:
        self._waits = waits

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """Return when to run the job again, or None for never."""
        now = datetime.now(UTC)
        if isinstance(exception, asyncio.CancelledError):  # the worker stops: another one goes on
            return RetryDecision(retry_at=now)
        if job.attempts >= len(self._waits):
            return None
        return RetryDecision(retry_at=now + timedelta(seconds=self._waits[job.attempts]))


AGAIN = ByTable()
