"""Sealed objects, opened with the key of whoever asks, in two steps.

The rows are read in a transaction; the archive, which may be slow, is asked when its connection has been given back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.api.call import Call
from faxgw.archive.sealed import SealedStore
from faxgw.boxes.ways import Ways, ways_to
from faxgw.documents.coded import CodedPage
from faxgw.escrow.covering import cover_opened
from faxgw.faxes.content import as_coded, unlock
from faxgw.faxes.sealed import SPOOL, not_sealed, open_by
from faxgw.keys.sealing import Label
from faxgw.keys.spool import SpoolKeys, SpoolWrap
from faxgw.store.tables import wraps


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens some objects for one reader; needs no database."""

    store: SealedStore
    ways: Ways = field(repr=False)

    async def open(self, object_id: UUID, kind: str) -> bytes:
        """Return what an object has in it.

        Raises:
            StoreError: if the archive cannot be used now.
        """
        return await self.store.open(Label(self.ways.tenant_id, object_id, kind), dek=self.ways.dek(object_id))

    async def page(self, row: RowMapping) -> CodedPage:
        """Return a page; ``row`` is one of ``pages``. Otherwise as ``open``."""
        return as_coded(row, await self.open(row["object_id"], "page"))


@dataclass(frozen=True, slots=True)
class Spooled:
    """Opens some objects of which nothing is kept, and which nobody but the gateway can open, as long as it has to."""

    tenant_id: UUID
    store: SealedStore
    spool: SpoolKeys
    found: Mapping[UUID, SpoolWrap] = field(repr=False)

    async def open(self, object_id: UUID, kind: str) -> bytes:
        """As ``Opener.open``."""
        wrap, tenant_id = self.found[object_id], self.tenant_id
        return await open_by(self.store, self.spool, wrap, tenant_id=tenant_id, object_id=object_id, kind=kind)

    async def page(self, row: RowMapping) -> CodedPage:
        """As ``Opener.page``."""
        return as_coded(row, await self.open(row["object_id"], "page"))


async def opener(connection: AsyncConnection, call: Call, object_ids: Sequence[UUID]) -> Opener | Spooled:
    """Read all that it takes to open objects after the transaction.

    What is kept opens with the key of whoever asks only; what is not stored the gateway opens, as long as it can.

    Raises:
        RequestError: ``key.locked``, or ``content.gone`` if one of them does not open for whoever asks.
    """
    if spooled := await _spooled(connection, object_ids):
        return Spooled(call.actor.tenant_id, call.gateway.objects, call.gateway.spool, spooled)
    key = await unlock(connection, call.actor)
    ways = await ways_to(connection, key, tenant_id=call.actor.tenant_id, object_ids=object_ids)
    if not set(ways) >= set(object_ids):
        raise not_sealed()
    used = {way.key_id for way in ways.by_object.values() if way.box_id is not None}
    await cover_opened(connection, key, used, actor=call.actor)
    return Opener(call.gateway.objects, ways)


async def _spooled(connection: AsyncConnection, object_ids: Sequence[UUID]) -> dict[UUID, SpoolWrap]:
    """Return the gateway's wraps of objects, if none of them has any other."""
    rows = await connection.execute(
        select(wraps.c.object_id, wraps.c.kind, wraps.c.key_id, wraps.c.blob).where(
            wraps.c.object_id.in_(object_ids),
            ~select(_OTHER).where(_OTHER.c.object_id.in_(object_ids), _OTHER.c.kind != SPOOL).exists(),
        )
    )
    found = {row.object_id: SpoolWrap(row.key_id, row.blob) for row in rows}
    return found if found.keys() >= set(object_ids) else {}


_OTHER = wraps.alias()
