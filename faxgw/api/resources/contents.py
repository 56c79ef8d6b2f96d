"""What is on the pages of a fax, opened with the key of whoever asks; and the recordings of its calls."""

import hashlib
from contextlib import nullcontext
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy import select
from starlette.responses import Response

from faxgw import copies
from faxgw.api.answers import content, content_tag, ok, unchanged
from faxgw.api.call import Call, Caller
from faxgw.api.fax_shapes import PagesShape
from faxgw.api.guard import GuardedRoute
from faxgw.api.opening import opener
from faxgw.api.pictures import PNG, png
from faxgw.api.problems import Problem
from faxgw.api.resources.auditing import note
from faxgw.api.resources.documents import PageNumber
from faxgw.api.resources.faxes import AttemptNumber
from faxgw.api.resources.rows import fax_with_content, visible_fax
from faxgw.api.resources.rows import page as page_shape
from faxgw.documents.coded import media_type
from faxgw.documents.forms import FORMS, whole
from faxgw.faxes.content import as_coded, exported_object
from faxgw.keys.sealing import Label
from faxgw.store.tables import attempts, confirmations, faxes, pages

router = APIRouter(prefix="/v1/faxes", route_class=GuardedRoute, tags=["content"])

TRACE = "application/jsonl"
LONG = 2**20
"""Octets of pages, as filed, above which a content waits for its turn to be opened."""


@router.get("/{fax_id:uuid}/pages", response_model=PagesShape)
async def list_pages(call: Caller, fax_id: UUID) -> Response:
    """List the pages of a fax, and which of them are confirmed; not what is on them."""
    async with call.transaction() as connection:
        fax = await visible_fax(connection, call, fax_id, faxes.c.page_set_id)
        confirmed = (confirmations.c.fax_id == fax_id) & (confirmations.c.index == pages.c.index)
        statement = (
            select(pages, confirmations.c.confirmed_at, confirmations.c.sha256.label("sent_sha256"))
            .outerjoin(confirmations, confirmed)
            .where(pages.c.page_set_id == fax["page_set_id"])
            .order_by(pages.c.index)
        )
        rows = (await connection.execute(statement)).mappings().all()
    href = f"/v1/faxes/{fax_id}/pages"
    more = ("confirmed_at", "sent_sha256")
    return ok({"items": [{**page_shape(row, href), **{name: row[name] for name in more}} for row in rows]})


@router.get("/{fax_id:uuid}/pages/{n:int}", response_class=PNG)
async def get_page(call: Caller, fax_id: UUID, n: PageNumber) -> Response:
    """Show a page."""
    async with call.transaction() as connection:
        fax = await fax_with_content(connection, call, fax_id)
        where = (pages.c.page_set_id == fax["page_set_id"]) & (pages.c.index == n - 1)
        row = (await connection.execute(select(pages).where(where))).mappings().one_or_none()
        if row is None:
            raise Problem("request.not_found", f"There is no page {n}, or not yet.")
        tag = content_tag([row["sha256"]], "png")
        if unchanged(tag, call.request.headers.get("if-none-match")):
            return Response(status_code=304, headers={"etag": tag})
        sealed = await opener(connection, call, [row["object_id"]])
        await note(connection, call, "fax.read", fax_id, what="page", page=n)
        await copies.note(connection, fax_id=fax_id, kind="download", to=_reader(call), sha256=row["sha256"])
    return content(await png(await sealed.page(row)), PNG.media_type, tag, call.request.headers, name=f"page-{n}.png")


@router.get("/{fax_id:uuid}/pages/{n:int}/sealed", response_class=Response)
async def export_page(call: Caller, fax_id: UUID, n: PageNumber) -> Response:
    """Give a page sealed, as it lies in the archive, with all that its owner's secret needs to open it.

    `faxgw open` does so, without any server. Nothing is opened here, so the API key needs no slot; but it needs the
    scope `content`, since what it gives holds the owner's slots, at which passwords can be tried.
    """
    async with call.transaction() as connection:
        fax = await fax_with_content(connection, call, fax_id)
        where = (pages.c.page_set_id == fax["page_set_id"]) & (pages.c.index == n - 1)
        row = (await connection.execute(select(pages).where(where))).mappings().one_or_none()
        if row is None:
            raise Problem("request.not_found", f"There is no page {n}, or not yet.")
        label = Label(call.actor.tenant_id, row["object_id"], "page")
        said = media_type(as_coded(row, b""))
    async with call.gateway.database.dispatcher() as connection:
        exported = await exported_object(
            connection, call.gateway.objects, label, user_id=call.actor.user_id, media_type=said
        )
        await note(connection, call, "fax.read", fax_id, what="sealed", page=n)
        await copies.note(connection, fax_id=fax_id, kind="export", to=_reader(call), sha256=row["sha256"])
    headers = {"content-disposition": f'attachment; filename="fax-{fax_id}-{n}.faxgw"', "cache-control": "no-store"}
    return Response(exported.octets(), media_type="application/zip", headers=headers)


@router.get("/{fax_id:uuid}/content", response_class=Response)
async def get_content(
    call: Caller,
    fax_id: UUID,
    format: Annotated[Literal["pdf", "tiff"], Query(description="As what.")] = "pdf",
) -> Response:
    """Give a whole fax as one file, or a range of its octets."""
    async with call.transaction() as connection:
        fax = await fax_with_content(connection, call, fax_id)
        found = select(pages).where(pages.c.page_set_id == fax["page_set_id"]).order_by(pages.c.index)
        rows = (await connection.execute(found)).mappings().all()
        if not rows:
            raise Problem("content.none", "The fax has no pages yet.")
        tag = content_tag([row["sha256"] for row in rows], format)
        if unchanged(tag, call.request.headers.get("if-none-match")):
            return Response(status_code=304, headers={"etag": tag})
        sealed = await opener(connection, call, [row["object_id"] for row in rows])
        await note(connection, call, "fax.read", fax_id, what=format, pages=len(rows))
    async with call.api.long_contents if sum(row["octets"] for row in rows) > LONG else nullcontext():
        octets = await whole([await sealed.page(row) for row in rows], format)
    digest = hashlib.sha256(octets).digest()
    async with call.transaction() as connection:
        await copies.note(connection, fax_id=fax_id, kind="download", to=_reader(call), sha256=digest)
    return content(octets, FORMS[format].media_type, tag, call.request.headers, name=f"fax-{fax_id}.{format}")


@router.get("/{fax_id:uuid}/attempts/{n:int}/trace", response_class=Response)
async def get_trace(call: Caller, fax_id: UUID, n: AttemptNumber) -> Response:
    """Give the recording of a call: every action and event, for `faxgw trace`."""
    async with call.transaction() as connection:
        await fax_with_content(connection, call, fax_id)
        where = (attempts.c.fax_id == fax_id) & (attempts.c.index == n)
        trace = (await connection.execute(select(attempts.c.trace_id).where(where))).scalar_one_or_none()
        if trace is None:
            raise Problem("request.not_found", f"There is no recording of a call {n}.")
        sealed = await opener(connection, call, [trace])
        await note(connection, call, "fax.read", fax_id, what="trace", attempt=n)
    octets = await sealed.open(trace, "trace")
    tag = content_tag([trace.bytes], "trace")
    return content(octets, TRACE, tag, call.request.headers, name=f"call-{n}.jsonl")


def _reader(call: Call) -> str:
    return f"user:{call.actor.user_id}"
