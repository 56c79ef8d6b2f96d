"""The walls between tenants, as the database itself holds them: against statements that forgot every filter."""

from collections.abc import AsyncIterator
from uuid import UUID

import psycopg
import pytest
import pytest_asyncio
from psycopg import errors
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import ProgrammingError

from faxgw.ids import new_id
from faxgw.store.database import Database
from faxgw.store.roles import ADMINISTRATOR, APP, DISPATCHER, OWNER
from faxgw.store.tables import metadata, nodes, tenants, users
from tests.faxgw.databases import SEALS, DatabaseServer, add_tenant


def _user(tenant_id: UUID, email: str = "a@b.c") -> dict[str, object]:
    return {"id": new_id(), "tenant_id": tenant_id, "email": email, "role": "owner", "key_id": "k", "public_key": b""}


@pytest_asyncio.fixture
async def other(database: Database, tenant: UUID) -> UUID:
    """Return a second tenant; each of the two has one user."""
    other = await add_tenant(database, "other")
    async with database.dispatcher() as connection:
        await connection.execute(insert(users), [_user(tenant, "mine"), _user(other, "theirs")])
    return other


@pytest_asyncio.fixture
async def app(database: Database) -> AsyncIterator[psycopg.AsyncConnection]:
    """Return a connection of the app role without anything of the gateway around it."""
    connection = await psycopg.AsyncConnection.connect(database.urls.app, autocommit=True)
    yield connection
    await connection.close()


async def test_a_tenant_sees_its_own_rows_only_without_any_filter(
    database: Database, tenant: UUID, other: UUID
) -> None:
    async with database.tenant(tenant) as connection:
        assert (await connection.scalars(select(users.c.email))).all() == ["mine"]
        assert (await connection.scalars(select(tenants.c.name))).all() == ["tenant"]
    async with database.dispatcher() as connection:
        assert sorted((await connection.scalars(select(users.c.email))).all()) == ["mine", "theirs"]


async def test_a_tenant_changes_and_deletes_its_own_rows_only(database: Database, tenant: UUID, other: UUID) -> None:
    async with database.tenant(tenant) as connection:
        assert (await connection.execute(update(users).values(key_id="new"))).rowcount == 1
        assert (await connection.execute(delete(users))).rowcount == 1
    async with database.dispatcher() as connection:
        assert (await connection.scalars(select(users.c.key_id))).all() == ["k"]


async def test_a_tenant_writes_nothing_into_another(database: Database, tenant: UUID, other: UUID) -> None:
    for statement in (insert(users).values(_user(other, "planted")), update(users).values(tenant_id=other)):
        with pytest.raises(ProgrammingError, match="row-level security"):
            async with database.tenant(tenant) as connection:
                await connection.execute(statement)


async def test_without_a_tenant_the_app_sees_nothing(
    database: Database, other: UUID, app: psycopg.AsyncConnection
) -> None:
    for preparation in ("SELECT 1", "SELECT set_config('faxgw.tenant', '', false)"):
        await app.execute(preparation.encode())
        for table in metadata.sorted_tables:
            if "tenant_id" in table.columns or table is tenants:
                found = await (await app.execute(f'SELECT 1 FROM "{table.name}"'.encode())).fetchall()
                assert found == [], table.name


async def test_the_tenant_of_one_transaction_is_gone_in_the_next(database: Database, tenant: UUID, other: UUID) -> None:
    database = Database(database.urls, seals=SEALS, pool=1)
    async with database.tenant(tenant) as connection:
        first = await connection.scalar(select(func.pg_backend_pid()))
    async with database.tenant(other) as connection:
        assert await connection.scalar(select(func.pg_backend_pid())) == first
        assert (await connection.scalars(select(users.c.email))).all() == ["theirs"]
    await database.close()


@pytest.mark.parametrize(
    "statement",
    [
        f"SET ROLE {OWNER}",
        f"SET ROLE {DISPATCHER}",
        f"SET SESSION AUTHORIZATION {ADMINISTRATOR}",
        "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE users NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY tenant ON users",
        "CREATE POLICY mine ON users USING (true)",
        f"ALTER ROLE {APP} BYPASSRLS",
        "CREATE TABLE mine (number int)",
        "CREATE TEMPORARY TABLE mine (number int)",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA mine",
        "TRUNCATE users",
        "DROP TABLE users",
        "COPY users TO PROGRAM 'cat'",
        "SELECT pg_read_file('PG_VERSION')",
        "INSERT INTO tenants (id, name) VALUES (gen_random_uuid(), 'x')",
        "DELETE FROM tenants",
        "INSERT INTO nodes (id, name) VALUES ('x', 'x')",
        "SELECT * FROM procrastinate_jobs",
        "SELECT * FROM alembic_version",
        "SELECT * FROM people",
        "SELECT * FROM person_slots",
        "SELECT * FROM sessions",
        "SELECT * FROM sign_in_failures",
    ],
)
async def test_the_app_may_not(database: Database, app: psycopg.AsyncConnection, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        await app.execute(statement.encode())


async def test_row_security_turned_off_is_an_error_not_a_hole(other: UUID, app: psycopg.AsyncConnection) -> None:
    await app.execute("SET row_security = off")
    with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
        await app.execute("SELECT * FROM users")


async def test_the_owner_is_bound_too(database: Database, other: UUID) -> None:
    with psycopg.connect(database.urls.owner) as connection:
        assert connection.execute("SELECT 1 FROM users").fetchall() == []


async def test_the_app_reads_of_the_gateway_what_belongs_to_no_tenant(database: Database, tenant: UUID) -> None:
    async with database.dispatcher() as connection:
        await connection.execute(insert(nodes).values(id="n", name="n"))
    async with database.tenant(tenant) as connection:
        assert (await connection.scalars(select(nodes.c.name))).all() == ["n"]


async def test_every_table_with_a_tenant_has_its_wall(database: Database) -> None:
    async with database.dispatcher() as connection:
        rows = await connection.execute(
            text(
                "SELECT relname FROM pg_class JOIN pg_policy ON polrelid = pg_class.oid "
                "WHERE relrowsecurity AND relforcerowsecurity AND polcmd = '*' AND polwithcheck IS NOT NULL"
            )
        )
        walled = set(rows.scalars())
    assert walled == {table.name for table in metadata.sorted_tables if "tenant_id" in table.columns} | {"tenants"}


async def test_only_the_roles_of_the_gateway_come_into_its_database(database_server: DatabaseServer) -> None:
    with database_server.administrator() as connection:
        connection.execute("CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
    url = database_server.server.urls.app
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(url, user="stranger", password="stranger")
