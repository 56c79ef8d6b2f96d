"""Administrators are told of an advisory once: an event of every tenant, for its webhooks too, and a row of its log.

Those who have asked for such notices are told by mail; of a new version, too, which is a row of the log besides.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import cast, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw import __version__
from faxgw.advisories.board import checked
from faxgw.advisories.feed import Advisory, Release
from faxgw.advisories.state import State
from faxgw.audit import record
from faxgw.faxes.changes import tell
from faxgw.gateway import Gateway
from faxgw.model import EventType
from faxgw.notices.telling import Role, notify
from faxgw.store.database import DatabaseUnavailable
from faxgw.store.tables import audit_rows, audit_waiting, events, tenants

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
    if state.release:
        await _tell_all_of_release(gateway, state.release, version)
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
    advisories = [advisory.as_json() | {"affected": None}]
    await _notify(connection, tenant_id, f"advisory {advisory.id} {version}", version, advisories=advisories)


async def _tell_all_of_release(gateway: Gateway, release: Release, version: str) -> None:
    async with gateway.database.dispatcher() as connection:
        same = (tenants.c.id == audit_rows.c.tenant_id, audit_rows.c.object_id == release.version)
        told = select(audit_rows.c.seq).where(*same, audit_rows.c.action == "release.found")
        soon = select(audit_waiting.c.id).where(
            tenants.c.id == audit_waiting.c.tenant_id,
            cast(audit_waiting.c.entry, JSONB)["action"].astext == "release.found",
            cast(audit_waiting.c.entry, JSONB)["object_id"].astext == release.version,
        )
        rows = await connection.scalars(select(tenants.c.id).where(~told.exists(), ~soon.exists()))
        for tenant_id in rows.all():
            await record(
                connection,
                tenant_id=tenant_id,
                actor="service",
                action="release.found",
                object="release",
                object_id=release.version,
                data={"version": version},
            )
            key = f"release {release.version}"
            await _notify(connection, tenant_id, key, version, release=release.version, url=release.url)


async def _notify(connection: AsyncConnection, tenant_id: UUID, key: str, version: str, **said: Any) -> None:
    data = {"version": version, "release": "", "advisories": [], **said}
    await notify(connection, tenant_id, kind="update", key=key, to=Role.ADMINS, data=data)
