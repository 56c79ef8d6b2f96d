"""Requests whose time is up: ended, as those whom it concerns are told, and forgotten when they have long been over."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.audit import record
from faxgw.escrow.requests import EXPIRED, PENDING, end_request
from faxgw.escrow.telling import tell_concerned
from faxgw.gateway import Gateway
from faxgw.model import EventType
from faxgw.store.tables import escrow_requests, grants

KEPT = timedelta(days=90)
"""How long a request that is over, with its reason, can be read; the audit log tells of it afterwards."""


async def end_requests(gateway: Gateway, *, now: datetime) -> int:
    """End the requests that nobody has opened in time, and return how many; delete those that have long been over."""
    async with gateway.database.dispatcher() as connection:
        ended = await end_overdue(connection, now=now)
        used = exists(select(grants.c.id).where(grants.c.request_id == escrow_requests.c.id))
        await connection.execute(delete(escrow_requests).where(escrow_requests.c.ended_at < now - KEPT, ~used))
    return ended


async def end_overdue(connection: AsyncConnection, *, now: datetime, tenant_id: UUID | None = None) -> int:
    """End the requests that nobody has opened in time, of one tenant or of all, and return how many."""
    due = (escrow_requests.c.state == PENDING) & (escrow_requests.c.expires_at <= now)
    if tenant_id is not None:
        due &= escrow_requests.c.tenant_id == tenant_id
    found = select(escrow_requests).where(due).order_by(escrow_requests.c.id).with_for_update(skip_locked=True)
    rows = (await connection.execute(found)).mappings().all()
    for row in rows:
        ended = await end_request(connection, row, EXPIRED, now=now)
        await record(
            connection,
            tenant_id=ended["tenant_id"],
            actor="service",
            action="escrow.expired",
            object="escrow",
            object_id=ended["id"],
            data={"box": str(ended["box_id"]), "requested_by": str(ended["user_id"])},
            now=now,
        )
        await tell_concerned(connection, ended, EventType.ESCROW_ENDED, by=None)
    return len(rows)
