"""Documents become fax pages: sealed one by one, hashed, and sent exactly so."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.archive.sealed import StoredObject
from faxgw.boxes.keys import sealing_keys
from faxgw.documents.cover import Cover as CoverPage
from faxgw.documents.cover import CoverFields, CoverTemplate
from faxgw.documents.direct import fax_pages
from faxgw.documents.document import Header, RenderOptions
from faxgw.documents.layout import Paper
from faxgw.documents.parts import Upload
from faxgw.documents.prepare import DocumentLimits, PreparedPage, prepare
from faxgw.documents.screening import Screen
from faxgw.errors import RequestError
from faxgw.faxes.policies import Tenant, tenant_of
from faxgw.faxes.requests import Cover, Drawing
from faxgw.faxes.sealed import SEALED, SPOOL, Readers, open_by, sealed_values, spent
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.spool import SpoolWrap
from faxgw.keys.wraps import PublicKey
from faxgw.store.rows import Rows
from faxgw.store.tables import documents, page_sets, pages, users, wraps
from t30.pages import Resolution

AT_ONCE = 20
"""So many pages are taken over at once, since all are in memory then; a worker draws larger documents page by page."""
KEPT = timedelta(hours=24)
"""How long a page set is kept that no fax uses."""

RESOLUTIONS = {resolution.label: resolution for resolution in Resolution}
PAPERS = {paper.label: paper for paper in Paper}


@dataclass(frozen=True, slots=True)
class Document:
    """An upload, and how the gateway opens it; without a wrap it cannot."""

    name: str
    object_id: UUID
    pages: int
    wrap: SpoolWrap | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sources:
    """What faxes of one tenant are drawn from."""

    tenant: Tenant
    documents: Mapping[UUID, Document]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Pages in the store, of which no row speaks yet.

    Attributes:
        box_id: the box that they will lie in; None: none yet, and they are sealed to ``owner``. Without either, nobody
            opens them but the gateway.
    """

    page_set_id: UUID
    user_id: UUID
    box_id: UUID | None
    owner: PublicKey | None = field(repr=False)
    pages: Sequence[tuple[PreparedPage, StoredObject]] = field(repr=False)


async def draw(gateway: Gateway, tenant: Tenant, user_id: UUID, asked: Drawing, *, to_number: str = "") -> UUID:
    """Draw documents, and return the id of their page set, which is committed then.

    Raises:
        RequestError: ``document.*``, with one sentence that says what is wrong.
    """
    async with gateway.database.tenant(tenant.id) as connection:
        sources = await sources_of(connection, tenant.id, document_ids=asked.documents)
        own = select(users.c.public_key).where(users.c.id == user_id)
        owner = PublicKey.from_octets((await connection.execute(own)).scalar_one())
    drawn = await draw_pages(gateway, sources, asked, user_id=user_id, owner=owner, to_number=to_number)
    async with gateway.database.tenant(tenant.id) as connection:
        await keep(connection, gateway, [drawn], tenant_id=tenant.id)
    return drawn.page_set_id


async def sources_of(connection: AsyncConnection, tenant_id: UUID, *, document_ids: Collection[UUID]) -> Sources:
    """Read what faxes are drawn from: the policy, and their documents with the gateway's own wraps."""
    own = and_(wraps.c.object_id == documents.c.object_id, wraps.c.kind == SPOOL)
    rows = await connection.execute(
        select(documents.c.id, documents.c.name, documents.c.object_id, documents.c.pages, wraps.c.key_id, wraps.c.blob)
        .outerjoin(wraps, own)
        .where(documents.c.id.in_(document_ids))
    )
    return Sources(
        tenant=await tenant_of(connection, tenant_id),
        documents={row.id: _document(row) for row in rows},
    )


def _document(row: Any) -> Document:
    wrapped = SpoolWrap(row.key_id, row.blob) if row.key_id else None
    return Document(row.name, row.object_id, row.pages, wrapped)


async def draw_pages(
    gateway: Gateway,
    sources: Sources,
    asked: Drawing,
    *,
    user_id: UUID,
    box_id: UUID | None = None,
    owner: PublicKey | None = None,
    to_number: str = "",
) -> Drawn:
    """Draw documents into the store; the database is not needed meanwhile.

    Raises:
        RequestError: ``document.*``.
        StoreError: if the store cannot be used now.
    """
    tenant = sources.tenant
    parts: list[Upload | CoverPage] = [await _part(gateway, sources, document) for document in asked.documents]
    if asked.cover is not None:
        count = 1 + sum(sources.documents[each].pages for each in asked.documents)
        parts.insert(0, _cover(asked.cover, asked.sender, to_number, count))
    options = _options(asked, tenant)
    most = min(gateway.config.rendering.max_pages, tenant.policy.limits.pages)
    drawn: list[tuple[PreparedPage, StoredObject]] = []
    async with aclosing(_prepared(gateway, parts, options, most=most)) as prepared:
        async for page in prepared:
            drawn.append((page, await gateway.objects.put(page.page.octets, tenant=tenant.id, kind="page")))
    return Drawn(new_id(), user_id, box_id, owner, drawn)


async def _prepared(
    gateway: Gateway, parts: Sequence[Upload | CoverPage], options: RenderOptions, *, most: int
) -> AsyncGenerator[PreparedPage]:
    """Give the pages one by one: as they are, where nothing is to be drawn, else drawn by a worker."""
    as_they_are = None
    if _unchanged(options):
        as_they_are = await asyncio.to_thread(_taken_over, parts, most)
    if as_they_are is not None:
        for page in as_they_are:
            yield page
        return
    async with prepare(parts, options, gateway.renderers, limits=DocumentLimits(pages=most)) as prepared:
        async for page in prepared:
            yield page


def are_as_they_are(asked: Drawing, tenant: Tenant) -> bool:
    """Tell whether nothing is to be drawn where a document's pages are fax pages already."""
    return asked.cover is None and _unchanged(_options(asked, tenant))


def _unchanged(options: RenderOptions) -> bool:
    return options.resolution is None and options.paper is None and options.header is None


async def taken_over(gateway: Gateway, parts: Sequence[Upload]) -> list[PreparedPage] | None:
    """Return the pages of uploads that are fax pages already, if they all are and are not many; else None."""
    return await asyncio.to_thread(_taken_over, parts, gateway.config.rendering.max_pages)


async def store_pages(
    gateway: Gateway, drawn: Sequence[PreparedPage], tenant_id: UUID
) -> list[tuple[PreparedPage, StoredObject]]:
    """Store pages, sealed; nothing is left of them if one cannot be stored."""
    stored: list[tuple[PreparedPage, StoredObject]] = []
    try:
        for page in drawn:
            stored.append((page, await gateway.objects.put(page.page.octets, tenant=tenant_id, kind="page")))
    except BaseException:
        await asyncio.shield(gateway.objects.delete([each.id for _, each in stored]))
        raise
    return stored


def _taken_over(parts: Sequence[Upload | CoverPage], most: int) -> list[PreparedPage] | None:
    """Return the pages of documents that are fax pages already, all of them; else None."""
    pages: list[PreparedPage] = []
    for part in parts:
        own = fax_pages(part.octets, most=min(most - len(pages), AT_ONCE)) if isinstance(part, Upload) else None
        if own is None:
            return None
        pages += [replace(page, index=len(pages) + page.index) for page in own]
    return pages


async def _part(gateway: Gateway, sources: Sources, document_id: UUID) -> Upload:
    document = sources.documents.get(document_id)
    if document is None:
        raise RequestError("document.unknown", f"The document {document_id} is not there any more; upload it again.")
    if document.wrap is None:
        raise spent()
    octets = await open_by(
        gateway.objects,
        gateway.spool,
        document.wrap,
        tenant_id=sources.tenant.id,
        object_id=document.object_id,
        kind="document",
    )
    return Upload(document.name or "the document", octets)


def _cover(cover: Cover, sender: str, to_number: str, pages: int) -> CoverPage:
    """Make the cover page of a fax of so many pages, itself included."""
    fields = CoverFields(
        to_name=cover.to_name,
        to_number=to_number,
        from_name=cover.from_name,
        from_number=sender,
        subject=cover.subject,
        message=cover.message,
        pages=pages,
        date=f"{datetime.now(UTC).astimezone():%Y-%m-%d %H:%M}",
        company=cover.company,
    )
    return CoverPage(fields, CoverTemplate(cover.kind, cover.source))


def _options(asked: Drawing, tenant: Tenant) -> RenderOptions:
    policy = tenant.policy
    # A tenant may have to print the line: a fax may ask for it, but not for its absence.
    wanted = policy.header.on or bool(asked.header)
    sender = policy.header.sender(asked.sender)
    resolution = asked.resolution or policy.resolution
    return RenderOptions(
        # What the user wants goes; the policy's is for documents that have no resolution of their own.
        resolution=RESOLUTIONS[resolution] if asked.resolution or resolution != "fine" else None,
        paper=PAPERS[asked.paper] if asked.paper else None,
        screen=Screen(asked.screen),
        header=Header(sender or tenant.name, datetime.now(UTC).astimezone()) if wanted else None,
    )


async def keep(connection: AsyncConnection, gateway: Gateway, drawn: Sequence[Drawn], *, tenant_id: UUID) -> None:
    """Write page sets down, unless they are there since a commit whose answer was lost.

    One that no fax uses is not kept for long.
    """
    there = select(page_sets.c.id).where(page_sets.c.id.in_([each.page_set_id for each in drawn]))
    known = set((await connection.execute(there)).scalars())
    drawn = [each for each in drawn if each.page_set_id not in known]
    if not drawn:
        return
    boxes = await sealing_keys(connection, {each.box_id for each in drawn if each.box_id is not None})
    await connection.execute(_KEEP, page_set_values(drawn, gateway, tenant_id=tenant_id, boxes=boxes))


def page_set_values(
    drawn: Sequence[Drawn],
    gateway: Gateway,
    *,
    tenant_id: UUID,
    boxes: Mapping[UUID, PublicKey],
    besides: Sequence[tuple[StoredObject, Readers]] = (),
) -> dict[str, list[Any]]:
    """Return the rows of page sets, and of objects besides their pages, for a statement that has ``PAGE_SETS``.

    ``boxes`` are the present keys of the boxes that they will lie in.
    """
    expires = datetime.now(UTC) + KEPT
    sets = [
        {
            "id": each.page_set_id,
            "tenant_id": tenant_id,
            "user_id": each.user_id,
            "pages": len(each.pages),
            "expires_at": expires,
        }
        for each in drawn
    ]
    sealed = [*besides, *((stored, _readers(each, boxes)) for each in drawn for _, stored in each.pages)]
    rows = [row for each in drawn for row in _rows(each, tenant_id)]
    return sealed_values(sealed, spool=gateway.spool) | _SETS.values(sets) | _PAGES.values(rows)


def _readers(drawn: Drawn, boxes: Mapping[UUID, PublicKey]) -> Readers:
    return Readers(drawn.owner) if drawn.box_id is None else Readers(boxes=(boxes[drawn.box_id],))


_SETS = Rows(page_sets, "id", "tenant_id", "user_id", "pages", "expires_at")
_PAGES = Rows(
    pages, "tenant_id", "page_set_id", "index", "object_id", "sha256", "width", "resolution", "rows", "octets"
)
PAGE_SETS = (*SEALED, _SETS.inserted().cte("new_sets"), _PAGES.inserted().cte("new_pages"))
"""The parts of a statement that write page sets, with their pages and objects."""
_KEEP = select(literal(1)).add_cte(*PAGE_SETS)


def _rows(drawn: Drawn, tenant_id: UUID) -> list[dict[str, object]]:
    return [
        {
            "tenant_id": tenant_id,
            "page_set_id": drawn.page_set_id,
            "index": page.index,
            "object_id": sealed.id,
            "sha256": page.sha256,
            "width": page.page.width.name,
            "resolution": page.page.resolution.name,
            "rows": page.page.rows,
            "octets": len(page.page.octets),
        }
        for page, sealed in drawn.pages
    ]
