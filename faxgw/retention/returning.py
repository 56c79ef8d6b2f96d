"""Copies of a fax that has gone: those that the gateway can delete at the far end it deletes, of the others it tells.

What is to be deleted is a parcel of its own, which knows its fax by id only: the fax's row may be gone by then.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.audit import record
from faxgw.delivery import queue
from faxgw.delivery.queue import CANCELED, DELETE, FAILED, FAX, OPEN
from faxgw.faxes.changes import tell
from faxgw.faxes.needing import let_pages_go
from faxgw.model import EventType
from faxgw.notices.telling import notify
from faxgw.retention.holding import is_held
from faxgw.store.rows import among
from faxgw.store.tables import certificates, copies, erasures, faxes, parcels, targets
from faxgw.tasks.deferring import defer

BATCH = 500
ERASE = "retention:erase"
"""The task that carries an erasure out."""
GONE, GONE_TEXT = "content.gone", "the content of the fax was deleted"


async def take_back(connection: AsyncConnection, tenant_id: UUID, fax_ids: Collection[UUID], *, now: datetime) -> None:
    """Have every copy of these faxes deleted that the gateway can delete where it is."""
    alive = (copies.c.tenant_id == tenant_id) & copies.c.deletable & copies.c.deleted_at.is_(None)
    found = select(copies).where(alive, among(copies.c.fax_id, fax_ids)).order_by(copies.c.id)
    await _put(connection, (await connection.execute(found)).mappings().all(), now=now)


async def take_back_expired(connection: AsyncConnection, *, now: datetime) -> int:
    """Do the same with copies that were declared to be gone by now, but for those of held faxes; return how many.

    ``connection`` is the dispatcher's. Only so many are taken at once.
    """
    alive = copies.c.deletable & copies.c.deleted_at.is_(None) & (copies.c.expires_at <= now)
    held = select(faxes.c.id).where(faxes.c.id == copies.c.fax_id, is_held())
    due = select(copies).where(alive, copies.c.told_at.is_(None), ~held.exists()).order_by(copies.c.id).limit(BATCH)
    rows = (await connection.execute(due.with_for_update(skip_locked=True))).mappings().all()
    await _put(connection, rows, now=now)
    return len(rows)


async def taken_back(connection: AsyncConnection, row: RowMapping, *, gone: bool) -> None:
    """Note that a copy was deleted; or, if it was there no more, that it is out of reach: somebody has taken it."""
    said = row["data"]
    copy_id, fax_id = UUID(said["copy"]), UUID(said["fax"])
    stays = (await connection.execute(select(faxes.c.id).where(faxes.c.id == fax_id))).first() is not None
    values: dict[str, Any] = {"deletable": False} if gone else {"deleted_at": func.now(), "path": ""}
    if not stays:
        values |= {"location": f"erased:{copy_id}", "path": ""}
    await connection.execute(update(copies).where(copies.c.id == copy_id).values(values))
    await connection.execute(update(parcels).where(parcels.c.id == row["id"]).values(data={}))
    await _go_on(connection, fax_id)
    what = {"copy": str(copy_id), "deleted": not gone}
    ids = {"tenant_id": row["tenant_id"], "object": "fax", "object_id": fax_id}
    await record(connection, **ids, actor="service", action="copy.deleted", data=what)


async def out_of_reach(connection: AsyncConnection, row: RowMapping) -> None:
    """Note that a copy could not be deleted, however often that was tried."""
    beyond = update(copies).where(copies.c.id == UUID(row["data"]["copy"]))
    await connection.execute(beyond.values(deletable=False))
    await _go_on(connection, UUID(row["data"]["fax"]))


async def _go_on(connection: AsyncConnection, fax_id: UUID) -> None:
    """Have erasures that wait for the copies of a fax look again."""
    about = select(certificates.c.erasure_id).where(certificates.c.fax_id == fax_id)
    waiting = select(erasures.c.id).where(erasures.c.state == "waiting", erasures.c.id.in_(about))
    for each in (await connection.execute(waiting)).scalars().all():
        await defer(connection, ERASE, erasure_id=str(each))


async def recall(connection: AsyncConnection, tenant_id: UUID, fax_ids: Collection[UUID], *, now: datetime) -> None:
    """Tell the mailboxes that have a copy of these faxes, which are about to go, that they are to delete it, too."""
    there = or_(copies.c.expires_at.is_(None), copies.c.expires_at > now)
    alive = (copies.c.tenant_id == tenant_id) & (copies.c.kind == "mail") & copies.c.deleted_at.is_(None) & there
    mine = among(copies.c.fax_id, fax_ids) & copies.c.told_at.is_(None)
    number = case((faxes.c.direction == "in", faxes.c.from_number), else_=faxes.c.to_number).label("number")
    found = (
        select(copies.c.id, copies.c.fax_id, faxes.c.finished_at, targets.c.settings, number)
        .join(faxes, faxes.c.id == copies.c.fax_id)
        .join(targets, targets.c.id == copies.c.target_id)
        .where(alive, mine, targets.c.kind == "mail")
    )
    rows = (await connection.execute(found)).mappings().all()
    for row in rows:
        received = row["finished_at"].isoformat(timespec="seconds")
        said = {"fax": str(row["fax_id"]), "number": row["number"], "received": received}
        to = row["settings"]["address"]
        await notify(connection, tenant_id, kind="recall", key=f"copy:{row['id']}", to=to, data=said)
    if rows:
        told = update(copies).where(among(copies.c.id, [row["id"] for row in rows]))
        await connection.execute(told.values(told_at=now))


async def end_parcels(connection: AsyncConnection, fax_ids: Collection[UUID], *, failed: bool) -> None:
    """End the parcels of faxes that are about to go; with ``failed``, people are told that they never arrived."""
    open_ones = among(parcels.c.fax_id, fax_ids) & (parcels.c.kind == FAX) & parcels.c.state.in_(OPEN)
    values = {"state": FAILED if failed else CANCELED, "ended_at": func.now(), "next_at": None}
    ended = update(parcels).where(open_ones).values(values | {"code": GONE, "error": GONE_TEXT}).returning(parcels)
    rows = (await connection.execute(ended)).mappings().all()
    sets = select(faxes.c.page_set_id).where(among(faxes.c.id, {row["fax_id"] for row in rows})).distinct()
    for each in (await connection.execute(sets)).scalars().all() if rows else ():
        await let_pages_go(connection, each)  # others may have the same pages, and need no way of the gateway's
    for row in rows:
        said = {"kind": FAX, "tries": row["tries"], "target": str(row["target_id"]), "fax": str(row["fax_id"])}
        action = "parcel.failed" if failed else "parcel.canceled"
        ids = {"tenant_id": row["tenant_id"], "object": "parcel", "object_id": row["id"]}
        await record(connection, **ids, actor="service", action=action, data=said | {"code": GONE})
        if failed:
            told: dict[str, Any] = {"parcel": str(row["id"]), "kind": FAX, "target": str(row["target_id"])}
            told |= {"reason": {"code": GONE, "text": GONE_TEXT}}
            await tell(connection, row["tenant_id"], row["fax_id"], EventType.PARCEL_FAILED, told)


async def _put(connection: AsyncConnection, rows: Sequence[RowMapping], *, now: datetime) -> None:
    for row in rows:
        said = {"copy": str(row["id"]), "fax": str(row["fax_id"]), "path": row["path"], "sha256": row["sha256"].hex()}
        await queue.put(
            connection, row["tenant_id"], DELETE, f"{row['id']}:{row['times']}", target_id=row["target_id"], data=said
        )
    if rows:
        told = update(copies).where(among(copies.c.id, [row["id"] for row in rows]))
        await connection.execute(told.values(told_at=now))
