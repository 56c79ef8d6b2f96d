"""Accounts: a person with a key pair of their own, and memberships in tenants with one each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.errors import RequestError
from faxgw.ids import new_id
from faxgw.keys.slots import Password, RecoveryCode, Slot, make_slot
from faxgw.keys.wraps import KeyPair, PublicKey
from faxgw.people.keys import replace_slot, wrap_member
from faxgw.store.tables import boxes, people, tenants, users

Row = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class Draft:
    """A key pair with its slots, and the recovery code, which is shown this once."""

    key_pair: KeyPair
    recovery_code: RecoveryCode
    slots: tuple[Slot, ...]

    @classmethod
    async def of(cls, password: Password, key_pair: KeyPair | None = None) -> "Draft":
        """Return it for a new key pair, or the one given; takes its time, so no transaction should wait for it."""
        key_pair, code = key_pair or KeyPair.generate(), RecoveryCode.generate()
        return cls(key_pair, code, (await make_slot(key_pair, password), await make_slot(key_pair, code)))

    @property
    def public(self) -> dict[str, Any]:
        """The columns of ``people`` that say so."""
        return {"key_id": self.key_pair.public.key_id, "public_key": self.key_pair.public.octets}

    async def save(self, connection: AsyncConnection, person_id: UUID) -> None:
        """Write the slots, in place of those that the same key had of their kinds."""
        for slot in self.slots:
            await replace_slot(connection, person_id, self.key_pair.public, slot)


async def person_of(connection: AsyncConnection, email: str) -> Row | None:
    """Return the row of whoever signs in by an address; ``connection`` is the dispatcher's, as everywhere here."""
    found = select(people).where(people.c.email == email)
    return (await connection.execute(found)).mappings().one_or_none()


async def key_id_of(connection: AsyncConnection, person_id: UUID) -> str:
    """Return which key is a person's present one."""
    found = select(people.c.key_id).where(people.c.id == person_id)
    return str((await connection.execute(found)).scalar_one())


async def save_person(connection: AsyncConnection, draft: Draft, *, email: str) -> UUID:
    """Make an account; return whose id it is.

    Raises:
        RequestError: ``user.exists``, if there is one by now.
    """
    row = {"id": new_id(), "email": email, **draft.public}
    made = upsert(people).values(row).on_conflict_do_nothing(index_elements=["email"]).returning(people.c.id)
    person_id: UUID | None = (await connection.execute(made)).scalar_one_or_none()
    if person_id is None:
        raise RequestError("user.exists", f"There is an account of {email} already.")
    await draft.save(connection, person_id)
    return person_id


async def make_membership(
    connection: AsyncConnection, *, tenant_id: UUID, person_id: UUID, person: PublicKey, email: str, role: str
) -> tuple[UUID, KeyPair]:
    """Make a person a member of a tenant; return the id of the membership, and its key pair."""
    user_id, key_pair = new_id(), KeyPair.generate()
    row = {
        "id": user_id,
        "tenant_id": tenant_id,
        "person_id": person_id,
        "email": email,
        "role": role,
        "key_id": key_pair.public.key_id,
        "public_key": key_pair.public.octets,
        "key_wrap": wrap_member(key_pair, person, tenant_id=tenant_id, user_id=user_id),
    }
    await connection.execute(insert(users).values(row))
    return user_id, key_pair


async def take_up(
    connection: AsyncConnection, user: Row, key_pair: KeyPair, *, person_id: UUID, person: PublicKey
) -> None:
    """Let a person take up a membership that they were invited to; ``key_pair`` is the membership's."""
    ids = {"tenant_id": user["tenant_id"], "user_id": user["id"]}
    taken = {"person_id": person_id, "key_wrap": wrap_member(key_pair, person, **ids)}
    await connection.execute(update(users).where(users.c.id == user["id"]).values(taken))
    await make_box(connection, tenant_id=user["tenant_id"], user_id=user["id"], name=user["email"])


async def make_box(
    connection: AsyncConnection, *, tenant_id: UUID, user_id: UUID, name: str, is_default: bool = False
) -> UUID:
    """Make somebody's first box, named after them, or nearly so where there is one of that name."""
    box_id = new_id()
    row = {"id": box_id, "tenant_id": tenant_id, "owner_id": user_id, "name": name[:100], "is_default": is_default}
    made = upsert(boxes).values(row).on_conflict_do_nothing(index_elements=["tenant_id", "name"])
    if (await connection.execute(made.returning(boxes.c.id))).one_or_none() is None:
        await connection.execute(insert(boxes).values(row | {"name": f"{name[:60]} {box_id}"}))
    return box_id


async def memberships(connection: AsyncConnection, person_id: UUID) -> Sequence[Row]:
    """Return a person's active memberships: rows of ``users``, with the tenant's name as ``tenant``; oldest first."""
    found = (
        select(users, tenants.c.name.label("tenant"), tenants.c.policy)
        .join(tenants, tenants.c.id == users.c.tenant_id)
        .where(users.c.person_id == person_id, users.c.deactivated_at.is_(None))
        .order_by(users.c.id)
    )
    return (await connection.execute(found)).mappings().all()
