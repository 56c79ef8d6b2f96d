"""Transactions and notifications: what is undone, what is told to the caller, what heals."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
import pytest_asyncio
from procrastinate import App, PsycopgConnector
from sqlalchemy import false, insert, literal, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from faxgw.errors import RequestError
from faxgw.ids import new_id
from faxgw.store.database import Database, DatabaseUnavailable, Notice, driver, notify
from faxgw.store.roles import Urls
from faxgw.store.server import PrivateServer
from faxgw.store.tables import boxes, tenants, users
from tests.faxgw.databases import SEALS

TENANT = new_id()


class Undone(Exception):
    pass


@pytest_asyncio.fixture
async def server(folder: Path) -> AsyncIterator[PrivateServer]:
    """Return a server that may be killed."""
    async with PrivateServer(folder) as server:
        yield server


@pytest_asyncio.fixture
async def mortal(server: PrivateServer) -> AsyncIterator[Database]:
    """Return a database, without tables, on the server that may be killed."""
    database = Database(server.urls, seals=SEALS, pool=3, dispatcher_pool=3)
    yield database
    await database.close()


async def test_an_exception_undoes_the_transaction(database: Database, tenant: UUID) -> None:
    with pytest.raises(Undone):
        async with database.tenant(tenant) as connection:
            await connection.execute(insert(users).values(_user(tenant)))
            raise Undone
    async with database.tenant(tenant) as connection:
        assert (await connection.scalars(select(users.c.id))).all() == []


async def test_a_statement_of_the_driver_alone_is_committed(database: Database, tenant: UUID) -> None:
    async with database.tenant(tenant) as connection:
        await (await driver(connection)).execute("UPDATE tenants SET name = 'renamed'")
    async with database.tenant(tenant) as connection:
        assert await connection.scalar(text("SELECT name FROM tenants")) == "renamed"


async def test_a_mistake_of_the_caller_stays_one(database: Database, tenant: UUID) -> None:
    with pytest.raises(IntegrityError):
        async with database.tenant(tenant) as connection:
            await connection.execute(insert(boxes).values(id=new_id(), tenant_id=tenant, owner_id=new_id(), name="x"))


async def test_a_failure_that_the_caller_overlooks_is_not_taken_for_a_commit(database: Database, tenant: UUID) -> None:
    with pytest.raises(RuntimeError, match="nothing was changed"):
        async with database.tenant(tenant) as connection:
            with suppress(DBAPIError):
                await connection.execute(text("SELECT 1 / 0"))


async def test_of_two_that_wait_for_each_other_one_is_undone_and_told_to_try_again(
    database: Database, tenant: UUID
) -> None:
    both_hold_one = asyncio.Barrier(2)

    async def lock(first: int, second: int) -> str:
        try:
            async with database.tenant(tenant) as connection:
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({first})"))
                await both_hold_one.wait()
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({second})"))
        except DatabaseUnavailable as told:
            return told.reason
        return ""

    told = await asyncio.gather(lock(1, 2), lock(2, 1))
    assert sorted(told) == ["", "deadlock detected"]


async def test_a_cancelled_transaction_leaves_a_pool_that_works(database: Database, tenant: UUID) -> None:
    database = Database(database.urls, seals=SEALS, pool=1)
    for statement in ("SELECT pg_sleep(10)", "SELECT 1"):

        async def work(statement: str = statement) -> None:
            async with database.tenant(tenant) as connection:
                await connection.execute(text(statement))
                await asyncio.sleep(10)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(work(), 0.1)
    async with database.tenant(tenant) as connection:
        assert await connection.scalar(text("SELECT name FROM tenants")) == "tenant"
    await database.close()


async def test_a_job_is_deferred_and_undone_with_the_transaction_of_a_tenant(database: Database, tenant: UUID) -> None:
    tasks = App(connector=PsycopgConnector(conninfo=database.urls.dispatcher))
    ran: list[int] = []

    @tasks.task(name="note")
    async def note(number: int) -> None:
        ran.append(number)

    async with tasks.open_async():
        with pytest.raises(Undone):
            async with database.tenant(tenant) as connection:
                await note.configure(connection=await driver(connection)).defer_async(number=1)
                raise Undone
        async with database.tenant(tenant) as connection:
            await note.configure(connection=await driver(connection)).defer_async(number=2)
        await tasks.run_worker_async(wait=False, install_signal_handlers=False)
    assert ran == [2]


async def test_connections_that_died_in_the_pool_are_replaced_unseen(mortal: Database, server: PrivateServer) -> None:
    async with mortal.tenant(TENANT), mortal.tenant(TENANT), mortal.dispatcher():
        pass  # three connections wait in the pools
    await _restarted(server)
    async with mortal.tenant(TENANT) as connection, mortal.tenant(TENANT):
        assert await connection.scalar(select(1)) == 1
    async with mortal.dispatcher() as connection:
        assert await connection.scalar(select(1)) == 1


async def test_a_look_finds_connections_that_died_in_the_pool_replaced_or_tells_that_nobody_is_there(
    mortal: Database, server: PrivateServer
) -> None:
    async with mortal.dispatcher(), mortal.dispatcher():
        pass
    await _restarted(server)
    one = select(literal(1).label("one"))
    for _ in range(3):
        assert dict(await mortal.look(one, {}) or {}) == {"one": 1}
    assert await mortal.look(one.where(false()), {}) is None
    with pytest.raises(ProgrammingError):
        await mortal.look(text("SELECT nothing"), {})
    await server.stop()
    with pytest.raises(DatabaseUnavailable):
        await mortal.look(one, {})


async def test_a_look_sees_every_tenant_and_leaves_its_connection_to_the_next(database: Database, tenant: UUID) -> None:
    wanted = select(tenants.c.id).where(tenants.c.id == tenant)
    pools = [database.look(wanted, {}) for _ in range(20)]
    assert {row["id"] for row in await asyncio.gather(*pools) if row} == {tenant}
    async with database.dispatcher() as connection:
        assert await connection.scalar(wanted) == tenant


async def test_a_break_within_a_transaction_is_told_as_unavailable(mortal: Database, server: PrivateServer) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"server closed the connection|terminating connection"):
        async with mortal.tenant(TENANT) as connection:
            await _restarted(server)
            await connection.execute(select(1))


async def test_a_stopped_server_is_told_at_once_and_back_when_it_is(mortal: Database, server: PrivateServer) -> None:
    await server.stop()
    with pytest.raises(DatabaseUnavailable):
        async with mortal.tenant(TENANT):
            raise AssertionError
    assert await mortal.fault()
    await server.start()
    async with mortal.tenant(TENANT):
        assert await mortal.fault() is None


async def test_a_frozen_server_is_told_within_the_limit_and_heals(mortal: Database, server: PrivateServer) -> None:
    async with mortal.tenant(TENANT) as connection:
        backend = await connection.scalar(text("SELECT pg_backend_pid()"))
    frozen = [int(backend or 0), int(server.pid or 0)]
    try:
        with pytest.raises(DatabaseUnavailable, match=r"0\.2 s"):
            async with asyncio.timeout(10), mortal.tenant(TENANT, within=0.2) as connection:
                for pid in frozen:
                    os.kill(pid, signal.SIGSTOP)
                began = time.monotonic()
                with suppress(DBAPIError):
                    await connection.execute(select(1))
        assert time.monotonic() < began + 1
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    async with mortal.tenant(TENANT) as connection:
        assert await connection.scalar(select(1)) == 1


async def test_a_transaction_that_takes_too_long_is_cut_and_undone(database: Database, tenant: UUID) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"0\.1 s"):
        async with asyncio.timeout(10), database.tenant(tenant, within=0.1) as connection:
            await connection.execute(insert(users).values(_user(tenant)))
            await connection.execute(text("SELECT pg_sleep(20)"))
    async with database.tenant(tenant) as connection:
        assert (await connection.scalars(select(users.c.id))).all() == []


async def test_a_listener_hears_what_is_committed_and_that_it_was_away(mortal: Database, server: PrivateServer) -> None:
    async with asyncio.timeout(20), mortal.listen("work", "events") as notices:
        assert await anext(notices) == Notice(missed=True)
        with pytest.raises(Undone):
            async with mortal.tenant(TENANT) as connection:
                await notify(connection, "work", "undone")
                raise Undone
        async with mortal.tenant(TENANT) as connection:
            await notify(connection, "work", "call")
            await notify(connection, "events", "{}")
        assert await anext(notices) == Notice("work", "call")
        assert await anext(notices) == Notice("events", "{}")
        await _restarted(server)
        assert await anext(notices) == Notice(missed=True)
        async with mortal.dispatcher() as connection:
            await notify(connection, "events", "again")
        assert await anext(notices) == Notice("events", "again")


async def test_a_url_of_the_wrong_role_is_refused(database: Database) -> None:
    urls = database.urls
    with pytest.raises(RequestError, match="faxgw_owner, where faxgw_app") as refused:
        Database(Urls(urls.owner, urls.owner, urls.dispatcher), seals=None)
    assert refused.value.code == "database.roles"


async def test_a_busy_pool_is_told_as_unavailable(database: Database, tenant: UUID) -> None:
    database = Database(database.urls, seals=SEALS, pool=1, patience=0.1)
    async with database.tenant(tenant):
        with pytest.raises(DatabaseUnavailable, match="busy"):
            async with database.tenant(tenant):
                raise AssertionError
        assert await database.fault() is None
    await database.close()


def _user(tenant_id: UUID) -> dict[str, object]:
    return {"id": new_id(), "tenant_id": tenant_id, "email": "", "role": "owner", "key_id": "k", "public_key": b""}


async def _restarted(server: PrivateServer) -> None:
    pid = server.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    limit = time.monotonic() + 20
    while server.fault or server.pid in (None, pid):
        assert time.monotonic() < limit
        await asyncio.sleep(0.01)
    with psycopg.connect(server.urls.owner):
        pass
