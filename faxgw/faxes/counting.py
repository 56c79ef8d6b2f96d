"""Counts what is accepted, by the hour, where there is a quota: for the tenant, each API key and each device."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.faxes.policies import Tenant
from faxgw.rules.quotas import Period, Quota, Used, check, period
from faxgw.store.tables import counters


async def count(
    connection: AsyncConnection, actor: Actor, tenant: Tenant, *, pages: int, calls: int, now: datetime
) -> None:
    """Count pages and calls where there is a quota.

    Raises:
        RequestError: ``quota.*``; the transaction, and with it what was counted, is then rolled back.
    """
    quotas = tenant.policy.quotas
    scopes: list[tuple[str, Quota, str]] = [("tenant", quotas.tenant, tenant.name)]
    if actor.api_key_id:
        scopes.append((f"key:{actor.api_key_id}", quotas.key, "this API key"))
    if actor.device:
        own = Quota(calls_per_day=actor.device.faxes_per_day, pages_per_day=actor.device.pages_per_day)
        scopes.append((f"device:{actor.device.id}", own, "this device"))
    for scope, quota, whose in scopes:
        if any(limit is not None for limit in quota.model_dump().values()):
            # Counted first: the row is locked then, also the first one of an hour, and two do not both take the last.
            await _add(connection, actor.tenant_id, scope, pages=pages, calls=calls, now=now)
            used = await _used(connection, actor.tenant_id, scope, period(now))
            before = Used(
                used.pages_hour - pages, used.pages_day - pages, used.calls_hour - calls, used.calls_day - calls
            )
            check(quota, before, pages=pages, calls=calls, whose=whose)


async def _used(connection: AsyncConnection, tenant_id: UUID, scope: str, period: Period) -> Used:
    own = (counters.c.tenant_id == tenant_id) & (counters.c.scope == scope) & (counters.c.hour >= period.day)
    rows = (await connection.execute(select(counters).where(own))).all()
    recent = [row for row in rows if row.hour >= period.hour]
    return Used(
        pages_hour=sum(row.pages for row in recent),
        pages_day=sum(row.pages for row in rows),
        calls_hour=sum(row.calls for row in recent),
        calls_day=sum(row.calls for row in rows),
    )


async def _add(
    connection: AsyncConnection, tenant_id: UUID, scope: str, *, pages: int, calls: int, now: datetime
) -> None:
    hour = now.replace(minute=0, second=0, microsecond=0)
    row = upsert(counters).values(tenant_id=tenant_id, scope=scope, hour=hour, pages=pages, calls=calls)
    more = {"pages": counters.c.pages + row.excluded.pages, "calls": counters.c.calls + row.excluded.calls}
    await connection.execute(row.on_conflict_do_update(index_elements=["tenant_id", "scope", "hour"], set_=more))
