"""Documents that came in, read and sealed: in the store first, then, in the caller's transaction, as rows.

What is fax pages already is stored together with its pages, so that nobody draws it.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.archive.sealed import StoredObject
from faxgw.documents.direct import fax_page_count
from faxgw.documents.document import RenderOptions
from faxgw.documents.parts import Upload
from faxgw.documents.prepare import DocumentLimits, prepare
from faxgw.faxes.accepting import Held
from faxgw.faxes.drawing import PAGE_SETS, Drawn, page_set_values, store_pages, taken_over
from faxgw.faxes.sealed import Readers
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.wraps import PublicKey
from faxgw.store.rows import Rows
from faxgw.store.tables import documents

KIND = "document"
KEPT = timedelta(hours=24)
"""How long a document is kept that no fax uses."""


@dataclass(frozen=True, slots=True)
class Received:
    """A document that was read and is in the store, sealed; no row speaks of it yet.

    Attributes:
        name: what its sender calls it.
        media_type: that it was sent with.
        drawn: its pages, stored as well, if they are fax pages already.
    """

    name: str
    media_type: str
    stored: StoredObject
    pages: int
    drawn: Drawn | None = None

    @property
    def object_ids(self) -> list[UUID]:
        """What is in the store."""
        return [self.stored.id, *(page.id for _, page in self.drawn.pages)] if self.drawn else [self.stored.id]


async def has_room(gateway: Gateway) -> bool:
    """Tell whether there is room on the disk for what is new."""
    space = await gateway.objects.objects.free_space()
    return space is None or space.free >= gateway.config.storage.keep_free(space.total)


async def receive_small(
    gateway: Gateway, actor: Actor, content: bytes, *, name: str, media_type: str, drawn: bool, sent: bool
) -> Received:
    """Read a document from memory, and store it; one that is fax pages already together with its pages.

    Args:
        gateway: the gateway.
        actor: whose it is.
        content: the document.
        name: what its sender calls it.
        media_type: that it was sent with; what it is, its content says.
        drawn: it is to be drawn, even if it is fax pages already.
        sent: its pages are sent at once: they are the fax's, and sealed to its box.

    Raises:
        RequestError: ``document.*``; then nothing is in the store.
        StoreError: if the store cannot be used now.
    """
    pages = None if drawn else await taken_over(gateway, [Upload(name, content)])
    if pages is None:
        count = await count_pages(gateway, name, content)
        stored = await gateway.objects.put(content, tenant=actor.tenant_id, kind=KIND)
        return Received(name, media_type, stored, count)
    stored = await gateway.objects.put(content, tenant=actor.tenant_id, kind=KIND)
    try:
        owner = None if sent else _owner(actor)
        page_set = Drawn(new_id(), actor.user_id, None, owner, await store_pages(gateway, pages, actor.tenant_id))
    except BaseException:
        await asyncio.shield(gateway.objects.delete([stored.id]))
        raise
    return Received(name, media_type, stored, len(pages), page_set)


async def count_pages(gateway: Gateway, name: str, octets: bytes) -> int:
    """Return how many pages a document has; nothing of it is drawn.

    Raises:
        RequestError: ``document.*``.
    """
    config = gateway.config
    limits = DocumentLimits(
        octets=config.api.max_body, pages=config.rendering.max_pages, seconds=config.rendering.seconds
    )
    if count := fax_page_count(octets, most=config.rendering.max_pages):
        return count
    part = Upload(name or "the document", octets)
    async with prepare([part], RenderOptions(), gateway.renderers, limits=limits) as prepared:
        return len(prepared)


async def keep(
    connection: AsyncConnection, gateway: Gateway, actor: Actor, received: Sequence[Received], *, owned: bool
) -> list[dict[str, Any]]:
    """Write documents down, in one statement; return their rows.

    Args:
        connection: a transaction of the actor's tenant.
        gateway: the gateway.
        actor: whose they are.
        received: the documents.
        owned: they are sealed to the actor, too, and not only to the gateway, which forgets them.
    """
    rows = [_row(actor, each) for each in received]
    owner = _owner(actor) if owned else None
    drawn = [each.drawn if owned else replace(each.drawn, owner=None) for each in received if each.drawn]
    besides = [(each.stored, Readers(owner)) for each in received]
    values = page_set_values(drawn, gateway, tenant_id=actor.tenant_id, boxes={}, besides=besides)
    await connection.execute(_KEEP, values | _DOCUMENTS.values(rows))
    return rows


def held(received: Received, row: dict[str, Any]) -> Held:
    """Return a document that was just written down as it is sent."""
    deks = tuple((page.id, page.dek) for _, page in received.drawn.pages) if received.drawn else ()
    return Held(received.pages, row["page_set_id"], deks)


async def forget(gateway: Gateway, received: Iterable[Received]) -> None:
    """Take documents out of the store again, of which no row speaks."""
    await asyncio.shield(gateway.objects.delete([each for one in received for each in one.object_ids]))


def _owner(actor: Actor) -> PublicKey:
    return PublicKey.from_octets(actor.public_key)


_DOCUMENTS = Rows(
    documents,
    "id",
    "tenant_id",
    "user_id",
    "object_id",
    "name",
    "media_type",
    "sha256",
    "size",
    "pages",
    "page_set_id",
    "created_at",
    "expires_at",
)
_KEEP = select(literal(1)).add_cte(*PAGE_SETS, _DOCUMENTS.inserted().cte("new_documents"))


def _row(actor: Actor, received: Received) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "id": new_id(),
        "tenant_id": actor.tenant_id,
        "user_id": actor.user_id,
        "object_id": received.stored.id,
        "name": received.name,
        "media_type": received.media_type,
        "sha256": received.stored.sha256,
        "size": received.stored.length,
        "pages": received.pages,
        "page_set_id": received.drawn.page_set_id if received.drawn else None,
        "created_at": now,
        "expires_at": now + KEPT,
    }
