"""Uploads: sealed as they arrive, then read by a worker; nothing of what is refused or cut off is left behind.

A small one is read from memory before it is stored. A long one goes straight into the archive, sealed, and is held in
memory only while a worker reads it, of which there are few.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.answers import Answer
from faxgw.api.call import Call
from faxgw.api.guard import Body
from faxgw.api.problems import Problem
from faxgw.archive.sealed import StoredObject
from faxgw.documents.direct import fax_page_count
from faxgw.documents.document import RenderOptions
from faxgw.documents.parts import Upload
from faxgw.documents.prepare import DocumentLimits, prepare
from faxgw.errors import RequestError
from faxgw.faxes.accepting import Held
from faxgw.faxes.drawing import PAGE_SETS, Drawn, page_set_values, store_pages, taken_over
from faxgw.faxes.sealed import Readers
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.wraps import PublicKey
from faxgw.store.rows import Rows
from faxgw.store.tables import documents

KIND = "document"
SMALL = 256 * 1024
"""Octets that are held in memory until the document is read."""
LOOK_EVERY = 1.0
"""Seconds between two looks at the room on the disk."""
KEPT = timedelta(hours=24)
"""How long an upload is kept that no fax uses."""
MEDIA_TYPES = (
    "application/pdf",
    "image/tiff",
    "image/png",
    "image/jpeg",
    "text/plain",
    "text/html",
    "application/rtf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.oasis.opendocument.text",
    "application/octet-stream",
)
"""What OpenAPI names; what a document is, its content says."""
BODY = {
    "requestBody": {
        "required": True,
        "description": "The document itself, whole; not a form.",
        "content": {each: {"schema": {"type": "string", "format": "binary"}} for each in MEDIA_TYPES},
    }
}
"""What OpenAPI says of an upload."""
_NEVER = ("multipart/", "application/json", "application/x-www-form-urlencoded")
"""What programs send when they mean a form."""


@dataclass(frozen=True, slots=True)
class Received:
    """An upload that was read and is in the store, sealed; no row speaks of it yet.

    Attributes:
        drawn: its pages, stored as well, if they are fax pages already.
    """

    stored: StoredObject
    pages: int
    drawn: Drawn | None = None

    @property
    def object_ids(self) -> list[UUID]:
        """What is in the store."""
        return [self.stored.id, *(page.id for _, page in self.drawn.pages)] if self.drawn else [self.stored.id]


Then = Callable[[AsyncConnection, UUID, Held], Awaitable[Answer]]
"""What is done with a document, by its id, in the transaction that keeps it."""


async def receive(
    call: Call, *, name: str, then: Then | None = None, drawn: bool = False, owned: bool = True
) -> Response:
    """Take the body of a request as a document, and answer with what it is, or with what became of it.

    Args:
        call: the request.
        name: of the document.
        then: what is done with it, and answered.
        drawn: it is to be drawn, even if it is fax pages already.
        owned: it is sealed to whoever asks, too, and not only to the gateway, which forgets it.

    Raises:
        Problem, RequestError: ``request.*``, ``document.*``, ``storage.full``.
    """
    media_type = _media_type(call.request.headers.get("content-type", ""))
    await check_room(call)
    received = await _received(call, name, drawn=drawn, sent=then is not None)
    stored = received.stored
    kept = False

    async def write(connection: AsyncConnection) -> Answer:
        nonlocal kept
        row = _row(call, received, name=name, media_type=media_type)
        await connection.execute(_KEEP, _values(call, received, row, owned=owned))
        kept = True
        if then:
            deks = tuple((page.id, page.dek) for _, page in received.drawn.pages) if received.drawn else ()
            return await then(connection, row["id"], Held(received.pages, row["page_set_id"], deks))
        body = {key: value for key, value in row.items() if key not in _INNER}
        return Answer(201, body, {"location": f"/v1/documents/{row['id']}"})

    try:
        call.is_once(stored.sha256)
        response = await call.once(write)
    except RequestError:
        # Refused, so nothing was committed. After anything else, such as a break or a cancellation in mid-commit, the
        # row may be there and needs its object; an object without a row is found and removed later.
        await asyncio.shield(call.gateway.objects.delete(received.object_ids))
        raise
    if not kept:
        await call.gateway.objects.delete(received.object_ids)
    return response


_INNER = ("tenant_id", "user_id", "object_id", "page_set_id")
"""Columns of a document that are nobody's business."""


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


def _values(call: Call, received: Received, row: dict[str, Any], *, owned: bool) -> dict[str, list[Any]]:
    """Return all rows of an upload, for one statement."""
    owner = _owner(call) if owned else None
    drawn = [received.drawn if owned else replace(received.drawn, owner=None)] if received.drawn else []
    document = (received.stored, Readers(owner))
    rows = page_set_values(drawn, call.gateway, tenant_id=call.actor.tenant_id, boxes={}, besides=[document])
    return rows | _DOCUMENTS.values([row])


def _owner(call: Call) -> PublicKey:
    return PublicKey.from_octets(call.actor.public_key)


async def check_room(call: Call) -> None:
    """Refuse what is new where the disk is nearly full; it is looked at once a second.

    Raises:
        Problem: ``storage.full``.
    """
    now = asyncio.get_running_loop().time()
    if now - call.api.room_seen < LOOK_EVERY:
        return
    gateway = call.gateway
    space = await gateway.objects.objects.free_space()
    if space is not None and space.free < gateway.config.storage.keep_free(space.total):
        raise Problem("storage.full", "The gateway's disk is nearly full; nothing new is taken until there is room.")
    call.api.room_seen = now


def _media_type(given: str) -> str:
    media_type = given.partition(";")[0].strip().lower()
    if not re.fullmatch(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,128}", media_type):
        reason = "Name the document's type in Content-Type, such as application/pdf."
        raise Problem("request.media_type", reason, headers={"accept-post": ", ".join(MEDIA_TYPES)})
    if media_type.startswith(_NEVER):
        reason = f"Send the document itself as the body, with its own Content-Type, not as {media_type}."
        raise Problem("request.media_type", reason, headers={"accept-post": ", ".join(MEDIA_TYPES)})
    return media_type


async def _received(call: Call, name: str, *, drawn: bool, sent: bool) -> Received:
    request, gateway, tenant = call.request, call.gateway, call.actor.tenant_id
    assert isinstance(request, Body)
    request.limit = gateway.config.api.max_body
    stream = request.stream()
    head = bytearray()
    async for octets in stream:
        head += octets
        if len(head) > SMALL:
            break
    else:
        return await _small(call, name, bytes(head), drawn=drawn, sent=sent)
    stored = await gateway.objects.put(_all_of(head, stream), tenant=tenant, kind=KIND)
    try:
        async with call.api.long_uploads:
            return Received(
                stored, await _pages(gateway, name, await gateway.objects.open(stored.label, dek=stored.dek))
            )
    except BaseException:
        await asyncio.shield(gateway.objects.delete([stored.id]))
        raise


async def _small(call: Call, name: str, content: bytes, *, drawn: bool, sent: bool) -> Received:
    """Read a document from memory, and store it; one that is fax pages already together with its pages.

    Pages that are ``sent`` at once are the fax's, and sealed to its box.
    """
    gateway, actor = call.gateway, call.actor
    pages = None if drawn else await taken_over(gateway, [Upload(name, content)])
    if pages is None:
        count = await _pages(gateway, name, content)
        return Received(await gateway.objects.put(content, tenant=actor.tenant_id, kind=KIND), count)
    stored = await gateway.objects.put(content, tenant=actor.tenant_id, kind=KIND)
    try:
        owner = None if sent else _owner(call)
        page_set = Drawn(new_id(), actor.user_id, None, owner, await store_pages(gateway, pages, actor.tenant_id))
    except BaseException:
        await asyncio.shield(gateway.objects.delete([stored.id]))
        raise
    return Received(stored, len(pages), page_set)


async def _all_of(head: bytearray, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield bytes(head)
    head.clear()
    async for octets in rest:
        yield octets


async def _pages(gateway: Gateway, name: str, octets: bytes) -> int:
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


def _row(call: Call, received: Received, *, name: str, media_type: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "id": new_id(),
        "tenant_id": call.actor.tenant_id,
        "user_id": call.actor.user_id,
        "object_id": received.stored.id,
        "name": name,
        "media_type": media_type,
        "sha256": received.stored.sha256,
        "size": received.stored.length,
        "pages": received.pages,
        "page_set_id": received.drawn.page_set_id if received.drawn else None,
        "created_at": now,
        "expires_at": now + KEPT,
    }
