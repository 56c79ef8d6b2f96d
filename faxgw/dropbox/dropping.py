"""What is whole is dropped: a document and its sidecar become a fax in one transaction, whichever comes first."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.devices.device import Device
from faxgw.devices.repeating import NAMELESS, Repeated, mark_of, note
from faxgw.devices.signing_in import find_device
from faxgw.dropbox.naming import Name
from faxgw.dropbox.sidecar import Wish, read_sidecar, wish_for
from faxgw.errors import RequestError
from faxgw.faxes.accepting import accept, accept_batch
from faxgw.faxes.requests import FaxRequest
from faxgw.faxes.uploading import Received, forget, keep
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.store.tables import devices, documents, drops, objects

MOST = 200
"""Files that may wait in one folder, and notes of what was wrong."""


@dataclass
class _Change:
    """One transaction of a device's folder; ``gone``: objects that nothing names once it is committed."""

    connection: AsyncConnection
    gateway: Gateway
    device: Device
    gone: list[UUID] = field(default_factory=list)


async def drop_document(gateway: Gateway, device: Device, name: Name, document: Received) -> UUID | None:
    """Take a document that is whole; return the fax, or batch, that it has become, or None: it waits for its sidecar.

    Raises:
        RequestError: for what ``accept`` refuses; ``drop.*``, ``document.*``. Nothing of it is kept then.
    """

    async def work(change: _Change) -> UUID | None:
        sidecar = await _waiting(change, "sidecar", name)
        wish = read_sidecar(sidecar.text.encode()) if sidecar else wish_for(name.number) if name.number else None
        document_id = await _put_in(change, name, document)
        if wish is None:
            await _wait(change, "document", name, document_id=document_id)
            return None
        return await _send(change, name, document_id, wish)

    try:
        return await _changed(gateway, device, name, work)
    except RequestError:
        await forget(gateway, [document])
        raise


async def drop_sidecar(gateway: Gateway, device: Device, name: Name, octets: bytes) -> UUID | None:
    """Take a sidecar that is whole; return what has become of its document, or None: it waits for that.

    Raises:
        RequestError: as ``drop_document``; a document that waits goes on waiting.
    """

    async def work(change: _Change) -> UUID | None:
        wish = read_sidecar(octets)
        document = await _waiting(change, "document", name)
        if document is None:
            await _wait(change, "sidecar", name, text=octets.decode())
            return None
        return await _send(change, _named(document), document.document_id, wish)

    return await _changed(gateway, device, name, work)


async def rename(gateway: Gateway, device: Device, old: Name, new: Name) -> UUID | None:
    """Give what waits another name, by which it may find its other half; return what it became then.

    Raises:
        RequestError: ``drop.unknown``, if nothing of that name waits; as ``drop_document``.
    """

    async def work(change: _Change) -> UUID | None:
        row = await _waiting(change, old.kind, old)
        if row is None or row.name != old.text:
            raise _unknown()
        if new.kind != old.kind:
            raise RequestError("drop.name", "A document stays one, and so does a sidecar: drop it anew.")
        await change.connection.execute(delete(drops).where(drops.c.id == row.id))
        if new.kind == "sidecar":
            wish: Wish | None = read_sidecar(row.text.encode())
            document = await _waiting(change, "document", new)
            if document is None or wish is None:
                await _wait(change, "sidecar", new, text=row.text)
                return None
            return await _send(change, _named(document), document.document_id, wish)
        if await _waiting(change, "document", new) is not None:
            raise _taken()
        sidecar = await _waiting(change, "sidecar", new)
        wish = read_sidecar(sidecar.text.encode()) if sidecar else wish_for(new.number) if new.number else None
        if wish is None:
            await _wait(change, "document", new, document_id=row.document_id)
            return None
        return await _send(change, new, row.document_id, wish)

    return await _changed(gateway, device, new, work)


async def remove(gateway: Gateway, device: Device, name: Name) -> None:
    """Delete what waits, or what is told of it, for good.

    Raises:
        RequestError: ``drop.unknown``.
    """
    kind = {"result": "sent"}.get(name.kind, name.kind)
    async with gateway.database.tenant(device.tenant_id) as connection:
        change = _Change(connection, gateway, device)
        row = await _waiting(change, kind, name)
        if row is None:
            raise _unknown()
        await connection.execute(delete(drops).where(drops.c.id == row.id))
        if kind == "document":
            await _throw_away(change, [row.document_id])
    await gateway.objects.delete(change.gone)


async def note_error(gateway: Gateway, device: Device, name: Name, reason: str) -> None:
    """Keep for the device what was wrong with a file, under the name that ends in ``.error.txt``."""
    async with gateway.database.tenant(device.tenant_id) as connection:
        change = _Change(connection, gateway, device)
        now = await _known(change)
        if now is not None and now.usable and await _count(change) < MOST:
            await _wait(change, "error", name, text=reason)


async def _changed(
    gateway: Gateway, device: Device, name: Name, work: Callable[[_Change], Awaitable[UUID | None]]
) -> UUID | None:
    async with gateway.database.tenant(device.tenant_id) as connection:
        change = _Change(connection, gateway, device)
        change.device = await _admitted(change)
        await connection.execute(delete(drops).where(_own(change, "error", name)))
        became = await work(change)
    await gateway.objects.delete(change.gone)
    return became


async def _admitted(change: _Change) -> Device:
    """Return the device as it is now; what is done in its folder is done one after the other, on all nodes.

    Raises:
        RequestError: ``auth.device``, if it may not submit any more; ``drop.full``.
    """
    now = await _known(change)
    if now is None or not now.usable:
        raise RequestError("auth.device", "This device may not submit any more; ask whoever manages it.")
    if await _count(change) >= MOST:
        raise RequestError("drop.full", f"{MOST} files wait in this folder: remove some.")
    return now


async def _known(change: _Change) -> Device | None:
    lock = select(devices.c.id).where(devices.c.id == change.device.id).with_for_update()
    await change.connection.execute(lock)
    return await find_device(change.connection, change.device.login)


async def _count(change: _Change) -> int:
    mine = (drops.c.device_id == change.device.id) & (drops.c.kind != "sent")
    return int(await change.connection.scalar(select(func.count()).where(mine)) or 0)


async def _waiting(change: _Change, kind: str, name: Name) -> Any:
    return (await change.connection.execute(select(drops).where(_own(change, kind, name)))).one_or_none()


def _own(change: _Change, kind: str, name: Name) -> ColumnElement[bool]:
    return (drops.c.device_id == change.device.id) & (drops.c.kind == kind) & (drops.c.stem == name.stem)


async def _wait(change: _Change, kind: str, name: Name, **columns: Any) -> None:
    """Write a row of a device's folder, in place of one of the same kind and stem."""
    said: dict[str, Any] = {"text": "", "document_id": None, "fax_id": None, "batch_id": None, **columns}
    said |= {"name": name.text, "created_at": datetime.now(UTC)}
    key = {"tenant_id": change.device.tenant_id, "device_id": change.device.id, "kind": kind, "stem": name.stem}
    row = upsert(drops).values(id=new_id(), **key, **said)
    over = row.on_conflict_do_update(index_elements=["device_id", "kind", "stem", "tenant_id"], set_=said)
    await change.connection.execute(over)


async def _put_in(change: _Change, name: Name, document: Received) -> UUID:
    """Write the rows of a document, in place of one of the same name that waits.

    Raises:
        RequestError: ``drop.name``, if another document waits for the same sidecar.
    """
    before = await _waiting(change, "document", name)
    if before is not None:
        if before.name != name.text:
            raise _taken()
        await _throw_away(change, [before.document_id])
    (row,) = await keep(change.connection, change.gateway, change.device.actor, [document], owned=False)
    return UUID(str(row["id"]))


async def _throw_away(change: _Change, document_ids: Sequence[UUID]) -> None:
    """Delete documents that no fax was made of, with all that could open them."""
    gone = delete(documents).where(documents.c.id.in_(document_ids)).returning(documents.c.object_id)
    change.gone += (await change.connection.scalars(gone)).all()
    await change.connection.execute(delete(objects).where(objects.c.id.in_(change.gone)))


async def _send(change: _Change, name: Name, document_id: UUID, wish: Wish) -> UUID:
    """Make a fax, or a batch, of a pair that is whole; the folder has only its result then, once there is one.

    A pair that comes again, since its client never heard that it was taken, goes, and is what it has become before.
    """
    became = new_id()
    try:
        await _note(change, name, document_id, wish, became=became)
    except Repeated as repeated:
        await _clear(change, name)
        await _throw_away(change, [document_id])
        return repeated.became
    asked = wish.of(document_id, change.device.box_id)
    connection, gateway, actor = change.connection, change.gateway, change.device.actor
    if isinstance(asked, FaxRequest):
        await accept(connection, gateway, actor, asked, fax_id=became)
        column = "fax_id"
    else:
        await accept_batch(connection, gateway, actor, asked, batch_id=became)
        column = "batch_id"
    await _clear(change, name)
    await _wait(change, "sent", name, **{column: became})
    return became


async def _note(change: _Change, name: Name, document_id: UUID, wish: Wish, *, became: UUID) -> None:
    """Note what a pair is about to become: it is known by its name, its document, and what is to be done with that.

    Raises:
        Repeated: see there; nothing that was done so far has to be undone.
    """
    document = await change.connection.scalar(select(documents.c.sha256).where(documents.c.id == document_id))
    said = [name.stem, document or b"", wish.asked.model_dump_json()]
    mark = mark_of(change.gateway.server_keys, "drop", said)
    await note(change.connection, change.device, mark, became=became, known_for=NAMELESS)


async def _clear(change: _Change, name: Name) -> None:
    for kind in ("document", "sidecar", "error"):
        await change.connection.execute(delete(drops).where(_own(change, kind, name)))


def _named(row: Any) -> Name:
    return Name(row.name, "document")


def _taken() -> RequestError:
    return RequestError("drop.name", "Another document waits for the same sidecar: give this one another name.")


def _unknown() -> RequestError:
    return RequestError("drop.unknown", "There is no such file here.")
