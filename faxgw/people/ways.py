"""The ways to a membership's private key: by a session that somebody asks with, and all there are, for an export."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.errors import RequestError
from faxgw.keys.export import Holder
from faxgw.keys.slots import PasskeySecret, SessionSecret, Slot, WrongSecret, open_slot
from faxgw.keys.tokens import SessionToken
from faxgw.keys.wraps import KeyPair, PublicKey, WrapBroken
from faxgw.people.keys import Membership
from faxgw.store.tables import api_keys, key_slots, people, person_slots, retired_keys, users

Row = Mapping[Any, Any]

_HERE_ONLY = (SessionSecret.kind, PasskeySecret.kind)


LOCKED = (
    "This session is signed in, but opens no content: unlock it by POST /v1/sessions/current:unlock with your "
    "password, your recovery code or a passkey that unlocks."
)


async def open_session(actor: Actor) -> KeyPair:
    """Return the private key of who asks, by the secret of their session.

    Raises:
        RequestError: ``key.locked``, if the password was reset, and no older secret was given since.
    """
    person = await open_person(actor)
    assert actor.session is not None
    try:
        return Membership(actor.tenant_id, actor.user_id, actor.session.key_id, actor.session.key_wrap).unlock(person)
    except WrapBroken:
        raise RequestError(
            "key.locked",
            "What is sealed to you is locked since your password was reset: give your recovery code, the password or a "
            "passkey of before, or an API key that opens content to POST /v1/me/keys:recover.",
        ) from None


async def open_person(actor: Actor) -> KeyPair:
    """Return the private key of the person who asks, by the secret of their session.

    Raises:
        RequestError: ``key.locked``, if the session is none, has ended meanwhile, or was never unlocked.
    """
    if actor.session is not None and actor.session.slot is None:
        raise RequestError("key.locked", LOCKED)
    try:
        if actor.session is None or actor.session.slot is None:
            raise WrongSecret
        secret = SessionSecret(SessionToken.parse(actor.secret).secret)
        return await open_slot(actor.session.slot, secret, public_key=PublicKey.from_octets(actor.session.person_key))
    except WrongSecret:
        raise RequestError("key.locked", "This session opens nothing any more: sign in again.") from None


async def ways_to(connection: AsyncConnection, user_id: UUID) -> tuple[tuple[Slot, ...], tuple[Holder, ...]]:
    """Return all ways to a membership's present private key: straight ones, and those over the person's keys.

    ``connection`` is the dispatcher's. Sessions and passkeys are none that an export could use.
    """
    user = (await connection.execute(select(users).where(users.c.id == user_id))).mappings().one()
    good = api_keys.c.revoked_at.is_(None) & func.coalesce(api_keys.c.expires_at > func.now(), true())
    found = select(key_slots).join(api_keys, api_keys.c.id == key_slots.c.api_key_id)
    found = found.where(key_slots.c.user_id == user_id, good)
    straight = [_slot(row) for row in (await connection.execute(found)).mappings()]
    holders = []
    for key_id, key_wrap in await _wraps(connection, user):
        mine = (person_slots.c.person_id == user["person_id"]) & (person_slots.c.key_id == key_id)
        rows = (
            await connection.execute(select(person_slots).where(mine, person_slots.c.kind.not_in(_HERE_ONLY)))
        ).mappings()
        found_slots = [(row["public_key"], _slot(row)) for row in rows]
        if key_wrap is None:
            straight += [slot for _, slot in found_slots]
        elif found_slots:
            public_key = PublicKey.from_octets(found_slots[0][0])
            holders.append(Holder(public_key, key_wrap, tuple(slot for _, slot in found_slots)))
    return tuple(straight), tuple(holders)


async def _wraps(connection: AsyncConnection, user: Row) -> list[tuple[str, bytes | None]]:
    """Return to which keys of the person a membership's key is wrapped; None: it is that key itself."""
    if user["person_id"] is None:
        return []
    found = select(people.c.key_id).where(people.c.id == user["person_id"])
    present = (await connection.execute(found)).scalar_one()
    wraps = [(present, user["key_wrap"])] if user["key_wrap"] or present == user["key_id"] else []
    same = (retired_keys.c.user_id == user["id"]) & (retired_keys.c.key_id == user["key_id"])
    older = await connection.execute(select(retired_keys.c.person_key_id, retired_keys.c.key_wrap).where(same))
    return wraps + [(row.person_key_id, row.key_wrap) for row in older]


def _slot(row: Row) -> Slot:
    return Slot(row["kind"], row["parameters"], row["blob"])
