"""What a set-up code is good for: taking up a membership, or setting a password anew after a reset.

A reset opens nothing by itself. With the recovery code everything stays open; without it the person gets a new key, and
what was sealed to the old one stays locked until one of its secrets is given (``unlocking``).
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.errors import RequestError
from faxgw.gateway import Gateway
from faxgw.keys.slots import Password, RecoveryCode
from faxgw.keys.tokens import SetUpCode
from faxgw.keys.wraps import KeyPair, PublicKey
from faxgw.people.accounts import Draft, Row, person_of, save_person, take_up
from faxgw.people.codes import find_code, key_pair_of, use_code
from faxgw.people.keys import opened, slot_of
from faxgw.people.sessions import end_sessions, tell_of
from faxgw.people.signing_in import Door, Tried, read_recovery_code, switch_off
from faxgw.people.unlocking import retire_keys
from faxgw.people.words import check_password
from faxgw.store.tables import people


@dataclass(frozen=True, slots=True)
class SetUpDone:
    """Somebody can sign in now.

    Attributes:
        recovery_code: shown this once; None: they had an account, and have its code.
        locked: whether what was sealed to them before stays locked for now.
    """

    user: Row
    recovery_code: RecoveryCode | None
    locked: bool


async def set_up(
    gateway: Gateway, door: Door, text: str, *, password: str, code: str = "", recovery_code: str = "", now: datetime
) -> SetUpDone:
    """Spend a set-up code.

    Args:
        gateway: where.
        door: what people who have an account already sign in by.
        text: the set-up code.
        password: the new one; of somebody invited who has an account, the one that they have.
        code: of their second factor, in that case.
        recovery_code: after a reset, if they have it: then nothing is locked.
        now: when.

    Raises:
        RequestError: ``people.set_up_code``, ``people.password``, ``people.recovery_code``, or as ``Door.sign_in``.
    """
    async with gateway.database.dispatcher() as connection:
        found, user = await find_code(connection, gateway.server_keys, text, now=now)
        known = await person_of(connection, user["email"])
    if user["code_kind"] == "reset":
        return await _reset(gateway, found, user, password=door.password(password), recovery_code=recovery_code)
    if known is None:
        return await _join_anew(gateway, found, user, door.password(password))
    signed_in = await door.sign_in(Tried(user["email"], password, code), now=now)
    async with gateway.database.dispatcher() as connection:
        await _join(connection, found, user, signed_in.person_id, signed_in.key_pair.public)
    return SetUpDone(user, None, locked=False)


async def _join_anew(gateway: Gateway, code: SetUpCode, user: Row, password: Password) -> SetUpDone:
    check_password(password.text)
    draft = await Draft.of(password)
    async with gateway.database.dispatcher() as connection:
        person_id = await save_person(connection, draft, email=user["email"])
        await _join(connection, code, user, person_id, draft.key_pair.public)
    return SetUpDone(user, draft.recovery_code, locked=False)


async def _join(connection: AsyncConnection, code: SetUpCode, user: Row, person_id: UUID, person: PublicKey) -> None:
    key_pair = await key_pair_of(connection, code, user)
    await use_code(connection, code, user["id"])
    await take_up(connection, user, key_pair, person_id=person_id, person=person)


async def _reset(gateway: Gateway, code: SetUpCode, user: Row, *, password: Password, recovery_code: str) -> SetUpDone:
    check_password(password.text)
    key_pair = await _recovered(gateway, user, recovery_code) if recovery_code else None
    draft = await Draft.of(password, key_pair)
    person_id: UUID = user["person_id"]
    async with gateway.database.dispatcher() as connection:
        await use_code(connection, code, user["id"])
        if key_pair is None:
            await retire_keys(connection, person_id)
            await connection.execute(update(people).where(people.c.id == person_id).values(draft.public))
        await draft.save(connection, person_id)
        await switch_off(connection, person_id)
        await end_sessions(connection, person_id)
        await tell_of(connection, person_id)
    return SetUpDone(user, draft.recovery_code, locked=key_pair is None)


async def _recovered(gateway: Gateway, user: Row, recovery_code: str) -> KeyPair:
    """Return the person's key pair.

    Raises:
        RequestError: ``people.recovery_code``; nothing was changed then.
    """
    async with gateway.database.dispatcher() as connection:
        found = select(people.c.public_key).where(people.c.id == user["person_id"])
        public_key: bytes = (await connection.execute(found)).scalar_one()
        slot = await slot_of(connection, user["person_id"], "recovery")
    given = read_recovery_code(recovery_code)
    key_pair = await opened(slot, given, public_key) if given else None
    if key_pair is None:
        raise RequestError("people.recovery_code", "This is not the recovery code; leave it out if you have none.")
    return key_pair
