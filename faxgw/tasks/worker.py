"""Runs jobs in the service's own loop: comes back when the database does, and stops in time."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from procrastinate import App, Blueprint, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.worker import Worker

from faxgw.leaving import leave_if_cancelled
from faxgw.tasks.stalled import Running, revive

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a worker does what, and how long it waits, in seconds.

    Attributes:
        poll: between two looks for jobs that nobody announced, such as one that was to run later.
        heartbeat: between two signs of life.
        silence: without a sign of life after which another worker takes this one for dead.
        sweep: between two searches for lost jobs.
        pause: before it tries again to reach the database.
        grace: that running jobs have to end when the worker stops; then they are cancelled, and run again elsewhere.
        stop: after which a worker that stops is stopped, whatever it waits for.
    """

    poll: float = 10.0
    heartbeat: float = 10.0
    silence: float = 35.0
    sweep: float = 15.0
    pause: float = 1.0
    grace: float = 1.0
    stop: float = 1.6


USUAL = Pace()

OPTIONS = {"application_name": "faxgw tasks", "connect_timeout": 2}
CONNECT_LIMIT = 5.0
CLOSE_LIMIT = 0.3
"""Seconds that the first connection may take, and the end of the last."""


def make_app(conninfo: str, tasks: Mapping[str, Blueprint], *, connections: int = 4, patience: float = 5.0) -> App:
    """Return procrastinate's view of the database.

    Args:
        conninfo: of the dispatcher role: a libpq URL.
        tasks: namespace -> the tasks in it; each is called ``namespace:name``.
        connections: the most that it opens, besides one that listens.
        patience: seconds that it waits for one of them.
    """
    connector = PsycopgConnector(conninfo=conninfo, min_size=1, max_size=connections, timeout=patience, kwargs=OPTIONS)
    app = App(connector=connector, periodic_defaults={"max_delay": 86_400})
    for namespace, blueprint in tasks.items():
        app.add_tasks_from(blueprint, namespace=namespace)
    return app


async def work(app: App, *, context: Mapping[str, Any], concurrency: int, pace: Pace = USUAL) -> None:
    """Run jobs until cancelled; an outage of the database only interrupts.

    Args:
        app: from ``make_app``; opened and closed here.
        context: what tasks find in ``JobContext.additional_context``.
        concurrency: how many jobs run at the same time.
        pace: see there.
    """
    ended: list[int] = []  # workers of ours that could not say goodbye
    while True:
        running = Running()
        worker = _worker(app, running, context, concurrency, pace)
        try:
            await _opened(app)
            await _say_goodbye(app, ended)
            leave_if_cancelled()
            await _run(app, worker, running, pace)
        except (ConnectorException, TimeoutError) as fault:
            log.warning("the task worker has lost the database, and will be back", fault=str(fault))
            ended += [worker.worker_id] if worker.worker_id is not None else []
        finally:
            await _close(app)
        await asyncio.sleep(pace.pause)


def _worker(app: App, running: Running, context: Mapping[str, Any], concurrency: int, pace: Pace) -> Worker:
    return Worker(
        app,
        concurrency=concurrency,
        fetch_job_polling_interval=pace.poll,
        abort_job_polling_interval=pace.poll,
        shutdown_graceful_timeout=pace.grace,
        delete_jobs="successful",
        additional_context=dict(context),
        install_signal_handlers=False,
        update_heartbeat_interval=pace.heartbeat,
        stalled_worker_timeout=pace.silence,
        worker_middleware=[running],
    )


async def _opened(app: App) -> None:
    async with asyncio.timeout(CONNECT_LIMIT):
        await app.open_async()


async def _say_goodbye(app: App, ended: list[int]) -> None:
    """Take back what workers of this process held when the database went away: they run nothing any more."""
    while ended:
        await app.job_manager.unregister_worker(ended[-1])
        ended.pop()


async def _run(app: App, worker: Worker, running: Running, pace: Pace) -> None:
    runs = asyncio.create_task(worker.run(), name="task worker")  # type: ignore[no-untyped-call]
    sweeps = asyncio.create_task(_sweep(app, worker, running, pace), name="lost jobs")
    try:
        await asyncio.shield(runs)
    finally:
        sweeps.cancel()
        await _end(worker, runs, within=pace.stop)


async def _sweep(app: App, worker: Worker, running: Running, pace: Pace) -> None:
    while True:
        try:
            await revive(app, worker, running, silence=pace.silence)
        except ConnectorException as fault:
            log.warning("no search for lost jobs: the database is away", fault=str(fault))
        await asyncio.sleep(pace.sweep)


async def _end(worker: Worker, runs: asyncio.Task[None], *, within: float) -> None:
    """Let a worker end its jobs and say goodbye; then insist."""
    worker.stop()  # type: ignore[no-untyped-call]
    await asyncio.wait([runs], timeout=within)
    while not runs.done():
        runs.cancel()  # each time it gives up one more thing that it waits for
        await asyncio.wait([runs], timeout=0.05)


async def _close(app: App) -> None:
    with suppress(TimeoutError, ConnectorException):
        async with asyncio.timeout(CLOSE_LIMIT):
            await app.close_async()
