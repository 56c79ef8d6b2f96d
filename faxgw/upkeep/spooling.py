"""Spool wraps follow the hour, and leave with their fax: so that a key of a past hour can be destroyed, and is."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Row, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.faxes.needing import moment, needs_pages
from faxgw.keys.spool import SpoolKeyGone, SpoolKeys, SpoolWrap
from faxgw.keys.wraps import WrapBroken, wrap_context
from faxgw.store.database import Database
from faxgw.store.tables import faxes, pages, wraps

log = structlog.get_logger(__name__)

SPOOL = "spool"
BATCH = 500
GRACE = timedelta(minutes=10)
"""What ends a fax takes its spool wraps along; only what was left after this time is swept."""


async def delete_left_wraps(database: Database, *, now: datetime) -> int:
    """Delete spool wraps of pages that no fax needs any more; return how many there were, which should be none."""
    faxes_of_object = (pages.c.object_id == wraps.c.object_id, faxes.c.page_set_id == pages.c.page_set_id)
    ended = exists().where(*faxes_of_object, faxes.c.finished_at < now - GRACE)
    live = exists().where(*faxes_of_object, needs_pages(moment(now)))
    async with database.dispatcher() as connection:
        gone = (await connection.execute(delete(wraps).where(wraps.c.kind == SPOOL, ended, ~live))).rowcount
    if gone:
        log.warning("spool wraps of ended faxes were left, and are deleted", wraps=gone)
    return gone


async def move_on(database: Database, spool: SpoolKeys) -> list[str]:
    """Wrap what is live under the present hour's key; destroy the keys that nothing needs now, and return their hours.

    Raises:
        SpoolUnavailable: when the folder of the keys cannot be used.
    """
    destroyed = []
    for epoch in await asyncio.to_thread(spool.due):
        after = None
        while True:
            async with database.dispatcher() as connection:
                batch = await _batch(connection, epoch, after)
                await _rewrap(connection, spool, batch)
            if not batch:
                break
            after = batch[-1].object_id
        if await _is_unused(database, epoch):
            await asyncio.to_thread(spool.destroy, epoch)
            destroyed.append(epoch)
    return destroyed


async def _batch(connection: AsyncConnection, epoch: str, after: object) -> Sequence[Row[tuple[object, ...]]]:
    found = select(wraps).where(wraps.c.kind == SPOOL, wraps.c.key_id == epoch)
    if after is not None:
        found = found.where(wraps.c.object_id > after)
    ordered = found.order_by(wraps.c.object_id).limit(BATCH).with_for_update(skip_locked=True)
    return (await connection.execute(ordered)).all()


async def _rewrap(connection: AsyncConnection, spool: SpoolKeys, batch: Sequence[Row[tuple[object, ...]]]) -> None:
    moved = await asyncio.to_thread(_moved, spool, batch)
    for row, wrap in moved:
        one = update(wraps).where(
            wraps.c.object_id == row.object_id, wraps.c.kind == SPOOL, wraps.c.key_id == row.key_id
        )
        await connection.execute(one.values(key_id=wrap.epoch, blob=wrap.blob))


def _moved(
    spool: SpoolKeys, batch: Sequence[Row[tuple[object, ...]]]
) -> list[tuple[Row[tuple[object, ...]], SpoolWrap]]:
    moved = []
    for row in batch:
        context = wrap_context(tenant=row.tenant_id, object_id=row.object_id, kind=SPOOL)
        try:
            moved.append((row, spool.rewrap(SpoolWrap(row.key_id, row.blob), context=context)))
        except (SpoolKeyGone, WrapBroken) as fault:
            log.error("a spool wrap cannot be opened; its hour's key is kept", object=row.object_id, fault=str(fault))
    return moved


async def _is_unused(database: Database, epoch: str) -> bool:
    async with database.dispatcher() as connection:
        left = select(func.count()).select_from(wraps).where(wraps.c.kind == SPOOL, wraps.c.key_id == epoch)
        return await connection.scalar(left) == 0
