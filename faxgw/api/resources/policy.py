"""The tenant's policy: everything that it lays down about its faxes."""

from fastapi import APIRouter
from sqlalchemy import select
from starlette.responses import Response

from faxgw.api.answers import ok, version_tag
from faxgw.api.call import Caller
from faxgw.api.guard import GuardedRoute
from faxgw.api.resources.auditing import difference, note
from faxgw.api.resources.editing import IfMatch, change, one
from faxgw.rules.policy import TenantPolicy
from faxgw.store.tables import tenants

router = APIRouter(prefix="/v1/policy", route_class=GuardedRoute, tags=["policy"])


@router.get("", response_model=TenantPolicy)
async def get_policy(call: Caller) -> Response:
    """Say what the tenant has laid down."""
    mine = tenants.c.id == call.actor.tenant_id
    async with call.transaction() as connection:
        row = await one(connection, select(tenants.c.policy, tenants.c.version).where(mine))
    return _answer(TenantPolicy.model_validate(row["policy"]), row["version"])


@router.put("", response_model=TenantPolicy)
async def change_policy(call: Caller, asked: TenantPolicy, if_match: IfMatch = None) -> Response:
    """Lay it down anew: what is left out has its default again."""
    mine = tenants.c.id == call.actor.tenant_id
    kept = asked.model_dump(mode="json", exclude_defaults=True)
    async with call.transaction() as connection:
        before = await one(connection, select(tenants.c.policy).where(mine).with_for_update())
        row = await change(connection, tenants, mine, if_match=if_match, policy=kept)
        old = TenantPolicy.model_validate(before["policy"])
        changes = difference(old.model_dump(mode="json"), asked.model_dump(mode="json"))
        await note(connection, call, "policy.changed", call.actor.tenant_id, **changes)
    return _answer(asked, row["version"])


def _answer(policy: TenantPolicy, version: int) -> Response:
    return ok(policy.model_dump(mode="json"), etag=version_tag(version))
