"""One's own account: password, recovery code, second factor, and keys that a reset has locked."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import select, update
from starlette.responses import Response

from faxgw.actor import Session
from faxgw.api.answers import json_response, nothing, ok
from faxgw.api.call import Call, Caller
from faxgw.api.guard import GuardedRoute
from faxgw.api.json import dumped
from faxgw.api.people_shapes import PersonShape, RecoveryCodeShape, SetUpShape, TotpShape, UnlockedShape
from faxgw.api.problems import Problem
from faxgw.api.resources.editing import Asked
from faxgw.api.resources.sessions import (
    Code,
    GivenPassword,
    NewPassword,
    Passkey,
    Visit,
    Visitor,
    membership,
    person_id_of,
)
from faxgw.audit import record
from faxgw.errors import RequestError
from faxgw.keys.slots import RecoveryCode, make_slot
from faxgw.people import totp
from faxgw.people.accounts import memberships
from faxgw.people.keys import replace_slot
from faxgw.people.oidc_reach import reachable
from faxgw.people.own_passkeys import has_passkeys, has_password, remove_password
from faxgw.people.recording import own_account
from faxgw.people.sessions import end_sessions, forget_second_factor, tell_of
from faxgw.people.setting_up import set_up
from faxgw.people.signing_in import SignedIn, Tried, switch_off_codes
from faxgw.people.throttle import Locked
from faxgw.people.unlocking import begin_anew, count_locked, unlock_older
from faxgw.people.words import check_password
from faxgw.store.tables import people, sessions, users

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["people"])

_KEPT = "Everything that was sealed to you opens as before."
_LOCKED = (
    "What was sealed to you is locked: it opens again with your recovery code, the password of before or an API key "
    "that opens content, by POST /v1/me/keys:recover."
)


class SetUpRequest(Asked):
    """Somebody comes in by a set-up code."""

    set_up_code: str = Field(max_length=100, description="As an owner or admin has given it.")
    password: Annotated[
        str,
        Field(max_length=1000, description="The new password; of somebody invited who has an account: the one of it."),
    ]
    code: Code = ""
    recovery_code: str = Field(
        "", max_length=100, description="After a reset, if there is one: then nothing that was sealed is locked."
    )


class PasswordChange(Asked):
    """Another password."""

    old: GivenPassword
    new: NewPassword


class Proof(Asked):
    """It is still the person who is there."""

    password: Annotated[str, Field(max_length=1000, description="The password.")] = ""
    passkey: Passkey | None = Field(None, description="In its place, one that unlocks.")


class CodeRequest(Asked):
    """A code of the authenticator."""

    code: Code


class RemoveRequest(Proof):
    """The second factor is to go."""

    code: Code


class OlderSecret(Asked):
    """A secret of before a reset."""

    secret: str = Field("", max_length=1000, description="A password, a recovery code, an API key that opens content.")
    passkey: Passkey | None = Field(None, description="In its place, a passkey of then that unlocked, asked as ever.")


@router.post("/people:set-up", status_code=201, response_model=SetUpShape)
async def set_up_person(visit: Visitor, asked: SetUpRequest) -> Response:
    """Use a set-up code: take up a membership, or set a password anew. It is good for once."""
    visit.check_address()
    gateway = visit.api.gateway
    try:
        done = await set_up(
            gateway,
            visit.api.door,
            asked.set_up_code,
            password=asked.password,
            code=asked.code,
            recovery_code=asked.recovery_code,
            now=visit.now,
        )
    except RequestError as error:
        raise visit.refused(error, "") from None
    user = done.user
    async with gateway.database.dispatcher() as connection:
        await record(
            connection,
            tenant_id=user["tenant_id"],
            actor=f"user:{user['id']}",
            action="user.set_up",
            object="user",
            object_id=user["id"],
            data={"kind": user["code_kind"], "locked": done.locked},
        )
    body = {
        "tenant": {"id": user["tenant_id"], "name": user["tenant"]},
        "user": user["id"],
        "recovery_code": done.recovery_code.text if done.recovery_code else None,
        "locked": done.locked,
        "detail": _LOCKED if done.locked else _KEPT,
    }
    return json_response(dumped(body), 201)


@router.get("/people/me", response_model=PersonShape)
async def get_me(call: Caller) -> Response:
    """Say who one is, and where one belongs."""
    async with call.gateway.database.dispatcher() as connection:
        person_id = await person_id_of(connection, call)
        if person_id is None:
            raise Problem("request.not_found", "Nobody has taken up this membership: there is no account.")
        person = (await connection.execute(select(people).where(people.c.id == person_id))).mappings().one()
        provider = call.actor.session.provider if call.actor.session else None
        mine = reachable(call.gateway.config, provider, await memberships(connection, person_id))
        body = {
            "email": person["email"],
            "second_factor": person["totp"] is not None or await has_passkeys(connection, person_id),
            "password": await has_password(connection, person_id),
            "memberships": [membership(row, person["key_id"]) for row in mine],
            "locked_keys": await count_locked(connection, person_id),
        }
    return ok(body)


@router.post("/me/password", status_code=204, response_class=Response)
async def change_password(call: Caller, asked: PasswordChange) -> Response:
    """Change the password: one slot is written anew, and no data. All other sessions end."""
    check_password(asked.new)
    found = await proven(call, Proof(password=asked.old, passkey=None))
    slot = await make_slot(found.key_pair, call.api.door.password(asked.new))
    session = session_of(call)
    async with call.gateway.database.dispatcher() as connection:
        await replace_slot(connection, session.person_id, found.key_pair.public, slot)
        await end_sessions(connection, session.person_id, but=session.id)
        await own_account(connection, call.actor, "password.changed")
    call.api.credentials.forget(session.person_id)
    return nothing()


@router.post("/me/password:remove", status_code=204, response_class=Response)
async def remove_own_password(call: Caller, asked: Proof) -> Response:
    """Come in by passkeys only, from now on; at least one must unlock. The recovery code sets a password again."""
    found = await proven(call, asked)
    async with call.gateway.database.dispatcher() as connection:
        await remove_password(connection, found.person_id)
        await own_account(connection, call.actor, "password.removed")
    return nothing()


@router.post("/me/recovery-code", status_code=201, response_model=RecoveryCodeShape)
async def renew_recovery_code(call: Caller, asked: Proof) -> Response:
    """Get another recovery code, shown this once; the one of before is good for nothing any more."""
    found = await proven(call, asked)
    code = RecoveryCode.generate()
    slot = await make_slot(found.key_pair, code)
    async with call.gateway.database.dispatcher() as connection:
        await replace_slot(connection, found.person_id, found.key_pair.public, slot)
        await own_account(connection, call.actor, "recovery_code.renewed")
    return json_response(dumped({"recovery_code": code.text}), 201)


@router.post("/me/totp", status_code=201, response_model=TotpShape)
async def enrol_totp(call: Caller, asked: Proof) -> Response:
    """Set up a second factor, or another one; it counts once a code of it was confirmed."""
    found = await proven(call, asked)
    secret = totp.new_secret()
    sealed = totp.sealed(call.gateway.server_keys, found.person_id, secret)
    async with call.gateway.database.dispatcher() as connection:
        await connection.execute(update(people).where(people.c.id == found.person_id).values(totp_new=sealed))
    return json_response(dumped({"secret": secret, "uri": totp.uri(secret, email=found.person["email"])}), 201)


@router.post("/me/totp:confirm", status_code=204, response_class=Response)
async def confirm_totp(call: Caller, asked: CodeRequest) -> Response:
    """Confirm a second factor by a code of it; from now on, signing in needs one. This session has shown it."""
    session, now = session_of(call), call.api.credentials.now()
    async with call.api.door.trying(session.email, now=now), call.gateway.database.dispatcher() as connection:
        mine = people.c.id == session.person_id
        person = (await connection.execute(select(people).where(mine))).mappings().one()
        if person["totp_new"] is None:
            raise Problem("people.no_code")
        keys = call.gateway.server_keys
        if not await totp.take_code(connection, keys, person, asked.code, now=now, column="totp_new"):
            raise Problem("auth.code_wrong")
        await connection.execute(update(people).where(mine).values(totp=people.c.totp_new, totp_new=None))
        await connection.execute(update(sessions).where(sessions.c.id == session.id).values(second_factor=True))
        await end_sessions(connection, session.person_id, but=session.id)
        await tell_of(connection, session.id)
        await own_account(connection, call.actor, "second_factor.added")
    call.api.credentials.forget(session.person_id)
    return nothing()


@router.post("/me/totp:remove", status_code=204, response_class=Response)
async def remove_totp(call: Caller, asked: RemoveRequest) -> Response:
    """Remove the second factor, by the password and a code of it."""
    found = await proven(call, asked)
    session, now = session_of(call), call.api.credentials.now()
    async with call.api.door.trying(session.email, now=now), call.gateway.database.dispatcher() as connection:
        if found.person["totp"] is None:
            raise Problem("people.no_code")
        if not await totp.take_code(connection, call.gateway.server_keys, found.person, asked.code, now=now):
            raise Problem("auth.code_wrong")
        await switch_off_codes(connection, session.person_id)
        if not await has_passkeys(connection, session.person_id):
            await forget_second_factor(connection, session.person_id)
        await own_account(connection, call.actor, "second_factor.removed")
    call.api.credentials.forget(session.person_id)
    return nothing()


@router.post("/me/keys:recover", response_model=UnlockedShape)
async def recover_keys(call: Caller, asked: OlderSecret) -> Response:
    """Open what a reset has locked, by a secret of before: nothing sealed is lost as long as there is one."""
    session = session_of(call)
    try:
        done = await unlock_older(
            call.gateway,
            call.api.door,
            session.person_id,
            asked.secret,
            passkey=asked.passkey,
            now=call.api.credentials.now(),
        )
    except RequestError as error:
        raise Visit(call.request).refused(error, session.email) from None
    async with call.gateway.database.dispatcher() as connection:
        await own_account(connection, call.actor, "keys.recovered", keys=done.keys, objects=done.objects)
    call.api.credentials.forget(session.person_id)
    return ok({"keys": done.keys, "objects": done.objects, "locked_keys": done.locked})


@router.post("/me/keys:renew", status_code=204, response_class=Response)
async def renew_keys(call: Caller, asked: Proof) -> Response:
    """Begin anew in this tenant where a reset has locked the key: what comes from now on opens.

    What is older stays locked until an older secret opens it. API keys that open content open what is older only.
    """
    found = await proven(call, asked)
    async with call.gateway.database.dispatcher() as connection:
        this = select(users).where(users.c.id == call.actor.user_id).with_for_update()
        user = (await connection.execute(this)).mappings().one()
        await begin_anew(connection, user, found.key_pair.public)
        await own_account(connection, call.actor, "keys.renewed")
    call.api.credentials.forget(call.actor.user_id)
    return nothing()


async def proven(call: Call, proof: Proof) -> SignedIn:
    """Return the person, who has given their password again, or a passkey that unlocks.

    Raises:
        Problem: ``auth.failed``, ``auth.locked``, ``passkey.*``, ``key.locked``.
    """
    tried = Tried(session_of(call).email, proof.password, passkey=proof.passkey)
    try:
        return await call.api.door.check(tried, now=call.api.credentials.now())
    except Locked as locked:
        raise _waiting(locked) from None


def _waiting(locked: Locked) -> Problem:
    return Problem(locked.code, locked.reason, headers={"retry-after": str(locked.wait)})


def session_of(call: Call) -> Session:
    """Return the session of somebody who has signed in."""
    assert call.actor.session is not None
    return call.actor.session
