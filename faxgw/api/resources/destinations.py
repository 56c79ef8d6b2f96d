"""Destinations: who answered at a number, and what an operator laid down for its calls as a whole."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import Field
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.answers import nothing, ok, version_of, version_tag
from faxgw.api.call import Call, Caller
from faxgw.api.guard import GuardedRoute
from faxgw.api.line_shapes import DestinationShape
from faxgw.api.paging import USUAL, Limit
from faxgw.api.resources.auditing import note
from faxgw.api.resources.editing import Asked, IfMatch, Row, change, one, remove
from faxgw.api.shapes import Page
from faxgw.audit import pseudonym
from faxgw.faxes.policies import tenant_of
from faxgw.numbers import normalised
from faxgw.rules.attempt import Adjustments
from faxgw.store.sealed_columns import after
from faxgw.store.tables import destinations

router = APIRouter(prefix="/v1/destinations", route_class=GuardedRoute, tags=["routes"])

Number = Annotated[
    str,
    Path(
        pattern=r"^\+?[0-9]{1,20}$",
        description="In E.164 form, or as it is dialled in the country of the tenant's policy.",
        examples=["+15550100"],
    ),
]


class DestinationRequest(Asked):
    """What calls to a number are to do otherwise than their line is set to."""

    override: Adjustments | None = Field(description="Null: what was learned of the number holds again.")


@router.get("", response_model=Page[DestinationShape])
async def list_destinations(
    call: Caller,
    limit: Limit = USUAL,
    cursor: Annotated[
        str | None, Query(max_length=64, pattern=r"^[^\x00]*$", description="`next` of the page before.")
    ] = None,
) -> Response:
    """List the numbers of which something is known, in an order that stays; that of the numbers is sealed with them."""
    statement = select(destinations).where(destinations.c.tenant_id == call.actor.tenant_id)
    if cursor is not None:
        statement = statement.where(after(destinations.c.number, cursor))
    async with call.transaction() as connection:
        rows = await connection.execute(statement.order_by(destinations.c.number).limit(limit + 1))
        found = rows.mappings().all()
    more = len(found) > limit
    return ok({"items": [_shape(row) for row in found[:limit]], "next": found[limit - 1]["number"] if more else None})


@router.get("/{number}", response_model=DestinationShape)
async def get_destination(call: Caller, number: Number) -> Response:
    """Say what is known of a number."""
    async with call.transaction() as connection:
        row = await one(connection, select(destinations).where(_this(call, await _kept(connection, call, number))))
    return ok(_shape(row), etag=version_tag(row["version"]))


@router.put("/{number}", response_model=DestinationShape)
async def change_destination(
    call: Caller, number: Number, asked: DestinationRequest, if_match: IfMatch = None
) -> Response:
    """Lay down what calls to a number do; `If-Match: *` also for one of which nothing is known yet."""
    override = asked.override.model_dump(mode="json") if asked.override else {}
    async with call.transaction() as connection:
        number = await _kept(connection, call, number)
        if version_of(if_match) is None:
            new = insert(destinations).values(tenant_id=call.actor.tenant_id, number=number)
            await connection.execute(new.on_conflict_do_nothing())
        row = await change(
            connection, destinations, _this(call, number), if_match=if_match, override=override, updated_at=func.now()
        )
        await note(connection, call, "destination.changed", _called(call, number), new=override)
    return ok(_shape(row), etag=version_tag(row["version"]))


@router.delete("/{number}", status_code=204, response_class=Response)
async def delete_destination(call: Caller, number: Number) -> Response:
    """Forget a number: what was laid down, and who answered there. What was learned of it is with `/v1/machines`."""
    async with call.transaction() as connection:
        number = await _kept(connection, call, number)
        await remove(connection, destinations, _this(call, number))
        await note(connection, call, "destination.deleted", _called(call, number))
    return nothing()


async def _kept(connection: AsyncConnection, call: Call, written: str) -> str:
    """Return a number as it is kept: in the form in which it is called, unless it is known as it is written.

    Raises:
        RequestError: ``number.invalid``.
    """
    known = select(destinations.c.number).where(_this(call, written))
    if (await connection.execute(known)).one_or_none() is not None:
        return written
    return normalised(written, (await tenant_of(connection, call.actor.tenant_id)).numbering)


def _called(call: Call, number: str) -> str:
    return pseudonym(call.gateway.server_keys, tenant_id=call.actor.tenant_id, subject=number)


def _this(call: Call, number: str) -> ColumnElement[bool]:
    return (destinations.c.tenant_id == call.actor.tenant_id) & (destinations.c.number == number)


def _shape(row: Row) -> dict[str, Any]:
    return {
        "number": row["number"],
        "station_ids": row["station_ids"],
        "override": row["override"] or None,
        "version": row["version"],
        "updated_at": row["updated_at"],
    }
