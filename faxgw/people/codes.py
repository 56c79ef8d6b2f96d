"""Set-up codes: by which somebody comes in who was invited, or whose password was reset by an admin; good for once."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.errors import RequestError
from faxgw.ids import new_id
from faxgw.keys.slots import SetUpSecret, Slot, WrongSecret, make_slot, open_slot
from faxgw.keys.tokens import KeyMalformed, ServerKeys, SetUpCode
from faxgw.keys.wraps import KeyPair, PublicKey
from faxgw.store.tables import key_slots, set_up_codes, tenants, users

Row = Mapping[Any, Any]

GOOD_FOR = timedelta(days=7)
_NOBODY = bytes(32)


async def make_code(
    connection: AsyncConnection,
    server_keys: ServerKeys,
    *,
    tenant_id: UUID,
    user_id: UUID,
    kind: Literal["invitation", "reset"],
    key_pair: KeyPair | None,
    now: datetime,
) -> tuple[SetUpCode, datetime]:
    """Make a code, in place of any earlier one; return it, and until when it is good.

    Args:
        connection: of the tenant, or the dispatcher's.
        server_keys: what checks it later.
        tenant_id: where.
        user_id: whose membership.
        kind: what for.
        key_pair: of a membership that nobody has taken up: the code holds the only way to it.
        now: when.
    """
    code, until = SetUpCode.generate(new_id()), now + GOOD_FOR
    await connection.execute(delete(set_up_codes).where(set_up_codes.c.user_id == user_id))
    row = {"id": code.id, "tenant_id": tenant_id, "user_id": user_id, "kind": kind}
    mac = server_keys.mac(code.secret)
    await connection.execute(insert(set_up_codes).values(**row, mac=mac, created_at=now, expires_at=until))
    if key_pair is not None:
        await connection.execute(delete(key_slots).where(_slot_of(user_id)))
        slot = await make_slot(key_pair, SetUpSecret(code.secret))
        values = {"id": new_id(), "tenant_id": tenant_id, "user_id": user_id, "kind": slot.kind}
        await connection.execute(insert(key_slots).values(**values, parameters=slot.parameters, blob=slot.blob))
    return code, until


async def find_code(
    connection: AsyncConnection, server_keys: ServerKeys, text: str, *, now: datetime
) -> tuple[SetUpCode, Row]:
    """Return a code and whose it is: a row of ``users``, with ``code_kind`` and the tenant's name as ``tenant``.

    Raises:
        RequestError: ``people.set_up_code``, the same for a code that never was, is over or was used.
    """
    try:
        code = SetUpCode.parse(text.strip())
    except KeyMalformed:
        raise _refused() from None
    found = (
        select(users, set_up_codes.c.kind.label("code_kind"), set_up_codes.c.mac, tenants.c.name.label("tenant"))
        .join(set_up_codes, set_up_codes.c.user_id == users.c.id)
        .join(tenants, tenants.c.id == users.c.tenant_id)
        .where(set_up_codes.c.id == code.id, set_up_codes.c.expires_at > now, users.c.deactivated_at.is_(None))
    )
    row = (await connection.execute(found)).mappings().one_or_none()
    if not server_keys.matches(code.secret, row["mac"] if row else _NOBODY) or row is None:
        raise _refused()
    return code, row


async def use_code(connection: AsyncConnection, code: SetUpCode, user_id: UUID) -> None:
    """Spend a code, in the transaction of what it is spent for.

    Raises:
        RequestError: ``people.set_up_code``, if somebody else was faster.
    """
    spent = await connection.execute(delete(set_up_codes).where(set_up_codes.c.id == code.id))
    if spent.rowcount != 1:
        raise _refused()
    await connection.execute(delete(key_slots).where(_slot_of(user_id)))


async def key_pair_of(connection: AsyncConnection, code: SetUpCode, user: Row) -> KeyPair:
    """Return the key pair of a membership that nobody has taken up.

    Raises:
        RequestError: ``people.set_up_code``, if the code has not the way to it.
    """
    row = (await connection.execute(select(key_slots).where(_slot_of(user["id"])))).one_or_none()
    if row is None:
        raise _refused()
    slot = Slot(row.kind, row.parameters, row.blob)
    try:
        return await open_slot(slot, SetUpSecret(code.secret), public_key=PublicKey.from_octets(user["public_key"]))
    except WrongSecret:
        raise _refused() from None


async def delete_old_codes(connection: AsyncConnection, *, now: datetime) -> None:
    """Delete codes that are over. The slot of an invitation stays until the next code: its secret may be kept still."""
    await connection.execute(delete(set_up_codes).where(set_up_codes.c.expires_at <= now))


def _slot_of(user_id: UUID) -> Any:
    return (key_slots.c.user_id == user_id) & (key_slots.c.kind == SetUpSecret.kind)


def _refused() -> RequestError:
    return RequestError("people.set_up_code", "This set-up code is not good: unknown, mistyped, over or used.")
