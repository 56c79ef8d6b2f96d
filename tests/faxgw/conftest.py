"""A real database for every test that asks: one private PostgreSQL a session, a fresh database a test (10 ms)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import pytest
import pytest_asyncio

from faxgw.store.database import Database
from faxgw.store.migrating import migrate
from faxgw.store.server import PrivateServer
from tests.faxgw.databases import SEALS, TEMPLATE, DatabaseServer, add_tenant, scratch


@pytest.fixture(scope="session")
def database_server() -> Iterator[DatabaseServer]:
    """Return the private PostgreSQL of this session (with xdist: of this worker)."""
    with scratch() as folder, asyncio.Runner() as runner:
        server = PrivateServer(folder / "postgres")
        try:
            runner.run(server.start())
            found = DatabaseServer(server)
            found.create("template0", name=TEMPLATE)
            runner.run(migrate(found.urls(TEMPLATE).owner, None))
            yield found
        finally:
            runner.run(server.stop())


@pytest_asyncio.fixture
async def database(database_server: DatabaseServer) -> AsyncIterator[Database]:
    """Return a fresh, migrated database; its URLs are ``database.urls``."""
    name = database_server.create()
    found = Database(database_server.urls(name), seals=SEALS)
    yield found
    await found.close()
    database_server.drop(name)


@pytest_asyncio.fixture
async def tenant(database: Database) -> UUID:
    """Return a tenant, named ``tenant``, in the database of this test."""
    return await add_tenant(database, "tenant")
