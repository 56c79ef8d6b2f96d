"""Uploads: sealed as they arrive, then read by a worker; nothing of what is refused or cut off is left behind.

A small one is read from memory before it is stored. A long one goes straight into the archive, sealed, and is held in
memory only while a worker reads it, of which there are few.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.answers import Answer
from faxgw.api.call import Call
from faxgw.api.guard import Body
from faxgw.api.problems import Problem
from faxgw.errors import RequestError
from faxgw.faxes.accepting import Held
from faxgw.faxes.uploading import KIND, Received, count_pages, forget, has_room, held, keep, receive_small

SMALL = 256 * 1024
"""Octets that are held in memory until the document is read."""
LOOK_EVERY = 1.0
"""Seconds between two looks at the room on the disk."""
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
    received = await _received(call, name, media_type, drawn=drawn, sent=then is not None)
    kept = False

    async def write(connection: AsyncConnection) -> Answer:
        nonlocal kept
        (row,) = await keep(connection, call.gateway, call.actor, [received], owned=owned)
        kept = True
        if then:
            return await then(connection, row["id"], held(received, row))
        body = {key: value for key, value in row.items() if key not in _INNER}
        return Answer(201, body, {"location": f"/v1/documents/{row['id']}"})

    try:
        call.is_once(received.stored.sha256)
        response = await call.once(write)
    except RequestError:
        # Refused, so nothing was committed. After anything else, such as a break or a cancellation in mid-commit, the
        # row may be there and needs its object; an object without a row is found and removed later.
        await forget(call.gateway, [received])
        raise
    if not kept:
        await forget(call.gateway, [received])
    return response


_INNER = ("tenant_id", "user_id", "object_id", "page_set_id")
"""Columns of a document that are nobody's business."""


async def check_room(call: Call) -> None:
    """Refuse what is new where the disk is nearly full; it is looked at once a second.

    Raises:
        Problem: ``storage.full``.
    """
    now = asyncio.get_running_loop().time()
    if now - call.api.room_seen < LOOK_EVERY:
        return
    if not await has_room(call.gateway):
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


async def _received(call: Call, name: str, media_type: str, *, drawn: bool, sent: bool) -> Received:
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
        content = bytes(head)
        of = {"name": name, "media_type": media_type}
        return await receive_small(gateway, call.actor, content, **of, drawn=drawn, sent=sent)
    stored = await gateway.objects.put(_all_of(head, stream), tenant=tenant, kind=KIND)
    try:
        async with call.api.long_uploads:
            octets = await gateway.objects.open(stored.label, dek=stored.dek)
            return Received(name, media_type, stored, await count_pages(gateway, name, octets))
    except BaseException:
        await asyncio.shield(gateway.objects.delete([stored.id]))
        raise


async def _all_of(head: bytearray, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield bytes(head)
    head.clear()
    async for octets in rest:
        yield octets
