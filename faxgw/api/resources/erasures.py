"""Erasure of all that is about a number, a station or some faxes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field, model_validator
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.answers import Answer, ok
from faxgw.api.call import Caller
from faxgw.api.guard import GuardedRoute
from faxgw.api.paging import MOST, USUAL, Cursor, Limit, newest_first, page
from faxgw.api.resources.editing import Asked, one
from faxgw.api.resources.retention import proven
from faxgw.api.retention_shapes import ErasureShape, WholeErasureShape
from faxgw.api.shapes import Page
from faxgw.faxes.policies import tenant_of
from faxgw.faxes.requests import Number
from faxgw.numbers import normalised
from faxgw.retention.certificates import of_row
from faxgw.retention.erasing import Subject, begin, outside_control
from faxgw.store.tables import certificates, erasures

router = APIRouter(prefix="/v1/erasures", route_class=GuardedRoute, tags=["retention"])

COUNTS = (
    "faxes",
    "held",
    "running",
    "destinations",
    "rules",
    "copies_deleted",
    "copies_being_deleted",
    "copies_outside_control",
)


class ErasureRequest(Asked):
    """Whose data are to go: whatever fits any of the fields."""

    number: Number | None = Field(default=None, description="Faxes to and from this number, and what is known of it.")
    station_id: str = Field(
        default="", max_length=20, pattern=r"^[\x20-\x7e]*$", description="Faxes with the machine that calls itself so."
    )
    faxes: list[UUID] = Field(default_factory=list, max_length=1000, description="Single faxes.")
    reason: str = Field(default="", max_length=1000, description="Why; it is forgotten when the erasure is done.")

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not (self.number or self.station_id.strip() or self.faxes):
            raise ValueError("give a number, a station_id or faxes")
        return self


@router.post("", status_code=202, response_model=ErasureShape)
async def create_erasure(call: Caller, asked: ErasureRequest) -> Response:
    """Erase all that is about somebody, with its records: a job, which waits for holds and for faxes that run."""

    async def work(connection: AsyncConnection) -> Answer:
        numbering = (await tenant_of(connection, call.actor.tenant_id)).numbering
        number = normalised(asked.number, numbering) if asked.number else ""
        subject = Subject(number, asked.station_id.strip(), tuple(asked.faxes))
        row = await begin(connection, call.gateway, call.actor, subject, reason=asked.reason)
        return Answer(202, _shape(row), {"location": f"/v1/erasures/{row['id']}"})

    return await call.once(work)


@router.get("", response_model=Page[ErasureShape])
async def list_erasures(call: Caller, limit: Limit = USUAL, cursor: Cursor = None) -> Response:
    """List the erasures, newest first."""
    mine = select(erasures).where(erasures.c.tenant_id == call.actor.tenant_id)
    async with call.transaction() as connection:
        found = await connection.execute(newest_first(mine, erasures.c.id, limit=limit, cursor=cursor))
        rows = found.mappings().all()
    return ok(page(rows, _shape, limit=limit))


@router.get("/{erasure_id:uuid}", response_model=WholeErasureShape)
async def get_erasure(call: Caller, erasure_id: UUID) -> Response:
    """Say how far an erasure is, which copies are out of reach, and give its certificate."""
    own = (certificates.c.erasure_id == erasure_id) & certificates.c.fax_id.is_(None)
    async with call.transaction() as connection:
        row = await one(connection, select(erasures).where(erasures.c.id == erasure_id))
        outside = (await connection.execute(outside_control(erasure_id, datetime.now(UTC)).limit(MOST))).mappings()
        last = select(certificates).where(own).order_by(certificates.c.id.desc()).limit(1)
        given = (await connection.execute(last)).mappings().one_or_none()
        certificate = await proven(connection, of_row(given)) if given else None
        copies = [_outside(each) for each in outside]
    return ok({**_shape(row), "outside_control": copies, "certificate": certificate})


def _shape(row: Mapping[Any, Any]) -> dict[str, Any]:
    same = {name: row[name] for name in ("id", "state", "reason", "created_at", "finished_at")}
    return {**same, "report": {name: row["report"].get(name, 0) for name in COUNTS}, "by": row["user_id"]}


def _outside(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {"fax": row["fax_id"], **{name: row[name] for name in ("kind", "location", "last_at", "expires_at")}}
