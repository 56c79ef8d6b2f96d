"""The copies of a fax that left the archive, and when the last of it is gone."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw import copies
from faxgw.api.answers import ok
from faxgw.api.call import Caller
from faxgw.api.guard import GuardedRoute
from faxgw.api.resources.rows import visible_fax
from faxgw.api.retention_shapes import CopiesShape
from faxgw.faxes.policies import tenant_of
from faxgw.retention.holding import is_held
from faxgw.rules.retention import due_at, effective_erasure_date
from faxgw.store.tables import boxes, faxes

router = APIRouter(prefix="/v1/faxes", route_class=GuardedRoute, tags=["retention"])

_SAME = ("id", "kind", "location", "times", "created_at", "last_at", "expires_at", "deleted_at")


@router.get("/{fax_id:uuid}/copies", response_model=CopiesShape)
async def list_copies(call: Caller, fax_id: UUID) -> Response:
    """List every copy of a fax that left the archive, and say when the last of it is gone."""
    now = datetime.now(UTC)
    async with call.transaction() as connection:
        fax = await visible_fax(
            connection,
            call,
            fax_id,
            *(faxes.c.created_at, faxes.c.erase_at, faxes.c.shredded_at, faxes.c.box_id, is_held().label("held")),
        )
        rows = await copies.of_fax(connection, fax_id)
        due = fax["shredded_at"] or await _due(connection, call.actor.tenant_id, fax)
    ends = None if fax["held"] else due
    effective = effective_erasure_date(ends, [copies.as_copy(row) for row in rows])
    items = [_shape(row, now) for row in rows]
    return ok({"items": items, "due_at": due, "held": fax["held"], "effective_erasure_date": effective})


async def _due(connection: AsyncConnection, tenant_id: UUID, fax: RowMapping) -> datetime | None:
    policy = (await tenant_of(connection, tenant_id)).policy.retention
    own = select(boxes.c.data_class, boxes.c.retention_days).where(boxes.c.id == fax["box_id"])
    box = (await connection.execute(own)).one()
    return due_at(fax["created_at"], days=policy.days_for(box.data_class, box.retention_days), own=fax["erase_at"])


def _shape(row: RowMapping, now: datetime) -> dict[str, Any]:
    fate = copies.as_copy(row).fate(now).value
    return {**{name: row[name] for name in _SAME}, "sha256": row["sha256"].hex(), "fate": fate}
