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
WORKERS = 2
"""One asks the database while the other computes."""
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
        if key_id != present.key_id:
            done += await _Work(gateway, pair, present, tenant_id).until(until)
    async with gateway.database.tenant(tenant_id) as connection:
        retired = select(box_keys.c.key_id).where(box_keys.c.box_id == box_id, box_keys.c.key_id != present.key_id)
        left = select(func.count()).where(wraps.c.kind == BOX, wraps.c.key_id.in_(retired))
        return Rewrapped(done, (await connection.execute(left)).scalar_one())


class _Work:
    """What is wrapped to one older key, taken in order: an index finds deleted rows again and again."""

    def __init__(self, gateway: Gateway, older: KeyPair, present: PublicKey, tenant_id: UUID) -> None:
        self._gateway = gateway
        self._older = older
        self._present = present
        self._tenant_id = tenant_id
        self._after = UUID(int=0)
        self._turn = asyncio.Lock()
        self._done = 0

    async def until(self, end: float) -> int:
        """Work until it is done, or until then by the loop's clock; return how many were wrapped anew."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(WORKERS):
                workers.create_task(self._go_on(end))
        return self._done

    async def _go_on(self, end: float) -> None:
        while asyncio.get_running_loop().time() < end and await self._some():
            pass

    async def _some(self) -> bool:
        async with self._gateway.database.tenant(self._tenant_id) as connection:
            async with self._turn:
                asked = {"key": self._older.public.key_id, "after": self._after}
                rows = (await connection.execute(_NEXT, asked)).mappings().all()
                self._after = rows[-1]["object_id"] if rows else self._after
            if rows:
                anew = await asyncio.to_thread(_anew, rows, self._older, self._present)
                await connection.execute(_WRITE, _WRAPS.values(anew))
                there = [row["object_id"] for row in rows]
                await connection.execute(_DELETE, {"key": self._older.public.key_id, "ids": there})
        self._done += len(rows)
        return bool(rows)


def _anew(rows: Sequence[RowMapping], older: KeyPair, present: PublicKey) -> list[dict[str, object]]:
    done = []
    for row in rows:
        context = wrap_context(tenant=row["tenant_id"], object_id=row["object_id"], kind=BOX)
        blob = wrap(unwrap(row["blob"], older, context=context), present, context=context)
        done.append({**row, "key_id": present.key_id, "blob": blob})
    return done


_OF_KEY = (wraps.c.kind == BOX) & (wraps.c.key_id == bindparam("key"))
_NEXT = (
    select(wraps)
    .where(_OF_KEY, wraps.c.object_id > bindparam("after", type_=Uuid))
    .order_by(wraps.c.object_id)
    .limit(BATCH)
    .with_for_update(skip_locked=True)
)
_WRAPS = Rows(wraps, "tenant_id", "object_id", "kind", "key_id", "blob")
_WRITE = _WRAPS.inserted(known=True)
_DELETE = delete(wraps).where(_OF_KEY, wraps.c.object_id == func.any(bindparam("ids", type_=ARRAY(Uuid))))
