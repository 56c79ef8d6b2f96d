"""Whether a fax is to be kept when it has ended, and for how long, by the policy and by what is asked for it."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.errors import RequestError
from faxgw.faxes.policies import Tenant
from faxgw.faxes.requests import BatchRequest, FaxRequest
from faxgw.rules.policy import TenantPolicy
from faxgw.store.tables import faxes, holds, tenants

NONE, ARCHIVE = "none", "archive"


async def kept(
    connection: AsyncConnection, actor: Actor, request: FaxRequest | BatchRequest, tenant: Tenant, *, now: datetime
) -> dict[str, Any]:
    """Return the columns of a new fax that say what is kept of it.

    Raises:
        RequestError: ``storage.none`` for a fax that is to be kept where nothing is; ``hold.active`` for one that is
            not to be kept while a hold may be over it; ``access.role`` for days that are not the asker's to set.
    """
    if request.storage == ARCHIVE and tenant.policy.storage == NONE:
        raise RequestError("storage.none", "The tenant's policy stores nothing: leave `storage` out.")
    if request.storage == NONE and tenant.policy.storage == ARCHIVE and await _is_hold_open(connection, tenant):
        raise RequestError(
            "hold.active", "A legal hold may be over this fax, so it is to be kept; leave `storage` out."
        )
    if request.retention_days is not None and actor.role == "member":
        raise RequestError("access.role", "Only owners and admins say how long a fax is kept.")
    days = request.retention_days
    return {
        "storage": request.storage or tenant.policy.storage,
        "erase_at": None if days is None else now + timedelta(days=days),
    }


async def _is_hold_open(connection: AsyncConnection, tenant: Tenant) -> bool:
    """Tell whether there is a hold that may be over what is still to come."""
    ahead = or_(holds.c.until.is_(None), holds.c.until > func.now())
    found = select(holds.c.id).where(holds.c.tenant_id == tenant.id, holds.c.released_at.is_(None), ~holds.c.by_fax)
    return (await connection.execute(found.where(ahead).limit(1))).first() is not None


async def is_stored(connection: AsyncConnection, tenant_id: UUID, fax_id: UUID) -> bool:
    """Tell whether a page that comes in is kept by its owner, and have it stay so within this transaction.

    Where it is not, the gateway keeps it until it is collected, even if the policy was another when the call began.
    """
    own = select(tenants.c.policy["storage"].astext, tenants.c.policy["collect_hours"]).where(tenants.c.id == tenant_id)
    storage, hours = (await connection.execute(own.with_for_update(read=True))).one()
    if storage != NONE:
        return True
    waits = func.now() + timedelta(hours=TenantPolicy().collect_hours if hours is None else hours)
    until = {"storage": NONE, "erase_at": func.coalesce(faxes.c.erase_at, waits)}
    await connection.execute(update(faxes).where(faxes.c.id == fax_id, faxes.c.storage != NONE).values(until))
    return False
