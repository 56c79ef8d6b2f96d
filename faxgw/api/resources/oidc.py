"""Signing in by an identity provider: there and back again, in a browser."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.responses import RedirectResponse, Response

from faxgw.api.answers import json_response
from faxgw.api.guard import FreeQueryRoute, GuardedRoute
from faxgw.api.json import dumped
from faxgw.api.people_shapes import NewSessionShape, OidcInvitedShape
from faxgw.api.problems import Problem
from faxgw.api.resources.sessions import Entry, Visit, Visitor, Where, begin
from faxgw.errors import RequestError
from faxgw.people import oidc
from faxgw.people.accounts import memberships, person_of
from faxgw.people.oidc_provider import Provider
from faxgw.people.oidc_reach import provider_of, reachable
from faxgw.people.recording import invited, not_vouched_for

router = APIRouter(prefix="/v1/sessions/oidc", route_class=GuardedRoute, tags=["people"])
callbacks = APIRouter(prefix="/v1/sessions/oidc", route_class=FreeQueryRoute, tags=["people"])

KEEPSAKE = "__Secure-faxgw-oidc"
"""The cookie by which the browser that comes back is known to be the one that went."""

Name = Annotated[str, Path(max_length=40, description="The provider's name in the configuration.")]
_PATH = r"^/([!-.0-\[\]-~][!-~]*)?$"
"""One that leads to no other host: neither / nor \\ comes second."""


@router.get("/{provider}", status_code=303, response_class=Response)
async def begin_oidc(
    visit: Visitor,
    provider: Name,
    tenant: Annotated[UUID | None, Query(description="The tenant to begin in.")] = None,
    return_to: Annotated[
        str | None,
        Query(pattern=_PATH, max_length=500, description="A path of this gateway to go to afterwards."),
    ] = None,
) -> Response:
    """Begin to sign in by an identity provider: the browser is sent there."""
    visit.check_address()
    found = _provider(visit, provider)
    begun = await oidc.begin(visit.api.gateway, found, tenant=tenant, return_to=return_to, now=visit.now)
    answer = RedirectResponse(begun.url, status_code=303)
    path = f"/v1/sessions/oidc/{found.settings.name}"
    answer.set_cookie(KEEPSAKE, begun.keepsake, max_age=300, path=path, secure=True, httponly=True, samesite="lax")
    return answer


@callbacks.get("/{provider}/callback", status_code=201, response_model=NewSessionShape)
async def end_oidc(  # noqa: PLR0917 (FastAPI gives them by name)
    visit: Visitor,
    provider: Name,
    state: Annotated[str, Query(max_length=4096, description="As it was sent along.")] = "",
    code: Annotated[str, Query(max_length=4096, description="What the provider gives a token for.")] = "",
    error: Annotated[str, Query(max_length=4096, description="Why it does not.")] = "",
    iss: Annotated[str | None, Query(max_length=2000, description="Who it is.")] = None,
) -> Response:
    """Come back from an identity provider. The session is in a cookie, and locked: see `unlocked`.

    202, with a set-up code, if the provider's settings have new people invited.
    """
    visit.check_address()
    found = _provider(visit, provider)
    try:
        begun = oidc.check_state(
            visit.api.gateway, found.settings, state, visit.request.cookies.get(KEEPSAKE, ""), now=visit.now
        )
        if iss is not None and iss != found.settings.issuer:
            raise oidc.Refused("oidc.issuer", "The answer is of another provider.")
        if error or not code:
            raise oidc.Refused("oidc.denied", "The identity provider did not let you in.")
        email = await oidc.finish(visit.api.gateway, found, begun, code, now=visit.now)
        return await _enter(visit, found, begun, email)
    except RequestError as fault:
        raise _refused(visit, found, fault) from None


async def _enter(visit: Visit, provider: Provider, state: oidc.State, email: str) -> Response:
    gateway, name = visit.api.gateway, provider.settings.name
    async with gateway.database.dispatcher() as connection:
        person = await person_of(connection, email)
        mine = await memberships(connection, person["id"]) if person else []
        there = reachable(gateway.config, name, mine)
    if person is None or not there:
        return await _invite(visit, provider, email)
    entry = Entry(person["id"], None, second_factor=False, way="oidc", provider=name)
    where = Where(tenant=UUID(state.tenant) if state.tenant else None, cookie=True)
    answer = await begin(visit, entry, where)
    if state.return_to:
        onwards = RedirectResponse(state.return_to, status_code=303)
        onwards.raw_headers += [each for each in answer.raw_headers if each[0] == b"set-cookie"]
        answer = onwards
    answer.delete_cookie(KEEPSAKE, path=f"/v1/sessions/oidc/{name}", secure=True, httponly=True, samesite="lax")
    return answer


async def _invite(visit: Visit, provider: Provider, email: str) -> Response:
    if not provider.settings.invite:
        raise oidc.no_member(email)
    gateway = visit.api.gateway
    async with gateway.database.dispatcher() as connection:
        (tenant,) = provider.settings.tenants
        done = await oidc.invite_there(connection, gateway, email, tenant, visit.now)
        await invited(connection, done.user, provider.settings.name)
    shape = OidcInvitedShape(email=email, set_up_code=done.code, expires_at=done.until)
    return json_response(dumped(shape.model_dump()), 202)


def _provider(visit: Visit, name: str) -> Provider:
    """Return a provider, which remembers what it was told.

    Raises:
        Problem: ``request.not_found``.
    """
    api = visit.api
    settings = provider_of(api.gateway.config, name)
    if settings is None:
        raise Problem("request.not_found", "There is no such identity provider.")
    if name not in api.providers:
        api.providers[name] = Provider(settings, api.gateway.config, secret=oidc.secret_of(settings))
    return api.providers[name]


def _refused(visit: Visit, provider: Provider, fault: RequestError) -> RequestError:
    """Count, log and record a failure, in the tenants of the provider."""
    if not fault.code.startswith("oidc.") or fault.code == "oidc.unavailable":
        return fault
    visit.api.credentials.failed(visit.address)
    client = visit.request.client
    not_vouched_for(
        visit.api.gateway,
        provider.settings,
        fault.code,
        email=getattr(fault, "email", ""),
        address=client.host if client else "",
    )
    return fault
