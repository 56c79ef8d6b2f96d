"""Jobs: they exist exactly if their transaction does, and every one is run, whoever dies meanwhile."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest
from procrastinate import App, Blueprint, JobContext, PsycopgConnector
from sqlalchemy import make_url, text
from sqlalchemy.exc import ProgrammingError

from faxgw.store.database import Database
from faxgw.tasks.deferring import defer
from faxgw.tasks.retrying import AGAIN, ByTable
from faxgw.tasks.worker import Pace, make_app, work
from tests.faxgw.databases import DatabaseServer
from tests.faxgw.tasks import killed

FAST = Pace(poll=0.1, heartbeat=0.2, silence=1.0, sweep=0.1, pause=0.1, grace=0.2)
LIMIT = 15.0


@dataclass
class Notes:
    """What the task ``test:note`` was given, and what it is to do then."""

    taken: list[str] = field(default_factory=list)
    then: Callable[[], Awaitable[None]] | None = None

    async def are(self, *wanted: str) -> None:
        await eventually(lambda: self.taken == list(wanted))


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 (what is waited for happens in the database)
            await asyncio.sleep(0.02)


def app_of(database: Database, patience: float) -> App:
    tasks = Blueprint()

    @tasks.task(name="fail", retry=ByTable(waits=(0, 0)), pass_context=True)
    async def fail(context: JobContext, what: str) -> None:
        context.additional_context["notes"].taken.append(what)
        raise ValueError("as asked")

    @tasks.task(name="note", retry=AGAIN, pass_context=True)
    async def note(context: JobContext, what: str) -> None:
        notes: Notes = context.additional_context["notes"]
        notes.taken.append(what)
        if notes.then is not None:
            await notes.then()

    return make_app(database.urls.dispatcher, {"test": tasks}, patience=patience)


@asynccontextmanager
async def working(
    database: Database, notes: Notes, *, silence: float = FAST.silence, patience: float = 5.0
) -> AsyncGenerator[asyncio.Task[None]]:
    pace = replace(FAST, silence=silence)
    app = app_of(database, patience)
    task = asyncio.create_task(work(app, context={"notes": notes}, concurrency=4, pace=pace))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def jobs(database: Database) -> list[str]:
    async with database.dispatcher() as connection:
        return list((await connection.scalars(text("SELECT status::text FROM procrastinate_jobs ORDER BY id"))).all())


async def until(database: Database, *wanted: str) -> None:
    async with asyncio.timeout(LIMIT):
        while await jobs(database) != list(wanted):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def a_worker(database: Database) -> None:
    async with asyncio.timeout(LIMIT):
        while not await workers(database):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_job_is_there_exactly_if_its_transaction_is(database: Database, tenant: UUID) -> None:
    class Undone(Exception): ...

    with suppress(Undone):
        async with database.tenant(tenant) as connection:
            await defer(connection, "test:note", what="undone")
            raise Undone
    assert await jobs(database) == []
    async with database.tenant(tenant) as connection:
        await defer(connection, "test:note", what="done")
        assert await jobs(database) == []
    assert await jobs(database) == ["todo"]


async def test_a_job_is_run_once_and_leaves_nothing(database: Database, tenant: UUID) -> None:
    notes = Notes()
    async with working(database, notes), working(database, notes):
        for number in range(20):
            async with database.tenant(tenant) as connection:
                await defer(connection, "test:note", what=str(number))
        await eventually(lambda: len(notes.taken) == 20)
        await until(database)
    assert sorted(notes.taken, key=int) == [str(number) for number in range(20)]


async def test_the_role_that_serves_requests_sees_no_job(database: Database, tenant: UUID) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with database.tenant(tenant) as connection:
            await connection.execute(text("SELECT * FROM procrastinate_jobs"))


@pytest.mark.parametrize("pruned", [False, True], ids=["row-of-the-dead-there", "row-of-the-dead-pruned"])
async def test_a_job_whose_worker_was_killed_is_run_by_the_next_of_the_same_name(
    database: Database, tenant: UUID, pruned: bool
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", killed.__name__, database.urls.dispatcher, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with database.tenant(tenant) as connection:
            await defer(connection, "test:note", what="held")
        assert process.stdout is not None
        async with asyncio.timeout(LIMIT):
            assert await process.stdout.readline() == b"taken\n"
        assert await jobs(database) == ["doing"]
    finally:
        process.kill()
        await process.wait()
    if pruned:
        async with database.dispatcher() as connection:
            await connection.execute(text("DELETE FROM procrastinate_workers"))
    notes = Notes()
    async with working(database, notes):
        await notes.are("held")
        await until(database)


async def test_a_living_worker_is_not_robbed(database: Database, tenant: UUID) -> None:
    notes, other, end = Notes(), Notes(), asyncio.Event()

    async def hold() -> None:
        await end.wait()

    notes.then = hold
    async with working(database, notes, silence=2.0):
        async with database.tenant(tenant) as connection:
            await defer(connection, "test:note", what="held")
        await notes.are("held")
        async with working(database, other, silence=2.0):
            await asyncio.sleep(2.5)  # nothing is to happen in this time
            end.set()
            await until(database)
    assert (notes.taken, other.taken) == (["held"], [])


async def test_a_job_that_its_living_worker_has_never_heard_of_is_run(database: Database, tenant: UUID) -> None:
    notes = Notes()
    async with working(database, notes):
        await a_worker(database)
        async with database.dispatcher() as connection:  # the answer to its claim was lost with a connection
            await defer(connection, "test:note", what="lost")
            await connection.execute(
                text(
                    "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM procrastinate_workers)"
                )
            )
        await notes.are("lost")
        await until(database)


async def test_a_job_that_fails_runs_again_by_its_table_and_is_kept_when_it_has_failed_for_good(
    database: Database, tenant: UUID
) -> None:
    notes = Notes()
    async with working(database, notes):
        async with database.tenant(tenant) as connection:
            await defer(connection, "test:fail", what="again")
        await until(database, "failed")
    assert notes.taken == ["again"] * 3


async def test_a_worker_that_stops_gives_its_job_back_at_once(database: Database, tenant: UUID) -> None:
    notes = Notes()
    notes.then = asyncio.Event().wait  # type: ignore[assignment]
    async with working(database, notes):
        async with database.tenant(tenant) as connection:
            await defer(connection, "test:note", what="held")
        await notes.are("held")
        began = time.monotonic()
    assert time.monotonic() - began < 2.0
    assert await jobs(database) == ["todo"]
    assert await workers(database) == 0
    async with database.dispatcher() as connection:
        assert await connection.scalar(text("SELECT scheduled_at <= now() FROM procrastinate_jobs"))


@pytest.mark.parametrize(("patience", "runs"), [(10.0, 1), (0.2, 2)], ids=["shorter-than-patience", "longer"])
async def test_a_worker_heals_when_the_database_comes_back_and_ends_what_it_had_begun(
    database: Database, tenant: UUID, database_server: DatabaseServer, patience: float, runs: int
) -> None:
    notes, goes_on = Notes(), asyncio.Event()
    notes.then = goes_on.wait  # type: ignore[assignment]
    async with working(database, notes, silence=1000.0, patience=patience) as worker:
        async with database.tenant(tenant) as connection:
            await defer(connection, "test:note", what="held")
        await notes.are("held")
        with away(database_server, database):
            goes_on.set()
            await asyncio.sleep(1.5)  # an outage has a length
            assert not worker.done()
        await notes.are(*["held"] * runs)
        await until(database)
        async with database.tenant(tenant) as connection:
            await defer(connection, "test:note", what="next")
        await notes.are(*["held"] * runs, "next")


class KeepsToItself(PsycopgConnector):
    """A connector that swallows a cancellation while it opens, as waiting in a library may."""

    opened: asyncio.Event

    async def open_async(self, pool: Any = None) -> None:
        await super().open_async(pool)
        self.opened.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


async def test_a_worker_stops_though_a_library_keeps_the_cancellation_to_itself(database: Database) -> None:
    connector = KeepsToItself(conninfo=database.urls.dispatcher)
    connector.opened = asyncio.Event()
    task = asyncio.create_task(work(App(connector=connector), context={}, concurrency=1, pace=FAST))
    async with asyncio.timeout(LIMIT):
        await connector.opened.wait()
    task.cancel()
    await asyncio.wait([task], timeout=LIMIT)
    assert task.cancelled()


async def test_a_worker_stops_in_time_while_the_database_is_away(
    database: Database, database_server: DatabaseServer
) -> None:
    async with working(database, Notes()) as worker:
        await a_worker(database)
        with away(database_server, database):
            await asyncio.sleep(0.3)
            began = time.monotonic()
            worker.cancel()
            await asyncio.wait([worker])
            assert time.monotonic() - began < 2.2


@contextmanager
def away(server: DatabaseServer, database: Database) -> Generator[None]:
    """Let the database be gone for everybody, and come back."""
    name = make_url(database.urls.dispatcher).database or ""
    with server.administrator() as administrator:
        administrator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        administrator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            yield
        finally:
            administrator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())


async def workers(database: Database) -> int:
    async with database.dispatcher() as connection:
        return int((await connection.scalar(text("SELECT count(*) FROM procrastinate_workers"))) or 0)
