"""Administrators are told of an advisory once: an event of every tenant, for its webhooks too, and a row of its log."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw import __version__
from faxgw.advisories.board import checked
from faxgw.advisories.feed import Advisory
from faxgw.advisories.state import State
from faxgw.audit import record
from faxgw.faxes.changes import tell
from faxgw.gateway import Gateway
from faxgw.model import EventType
from faxgw.store.database import DatabaseUnavailable
from faxgw.store.tables import events, tenants

log = structlog.get_logger(__name__)

EVERY = timedelta(days=1)
SOON = timedelta(minutes=1)
"""When the database was away."""


async def watch(gateway: Gateway) -> None:
    """Check at once, and then every day; each node for itself, as each has a version of its own."""
    while True:
        try:
            await check(gateway, now=datetime.now(UTC))
            pause = EVERY
        except DatabaseUnavailable:
            pause = SOON
        await asyncio.sleep(pause.total_seconds())


async def check(gateway: Gateway, *, now: datetime, version: str = __version__) -> State:
    """Check the feed, put what it says on the board, and tell what nobody was told of before."""
    state = gateway.advisories.state = await checked(gateway.config, now=now, version=version)
    for each in state.advisories:
        log.error("this version has a known fault", advisory=each.id, severity=each.severity, fixed_in=each.fixed_in)
        await _tell_all(gateway, each, version)
    return state


async def _tell_all(gateway: Gateway, advisory: Advisory, version: str) -> None:
    async with gateway.database.dispatcher() as connection:
        told = select(events.c.id).where(
            events.c.tenant_id == tenants.c.id,
            events.c.type == EventType.ADVISORY.value,
            events.c.data["id"].astext == advisory.id,
            events.c.data["version"].astext == version,
        )
        rows = await connection.scalars(select(tenants.c.id).where(~told.exists()))
        for tenant_id in rows.all():
            await _tell(connection, tenant_id, advisory, version)


async def _tell(connection: AsyncConnection, tenant_id: UUID, advisory: Advisory, version: str) -> None:
    await tell(connection, tenant_id, None, EventType.ADVISORY, {"version": version, **advisory.as_json()})
    said = {"version": version, "severity": advisory.severity, "fixed_in": advisory.fixed_in}
    await record(
        connection,
        tenant_id=tenant_id,
        actor="service",
        action="advisory.found",
        object="advisory",
        object_id=advisory.id,
        data=said,
    )
