"""The sandbox: a simulated fax machine calls in."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import select
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
from faxgw.faxes.requests import Number
from faxgw.faxes.sealed import open_spooled
from faxgw.sandbox import CALLER, start_call
from faxgw.store.tables import documents

router = APIRouter(prefix="/v1/sandbox", route_class=GuardedRoute, tags=["sandbox"])

MOST_PAGES = 50


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
        octets = await open_spooled(
            connection,
            gateway.objects,
            gateway.spool,
            tenant_id=actor.tenant_id,
            object_id=row.object_id,
            kind="document",
        )
    async with prepare([Upload("the document", octets)], RenderOptions(), gateway.renderers) as prepared:
        return [each.page async for each in prepared]
