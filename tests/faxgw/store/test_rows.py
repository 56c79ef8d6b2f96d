"""Rows that go as arrays arrive as they are."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import Boolean, Column, Float, Integer, LargeBinary, MetaData, Table, Text, Uuid, make_url, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.types import DateTime

from faxgw.ids import new_id
from faxgw.store.database import Database
from faxgw.store.rows import Rows, among

WORDS = ("", "NULL", 'a "b"', "a\\b", '\\"', "{a,b}", " a ", "a\nb\t", "ä€😀", "'", "\\x00", "%s :a")
TABLE = Table(
    "hard",
    MetaData(),
    Column("id", Uuid),
    Column("text", Text),
    Column("octets", LargeBinary),
    Column("json", JSONB),
    Column("number", Integer),
    Column("real", Float),
    Column("is_so", Boolean),
    Column("at", DateTime(timezone=True)),
    prefixes=["TEMPORARY"],
)
ROWS = Rows(TABLE, *TABLE.c.keys())


@pytest_asyncio.fixture
async def table(database: Database) -> AsyncIterator[AsyncConnection]:
    """Return a connection on which the table is there."""
    engine = create_async_engine(make_url(database.urls.owner).set(drivername="postgresql+psycopg"))
    async with engine.connect() as connection:
        await connection.run_sync(TABLE.create)
        yield connection
    await engine.dispose()


async def there_and_back(table: AsyncConnection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    await table.execute(ROWS.inserted(), ROWS.values(rows))
    return [dict(row) for row in (await table.execute(select(TABLE))).mappings()]


def row(**values: Any) -> dict[str, Any]:
    return dict.fromkeys(TABLE.c.keys()) | values


async def test_no_word_is_changed_on_its_way(table: AsyncConnection) -> None:
    rows = [row(text=each, octets=each.encode(), json={each: [each, None, {"a": each}]}) for each in WORDS]
    assert await there_and_back(table, rows) == rows


async def test_every_kind_of_value_arrives(table: AsyncConnection) -> None:
    at = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
    rows = [
        row(),
        row(id=new_id(), octets=bytes(range(256)), number=-1, real=1 / 3, is_so=True, at=at),
        row(json=[], octets=b"", is_so=False, real=1e300, number=2**31 - 1),
    ]
    assert await there_and_back(table, rows) == rows


async def test_a_value_of_no_known_kind_is_refused(table: AsyncConnection) -> None:
    with pytest.raises(StatementError, match="complex"):
        await there_and_back(table, [row(number=1j)])


async def test_values_are_found_among_others(table: AsyncConnection) -> None:
    ids = [new_id() for _ in range(3)]
    await table.execute(ROWS.inserted(), ROWS.values(row(id=each) for each in ids))

    async def found(*wanted: UUID) -> set[UUID]:
        return set((await table.execute(select(TABLE.c.id).where(among(TABLE.c.id, wanted)))).scalars())

    assert await found(ids[0], ids[2], new_id()) == {ids[0], ids[2]}
    assert await found() == set()
