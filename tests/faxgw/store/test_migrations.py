"""The migrations: what they make, what they refuse, and that two nodes may start at once."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import IntegrityError

from faxgw.errors import RequestError
from faxgw.store.database import Database
from faxgw.store.migrating import LOCK, SCRIPTS, head, migrate, ours, refuse_old, upgrade
from faxgw.store.migrations.writing import write
from faxgw.store.roles import APP, DISPATCHER, protection
from faxgw.store.tables import metadata
from tests.faxgw.databases import SEALS, DatabaseServer

DESCRIPTION = (
    """SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull, attidentity::text,
    pg_get_expr(adbin, adrelid), col_description(attrelid, attnum)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND attnum > 0
    AND NOT attisdropped""",
    """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0""",
    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "SELECT tablename, policyname, cmd, qual, with_check FROM pg_policies",
    "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class "
    "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    "SELECT table_name, grantee, privilege_type FROM information_schema.table_privileges WHERE table_schema = 'public'",
)


@pytest_asyncio.fixture
async def empty(database_server: DatabaseServer) -> AsyncIterator[str]:
    """Return the owner's URL of a database without any table."""
    name = database_server.create("template0")
    yield database_server.urls(name).owner
    database_server.drop(name)


def test_the_last_file_is_what_alembic_takes_for_the_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    assert ScriptDirectory.from_config(config).get_heads() == [head()]


def test_a_migrated_database_is_what_the_tables_say(database: Database) -> None:
    engine = create_engine(make_url(database.urls.owner).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        opts = {"compare_type": True, "compare_server_default": True, "include_name": ours}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_a_written_migration_makes_all_that_the_tables_say(database: Database, empty: str, place: Path) -> None:
    scripts = Path(shutil.copytree(SCRIPTS, place / "migrations", ignore=shutil.ignore_patterns("0*.py")))
    written = write(empty, "The first tables", scripts)
    assert written == scripts / "versions" / "0001.py"
    upgrade(empty, scripts)
    assert _schema(empty) == _schema(database.urls.owner)
    assert write(empty, "Nothing", scripts) is None


def test_the_migrations_make_what_the_tables_say_to_the_last_condition(database: Database, empty: str) -> None:
    engine = create_engine(make_url(empty).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        metadata.create_all(connection)
        for statement in protection(metadata):
            connection.exec_driver_sql(statement)
    engine.dispose()
    assert _schema(database.urls.owner) == _schema(empty)


def _schema(url: str) -> set[tuple[str, ...]]:
    """Return columns, constraints, indexes, walls and rights of our tables as PostgreSQL itself puts them in words."""
    with psycopg.connect(url) as connection:
        rows = [row for query in DESCRIPTION for row in connection.execute(query.encode())]
    return {row for row in rows if not row[0].startswith(("procrastinate", "alembic"))}


async def test_a_node_waits_for_another_that_migrates(empty: str) -> None:
    with psycopg.connect(empty) as other_node, psycopg.connect(empty, autocommit=True) as watcher:
        other_node.execute(f"SELECT pg_advisory_xact_lock({LOCK})".encode())
        ours = [asyncio.create_task(migrate(empty, None)) for _ in range(2)]
        async with asyncio.timeout(20):
            await _until_one_waits(watcher)
        assert watcher.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'").fetchall() == []
        other_node.rollback()
        await asyncio.gather(*ours)
        assert watcher.execute("SELECT version_num FROM alembic_version").fetchall() == [(head(),)]


async def _until_one_waits(watcher: psycopg.Connection) -> None:
    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    while not watcher.execute(waiting).fetchall():  # noqa: ASYNC110  nothing tells of it
        await asyncio.sleep(0.01)


async def test_a_migration_that_fails_leaves_nothing_behind(empty: str) -> None:
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("CREATE TABLE procrastinate_jobs (in_the_way int)")
        with pytest.raises(Exception, match="procrastinate_jobs"):
            await migrate(empty, None)
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert tables == [("procrastinate_jobs",)]
        connection.execute("DROP TABLE procrastinate_jobs")
    await migrate(empty, None)


def test_a_database_in_which_a_row_names_one_of_another_tenant_is_not_taken_over(empty: str) -> None:
    upgrade(empty, to="0011")
    with psycopg.connect(empty, autocommit=True) as connection:
        for statement in _TWO_TENANTS:
            connection.execute(statement.encode())
        with pytest.raises(IntegrityError, match="numbers_tenant_id_box_id_fkey"):
            upgrade(empty)
        connection.execute("SELECT set_config('faxgw.tenant', %s, false)", (str(UUID(int=2)),))
        connection.execute("DELETE FROM numbers")
    upgrade(empty, seals=SEALS)


_FIRST, _SECOND = (f"'{UUID(int=number)}'" for number in (1, 2))
_TWO_TENANTS = (
    f"SELECT set_config('faxgw.tenant', {_FIRST}, false)",
    f"INSERT INTO tenants (id, name) VALUES ({_FIRST}, 'first')",
    "INSERT INTO users (id, tenant_id, email, role, key_id, public_key) "
    f"VALUES ({_FIRST}, {_FIRST}, '', 'owner', '', '')",
    f"INSERT INTO boxes (id, tenant_id, owner_id, name) VALUES ({_FIRST}, {_FIRST}, {_FIRST}, 'theirs')",
    f"SELECT set_config('faxgw.tenant', {_SECOND}, false)",
    f"INSERT INTO tenants (id, name) VALUES ({_SECOND}, 'second')",
    f"INSERT INTO numbers (id, tenant_id, number, box_id) VALUES ({_SECOND}, {_SECOND}, '', {_FIRST})",
)


async def test_an_up_to_date_database_costs_a_start_next_to_nothing(database: Database) -> None:
    began = time.monotonic()
    await migrate(database.urls.owner, None)
    assert time.monotonic() < began + 0.1


async def test_a_database_of_a_newer_program_is_refused(database: Database) -> None:
    with psycopg.connect(database.urls.owner) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(RequestError, match="newer than this program") as refused:
        await migrate(database.urls.owner, None)
    assert refused.value.code == "database.newer"
    assert "9999" in refused.value.reason and head() in refused.value.reason


@pytest.mark.parametrize("server_version", [140012, 90624])
def test_an_old_postgresql_is_refused(server_version: int) -> None:
    with pytest.raises(RequestError, match="needs 15 or newer") as refused:
        refuse_old(server_version)
    assert refused.value.code == "database.server"
    refuse_old(150000)


async def test_a_database_that_is_not_there_is_told_without_the_password(database_server: DatabaseServer) -> None:
    url = database_server.urls("nowhere").owner
    with pytest.raises(RequestError, match='"nowhere" does not exist') as refused:
        await migrate(url, None)
    assert refused.value.code == "database.url"
    assert str(make_url(url).password) not in refused.value.reason


@pytest.mark.parametrize(
    "spoil, restore",
    [
        (f"ALTER ROLE {APP} BYPASSRLS", f"ALTER ROLE {APP} NOBYPASSRLS"),
        (f"ALTER ROLE {APP} SUPERUSER", f"ALTER ROLE {APP} NOSUPERUSER"),
        (f"ALTER ROLE {DISPATCHER} NOBYPASSRLS", f"ALTER ROLE {DISPATCHER} BYPASSRLS"),
    ],
)
async def test_roles_that_the_walls_would_not_hold_for_are_refused(
    database: Database, database_server: DatabaseServer, spoil: str, restore: str
) -> None:
    with database_server.administrator() as administrator:
        administrator.execute(spoil.encode())
        try:
            with pytest.raises(RequestError, match="other rights than it should") as refused:
                await migrate(database.urls.owner, None)
        finally:
            administrator.execute(restore.encode())
    assert refused.value.code == "database.roles"


def test_the_tables_of_the_tasks_are_of_the_procrastinate_that_is_installed(database: Database) -> None:
    with psycopg.connect(database.urls.owner) as connection:
        row = connection.execute("SELECT obj_description('procrastinate_jobs'::regclass)").fetchone()
    assert row == (f"procrastinate {version('procrastinate')}",)
