"""The sandbox: a simulated fax machine calls in."""

from typing import Annotated, TypedDict
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.answers import Answer
from faxgw.api.call import Call, Caller
from faxgw.api.guard import GuardedRoute
from faxgw.api.problems import Problem
from faxgw.api.resources.editing import Asked
from faxgw.api.shapes import SandboxCallShape
from faxgw.documents.coded import CodedPage
from faxgw.documents.document import RenderOptions
from faxgw.documents.parts import Upload
from faxgw.documents.prepare import prepare
from faxgw.errors import RequestError
from faxgw.faxes.content import unlock
from faxgw.faxes.requests import Number
from faxgw.faxes.sealed import open_owned, open_spooled
from faxgw.sandbox import CALLER, start_call
from faxgw.store.tables import documents

router = APIRouter(prefix="/v1/sandbox", route_class=GuardedRoute, tags=["sandbox"])

MOST_PAGES = 50


class _Object(TypedDict):
    """By what an object is opened."""

    tenant_id: UUID
    object_id: UUID
    kind: str


class CallRequest(Asked):
    """A call that is to come in."""

    to: Number
    document: UUID = Field(description="What the machine sends: an uploaded document.")
    from_: Annotated[str, Field(alias="from", pattern=r"^\+?[0-9]{1,20}$", description="The machine's own number.")] = (
        CALLER
    )


@router.post("/calls", status_code=202, response_model=SandboxCallShape)
async def call_in(call: Caller, asked: CallRequest) -> Response:
    """Have a simulated machine call one of our simulated lines; the fax that comes of it is in the list of faxes."""

    async def work() -> Answer:
        pages = await _pages(call, asked.document)
        await start_call(asked.to, pages, caller=asked.from_)
        return Answer(202, {"to": asked.to, "from": asked.from_, "pages": len(pages)})

    return await call.once_around(work)


async def _pages(call: Call, document: UUID) -> list[CodedPage]:
    gateway, actor = call.gateway, call.actor
    own = (documents.c.id == document) & (documents.c.user_id == actor.user_id)
    async with call.transaction() as connection:
        row = (await connection.execute(select(documents.c.object_id, documents.c.pages).where(own))).one_or_none()
        if row is None:
            raise Problem("document.unknown", f"There is no document {document} of yours; upload it again.")
        if row.pages > MOST_PAGES:
            raise Problem("document.too_large", f"A simulated machine sends {MOST_PAGES} pages at the most.")
        octets = await _octets(connection, call, row.object_id)
    async with prepare([Upload("the document", octets)], RenderOptions(), gateway.renderers) as prepared:
        return [each.page async for each in prepared]


async def _octets(connection: AsyncConnection, call: Call, object_id: UUID) -> bytes:
    """Open an upload: as the gateway does that has yet to send it, else with the key of whoever asks.

    Raises:
        RequestError: ``key.locked``, or ``content.gone`` if nobody can open it any more.
    """
    gateway = call.gateway
    mine: _Object = {"tenant_id": call.actor.tenant_id, "object_id": object_id, "kind": "document"}
    try:
        return await open_spooled(connection, gateway.objects, gateway.spool, **mine)
    except RequestError as error:
        if error.code != "document.spent":
            raise
    return await open_owned(connection, gateway.objects, await unlock(connection, call.actor), **mine)
