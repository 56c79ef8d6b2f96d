"""Passkeys: signing in by one, and one's own."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field, StringConstraints
from starlette.responses import Response

from faxgw.api.answers import json_response, nothing, ok
from faxgw.api.call import Caller
from faxgw.api.guard import GuardedRoute
from faxgw.api.json import dumped
from faxgw.api.people_shapes import NewSessionShape, PasskeyOptionsShape, PasskeyShape, PasskeysShape
from faxgw.api.problems import Problem
from faxgw.api.resources.editing import Asked, Row
from faxgw.api.resources.people import Proof, proven, session_of
from faxgw.api.resources.sessions import Entry, Passkey, Visit, Visitor, Where, begin, person_id_of
from faxgw.errors import RequestError
from faxgw.people import own_passkeys, passkeys
from faxgw.people.recording import own_account
from faxgw.people.sessions import forget_second_factor

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["people"])

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True),
    Field(min_length=1, max_length=80, description="What it is called.", examples=["My telephone"]),
]


class PasskeySignIn(Where):
    """Somebody signs in by a passkey."""

    passkey: Passkey


class NewPasskey(Proof):
    """A passkey is to be registered."""

    name: Name
    credential: Passkey


class NameRequest(Asked):
    """A passkey is to be called something else."""

    name: Name


@router.post("/sessions:passkey-options", response_model=PasskeyOptionsShape)
async def ask_passkey(visit: Visitor) -> Response:
    """Begin to sign in by a passkey, or to show one as a second factor; the same for everybody."""
    visit.check_address()
    return ok({"publicKey": passkeys.sign_in_options(visit.api.gateway, now=visit.now)})


@router.post("/sessions:passkey", status_code=201, response_model=NewSessionShape)
async def create_passkey_session(visit: Visitor, asked: PasskeySignIn) -> Response:
    """Sign in by a passkey. If it gives a PRF result and was registered with one, the session opens content."""
    visit.check_address()
    try:
        found = await visit.api.door.by_passkey(asked.passkey, now=visit.now)
    except RequestError as error:
        raise visit.refused(error, await _claimed(visit, asked)) from None
    entry = Entry(found.person["id"], found.key_pair, second_factor=True, way="passkey")
    return await begin(visit, entry, asked)


@router.get("/me/passkeys", response_model=PasskeysShape)
async def list_passkeys(call: Caller) -> Response:
    """List one's own passkeys."""
    async with call.gateway.database.dispatcher() as connection:
        person_id = await person_id_of(connection, call)
        rows = await own_passkeys.passkeys_of(connection, person_id) if person_id else []
    return ok({"items": [_shape(row) for row in rows]})


@router.post("/me/passkeys:options", response_model=PasskeyOptionsShape)
async def ask_new_passkey(call: Caller) -> Response:
    """Begin to register a passkey."""
    session = session_of(call)
    async with call.gateway.database.dispatcher() as connection:
        options = await own_passkeys.registration_options(
            connection,
            call.gateway,
            person_id=session.person_id,
            email=session.email,
            now=call.api.credentials.now(),
        )
    return ok({"publicKey": options})


@router.post("/me/passkeys", status_code=201, response_model=PasskeyShape)
async def create_passkey(call: Caller, asked: NewPasskey) -> Response:
    """Register a passkey. From now on, the password alone is not enough: a second factor is asked for."""
    found = await proven(call, asked)
    try:
        row = await own_passkeys.register(
            call.gateway,
            asked.credential,
            person_id=found.person_id,
            key_pair=found.key_pair,
            name=asked.name,
            now=call.api.credentials.now(),
        )
    except RequestError as error:
        raise Visit(call.request).refused(error, session_of(call).email) from None
    async with call.gateway.database.dispatcher() as connection:
        await own_account(connection, call.actor, "passkey.added", passkey=str(row["id"]), unlocks=row["unlocks"])
    return json_response(dumped(_shape(row)), 201)


@router.post("/me/passkeys/{passkey_id:uuid}:rename", status_code=204, response_class=Response)
async def rename_passkey(call: Caller, passkey_id: UUID, asked: NameRequest) -> Response:
    """Call a passkey something else."""
    async with call.gateway.database.dispatcher() as connection:
        if not await own_passkeys.rename(connection, session_of(call).person_id, passkey_id, asked.name):
            raise Problem("request.not_found", "You have no such passkey.")
    return nothing()


@router.post("/me/passkeys/{passkey_id:uuid}:remove", status_code=204, response_class=Response)
async def remove_passkey(call: Caller, passkey_id: UUID, asked: Proof) -> Response:
    """Remove a passkey; the last way to sign in stays."""
    found = await proven(call, asked)
    async with call.gateway.database.dispatcher() as connection:
        if not await own_passkeys.remove(connection, found.person_id, passkey_id):
            raise Problem("request.not_found", "You have no such passkey.")
        if found.person["totp"] is None and not await own_passkeys.has_passkeys(connection, found.person_id):
            await forget_second_factor(connection, found.person_id)
        await own_account(connection, call.actor, "passkey.removed", passkey=str(passkey_id))
    call.api.credentials.forget(found.person_id)
    return nothing()


async def _claimed(visit: Visit, asked: PasskeySignIn) -> str:
    """Return the address of whose passkey it was to be, for the record of a failure; empty: nobody's."""
    return await passkeys.claimed_by(visit.api.gateway, asked.passkey)


def _shape(row: Row) -> dict[str, object]:
    return {name: row[name] for name in ("id", "name", "unlocks", "backed_up", "created_at", "used_at")}
