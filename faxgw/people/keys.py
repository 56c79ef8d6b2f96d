"""The way from a person to what is sealed to them: their own key opens that of each membership, which opens faxes.

A person's key lies in slots (password, recovery code, passkeys, sessions); a membership's is wrapped to the person's
public key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.ids import new_id
from faxgw.keys.slots import Secret, Slot, WrongSecret, make_slot, open_slot
from faxgw.keys.wraps import KeyPair, PublicKey, WrapBroken, member_context, unwrap_key_pair, wrap_key_pair
from faxgw.store.tables import people, person_slots

Row = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class Membership:
    """One person in one tenant, as far as keys go.

    Attributes:
        key_wrap: the private key, wrapped to the person; None: nobody wrapped it to their present key.
    """

    tenant_id: UUID
    user_id: UUID
    key_id: str
    key_wrap: bytes | None = field(repr=False)

    @classmethod
    def of(cls, row: Row) -> "Membership":
        """Return that of a row of ``users``."""
        return cls(row["tenant_id"], row["id"], row["key_id"], row["key_wrap"])

    def unlock(self, person: KeyPair) -> KeyPair:
        """Return the membership's key pair.

        Raises:
            WrapBroken: if the person's key does not open it: it is from before a reset, or the row was altered.
        """
        if self.key_id == person.public.key_id:
            return person  # of an account that is older than memberships: it has the one key
        if self.key_wrap is None:
            raise WrapBroken
        key_pair = unwrap_key_pair(self.key_wrap, person, context=member_context(self.tenant_id, self.user_id))
        if key_pair.public.key_id != self.key_id:
            raise WrapBroken
        return key_pair

    def locked_to(self, person_key_id: str) -> bool:
        """Tell whether a person's present key does not open it: since a reset of their password."""
        return self.key_wrap is None and self.key_id != person_key_id


def wrap_member(key_pair: KeyPair, person: PublicKey, *, tenant_id: UUID, user_id: UUID) -> bytes:
    """Return a membership's private key as ``users.key_wrap`` has it."""
    return wrap_key_pair(key_pair, person, context=member_context(tenant_id, user_id))


async def put_slot(
    connection: AsyncConnection,
    person_id: UUID,
    key_pair: KeyPair,
    secret: Secret,
    *,
    session_id: UUID | None = None,
    passkey_id: UUID | None = None,
) -> None:
    """Write a slot: from now on, ``secret`` opens the person's key."""
    slot = await make_slot(key_pair, secret)
    await add_slot(connection, person_id, key_pair.public, slot, session_id=session_id, passkey_id=passkey_id)


async def add_slot(
    connection: AsyncConnection,
    person_id: UUID,
    public_key: PublicKey,
    slot: Slot,
    *,
    session_id: UUID | None = None,
    passkey_id: UUID | None = None,
) -> None:
    """Write a slot that was made before."""
    values = {
        "id": new_id(),
        "person_id": person_id,
        "key_id": public_key.key_id,
        "public_key": public_key.octets,
        "kind": slot.kind,
        "session_id": session_id,
        "passkey_id": passkey_id,
        "parameters": slot.parameters,
        "blob": slot.blob,
    }
    await connection.execute(insert(person_slots).values(values))


async def replace_slot(connection: AsyncConnection, person_id: UUID, public_key: PublicKey, slot: Slot) -> None:
    """Write the one slot of its kind of the person's present key in place of the one of before."""
    same = (person_slots.c.kind == slot.kind) & (person_slots.c.key_id == public_key.key_id)
    await connection.execute(person_slots.delete().where(person_slots.c.person_id == person_id, same))
    await add_slot(connection, person_id, public_key, slot)


async def slot_of(connection: AsyncConnection, person_id: UUID, kind: str) -> Slot | None:
    """Return a person's slot of a kind, of their present key."""
    found = (
        select(person_slots.c.kind, person_slots.c.parameters, person_slots.c.blob)
        .join(people, (people.c.id == person_slots.c.person_id) & (people.c.key_id == person_slots.c.key_id))
        .where(people.c.id == person_id, person_slots.c.kind == kind)
        .limit(1)
    )
    row = (await connection.execute(found)).one_or_none()
    return Slot(row.kind, row.parameters, row.blob) if row else None


async def opened(slot: Slot | None, secret: Secret, public_key: bytes) -> KeyPair | None:
    """Return what a slot holds; None: the secret does not open it, or there is none."""
    if slot is None:
        return None
    try:
        return await open_slot(slot, secret, public_key=PublicKey.from_octets(public_key))
    except WrongSecret:
        return None
