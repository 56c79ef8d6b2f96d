"""Puts a notice on its way, in the transaction of whatever it tells of: a parcel for each who is to be told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, ColumnElement, cast, exists, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.boxes.access import may
from faxgw.ids import new_id
from faxgw.notices.kinds import KINDS, checked
from faxgw.store.tables import boxes, parcels, users


class Role(Enum):
    """Those of a tenant who have a role; whoever owns a tenant administers it, too."""

    OWNERS = "owners"
    ADMINS = "admins"


@dataclass(frozen=True, slots=True)
class ReadersOf:
    """All who may read a box now."""

    box_id: UUID


@dataclass(frozen=True, slots=True)
class OwnerOf:
    """Who owns a box."""

    box_id: UUID


@dataclass(frozen=True, slots=True)
class Member:
    """One member of the tenant."""

    user_id: UUID


Members = Role | ReadersOf | OwnerOf | Member
Recipient = Members | str
"""Members, or an address of somebody outside."""


async def notify(
    connection: AsyncConnection,
    tenant_id: UUID,
    *,
    kind: str,
    key: str,
    to: Recipient | Sequence[Recipient],
    data: Mapping[str, Any],
    fax_id: UUID | None = None,
) -> None:
    """Put a notice on its way to each who is to be told and has not switched such notices off.

    Told again with the same key, with the same recipients in the same order, it is sent once.

    Args:
        connection: the open transaction of what is told, of its tenant or of the dispatcher.
        tenant_id: whose notice it is.
        kind: one of ``KINDS``.
        key: what it is told of: of one kind and key, each recipient has one notice. No personal value.
        to: members, who get it at the address they are known by while they are active; or addresses.
        data: what it says, see ``KINDS``; telephone numbers (``number``) are masked here.
        fax_id: the fax that it is about; the notice goes with its row.

    Raises:
        ValueError: if ``data`` is not what such a notice may say.
    """
    said = checked(kind, data)
    recipients: Sequence[Recipient] = to if isinstance(to, Sequence) and not isinstance(to, str) else [to]
    found = await _addresses(connection, tenant_id, kind, recipients)
    if not found:
        return
    rows = [
        {"id": new_id(), "key": f"{key}/{name}", "recipient": address, "data": said} for name, address in found.items()
    ]
    statement = insert(parcels).values(tenant_id=tenant_id, kind=kind, fax_id=fax_id, next_at=func.now())
    await connection.execute(statement.on_conflict_do_nothing(index_elements=["tenant_id", "kind", "key"]), rows)


async def _addresses(
    connection: AsyncConnection, tenant_id: UUID, kind: str, recipients: Sequence[Recipient]
) -> dict[str, str]:
    """Return name within the key -> address, each address once: members first, by their ids, then the others."""
    found: dict[str, str] = {}
    for recipient in recipients:
        if not isinstance(recipient, str):
            found |= await _members(connection, tenant_id, kind, recipient)
    taken = {address.casefold() for address in found.values()}
    outside = [each for each in recipients if isinstance(each, str)]
    for index, address in enumerate(outside):
        if address.casefold() not in taken:
            taken.add(address.casefold())
            found[str(index)] = address
    return found


async def _members(connection: AsyncConnection, tenant_id: UUID, kind: str, who: Members) -> dict[str, str]:
    active = (users.c.tenant_id == tenant_id, users.c.deactivated_at.is_(None), users.c.person_id.is_not(None))
    found = await connection.execute(select(users.c.id, users.c.email).where(*active, _among(who), wanted(kind)))
    return {str(row.id): row.email for row in found}


def wanted(kind: str) -> ColumnElement[bool]:
    """Return whether the member of a row of ``users`` has notices of a kind."""
    known = KINDS[kind]
    if not known.chosen:
        return literal(True)
    return func.coalesce(cast(users.c.notices[kind].astext, Boolean), literal(known.usual))


def _among(who: Members) -> ColumnElement[bool]:
    if who is Role.OWNERS:
        return users.c.role == "owner"
    if who is Role.ADMINS:
        return users.c.role.in_(("owner", "admin"))
    if isinstance(who, Member):
        return users.c.id == who.user_id
    assert isinstance(who, ReadersOf | OwnerOf)
    mine = boxes.c.owner_id == users.c.id if isinstance(who, OwnerOf) else may(users.c.id, "read")
    return exists(select(boxes.c.id).where(boxes.c.id == who.box_id, mine).correlate_except(boxes))
