"""A real database for every test that asks: one private PostgreSQL a session, a fresh database a test (10 ms)."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

from faxgw.store.database import Database
from faxgw.store.migrating import migrate
from faxgw.store.server import PrivateServer
from tests.faxgw.databases import TEMPLATE, DatabaseServer, add_tenant

MEMORY = Path("/dev/shm")
ROOM = 300 << 20
"""Octets that the session's PostgreSQL may need."""


@pytest.fixture(scope="session")
def database_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    """Return the private PostgreSQL of this session (with xdist: of this worker), in memory where there is room."""
    roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    folder = Path(tempfile.mkdtemp(dir=MEMORY if roomy else tmp_path_factory.getbasetemp(), prefix="faxgw-test-"))
    server = PrivateServer(folder)
    with asyncio.Runner() as runner:
        try:
            runner.run(server.start())
            found = DatabaseServer(server)
            found.create("template0", name=TEMPLATE)
            runner.run(migrate(found.urls(TEMPLATE).owner))
            yield found
        finally:
            runner.run(server.stop())
            shutil.rmtree(folder)


@pytest_asyncio.fixture
async def database(database_server: DatabaseServer) -> AsyncIterator[Database]:
    """Return a fresh, migrated database; its URLs are ``database.urls``."""
    name = database_server.create()
    found = Database(database_server.urls(name))
    yield found
    await found.close()
    database_server.drop(name)


@pytest_asyncio.fixture
async def tenant(database: Database) -> UUID:
    """Return a tenant, named ``tenant``, in the database of this test."""
    return await add_tenant(database, "tenant")
