"""Grants: what somebody besides the owner may do with a box, and until when.

Whoever may read or manage gets the box's private keys, wrapped to their own by one who has them. When that ends, the
wraps are deleted and the box gets another key: what they have kept opens nothing that comes later.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.audit import record
from faxgw.boxes.access import RIGHTS, Right, unexpired
from faxgw.boxes.keys import HOLDING, hand, held_keys, rotate, sealing_key
from faxgw.errors import RequestError
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.wraps import KeyPair, PublicKey
from faxgw.store.tables import box_keys, box_wraps, boxes, grants, users

Row = Mapping[Any, Any]


def goes_with_key(rights: Collection[str]) -> bool:
    """Return whether the box's key goes with these rights."""
    return not set(HOLDING).isdisjoint(rights)


async def grant(
    connection: AsyncConnection,
    *,
    box: Row,
    user_id: UUID,
    rights: Collection[Right],
    expires_at: datetime | None,
    by: UUID,
    key: KeyPair | None,
    request_id: UUID | None = None,
) -> Row:
    """Give somebody rights to a box, in place of those that they had, and return the row.

    Args:
        connection: a transaction of the tenant.
        box: the row of the box.
        user_id: who gets them.
        rights: which.
        expires_at: until when; None: until they are revoked.
        by: who gives them.
        key: the private key of who gives them, where the box's key goes with the rights.
        request_id: of the emergency access that they are given by; whoever opens the box hands its key on.
    """
    before = select(grants).where(grants.c.box_id == box["id"], grants.c.user_id == user_id)
    earlier = (await connection.execute(before)).mappings().one_or_none()
    if earlier is not None:
        keeps = goes_with_key(earlier["rights"]) and not goes_with_key(rights)
        await _take_away(connection, earlier, rotated=keeps)
    values = {"id": new_id(), "tenant_id": box["tenant_id"], "box_id": box["id"], "user_id": user_id}
    values |= {"rights": sorted(set(rights)), "expires_at": expires_at, "granted_by": by, "request_id": request_id}
    row: Row = (await connection.execute(insert(grants).values(values).returning(grants))).mappings().one()
    if key is not None:
        await sealing_key(connection, box["id"])
        public = (await connection.execute(select(users.c.public_key).where(users.c.id == user_id))).scalar_one()
        pairs = await held_keys(connection, key, box["id"])
        ids = {"tenant": box["tenant_id"], "box": box["id"], "user_id": user_id}
        await hand(connection, pairs.values(), PublicKey.from_octets(public), **ids)
    return row


async def revoke(connection: AsyncConnection, row: Row) -> None:
    """Take rights away: at the next request nothing opens, and what comes from now on is sealed to another key."""
    await _take_away(connection, row, rotated=goes_with_key(row["rights"]))


async def revoke_all_of(connection: AsyncConnection, user: Row, *, actor: Actor | str) -> None:
    """Take all rights away from somebody who was deactivated; who reactivates them gives back none.

    ``user`` is their row of ``users``. Boxes that they own stay theirs: nobody else might be able to open them.
    """
    theirs = select(grants).where(grants.c.user_id == user["id"]).order_by(grants.c.box_id)
    for row in (await connection.execute(theirs)).mappings().all():
        await revoke(connection, row)
        await _note_end(connection, row, "grant.revoked", actor=actor, reason="deactivated")


async def hand_over(connection: AsyncConnection, box: Row, user_id: UUID) -> None:
    """Make somebody who reads and manages a box its owner; the owner of before has a grant in their place.

    Raises:
        RequestError: ``box.owner``, if they do not, or, of a shared box, are no owner or admin.
    """
    theirs = (grants.c.box_id == box["id"]) & (grants.c.user_id == user_id) & unexpired()
    found = select(grants.c.rights, users.c.role).join(users, users.c.id == grants.c.user_id)
    row = (await connection.execute(found.where(theirs, users.c.deactivated_at.is_(None)))).one_or_none()
    if row is None or not {"read", "manage"} <= set(row.rights) or (box["shared"] and row.role == "member"):
        raise RequestError("box.owner", "A box goes to somebody who reads and manages it; a shared one to an admin.")
    await connection.execute(delete(grants).where(theirs))
    before = {"id": new_id(), "tenant_id": box["tenant_id"], "box_id": box["id"], "user_id": box["owner_id"]}
    await connection.execute(insert(grants).values(**before, rights=list(RIGHTS), granted_by=user_id))
    new = update(boxes).where(boxes.c.id == box["id"]).values(owner_id=user_id, version=boxes.c.version + 1)
    await connection.execute(new)


async def end_expired(gateway: Gateway, *, now: datetime) -> int:
    """Take away what has expired, one grant in a transaction, and return how many; access has ended before already.

    So it goes with what somebody has who was deactivated by a version of this program that left it to them.
    """
    out = grants.c.user_id.in_(select(users.c.id).where(users.c.deactivated_at.is_not(None)))
    due = (grants.c.expires_at <= now) | out
    async with gateway.database.dispatcher() as connection:
        found = (await connection.execute(select(grants.c.id).where(due).order_by(grants.c.id))).scalars().all()
    for grant_id in found:
        async with gateway.database.dispatcher() as connection:
            mine = select(grants, out.label("out")).where(grants.c.id == grant_id, due).with_for_update()
            row = (await connection.execute(mine)).mappings().one_or_none()
            if row is not None:
                await revoke(connection, row)
                reason = {"reason": "deactivated"} if row["out"] else {}
                action = "grant.revoked" if row["out"] else "grant.expired"
                await _note_end(connection, row, action, actor="service", **reason)
    return len(found)


async def _note_end(connection: AsyncConnection, row: Row, action: str, *, actor: Actor | str, **more: str) -> None:
    said = {"box": str(row["box_id"]), "user": str(row["user_id"]), "rights": list(row["rights"]), **more}
    ids = {"tenant_id": row["tenant_id"], "object": "grant", "object_id": row["id"]}
    await record(connection, **ids, actor=actor, action=action, data=said)


async def _take_away(connection: AsyncConnection, row: Row, *, rotated: bool) -> None:
    await connection.execute(select(boxes.c.id).where(boxes.c.id == row["box_id"]).with_for_update(key_share=True))
    await connection.execute(delete(grants).where(grants.c.id == row["id"]))
    keys = select(box_keys.c.key_id).where(box_keys.c.box_id == row["box_id"])
    theirs = (box_wraps.c.user_id == row["user_id"]) & box_wraps.c.key_id.in_(keys)
    await connection.execute(delete(box_wraps).where(theirs))
    if rotated and (await connection.execute(keys.limit(1))).first() is not None:
        await rotate(connection, row["box_id"])
