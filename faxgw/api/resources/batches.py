"""Batches: one document to many numbers."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy import ColumnElement, RowMapping, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.access import sees_all
from faxgw.api.answers import Answer, ok
from faxgw.api.call import Call, Caller
from faxgw.api.fax_shapes import BatchAccepted, BatchShape
from faxgw.api.guard import GuardedRoute
from faxgw.api.paging import USUAL, Cursor, Limit, newest_first, page
from faxgw.api.problems import Problem
from faxgw.api.shapes import Page
from faxgw.api.uploads import check_room
from faxgw.faxes.accepting import accept_batch
from faxgw.faxes.actions import cancel_batch as cancel
from faxgw.faxes.actions import pause_batch as pause
from faxgw.faxes.actions import resume_batch as resume
from faxgw.faxes.requests import BatchRequest
from faxgw.store.tables import batches, faxes

router = APIRouter(prefix="/v1/batches", route_class=GuardedRoute, tags=["batches"])


@router.post("", status_code=202, response_model=BatchAccepted)
async def create_batch(call: Caller, asked: BatchRequest) -> Response:
    """Send documents to many numbers, a fax each. One number that is refused has the whole batch refused."""
    await check_room(call)

    async def work(connection: AsyncConnection) -> Answer:
        accepted = await accept_batch(connection, call.gateway, call.actor, asked)
        size = select(batches.c.size).where(batches.c.id == accepted.id)
        body = {"id": accepted.id, "state": accepted.state, "size": (await connection.execute(size)).scalar_one()}
        return Answer(202, body, {"location": f"/v1/batches/{accepted.id}"})

    return await call.once(work)


@router.get("", response_model=Page[BatchShape])
async def list_batches(call: Caller, limit: Limit = USUAL, cursor: Cursor = None) -> Response:
    """List one's own batches, newest first; an owner or admin with the scope `admin` sees everybody's."""
    statement = newest_first(select(batches).where(_visible(call)), batches.c.id, limit=limit, cursor=cursor)
    async with call.transaction() as connection:
        rows = (await connection.execute(statement)).mappings().all()
        counts = await _counts(connection, [row["id"] for row in rows])
    return ok(page(rows, lambda row: _shape(row, counts[row["id"]]), limit=limit))


@router.get("/{batch_id:uuid}", response_model=BatchShape)
async def get_batch(call: Caller, batch_id: UUID) -> Response:
    """Say how far a batch is."""
    async with call.transaction() as connection:
        return ok(await _batch(connection, call, batch_id))


@router.post("/{batch_id:uuid}:pause", response_model=BatchShape)
async def pause_batch(call: Caller, batch_id: UUID) -> Response:
    """Begin no more calls for a batch; those that are on the line go on."""
    return await _do(call, batch_id, pause)


@router.post("/{batch_id:uuid}:resume", response_model=BatchShape)
async def resume_batch(call: Caller, batch_id: UUID) -> Response:
    """Go on with a paused batch."""
    return await _do(call, batch_id, resume)


@router.post("/{batch_id:uuid}:cancel", response_model=BatchShape)
async def cancel_batch(call: Caller, batch_id: UUID) -> Response:
    """Cancel every fax of a batch that has not ended."""
    return await _do(call, batch_id, cancel)


async def _do(call: Call, batch_id: UUID, action: Callable[[AsyncConnection, UUID], Awaitable[str]]) -> Response:
    async def work(connection: AsyncConnection) -> Answer:
        await _batch(connection, call, batch_id)
        await action(connection, batch_id)
        return Answer(200, await _batch(connection, call, batch_id))

    return await call.once(work)


async def _batch(connection: AsyncConnection, call: Call, batch_id: UUID) -> dict[str, Any]:
    found = select(batches).where(_visible(call), batches.c.id == batch_id)
    row = (await connection.execute(found)).mappings().one_or_none()
    if row is None:
        raise Problem("batch.unknown", f"There is no batch {batch_id}.")
    return _shape(row, (await _counts(connection, [batch_id]))[batch_id])


async def _counts(connection: AsyncConnection, batch_ids: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
    counted = (
        select(faxes.c.batch_id, faxes.c.state, func.count().label("n"))
        .where(faxes.c.batch_id.in_(batch_ids))
        .group_by(faxes.c.batch_id, faxes.c.state)
    )
    counts: dict[UUID, dict[str, int]] = defaultdict(dict)
    for row in await connection.execute(counted):
        counts[row.batch_id][row.state] = row.n
    return counts


def _visible(call: Call) -> ColumnElement[bool]:
    if sees_all(call.actor):
        return batches.c.tenant_id == call.actor.tenant_id
    return batches.c.user_id == call.actor.user_id


def _shape(row: RowMapping | Any, counts: dict[str, int]) -> dict[str, Any]:
    same = {name: row[name] for name in ("id", "name", "state", "size", "created_at")}
    return {**same, "counts": counts}
