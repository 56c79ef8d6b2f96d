"""The members of a tenant, as its owners and admins see to them: invited, given roles, reset, deactivated."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.boxes.grants import revoke_all_of
from faxgw.errors import RequestError
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.tokens import ServerKeys
from faxgw.keys.wraps import KeyPair
from faxgw.people.codes import make_code
from faxgw.people.sessions import end_sessions_in, tell_of
from faxgw.people.words import read_email
from faxgw.store.tables import api_keys, key_slots, person_slots, tenants, users

Row = Mapping[Any, Any]
OWNER, OPERATOR = "owner", "operator"


@dataclass(frozen=True, slots=True)
class Invited:
    """A membership that waits for somebody; the code is shown this once."""

    user: Row
    code: str = field(repr=False)
    until: datetime


@dataclass(frozen=True, slots=True)
class Reset:
    """A password that may be set anew; ``api_keys`` is how many of their keys go on opening what they have.

    ``recovery_code``: whether there is one that opens everything; ``passkeys``: how many do. Without any of these all
    of it stays locked.
    """

    code: str = field(repr=False)
    until: datetime
    recovery_code: bool
    api_keys: int
    passkeys: int


async def invite(
    connection: AsyncConnection,
    server_keys: ServerKeys,
    *,
    tenant_id: UUID,
    by_role: str,
    email: str,
    role: str,
    now: datetime,
) -> Invited:
    """Make a membership for whoever takes it up: its key pair is there at once, so that nothing sent there is lost.

    Whether the address has an account already is not said.

    Raises:
        RequestError: ``people.email``, ``user.exists``, ``access.role``.
    """
    email = read_email(email)
    _check_role(by_role, role)
    if (await connection.execute(select(users.c.id).where(_of(tenant_id), users.c.email == email))).first():
        raise RequestError("user.exists", f"{email} is a member already, or was one: change that entry.")
    key_pair, user_id = KeyPair.generate(), new_id()
    row = {"id": user_id, "tenant_id": tenant_id, "email": email, "role": role, **_public(key_pair)}
    made = (await connection.execute(insert(users).values(row).returning(users))).mappings().one()
    code, until = await make_code(
        connection,
        server_keys,
        tenant_id=tenant_id,
        user_id=user_id,
        kind="invitation",
        key_pair=key_pair,
        now=now,
    )
    return Invited(made, code.text, until)


async def change(connection: AsyncConnection, user: Row, *, by: Actor, role: str, active: bool, now: datetime) -> Row:
    """Give somebody another role, or deactivate or reactivate them; what they have stays sealed to them.

    ``user`` is their row of ``users``, locked. Their API keys and sessions count for what they are from the next
    request on. Rights to other people's boxes end with the deactivation, and do not come back by themselves.

    Raises:
        RequestError: ``access.role``, ``user.last_owner``.
    """
    _check_role(by.role, role)
    _check_role(by.role, user["role"])
    stays = role == OWNER and active
    if user["role"] == OWNER and user["deactivated_at"] is None and not stays:
        await _check_other_owner(connection, user)
    over = None if active else user["deactivated_at"] or now
    values = {"role": role, "deactivated_at": over, "version": users.c.version + 1}
    changed = update(users).where(users.c.id == user["id"]).values(values).returning(users)
    made: Row = (await connection.execute(changed)).mappings().one()
    if not active:
        await revoke_all_of(connection, user, actor=by)
    await tell_of(connection, user["id"])
    return made


async def end_sessions_of(gateway: Gateway, user_id: UUID) -> None:
    """End the sessions that are in the tenant as somebody who was deactivated."""
    async with gateway.database.dispatcher() as connection:
        await end_sessions_in(connection, user_id)


async def reset(
    connection: AsyncConnection, server_keys: ServerKeys, user: Row, *, by_role: str, now: datetime
) -> Reset:
    """Let somebody set a password anew by a code; nothing is opened by that, and nothing is lost.

    Until the code is used, the old password is good. A code for somebody who was invited replaces the first one; what
    came for them meanwhile was sealed to a key that only the first code opened. ``connection`` is the dispatcher's.

    Raises:
        RequestError: ``access.role``; ``user.elsewhere``, if they are members of other tenants, too, and it is not the
            ``OPERATOR`` who asks.
    """
    if by_role != OPERATOR:
        _check_role(by_role, user["role"])
    ids = {"tenant_id": user["tenant_id"], "user_id": user["id"]}
    if user["person_id"] is None:
        key_pair = KeyPair.generate()
        await connection.execute(update(users).where(users.c.id == user["id"]).values(**_public(key_pair)))
        code, until = await make_code(connection, server_keys, **ids, kind="invitation", key_pair=key_pair, now=now)
        return Reset(code.text, until, recovery_code=False, api_keys=0, passkeys=0)
    if by_role != OPERATOR:
        await _check_nowhere_else(connection, user)
    code, until = await make_code(connection, server_keys, **ids, kind="reset", key_pair=None, now=now)
    return Reset(code.text, until, *await ways_left(connection, user))


async def ways_left(connection: AsyncConnection, user: Row) -> tuple[bool, int, int]:
    """Return whether a member has a recovery code, and how many API keys and passkeys that open what they have."""
    mine = select(person_slots.c.kind, func.count().label("of_kind")).where(
        person_slots.c.person_id == user["person_id"]
    )
    rows = await connection.execute(mine.group_by(person_slots.c.kind))
    slots = {row.kind: row.of_kind for row in rows}
    keys = (
        select(func.count())
        .select_from(key_slots)
        .join(api_keys, api_keys.c.id == key_slots.c.api_key_id)
        .where(key_slots.c.user_id == user["id"], api_keys.c.revoked_at.is_(None))
        .where(api_keys.c.expires_at.is_(None) | (api_keys.c.expires_at > func.now()))
    )
    return "recovery" in slots, (await connection.execute(keys)).scalar_one(), slots.get("passkey", 0)


async def _check_nowhere_else(connection: AsyncConnection, user: Row) -> None:
    """Refuse what would let an admin of one tenant in at another.

    Raises:
        RequestError: ``user.elsewhere``.
    """
    elsewhere = (users.c.person_id == user["person_id"]) & (users.c.id != user["id"])
    if (await connection.execute(select(users.c.id).where(elsewhere))).first():
        raise RequestError(
            "user.elsewhere",
            "They sign in elsewhere by the same address: they can use their recovery code, or ask the operator.",
        )


async def _check_other_owner(connection: AsyncConnection, user: Row) -> None:
    """Refuse to take the last owner; two who leave at once wait for each other here.

    Raises:
        RequestError: ``user.last_owner``.
    """
    await connection.execute(select(tenants.c.id).where(tenants.c.id == user["tenant_id"]).with_for_update())
    others = (users.c.role == OWNER) & users.c.deactivated_at.is_(None) & users.c.person_id.is_not(None)
    found = select(users.c.id).where(_of(user["tenant_id"]), others, users.c.id != user["id"])
    if (await connection.execute(found)).first() is None:
        raise RequestError("user.last_owner", "A tenant has an owner: make somebody else one first.")


def _check_role(by_role: str, role: str) -> None:
    if role == OWNER and by_role != OWNER:
        raise RequestError("access.role", "Only owners make owners, and change what they are.")


def _of(tenant_id: UUID) -> Any:
    return users.c.tenant_id == tenant_id


def _public(key_pair: KeyPair) -> dict[str, Any]:
    return {"key_id": key_pair.public.key_id, "public_key": key_pair.public.octets}
