"""When a fax of a device has ended: what it was drawn from is deleted, and whoever waits for the result is told.

A job of its own, after the commit of the end: so of two faxes of a batch that end at once, the later job sees both.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog
from procrastinate import Blueprint, JobContext
from sqlalchemy import ColumnElement, RowMapping, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.archive.objects import StoreError
from faxgw.gateway import Gateway
from faxgw.model import State
from faxgw.notices.kinds import MOST, checked
from faxgw.notices.telling import Member, notify
from faxgw.store.tables import devices, faxes, parcels
from faxgw.tasks.retrying import AGAIN
from faxgw.upkeep.uploads import delete_documents

log = structlog.get_logger(__name__)

RESULT = "result"


async def settle(gateway: Gateway, fax_id: UUID, batch_id: UUID | None) -> None:
    """Do what is due when a fax of a device has ended, as far as its batch, if it is of one, has ended, too.

    It can be done again: what is gone is gone, and of one fax or batch there is one result.
    """
    async with gateway.database.dispatcher() as connection:
        of = faxes.c.id == fax_id if batch_id is None else faxes.c.batch_id == batch_id
        gone = await delete_documents(connection, await _documents(connection, fax_id))
        if not await connection.scalar(select(select(faxes.c.id).where(of, faxes.c.finished_at.is_(None)).exists())):
            await _tell(connection, of, batch_id)
    try:
        await gateway.objects.delete(gone)
    except StoreError as fault:
        log.warning("documents that nothing names stay until the next search", objects=len(gone), fault=str(fault))


async def _documents(connection: AsyncConnection, fax_id: UUID) -> list[UUID]:
    request = await connection.scalar(select(faxes.c.request).where(faxes.c.id == fax_id))
    return [UUID(each) for each in (request or {}).get("documents", [])]


async def _tell(connection: AsyncConnection, of: ColumnElement[bool], batch_id: UUID | None) -> None:
    """Tell the device's owner, or the address that the mail came from, as the device is set."""
    rows = (await connection.execute(select(faxes).where(of).order_by(faxes.c.id))).mappings().all()
    if not rows:
        return
    first = rows[0]
    found = select(devices.c.name, devices.c.reply, devices.c.user_id).where(devices.c.id == first["device_id"])
    device = (await connection.execute(found)).mappings().one_or_none()
    said = _said(rows, batch_id) | ({"device": device["name"]} if device else {})
    key = str(batch_id or first["id"])
    # Kept since the mail came, and not due until now; whatever the device is set to by now, it was promised then.
    waiting = (parcels.c.tenant_id == first["tenant_id"]) & (parcels.c.kind == RESULT) & (parcels.c.key == key)
    ready = {"data": checked(RESULT, said), "next_at": func.now()}
    await connection.execute(update(parcels).where(waiting, parcels.c.next_at.is_(None)).values(ready))
    if device and device["reply"] == "owner":
        fax_id = None if batch_id else first["id"]
        to = Member(device["user_id"])
        await notify(connection, first["tenant_id"], kind=RESULT, key=key, to=to, data=said, fax_id=fax_id)


def _said(rows: Sequence[RowMapping], batch_id: UUID | None) -> dict[str, Any]:
    """Return what a notice says of a fax, or of a batch."""
    at = f"{max(row['finished_at'] for row in rows):%Y-%m-%d %H:%M} UTC"
    if batch_id is None:
        return {"fax": str(rows[0]["id"]), "at": at, "pages": rows[0]["pages"], **_one(rows[0])}
    states = Counter(row["state"] for row in rows)
    delivered = states[State.DELIVERED.value]
    (state,) = states if len(states) == 1 else (State.PARTIALLY_SENT.value if delivered else State.FAILED.value,)
    others = [_one(row) for row in rows if row["state"] != State.DELIVERED.value]
    same = {"batch": str(batch_id), "at": at, "state": state}
    return {**same, "count": len(rows), "delivered": delivered, "others": others[:MOST]}


def _one(row: Mapping[Any, Any]) -> dict[str, Any]:
    same = {"number": row["to_number"], "state": row["state"], "tries": row["dials"]}
    return same | ({"reason": row["reason_text"][:200], "code": row["reason_code"]} if row["reason_code"] else {})


def tasks() -> Blueprint:
    """Return the tasks of this room."""
    found = Blueprint()

    @found.task(name="ended", retry=AGAIN, pass_context=True)
    async def ended(context: JobContext, fax_id: str, batch_id: str | None) -> None:
        gateway: Gateway = context.additional_context["gateway"]
        await settle(gateway, UUID(fax_id), UUID(batch_id) if batch_id else None)

    return found
