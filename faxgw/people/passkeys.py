"""Passkeys, shown: each asks its person for a PIN or a finger, so it is two factors, and counts its uses.

One that gives a secret (PRF) opens a slot. One that gives none lets its person in, and opens nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.gateway import Gateway
from faxgw.keys.slots import PasskeySecret, Slot, make_slot
from faxgw.keys.wraps import KeyPair
from faxgw.people import authenticators
from faxgw.people.challenges import make_challenge
from faxgw.people.keys import add_slot, opened
from faxgw.people.passkey_answers import (
    Credential,
    Refused,
    Site,
    check,
    refused,
    secret_of,
    spend_challenge,
    with_prf,
)
from faxgw.store.tables import passkeys, people, person_slots

Row = Mapping[Any, Any]

SIGN_IN = b"passkey sign-in"


@dataclass(frozen=True, slots=True)
class Found:
    """A passkey that somebody claims to have; whether they do, ``show`` finds out.

    Attributes:
        passkey: a row of ``passkeys``.
        person: a row of ``people``.
    """

    passkey: Row
    person: Row


@dataclass(frozen=True, slots=True)
class Shown:
    """A passkey that somebody has shown to have; ``secret`` is what it gave to open a slot, if it did."""

    passkey: Row
    person: Row
    secret: PasskeySecret | None = field(repr=False)

    async def open(self, connection: AsyncConnection) -> KeyPair | None:
        """Return the person's key pair; None: this passkey does not open it."""
        if self.secret is None:
            return None
        mine = (person_slots.c.passkey_id == self.passkey["id"]) & (person_slots.c.key_id == self.person["key_id"])
        row = (await connection.execute(select(person_slots).where(mine))).one_or_none()
        slot = Slot(row.kind, row.parameters, row.blob) if row else None
        return await opened(slot, self.secret, self.person["public_key"])


def sign_in_options(gateway: Gateway, *, now: datetime) -> dict[str, Any]:
    """Return what ``navigator.credentials.get`` is given: the same for everybody, whoever they are.

    Raises:
        RequestError: ``passkey.off``.
    """
    site = Site.of(gateway.config)
    challenge = make_challenge(gateway.server_keys, SIGN_IN, now=now)
    return with_prf(authenticators.options_to_sign_in(host=site.host, challenge=challenge))


async def find(gateway: Gateway, credential: Credential, *, now: datetime, older: bool = False) -> Found:
    """Return whose passkey a sign-in claims to be by; nothing is proven by that.

    With ``older``, one of before a reset will do, which lets nobody in.

    Raises:
        Refused: ``passkey.challenge``, ``.origin``, ``.host``, ``.refused``, ``.unknown``.
        RequestError: ``passkey.off``.
    """
    site = Site.of(gateway.config)
    try:
        given = authenticators.read(credential)
    except Exception as error:
        raise refused() from error
    check(gateway, site, SIGN_IN, given, now=now)
    async with gateway.database.dispatcher() as connection:
        found = select(passkeys).where(passkeys.c.credential_id == given.raw_id)
        passkey = (await connection.execute(found)).mappings().one_or_none()
        if passkey is not None and passkey["retired_at"] and not older:
            passkey = None
        handle = given.user_handle
        if passkey is None or (handle is not None and handle != passkey["person_id"].bytes):
            raise Refused("passkey.unknown", "Nobody has registered this passkey here, or it was removed.")
        whose = select(people).where(people.c.id == passkey["person_id"])
        person = (await connection.execute(whose)).mappings().one()
    return Found(passkey, person)


async def claimed_by(gateway: Gateway, credential: Credential) -> str:
    """Return the address of whose passkey something claims to be; empty: nobody's. Nothing is proven by that."""
    try:
        raw_id = authenticators.read(credential).raw_id
    except Exception:  # it is refused elsewhere
        return ""
    found = select(people.c.email).join(passkeys, passkeys.c.person_id == people.c.id)
    async with gateway.database.dispatcher() as connection:
        email: str | None = (await connection.execute(found.where(passkeys.c.credential_id == raw_id))).scalar()
    return email or ""


async def show(gateway: Gateway, found: Found, credential: Credential, *, now: datetime) -> Shown:
    """Make sure that it is the passkey, and take note of its use; each challenge is answered once.

    Raises:
        Refused: ``passkey.challenge``, ``.counter``, ``.refused``.
    """
    site = Site.of(gateway.config)
    try:
        challenge = authenticators.read(credential).challenge
        count = authenticators.verified_count(
            credential,
            challenge=challenge,
            host=site.host,
            origin=site.origin,
            public_key=found.passkey["public_key"],
        )
    except Exception as error:
        raise refused() from error
    async with gateway.database.dispatcher() as connection:
        await spend_challenge(connection, challenge, now)
        await _count(connection, found.passkey["id"], count, now)
    return Shown(found.passkey, found.person, secret_of(credential))


async def let_unlock(connection: AsyncConnection, shown: Shown, key_pair: KeyPair) -> bool:
    """Have a passkey open its person's key from now on, if it gives a secret; tell whether it does."""
    if shown.secret is None:
        return False
    slot = await make_slot(key_pair, shown.secret)
    await connection.execute(delete(person_slots).where(person_slots.c.passkey_id == shown.passkey["id"]))
    await add_slot(connection, shown.person["id"], key_pair.public, slot, passkey_id=shown.passkey["id"])
    return True


async def _count(connection: AsyncConnection, passkey_id: UUID, count: int, now: datetime) -> None:
    """Write down a use. Whoever has copied an authenticator counts on from the same number, and is found out.

    Raises:
        Refused: ``passkey.counter``.
    """
    uncounted = (passkeys.c.sign_count == 0) & (count == 0)
    onwards = (passkeys.c.id == passkey_id) & ((passkeys.c.sign_count < count) | uncounted)
    used = update(passkeys).where(onwards).values(sign_count=count, used_at=now)
    if (await connection.execute(used)).rowcount != 1:
        raise Refused("passkey.counter", "This passkey was copied: its counter went back. Remove it and add a new one.")
