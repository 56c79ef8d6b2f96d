"""Jobs that are marked as running while nobody runs them: found by each worker's own sweep, and run again."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from procrastinate import App, JobContext
from procrastinate.worker import Worker

log = structlog.get_logger(__name__)

_WITHOUT_WORKER = """
    SELECT job.id, procrastinate_retry_job_v2(job.id, now(), NULL, NULL, NULL) FROM (
        SELECT id FROM procrastinate_jobs WHERE status = 'doing' AND worker_id IS NULL FOR UPDATE SKIP LOCKED
    ) AS job
"""
# A worker's row that is deleted takes its id off the worker's jobs (ON DELETE SET NULL).

_OF_WORKER = "SELECT id FROM procrastinate_jobs WHERE status = 'doing' AND worker_id = %(worker)s"

_FORGOTTEN = """
    SELECT job.id, procrastinate_retry_job_v2(job.id, now(), NULL, NULL, NULL) FROM (
        SELECT id FROM procrastinate_jobs
        WHERE id = ANY(%(jobs)s) AND status = 'doing' AND worker_id = %(worker)s FOR UPDATE SKIP LOCKED
    ) AS job
"""


@dataclass(slots=True)
class Running:
    """The jobs that a worker knows it is running: a worker middleware that looks on."""

    jobs: set[int] = field(default_factory=set)
    missed: set[int] = field(default_factory=set)
    """Marked as this worker's at the last sweep, but not known to it: the claim may just be on its way here."""

    async def __call__(self, run: Callable[[], Awaitable[Any]], context: JobContext, _: Worker) -> Any:
        """Run a job, and know of it meanwhile."""
        job = context.job.id
        assert job is not None
        self.jobs.add(job)
        try:
            return await run()
        finally:
            self.jobs.discard(job)


async def revive(app: App, worker: Worker, running: Running, *, silence: float) -> int:
    """Have every lost job run again, and return how many there were.

    Args:
        app: opened.
        worker: of this process.
        running: what that worker knows of.
        silence: seconds without a sign of life after which a worker is taken for dead.

    Raises:
        ConnectorException: if the database is away.
    """
    await app.job_manager.prune_stalled_workers(silence)
    lost = await app.connector.execute_query_all_async(_WITHOUT_WORKER)
    lost += await _forgotten(app, worker, running)
    if lost:
        log.warning("lost jobs run again", jobs=[row["id"] for row in lost])
    return len(lost)


async def _forgotten(app: App, worker: Worker, running: Running) -> list[dict[str, Any]]:
    """Take up what this worker holds by the table, but has not known of for two sweeps."""
    if worker.worker_id is None:
        return []
    rows = await app.connector.execute_query_all_async(_OF_WORKER, worker=worker.worker_id)
    unknown = {row["id"] for row in rows} - running.jobs
    twice, running.missed = unknown & running.missed, unknown
    if not twice:
        return []
    return await app.connector.execute_query_all_async(_FORGOTTEN, jobs=sorted(twice), worker=worker.worker_id)
