"""One's own notices by mail: which kinds one has; and the address in each notice by which that kind is stopped."""

from html import escape
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from faxgw.api.answers import ok
from faxgw.api.call import Api, Caller
from faxgw.api.guard import FreeQueryRoute, GuardedRoute
from faxgw.api.problems import Problem
from faxgw.api.resources.auditing import note
from faxgw.api.resources.editing import Asked
from faxgw.audit import record
from faxgw.notices.choosing import Stop, choose, chosen, tenant_of
from faxgw.notices.kinds import KINDS

router = APIRouter(prefix="/v1/me/notices", route_class=GuardedRoute, tags=["people"])
stops = APIRouter(prefix="/notices/stop", route_class=FreeQueryRoute, tags=["people"])

Token = Annotated[str, Path(max_length=200, description="As it is in the address that the notice has.")]


def _choice(kind: str) -> bool:
    said: bool = Field(default=KINDS[kind].usual, description=KINDS[kind].about)
    return said


class Notices(Asked):
    """Which notices one has by mail in this tenant. Those of what cannot wait are always sent."""

    result: bool = _choice("result")
    failure: bool = _choice("failure")
    retention: bool = _choice("retention")
    policy: bool = _choice("policy")
    certificate: bool = _choice("certificate")
    update: bool = _choice("update")


@router.get("", response_model=Notices)
async def get_notices(call: Caller) -> Response:
    """Say which notices one has by mail."""
    async with call.transaction() as connection:
        return ok(await chosen(connection, call.actor.user_id))


@router.put("", response_model=Notices)
async def choose_notices(call: Caller, asked: Notices) -> Response:
    """Choose which notices to have: what is left out is as it is for everybody."""
    async with call.transaction() as connection:
        found = await choose(connection, call.actor.user_id, asked.model_dump())
        await note(connection, call, "user.notices_chosen", call.actor.user_id, new=found)
    return ok(found)


@stops.get("/{token}", response_class=HTMLResponse)
async def ask_stop(request: Request, token: Token) -> Response:
    """Show a page that asks whether to stop one kind of notices. Looking at it changes nothing."""
    stop = _stop(request, token)
    about = escape(KINDS[stop.kind].about)
    return _page(f'<p>{about}</p><form method="post"><button>No more notices of this kind</button></form>')


@stops.post("/{token}", response_class=HTMLResponse)
async def stop_notices(request: Request, token: Token) -> Response:
    """Stop one kind of notices of one member, as mail programs do by one click (RFC 8058)."""
    stop = _stop(request, token)
    api: Api = request.app.state.api
    async with api.gateway.database.dispatcher() as connection:
        tenant_id = await tenant_of(connection, stop.user_id)
        if tenant_id is None:
            raise Problem("request.not_found")
        new = await choose(connection, stop.user_id, {stop.kind: False})
        await record(
            connection,
            tenant_id=tenant_id,
            actor=f"user:{stop.user_id}",
            action="user.notices_chosen",
            object="user",
            object_id=stop.user_id,
            source="notice",
            data={"new": new},
        )
    return _page("<p>There will be no more notices of this kind.</p>")


def _stop(request: Request, token: str) -> Stop:
    api: Api = request.app.state.api
    found = Stop.of(api.gateway.server_keys, token)
    if found is None:
        raise Problem("request.not_found")
    return found


def _page(body: str) -> Response:
    return HTMLResponse(f'<!doctype html><html lang="en"><title>Notices</title><body>{body}</body></html>')
