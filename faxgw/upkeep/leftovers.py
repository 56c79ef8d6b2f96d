"""Objects that nothing names: files without a row, rows without a use. Whoever was killed half way has left them."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, exists, select

from faxgw.archive.objects import ObjectStore
from faxgw.store.database import Database
from faxgw.store.tables import attempts, documents, faxes, objects, pages

AGE = timedelta(hours=1)
"""What is younger may still be named: its upload, or its call, goes on."""

BATCH = 1000


async def delete_leftovers(database: Database, store: ObjectStore, *, now: datetime, settle: float = 60.0) -> int:
    """Delete what is in the store, or in the table of objects, and older than ``AGE``, but belongs to nothing.

    Args:
        database: with the rows.
        store: with the files.
        now: the time.
        settle: seconds between two looks at the rows: an upload that took longer than ``AGE`` is named at its end.

    Returns:
        How many objects.
    """
    await _delete_unused_rows(database, now)
    gone = 0
    async for batch in _batches(store, now):
        suspects = await _unnamed(database, batch)
        if suspects:
            await asyncio.sleep(settle)
            suspects = await _unnamed(database, suspects)
            await store.delete(suspects)
            gone += len(suspects)
    return gone


async def _delete_unused_rows(database: Database, now: datetime) -> None:
    """Delete rows that nothing refers to; their files have no row then."""
    used = (
        exists().where(documents.c.object_id == objects.c.id),
        exists().where(pages.c.object_id == objects.c.id),
        exists().where(attempts.c.trace_id == objects.c.id),
        exists().where(faxes.c.private_id == objects.c.id),
    )
    async with database.dispatcher(within=300.0) as connection:
        await connection.execute(delete(objects).where(objects.c.created_at < now - AGE, *(~each for each in used)))


async def _batches(store: ObjectStore, now: datetime) -> AsyncIterator[list[UUID]]:
    batch = []
    async for object_id in store.list():
        if _made(object_id) < now - AGE:
            batch.append(object_id)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


async def _unnamed(database: Database, ids: Iterable[UUID]) -> list[UUID]:
    wanted = set(ids)
    async with database.dispatcher() as connection:
        return sorted(wanted - set(await connection.scalars(select(objects.c.id).where(objects.c.id.in_(wanted)))))


def _made(object_id: UUID) -> datetime:
    """Return the time in an id (RFC 9562, version 7)."""
    return datetime.fromtimestamp((object_id.int >> 80) / 1000, UTC)
