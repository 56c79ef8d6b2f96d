"""What a request says in confidence: the words of its cover page, its password. They lie sealed, like a document."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.faxes.requests import BatchRequest, Cover, FaxRequest
from faxgw.faxes.sealed import SPOOL, open_by, spent, write_down
from faxgw.gateway import Gateway
from faxgw.keys.spool import SpoolWrap
from faxgw.keys.wraps import PublicKey
from faxgw.store.tables import wraps

KIND = "request"
NAMES = ("cover", "password")
"""The fields of a request that are never written in clear."""


@dataclass(frozen=True, slots=True)
class Private:
    """What was said in confidence; ``to_names`` for each number of a batch."""

    cover: Cover | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)
    to_names: Mapping[str, str] = field(default_factory=dict, repr=False)

    def cover_for(self, number: str) -> Cover | None:
        """Return the cover page of the fax to ``number``."""
        name = self.to_names.get(number)
        return self.cover.model_copy(update={"to_name": name}) if self.cover and name else self.cover


async def put_away(
    connection: AsyncConnection,
    gateway: Gateway,
    request: FaxRequest | BatchRequest,
    *,
    tenant_id: UUID,
    boxes: Collection[PublicKey],
    to_names: Mapping[str, str] | None = None,
) -> UUID | None:
    """Seal what a request says in confidence to the box of its faxes; return its object, None if it says nothing so.

    In no box, it opens for the gateway alone, until it is sent.

    Raises:
        StoreError: if it cannot be stored.
    """
    said: dict[str, Any] = request.model_dump(mode="json", exclude_defaults=True, include=set(NAMES))
    if not said:
        return None
    octets = json.dumps(said | {"to_names": dict(to_names or {})}).encode()
    stored = await gateway.objects.put(octets, tenant=tenant_id, kind=KIND)
    await write_down(connection, [stored], boxes=boxes, spool=gateway.spool)
    return stored.id


async def wraps_of(connection: AsyncConnection, object_ids: Collection[UUID]) -> dict[UUID, SpoolWrap]:
    """Return how the gateway opens what was said in confidence, by object."""
    own = wraps.c.object_id.in_(object_ids) & (wraps.c.kind == SPOOL)
    rows = await connection.execute(select(wraps.c.object_id, wraps.c.key_id, wraps.c.blob).where(own))
    return {row.object_id: SpoolWrap(row.key_id, row.blob) for row in rows}


async def opened(gateway: Gateway, wrap: SpoolWrap | None, *, tenant_id: UUID, object_id: UUID) -> Private:
    """Open what was said in confidence.

    Raises:
        RequestError: ``document.spent``, if the gateway cannot any more.
        StoreError: if the store cannot be used now.
    """
    if wrap is None:
        raise spent()
    octets = await open_by(gateway.objects, gateway.spool, wrap, tenant_id=tenant_id, object_id=object_id, kind=KIND)
    said = json.loads(octets)
    cover = Cover.model_validate(said["cover"]) if "cover" in said else None
    return Private(cover, said.get("password", ""), said["to_names"])
