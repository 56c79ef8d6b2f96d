"""Rows that are kept for a time and no longer."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Integer, Table, cast, delete, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.delivery.queue import OPEN
from faxgw.learning.policy import LearningPolicy
from faxgw.store.database import Database
from faxgw.store.tables import counters, drops, events, faxes, idempotency, machines, parcels, submissions, tenants

ANSWERS = timedelta(hours=24)
"""Answers that are given again to a repeated request."""

COUNTERS = timedelta(days=40)
"""Counts for quotas, which look back a month at the most."""

FAILED_JOBS_HOURS = 7 * 24
"""Jobs that have failed for good, for the operator to look at."""

DROPS = {"sidecar": timedelta(hours=24), "error": timedelta(days=7), "sent": timedelta(days=30)}
"""What is in devices' folders, by its kind; a document that waits goes as all uploads do."""

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


async def delete_old_parcels(database: Database, *, now: datetime, keep: timedelta) -> int:
    """Forget parcels that ended so long ago; return how many. The copies that they left stand in the ledger."""
    return await _delete(database, parcels, parcels.c.ended_at < now - keep, parcels.c.state.not_in(OPEN))


async def delete_old_drops(database: Database, *, now: datetime) -> int:
    """Forget sidecars that waited in vain, notes of what was wrong, and results; return how many."""
    each = [(drops.c.kind == kind) & (drops.c.created_at < now - keep) for kind, keep in DROPS.items()]
    return await _delete(database, drops, or_(*each))


async def forget_machines(database: Database, *, now: datetime) -> int:
    """Forget the calls with machines that teach nothing any more; return how many. What is laid down stays."""
    usual, said = LearningPolicy(), tenants.c.policy["learning"]
    days = [func.coalesce(cast(said[name].astext, Integer), getattr(usual, name)) for name in ("days", "forget_days")]
    own = select(func.greatest(*days)).where(tenants.c.id == machines.c.tenant_id)
    is_old = machines.c.seen_at < now - func.make_interval(0, 0, 0, own.scalar_subquery())
    async with database.dispatcher() as connection:
        emptied = update(machines).where(is_old, machines.c.verdicts != {}).values(seen={}, seen_at=None)
        found = (await connection.execute(emptied)).rowcount
    return found + await _delete(database, machines, is_old)


async def delete_old_submissions(database: Database, *, now: datetime) -> int:
    """Forget what devices handed in so long ago that it does not come again by itself; return how much."""
    return await _delete(database, submissions, submissions.c.expires_at <= now)


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
