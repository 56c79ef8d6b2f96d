"""What a reset has locked, and how an older secret opens it again: nothing sealed is lost as long as one is left.

After a reset the old key of the person stays in its slots, and the keys of memberships stay wrapped to it. An old
password, a recovery code or a passkey of then, or an API key that opens content brings them back, wrapped to the
present key.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.boxes.keys import rewrap_held, rotate_all_of
from faxgw.errors import RequestError
from faxgw.escrow.covering import hand_shares_on
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.export import readings
from faxgw.keys.slots import ApiSecret, Secret, Slot, WrongSecret, open_slot
from faxgw.keys.tokens import ApiKey, KeyMalformed
from faxgw.keys.wraps import KeyPair, PublicKey, member_context, unwrap, unwrap_key_pair, wrap, wrap_context
from faxgw.people import passkeys
from faxgw.people.keys import Membership, wrap_member
from faxgw.people.own_passkeys import forget_useless
from faxgw.people.passkey_answers import Credential, Refused
from faxgw.people.sessions import tell_of
from faxgw.people.signing_in import Door
from faxgw.store.tables import key_slots, people, person_slots, retired_keys, users, wraps

Row = Mapping[Any, Any]

BATCH = 500
"""Objects that are wrapped anew in one transaction: a quarter of a second of one core."""
OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Unlocked:
    """What came of it: memberships whose key is open again, objects that were sealed to an older key and are not now.

    ``locked`` is how many keys are locked still.
    """

    keys: int
    objects: int
    locked: int


async def retire_keys(connection: AsyncConnection, person_id: UUID) -> None:
    """Take note of what is wrapped to a person's key, before it is replaced by a new one that opens none of it."""
    person_key: str = (await connection.execute(select(people.c.key_id).where(people.c.id == person_id))).scalar_one()
    mine = select(users).where(users.c.person_id == person_id)  # inactive ones, too: they may come back
    for row in (await connection.execute(mine)).mappings().all():
        if not Membership.of(row).locked_to(person_key):
            kept = {name: row[name] for name in ("tenant_id", "key_id", "public_key", "key_wrap")}
            ids = {"id": new_id(), "user_id": row["id"], "person_key_id": person_key}
            await connection.execute(insert(retired_keys).values(**kept, **ids))
    lost = update(users).where(users.c.person_id == person_id).values(key_wrap=None)
    await connection.execute(lost)


async def begin_anew(connection: AsyncConnection, user: Row, person: PublicKey) -> None:
    """Give a membership that is locked a new key pair, so that what comes from now on opens.

    The old one stays where it is. API keys that open content open what is older only.

    Raises:
        RequestError: ``key.open``, if it is not locked.
    """
    if not Membership.of(user).locked_to(person.key_id):
        raise RequestError("key.open", "Your key is open: there is nothing to begin anew.")
    key_pair = KeyPair.generate()
    wrapped = wrap_member(key_pair, person, tenant_id=user["tenant_id"], user_id=user["id"])
    values = {"key_id": key_pair.public.key_id, "public_key": key_pair.public.octets, "key_wrap": wrapped}
    await connection.execute(update(users).where(users.c.id == user["id"]).values(values))
    await rotate_all_of(connection, user["id"])
    await tell_of(connection, user["id"])


async def unlock_older(
    gateway: Gateway, door: Door, person_id: UUID, text: str, *, passkey: Credential | None = None, now: datetime
) -> Unlocked:
    """Open what a reset has locked, by an older secret: a password, a recovery code, or an API key that opens content.

    Or by what a ``passkey`` of then answers, if it gives its secret. Cut off in between, it goes on when it is asked
    for again.

    Raises:
        RequestError: ``key.secret``, if that secret opens nothing that is locked; ``auth.locked``, ``service.busy``;
            ``passkey.*``.
    """
    async with gateway.database.dispatcher() as connection:
        person = (await connection.execute(select(people).where(people.c.id == person_id))).mappings().one()
        locked = (await connection.execute(_retired(person_id))).mappings().all()
        slots = (await connection.execute(_old_slots(person))).mappings().all()
        api_key = await _api_key_slot(connection, person_id, text)
    async with door.trying(person["email"], now=now):
        secrets = readings(text) if passkey is None else await _given(gateway, passkey, person_id, now)
        opened = await _opened(locked, slots, api_key, secrets)
        if not opened:
            raise RequestError("key.secret", "That secret opens nothing that is locked.")
    objects = 0
    for row, key_pair in opened:
        objects += await _bring_back(gateway, row, key_pair, PublicKey.from_octets(person["public_key"]))
    async with gateway.database.dispatcher() as connection:
        left = (await connection.execute(_retired(person_id))).mappings().all()
        await _drop_useless_slots(connection, person)
        await forget_useless(connection, person_id)
        await tell_of(connection, person_id)
    return Unlocked(len(opened), objects, len(left))


async def _given(gateway: Gateway, credential: Credential, person_id: UUID, now: datetime) -> Sequence[Secret]:
    """Return the secret that a passkey of somebody gives, if it is theirs and does.

    Raises:
        Refused: ``passkey.*``.
    """
    found = await passkeys.find(gateway, credential, now=now, older=True)
    if found.person["id"] != person_id:
        raise Refused("passkey.unknown", "This is somebody else's passkey.")
    shown = await passkeys.show(gateway, found, credential, now=now)
    return [shown.secret] if shown.secret else []


async def _opened(
    locked: Sequence[Row], slots: Sequence[Row], api_key: Row | None, secrets: Sequence[Secret]
) -> list[tuple[Row, KeyPair]]:
    """Return the retired keys that these secrets open, each with its key pair."""
    found: list[tuple[Row, KeyPair]] = []
    if api_key is not None:
        for row in (each for each in locked if each["user_id"] == api_key["user_id"]):
            key_pair = await _open(api_key, secrets, row["public_key"])
            found += [(row, key_pair)] if key_pair else []
        return found
    for slot in slots:
        person = await _open(slot, secrets, slot["public_key"])
        if person is not None:
            mine = [row for row in locked if row["person_key_id"] == slot["key_id"]]
            found += [(row, _member_key(row, person)) for row in mine]
            break
    return found


async def _open(row: Row, secrets: Sequence[Secret], public_key: bytes) -> KeyPair | None:
    slot = Slot(row["kind"], row["parameters"], row["blob"])
    for secret in secrets:
        if secret.kind == slot.kind:
            try:
                return await open_slot(slot, secret, public_key=PublicKey.from_octets(public_key))
            except WrongSecret:
                continue
    return None


def _member_key(row: Row, person: KeyPair) -> KeyPair:
    if row["key_wrap"] is None:
        return person
    return unwrap_key_pair(row["key_wrap"], person, context=member_context(row["tenant_id"], row["user_id"]))


async def _bring_back(gateway: Gateway, row: Row, key_pair: KeyPair, person: PublicKey) -> int:
    """Wrap a membership's key to the person's present one; or, where that has a newer one, its objects to it."""
    objects = 0
    async with gateway.database.dispatcher() as connection:
        user = (await connection.execute(select(users).where(users.c.id == row["user_id"]))).mappings().one()
        if user["key_id"] == row["key_id"]:
            ids = {"tenant_id": user["tenant_id"], "user_id": user["id"]}
            wrapped = wrap_member(key_pair, person, **ids)
            await connection.execute(update(users).where(users.c.id == user["id"]).values(key_wrap=wrapped))
    if user["key_id"] != row["key_id"]:
        newer = PublicKey.from_octets(user["public_key"])
        async with gateway.database.dispatcher() as connection:
            await rewrap_held(connection, key_pair, newer, user_id=user["id"])
            await hand_shares_on(connection, key_pair, newer, user_id=user["id"])
        while done := await _wrap_anew(gateway, user["tenant_id"], key_pair, newer):
            objects += done
    async with gateway.database.dispatcher() as connection:
        await connection.execute(delete(retired_keys).where(retired_keys.c.id == row["id"]))
    return objects


async def _wrap_anew(gateway: Gateway, tenant_id: UUID, old: KeyPair, new: PublicKey) -> int:
    mine = (wraps.c.kind == OWNER) & (wraps.c.key_id == old.public.key_id) & (wraps.c.tenant_id == tenant_id)
    async with gateway.database.dispatcher() as connection:
        found = select(wraps.c.object_id, wraps.c.blob).where(mine).limit(BATCH).with_for_update()
        rows = [(row.object_id, row.blob) for row in await connection.execute(found)]
        if not rows:
            return 0
        blobs = await asyncio.to_thread(_wrapped_anew, rows, tenant_id, old, new)
        values = [
            {"tenant_id": tenant_id, "object_id": object_id, "kind": OWNER, "key_id": new.key_id, "blob": blob}
            for object_id, blob in blobs
        ]
        await connection.execute(upsert(wraps).on_conflict_do_nothing(), values)
        await connection.execute(delete(wraps).where(mine, wraps.c.object_id.in_([each for each, _ in rows])))
    return len(rows)


def _wrapped_anew(
    rows: Sequence[tuple[UUID, bytes]], tenant_id: UUID, old: KeyPair, new: PublicKey
) -> list[tuple[UUID, bytes]]:
    done = []
    for object_id, blob in rows:
        context = wrap_context(tenant=tenant_id, object_id=object_id, kind=OWNER)
        done.append((object_id, wrap(unwrap(blob, old, context=context), new, context=context)))
    return done


async def _drop_useless_slots(connection: AsyncConnection, person: Row) -> None:
    """Delete the slots of older keys of a person to which nothing is wrapped any more."""
    still = exists().where(
        retired_keys.c.person_key_id == person_slots.c.key_id,
        retired_keys.c.user_id == users.c.id,
        users.c.person_id == person_slots.c.person_id,
    )
    old = (person_slots.c.person_id == person["id"]) & (person_slots.c.key_id != person["key_id"])
    await connection.execute(delete(person_slots).where(old, ~still))


def _retired(person_id: UUID) -> Any:
    return select(retired_keys).join(users, users.c.id == retired_keys.c.user_id).where(users.c.person_id == person_id)


def _old_slots(person: Row) -> Any:
    return select(person_slots).where(
        person_slots.c.person_id == person["id"],
        person_slots.c.key_id != person["key_id"],
        person_slots.c.session_id.is_(None),
    )


async def _api_key_slot(connection: AsyncConnection, person_id: UUID, text: str) -> Row | None:
    try:
        key_id = ApiKey.parse(text.strip()).id
    except KeyMalformed:
        return None
    found = (
        select(key_slots)
        .join(users, users.c.id == key_slots.c.user_id)
        .where(key_slots.c.api_key_id == key_id, users.c.person_id == person_id, key_slots.c.kind == ApiSecret.kind)
    )
    return (await connection.execute(found)).mappings().one_or_none()


async def count_locked(connection: AsyncConnection, person_id: UUID) -> int:
    """Return how many keys a reset has locked and nobody has opened since."""
    locked = _retired(person_id).subquery()
    return int((await connection.execute(select(func.count()).select_from(locked))).scalar_one())
