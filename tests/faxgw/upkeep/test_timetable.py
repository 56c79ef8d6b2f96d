"""The timetable, run by real workers on one database."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from uuid import UUID

import pytest
from procrastinate.exceptions import AlreadyEnqueued
from sqlalchemy import text

from faxgw.gateway import Gateway
from faxgw.store.database import Database
from faxgw.tasks.worker import Pace, make_app, work
from faxgw.upkeep.timetable import TIMETABLE, Work, tasks


def test_every_task_comes_again_within_a_day() -> None:
    planned = make_app("", {"upkeep": tasks()}).periodic_registry.periodic_tasks
    assert {name for name, _ in planned} == {f"upkeep:{name}" for name in TIMETABLE}
    for each in planned.values():
        first = each.croniter.get_next(ret_type=float)
        assert 0 < each.croniter.get_next(ret_type=float) - first <= 86_400


async def test_two_nodes_run_each_task_once_for_each_time(database: Database, tenant: UUID) -> None:
    ran: Counter[str] = Counter()

    def note(name: str) -> None:
        ran[name] += 1

    nodes = [asyncio.create_task(node(database, note)) for _ in range(2)]
    async with asyncio.timeout(10):
        while set(ran) != set(TIMETABLE):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        while await jobs(database):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    for each in nodes:
        each.cancel()
        with suppress(asyncio.CancelledError):
            await each
    assert set(ran.values()) == {1}


async def test_a_task_waits_until_the_one_before_it_has_ended(database: Database, tenant: UUID) -> None:
    begun, end = 0, asyncio.Event()

    async def hold(_: Gateway, __: datetime) -> None:
        nonlocal begun
        begun += 1
        await end.wait()

    app = make_app(database.urls.dispatcher, {"upkeep": tasks(dict.fromkeys(TIMETABLE, hold))})
    runs = asyncio.create_task(work(app, context={"gateway": None}, concurrency=20, pace=Pace(poll=0.1)))
    async with asyncio.timeout(10):
        while begun < len(TIMETABLE):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await app.configure_task("upkeep:uploads").defer_async(timestamp=0)
        with pytest.raises(AlreadyEnqueued):  # one that runs and one that waits are enough
            await app.configure_task("upkeep:uploads").defer_async(timestamp=0)
        await asyncio.sleep(0.3)  # nothing is to happen in this time
        assert begun == len(TIMETABLE)
        end.set()
        while await jobs(database):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert begun == len(TIMETABLE) + 1
    runs.cancel()
    with suppress(asyncio.CancelledError):
        await runs


async def node(database: Database, note: Callable[[str], None]) -> None:
    done = {name: _noting(name, note) for name in TIMETABLE}
    app = make_app(database.urls.dispatcher, {"upkeep": tasks(done)})
    await work(app, context={"gateway": None}, concurrency=2, pace=Pace())


def _noting(name: str, note: Callable[[str], None]) -> Work:
    async def noting(_: Gateway, __: datetime) -> None:
        note(name)

    return noting


async def jobs(database: Database) -> int:
    async with database.dispatcher() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM procrastinate_jobs")) or 0)
