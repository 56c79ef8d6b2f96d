"""The end of links: the ways into their faxes are deleted at once, and so are their private keys."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, delete, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.store.database import Database
from faxgw.store.rows import among
from faxgw.store.tables import copies, links, wraps

LINK = "link"
"""The kind of wraps, and of slots."""


def place_of(link_id: UUID) -> str:
    """Return what the ledger of copies calls a link."""
    return f"link:{link_id}"


async def end_links(connection: AsyncConnection, which: ColumnElement[bool], *, now: datetime) -> list[UUID]:
    """End links that have not ended: nothing opens what they led to; return their ids.

    The ledger says that they were deleted, unless their time was up.
    """
    ending = update(links).where(which, links.c.revoked_at.is_(None)).values(revoked_at=now, blob=b"")
    ended = (await connection.execute(ending.returning(links.c.id, links.c.key_id))).all()
    if not ended:
        return []
    keys = [row.key_id for row in ended]
    await connection.execute(delete(wraps).where(wraps.c.kind == LINK, wraps.c.key_id.in_(keys)))
    places = [place_of(row.id) for row in ended]
    mine = (copies.c.kind == LINK) & copies.c.location.in_(places) & (copies.c.expires_at > now)
    await connection.execute(update(copies).where(mine).values(deleted_at=now))
    return [row.id for row in ended]


async def end_links_of(connection: AsyncConnection, fax_ids: Collection[UUID], *, now: datetime) -> int:
    """End the links of faxes whose content goes; return how many there were."""
    return len(await end_links(connection, among(links.c.fax_id, fax_ids), now=now))


async def end_expired(database: Database, *, now: datetime) -> int:
    """End the links whose time is up; return how many."""
    async with database.dispatcher() as connection:
        return len(await end_links(connection, links.c.expires_at <= now, now=now))


def state_of(row: RowMapping, *, now: datetime) -> str:
    """Return what has become of a link: ``active``, ``used``, ``expired`` or ``revoked``; ``row`` is of ``links``."""
    if row["opened"] >= row["most"]:
        return "used"
    if (row["revoked_at"] or now) >= row["expires_at"]:
        return "expired"
    return "active" if row["revoked_at"] is None else "revoked"
