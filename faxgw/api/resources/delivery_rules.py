"""Rules of boxes that deliver whatever comes in to a target."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.answers import Answer, nothing, ok
from faxgw.api.call import Caller
from faxgw.api.delivery_shapes import DeliveryRuleShape
from faxgw.api.guard import GuardedRoute
from faxgw.api.paging import USUAL, Cursor, Limit, newest_first, page
from faxgw.api.problems import Problem
from faxgw.api.resources.auditing import note
from faxgw.api.resources.editing import Asked, Row, one, refused, remove
from faxgw.api.resources.grants import managed
from faxgw.api.shapes import Page
from faxgw.boxes import switches
from faxgw.boxes.access import allowed
from faxgw.delivery.guarding import protects
from faxgw.delivery.targets import SETTINGS
from faxgw.faxes.policies import tenant_of
from faxgw.ids import new_id
from faxgw.rules.retention import RetentionPolicy
from faxgw.store.tables import boxes, delivery_rules, targets

router = APIRouter(prefix="/v1/boxes", route_class=GuardedRoute, tags=["deliveries"])

_SAME = ("id", "prefix", "format", "created_by", "created_at")
_EXISTS = {
    "delivery_rules_box_id_prefix_target_id_tenant_id_key": ("rule.exists", "The box has such a rule already."),
}
UNPROTECTED = (
    "The box has personal data: the target must encrypt what it gets (`sealing`), get links only, or be `attested`."
)


class DeliveryRuleRequest(Asked):
    """What is to be delivered, and where."""

    prefix: Annotated[str, Field(pattern=r"^(\+[0-9]{0,15})?$")] = Field(
        default="", description="Only from numbers that begin so; empty: from all.", examples=["+4930"]
    )
    target: UUID = Field(description="Where it is delivered.")
    format: Literal["pdf", "tiff"] = Field(default="pdf", description="In which form.")


@router.get("/{box_id:uuid}/delivery-rules", response_model=Page[DeliveryRuleShape])
async def list_delivery_rules(call: Caller, box_id: UUID, limit: Limit = USUAL, cursor: Cursor = None) -> Response:
    """List where what comes into a box is delivered."""
    async with call.transaction() as connection:
        await managed(connection, call, box_id, admins=True)
        mine = _rules(delivery_rules.c.box_id == box_id)
        statement = newest_first(mine, delivery_rules.c.id, limit=limit, cursor=cursor)
        rows = (await connection.execute(statement)).mappings().all()
        policy = (await tenant_of(connection, call.actor.tenant_id)).policy.retention
    return ok(page(rows, lambda row: _shape(row, policy), limit=limit))


@router.post("/{box_id:uuid}/delivery-rules", status_code=201, response_model=DeliveryRuleShape)
async def create_delivery_rule(call: Caller, box_id: UUID, asked: DeliveryRuleRequest) -> Response:
    """Have what comes into a box from now on delivered to a target. It stays in the box as well."""

    async def work(connection: AsyncConnection) -> Answer:
        box = await managed(connection, call, box_id)
        await switches.check(connection, "allow_forwarding", call.actor.tenant_id)
        policy = (await tenant_of(connection, call.actor.tenant_id)).policy.retention
        await _check(connection, asked.target, box["data_class"], policy)
        row: dict[str, Any] = {
            "id": new_id(),
            "tenant_id": call.actor.tenant_id,
            "box_id": box_id,
            "prefix": asked.prefix,
        }
        row |= {"target_id": asked.target, "format": asked.format, "created_by": call.actor.user_id}
        with refused(**_EXISTS):
            await connection.execute(insert(delivery_rules).values(row))
        said = {"box": box_id, "target": asked.target, "prefix": asked.prefix, "format": asked.format}
        await note(connection, call, "delivery_rule.created", row["id"], **said)
        made = await one(connection, _rules(_this(box_id, row["id"])))
        location = f"/v1/boxes/{box_id}/delivery-rules/{made['id']}"
        return Answer(201, _shape(made, policy), {"location": location})

    return await call.once(work)


@router.get("/{box_id:uuid}/delivery-rules/{delivery_rule_id:uuid}", response_model=DeliveryRuleShape)
async def get_delivery_rule(call: Caller, box_id: UUID, delivery_rule_id: UUID) -> Response:
    """Say where what comes into a box is delivered."""
    async with call.transaction() as connection:
        await managed(connection, call, box_id, admins=True)
        row = await one(connection, _rules(_this(box_id, delivery_rule_id)))
        policy = (await tenant_of(connection, call.actor.tenant_id)).policy.retention
    return ok(_shape(row, policy))


@router.delete("/{box_id:uuid}/delivery-rules/{delivery_rule_id:uuid}", status_code=204, response_class=Response)
async def delete_delivery_rule(call: Caller, box_id: UUID, delivery_rule_id: UUID) -> Response:
    """Deliver no more of what comes in. What is on its way goes on."""
    async with call.transaction() as connection:
        await managed(connection, call, box_id, admins=True)
        await remove(connection, delivery_rules, _this(box_id, delivery_rule_id))
        await note(connection, call, "delivery_rule.deleted", delivery_rule_id, box=box_id)
    return nothing()


async def _check(connection: AsyncConnection, target_id: UUID, data_class: str, policy: RetentionPolicy) -> None:
    present = select(targets.c.settings).where(targets.c.id == target_id, targets.c.retired_at.is_(None))
    target = await one(connection, present.with_for_update(read=True), "target.unknown")
    if not protects(SETTINGS.validate_python(target["settings"]), data_class, policy):
        raise Problem("target.unprotected", UNPROTECTED)


def _this(box_id: UUID, rule_id: UUID) -> ColumnElement[bool]:
    return (delivery_rules.c.box_id == box_id) & (delivery_rules.c.id == rule_id)


def _rules(where: ColumnElement[bool]) -> Any:
    holds = allowed("allow_forwarding", delivery_rules.c.tenant_id).label("allowed")
    joined = delivery_rules.join(targets, targets.c.id == delivery_rules.c.target_id)
    joined = joined.join(boxes, boxes.c.id == delivery_rules.c.box_id)
    return select(delivery_rules, holds, targets.c.settings, boxes.c.data_class).select_from(joined).where(where)


def _shape(row: Row, policy: RetentionPolicy) -> dict[str, Any]:
    state = "active" if row["allowed"] else "suspended_by_policy"
    if row["allowed"] and not protects(SETTINGS.validate_python(row["settings"]), row["data_class"], policy):
        state = "unprotected"
    return {**{name: row[name] for name in _SAME}, "box": row["box_id"], "target": row["target_id"], "state": state}
