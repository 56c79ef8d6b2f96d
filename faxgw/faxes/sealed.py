"""Who can open what lies in the store: the rows of objects and of their keys' wraps, and opening by either of them.

An object is in the store, durably, before any row speaks of it.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Text, Uuid, and_, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.archive.objects import StoreUnavailable
from faxgw.archive.sealed import SealedStore, StoredObject
from faxgw.boxes.ways import BOX, OWNER, ways_to
from faxgw.errors import RequestError
from faxgw.keys.sealing import Label, SealBroken
from faxgw.keys.spool import SpoolKeyGone, SpoolKeys, SpoolUnavailable, SpoolWrap
from faxgw.keys.wraps import KeyPair, PublicKey, WrapBroken, wrap, wrap_context
from faxgw.store.rows import Rows
from faxgw.store.tables import objects, pages, wraps

SPOOL = "spool"


@dataclass(frozen=True, slots=True)
class Readers:
    """Whom an object is sealed to: the box that it lies in, or somebody, as long as it lies in none."""

    owner: PublicKey | None = field(default=None, repr=False)
    boxes: tuple[PublicKey, ...] = field(default=(), repr=False)


async def write_down(
    connection: AsyncConnection,
    stored: Sequence[StoredObject],
    *,
    owner: PublicKey | None = None,
    boxes: Iterable[PublicKey] = (),
    spool: SpoolKeys | None,
) -> None:
    """Write the rows of objects: what they are, and their keys' wraps for readers and for the gateway's own work."""
    if stored:
        readers = Readers(owner, tuple(boxes))
        await connection.execute(_WRITE_DOWN, sealed_values([(each, readers) for each in stored], spool=spool))


def sealed_values(stored: Sequence[tuple[StoredObject, Readers]], *, spool: SpoolKeys | None) -> dict[str, list[Any]]:
    """Return the rows of objects, for a statement that has ``SEALED``."""
    made = [{"id": each.id, "tenant_id": each.label.tenant, "kind": each.kind, "size": each.size} for each, _ in stored]
    rows = [row for each, readers in stored for row in _reader_rows(each.label, each.dek, readers)]
    if spool:
        rows += [_spool_row(each.label, each.dek, spool) for each, _ in stored]
    return _OBJECTS.values(made) | _WRAPS.values(rows)


_OBJECTS = Rows(objects, "id", "tenant_id", "kind", "size")
_WRAPS = Rows(wraps, "tenant_id", "object_id", "kind", "key_id", "blob")
SEALED = (_OBJECTS.inserted().cte("new_objects"), _WRAPS.inserted().cte("new_wraps"))
"""The parts of a statement that write the rows of objects."""
_WRITE_DOWN = select(literal(1)).add_cte(*SEALED)


async def open_spooled(
    connection: AsyncConnection, store: SealedStore, spool: SpoolKeys, *, tenant_id: UUID, object_id: UUID, kind: str
) -> bytes:
    """Open an object that the gateway has yet to send, or to draw.

    Raises:
        RequestError: ``document.spent``, if its spool wrap is gone: only its owner can open it now.
        StoreError: if the store, or the folder of the spool keys, cannot be used now.
    """
    found = select(wraps.c.key_id, wraps.c.blob).where(wraps.c.object_id == object_id, wraps.c.kind == SPOOL)
    row = (await connection.execute(found.limit(1))).one_or_none()
    if row is None:
        raise spent()
    wrapped = SpoolWrap(row.key_id, row.blob)
    return await open_by(store, spool, wrapped, tenant_id=tenant_id, object_id=object_id, kind=kind)


async def open_by(
    store: SealedStore, spool: SpoolKeys, wrapped: SpoolWrap, *, tenant_id: UUID, object_id: UUID, kind: str
) -> bytes:
    """Open an object by its spool wrap.

    Raises:
        RequestError: ``document.spent``, if the key of that wrap was destroyed; ``document.damaged``.
        StoreError: if the store, or the folder of the spool keys, cannot be used now.
    """
    dek = spooled_dek(spool, wrapped, tenant_id, object_id)
    try:
        return await store.open(Label(tenant_id, object_id, kind), dek=dek)
    except SealBroken as broken:
        raise _damaged() from broken


def spooled_dek(spool: SpoolKeys, wrapped: SpoolWrap, tenant_id: UUID, object_id: UUID) -> bytes:
    """Return an object's key, by the gateway's own wrap.

    Raises:
        RequestError: ``document.spent``, if the key of that wrap was destroyed; ``document.damaged``.
        StoreError: if the folder of the spool keys cannot be used now.
    """
    try:
        return spool.unwrap(wrapped, context=wrap_context(tenant=tenant_id, object_id=object_id, kind=SPOOL))
    except SpoolKeyGone as gone:
        raise spent() from gone
    except SpoolUnavailable as trouble:
        raise StoreUnavailable(str(trouble)) from trouble
    except WrapBroken as broken:
        raise _damaged() from broken


def _damaged() -> RequestError:
    return RequestError("document.damaged", "What is to be sent is damaged where it is stored.")


def spent() -> RequestError:
    """Say that the gateway cannot open something any more."""
    return RequestError("document.spent", "This was sent before and is sealed to its readers now; upload it again.")


async def open_owned(
    connection: AsyncConnection, store: SealedStore, key: KeyPair, *, tenant_id: UUID, object_id: UUID, kind: str
) -> bytes:
    """Open an object with a person's private key, to which it is sealed, or which opens its box.

    Raises:
        RequestError: ``content.gone``, if that key does not open it.
    """
    ways = await ways_to(connection, key, tenant_id=tenant_id, object_ids=[object_id])
    if object_id not in ways:
        raise not_sealed()
    return await store.open(Label(tenant_id, object_id, kind), dek=ways.dek(object_id))


def not_sealed() -> RequestError:
    """Say that somebody's key does not open something."""
    return RequestError("content.gone", "There is nothing that this key could open: it is not sealed to its owner.")


async def spool_again(
    connection: AsyncConnection, spool: SpoolKeys, key: KeyPair, *, tenant_id: UUID, object_ids: Collection[UUID]
) -> None:
    """Let the gateway send objects again that were sealed to a reader, who has given the key for it.

    Raises:
        RequestError: ``document.spent``, if that key does not open one of them.
    """
    ways = await ways_to(connection, key, tenant_id=tenant_id, object_ids=object_ids)
    if not set(ways) >= set(object_ids):
        raise spent()
    rows = [_spool_row(Label(tenant_id, each, ""), ways.dek(each), spool) for each in object_ids]
    if rows:
        await connection.execute(upsert(wraps).on_conflict_do_nothing(), rows)


async def put_into(
    connection: AsyncConnection, box: PublicKey, deks: Collection[tuple[UUID, bytes]], *, tenant_id: UUID
) -> None:
    """Seal objects, which are given with their keys, to a box as well."""
    few = len(deks) <= FEW
    rows = _box_rows(box, deks, tenant_id) if few else await asyncio.to_thread(_box_rows, box, deks, tenant_id)
    if rows:
        await connection.execute(_PUT_INTO, _WRAPS.values(rows))


_PUT_INTO = _WRAPS.inserted(known=True)
FEW = 8
"""So many wraps are made at once; more would hold up the loop, and are made in a thread."""


async def spooled_pages(
    connection: AsyncConnection, page_set_id: UUID, *, boxes: Collection[PublicKey] = ()
) -> list[tuple[UUID, SpoolWrap | None, bool]]:
    """Return the objects of a page set's pages, how the gateway opens each, and whether it is in all the boxes."""
    asked = {"page_set": page_set_id, "boxes": [each.key_id for each in boxes]}
    return [
        (row.object_id, SpoolWrap(row.key_id, row.blob) if row.key_id else None, row.filed == len(boxes))
        for row in await connection.execute(_SPOOLED_PAGES, asked)
    ]


def _spooled_pages() -> Select[Any]:
    spool, box = wraps.alias("spool"), wraps.alias("box")
    filed = select(func.count()).where(
        box.c.object_id == pages.c.object_id,
        box.c.kind == BOX,
        box.c.key_id == func.any(bindparam("boxes", type_=ARRAY(Text))),
    )
    own = and_(spool.c.object_id == pages.c.object_id, spool.c.kind == SPOOL)
    return (
        select(pages.c.object_id, spool.c.key_id, spool.c.blob, filed.scalar_subquery().label("filed"))
        .select_from(pages.outerjoin(spool, own))
        .where(pages.c.page_set_id == bindparam("page_set", type_=Uuid))
        .order_by(pages.c.index)
    )


_SPOOLED_PAGES = _spooled_pages()


def _box_rows(box: PublicKey, deks: Iterable[tuple[UUID, bytes]], tenant_id: UUID) -> list[dict[str, object]]:
    return [_wrapped_row(Label(tenant_id, each, ""), dek, BOX, box) for each, dek in deks]


def _reader_rows(label: Label, dek: bytes, readers: Readers) -> Iterable[dict[str, object]]:
    if readers.owner:
        yield _wrapped_row(label, dek, OWNER, readers.owner)
    for box in readers.boxes:
        yield _wrapped_row(label, dek, BOX, box)


def _wrapped_row(label: Label, dek: bytes, kind: str, key: PublicKey) -> dict[str, object]:
    context = wrap_context(tenant=label.tenant, object_id=label.object, kind=kind)
    return _row(label, kind, key.key_id, wrap(dek, key, context=context))


def _spool_row(label: Label, dek: bytes, spool: SpoolKeys) -> dict[str, object]:
    wrapped = spool.wrap(dek, context=wrap_context(tenant=label.tenant, object_id=label.object, kind=SPOOL))
    return _row(label, SPOOL, wrapped.epoch, wrapped.blob)


def _row(label: Label, kind: str, key_id: str, blob: bytes) -> dict[str, object]:
    return {"tenant_id": label.tenant, "object_id": label.object, "kind": kind, "key_id": key_id, "blob": blob}
