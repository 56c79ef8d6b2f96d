"""Wrapping what lies in a box to its present key, so that a key of before opens nothing of it any more.

It takes somebody who holds the older keys; nothing is opened but the keys of objects, and no object is touched.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import RowMapping, Uuid, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from faxgw.boxes.keys import held_keys, sealing_key
from faxgw.boxes.ways import BOX
from faxgw.gateway import Gateway
from faxgw.keys.wraps import KeyPair, PublicKey, unwrap, wrap, wrap_context
from faxgw.store.rows import Rows
from faxgw.store.tables import box_keys, wraps

BATCH = 250
"""Wraps in one transaction: a tenth of a second of one core, in a thread."""
SECONDS = 20.0
"""How long one go takes; then the next one may be asked for."""


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """How many objects were wrapped anew, and how many are still wrapped to keys of before."""

    done: int
    left: int


async def rewrap(gateway: Gateway, key: KeyPair, *, tenant_id: UUID, box_id: UUID) -> Rewrapped:
    """Wrap objects of a box to its present key, in small transactions, for a while. Asked again, it goes on.

    ``key`` is the private key of somebody who holds the box's keys.
    """
    loop = asyncio.get_running_loop()
    until, done = loop.time() + SECONDS, 0
    async with gateway.database.tenant(tenant_id) as connection:
        present = await sealing_key(connection, box_id)
        held = await held_keys(connection, key, box_id)
    for key_id, pair in held.items():
        last: UUID | None = NIL if key_id != present.key_id else None
        while last is not None and loop.time() < until:
            some, last = await _some(gateway, pair, present, tenant_id=tenant_id, after=last)
            done += some
    async with gateway.database.tenant(tenant_id) as connection:
        retired = select(box_keys.c.key_id).where(box_keys.c.box_id == box_id, box_keys.c.key_id != present.key_id)
        left = select(func.count()).where(wraps.c.kind == BOX, wraps.c.key_id.in_(retired))
        return Rewrapped(done, (await connection.execute(left)).scalar_one())


async def _some(
    gateway: Gateway, older: KeyPair, present: PublicKey, *, tenant_id: UUID, after: UUID
) -> tuple[int, UUID | None]:
    """Wrap the next objects anew; return how many, and the last of them: None if there were none."""
    async with gateway.database.tenant(tenant_id) as connection:
        asked = {"key": older.public.key_id, "after": after}
        rows = (await connection.execute(_NEXT, asked)).mappings().all()
        if not rows:
            return 0, None
        anew = await asyncio.to_thread(_anew, rows, older, present)
        await connection.execute(_WRITE, _WRAPS.values(anew))
        there = [row["object_id"] for row in rows]
        await connection.execute(_DELETE, {"key": older.public.key_id, "ids": there})
        return len(rows), there[-1]


def _anew(rows: Sequence[RowMapping], older: KeyPair, present: PublicKey) -> list[dict[str, object]]:
    done = []
    for row in rows:
        context = wrap_context(tenant=row["tenant_id"], object_id=row["object_id"], kind=BOX)
        blob = wrap(unwrap(row["blob"], older, context=context), present, context=context)
        done.append({**row, "key_id": present.key_id, "blob": blob})
    return done


NIL = UUID(int=0)
_OF_KEY = (wraps.c.kind == BOX) & (wraps.c.key_id == bindparam("key"))
_NEXT = (
    # In order, since an index finds deleted rows again and again.
    select(wraps)
    .where(_OF_KEY, wraps.c.object_id > bindparam("after", type_=Uuid))
    .order_by(wraps.c.object_id)
    .limit(BATCH)
    .with_for_update(skip_locked=True)
)
_WRAPS = Rows(wraps, "tenant_id", "object_id", "kind", "key_id", "blob")
_WRITE = _WRAPS.inserted(known=True)
_DELETE = delete(wraps).where(_OF_KEY, wraps.c.object_id == func.any(bindparam("ids", type_=ARRAY(Uuid))))
