"""Databases to test on: what the fixtures ``database_server`` and ``database`` of ``conftest.py`` are made of."""

import asyncio
import os
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory
from typing import TypeVar
from uuid import UUID

import psycopg
from sqlalchemy import insert

from faxgw.ids import new_id
from faxgw.keys.values import ValueSeals
from faxgw.store.cluster import read_passwords
from faxgw.store.database import Database
from faxgw.store.roles import ADMINISTRATOR, Urls, database_rights
from faxgw.store.server import PrivateServer
from faxgw.store.tables import tenants

TEMPLATE = "migrated"
SEALS = ValueSeals(bytes(32))
"""For the fixture ``database``; a gateway has its own."""
T = TypeVar("T")
MEMORY = Path("/dev/shm")
ROOM = 300 << 20
"""Octets that one session with its databases may need."""


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a folder that is closed to other users; in memory, where there is room: a thousand files take seconds."""
    roomy = MEMORY.is_dir() and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC and disk_usage(MEMORY).free > ROOM
    with TemporaryDirectory(dir=MEMORY if roomy else None, prefix="faxgw-test-") as folder:
        yield Path(folder)


def run(work: Coroutine[object, object, T]) -> T:
    """Run something that is over before any test begins, in a loop of its own."""
    with asyncio.Runner() as runner:
        return runner.run(work)


class DatabaseServer:
    """A running PostgreSQL in which tests make databases of their own."""

    def __init__(self, server: PrivateServer) -> None:
        self.server = server
        self._number = count(1)

    def urls(self, database: str) -> Urls:
        """Return how the roles reach one of its databases."""
        each = (self.server.urls.owner, self.server.urls.app, self.server.urls.dispatcher)
        return Urls(*(url.replace("@/faxgw?", f"@/{database}?") for url in each))

    def administrator(self, database: str = "template1") -> psycopg.Connection:
        """Connect as the superuser, outside of any transaction."""
        password = read_passwords(self.server.folder).administrator
        url = self.urls(database).owner
        return psycopg.connect(url, user=ADMINISTRATOR, password=password, autocommit=True)

    def create(self, template: str = TEMPLATE, *, name: str = "") -> str:
        """Make a database: a migrated one, or an empty one from ``template0``; return its name."""
        name = name or f"test_{next(self._number)}"
        with self.administrator() as connection:
            making = f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"
            for statement in [making, *database_rights(name)]:
                connection.execute(statement.encode())
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected."""
        with self.administrator() as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


async def add_tenant(database: Database, name: str) -> UUID:
    """Put another tenant into a database."""
    tenant_id = new_id()
    async with database.dispatcher() as connection:
        await connection.execute(insert(tenants).values(id=tenant_id, name=name))
    return tenant_id
