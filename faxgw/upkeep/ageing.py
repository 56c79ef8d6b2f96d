"""Rows that are kept for a time and no longer."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.store.database import Database
from faxgw.store.tables import counters, events, faxes, idempotency

ANSWERS = timedelta(hours=24)
"""Answers that are given again to a repeated request."""

COUNTERS = timedelta(days=40)
"""Counts for quotas, which look back a month at the most."""

FAILED_JOBS_HOURS = 7 * 24
"""Jobs that have failed for good, for the operator to look at."""

BATCH = 5000


async def delete_old_answers(database: Database, *, now: datetime) -> int:
    """Forget idempotency keys and their answers; return how many."""
    return await _delete(database, idempotency, idempotency.c.created_at < now - ANSWERS)


async def delete_old_counters(database: Database, *, now: datetime) -> int:
    """Forget counts that no quota looks at; return how many."""
    return await _delete(database, counters, counters.c.hour < now - COUNTERS)


async def delete_old_events(database: Database, *, now: datetime, keep: timedelta) -> int:
    """Forget the events, and their deliveries, of faxes that have ended; return how many events."""
    ended = select(faxes.c.id).where(faxes.c.id == events.c.fax_id, faxes.c.finished_at.is_not(None)).exists()
    return await _delete(database, events, events.c.at < now - keep, or_(events.c.fax_id.is_(None), ended))


async def _delete(database: Database, table: Table, *which: ColumnElement[bool]) -> int:
    total, found = 0, BATCH
    while found == BATCH:
        async with database.dispatcher() as connection:
            found = await _batch(connection, table, which)
        total += found
    return total


async def _batch(connection: AsyncConnection, table: Table, which: Sequence[ColumnElement[bool]]) -> int:
    key: Any = tuple_(*table.primary_key.columns)
    batch = select(*table.primary_key.columns).where(*which).limit(BATCH).with_for_update(skip_locked=True, of=table)
    return (await connection.execute(delete(table).where(key.in_(batch)))).rowcount
