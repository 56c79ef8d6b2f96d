"""Forwarding: a fax to another box or number, by hand, and rules that do so with whatever comes in."""

from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field, model_validator
from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.answers import Answer, nothing, ok
from faxgw.api.box_shapes import ForwardingRuleShape
from faxgw.api.call import Call, Caller
from faxgw.api.fax_shapes import AcceptedShape
from faxgw.api.guard import GuardedRoute
from faxgw.api.paging import USUAL, Cursor, Limit, newest_first, page
from faxgw.api.problems import Problem
from faxgw.api.resources.auditing import note
from faxgw.api.resources.editing import Asked, Row, one, refused, remove
from faxgw.api.resources.grants import managed
from faxgw.api.resources.rows import own_fax
from faxgw.api.shapes import Page
from faxgw.boxes import switches
from faxgw.boxes.access import allowed
from faxgw.boxes.forwarding import forward_to_box, forward_to_number
from faxgw.faxes.requests import Number
from faxgw.ids import new_id
from faxgw.store.tables import boxes, faxes, forwarding_rules

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["boxes"])

_SAME = ("id", "prefix", "created_by", "created_at")
_EXISTS = {
    "forwarding_rules_box_id_prefix_to_box_id_tenant_id_key": ("rule.exists", "The box has such a rule already."),
}


class ForwardRequest(Asked):
    """Where a fax is to go: to a box, or to a number."""

    box: UUID | None = Field(default=None, description="Another box of the tenant.")
    to: Number | None = Field(default=None, description="A number, which the same pages are sent to.")

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.box is None) == (self.to is None):
            raise ValueError("give a box or a number")
        return self


class ForwardingRuleRequest(Asked):
    """What is to be forwarded, and where."""

    prefix: Annotated[str, Field(pattern=r"^(\+[0-9]{0,15})?$")] = Field(
        default="", description="Only from numbers that begin so; empty: from all.", examples=["+4930"]
    )
    to: UUID = Field(description="The box that it is forwarded to.")


@router.post("/faxes/{fax_id:uuid}:forward", status_code=202, response_model=AcceptedShape)
async def forward_fax(call: Caller, fax_id: UUID, asked: ForwardRequest) -> Response:
    """Forward a fax that has ended. In a box it is a fax of its own, sealed to that box; to a number it is sent."""

    async def work(connection: AsyncConnection) -> Answer:
        await own_fax(connection, call, fax_id, faxes.c.id)
        if asked.box is not None:
            done = await forward_to_box(connection, call.actor, fax_id, asked.box)
        else:
            done = await forward_to_number(connection, call.gateway, call.actor, fax_id, asked.to or "")
        return Answer(202, {"id": done.id, "state": done.state}, {"location": f"/v1/faxes/{done.id}"})

    return await call.once(work)


@router.get("/boxes/{box_id:uuid}/rules", response_model=Page[ForwardingRuleShape])
async def list_forwarding_rules(call: Caller, box_id: UUID, limit: Limit = USUAL, cursor: Cursor = None) -> Response:
    """List where a box forwards what comes in."""
    async with call.transaction() as connection:
        await managed(connection, call, box_id, admins=True)
        mine = _rules(forwarding_rules.c.box_id == box_id)
        statement = newest_first(mine, forwarding_rules.c.id, limit=limit, cursor=cursor)
        rows = (await connection.execute(statement)).mappings().all()
    return ok(page(rows, _shape, limit=limit))


@router.post("/boxes/{box_id:uuid}/rules", status_code=201, response_model=ForwardingRuleShape)
async def create_forwarding_rule(call: Caller, box_id: UUID, asked: ForwardingRuleRequest) -> Response:
    """Have a box forward what comes in from now on: it lies in both boxes, sealed to each. It goes no further."""

    async def work(connection: AsyncConnection) -> Answer:
        await managed(connection, call, box_id)
        await switches.check(connection, "allow_forwarding", call.actor.tenant_id)
        await _check(connection, call, box_id, asked.to)
        row = {"id": new_id(), "tenant_id": call.actor.tenant_id, "box_id": box_id, "prefix": asked.prefix}
        row |= {"to_box_id": asked.to, "created_by": call.actor.user_id}
        with refused(**_EXISTS):
            new = insert(forwarding_rules).values(row).returning(forwarding_rules)
            made = (await connection.execute(new)).mappings().one()
        said = {"box": box_id, "to": asked.to, "prefix": asked.prefix}
        await note(connection, call, "forwarding_rule.created", made["id"], **said)
        location = f"/v1/boxes/{box_id}/rules/{made['id']}"
        return Answer(201, _shape({**made, "allowed": True}), {"location": location})

    return await call.once(work)


@router.get("/boxes/{box_id:uuid}/rules/{forwarding_rule_id:uuid}", response_model=ForwardingRuleShape)
async def get_forwarding_rule(call: Caller, box_id: UUID, forwarding_rule_id: UUID) -> Response:
    """Say where a box forwards what comes in."""
    async with call.transaction() as connection:
        await managed(connection, call, box_id, admins=True)
        return ok(_shape(await one(connection, _rules(_this(box_id, forwarding_rule_id)))))


@router.delete("/boxes/{box_id:uuid}/rules/{forwarding_rule_id:uuid}", status_code=204, response_class=Response)
async def delete_forwarding_rule(call: Caller, box_id: UUID, forwarding_rule_id: UUID) -> Response:
    """Forward no more. What was forwarded stays where it is."""
    async with call.transaction() as connection:
        await managed(connection, call, box_id, admins=True)
        await remove(connection, forwarding_rules, _this(box_id, forwarding_rule_id))
        await note(connection, call, "forwarding_rule.deleted", forwarding_rule_id, box=box_id)
    return nothing()


async def _check(connection: AsyncConnection, call: Call, box_id: UUID, to: UUID) -> None:
    if to == box_id:
        raise Problem("rule.circular", "A box does not forward to itself.")
    mine = (boxes.c.id == to) & (boxes.c.tenant_id == call.actor.tenant_id)
    await one(connection, select(boxes.c.id).where(mine), "box.unknown")


def _this(box_id: UUID, rule_id: UUID) -> ColumnElement[bool]:
    return (forwarding_rules.c.box_id == box_id) & (forwarding_rules.c.id == rule_id)


def _rules(where: ColumnElement[bool]) -> Any:
    holds = allowed("allow_forwarding", forwarding_rules.c.tenant_id).label("allowed")
    return select(forwarding_rules, holds).where(where)


def _shape(row: Row) -> dict[str, Any]:
    state = "active" if row["allowed"] else "suspended_by_policy"
    return {**{name: row[name] for name in _SAME}, "box": row["box_id"], "to": row["to_box_id"], "state": state}
