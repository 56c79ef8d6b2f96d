"""Passkeys (WebAuthn): registered, shown, counted; each asks its person for a PIN or a finger, so it is two factors.

An authenticator that has the PRF extension gives, with each use, a secret of its own for this gateway: that one opens a
slot. One that has not lets its person in, and opens nothing.
"""

import hashlib
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    bytes_to_base64url,
    options_to_json_dict,
    parse_attestation_object,
    parse_authentication_credential_json,
    parse_authenticator_data,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.helpers.structs import CredentialDeviceType as DeviceType

from faxgw.config import Config
from faxgw.errors import RequestError
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.slots import PasskeySecret, Slot, make_slot
from faxgw.keys.wraps import KeyPair
from faxgw.people.challenges import NoChallenge, check_challenge, make_challenge, spend
from faxgw.people.keys import add_slot, opened
from faxgw.store.tables import passkeys, people, person_slots

Row = Mapping[Any, Any]
Credential = Mapping[str, Any]
"""What a browser's ``PublicKeyCredential.toJSON()`` gives."""

MOST_PASSKEYS = 20
"""Of one person."""
NAME = "faxgw"
SIGN_IN = b"passkey sign-in"
PRF_SALT = hashlib.sha256(b"faxgw passkey 1").digest()
"""What authenticators are asked about: the same for everybody, since nobody has said yet who they are."""
PRF_SECRET = 32


class Refused(RequestError):
    """A passkey was not accepted."""


@dataclass(frozen=True, slots=True)
class Site:
    """The address that passkeys are for.

    Attributes:
        origin: as browsers write it.
        host: ``rpId``.
    """

    origin: str
    host: str

    @classmethod
    def of(cls, config: Config) -> "Site":
        """Return that of the configuration.

        Raises:
            RequestError: ``passkey.off``.
        """
        if not config.people.url:
            raise RequestError("passkey.off", "There are no passkeys here: `people.url` is not configured.")
        return cls(config.people.url, config.people.passkey_host)


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
    options = generate_authentication_options(
        rp_id=site.host,
        challenge=make_challenge(gateway.server_keys, SIGN_IN, now=now),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return _with_prf(options_to_json_dict(options))


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
    options = generate_registration_options(
        rp_id=site.host,
        rp_name=NAME,
        user_name=email,
        user_id=person_id.bytes,
        challenge=make_challenge(gateway.server_keys, _registering(person_id), now=now),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=row["credential_id"]) for row in mine],
    )
    return _with_prf(options_to_json_dict(options))


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
        verified = verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            require_user_verification=True,
        )
    except Exception as error:  # whatever a stranger's octets make of the library is the stranger's mistake
        raise _refused() from error
    secret = _secret_of(credential)
    slot = await make_slot(key_pair, secret) if secret else None
    passkey_id = new_id()
    row = {
        "id": passkey_id,
        "person_id": person_id,
        "credential_id": verified.credential_id,
        "public_key": verified.credential_public_key,
        "sign_count": verified.sign_count,
        "name": name,
        "backed_up": verified.credential_device_type == DeviceType.MULTI_DEVICE,
        "created_at": now,
        "used_at": None,
    }
    async with gateway.database.dispatcher() as connection:
        await _spend(connection, challenge, now)
        await connection.execute(select(people.c.id).where(people.c.id == person_id).with_for_update())
        if len(await passkeys_of(connection, person_id)) >= MOST_PASSKEYS:
            raise RequestError("passkey.too_many", "You have as many passkeys as anybody may: remove one first.")
        made = upsert(passkeys).values(row).on_conflict_do_nothing(index_elements=["credential_id"])
        if (await connection.execute(made.returning(passkeys.c.id))).one_or_none() is None:
            raise RequestError("passkey.exists", "This passkey is registered already.")
        if slot is not None:
            await add_slot(connection, person_id, key_pair.public, slot, passkey_id=passkey_id)
    return {**row, "unlocks": slot is not None}


async def find(gateway: Gateway, credential: Credential, *, now: datetime) -> Found:
    """Return whose passkey a sign-in claims to be by; nothing is proven by that.

    Raises:
        Refused: ``passkey.challenge``, ``.origin``, ``.host``, ``.refused``, ``.unknown``.
        RequestError: ``passkey.off``.
    """
    site = Site.of(gateway.config)
    try:
        given = parse_authentication_credential_json(dict(credential))
        client = parse_client_data_json(given.response.client_data_json)
        rp_id_hash = parse_authenticator_data(given.response.authenticator_data).rp_id_hash
    except Exception as error:
        raise _refused() from error
    _check(gateway, site, SIGN_IN, client.challenge, origin=client.origin, rp_id_hash=rp_id_hash, now=now)
    async with gateway.database.dispatcher() as connection:
        found = select(passkeys).where(passkeys.c.credential_id == given.raw_id)
        passkey = (await connection.execute(found)).mappings().one_or_none()
        handle = given.response.user_handle
        if passkey is None or (handle is not None and handle != passkey["person_id"].bytes):
            raise Refused("passkey.unknown", "Nobody has registered this passkey here, or it was removed.")
        whose = select(people).where(people.c.id == passkey["person_id"])
        person = (await connection.execute(whose)).mappings().one()
    return Found(passkey, person)


async def claimed_by(gateway: Gateway, credential: Credential) -> str:
    """Return the address of whose passkey something claims to be; empty: nobody's. Nothing is proven by that."""
    try:
        raw_id = parse_authentication_credential_json(dict(credential)).raw_id
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
    challenge = parse_client_data_json(_octets(credential["response"]["clientDataJSON"])).challenge
    try:
        verified = verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            credential_public_key=found.passkey["public_key"],
            credential_current_sign_count=0,  # it is compared below, in the database
            require_user_verification=True,
        )
    except Exception as error:
        raise _refused() from error
    async with gateway.database.dispatcher() as connection:
        await _spend(connection, challenge, now)
        await _count(connection, found.passkey["id"], verified.new_sign_count, now)
    return Shown(found.passkey, found.person, _secret_of(credential))


async def let_unlock(connection: AsyncConnection, shown: Shown, key_pair: KeyPair) -> bool:
    """Have a passkey open its person's key from now on, if it gives a secret; tell whether it does."""
    if shown.secret is None:
        return False
    slot = await make_slot(key_pair, shown.secret)
    await connection.execute(delete(person_slots).where(person_slots.c.passkey_id == shown.passkey["id"]))
    await add_slot(connection, shown.person["id"], key_pair.public, slot, passkey_id=shown.passkey["id"])
    return True


async def passkeys_of(connection: AsyncConnection, person_id: UUID) -> Sequence[Row]:
    """Return a person's passkeys, oldest first, each with ``unlocks``: whether it opens their present key."""
    mine = (person_slots.c.passkey_id == passkeys.c.id) & (person_slots.c.key_id == people.c.key_id)
    found = (
        select(passkeys, person_slots.c.id.is_not(None).label("unlocks"))
        .join(people, people.c.id == passkeys.c.person_id)
        .outerjoin(person_slots, mine)
        .where(passkeys.c.person_id == person_id)
        .order_by(passkeys.c.id)
    )
    return (await connection.execute(found)).mappings().all()


async def has_passkeys(connection: AsyncConnection, person_id: UUID) -> bool:
    """Tell whether a person has any."""
    mine = select(func.count()).select_from(passkeys).where(passkeys.c.person_id == person_id)
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
    """Remove all passkeys of a person: with a reset, or when they have lost them."""
    await connection.execute(delete(passkeys).where(passkeys.c.person_id == person_id))


def _password_of(person_id: UUID) -> Any:
    present = select(people.c.key_id).where(people.c.id == person_id).scalar_subquery()
    mine = (person_slots.c.person_id == person_id) & (person_slots.c.key_id == present)
    return mine & (person_slots.c.kind == "password")


def _this(person_id: UUID, passkey_id: UUID) -> Any:
    return (passkeys.c.person_id == person_id) & (passkeys.c.id == passkey_id)


def _check_registration(gateway: Gateway, credential: Credential, site: Site, person_id: UUID, now: datetime) -> bytes:
    try:
        given = parse_registration_credential_json(dict(credential))
        client = parse_client_data_json(given.response.client_data_json)
        rp_id_hash = parse_attestation_object(given.response.attestation_object).auth_data.rp_id_hash
    except Exception as error:
        raise _refused() from error
    purpose = _registering(person_id)
    _check(gateway, site, purpose, client.challenge, origin=client.origin, rp_id_hash=rp_id_hash, now=now)
    return client.challenge


def _check(
    gateway: Gateway, site: Site, purpose: bytes, challenge: bytes, *, origin: str, rp_id_hash: bytes, now: datetime
) -> None:
    """Say what is wrong, where that can be said; the library looks at all of it once more."""
    try:
        check_challenge(gateway.server_keys, purpose, challenge, now=now)
    except NoChallenge:
        raise _no_challenge() from None
    if origin != site.origin:
        raise Refused("passkey.origin", f"The passkey was used on another site than {site.origin}.")
    if rp_id_hash != hashlib.sha256(site.host.encode()).digest():
        raise Refused("passkey.host", f"The passkey belongs to another host than {site.host}.")


async def _spend(connection: AsyncConnection, challenge: bytes, now: datetime) -> None:
    try:
        await spend(connection, challenge, now=now)
    except NoChallenge:
        raise _no_challenge() from None


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


def _secret_of(credential: Credential) -> PasskeySecret | None:
    """Return what the PRF extension gave, as ``toJSON`` writes it; None: nothing.

    Raises:
        Refused: ``passkey.refused``, if it is not of 32 octets.
    """
    found: Any = credential
    for name in ("clientExtensionResults", "prf", "results", "first"):
        found = found.get(name) if isinstance(found, Mapping) else None
    if found is None:
        return None
    try:
        octets = _octets(found)
    except (ValueError, TypeError, AttributeError):
        raise _refused() from None
    if len(octets) != PRF_SECRET:
        raise _refused()
    return PasskeySecret(octets)


def _octets(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _with_prf(options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "extensions": {"prf": {"eval": {"first": bytes_to_base64url(PRF_SALT)}}}}


def _registering(person_id: UUID) -> bytes:
    return b"passkey of " + person_id.bytes


def _refused() -> Refused:
    return Refused("passkey.refused", "The passkey's answer is damaged, not signed by it, or without PIN or finger.")


def _no_challenge() -> Refused:
    return Refused("passkey.challenge", "What the passkey has answered is not ours, over, or was answered before.")
