"""What a device sees in its folder: what waits, what was wrong, and what became of what it has dropped."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.devices.device import Device
from faxgw.dropbox.naming import Name, name_of
from faxgw.gateway import Gateway
from faxgw.store.tables import batches, documents, drops, faxes

MOST = 1000
"""Results that are listed, the newest."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a folder.

    Attributes:
        size: its octets; None: it is made when it is read.
        content: what reading it gives; None: it is not given back.
    """

    name: str
    size: int | None
    at: datetime
    content: bytes | None = field(default=None, repr=False)


async def waiting(gateway: Gateway, device: Device) -> list[Entry]:
    """Return what is in the folder itself: documents and sidecars that wait for each other, and what was wrong."""
    found = (
        select(drops.c.kind, drops.c.name, drops.c.text, drops.c.created_at, documents.c.size)
        .join_from(drops, documents, drops.c.document_id == documents.c.id, isouter=True)
        .where(drops.c.device_id == device.id, drops.c.kind != "sent")
    )
    async with gateway.database.tenant(device.tenant_id) as connection:
        rows = (await connection.execute(found)).all()
    return [_waiting(row) for row in rows]


async def results(gateway: Gateway, device: Device) -> list[Entry]:
    """Return the results of what has ended, without their content."""
    found = select(drops.c.name, drops.c.created_at).where(_ended(device)).order_by(drops.c.created_at.desc())
    async with gateway.database.tenant(device.tenant_id) as connection:
        rows = (await connection.execute(found.limit(MOST))).all()
    return [Entry(Name(row.name, "document").result, None, row.created_at) for row in rows]


async def result(gateway: Gateway, device: Device, name: Name) -> Entry | None:
    """Return the result of that name with its content; None: there is none, or not yet."""
    found = select(drops).where(_ended(device), drops.c.stem == name.stem)
    async with gateway.database.tenant(device.tenant_id) as connection:
        row = (await connection.execute(found)).one_or_none()
        if row is None:
            return None
        said = await (_of_batch(connection, row.batch_id) if row.batch_id else _of_fax(connection, row.fax_id))
    content = json.dumps({"document": row.name, **said}, indent=1, ensure_ascii=False).encode() + b"\n"
    return Entry(Name(row.name, "document").result, len(content), row.created_at, content)


def _waiting(row: Any) -> Entry:
    if row.kind == "document":
        return Entry(row.name, row.size, row.created_at)
    text = row.text.encode()
    if row.kind == "error":
        return Entry(name_of(row.name).error, len(text) + 1, row.created_at, text + b"\n")
    return Entry(row.name, len(text), row.created_at, text)


def _ended(device: Device) -> Any:
    """Say of a row of ``drops`` that it is the device's, and all faxes of it have ended."""
    over = select(faxes.c.id).where(faxes.c.id == drops.c.fax_id, faxes.c.finished_at.is_not(None))
    more = select(faxes.c.id).where(faxes.c.batch_id == drops.c.batch_id, faxes.c.finished_at.is_(None))
    whole = or_(over.exists(), and_(drops.c.batch_id.is_not(None), ~more.exists()))
    return and_(drops.c.device_id == device.id, drops.c.kind == "sent", whole)


_OF_FAX = tuple(
    faxes.c[name]
    for name in ("id", "state", "pages", "pages_done", "reason_code", "reason_text", "finished_at", "labels")
)


async def _of_fax(connection: AsyncConnection, fax_id: UUID) -> dict[str, object]:
    row = (await connection.execute(select(*_OF_FAX).where(faxes.c.id == fax_id))).mappings().one()
    return _said(row)


async def _of_batch(connection: AsyncConnection, batch_id: UUID) -> dict[str, object]:
    name = await connection.scalar(select(batches.c.name).where(batches.c.id == batch_id))
    own = faxes.c.batch_id == batch_id
    rows = (await connection.execute(select(*_OF_FAX).where(own).order_by(faxes.c.id))).mappings().all()
    return {
        "batch": str(batch_id),
        "name": name,
        "counts": Counter(row["state"] for row in rows),
        "faxes": [_said(row) for row in rows],
    }


def _said(row: Mapping[Any, Any]) -> dict[str, object]:
    return {
        "fax": str(row["id"]),
        "state": row["state"],
        "pages": row["pages"],
        "pages_done": row["pages_done"],
        "reason": {"code": row["reason_code"], "text": row["reason_text"]},
        "finished_at": row["finished_at"].isoformat(),
        "labels": row["labels"],
    }
