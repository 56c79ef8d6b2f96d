"""What is due by the rules of retention goes: in small transactions that pass over whatever somebody else holds.

Each is whole, so that one which was killed has done nothing or all of it; files that it left, upkeep finds.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.faxes.policies import tenant_of
from faxgw.gateway import Gateway
from faxgw.retention.holding import is_held, no_new_hold
from faxgw.retention.rules import Due, box_rules, dues
from faxgw.retention.shredding import Shredded, Why, remove, shred
from faxgw.store.database import Database
from faxgw.store.rows import among
from faxgw.store.tables import faxes, tenants

BATCH = 100
"""Faxes in one transaction: about a tenth of a second."""
LOOKED_AT = 5_000
"""Ids of faxes that are looked up at once."""
REMOVED_AT_ONCE = 4096
"""Files that are removed at once, by several threads."""


async def purge(gateway: Gateway, *, now: datetime) -> int:
    """Shred all that is due in every tenant; return how many faxes."""
    database = gateway.database
    async with database.dispatcher() as connection:
        ids = (await connection.execute(select(tenants.c.id).order_by(tenants.c.id))).scalars().all()
    return sum([await purge_tenant(gateway, each, now=now) for each in ids])


async def purge_tenant(gateway: Gateway, tenant_id: UUID, *, now: datetime) -> int:
    """Shred all that is due in one tenant; return how many faxes."""
    return sum([await _purge(gateway, tenant_id, each, now) for each in await _dues(gateway.database, tenant_id, now)])


async def _dues(database: Database, tenant_id: UUID, now: datetime) -> list[Due]:
    async with database.dispatcher() as connection:
        policy = (await tenant_of(connection, tenant_id)).policy.retention
        return dues(await box_rules(connection, tenant_id, policy), policy, now=now)


async def _purge(gateway: Gateway, tenant_id: UUID, due: Due, now: datetime) -> int:
    total, found, after = 0, LOOKED_AT, None
    gone: list[UUID] = []
    while found == LOOKED_AT:
        async with gateway.database.dispatcher() as connection:
            ids = await _found(connection, tenant_id, due, after, now)
        for first in range(0, len(ids), BATCH):
            done = await _batch(gateway, tenant_id, ids[first : first + BATCH], due, now)
            total += len(done.certificates)
            gone += done.objects
            if len(gone) >= REMOVED_AT_ONCE:
                await remove(gateway, gone)
                gone = []
        found, after = len(ids), ids[-1] if ids else None
    await remove(gateway, gone)
    return total


async def _found(
    connection: AsyncConnection, tenant_id: UUID, due: Due, after: UUID | None, now: datetime
) -> list[UUID]:
    wanted = select(faxes.c.id).where(faxes.c.tenant_id == tenant_id, due.condition(now), ~is_held())
    if after is not None:
        wanted = wanted.where(faxes.c.id > after)
    return list((await connection.execute(wanted.order_by(faxes.c.id).limit(LOOKED_AT))).scalars())


async def _batch(gateway: Gateway, tenant_id: UUID, ids: Sequence[UUID], due: Due, now: datetime) -> Shredded:
    """Shred some faxes, if they are still due; those that somebody works on wait for the next time."""
    async with gateway.database.dispatcher() as connection:
        await no_new_hold(connection, tenant_id)
        still = select(faxes.c.id).where(among(faxes.c.id, ids), due.condition(now), ~is_held()).order_by(faxes.c.id)
        free = list((await connection.execute(still.with_for_update(skip_locked=True))).scalars())
        why = Why(due.code, due.rule, record=due.record)
        return await shred(connection, gateway, free, why=why, by="service", now=now)
