"""The links to a fax that were sent out, and how to take one back."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy import RowMapping, select
from starlette.responses import Response

from faxgw.api.answers import nothing, ok
from faxgw.api.call import Caller
from faxgw.api.fax_shapes import LinksShape
from faxgw.api.guard import GuardedRoute
from faxgw.api.resources.auditing import note
from faxgw.api.resources.editing import one
from faxgw.api.resources.rows import fax_with, visible_fax
from faxgw.links.ending import end_links, state_of
from faxgw.store.tables import faxes, links

router = APIRouter(prefix="/v1/faxes", route_class=GuardedRoute, tags=["content"])

_SAME = ("id", "most", "opened", "created_at", "expires_at", "opened_at", "revoked_at")


@router.get("/{fax_id:uuid}/links", response_model=LinksShape)
async def list_links(call: Caller, fax_id: UUID) -> Response:
    """List the links by which a fax is, or was, opened without signing in."""
    now = datetime.now(UTC)
    async with call.transaction() as connection:
        await visible_fax(connection, call, fax_id, faxes.c.id)
        found = select(links).where(links.c.fax_id == fax_id).order_by(links.c.id.desc())
        rows = (await connection.execute(found)).mappings().all()
    return ok({"items": [_shape(row, now) for row in rows]})


@router.delete("/{fax_id:uuid}/links/{link_id:uuid}", status_code=204, response_class=Response)
async def revoke_link(call: Caller, fax_id: UUID, link_id: UUID) -> Response:
    """Take a link back: from now on it opens nothing. What was read by it, was read."""
    async with call.transaction() as connection:
        await fax_with(connection, call, fax_id, "read")
        this = (links.c.id == link_id) & (links.c.fax_id == fax_id)
        await one(connection, select(links.c.id).where(this), "link.not_found")
        if await end_links(connection, this, now=datetime.now(UTC)):
            await note(connection, call, "link.revoked", link_id, fax=fax_id)
    return nothing()


def _shape(row: RowMapping, now: datetime) -> dict[str, Any]:
    return {**{name: row[name] for name in _SAME}, "parcel": row["parcel_id"], "state": state_of(row, now=now)}
