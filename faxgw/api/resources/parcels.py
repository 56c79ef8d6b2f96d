"""Parcels over HTTP: what is on its way to targets, what has failed, and what somebody sends there by hand."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import ColumnElement, Select, and_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.access import sees_all
from faxgw.api.answers import Answer, ok
from faxgw.api.call import Call, Caller
from faxgw.api.delivery_shapes import ParcelRef, ParcelShape, proof_shape
from faxgw.api.guard import GuardedRoute
from faxgw.api.paging import USUAL, Cursor, Limit, newest_first, page
from faxgw.api.resources.auditing import note
from faxgw.api.resources.editing import Asked, Row, one
from faxgw.api.resources.rows import fax_with, own_fax, visible_fax
from faxgw.api.shapes import Page
from faxgw.delivery import by_hand
from faxgw.delivery.queue import FAX
from faxgw.store.tables import faxes, parcels

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["deliveries"])

_SAME = ("id", "kind", "format", "state", "tries", "next_at", "created_at", "ended_at")
State = Annotated[
    Literal["waiting", "held_no_tls", "delivered", "failed", "canceled"] | None,
    Query(description="Only in this state."),
]


class DeliverRequest(Asked):
    """Where a fax is to be delivered, and in which form."""

    target: UUID = Field(description="Where it is delivered.")
    format: Literal["pdf", "tiff"] = Field(default="pdf", description="In which form.")


@router.post("/faxes/{fax_id:uuid}:deliver", status_code=202, response_model=ParcelRef)
async def deliver_fax(call: Caller, fax_id: UUID, asked: DeliverRequest) -> Response:
    """Deliver a fax that has ended to a target. To each target it goes once; what has failed is tried again."""

    async def work(connection: AsyncConnection) -> Answer:
        await own_fax(connection, call, fax_id, faxes.c.id)
        done = await by_hand.deliver(
            connection, call.gateway, call.actor, fax_id, target_id=asked.target, format=asked.format
        )
        said = {"fax": fax_id, "target": asked.target, "format": asked.format}
        await note(connection, call, "parcel.created", done, **said)
        return Answer(202, {"id": done, "state": "waiting"})

    return await call.once(work)


@router.get("/faxes/{fax_id:uuid}/parcels", response_model=Page[ParcelShape])
async def list_fax_parcels(call: Caller, fax_id: UUID, limit: Limit = USUAL, cursor: Cursor = None) -> Response:
    """List where a fax is delivered, newest first, and what came of it."""
    mine = select(parcels).where(parcels.c.fax_id == fax_id, parcels.c.kind == FAX)
    statement = newest_first(mine, parcels.c.id, limit=limit, cursor=cursor)
    async with call.transaction() as connection:
        await visible_fax(connection, call, fax_id, faxes.c.id)
        rows = (await connection.execute(statement)).mappings().all()
    return ok(page(rows, _shape, limit=limit))


@router.get("/parcels", response_model=Page[ParcelShape])
async def list_parcels(call: Caller, state: State = None, limit: Limit = USUAL, cursor: Cursor = None) -> Response:
    """List what is, or was, on its way, newest first. Notices and deletions are for owners and admins with `admin`."""
    mine = _visible(call) if state is None else _visible(call).where(parcels.c.state == state)
    async with call.transaction() as connection:
        statement = newest_first(mine, parcels.c.id, limit=limit, cursor=cursor)
        rows = (await connection.execute(statement)).mappings().all()
    return ok(page(rows, _shape, limit=limit))


@router.get("/parcels/{parcel_id:uuid}", response_model=ParcelShape)
async def get_parcel(call: Caller, parcel_id: UUID) -> Response:
    """Say what became of a parcel."""
    async with call.transaction() as connection:
        return ok(_shape(await _parcel(connection, call, parcel_id)))


@router.post("/parcels/{parcel_id:uuid}:retry", status_code=202, response_model=ParcelRef)
async def retry_parcel(call: Caller, parcel_id: UUID) -> Response:
    """Try a parcel once more that has failed, is held, waits or was canceled: now. It may take a key that opens it."""

    async def work(connection: AsyncConnection) -> Answer:
        row = await _parcel(connection, call, parcel_id)
        if row["kind"] == FAX:
            await own_fax(connection, call, row["fax_id"], faxes.c.id)
        await by_hand.retry(connection, call.gateway, call.actor, parcel_id)
        await note(connection, call, "parcel.retried", parcel_id)
        return Answer(202, {"id": parcel_id, "state": "waiting"})

    return await call.once(work)


@router.post("/parcels/{parcel_id:uuid}:cancel", response_model=ParcelRef)
async def cancel_parcel(call: Caller, parcel_id: UUID) -> Response:
    """Have a parcel that has not ended go no more; one that is on its way at this moment may arrive."""

    async def work(connection: AsyncConnection) -> Answer:
        row = await _parcel(connection, call, parcel_id)
        if row["kind"] == FAX:
            await fax_with(connection, call, row["fax_id"], "manage")
        await by_hand.cancel(connection, parcel_id)
        await note(connection, call, "parcel.canceled", parcel_id)
        return Answer(200, {"id": parcel_id, "state": "canceled"})

    return await call.once(work)


def _visible(call: Call) -> Select[Any]:
    """Select the parcels of faxes that one sees; an owner or admin sees notices and deletions, too."""
    mine: ColumnElement[bool] = parcels.c.tenant_id == call.actor.tenant_id
    seen = call.visible()
    of_faxes = faxes.c.id.is_not(None) if seen is None else and_(faxes.c.id.is_not(None), seen)
    shown = true() if sees_all(call.actor) else and_(parcels.c.kind == FAX, of_faxes)
    return select(parcels).select_from(parcels.outerjoin(faxes, faxes.c.id == parcels.c.fax_id)).where(mine, shown)


async def _parcel(connection: AsyncConnection, call: Call, parcel_id: UUID) -> Row:
    return await one(connection, _visible(call).where(parcels.c.id == parcel_id))


def _shape(row: Row) -> dict[str, Any]:
    ids = {"fax": row["fax_id"], "target": row["target_id"], "sha256": row["sha256"].hex()}
    reason = {"code": row["code"], "text": row["error"]}
    proof = proof_shape(row["proof"])
    return {**{name: row[name] for name in _SAME}, **ids, "reason": reason, "proof": proof}
