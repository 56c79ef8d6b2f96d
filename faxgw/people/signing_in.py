"""Signing in: by password, and a second factor where there is one; by the recovery code, spent with it; by a passkey.

What is answered, and how long it takes, is the same whether an address has an account or not.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.errors import RequestError
from faxgw.gateway import Gateway
from faxgw.keys.slots import Password, RecoveryCode, Secret, Slot, make_slot
from faxgw.keys.wraps import KeyPair
from faxgw.people import own_passkeys, passkeys, throttle, totp
from faxgw.people.accounts import Draft, person_of
from faxgw.people.keys import opened, replace_slot, slot_of
from faxgw.people.passkey_answers import Credential
from faxgw.people.passkeys import Shown
from faxgw.people.sessions import end_sessions
from faxgw.people.words import check_password
from faxgw.store.tables import people

Row = Mapping[Any, Any]

MOST_WAITING = 16
"""Tries whose passwords are stretched, or wait for it; more are asked to come again, and cost nothing."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What somebody gives to be let in; ``recovery_code`` stands in for the password, or for the code."""

    email: str
    password: str = field(default="", repr=False)
    code: str = field(default="", repr=False)
    recovery_code: str = field(default="", repr=False)
    passkey: Credential | None = field(default=None, repr=False)
    """In place of the code."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who it is, with their private key in hand.

    Attributes:
        person: a row of ``people``.
        second_factor: whether they have shown two.
        recovery_code: a new one, if the old one was used up.
    """

    person: Row
    key_pair: KeyPair = field(repr=False)
    second_factor: bool
    recovery_code: RecoveryCode | None = None
    passkey: Shown | None = None
    """The one that was the second factor."""

    @property
    def person_id(self) -> UUID:
        """Whose account it is."""
        person_id: UUID = self.person["id"]
        return person_id


@dataclass(frozen=True, slots=True)
class ByPasskey:
    """Who it is; their private key, if the passkey opens it."""

    person: Row
    passkey: Row
    key_pair: KeyPair | None = field(repr=False)


class Refused(RequestError):
    """Somebody was not let in."""


class Door:
    """Lets people in, so many at a time."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.password: Callable[[str], Password] = Password
        """What makes a password of what was typed: with the cost that new ones have."""
        self._inside = 0

    async def sign_in(self, tried: Tried, *, now: datetime) -> SignedIn:
        """Let somebody in by their password.

        Where there is a second factor, a code of it is needed, or the recovery code: that one switches the second
        factor off and is replaced by a new one.

        Raises:
            RequestError: ``auth.failed``, ``auth.code_needed``, ``auth.code_wrong``, ``auth.locked``, ``service.busy``.
        """
        async with self.trying(tried.email, now=now):
            person, slot = await self._find(tried.email, "password")
            key_pair = await _open(person, slot, self.password(tried.password))
            if person is None or key_pair is None:
                raise _failed()
            if tried.recovery_code and await self._has_second_factor(person):
                return await self._without_second_factor(person, key_pair, tried.recovery_code)
            return SignedIn(person, key_pair, await self._second_factor(person, tried, now))

    async def by_passkey(self, credential: Credential, *, now: datetime) -> ByPasskey:
        """Let somebody in by a passkey, which is two factors by itself: they have it, and showed a PIN or a finger.

        Raises:
            RequestError: ``passkey.*``, ``auth.locked``, ``service.busy``.
        """
        found = await passkeys.find(self._gateway, credential, now=now)
        async with self.trying(found.person["email"], now=now):
            shown = await passkeys.show(self._gateway, found, credential, now=now)
            async with self._gateway.database.dispatcher() as connection:
                return ByPasskey(shown.person, shown.passkey, await shown.open(connection))

    async def recover(self, tried: Tried, new_password: str, *, now: datetime) -> SignedIn:
        """Let somebody in by their recovery code, who sets a new password; the code is replaced by a new one.

        A second factor is asked for as ever: the recovery code stands in for one of the two, never for both.

        Raises:
            RequestError: as ``sign_in``; ``people.password``.
        """
        check_password(new_password)
        async with self.trying(tried.email, now=now):
            person, slot = await self._find(tried.email, "recovery")
            code = read_recovery_code(tried.recovery_code)
            key_pair = await opened(slot, code, person["public_key"]) if person and code else None
            # Stretched in any case, so that a wrong code takes as long as a right one.
            draft = await Draft.of(self.password(new_password), key_pair)
            if person is None or key_pair is None:
                raise _failed()
            second = await self._second_factor(person, tried, now)
            async with self._gateway.database.dispatcher() as connection:
                await draft.save(connection, person["id"])
                await end_sessions(connection, person["id"])
            return SignedIn(person, key_pair, second, draft.recovery_code)

    async def check(self, tried: Tried, *, now: datetime) -> SignedIn:
        """Make sure that it is still the person who is there, by their password, or by a passkey that unlocks.

        Raises:
            RequestError: ``auth.failed``, ``auth.locked``, ``service.busy``; ``passkey.*``; ``key.locked``, if it is a
                passkey that does not unlock.
        """
        if tried.passkey is not None and not tried.password:
            return await self._check_passkey(tried.email, tried.passkey, now)
        email, password = tried.email, tried.password
        async with self.trying(email, now=now):
            person, slot = await self._find(email, "password")
            key_pair = await _open(person, slot, self.password(password))
            if person is None or key_pair is None:
                raise Refused("auth.failed", "The password is wrong.")
            return SignedIn(person, key_pair, second_factor=False)

    async def unlock(self, tried: Tried, *, second_factor: bool, now: datetime) -> SignedIn:
        """Open the key of somebody who is signed in already, by any of their secrets.

        Unless they have shown a ``second_factor`` before, it is asked for as ever.

        Raises:
            RequestError: as ``sign_in`` and ``check``.
        """
        if tried.passkey is not None and not (tried.password or tried.recovery_code):
            return await self._check_passkey(tried.email, tried.passkey, now)
        kind = "recovery" if tried.recovery_code else "password"
        async with self.trying(tried.email, now=now):
            person, slot = await self._find(tried.email, kind)
            code = read_recovery_code(tried.recovery_code) if tried.recovery_code else None
            secret = code or self.password(tried.password)
            key_pair = await opened(slot, secret, person["public_key"]) if person else None
            if person is None or key_pair is None:
                raise Refused("auth.failed", "The password or the recovery code is wrong.")
            shown = await self._own_passkey(person, tried.passkey, now) if tried.passkey is not None else None
            second = bool(shown) or second_factor or await self._second_factor(person, tried, now)
            return SignedIn(person, key_pair, second, passkey=shown)

    async def _check_passkey(self, email: str, credential: Credential, now: datetime) -> SignedIn:
        found = await self.by_passkey(credential, now=now)
        if found.person["email"] != email:
            raise Refused("passkey.unknown", "This is somebody else's passkey.")
        if found.key_pair is None:
            raise RequestError("key.locked", "This passkey does not unlock: give the password, or the recovery code.")
        return SignedIn(found.person, found.key_pair, second_factor=True)

    @asynccontextmanager
    async def trying(self, email: str, *, now: datetime) -> AsyncIterator[None]:
        """Let a secret of an account be tried in the block; whatever it raises counts as a failure.

        Raises:
            RequestError: ``auth.locked``, ``service.busy``.
        """
        if self._inside >= MOST_WAITING:
            raise RequestError("service.busy", "Too many people are signing in at once; try again in a moment.")
        account = throttle.account_of(self._gateway.server_keys, email)
        self._inside += 1
        try:
            async with self._gateway.database.dispatcher() as connection:
                await throttle.take_try(connection, account, now=now)
            yield
            async with self._gateway.database.dispatcher() as connection:
                await throttle.succeeded(connection, account)
        finally:
            self._inside -= 1

    async def _find(self, email: str, kind: str) -> tuple[Row | None, Slot | None]:
        async with self._gateway.database.dispatcher() as connection:
            person = await person_of(connection, email)
            return person, (await slot_of(connection, person["id"], kind) if person else None)

    async def _has_second_factor(self, person: Row) -> bool:
        if person["totp"] is not None:
            return True
        async with self._gateway.database.dispatcher() as connection:
            return await own_passkeys.has_passkeys(connection, person["id"])

    async def _second_factor(self, person: Row, tried: Tried, now: datetime) -> bool:
        """Tell whether somebody has a second factor, and showed it."""
        if not await self._has_second_factor(person):
            return False
        if tried.passkey is not None:
            await self._own_passkey(person, tried.passkey, now)
            return True
        if not tried.code:
            raise Refused("auth.code_needed", "Give the code of your authenticator, or your passkey, as well.")
        keys = self._gateway.server_keys
        async with self._gateway.database.dispatcher() as connection:
            right = person["totp"] is not None and await totp.take_code(connection, keys, person, tried.code, now=now)
            if not right:
                raise Refused("auth.code_wrong", "The code is wrong, over, or was used before; wait for the next one.")
        return True

    async def _own_passkey(self, person: Row, credential: Credential, now: datetime) -> Shown:
        found = await passkeys.find(self._gateway, credential, now=now)
        if found.person["id"] != person["id"]:
            raise Refused("passkey.unknown", "This is somebody else's passkey.")
        return await passkeys.show(self._gateway, found, credential, now=now)

    async def _without_second_factor(self, person: Row, key_pair: KeyPair, recovery_code: str) -> SignedIn:
        new = RecoveryCode.generate()
        slot = await make_slot(key_pair, new)
        given = read_recovery_code(recovery_code)
        async with self._gateway.database.dispatcher() as connection:
            known = await slot_of(connection, person["id"], "recovery")
            if given is None or await opened(known, given, person["public_key"]) is None:
                raise _failed()
            await switch_off(connection, person["id"])
            await replace_slot(connection, person["id"], key_pair.public, slot)
        return SignedIn(person, key_pair, second_factor=True, recovery_code=new)


async def switch_off(connection: AsyncConnection, person_id: UUID) -> None:
    """Switch off the second factor of a person: one-time codes and passkeys."""
    await switch_off_codes(connection, person_id)
    await own_passkeys.remove_all(connection, person_id)


async def switch_off_codes(connection: AsyncConnection, person_id: UUID) -> None:
    """Switch off the one-time codes of a person."""
    off = update(people).where(people.c.id == person_id).values(totp=None, totp_new=None)
    await connection.execute(off)


def read_recovery_code(text: str) -> RecoveryCode | None:
    """Return a recovery code as typed; None: it is none."""
    try:
        return RecoveryCode.parse(text)
    except ValueError:
        return None


async def _open(person: Row | None, slot: Slot | None, password: Secret) -> KeyPair | None:
    """Open a password's slot; where there is none, take as long over nothing."""
    if person is not None and slot is not None:
        return await opened(slot, password, person["public_key"])
    await password.kek(password.new_parameters())
    return None


def _failed() -> Refused:
    return Refused("auth.failed", "The address, the password or the code is wrong.")
