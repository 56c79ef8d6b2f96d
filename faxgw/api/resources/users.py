"""The members of a tenant: invited, listed, given roles, reset, deactivated by its owners and admins."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.answers import Answer, nothing, ok, version_of, version_tag
from faxgw.api.call import Call, Caller
from faxgw.api.guard import GuardedRoute
from faxgw.api.paging import USUAL, Cursor, Limit, newest_first, page
from faxgw.api.people_shapes import InvitedShape, MemberShape, ResetShape, Role
from faxgw.api.problems import Problem
from faxgw.api.resources.auditing import note
from faxgw.api.resources.editing import Asked, IfMatch, Row, one
from faxgw.api.resources.sessions import Email
from faxgw.api.shapes import Page
from faxgw.audit import pseudonym, record
from faxgw.escrow.policy import leave
from faxgw.escrow.telling import tell_everybody
from faxgw.people.members import change, end_sessions_of, invite, reset
from faxgw.people.throttle import locks_of
from faxgw.store.tables import people, users

router = APIRouter(prefix="/v1/users", route_class=GuardedRoute, tags=["people"])


class InviteRequest(Asked):
    """Somebody is to be invited."""

    email: Email
    role: Role = Field("member", description="What they are to be; only owners make owners.")


class UserRequest(Asked):
    """A member as they are to be."""

    role: Role = Field(description="What they are to be; only owners make owners, and change what these are.")
    active: bool = Field(True, description="False: they cannot come in, and neither can their API keys.")


@router.get("", response_model=Page[MemberShape])
async def list_users(call: Caller, limit: Limit = USUAL, cursor: Cursor = None) -> Response:
    """List the members of the tenant, those who were deactivated too."""
    statement = newest_first(select(users), users.c.id, limit=limit, cursor=cursor)
    async with call.transaction() as connection:
        rows = (await connection.execute(statement)).mappings().all()
    about = await _about(call, rows)
    return ok(page(rows, lambda row: _shape(row, about), limit=limit))


@router.post("", status_code=201, response_model=InvitedShape)
async def invite_user(call: Caller, asked: InviteRequest) -> Response:
    """Invite somebody: give them the code, by which they come in. Faxes for them are sealed to them from now on.

    The answer is the same whether the address has an account already or not.
    """

    async def work(connection: AsyncConnection) -> Answer:
        made = await invite(
            connection,
            call.gateway.server_keys,
            tenant_id=call.actor.tenant_id,
            by_role=call.actor.role,
            email=asked.email,
            role=asked.role,
            now=call.api.credentials.now(),
        )
        await _record(connection, call, "user.invited", made.user, role=asked.role)
        body = {**_shape(made.user, {}), "set_up_code": made.code, "expires_at": made.until}
        headers = {"location": f"/v1/users/{made.user['id']}", "etag": version_tag(made.user["version"])}
        return Answer(201, body, headers, secret=frozenset({"set_up_code"}))

    return await call.once(work)


@router.get("/{user_id:uuid}", response_model=MemberShape)
async def get_user(call: Caller, user_id: UUID) -> Response:
    """Say what a member is, and whether too many tries to sign in have locked them out."""
    async with call.transaction() as connection:
        row = await one(connection, select(users).where(users.c.id == user_id))
    return ok(_shape(row, await _about(call, [row])), etag=version_tag(row["version"]))


@router.put("/{user_id:uuid}", response_model=MemberShape)
async def change_user(call: Caller, user_id: UUID, asked: UserRequest, if_match: IfMatch = None) -> Response:
    """Give a member another role, or deactivate or reactivate them. A tenant always has an owner.

    Rights to other people's boxes end when somebody is deactivated; reactivated, they have none until given anew.
    """
    row = await _change(call, user_id, role=asked.role, active=asked.active, version=version_of(if_match))
    return ok(_shape(row, await _about(call, [row])), etag=version_tag(row["version"]))


@router.delete("/{user_id:uuid}", status_code=204, response_class=Response)
async def deactivate_user(call: Caller, user_id: UUID) -> Response:
    """Deactivate a member: neither they nor their API keys come in, and their rights to other boxes end.

    What they have stays sealed to them.
    """
    await _change(call, user_id, role=None, active=False, version=None)
    return nothing()


@router.post("/{user_id:uuid}:reset", status_code=201, response_model=ResetShape)
async def reset_user(call: Caller, user_id: UUID) -> Response:
    """Let a member set a password anew, by a code. It opens no fax of theirs, and loses none.

    Without their recovery code, what they have stays locked until they give an older secret. Until the code is used,
    the old password is good.
    """

    async def work() -> Answer:
        async with call.transaction() as connection:
            row = await one(connection, select(users).where(users.c.id == user_id))
        now, keys = call.api.credentials.now(), call.gateway.server_keys
        async with call.gateway.database.dispatcher() as connection:
            made = await reset(connection, keys, row, by_role=call.actor.role, now=now)
        async with call.transaction() as connection:
            await _record(connection, call, "user.reset", row)
        body = {
            "set_up_code": made.code,
            "expires_at": made.until,
            "recovery_code": made.recovery_code,
            "api_keys": made.api_keys,
            "passkeys": made.passkeys,
            "detail": _DETAIL if row["person_id"] else _INVITED,
        }
        return Answer(201, body, secret=frozenset({"set_up_code"}))

    return await call.once_around(work)


_DETAIL = (
    "Whoever uses the code with the recovery code opens everything as before. Without it, all faxes of theirs stay "
    "locked until they give the recovery code, the password of before, a passkey that unlocked, or an API key "
    "that opens content."
)
_INVITED = (
    "The code of before is good for nothing any more. What was sealed to them since they were invited opened with that "
    "code only."
)


async def _change(call: Call, user_id: UUID, *, role: Role | None, active: bool, version: int | None) -> Row:
    async with call.transaction() as connection:
        before = await one(connection, select(users).where(users.c.id == user_id).with_for_update())
        if version is not None and before["version"] != version:
            raise Problem("request.precondition", f"It has version {before['version']} by now; read it again.")
        now = call.api.credentials.now()
        row = await change(connection, before, by=call.actor, role=role or before["role"], active=active, now=now)
        changes = {"role": [before["role"], row["role"]], "active": [before["deactivated_at"] is None, active]}
        await _record(connection, call, "user.changed", row, **changes)
        if not active and await leave(connection, row):
            await note(connection, call, "escrow.trustee_left", user_id)
            await tell_everybody(connection, row["tenant_id"], on=True)
    if not active:
        await end_sessions_of(call.gateway, user_id)
    call.api.credentials.forget(user_id)
    return row


async def _record(connection: AsyncConnection, call: Call, action: str, user: Row, **data: object) -> None:
    tenant_id = call.actor.tenant_id
    who = pseudonym(call.gateway.server_keys, tenant_id=tenant_id, subject=user["email"])
    await record(
        connection,
        tenant_id=tenant_id,
        actor=call.actor,
        action=action,
        object="user",
        object_id=user["id"],
        data={"who": who, **data},
    )


async def _about(call: Call, rows: Any) -> Mapping[UUID, tuple[bool, datetime | None]]:
    """Return of members whether they have a second factor, and until when they are locked out."""
    taken = {row["id"]: row["person_id"] for row in rows if row["person_id"]}
    emails = {row["id"]: row["email"] for row in rows}
    async with call.gateway.database.dispatcher() as connection:
        found = select(people.c.id).where(people.c.id.in_(taken.values()), people.c.totp.is_not(None))
        with_factor = set((await connection.execute(found)).scalars())
        now = call.api.credentials.now()
        locks = await locks_of(connection, call.gateway.server_keys, emails, now=now)
    return {user_id: (taken.get(user_id) in with_factor, locks.get(user_id)) for user_id in emails}


def _shape(row: Row, about: Mapping[UUID, tuple[bool, datetime | None]]) -> dict[str, Any]:
    second_factor, locked_until = about.get(row["id"], (False, None))
    state = "deactivated" if row["deactivated_at"] else "active" if row["person_id"] else "invited"
    same = {name: row[name] for name in ("id", "email", "role", "created_at", "deactivated_at")}
    return {**same, "state": state, "second_factor": second_factor, "locked_until": locked_until}
