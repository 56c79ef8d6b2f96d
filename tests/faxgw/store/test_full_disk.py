"""The private PostgreSQL on a disk of 64 MiB that fills up."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from faxgw.errors import RequestError
from faxgw.ids import new_id
from faxgw.store.database import Database, DatabaseUnavailable, driver
from faxgw.store.migrating import migrate
from faxgw.store.server import PrivateServer
from tests.faxgw.databases import SEALS


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """Return a folder on a file system of 64 MiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounts a file system, which takes root with CAP_SYS_ADMIN")
    yield place
    subprocess.run(["umount", place], check=True)


async def test_a_full_disk_costs_nothing_that_was_committed_and_heals_when_there_is_room(small_disk: Path) -> None:
    async with PrivateServer(small_disk / "postgres") as server:
        await migrate(server.urls.owner, None)
        database = Database(server.urls, seals=SEALS)
        with psycopg.connect(server.urls.owner, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (number int, ballast text)")
            connection.execute("GRANT ALL ON kept TO PUBLIC")
        committed = await _filled(database, small_disk / "junk")
        with pytest.raises(DatabaseUnavailable):
            for number in range(100_000):
                await _insert(database, -number)
        (small_disk / "junk").unlink()
        assert await _inserted_again(database)
        async with database.dispatcher() as transaction:
            rows = await (await driver(transaction)).execute("SELECT number FROM kept WHERE number > 0 ORDER BY number")
            assert [number for (number,) in await rows.fetchall()] == committed
        assert server.fault is None
        await database.close()


async def test_no_database_is_half_made_on_a_disk_that_is_too_small(small_disk: Path) -> None:
    junk = small_disk / "junk"
    junk.write_bytes(bytes(30 << 20))
    with pytest.raises(RequestError, match="MB of free space"):
        await PrivateServer(small_disk / "postgres").start()
    junk.unlink()
    async with PrivateServer(small_disk / "postgres") as server:
        assert server.fault is None


async def _filled(database: Database, junk: Path) -> list[int]:
    """Commit rows while the disk fills; return those whose commit was confirmed."""
    committed: list[int] = []
    with junk.open("wb", buffering=0) as file:
        for number in range(1, 100_000):
            try:
                file.write(bytes(1 << 20))
            except OSError:
                return committed
            await _insert(database, number)
            committed.append(number)
    raise AssertionError("the disk does not fill up")


async def _insert(database: Database, number: int) -> None:
    async with database.tenant(new_id()) as connection:
        await (await driver(connection)).execute("INSERT INTO kept VALUES (%s, repeat('x', 1500))", (number,))


async def _inserted_again(database: Database) -> bool:
    limit = time.monotonic() + 20
    while time.monotonic() < limit:
        try:
            await _insert(database, 0)
            return True
        except DatabaseUnavailable:
            await asyncio.sleep(0.05)
    return False
