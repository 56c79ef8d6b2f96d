"""Rows that wait get their number and their place in the tree: every second, in one short transaction a tenant.

Whoever records a row takes no lock for it. One sequencer at a time works on a tenant's log, whichever node it runs on;
a row is numbered and taken off the waiting ones in the same transaction, so it is there once, however that ends.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.audit.canonical import canonical
from faxgw.audit.checkpoints import sign
from faxgw.audit.merkle import Growing, leaf_hash
from faxgw.audit.subjects import resolve
from faxgw.audit.tree import AuditAltered, growing
from faxgw.gateway import Gateway
from faxgw.keys.tokens import ServerKeys, SmallSealBroken
from faxgw.store.database import Database, DatabaseUnavailable
from faxgw.store.rows import Rows
from faxgw.store.tables import audit_rows, audit_waiting

log = structlog.get_logger(__name__)

PAUSE = 1.0
"""Seconds between looks at what waits."""
BATCH = 100
"""Rows at once: a few milliseconds of hashing, so that the loop is not held up."""
SIGN_EACH = 1000
"""So many rows at the most come between two checkpoints, however quickly they come."""


async def run_sequencer(gateway: Gateway) -> None:
    """Give numbers to what waits, for as long as the service runs."""
    while True:
        try:
            await sequence(gateway.database, gateway.server_keys, now=datetime.now(UTC))
        except DatabaseUnavailable as fault:
            log.debug("rows of audit logs wait: the database is away", reason=fault.reason)
        await asyncio.sleep(PAUSE)


async def sequence(database: Database, keys: ServerKeys, *, now: datetime) -> int:
    """Give numbers to all rows that wait and that no other node is at work on; return how many there were.

    A log whose rows or keys are damaged is told of, and holds up no other one.
    """
    async with database.dispatcher() as connection:
        tenants: Sequence[UUID] = (await connection.scalars(select(audit_waiting.c.tenant_id).distinct())).all()
    total = 0
    for tenant_id in tenants:
        try:
            total += await _number_all(database, keys, tenant_id, now)
        except (AuditAltered, SmallSealBroken, IntegrityError) as fault:
            log.error("rows of an audit log wait: it cannot be gone on with", tenant=str(tenant_id), fault=str(fault))
    return total


async def _number_all(database: Database, keys: ServerKeys, tenant_id: UUID, now: datetime) -> int:
    total, found = 0, BATCH
    while found == BATCH:
        async with database.dispatcher() as connection:
            found, size = await _number(connection, keys, tenant_id)
        if size // SIGN_EACH > (size - found) // SIGN_EACH:
            await sign(database, keys, tenant_id, now=now)
        total += found
    return total


async def _number(connection: AsyncConnection, keys: ServerKeys, tenant_id: UUID) -> tuple[int, int]:
    """Give numbers to a batch; return how many rows that was, and how many the log has then."""
    if not await is_alone(connection, tenant_id):
        return 0, 0
    mine = select(audit_waiting.c.id, audit_waiting.c.entry).where(audit_waiting.c.tenant_id == tenant_id)
    waiting = (await connection.execute(mine.order_by(audit_waiting.c.id).limit(BATCH))).all()
    if not waiting:
        return 0, 0
    tree = await growing(connection, tenant_id)
    entries = await resolve(connection, keys, tenant_id, [json.loads(row.entry) for row in waiting])
    rows = [_row(tree, tenant_id, entry) for entry in entries]
    await connection.execute(_INSERT, _ROWS.values(rows))
    await connection.execute(delete(audit_waiting).where(audit_waiting.c.id.in_([row.id for row in waiting])))
    return len(rows), tree.size


async def is_alone(connection: AsyncConnection, tenant_id: UUID) -> bool:
    """Tell whether this transaction, until its end, is the only one that gives numbers in a tenant's log."""
    lock = func.pg_try_advisory_xact_lock(func.hashtextextended(f"faxgw audit {tenant_id}", 0))
    alone: bool = (await connection.execute(select(lock))).scalar_one()
    return alone


def _row(tree: Growing, tenant_id: UUID, entry: Mapping[str, Any]) -> dict[str, object]:
    octets = canonical({**entry, "seq": tree.size})
    same = {name: entry[name] for name in ("action", "actor", "object_id")}
    seq = tree.size
    hashes = b"".join(tree.add(leaf_hash(octets)))
    return {"tenant_id": tenant_id, "seq": seq, "entry": octets.decode(), "hashes": hashes, **same}


_ROWS = Rows(audit_rows, "tenant_id", "seq", "entry", "hashes", "action", "actor", "object_id")
_INSERT = _ROWS.inserted()
