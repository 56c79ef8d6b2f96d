"""Rows of the database as they are answered, and what many resources look up."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.api.access import sees_all
from faxgw.api.call import Call
from faxgw.api.problems import Problem
from faxgw.boxes.access import Right
from faxgw.store.tables import attempts, faxes

Row = Mapping[Any, Any]

FAX_COLUMNS = (
    *(faxes.c.id, faxes.c.direction, faxes.c.state, faxes.c.from_number, faxes.c.to_number, faxes.c.remote_id),
    *(faxes.c.line, faxes.c.box_id, faxes.c.batch_id, faxes.c.page_set_id, faxes.c.pages, faxes.c.pages_done),
    *(faxes.c.priority, faxes.c.labels, faxes.c.reason_code, faxes.c.reason_text, faxes.c.mark, faxes.c.dials),
    *(faxes.c.forwarded_from, faxes.c.next_call_at, faxes.c.created_at, faxes.c.finished_at),
    *(faxes.c.storage, faxes.c.erase_at, faxes.c.shredded_at, faxes.c.device_id),
)
_ATTEMPT = (
    *("index", "state", "node", "line", "destination", "route", "adjustments", "started_at", "connected_at"),
    *("ended_at", "remote_id", "rate", "modulation", "ecm", "first_page", "pages", "seconds"),
)
_PAGE = ("index", "sha256", "width", "resolution", "rows", "octets", "bad_rows")


def fax_summary(row: Row) -> dict[str, Any]:
    """Return a fax as lists have it."""
    return {
        "id": row["id"],
        "direction": row["direction"],
        "state": row["state"],
        "from": row["from_number"],
        "to": row["to_number"],
        "remote_id": row["remote_id"],
        "line": row["line"],
        "box": row["box_id"],
        "forwarded_from": row["forwarded_from"],
        "batch": row["batch_id"],
        "device": row["device_id"],
        "page_set": row["page_set_id"],
        "pages": row["pages"],
        "pages_done": row["pages_done"],
        "priority": row["priority"],
        "labels": row["labels"],
        "reason": {"code": row["reason_code"], "text": row["reason_text"]},
        "mark": row["mark"],
        "dials": row["dials"],
        "next_call_at": row["next_call_at"],
        "created_at": row["created_at"],
        "finished_at": row["finished_at"],
        "storage": row["storage"],
        "erase_at": row["erase_at"],
        "shredded_at": row["shredded_at"],
    }


def attempt(row: Row) -> dict[str, Any]:
    """Return a call for a fax."""
    trace = f"/v1/faxes/{row['fax_id']}/attempts/{row['index']}/trace" if row["trace_id"] else None
    return {
        **{name: row[name] for name in _ATTEMPT},
        "cause": {"code": row["cause"], "text": row["cause_text"]},
        "trace": trace,
    }


def page(row: Row, href: str) -> dict[str, Any]:
    """Return a page; ``href``: what its address begins with."""
    return {**{name: row[name] for name in _PAGE}, "href": f"{href}/{row['index'] + 1}"}


async def visible_fax(connection: AsyncConnection, call: Call, fax_id: UUID, *columns: Any) -> RowMapping:
    """Return a fax that the caller may see.

    Raises:
        Problem: ``fax.unknown``.
    """
    return await _fax(connection, fax_id, call.visible(), columns)


async def fax_with(connection: AsyncConnection, call: Call, fax_id: UUID, right: Right) -> None:
    """Check that the caller may do something with a fax: it lies in a box to which they have that right.

    An owner or admin who sees everybody's faxes may, too.

    Raises:
        Problem: ``fax.unknown``, or ``access.not_yours`` for somebody who may see its record.
    """
    row = await visible_fax(connection, call, fax_id, call.own(right).label("may"))
    if not (row["may"] or sees_all(call.actor)):
        raise Problem("access.not_yours", f"It takes the right `{right}` to the box of the fax.")


async def own_fax(connection: AsyncConnection, call: Call, fax_id: UUID, *columns: Any) -> RowMapping:
    """Return a fax of a box that the caller reads.

    Raises:
        Problem: ``fax.unknown``, or ``access.not_yours`` for somebody who may see its record.
    """
    row = await visible_fax(connection, call, fax_id, *(columns or FAX_COLUMNS), call.own().label("own"))
    if not row["own"]:
        raise Problem("access.not_yours", "The fax lies in a box that you do not read; only its readers can open it.")
    return row


async def fax_with_content(connection: AsyncConnection, call: Call, fax_id: UUID) -> RowMapping:
    """Return a fax of one of the caller's own boxes, if its content was not shredded.

    Raises:
        Problem: as ``own_fax``, or ``content.gone``.
    """
    over = (faxes.c.storage == "none") & (faxes.c.direction == "out") & faxes.c.finished_at.is_not(None)
    is_gone = or_(faxes.c.shredded_at.is_not(None), over).label("is_gone")
    fax = await own_fax(connection, call, fax_id, faxes.c.page_set_id, is_gone)
    if fax["is_gone"]:
        raise Problem("content.gone", f"The content of the fax {fax_id} was deleted for good.")
    return fax


async def _fax(connection: AsyncConnection, fax_id: UUID, condition: Any, columns: tuple[Any, ...]) -> RowMapping:
    statement = select(*(columns or FAX_COLUMNS)).where(faxes.c.id == fax_id)
    if condition is not None:
        statement = statement.where(condition)
    row = (await connection.execute(statement)).mappings().one_or_none()
    if row is None:
        raise Problem("fax.unknown", f"There is no fax {fax_id}.")
    return row


async def attempts_of(connection: AsyncConnection, fax_id: UUID) -> list[dict[str, Any]]:
    """Return the calls for a fax, in order."""
    rows = await connection.execute(select(attempts).where(attempts.c.fax_id == fax_id).order_by(attempts.c.index))
    return [attempt(row) for row in rows.mappings()]
