"""Legal holds: what one is over cannot be deleted by anybody, until it is released."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, Field, model_validator
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.answers import Answer, ok, version_tag
from faxgw.api.call import Caller
from faxgw.api.guard import GuardedRoute
from faxgw.api.paging import USUAL, Cursor, Limit, newest_first, page
from faxgw.api.problems import Problem
from faxgw.api.resources.auditing import note
from faxgw.api.resources.editing import Asked, Row, one
from faxgw.api.retention_shapes import HoldShape
from faxgw.api.shapes import Page
from faxgw.faxes.policies import tenant_of
from faxgw.faxes.requests import Number
from faxgw.ids import new_id
from faxgw.numbers import normalised
from faxgw.retention.holding import no_shredding
from faxgw.store.tables import boxes, faxes, held_faxes, holds

router = APIRouter(prefix="/v1/holds", route_class=GuardedRoute, tags=["retention"])


class HoldRequest(Asked):
    """What a hold is to be over: single faxes, or all that fits every one of the other fields."""

    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$", description="What it is called.")
    reason: str = Field(default="", max_length=1000, description="Why it is there.")
    faxes: list[UUID] = Field(default_factory=list, max_length=1000, description="Single faxes, and nothing else.")
    boxes: list[UUID] = Field(default_factory=list, max_length=100, description="Only faxes in one of these boxes.")
    numbers: list[Number] = Field(
        default_factory=list, max_length=100, description="Only faxes from or to one of these numbers."
    )
    since: AwareDatetime | None = Field(default=None, description="Only faxes created then or later.")
    until: AwareDatetime | None = Field(default=None, description="Only faxes created before.")

    @model_validator(mode="after")
    def _faxes_alone(self) -> Self:
        if self.faxes and (self.boxes or self.numbers or self.since or self.until):
            raise ValueError("give faxes, or boxes, numbers and times; not both")
        return self


@router.get("", response_model=Page[HoldShape])
async def list_holds(call: Caller, limit: Limit = USUAL, cursor: Cursor = None) -> Response:
    """List the holds, newest first, with those that were released."""
    mine = select(holds).where(holds.c.tenant_id == call.actor.tenant_id)
    async with call.transaction() as connection:
        found = await connection.execute(newest_first(mine, holds.c.id, limit=limit, cursor=cursor))
        rows = found.mappings().all()
        shapes = {row["id"]: await _shape(connection, row) for row in rows[:limit]}
    return ok(page(rows, lambda row: shapes[row["id"]], limit=limit))


@router.post("", status_code=201, response_model=HoldShape)
async def create_hold(call: Caller, asked: HoldRequest) -> Response:
    """Make a hold. What it is over by the time of the answer stays, and so does what comes to fit it later."""

    async def work(connection: AsyncConnection) -> Answer:
        actor = call.actor
        numbering = (await tenant_of(connection, actor.tenant_id)).numbering
        row = {
            **asked.model_dump(include={"name", "reason", "boxes", "since", "until"}),
            "id": new_id(),
            "tenant_id": actor.tenant_id,
            "user_id": actor.user_id,
            "by_fax": bool(asked.faxes),
            "numbers": sorted({normalised(each, numbering) for each in asked.numbers}),
        }
        await no_shredding(connection, actor.tenant_id)
        await _check(connection, asked)
        made = (await connection.execute(insert(holds).values(row).returning(holds))).mappings().one()
        if asked.faxes:
            named = [{"tenant_id": actor.tenant_id, "hold_id": made["id"], "fax_id": each} for each in set(asked.faxes)]
            await connection.execute(insert(held_faxes), named)
        shown = await _shape(connection, made)
        over = asked.model_dump(mode="json", include={"name", "faxes", "boxes", "since", "until"})
        await note(connection, call, "hold.created", made["id"], **over, number=row["numbers"], held=shown["held"])
        return Answer(201, shown, {"location": f"/v1/holds/{made['id']}"})

    return await call.once(work)


async def _check(connection: AsyncConnection, asked: HoldRequest) -> None:
    """Look for everything that a hold names.

    Raises:
        Problem: ``fax.unknown`` or ``box.unknown``.
    """
    for table, ids, code in ((faxes, asked.faxes, "fax.unknown"), (boxes, asked.boxes, "box.unknown")):
        there = set((await connection.execute(select(table.c.id).where(table.c.id.in_(ids)))).scalars())
        for each in ids:
            if each not in there:
                raise Problem(code, f"There is nothing of the id {each}.")


@router.get("/{hold_id:uuid}", response_model=HoldShape)
async def get_hold(call: Caller, hold_id: UUID) -> Response:
    """Say what a hold is over."""
    async with call.transaction() as connection:
        row = await one(connection, select(holds).where(holds.c.id == hold_id))
        return ok(await _shape(connection, row), etag=version_tag(row["version"]))


@router.post("/{hold_id:uuid}:release", response_model=HoldShape)
async def release_hold(call: Caller, hold_id: UUID) -> Response:
    """Release a hold: what it was over goes by the rules of retention again. It stays in the list."""

    async def work(connection: AsyncConnection) -> Answer:
        row = await one(connection, select(holds).where(holds.c.id == hold_id).with_for_update())
        if row["released_at"] is None:
            over = {"released_at": datetime.now(UTC), "released_by": call.actor.user_id}
            changed = update(holds).where(holds.c.id == hold_id).values(**over, version=holds.c.version + 1)
            row = (await connection.execute(changed.returning(holds))).mappings().one()
            await note(connection, call, "hold.released", hold_id)
        return Answer(200, await _shape(connection, row), {"etag": version_tag(row["version"])})

    return await call.once(work)


async def _shape(connection: AsyncConnection, row: Row) -> dict[str, Any]:
    named: Sequence[UUID] = []
    if row["by_fax"]:
        own = select(held_faxes.c.fax_id).where(held_faxes.c.hold_id == row["id"]).order_by(held_faxes.c.fax_id)
        named = (await connection.execute(own)).scalars().all()
    same = ("id", "name", "reason", "boxes", "numbers", "since", "until", "created_at", "released_at", "version")
    return {
        **{name: row[name] for name in same},
        "faxes": named,
        "held": await _held(connection, row),
        "by": row["user_id"],
    }


async def _held(connection: AsyncConnection, row: Row) -> int:
    """Count the faxes that a hold is over, as the database's own condition has it."""
    if row["released_at"] is not None:
        return 0
    counted = select(func.count()).select_from(faxes).where(faxes.c.shredded_at.is_(None))
    if row["by_fax"]:
        counted = counted.where(faxes.c.id.in_(select(held_faxes.c.fax_id).where(held_faxes.c.hold_id == row["id"])))
    if row["boxes"]:
        counted = counted.where(faxes.c.box_id.in_(row["boxes"]))
    if row["numbers"]:
        counted = counted.where(faxes.c.to_number.in_(row["numbers"]) | faxes.c.from_number.in_(row["numbers"]))
    if row["since"] is not None:
        counted = counted.where(faxes.c.created_at >= row["since"])
    if row["until"] is not None:
        counted = counted.where(faxes.c.created_at < row["until"])
    return int((await connection.execute(counted)).scalar_one())
