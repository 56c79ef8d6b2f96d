"""Somebody's own passkeys: registered, listed, renamed, removed; and that the last way to sign in stays."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.errors import RequestError
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.slots import make_slot
from faxgw.keys.wraps import KeyPair
from faxgw.people import authenticators
from faxgw.people.challenges import make_challenge
from faxgw.people.keys import add_slot
from faxgw.people.passkey_answers import Credential, Site, check, refused, secret_of, spend_challenge, with_prf
from faxgw.store.tables import passkeys, people, person_slots

Row = Mapping[Any, Any]

MOST_PASSKEYS = 20
"""Of one person."""
NAME = "faxgw"


async def registration_options(
    connection: AsyncConnection, gateway: Gateway, *, person_id: UUID, email: str, now: datetime
) -> dict[str, Any]:
    """Return what ``navigator.credentials.create`` is given.

    Raises:
        RequestError: ``passkey.off``, ``passkey.too_many``.
    """
    site = Site.of(gateway.config)
    mine = await passkeys_of(connection, person_id)
    if len(mine) >= MOST_PASSKEYS:
        raise RequestError("passkey.too_many", f"You have {len(mine)} passkeys: remove one first.")
    options = authenticators.options_to_register(
        host=site.host,
        name=NAME,
        user=email,
        user_id=person_id.bytes,
        challenge=make_challenge(gateway.server_keys, _registering(person_id), now=now),
        known=await _known(connection, person_id),
    )
    return with_prf(options)


async def register(
    gateway: Gateway, credential: Credential, *, person_id: UUID, key_pair: KeyPair, name: str, now: datetime
) -> Row:
    """Write down a new passkey, and a slot for the secret that it gave, if it did; return its row with ``unlocks``.

    Raises:
        RequestError: ``passkey.off``, ``.challenge``, ``.origin``, ``.host``, ``.refused``, ``.exists``, ``.too_many``.
    """
    site = Site.of(gateway.config)
    challenge = _check_registration(gateway, credential, site, person_id, now)
    try:
        new = authenticators.verified_new(credential, challenge=challenge, host=site.host, origin=site.origin)
    except Exception as error:  # whatever a stranger's octets make of the library is the stranger's mistake
        raise refused() from error
    secret = secret_of(credential)
    slot = await make_slot(key_pair, secret) if secret else None
    passkey_id = new_id()
    row = {
        "id": passkey_id,
        "person_id": person_id,
        "credential_id": new.credential_id,
        "public_key": new.public_key,
        "sign_count": new.sign_count,
        "name": name,
        "backed_up": new.backed_up,
        "created_at": now,
        "used_at": None,
    }
    async with gateway.database.dispatcher() as connection:
        await spend_challenge(connection, challenge, now)
        await connection.execute(select(people.c.id).where(people.c.id == person_id).with_for_update())
        if len(await passkeys_of(connection, person_id)) >= MOST_PASSKEYS:
            raise RequestError("passkey.too_many", "You have as many passkeys as anybody may: remove one first.")
        made = upsert(passkeys).values(row).on_conflict_do_nothing(index_elements=["credential_id"])
        if (await connection.execute(made.returning(passkeys.c.id))).one_or_none() is None:
            raise RequestError("passkey.exists", "This passkey is registered already.")
        if slot is not None:
            await add_slot(connection, person_id, key_pair.public, slot, passkey_id=passkey_id)
    return {**row, "unlocks": slot is not None}


async def passkeys_of(connection: AsyncConnection, person_id: UUID) -> Sequence[Row]:
    """Return a person's passkeys, oldest first, each with ``unlocks``: whether it opens their present key."""
    mine = (person_slots.c.passkey_id == passkeys.c.id) & (person_slots.c.key_id == people.c.key_id)
    found = (
        select(passkeys, person_slots.c.id.is_not(None).label("unlocks"))
        .join(people, people.c.id == passkeys.c.person_id)
        .outerjoin(person_slots, mine)
        .where(passkeys.c.person_id == person_id, passkeys.c.retired_at.is_(None))
        .order_by(passkeys.c.id)
    )
    return (await connection.execute(found)).mappings().all()


async def has_passkeys(connection: AsyncConnection, person_id: UUID) -> bool:
    """Tell whether a person has any."""
    theirs = (passkeys.c.person_id == person_id) & passkeys.c.retired_at.is_(None)
    mine = select(func.count()).select_from(passkeys).where(theirs)
    return bool((await connection.execute(mine)).scalar_one())


async def rename(connection: AsyncConnection, person_id: UUID, passkey_id: UUID, name: str) -> bool:
    """Give a passkey another name; tell whether there is it."""
    this = _this(person_id, passkey_id)
    return (await connection.execute(update(passkeys).where(this).values(name=name))).rowcount == 1


async def remove(connection: AsyncConnection, person_id: UUID, passkey_id: UUID) -> bool:
    """Remove a passkey, and with it what it opens; tell whether there was it.

    Raises:
        RequestError: ``passkey.last``, if nothing else lets the person in and opens what is theirs.
    """
    await connection.execute(select(people.c.id).where(people.c.id == person_id).with_for_update())
    mine = await passkeys_of(connection, person_id)
    if passkey_id not in [row["id"] for row in mine]:
        return False
    others = [row for row in mine if row["id"] != passkey_id and row["unlocks"]]
    if not others and not await has_password(connection, person_id):
        raise RequestError("passkey.last", "You have no password, and no other passkey that unlocks: add one first.")
    await connection.execute(delete(passkeys).where(_this(person_id, passkey_id)))
    return True


async def remove_password(connection: AsyncConnection, person_id: UUID) -> None:
    """Remove the password of somebody who comes in by passkeys only.

    Raises:
        RequestError: ``passkey.last``, if there is no passkey that opens what is theirs.
    """
    await connection.execute(select(people.c.id).where(people.c.id == person_id).with_for_update())
    if not any(row["unlocks"] for row in await passkeys_of(connection, person_id)):
        raise RequestError("passkey.last", "You have no passkey that unlocks: the password is the last way to sign in.")
    await connection.execute(delete(person_slots).where(_password_of(person_id)))


async def has_password(connection: AsyncConnection, person_id: UUID) -> bool:
    """Tell whether a person has a password."""
    return (await connection.execute(select(person_slots.c.id).where(_password_of(person_id)))).first() is not None


async def remove_all(connection: AsyncConnection, person_id: UUID) -> None:
    """Let no passkey of a person in any more, or open their present key: with a reset, or when they have lost them.

    One that opens an older key, which the reset has locked, still does that.
    """
    mine = passkeys.c.person_id == person_id
    theirs = person_slots.c.passkey_id.in_(select(passkeys.c.id).where(mine))
    await connection.execute(delete(person_slots).where(theirs, person_slots.c.key_id == _present(person_id)))
    await connection.execute(
        update(passkeys).where(mine, passkeys.c.retired_at.is_(None)).values(retired_at=func.now())
    )
    await forget_useless(connection, person_id)


async def forget_useless(connection: AsyncConnection, person_id: UUID) -> None:
    """Forget the passkeys of before a reset that open nothing any more."""
    useless = passkeys.c.retired_at.is_not(None) & ~exists().where(person_slots.c.passkey_id == passkeys.c.id)
    await connection.execute(delete(passkeys).where(passkeys.c.person_id == person_id, useless))


async def _known(connection: AsyncConnection, person_id: UUID) -> Sequence[bytes]:
    """Return which passkeys an authenticator must not replace: also those of before a reset, whose secret would go."""
    found = select(passkeys.c.credential_id).where(passkeys.c.person_id == person_id).order_by(passkeys.c.id)
    return (await connection.execute(found)).scalars().all()


def _password_of(person_id: UUID) -> Any:
    mine = (person_slots.c.person_id == person_id) & (person_slots.c.key_id == _present(person_id))
    return mine & (person_slots.c.kind == "password")


def _present(person_id: UUID) -> Any:
    return select(people.c.key_id).where(people.c.id == person_id).scalar_subquery()


def _this(person_id: UUID, passkey_id: UUID) -> Any:
    mine = (passkeys.c.person_id == person_id) & passkeys.c.retired_at.is_(None)
    return mine & (passkeys.c.id == passkey_id)


def _check_registration(gateway: Gateway, credential: Credential, site: Site, person_id: UUID, now: datetime) -> bytes:
    try:
        given = authenticators.read_new(credential)
    except Exception as error:
        raise refused() from error
    check(gateway, site, _registering(person_id), given, now=now)
    return given.challenge


def _registering(person_id: UUID) -> bytes:
    return b"passkey of " + person_id.bytes
