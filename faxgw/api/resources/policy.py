"""The tenant's policy: everything that it lays down about its faxes."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.answers import ok, version_tag
from faxgw.api.call import Call, Caller
from faxgw.api.escrow_shapes import EscrowInPolicy
from faxgw.api.guard import GuardedRoute
from faxgw.api.problems import Problem
from faxgw.api.resources.auditing import difference, note
from faxgw.api.resources.editing import IfMatch, change, one
from faxgw.escrow.policy import in_policy
from faxgw.notices.of_policy import tell_of_policy
from faxgw.rules.policy import TenantPolicy
from faxgw.store.tables import tenants

router = APIRouter(prefix="/v1/policy", route_class=GuardedRoute, tags=["policy"])


class WholePolicy(TenantPolicy):
    """The policy, with what is laid down elsewhere."""

    escrow: EscrowInPolicy | None = Field(
        default=None,
        description="Who can have boxes opened in an emergency; null: nobody. PUT /v1/escrow changes it, and nothing "
        "else does: leave it out here, or send it back as it was read.",
    )


@router.get("", response_model=WholePolicy)
async def get_policy(call: Caller) -> Response:
    """Say what the tenant has laid down."""
    mine = tenants.c.id == call.actor.tenant_id
    async with call.transaction() as connection:
        row = await one(connection, select(tenants.c.policy, tenants.c.version).where(mine))
        escrow = await in_policy(connection, call.actor.tenant_id)
    return _answer(TenantPolicy.model_validate(row["policy"]), escrow, row["version"])


@router.put("", response_model=WholePolicy)
async def change_policy(call: Caller, asked: WholePolicy, if_match: IfMatch = None) -> Response:
    """Lay it down anew: what is left out has its default again."""
    mine = tenants.c.id == call.actor.tenant_id
    wanted = asked.model_dump(mode="json", exclude={"escrow"})
    kept = asked.model_dump(mode="json", exclude={"escrow"}, exclude_defaults=True)
    async with call.transaction() as connection:
        escrow = await check_escrow(connection, call, asked)
        before = await one(connection, select(tenants.c.policy).where(mine).with_for_update())
        row = await change(connection, tenants, mine, if_match=if_match, policy=kept)
        old = TenantPolicy.model_validate(before["policy"])
        changes = difference(old.model_dump(mode="json"), wanted)
        await note(connection, call, "policy.changed", call.actor.tenant_id, **changes)
        await tell_of_policy(connection, call.actor.tenant_id, changes, version=row["version"], now=datetime.now(UTC))
    return _answer(asked, escrow, row["version"])


async def check_escrow(connection: AsyncConnection, call: Call, asked: WholePolicy) -> dict[str, Any] | None:
    """Return the escrow, which nobody changes by way of the policy.

    Raises:
        Problem: ``policy.invalid``, if another one is asked for.
    """
    escrow = await in_policy(connection, call.actor.tenant_id)
    if "escrow" in asked.model_fields_set and escrow != (asked.escrow.model_dump() if asked.escrow else None):
        raise Problem("policy.invalid", "escrow: It is not changed here, but by PUT and DELETE of /v1/escrow.")
    return escrow


def _answer(policy: TenantPolicy, escrow: dict[str, Any] | None, version: int) -> Response:
    said = policy.model_dump(mode="json", exclude={"escrow"})
    return ok({**said, "escrow": escrow}, etag=version_tag(version))
