"""Signing in and off: sessions, in one tenant at a time."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.addresses import address_of
from faxgw.api.answers import json_response, nothing, ok
from faxgw.api.call import Api, Call, Caller
from faxgw.api.credentials import COOKIE
from faxgw.api.guard import GuardedRoute
from faxgw.api.json import dumped
from faxgw.api.people_shapes import NewSessionShape, SessionsShape
from faxgw.api.problems import Problem
from faxgw.api.resources.editing import Asked, Row
from faxgw.errors import RequestError
from faxgw.keys.slots import RecoveryCode
from faxgw.keys.tokens import SessionToken
from faxgw.keys.wraps import KeyPair
from faxgw.people.accounts import key_id_of, memberships
from faxgw.people.keys import Membership
from faxgw.people.oidc_reach import may_enter, reachable
from faxgw.people.passkeys import let_unlock
from faxgw.people.recording import began, ended, not_let_in, own_account
from faxgw.people.sessions import begin_session, end_sessions, sessions_of, switch, unlock
from faxgw.people.signing_in import SignedIn, Tried
from faxgw.people.throttle import Locked
from faxgw.people.unlocking import count_locked
from faxgw.people.words import MOST_EMAIL, MOST_PASSWORD
from faxgw.store.tables import users

_COUNTED = frozenset({"auth.failed", "auth.code_wrong", "people.set_up_code"})
"""Failures, besides those of passkeys and identity providers, that are counted by address, logged and recorded."""

router = APIRouter(prefix="/v1/sessions", route_class=GuardedRoute, tags=["people"])

Email = Annotated[str, Field(max_length=MOST_EMAIL, description="By which one signs in.", examples=["a@example.com"])]
GivenPassword = Annotated[str, Field(max_length=MOST_PASSWORD, description="The password.")]
NewPassword = Annotated[str, Field(max_length=MOST_PASSWORD, description="The new one: 10 characters or more.")]
Code = Annotated[str, Field(max_length=20, description="Of the second factor, where there is one.")]
RecoveryCodeText = Annotated[str, Field(max_length=100, description="The recovery code.")]


Passkey = Annotated[
    dict[str, Any],
    Field(
        max_length=10,
        description="What the browser's `credential.toJSON()` gives, with its PRF result if there is one.",
    ),
]


class Where(Asked):
    """Where a session begins, and how it is carried."""

    tenant: UUID | None = Field(None, description="The tenant to begin in; null: the only one, or none yet.")
    cookie: bool = Field(False, description="Whether the token goes into a cookie, and not into the answer.")


class SignInRequest(Where):
    """Somebody signs in."""

    email: Email
    password: GivenPassword
    code: Code = ""
    recovery_code: Annotated[
        str, Field(max_length=100, description="In place of the code: it switches the second factor off, and is spent.")
    ] = ""
    passkey: Passkey | None = Field(None, description="In place of the code.")


class RecoveryRequest(Where):
    """Somebody has forgotten their password."""

    email: Email
    recovery_code: RecoveryCodeText
    new_password: NewPassword
    code: Code = ""
    passkey: Passkey | None = Field(None, description="In place of the code.")


class UnlockRequest(Asked):
    """A session that is locked is to open content: by the password, the recovery code or a passkey that unlocks."""

    password: Annotated[str, Field(max_length=MOST_PASSWORD, description="The password.")] = ""
    recovery_code: Annotated[str, Field(max_length=100, description="In its place; it is not spent.")] = ""
    code: Code = ""
    passkey: Passkey | None = Field(
        None, description="By itself, or in place of the code. With the password, it unlocks by itself from then on."
    )


class SwitchRequest(Asked):
    """A session is to go on in another tenant."""

    tenant: UUID = Field(description="Which: one of `memberships` of `GET /v1/people/me`.")


class Visit:
    """A request of somebody who is nobody yet."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.api: Api = request.app.state.api
        self.address = address_of(request.scope)
        self.now = self.api.credentials.now()

    def check_address(self) -> None:
        """Let this address try.

        Raises:
            Problem: ``auth.throttled``.
        """
        self.api.credentials.check_address(self.address)

    def refused(self, error: RequestError, email: str) -> Problem | RequestError:
        """Take note of a failure, and return what is answered."""
        if isinstance(error, Locked):
            return Problem(error.code, error.reason, headers={"retry-after": str(error.wait)})
        if error.code in _COUNTED or error.code.startswith(("passkey.", "oidc.")):
            self.api.credentials.failed(self.address)
            client = self.request.client
            not_let_in(self.api.gateway, email, error.code, address=client.host if client else "")
        return error


async def _visit_of(request: Request) -> Visit:
    return Visit(request)


Visitor = Annotated[Visit, Depends(_visit_of)]


@router.post("", status_code=201, response_model=NewSessionShape)
async def create_session(visit: Visitor, asked: SignInRequest) -> Response:
    """Sign in. The answer takes as long, and says as much, whether the address has an account or not."""
    visit.check_address()
    email = asked.email.strip().lower()
    tried = Tried(email, asked.password, asked.code, asked.recovery_code, asked.passkey)
    try:
        found = await visit.api.door.sign_in(tried, now=visit.now)
    except RequestError as error:
        raise visit.refused(error, email) from None
    return await begin(visit, Entry.of(found, "password"), asked)


@router.post(":recover", status_code=201, response_model=NewSessionShape)
async def recover_session(visit: Visitor, asked: RecoveryRequest) -> Response:
    """Sign in by the recovery code, with a new password; a new recovery code is shown this once.

    Nothing that was sealed is lost by it, and all other sessions end.
    """
    visit.check_address()
    email = asked.email.strip().lower()
    tried = Tried(email, code=asked.code, recovery_code=asked.recovery_code, passkey=asked.passkey)
    try:
        found = await visit.api.door.recover(tried, asked.new_password, now=visit.now)
    except RequestError as error:
        raise visit.refused(error, email) from None
    return await begin(visit, Entry.of(found, "recovery"), asked)


@router.get("", response_model=SessionsShape)
async def list_sessions(call: Caller) -> Response:
    """List one's own sessions."""
    now = call.api.credentials.now()
    async with call.gateway.database.dispatcher() as connection:
        person_id = await person_id_of(connection, call)
        rows = await sessions_of(connection, person_id, now=now) if person_id else []
    return ok({"items": [_shape(row, call) for row in rows if _within(call, row["tenant"])]})


@router.post("/current:switch", response_model=NewSessionShape)
async def switch_tenant(call: Caller, asked: SwitchRequest) -> Response:
    """Go on in another tenant that one belongs to; nothing of one is seen in another."""
    session = call.actor.session
    assert session is not None
    async with call.gateway.database.dispatcher() as connection:
        mine = reachable(call.gateway.config, session.provider, await memberships(connection, session.person_id))
        chosen = _chosen(mine, asked.tenant)
        await switch(connection, session.id, chosen["id"])
        await began(connection, chosen, session.id, now=call.api.credentials.now(), switched=True)
        body = await _body(connection, session.person_id, mine, chosen)
        body["unlocked"] = session.slot is not None
    call.api.credentials.forget(session.id)
    return ok({"session": session.id, "token": None, "recovery_code": None, **body})


@router.post("/current:unlock", status_code=204, response_class=Response)
async def unlock_session(call: Caller, asked: UnlockRequest) -> Response:
    """Have this session open content: one that was begun by a passkey or an identity provider that opens nothing."""
    session, visit = call.actor.session, Visit(call.request)
    assert session is not None
    visit.check_address()
    tried = Tried(session.email, asked.password, asked.code, asked.recovery_code, asked.passkey)
    try:
        found = await call.api.door.unlock(tried, second_factor=session.second_factor, now=visit.now)
    except RequestError as error:
        raise visit.refused(error, session.email) from None
    known = bool(asked.password or asked.recovery_code)
    async with call.gateway.database.dispatcher() as connection:
        token = SessionToken.parse(call.actor.secret)
        await unlock(connection, session.person_id, token, found.key_pair, password=known, second=found.second_factor)
        if known and found.passkey is not None:
            await let_unlock(connection, found.passkey, found.key_pair)
        await own_account(connection, call.actor, "session.unlocked", way=_way(asked))
    call.api.credentials.forget(session.id)
    return nothing()


@router.delete("/current", status_code=204, response_class=Response)
async def end_session(call: Caller) -> Response:
    """Sign off: the session ends at once, on every node."""
    assert call.actor.session is not None
    return await _end(call, only=call.actor.session.id)


@router.delete("", status_code=204, response_class=Response)
async def end_all_sessions(call: Caller) -> Response:
    """Sign off everywhere, here too."""
    return await _end(call)


@router.delete("/{session_id:uuid}", status_code=204, response_class=Response)
async def revoke_session(call: Caller, session_id: UUID) -> Response:
    """End one of one's own sessions."""
    return await _end(call, only=session_id)


async def person_id_of(connection: AsyncConnection, call: Call) -> UUID | None:
    """Return who asks; None: a membership that nobody has taken up."""
    if call.actor.session is not None:
        return call.actor.session.person_id
    found = users.select().with_only_columns(users.c.person_id).where(users.c.id == call.actor.user_id)
    person_id: UUID | None = (await connection.execute(found)).scalar_one_or_none()
    return person_id


def membership(row: Row, person_key_id: str) -> dict[str, Any]:
    """Return a membership as it is answered; ``row``: of ``accounts.memberships``."""
    return {
        "tenant": {"id": row["tenant_id"], "name": row["tenant"]},
        "user": row["id"],
        "role": row["role"],
        "locked": Membership.of(row).locked_to(person_key_id),
    }


async def _end(call: Call, only: UUID | None = None) -> Response:
    async with call.gateway.database.dispatcher() as connection:
        person_id = await person_id_of(connection, call)
        done = await end_sessions(connection, person_id, only=only) if person_id else 0
        if only is not None and not done:
            raise Problem("request.not_found", "There is no such session of yours.")
        await ended(connection, call.actor, done)
    call.api.credentials.forget(only or person_id)
    response = nothing()
    if call.request.cookies.get(COOKIE):
        response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="strict")
    return response


def _within(call: Call, tenant: str | None) -> bool:
    """Tell whether what is of a tenant is any business of this session: one by a provider knows of no other tenants."""
    session = call.actor.session
    return session is None or tenant is None or may_enter(call.gateway.config, session.provider, tenant)


def _way(asked: UnlockRequest) -> str:
    return "recovery" if asked.recovery_code else "password" if asked.password else "passkey"


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody was let in.

    Attributes:
        key_pair: their private key; None: the session will be locked.
        way: ``password``, ``recovery``, ``passkey`` or ``oidc``.
        provider: which one vouched for them; only its tenants are entered.
    """

    person_id: UUID
    key_pair: KeyPair | None
    second_factor: bool
    way: str
    recovery_code: RecoveryCode | None = None
    provider: str | None = None

    @classmethod
    def of(cls, found: SignedIn, way: str) -> "Entry":
        """Return that of somebody whose secret opened their key."""
        return cls(found.person_id, found.key_pair, found.second_factor, way, found.recovery_code)


async def begin(visit: Visit, found: Entry, asked: Where) -> Response:
    """Begin a session of somebody who was let in, and answer with it.

    Raises:
        Problem: ``request.not_found``, if they do not belong to the tenant that they asked for.
    """
    gateway = visit.api.gateway
    async with gateway.database.dispatcher() as connection:
        mine = reachable(gateway.config, found.provider, await memberships(connection, found.person_id))
        chosen = _chosen(mine, asked.tenant) if asked.tenant else mine[0] if len(mine) == 1 else None
        token = await begin_session(
            connection,
            gateway.server_keys,
            person_id=found.person_id,
            key_pair=found.key_pair,
            user_id=chosen["id"] if chosen else None,
            second_factor=found.second_factor,
            address=visit.address,
            agent=visit.request.headers.get("user-agent", ""),
            now=visit.now,
            way=found.way,
            provider=found.provider,
        )
        for each in [chosen] if chosen else mine:
            await began(connection, each, token.id, now=visit.now, way=found.way, unlocked=found.key_pair is not None)
        body = await _body(connection, found.person_id, mine, chosen)
        body["unlocked"] = found.key_pair is not None
    new = found.recovery_code.text if found.recovery_code else None
    shown = None if asked.cookie else token.text
    answer = json_response(dumped({"session": token.id, "token": shown, "recovery_code": new, **body}), 201)
    if asked.cookie:
        answer.set_cookie(COOKIE, token.text, secure=True, httponly=True, samesite="strict", path="/")
    return answer


def _chosen(mine: Any, tenant_id: UUID) -> Row:
    for row in mine:
        if row["tenant_id"] == tenant_id:
            found: Row = row
            return found
    raise Problem("request.not_found", "You do not belong to such a tenant.")


async def _body(connection: AsyncConnection, person_id: UUID, mine: Any, chosen: Row | None) -> dict[str, Any]:
    key_id = await key_id_of(connection, person_id)
    return {
        "tenant": {"id": chosen["tenant_id"], "name": chosen["tenant"]} if chosen else None,
        "memberships": [membership(row, key_id) for row in mine],
        "locked_keys": await count_locked(connection, person_id),
    }


def _shape(row: Row, call: Call) -> dict[str, Any]:
    same = {
        name: row[name]
        for name in ("id", "way", "second_factor", "unlocked", "address", "agent", "created_at", "seen_at")
    }
    tenant = {"id": row["tenant_id"], "name": row["tenant"]} if row["tenant_id"] else None
    return {**same, "tenant": tenant, "current": row["id"] == call.actor.session_id}
