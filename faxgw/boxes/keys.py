"""A box's key pairs: what is sealed to a box opens for those to whom its private key is wrapped, and for no one else.

A key is made when it is first needed, by the gateway, which wraps it to the readers' public keys and forgets it; so is
the next one, when somebody has stopped being a reader. Keys of before stay, for those who hold them.
"""

from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.boxes.access import unexpired
from faxgw.escrow.covering import cover
from faxgw.keys.export import BoxWay
from faxgw.keys.wraps import KeyPair, PublicKey, box_context, wrap_key_pair
from faxgw.store.tables import box_keys, box_wraps, boxes, grants, users

HOLDING = ("read", "manage")
"""Rights that the key goes with: who manages hands it on."""


async def sealing_key(connection: AsyncConnection, box_id: UUID) -> PublicKey:
    """Return the key that whatever comes into a box is sealed to."""
    return (await sealing_keys(connection, [box_id]))[box_id]


async def sealing_keys(connection: AsyncConnection, box_ids: Collection[UUID]) -> Mapping[UUID, PublicKey]:
    """Return the present key of each of these boxes, which are of one tenant; those that have none yet get one."""
    found = {}
    if box_ids:
        present = box_keys.c.box_id.in_(list(box_ids)) & box_keys.c.retired_at.is_(None)
        rows = await connection.execute(select(box_keys.c.box_id, box_keys.c.public_key).where(present))
        found = {row.box_id: PublicKey.from_octets(row.public_key) for row in rows}
    for each in sorted(set(box_ids) - found.keys()):
        found[each] = await _made(connection, each)
    return found


async def rotate(connection: AsyncConnection, box_id: UUID) -> PublicKey:
    """Give a box another key, for all who are readers now; what comes from now on is sealed to it."""
    await connection.execute(select(boxes.c.id).where(boxes.c.id == box_id).with_for_update(key_share=True))
    present = (box_keys.c.box_id == box_id) & box_keys.c.retired_at.is_(None)
    await connection.execute(update(box_keys).where(present).values(retired_at=func.now()))
    return await _made(connection, box_id)


async def rotate_all_of(connection: AsyncConnection, user_id: UUID) -> None:
    """Give every box that somebody reads another key: theirs is a new one."""
    held = select(grants.c.box_id).where(
        grants.c.user_id == user_id, grants.c.rights.overlap(list(HOLDING)), unexpired()
    )
    mine = select(boxes.c.id).where(or_(boxes.c.owner_id == user_id, boxes.c.id.in_(held))).order_by(boxes.c.id)
    for box_id in (await connection.execute(mine)).scalars().all():
        await rotate(connection, box_id)


async def rewrap_held(connection: AsyncConnection, old: KeyPair, new: PublicKey, *, user_id: UUID) -> None:
    """Wrap all keys of boxes that somebody's old key opens to their new one, in place of the old one."""
    mine = (box_wraps.c.user_id == user_id) & (box_wraps.c.to_key == old.public.key_id)
    found = select(box_keys.c.box_id).join(box_wraps, box_wraps.c.key_id == box_keys.c.key_id).where(mine).distinct()
    for box_id in (await connection.execute(found)).scalars().all():
        tenant = (await connection.execute(select(boxes.c.tenant_id).where(boxes.c.id == box_id))).scalar_one()
        pairs = await held_keys(connection, old, box_id)
        await hand(connection, pairs.values(), new, tenant=tenant, box=box_id, user_id=user_id)
    await connection.execute(delete(box_wraps).where(mine))


async def held_keys(connection: AsyncConnection, key: KeyPair, box_id: UUID) -> Mapping[str, KeyPair]:
    """Return the private keys of a box that somebody's own key opens, by their ids: the present one and older ones."""
    found = (
        select(box_keys.c.tenant_id, box_keys.c.key_id, box_wraps.c.blob)
        .join(box_wraps, box_wraps.c.key_id == box_keys.c.key_id)
        .where(box_keys.c.box_id == box_id, box_wraps.c.to_key == key.public.key_id)
    )
    rows = (await connection.execute(found)).all()
    return {row.key_id: BoxWay(box_id, row.key_id, row.blob).key_pair(key, row.tenant_id) for row in rows}


async def hand(
    connection: AsyncConnection, pairs: Iterable[KeyPair], reader: PublicKey, *, tenant: UUID, box: UUID, user_id: UUID
) -> None:
    """Wrap private keys of a box to one more reader."""
    rows = [_wrap(each, reader, tenant=tenant, box=box, user_id=user_id) for each in pairs]
    if rows:
        await connection.execute(upsert(box_wraps).on_conflict_do_nothing(), rows)


async def _made(connection: AsyncConnection, box_id: UUID) -> PublicKey:
    """Make the first key of a box, or the next one; of several at once, one is made."""
    tenant = (await connection.execute(select(boxes.c.tenant_id).where(boxes.c.id == box_id))).scalar_one()
    pair = KeyPair.generate()
    row = {"tenant_id": tenant, "box_id": box_id, "key_id": pair.public.key_id, "public_key": pair.public.octets}
    first = upsert(box_keys).values(row).on_conflict_do_nothing().returning(box_keys.c.key_id)
    if (await connection.execute(first)).scalar_one_or_none() is None:
        present = (box_keys.c.box_id == box_id) & box_keys.c.retired_at.is_(None)
        return PublicKey.from_octets(
            (await connection.execute(select(box_keys.c.public_key).where(present))).scalar_one()
        )
    readers = await _readers(connection, box_id)
    await connection.execute(
        insert(box_wraps),
        [_wrap(pair, reader, tenant=tenant, box=box_id, user_id=user) for user, reader in readers.items()],
    )
    await cover(connection, pair, tenant_id=tenant)
    return pair.public


async def _readers(connection: AsyncConnection, box_id: UUID) -> Mapping[UUID, PublicKey]:
    """Return the public keys of all who read or manage a box, also while the policy suspends what was granted."""
    held = select(grants.c.user_id).where(
        grants.c.box_id == box_id, grants.c.rights.overlap(list(HOLDING)), unexpired()
    )
    owner = select(boxes.c.owner_id).where(boxes.c.id == box_id)
    found = select(users.c.id, users.c.public_key).where(or_(users.c.id.in_(owner), users.c.id.in_(held)))
    return {row.id: PublicKey.from_octets(row.public_key) for row in await connection.execute(found)}


def _wrap(pair: KeyPair, reader: PublicKey, *, tenant: UUID, box: UUID, user_id: UUID) -> dict[str, object]:
    blob = wrap_key_pair(pair, reader, context=box_context(tenant, box))
    ids = {"tenant_id": tenant, "user_id": user_id}
    return {**ids, "key_id": pair.public.key_id, "to_key": reader.key_id, "blob": blob}
