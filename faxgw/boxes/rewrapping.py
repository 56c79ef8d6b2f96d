"""Wrapping what lies in a box to its present key, so that a key of before opens nothing of it any more.

It takes somebody who holds the older keys; nothing is opened but the keys of objects, and no object is touched.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    LargeBinary,
    Row,
    Update,
    Uuid,
    bindparam,
    column,
    delete,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from faxgw.boxes.keys import held_keys, sealing_key
from faxgw.boxes.ways import BOX
from faxgw.gateway import Gateway
from faxgw.keys.wraps import KeyPair, PublicKey, unwrap, wrap, wrap_context
from faxgw.store.tables import box_keys, wraps

BATCH = 250
"""Wraps in one transaction: fifty milliseconds of one core, in a thread."""
LOOKED_UP = 10_000
"""Objects that are looked up at once."""
WORKERS = 2
"""One asks the database while the other computes. Two that compute would be no quicker, since HPKE keeps the
interpreter's lock, and would keep the loop waiting."""
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
    """What is wrapped to one older key: looked for in large parts, done in small ones."""

    def __init__(self, gateway: Gateway, older: KeyPair, present: PublicKey, tenant_id: UUID) -> None:
        self._gateway = gateway
        self._older = older
        self._present = present
        self._tenant_id = tenant_id
        self._key = {"key": older.public.key_id}
        self._after = UUID(int=0)
        self._found: deque[UUID] = deque()
        self._turn = asyncio.Lock()
        self._computing = asyncio.Lock()
        self._done = 0

    async def until(self, end: float) -> int:
        """Work until it is done, or until then by the loop's clock; return how many were wrapped anew."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(WORKERS):
                workers.create_task(self._go_on(end))
        return self._done

    async def _go_on(self, end: float) -> None:
        while asyncio.get_running_loop().time() < end and (some := await self._next()):
            await self._wrap(some)

    async def _next(self) -> list[UUID]:
        async with self._turn:
            if not self._found:
                async with self._gateway.database.tenant(self._tenant_id) as connection:
                    asked = self._key | {"after": self._after}
                    self._found.extend((await connection.execute(_LOOK, asked)).scalars())
            some = [self._found.popleft() for _ in range(min(BATCH, len(self._found)))]
            self._after = some[-1] if some else self._after
            return some

    async def _wrap(self, some: Sequence[UUID]) -> None:
        asked = self._key | {"ids": some}
        async with self._gateway.database.tenant(self._tenant_id) as connection:
            rows = (await connection.execute(_TAKE, asked)).all()
            if rows:
                async with self._computing:
                    blobs = await asyncio.to_thread(self._anew, rows)
                anew = {"ids": [row.object_id for row in rows], "blobs": blobs, "present": self._present.key_id}
                await connection.execute(_PUT, self._key | anew)
                await connection.execute(_DELETE, asked)
        self._done += len(rows)

    def _anew(self, rows: Sequence[Row[Any, Any]]) -> list[bytes]:
        blobs = []
        for row in rows:
            context = wrap_context(tenant=self._tenant_id, object_id=row.object_id, kind=BOX)
            blobs.append(wrap(unwrap(row.blob, self._older, context=context), self._present, context=context))
        return blobs


_OF_KEY = (wraps.c.kind == literal_column("'box'")) & (wraps.c.key_id == bindparam("key"))
_THESE = wraps.c.object_id == func.any(bindparam("ids", type_=ARRAY(Uuid)))
_LATER = wraps.c.object_id > bindparam("after", type_=Uuid)
_LOOK = select(wraps.c.object_id).where(_OF_KEY, _LATER).order_by(wraps.c.object_id).limit(LOOKED_UP)
_TAKE = select(wraps.c.object_id, wraps.c.blob).where(_OF_KEY, _THESE).with_for_update()
_DELETE = delete(wraps).where(_OF_KEY, _THESE)
"""What is in the box by its present key already, and so was not put."""


def _put() -> Update:
    arrays = bindparam("ids", type_=ARRAY(Uuid)), bindparam("blobs", type_=ARRAY(LargeBinary))
    columns = column("object_id", Uuid), column("blob", LargeBinary)
    anew, there = func.unnest(*arrays).table_valued(*columns).render_derived(name="anew"), wraps.alias("there")
    mine = (there.c.object_id == anew.c.object_id) & (there.c.kind == BOX) & (there.c.key_id == bindparam("present"))
    moved = update(wraps).where(_OF_KEY, wraps.c.object_id == anew.c.object_id, ~select(there).where(mine).exists())
    return moved.values(key_id=bindparam("present"), blob=anew.c.blob)


_PUT = _put()
