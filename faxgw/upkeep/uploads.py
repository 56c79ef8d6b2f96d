"""Documents and page sets whose time is up, and that no fax needs any more: their rows, then what lies in the store."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Select, Text, cast, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.archive.objects import StoreError
from faxgw.archive.sealed import SealedStore
from faxgw.model import State
from faxgw.retention.holding import is_held_document
from faxgw.store.database import Database
from faxgw.store.tables import documents, faxes, objects, page_sets, pages

log = structlog.get_logger(__name__)

BATCH = 200
"""Documents, or page sets, that go in one transaction."""

GRACE = timedelta(minutes=5)
"""After its time is up; nobody can have begun to use it before that and not be seen now."""

UNDRAWN = (State.ACCEPTED.value, State.CONVERTING.value)
"""States in which a fax still needs its documents; later it has its pages."""


async def delete_expired_uploads(database: Database, store: SealedStore, *, now: datetime) -> int:
    """Delete documents and page sets that have expired; return how many.

    A document stays while a fax is still to be drawn from it, or a hold is over a fax of it. A page set stays as long
    as there is a fax of these pages.
    """
    return await _emptied(database, store, _documents, now) + await _emptied(database, store, _page_sets, now)


async def _emptied(
    database: Database,
    store: SealedStore,
    batch: Callable[[AsyncConnection, datetime], Awaitable[tuple[int, Sequence[UUID]]]],
    now: datetime,
) -> int:
    total, found = 0, 1
    while found:
        async with database.dispatcher() as connection:
            found, object_ids = await batch(connection, now)
        total += found
        try:
            await store.delete(object_ids)
        except StoreError as fault:
            log.warning("objects that nothing names stay until the next search", objects=object_ids, fault=str(fault))
    return total


async def _documents(connection: AsyncConnection, now: datetime) -> tuple[int, Sequence[UUID]]:
    over = select(documents.c.id).where(documents.c.expires_at <= now - GRACE, *_unneeded()).limit(BATCH)
    gone = await _gone(connection, over.with_for_update(skip_locked=True))
    return len(gone), gone


async def delete_documents(connection: AsyncConnection, ids: Collection[UUID]) -> Sequence[UUID]:
    """Delete documents before their time is up, unless they are needed as above; return what is left in the store.

    ``connection`` is a transaction of the dispatcher; when it is committed, delete those objects.
    """
    there = select(documents.c.id).where(documents.c.id.in_(ids), *_unneeded()).order_by(documents.c.id)
    return await _gone(connection, there.with_for_update()) if ids else ()


def _unneeded() -> tuple[ColumnElement[bool], ...]:
    needed = (
        select(faxes.c.id)
        .where(faxes.c.state.in_(UNDRAWN), faxes.c.tenant_id == documents.c.tenant_id)
        .where(faxes.c.request["documents"].contains(func.to_jsonb(cast(documents.c.id, Text))))
    )
    return ~needed.exists(), ~is_held_document()


async def _gone(connection: AsyncConnection, over: Select[tuple[UUID]]) -> Sequence[UUID]:
    statement = delete(documents).where(documents.c.id.in_(over)).returning(documents.c.object_id)
    gone = (await connection.scalars(statement)).all()
    await connection.execute(delete(objects).where(objects.c.id.in_(gone)))
    return gone


async def _page_sets(connection: AsyncConnection, now: datetime) -> tuple[int, Sequence[UUID]]:
    used = select(faxes.c.id).where(faxes.c.page_set_id == page_sets.c.id)
    over = select(page_sets.c.id).where(page_sets.c.expires_at <= now - GRACE, ~used.exists())
    batch = (await connection.scalars(over.limit(BATCH).with_for_update(skip_locked=True))).all()
    held = (await connection.scalars(select(pages.c.object_id).where(pages.c.page_set_id.in_(batch)))).all()
    await connection.execute(delete(page_sets).where(page_sets.c.id.in_(batch)))
    elsewhere = select(pages.c.object_id).where(pages.c.object_id == objects.c.id)
    unheld = delete(objects).where(objects.c.id.in_(held), ~elsewhere.exists()).returning(objects.c.id)
    return len(batch), (await connection.scalars(unheld)).all()
