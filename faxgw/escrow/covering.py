"""A box's private keys split among the trustees, each share wrapped to one of them: that an emergency can be met.

Only who holds a key can split it: the gateway while it makes one, or a reader who has just opened theirs.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.audit import record
from faxgw.escrow.shares import Share, split
from faxgw.keys.export import BoxWay
from faxgw.keys.wraps import KeyPair, PublicKey, unwrap, wrap, wrap_context
from faxgw.store.tables import box_keys, box_wraps, boxes, escrow_shares, escrow_trustees, escrows, wraps


@dataclass(frozen=True, slots=True)
class Trustee:
    """Somebody who has shares.

    Attributes:
        id: of their seat.
        index: of all their shares.
        public_key: what these are wrapped to: their key of when they became a trustee.
    """

    id: UUID
    user_id: UUID
    index: int
    public_key: PublicKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class Escrow:
    """A tenant's escrow as it is now."""

    id: UUID
    tenant_id: UUID
    threshold: int
    trustees: tuple[Trustee, ...]


async def read_escrow(connection: AsyncConnection, tenant_id: UUID, *, change: bool = False) -> Escrow | None:
    """Return a tenant's escrow, which stays as it is until the transaction ends; None: there is none.

    ``change`` waits for all who use it; otherwise many read it at once.
    """
    found = select(escrows.c.id, escrows.c.threshold).where(escrows.c.tenant_id == tenant_id)
    locked = found.with_for_update(read=not change, key_share=not change)
    row = (await connection.execute(locked)).one_or_none()
    if row is None:
        return None
    mine = select(escrow_trustees).where(escrow_trustees.c.escrow_id == row.id).order_by(escrow_trustees.c.index)
    trustees = tuple(
        Trustee(each["id"], each["user_id"], each["index"], PublicKey.from_octets(each["public_key"]))
        for each in (await connection.execute(mine)).mappings()
    )
    return Escrow(row.id, tenant_id, row.threshold, trustees)


def open_to_escrow() -> ColumnElement[bool]:
    """Return whether the key of a row of ``box_keys`` is split among trustees."""
    return exists(select(escrow_shares.c.key_id).where(escrow_shares.c.key_id == box_keys.c.key_id).correlate(box_keys))


def by_escrow() -> ColumnElement[bool]:
    """Return whether the box of a row of ``boxes`` can be opened by the escrow, with all that is sealed to it."""
    there = exists(select(escrows.c.id).where(escrows.c.tenant_id == boxes.c.tenant_id).correlate(boxes))
    left = exists(select(box_keys.c.key_id).where(box_keys.c.box_id == boxes.c.id, uncovered()).correlate(boxes))
    return and_(there, ~left)


def uncovered() -> ColumnElement[bool]:
    """Return whether the key of a row of ``box_keys`` is in use, and is not split among trustees."""
    sealed = select(wraps.c.key_id).where(wraps.c.kind == "box", wraps.c.key_id == box_keys.c.key_id)
    return and_(or_(box_keys.c.retired_at.is_(None), exists(sealed.correlate(box_keys))), ~open_to_escrow())


async def cover(connection: AsyncConnection, pair: KeyPair, *, tenant_id: UUID) -> None:
    """Split a key that was just made for a box, where the tenant has an escrow."""
    escrow = await read_escrow(connection, tenant_id)
    if escrow is not None and len(escrow.trustees) >= escrow.threshold:
        await connection.execute(insert(escrow_shares), _rows([pair], escrow))


async def waiting_boxes(connection: AsyncConnection, key_ids: Collection[str], tenant_id: UUID) -> Sequence[UUID]:
    """Return which of the boxes that these keys belong to wait for somebody who can split their keys."""
    if not key_ids:
        return []
    enough = select(func.count()).where(escrow_trustees.c.escrow_id == escrows.c.id).scalar_subquery()
    found = (
        select(box_keys.c.box_id)
        .distinct()
        .join(escrows, escrows.c.tenant_id == box_keys.c.tenant_id)
        .where(
            escrows.c.tenant_id == tenant_id,
            escrows.c.threshold <= enough,
            box_keys.c.key_id.in_(list(key_ids)),
            ~open_to_escrow(),
        )
    )
    return (await connection.execute(found)).scalars().all()


async def cover_held(connection: AsyncConnection, key: KeyPair, box_id: UUID, *, tenant_id: UUID) -> Sequence[str]:
    """Split all keys of a box that somebody's own key opens and that are not split yet; return their ids.

    Raises:
        WrapBroken: if a wrap was altered.
    """
    escrow = await read_escrow(connection, tenant_id)
    if escrow is None or len(escrow.trustees) < escrow.threshold:
        return []
    theirs = box_keys.c.box_id == box_id
    await connection.execute(
        select(box_keys.c.key_id).where(theirs).order_by(box_keys.c.key_id).with_for_update(key_share=True)
    )
    held = (box_wraps.c.key_id == box_keys.c.key_id) & (box_wraps.c.to_key == key.public.key_id)
    found = select(box_keys.c.key_id, box_wraps.c.blob).join(box_wraps, held).where(theirs, ~open_to_escrow())
    ways = [BoxWay(box_id, row.key_id, row.blob) for row in await connection.execute(found)]
    if ways:
        pairs = [way.key_pair(key, tenant_id) for way in ways]
        await connection.execute(insert(escrow_shares), await asyncio.to_thread(_rows, pairs, escrow))
    return [way.key_id for way in ways]


async def cover_opened(connection: AsyncConnection, key: KeyPair, key_ids: Collection[str], *, actor: Actor) -> None:
    """Split the keys of boxes that somebody is just opening, where they wait for that.

    ``key_ids`` are of the boxes' keys that are in use.
    """
    for box_id in await waiting_boxes(connection, key_ids, actor.tenant_id):
        await cover_noted(connection, key, box_id, actor=actor)


async def cover_noted(connection: AsyncConnection, key: KeyPair, box_id: UUID, *, actor: Actor) -> int:
    """Split all keys of a box that somebody's own key opens, write that down, and return how many."""
    done = await cover_held(connection, key, box_id, tenant_id=actor.tenant_id)
    if done:
        await record(
            connection,
            tenant_id=actor.tenant_id,
            actor=actor,
            action="box.escrowed",
            object="box",
            object_id=box_id,
            data={"keys": list(done)},
        )
    return len(done)


async def hand_shares_on(connection: AsyncConnection, old: KeyPair, new: PublicKey, *, user_id: UUID) -> None:
    """Wrap a trustee's shares to their new key: they have shown the old one, which is what these were wrapped to."""
    mine = (escrow_trustees.c.user_id == user_id) & (escrow_trustees.c.key_id == old.public.key_id)
    for seat in (await connection.execute(select(escrow_trustees).where(mine))).all():
        await connection.execute(select(escrows.c.id).where(escrows.c.id == seat.escrow_id).with_for_update())
        theirs = escrow_shares.c.trustee_id == seat.id
        for row in (await connection.execute(select(escrow_shares).where(theirs))).all():
            context = share_context(row.tenant_id, seat.escrow_id, key_id=row.key_id, user_id=user_id)
            blob = wrap(unwrap(row.blob, old, context=context), new, context=context)
            this = theirs & (escrow_shares.c.key_id == row.key_id)
            await connection.execute(update(escrow_shares).where(this).values(blob=blob))
        keys = {"key_id": new.key_id, "public_key": new.octets}
        await connection.execute(update(escrow_trustees).where(mine).values(keys))


async def take_shares(connection: AsyncConnection, escrow: Escrow, user_id: UUID) -> None:
    """Delete somebody's shares: they are a trustee no more. ``escrow`` was read to be changed."""
    theirs = (escrow_trustees.c.escrow_id == escrow.id) & (escrow_trustees.c.user_id == user_id)
    await connection.execute(delete(escrow_trustees).where(theirs))


def share_context(tenant: UUID, escrow: UUID, *, key_id: str, user_id: UUID) -> bytes:
    """Return what a trustee's share of a box's key is bound to."""
    return wrap_context(tenant=tenant, object_id=escrow, kind=f"escrow share {key_id} {user_id}")


def commitment_context(escrow: UUID, key_id: str) -> bytes:
    """Return what the commitments to the shares of one key are bound to."""
    return escrow.bytes + key_id.encode()


def _rows(pairs: Iterable[KeyPair], escrow: Escrow) -> list[dict[str, Any]]:
    return [row for pair in pairs for row in _shared(pair, escrow)]


def _shared(pair: KeyPair, escrow: Escrow) -> list[dict[str, Any]]:
    key_id, trustees = pair.public.key_id, {each.index: each for each in escrow.trustees}
    shares = split(pair.octets, threshold=escrow.threshold, indexes=trustees)
    return [_row(share, trustees[share.index], escrow, key_id) for share in shares]


def _row(share: Share, trustee: Trustee, escrow: Escrow, key_id: str) -> dict[str, Any]:
    context = share_context(escrow.tenant_id, escrow.id, key_id=key_id, user_id=trustee.user_id)
    ids = {"tenant_id": escrow.tenant_id, "trustee_id": trustee.id, "key_id": key_id}
    commitment = share.commitment(commitment_context(escrow.id, key_id))
    return {**ids, "commitment": commitment, "blob": wrap(share.octets, trustee.public_key, context=context)}
