"""Finding a colleague by their mail address, for a grant: one whose address is known already, and never all of them."""

from fastapi import APIRouter
from sqlalchemy import select
from starlette.responses import Response

from faxgw.api.answers import ok
from faxgw.api.call import Caller
from faxgw.api.guard import GuardedRoute
from faxgw.api.people_shapes import ColleagueShape
from faxgw.api.problems import Problem
from faxgw.api.resources.editing import Asked, one
from faxgw.api.resources.sessions import Email
from faxgw.boxes import switches
from faxgw.people.words import read_email
from faxgw.store.tables import users

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["people"])


class ColleagueRequest(Asked):
    """Somebody is looked for."""

    email: Email


@router.post("/colleagues:find", response_model=ColleagueShape)
async def find_colleague(call: Caller, asked: ColleagueRequest) -> Response:
    """Find the active member of the tenant who has a mail address, whole: to give them rights to a box.

    An address of nobody, of somebody who has gone and of a member of another tenant are answered alike. There are so
    many look-ups in a minute for each member, and none where the policy lets nobody give rights.
    """
    if (wait := call.api.look_ups.take(call.actor.user_id).wait) > 0:
        reason = f"A member may look up {call.api.look_ups.size} colleagues in a minute."
        raise Problem("rate.limited", reason, headers={"retry-after": str(int(wait) + 1)})
    active = users.c.deactivated_at.is_(None) & users.c.person_id.is_not(None)
    own = users.c.tenant_id == call.actor.tenant_id
    them = select(users.c.id, users.c.email, users.c.role).where(own, active, users.c.email == read_email(asked.email))
    async with call.transaction() as connection:
        await switches.check(connection, "allow_delegation", call.actor.tenant_id)
        return ok(dict(await one(connection, them, "user.unknown")))
