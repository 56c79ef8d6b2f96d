"""What the policy's switches refuse, for everybody alike: no role, scope or kind of credential passes them."""

from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.boxes.access import Switch, allowed
from faxgw.errors import RequestError
from faxgw.store.tables import faxes

_OFF = {
    "allow_delegation": "The tenant's policy lets nobody give others rights to a box (allow_delegation is off).",
    "allow_forwarding": "The tenant's policy lets nobody forward faxes (allow_forwarding is off).",
}


async def check(connection: AsyncConnection, switch: Switch, tenant_id: UUID) -> None:
    """Refuse what the policy does not allow at this moment.

    Raises:
        RequestError: ``policy.denied``.
    """
    if not (await connection.execute(select(allowed(switch, tenant_id)))).scalar_one():
        raise RequestError("policy.denied", _OFF[switch])


async def check_not_passed_on(connection: AsyncConnection, page_set_id: UUID, *, allow_forwarding: bool) -> None:
    """Refuse to send pages that came in, where the policy lets nobody forward.

    Raises:
        RequestError: ``policy.denied``.
    """
    came_in = exists().where(faxes.c.page_set_id == page_set_id, faxes.c.direction == "in")
    if not allow_forwarding and (await connection.execute(select(came_in))).scalar_one():
        raise RequestError("policy.denied", _OFF["allow_forwarding"])
