"""For which faxes the gateway itself must still open pages; while there is none, no spool wrap of them may be left."""

from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, delete, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.store.tables import faxes, page_sets, pages, parcels, wraps

SPOOL = "spool"
_OPEN = ("waiting", "held_no_tls")


def needs_pages(now: ColumnElement[DateTime] | None = None) -> ColumnElement[bool]:
    """Return whether the gateway must still open the pages of the row of ``faxes``.

    It has not ended; or it is on its way to a target; or it came in where nothing is stored, and waits to be collected,
    until when it has no other reader who could give it to the gateway.
    """
    at = func.now() if now is None else now
    carried = select(parcels.c.id).where(
        parcels.c.fax_id == faxes.c.id, parcels.c.kind == "fax", parcels.c.state.in_(_OPEN)
    )
    collected = (faxes.c.storage == "none") & (faxes.c.direction == "in") & (faxes.c.erase_at > at)
    return or_(faxes.c.finished_at.is_(None), collected, carried.correlate(faxes).exists())


async def let_pages_go(connection: AsyncConnection, page_set_id: UUID) -> None:
    """Take away the gateway's own way to the pages of a page set, unless a fax of them still needs it.

    Whoever accepts a fax of these pages, or has one delivered, holds the page set meanwhile: they are waited for.
    """
    own = page_sets.c.id == page_set_id
    await connection.execute(select(page_sets.c.id).where(own).with_for_update(key_share=True))
    needed = select(faxes.c.id).where(faxes.c.page_set_id == page_set_id, needs_pages())
    unneeded = select(pages.c.object_id).where(pages.c.page_set_id == page_set_id, ~needed.exists())
    await connection.execute(delete(wraps).where(wraps.c.kind == SPOOL, wraps.c.object_id.in_(unneeded)))


def moment(now: object) -> ColumnElement[DateTime]:
    """Return a time of the caller's as SQL has it."""
    return literal(now, DateTime(timezone=True))
