"""Who can open what lies in the store: the rows of objects and of their keys' wraps, and opening by either of them.

An object is in the store, durably, before any row speaks of it.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import literal, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.archive.objects import StoreUnavailable
from faxgw.archive.sealed import SealedStore, StoredObject
from faxgw.errors import RequestError
from faxgw.keys.sealing import Label, SealBroken
from faxgw.keys.spool import SpoolKeyGone, SpoolKeys, SpoolUnavailable, SpoolWrap
from faxgw.keys.wraps import KeyPair, PublicKey, WrapBroken, unwrap, wrap, wrap_context
from faxgw.store.rows import Rows
from faxgw.store.tables import objects, wraps

OWNER, SPOOL = "owner", "spool"


async def write_down(
    connection: AsyncConnection, stored: Sequence[StoredObject], *, owner: PublicKey | None, spool: SpoolKeys | None
) -> None:
    """Write the rows of objects: what they are, and their keys' wraps for the owner and for the gateway's own work."""
    await write_down_each(connection, [(each, owner) for each in stored], spool=spool)


async def write_down_each(
    connection: AsyncConnection, stored: Sequence[tuple[StoredObject, PublicKey | None]], *, spool: SpoolKeys | None
) -> None:
    """Write the rows of objects that have each an owner of its own; otherwise as ``write_down``."""
    if stored:
        await connection.execute(_WRITE_DOWN, sealed_values(stored, spool=spool))


def sealed_values(
    stored: Sequence[tuple[StoredObject, PublicKey | None]], *, spool: SpoolKeys | None
) -> dict[str, list[Any]]:
    """Return the rows of objects, for a statement that has ``SEALED``."""
    made = [{"id": each.id, "tenant_id": each.label.tenant, "kind": each.kind, "size": each.size} for each, _ in stored]
    rows = [_owner_row(each.label, each.dek, owner) for each, owner in stored if owner]
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
    context = wrap_context(tenant=tenant_id, object_id=object_id, kind=SPOOL)
    try:
        dek = spool.unwrap(wrapped, context=context)
        return await store.open(Label(tenant_id, object_id, kind), dek=dek)
    except SpoolKeyGone as gone:
        raise spent() from gone
    except SpoolUnavailable as trouble:
        raise StoreUnavailable(str(trouble)) from trouble
    except (WrapBroken, SealBroken) as broken:
        raise RequestError("document.damaged", "What is to be sent is damaged where it is stored.") from broken


def spent() -> RequestError:
    """Say that the gateway cannot open something any more."""
    return RequestError("document.spent", "This was sent before and is sealed to its owner now; upload it again.")


async def open_owned(
    connection: AsyncConnection, store: SealedStore, key: KeyPair, *, tenant_id: UUID, object_id: UUID, kind: str
) -> bytes:
    """Open an object with its owner's private key.

    Raises:
        RequestError: ``content.gone``, if it is not sealed to that key.
    """
    dek = await _owned_dek(connection, key, tenant_id, object_id)
    return await store.open(Label(tenant_id, object_id, kind), dek=dek)


async def _owned_dek(connection: AsyncConnection, key: KeyPair, tenant_id: UUID, object_id: UUID) -> bytes:
    """Return an object's key by its owner's private key.

    Raises:
        RequestError: ``content.gone``, if it is not sealed to that key.
    """
    own = (wraps.c.kind == OWNER) & (wraps.c.key_id == key.public.key_id)
    row = (await connection.execute(select(wraps.c.blob).where(wraps.c.object_id == object_id, own))).one_or_none()
    if row is None:
        raise RequestError("content.gone", "There is nothing that this key could open: it is not sealed to its owner.")
    return unwrap(row.blob, key, context=wrap_context(tenant=tenant_id, object_id=object_id, kind=OWNER))


async def spool_again(
    connection: AsyncConnection, spool: SpoolKeys, key: KeyPair, *, tenant_id: UUID, object_ids: Iterable[UUID]
) -> None:
    """Let the gateway send objects again that were sealed to their owner, who has given the key for it."""
    rows = []
    for object_id in object_ids:
        dek = await _owned_dek(connection, key, tenant_id, object_id)
        rows.append(_spool_row(Label(tenant_id, object_id, ""), dek, spool))
    if rows:
        await connection.execute(upsert(wraps).on_conflict_do_nothing(), rows)


def _owner_row(label: Label, dek: bytes, owner: PublicKey) -> dict[str, object]:
    context = wrap_context(tenant=label.tenant, object_id=label.object, kind=OWNER)
    return _row(label, OWNER, owner.key_id, wrap(dek, owner, context=context))


def _spool_row(label: Label, dek: bytes, spool: SpoolKeys) -> dict[str, object]:
    wrapped = spool.wrap(dek, context=wrap_context(tenant=label.tenant, object_id=label.object, kind=SPOOL))
    return _row(label, SPOOL, wrapped.epoch, wrapped.blob)


def _row(label: Label, kind: str, key_id: str, blob: bytes) -> dict[str, object]:
    return {"tenant_id": label.tenant, "object_id": label.object, "kind": kind, "key_id": key_id, "blob": blob}
