"""What a try comes to, in one transaction: the parcel's state, the ledger, the event, the audit log, the keys."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw import copies
from faxgw.audit import record
from faxgw.delivery import queue
from faxgw.delivery.carrier import NotCarried, NotProtected, Refused
from faxgw.delivery.carrying import Carried
from faxgw.delivery.guarding import kind_of_copy
from faxgw.delivery.queue import DELETE, DELIVERED, FAILED, FAX, HELD, WAITING
from faxgw.delivery.waits import Waits
from faxgw.faxes.changes import tell
from faxgw.faxes.ending import NOT_STORED
from faxgw.faxes.needing import let_pages_go
from faxgw.model import EventType
from faxgw.notices.telling import OwnerOf, Role, notify
from faxgw.retention import returning
from faxgw.store.tables import faxes, parcels, targets
from faxgw.tasks.deferring import defer

TOLD = {
    DELIVERED: EventType.PARCEL_DELIVERED,
    FAILED: EventType.PARCEL_FAILED,
    HELD: EventType.PARCEL_HELD,
}
LOST = "overtaken"
"""What is returned of a try that counts no more: a later one was begun, or the parcel was canceled."""


async def end_try(connection: AsyncConnection, row: RowMapping, came: Carried | NotCarried, *, waits: Waits) -> str:
    """Write down what a try came to; return the parcel's state, or ``LOST``.

    Args:
        connection: a transaction of the dispatcher.
        row: the parcel, as it was claimed.
        came: what came of the try.
        waits: when it is tried again.
    """
    fax = await _locked(connection, row["fax_id"])
    if isinstance(came, Carried):
        counts = await queue.delivered(connection, row, came.proof, came.sha256)
        await _note_copy(connection, row, fax, came)
        state = DELIVERED
    else:
        state, counts = await _gone_wrong(connection, row, came, waits)
    if not counts:
        return LOST
    if state in (DELIVERED, FAILED):
        await _record(connection, row, state, came)
    first_held = state == HELD and row["state"] != HELD
    if state in (DELIVERED, FAILED) or first_held:
        await _tell(connection, row, fax, state, came)
    if row["kind"] == FAX and fax is not None and (state == FAILED or first_held):
        await _alert(connection, row, fax, state, came)
    if row["kind"] == DELETE and state == FAILED:
        await returning.out_of_reach(connection, row)
    if state in (DELIVERED, FAILED):
        await let_go(connection, fax)
    return state


async def let_go(connection: AsyncConnection, fax: RowMapping | None) -> None:
    """Give up the gateway's way to a fax none of whose parcels has still to go; shred it if nothing of it is kept.

    ``fax`` is its row, locked by this transaction, or None.
    """
    if fax is None or fax["page_set_id"] is None:
        return
    if fax["storage"] == "none" and fax["direction"] == "in" and await _all_there(connection, fax["id"]):
        await connection.execute(update(faxes).where(faxes.c.id == fax["id"]).values(erase_at=func.now()))
        await defer(connection, NOT_STORED, fax_id=str(fax["id"]))
    await let_pages_go(connection, fax["page_set_id"])


async def _all_there(connection: AsyncConnection, fax_id: UUID) -> bool:
    """Tell whether every target has a fax; what could not be delivered waits to be collected as if none had it.

    So does what a target has only word of.
    """
    own = select(parcels.c.state, parcels.c.proof).where(parcels.c.fax_id == fax_id, parcels.c.kind == FAX)
    rows = (await connection.execute(own)).all()
    return bool(rows) and all(row.state == DELIVERED and row.proof.get("content", True) for row in rows)


async def _locked(connection: AsyncConnection, fax_id: UUID | None) -> RowMapping | None:
    """Lock the fax before its parcel, as whoever shreds it does."""
    if fax_id is None:
        return None
    locked = select(faxes).where(faxes.c.id == fax_id).with_for_update()
    row: RowMapping | None = (await connection.execute(locked)).mappings().one_or_none()
    return row


async def _gone_wrong(
    connection: AsyncConnection, row: RowMapping, fault: NotCarried, waits: Waits
) -> tuple[str, bool]:
    table = waits.held if isinstance(fault, NotProtected) else waits.back if row["kind"] == DELETE else waits.usual
    wait = None if isinstance(fault, Refused) else waits.after(table, row["tries"])
    if wait is None:
        return FAILED, await queue.failed(connection, row, fault)
    if isinstance(fault, NotProtected):
        return HELD, await queue.held(connection, row, fault, wait=wait)
    return WAITING, await queue.again(connection, row, fault, wait=wait)


async def _note_copy(connection: AsyncConnection, row: RowMapping, fax: RowMapping | None, came: Carried) -> None:
    """Write the copy into the ledger, or out of it; also when the try counts no more: the copy is there all the same.

    Of a fax that was shredded meanwhile it is taken back again.
    """
    if row["kind"] == DELETE:
        await returning.taken_back(connection, row, gone=came.gone)
    if row["kind"] != FAX or came.target is None or not came.sha256:
        return  # nothing lies there: of a fax, only word has left
    proof, kind = came.proof, kind_of_copy(came.target.settings)
    noted: dict[str, Any] = {"tenant_id": row["tenant_id"], "target_id": came.target.id, "path": proof.path}
    await copies.note(connection, fax_id=row["fax_id"], kind=kind, to=proof.place, sha256=came.sha256, **noted)
    if fax is None or fax["shredded_at"] is not None:
        await returning.take_back(connection, row["tenant_id"], [row["fax_id"]], now=datetime.now(UTC))


async def _record(connection: AsyncConnection, row: RowMapping, state: str, came: Carried | NotCarried) -> None:
    said: dict[str, Any] = {"kind": row["kind"], "tries": row["tries"], "target": _text(row["target_id"])}
    said |= {"fax": _text(row["fax_id"])}
    said |= {"code": came.code} if isinstance(came, NotCarried) else {"decision": came.proof.decision}
    action = "parcel.delivered" if state == DELIVERED else "parcel.failed"
    ids = {"tenant_id": row["tenant_id"], "object": "parcel", "object_id": row["id"]}
    await record(connection, **ids, actor="service", action=action, data=said)


async def _tell(
    connection: AsyncConnection, row: RowMapping, fax: RowMapping | None, state: str, came: Carried | NotCarried
) -> None:
    if state == DELIVERED and row["kind"] not in (FAX, DELETE):
        return  # of a notice that has arrived, whoever follows needs no other notice
    said: dict[str, Any] = {"parcel": str(row["id"]), "kind": row["kind"], "target": _text(row["target_id"])}
    if fax is not None:
        said |= {"state": fax["state"]}
    if isinstance(came, NotCarried):
        said |= {"reason": {"code": came.code, "text": str(came)}}
    await tell(connection, row["tenant_id"], fax["id"] if fax is not None else None, TOLD[state], said)


async def _alert(
    connection: AsyncConnection, row: RowMapping, fax: RowMapping, state: str, came: Carried | NotCarried
) -> None:
    """Have people told by mail: whoever owns the box of what failed, the admins of what is held, once a day."""
    assert isinstance(came, NotCarried)
    found = await connection.execute(select(targets.c.name, targets.c.kind).where(targets.c.id == row["target_id"]))
    name, kind = found.one()
    now = datetime.now(UTC)
    said = {"target": name, "code": came.code, "reason": str(came)[:300], "at": now.isoformat(timespec="seconds")}
    ids: Mapping[str, Any] = {"connection": connection, "tenant_id": row["tenant_id"]}
    if state == HELD:
        await notify(
            **ids, kind="held", key=f"{row['target_id']}:{now.date()}", to=Role.ADMINS, data=said | {"kind": kind}
        )
        return
    number = fax["from_number"] if fax["direction"] == "in" else fax["to_number"]
    said |= {"fax": str(fax["id"]), "number": number, "direction": fax["direction"], "tries": row["tries"]}
    key = f"parcel:{row['id']}:{row['tries']}"
    await notify(**ids, kind="failure", key=key, to=OwnerOf(fax["box_id"]), data=said, fax_id=fax["id"])


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
