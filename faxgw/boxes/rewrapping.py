"""Wrapping what lies in a box to its present key, so that a key of before opens nothing of it any more.

It takes somebody who holds the older keys; nothing is opened but the keys of objects, and no object is touched.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import RowMapping, delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from faxgw.boxes.keys import held_keys, sealing_key
from faxgw.boxes.ways import BOX
from faxgw.gateway import Gateway
from faxgw.keys.wraps import KeyPair, PublicKey, unwrap, wrap, wrap_context
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
    older = {key_id: pair for key_id, pair in held.items() if key_id != present.key_id}
    while older and loop.time() < until and (some := await _some(gateway, older, present, tenant_id)):
        done += some
    async with gateway.database.tenant(tenant_id) as connection:
        retired = select(box_keys.c.key_id).where(box_keys.c.box_id == box_id, box_keys.c.key_id != present.key_id)
        left = select(func.count()).where(wraps.c.kind == BOX, wraps.c.key_id.in_(retired))
        return Rewrapped(done, (await connection.execute(left)).scalar_one())


async def _some(gateway: Gateway, older: Mapping[str, KeyPair], present: PublicKey, tenant_id: UUID) -> int:
    async with gateway.database.tenant(tenant_id) as connection:
        mine = (wraps.c.kind == BOX) & wraps.c.key_id.in_(list(older))
        found = select(wraps).where(mine).limit(BATCH).with_for_update(skip_locked=True)
        rows = (await connection.execute(found)).mappings().all()
        if rows:
            anew = await asyncio.to_thread(_anew, rows, older, present)
            await connection.execute(upsert(wraps).on_conflict_do_nothing(), anew)
            await connection.execute(
                delete(wraps).where(mine, wraps.c.object_id.in_([each["object_id"] for each in rows]))
            )
    return len(rows)


def _anew(rows: Sequence[RowMapping], older: Mapping[str, KeyPair], present: PublicKey) -> list[dict[str, object]]:
    done = []
    for row in rows:
        context = wrap_context(tenant=row["tenant_id"], object_id=row["object_id"], kind=BOX)
        blob = wrap(unwrap(row["blob"], older[row["key_id"]], context=context), present, context=context)
        done.append({**row, "key_id": present.key_id, "blob": blob})
    return done
