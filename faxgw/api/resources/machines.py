"""Machines: what calls have taught of each, why, until when, and what an operator says of it."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field, model_validator
from sqlalchemy import ColumnElement, select
from starlette.responses import Response

from faxgw.api.answers import nothing, ok, version_tag
from faxgw.api.call import Call, Caller
from faxgw.api.guard import GuardedRoute
from faxgw.api.line_shapes import MachineShape
from faxgw.api.paging import USUAL, Cursor, Limit, newest_first, page
from faxgw.api.resources.auditing import change_noted, note
from faxgw.api.resources.editing import Asked, IfMatch, Row, one, remove
from faxgw.api.shapes import Page
from faxgw.faxes.policies import Tenant, tenant_of
from faxgw.learning.abilities import abilities
from faxgw.learning.keeping import opened
from faxgw.learning.limits import Limit as Limited
from faxgw.learning.verdicts import Verdict, checked
from faxgw.numbers import caller_id
from faxgw.store.tables import machines
from t30.vendors import maker

router = APIRouter(prefix="/v1/machines", route_class=GuardedRoute, tags=["routes"])

_CLEAN = r"^[^\x00]*$"


class MachineRequest(Asked):
    """What an operator says of the limits of a machine."""

    verdicts: dict[Limited, Verdict] = Field(
        max_length=len(Limited), description="By limit; of those that are not named, what was learned holds."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        checked(self.verdicts)
        return self


@router.get("", response_model=Page[MachineShape])
async def list_machines(
    call: Caller,
    *,
    limit: Limit = USUAL,
    cursor: Cursor = None,
    direction: Annotated[
        Literal["out", "in"] | None, Query(description="Only those that were called, or that call.")
    ] = None,
    number: Annotated[
        str | None,
        Query(max_length=64, pattern=_CLEAN, description="Only those at this number.", examples=["+15550100"]),
    ] = None,
    station: Annotated[
        str | None, Query(max_length=80, pattern=_CLEAN, description="Only callers that call themselves so.")
    ] = None,
) -> Response:
    """List the machines that calls have taught something of, the newest first."""
    statement = select(machines).where(machines.c.tenant_id == call.actor.tenant_id)
    async with call.transaction() as connection:
        tenant = await tenant_of(connection, call.actor.tenant_id)
        if direction is not None:
            statement = statement.where(machines.c.direction == direction)
        if number is not None:
            statement = statement.where(machines.c.number == caller_id(number, tenant.numbering))
        if station is not None:
            statement = statement.where(machines.c.station == station)
        rows = await connection.execute(newest_first(statement, machines.c.id, limit=limit, cursor=cursor))
        return ok(page(rows.mappings().all(), lambda row: _shape(tenant, row), limit=limit))


@router.get("/{machine_id:uuid}", response_model=MachineShape)
async def get_machine(call: Caller, machine_id: UUID) -> Response:
    """Say what calls have taught of a machine."""
    async with call.transaction() as connection:
        row = await one(connection, select(machines).where(_this(call, machine_id)))
        tenant = await tenant_of(connection, call.actor.tenant_id)
    return ok(_shape(tenant, row), etag=version_tag(row["version"]))


@router.put("/{machine_id:uuid}", response_model=MachineShape)
async def change_machine(call: Caller, machine_id: UUID, asked: MachineRequest, if_match: IfMatch = None) -> Response:
    """Lay down what calls with a machine do, whatever was learned."""
    said = {limit.value: verdict.model_dump(mode="json") for limit, verdict in asked.verdicts.items()}
    async with call.transaction() as connection:
        mine = _this(call, machine_id)
        row = await change_noted(connection, call, "machine.changed", machines, mine, if_match=if_match, verdicts=said)
        tenant = await tenant_of(connection, call.actor.tenant_id)
    return ok(_shape(tenant, row), etag=version_tag(row["version"]))


@router.delete("/{machine_id:uuid}", status_code=204, response_class=Response)
async def delete_machine(call: Caller, machine_id: UUID) -> Response:
    """Forget a machine: what calls have taught of it, and what was laid down."""
    async with call.transaction() as connection:
        await remove(connection, machines, _this(call, machine_id))
        await note(connection, call, "machine.deleted", machine_id)
    return nothing()


def _this(call: Call, machine_id: UUID) -> ColumnElement[bool]:
    return (machines.c.tenant_id == call.actor.tenant_id) & (machines.c.id == machine_id)


def _shape(tenant: Tenant, row: Row) -> dict[str, Any]:
    kept = opened(row)
    known = kept.known(tenant.policy.learning, at=datetime.now(UTC))
    can = abilities(kept.direction, kept.capabilities)
    same = ("id", "direction", "number", "station", "verdicts", "version", "created_at", "seen_at")
    return {
        **{name: row[name] for name in same},
        "calls": len(kept.calls),
        "can": can and {name: getattr(can, name) for name in ("rates", "ecm", "codings", "resolutions")},
        "maker": maker(kept.nonstandard),
        "limits": [
            {"limit": each.limit.value, **{name: getattr(each, name) for name in ("on", "by", "until", "bps", "text")}}
            for each in known.standings
        ],
        "adjustments": known.adjustments.model_dump(mode="json"),
    }
