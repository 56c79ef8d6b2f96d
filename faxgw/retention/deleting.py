"""The statements that delete: keys, rows and objects' rows; and what is left in the rows of a fax's minimal record."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Text, cast, delete, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.retention.content import Content
from faxgw.rules.retention import RetentionPolicy
from faxgw.store.rows import among
from faxgw.store.tables import (
    attempts,
    batches,
    confirmations,
    documents,
    events,
    faxes,
    objects,
    page_sets,
    wraps,
)

TOLD = ("state", "pages", "pages_done", "page", "at", "reason", "fax", "again", "forwarded_from", "to")
"""What an event of a shredded fax still says."""


async def delete_wraps(connection: AsyncConnection, content: Content) -> Mapping[UUID, Counter[str]]:
    """Delete every way to open the content; return how many there were, by fax and kind."""
    gone = delete(wraps).where(among(wraps.c.object_id, content.kinds)).returning(wraps.c.object_id, wraps.c.kind)
    counted: defaultdict[UUID, Counter[str]] = defaultdict(Counter)
    for object_id, kind in await connection.execute(gone):
        counted[content.of_fax[object_id]][kind] += 1
    return counted


async def delete_faxes(connection: AsyncConnection, fax_ids: Sequence[UUID]) -> None:
    """Delete faxes with all that is known of them."""
    await _untie(connection, fax_ids)
    await connection.execute(delete(faxes).where(among(faxes.c.id, fax_ids)))


async def reduce_faxes(
    connection: AsyncConnection, fax_ids: Sequence[UUID], *, policy: RetentionPolicy, now: datetime
) -> None:
    """Leave of faxes what a minimal record has."""
    await _untie(connection, fax_ids)
    bare, called = _left_out(policy, now)
    own = update(faxes).where(among(faxes.c.id, fax_ids))
    await connection.execute(own.values(**bare, version=faxes.c.version + 1))
    await connection.execute(update(attempts).where(among(attempts.c.fax_id, fax_ids)).values(called))
    await connection.execute(delete(confirmations).where(among(confirmations.c.fax_id, fax_ids)))
    allowed = literal(list(TOLD), ARRAY(Text))
    more = events.c.data.op("-")(allowed) != cast("{}", events.c.data.type)
    told = update(events).where(among(events.c.fax_id, fax_ids), or_(more, func.length(events.c.personal) > 0))
    await connection.execute(told.values(data=_only(allowed), personal={}))


async def delete_content(connection: AsyncConnection, content: Content) -> None:
    """Delete the rows of what the faxes alone had; no fax speaks of it any more."""
    for table, ids in ((documents, content.documents), (page_sets, content.page_sets), (objects, content.kinds)):
        if ids:
            await connection.execute(delete(table).where(among(table.c.id, ids)))


async def forget_names(connection: AsyncConnection, batch_ids: Sequence[UUID]) -> None:
    """Take the names from those batches of which no fax has its content any more."""
    if batch_ids:
        whole = select(faxes.c.id).where(faxes.c.batch_id == batches.c.id, faxes.c.shredded_at.is_(None)).exists()
        await connection.execute(update(batches).where(among(batches.c.id, batch_ids), ~whole).values(name=""))


async def _untie(connection: AsyncConnection, fax_ids: Sequence[UUID]) -> None:
    await connection.execute(update(faxes).where(among(faxes.c.drawn_with, fax_ids)).values(drawn_with=None))


def _left_out(policy: RetentionPolicy, now: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is written in place of what a fax, and a call of it, said."""
    kept = policy.record_fields
    station: dict[str, Any] = {} if "remote_id" in kept else {"remote_id": ""}
    bare: dict[str, Any] = {
        "request": {},
        "plan": {},
        "subaddress": "",
        "mark": "",
        "page_set_id": None,
        "private_id": None,
        "shredded_at": now,
    }
    bare |= {} if "numbers" in kept else {"from_number": "", "to_number": ""}
    bare |= {} if "labels" in kept else {"labels": {}}
    called: dict[str, Any] = {"trace_id": None, "adjustments": {}}
    called |= {} if "numbers" in kept else {"destination": ""}
    return bare | station, called | station


def _only(allowed: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return what an event says, but for what is not allowed."""
    each = func.jsonb_each(events.c.data).table_valued("key", "value", name="each")
    empty = cast("{}", events.c.data.type)
    left = select(func.coalesce(func.jsonb_object_agg(each.c.key, each.c.value), empty))
    return left.where(each.c.key == func.any(allowed)).scalar_subquery()
