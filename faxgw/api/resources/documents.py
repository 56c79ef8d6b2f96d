"""Documents: uploaded, read, and shown as the fax pages that they will be."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from faxgw.api.answers import Answer, content, content_tag, ok, unchanged
from faxgw.api.call import Call, Caller
from faxgw.api.fax_shapes import DocumentShape, PageSetShape
from faxgw.api.guard import GuardedRoute, UploadRoute
from faxgw.api.opening import opener
from faxgw.api.pictures import PNG, png
from faxgw.api.problems import Problem
from faxgw.api.resources.auditing import note
from faxgw.api.resources.rows import page as page_shape
from faxgw.api.uploads import BODY, check_room, receive
from faxgw.archive.objects import ObjectMissing
from faxgw.faxes.drawing import draw
from faxgw.faxes.policies import tenant_of
from faxgw.faxes.requests import Drawing
from faxgw.store.tables import documents, page_sets, pages

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["documents"])
uploads = APIRouter(prefix="/v1", route_class=UploadRoute, tags=["documents"])

Name = Annotated[
    str,
    Query(
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="What its sender calls it.",
        examples=["letter.pdf"],
    ),
]
PageNumber = Annotated[int, Path(ge=1, le=100_000, description="Which page, from 1.")]


class RenderRequest(Drawing):
    """Documents to be shown as fax pages; the same words as in a fax."""


@uploads.post(
    "/documents",
    status_code=201,
    response_model=DocumentShape,
    openapi_extra=BODY,
)
async def create_document(call: Caller, name: Name = "") -> Response:
    """Upload a document: it is sealed as it arrives, read, and refused if it is none.

    It is kept for a day, and as long as a fax waits to be drawn from it. Nothing of one that is refused is kept.
    """
    return await receive(call, name=name)


@router.get("/documents/{document_id:uuid}", response_model=DocumentShape)
async def get_document(call: Caller, document_id: UUID) -> Response:
    """Say what is known of an upload of one's own."""
    async with call.transaction() as connection:
        own = (documents.c.id == document_id) & (documents.c.user_id == call.actor.user_id)
        row = (await connection.execute(select(documents).where(own))).mappings().one_or_none()
    if row is None:
        raise Problem("request.not_found", f"There is no document {document_id} of yours.")
    return ok(document_shape(row))


@router.post("/documents:render", status_code=201, response_model=PageSetShape)
async def render_documents(call: Caller, asked: RenderRequest) -> Response:
    """Draw documents as the fax pages that will be sent, octet for octet: give `page_set` to the fax."""
    if not (asked.documents or asked.cover):
        raise Problem("request.invalid", "Give documents, a cover, or both.", extra={"errors": []})
    await check_room(call)

    async def work() -> Answer:
        async with call.transaction() as connection:
            await _check_own(connection, call, asked)
            tenant = await tenant_of(connection, call.actor.tenant_id)
        page_set_id = await draw(call.gateway, tenant, call.actor.user_id, asked)
        async with call.transaction() as connection:
            body = await _page_set(connection, call, page_set_id)
        return Answer(201, body, {"location": f"/v1/page-sets/{page_set_id}"})

    return await call.once_around(work)


@router.get("/page-sets/{page_set_id:uuid}", response_model=PageSetShape)
async def get_page_set(call: Caller, page_set_id: UUID) -> Response:
    """Say which pages were drawn."""
    async with call.transaction() as connection:
        return ok(await _page_set(connection, call, page_set_id))


@router.get("/page-sets/{page_set_id:uuid}/pages/{n:int}", response_class=PNG)
async def get_page_of_set(call: Caller, page_set_id: UUID, n: PageNumber) -> Response:
    """Show a page that was drawn, as long as the page set is kept."""
    async with call.transaction() as connection:
        await _own_set(connection, call, page_set_id)
        where = (pages.c.page_set_id == page_set_id) & (pages.c.index == n - 1)
        row = (await connection.execute(select(pages).where(where))).mappings().one_or_none()
        if row is None:
            raise Problem("request.not_found", f"There is no page {n}.")
        tag = content_tag([row["sha256"]], "png")
        if unchanged(tag, call.request.headers.get("if-none-match")):
            return Response(status_code=304, headers={"etag": tag})
        sealed = await opener(connection, call, [row["object_id"]])
        await note(connection, call, "page_set.read", page_set_id, what="page", page=n)
    try:
        page = await sealed.page(row)
    except ObjectMissing as missing:
        # Its time was up: it was taken away between the two steps.
        raise Problem("content.gone", "The page set has expired; draw it anew.") from missing
    return content(await png(page), PNG.media_type, tag, call.request.headers, name=f"page-{n}.png")


def document_shape(row: RowMapping) -> dict[str, object]:
    """Return an upload as it is answered."""
    same = ("id", "pages", "sha256", "name", "media_type", "size", "created_at", "expires_at")
    return {name: row[name] for name in same}


async def _check_own(connection: AsyncConnection, call: Call, asked: Drawing) -> None:
    own = documents.c.id.in_(asked.documents) & (documents.c.user_id == call.actor.user_id)
    found = set((await connection.execute(select(documents.c.id).where(own))).scalars())
    for each in asked.documents:
        if each not in found:
            raise Problem("document.unknown", f"There is no document {each} of yours; upload it again.")


async def _own_set(connection: AsyncConnection, call: Call, page_set_id: UUID) -> RowMapping:
    own = (page_sets.c.id == page_set_id) & (page_sets.c.user_id == call.actor.user_id)
    row = (await connection.execute(select(page_sets).where(own))).mappings().one_or_none()
    if row is None:
        raise Problem("request.not_found", f"There is no page set {page_set_id} of yours.")
    return row


async def _page_set(connection: AsyncConnection, call: Call, page_set_id: UUID) -> dict[str, object]:
    row = await _own_set(connection, call, page_set_id)
    found = await connection.execute(select(pages).where(pages.c.page_set_id == page_set_id).order_by(pages.c.index))
    href = f"/v1/page-sets/{page_set_id}/pages"
    return {
        "id": row["id"],
        "pages": [page_shape(each, href) for each in found.mappings()],
        "created_at": row["created_at"],
        "expires_at": row["expires_at"],
    }
