"""Documents become fax pages: sealed one by one, hashed, and sent exactly so.

A node's drawer claims accepted faxes by a lease, so that one whose node died is drawn by another. A batch without a
cover page is drawn once, by its first fax; the others take that one's page set.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import RowMapping, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.archive.objects import StoreFull, StoreUnavailable
from faxgw.archive.sealed import StoredObject
from faxgw.documents.document import Header, RenderOptions
from faxgw.documents.layout import Paper
from faxgw.documents.parts import Upload
from faxgw.documents.prepare import DocumentLimits, PreparedPage, prepare
from faxgw.documents.screening import Screen
from faxgw.errors import RequestError
from faxgw.faxes.changes import WrongState, change, tell_each, wake
from faxgw.faxes.ending import let_go
from faxgw.faxes.policies import Tenant, tenant_of
from faxgw.faxes.requests import Cover, Drawing
from faxgw.faxes.sealed import open_spooled, write_down
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.wraps import PublicKey
from faxgw.model import EventType, State
from faxgw.rules.windows import Hours, start
from faxgw.store.database import DatabaseUnavailable
from faxgw.store.tables import documents, faxes, page_sets, pages, users
from t30.pages import Resolution

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=10)
"""So long a node may draw one fax before another takes it over."""
AT_ONCE = 4
LOOK_AGAIN = 5.0
"""Seconds between two looks when nobody rings."""
KEPT = timedelta(hours=24)
"""How long a page set is kept that no fax uses."""

RESOLUTIONS = {resolution.label: resolution for resolution in Resolution}
PAPERS = {paper.label: paper for paper in Paper}


# ------------------------------------------------------------------------------------------------------ drawing one


async def draw(gateway: Gateway, tenant: Tenant, user_id: UUID, asked: Drawing, *, to_number: str = "") -> UUID:
    """Draw documents, and return the id of their page set, which is committed then.

    Raises:
        RequestError: ``document.*``, with one sentence that says what is wrong.
    """
    async with gateway.database.tenant(tenant.id) as connection:
        parts = [await _part(connection, gateway, tenant.id, document) for document in asked.documents]
        owner = await _owner(connection, user_id)
    count = (await _page_count(gateway, tenant.id, asked)) + (asked.cover is not None)
    if asked.cover is not None:
        parts.insert(0, await asyncio.to_thread(_cover, asked.cover, asked.sender, to_number, count))
    limits = DocumentLimits(pages=min(gateway.config.rendering.max_pages, tenant.policy.limits.pages))
    drawn: list[tuple[PreparedPage, StoredObject]] = []
    async with prepare(parts, _options(asked, tenant), gateway.renderers, limits=limits) as prepared:
        async for page in prepared:
            sealed = await gateway.objects.put(page.page.octets, tenant=tenant.id, kind="page")
            drawn.append((page, sealed))
    async with gateway.database.tenant(tenant.id) as connection:
        return await _keep(connection, gateway, drawn, tenant_id=tenant.id, user_id=user_id, owner=owner)


async def _part(connection: AsyncConnection, gateway: Gateway, tenant_id: UUID, document: UUID) -> Upload:
    row = (
        await connection.execute(select(documents.c.name, documents.c.object_id).where(documents.c.id == document))
    ).one_or_none()
    if row is None:
        raise RequestError("document.unknown", f"The document {document} is not there any more; upload it again.")
    octets = await open_spooled(
        connection, gateway.objects, gateway.spool, tenant_id=tenant_id, object_id=row.object_id, kind="document"
    )
    return Upload(row.name or "the document", octets)


def _cover(cover: Cover, sender: str, to_number: str, pages: int) -> Upload:
    """Make the cover page of a fax of so many pages, itself included."""
    from faxgw.documents.cover import CoverFields, CoverTemplate, cover_page  # noqa: PLC0415 - few need it

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
    return cover_page(fields, CoverTemplate(cover.kind, cover.source))


async def _owner(connection: AsyncConnection, user_id: UUID) -> PublicKey:
    key = (await connection.execute(select(users.c.public_key).where(users.c.id == user_id))).scalar_one()
    return PublicKey.from_octets(key)


async def _page_count(gateway: Gateway, tenant_id: UUID, asked: Drawing) -> int:
    async with gateway.database.tenant(tenant_id) as connection:
        rows = await connection.execute(
            select(documents.c.id, documents.c.pages).where(documents.c.id.in_(asked.documents))
        )
        count = {row.id: row.pages for row in rows}
    return sum(count.get(each, 0) for each in asked.documents)


def _options(asked: Drawing, tenant: Tenant) -> RenderOptions:
    policy = tenant.policy
    wanted = policy.header.on if asked.header is None else asked.header or policy.header.on
    sender = policy.header.sender(asked.sender)
    resolution = asked.resolution or policy.resolution
    return RenderOptions(
        # What the user wants goes; the policy's is for documents that have no resolution of their own.
        resolution=RESOLUTIONS[resolution] if asked.resolution or resolution != "fine" else None,
        paper=PAPERS[asked.paper] if asked.paper else None,
        screen=Screen(asked.screen),
        header=Header(sender or tenant.name, datetime.now(UTC).astimezone()) if wanted else None,
    )


async def _keep(
    connection: AsyncConnection,
    gateway: Gateway,
    drawn: Sequence[tuple[PreparedPage, StoredObject]],
    *,
    tenant_id: UUID,
    user_id: UUID,
    owner: PublicKey,
) -> UUID:
    """Write the page set down; one that no fax uses is not kept for long."""
    page_set_id = new_id()
    await connection.execute(
        insert(page_sets).values(
            id=page_set_id,
            tenant_id=tenant_id,
            user_id=user_id,
            pages=len(drawn),
            expires_at=datetime.now(UTC) + KEPT,
        )
    )
    await write_down(connection, [sealed for _, sealed in drawn], owner=owner, spool=gateway.spool)
    await connection.execute(
        insert(pages),
        [
            {
                "tenant_id": tenant_id,
                "page_set_id": page_set_id,
                "index": page.index,
                "object_id": sealed.id,
                "sha256": page.sha256,
                "width": page.page.width.name,
                "resolution": page.page.resolution.name,
                "rows": page.page.rows,
                "octets": len(page.page.octets),
            }
            for page, sealed in drawn
        ],
    )
    return page_set_id


# ------------------------------------------------------------------------------------------------------- the drawer


async def run_drawer(gateway: Gateway) -> None:
    """Draw accepted faxes until cancelled, a few at once."""
    async with asyncio.TaskGroup() as group:
        for _ in range(max(AT_ONCE, gateway.config.rendering.workers)):
            group.create_task(_draw_for_ever(gateway))


async def _draw_for_ever(gateway: Gateway) -> None:
    while True:
        try:
            claimed = await _claim(gateway)
        except DatabaseUnavailable:
            claimed = None
        if claimed is None:
            gateway.draw_bell.clear()
            try:
                async with asyncio.timeout(LOOK_AGAIN):
                    await gateway.draw_bell.wait()
            except TimeoutError:
                continue
        else:
            gateway.draw_bell.set()  # perhaps there is more for the others
            await _draw_claimed(gateway, claimed)


async def _claim(gateway: Gateway) -> RowMapping | None:
    """Take the next fax to draw, if there is one."""
    due = (
        select(faxes.c.id)
        .where(
            faxes.c.drawn_with.is_(None),
            or_(
                faxes.c.state == State.ACCEPTED.value,
                (faxes.c.state == State.CONVERTING.value) & (faxes.c.draw_until < func.now()),
            ),
        )
        .order_by(faxes.c.priority, faxes.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    claim = (
        update(faxes)
        .where(faxes.c.id == due.scalar_subquery())
        .values(state=State.CONVERTING.value, drawer=gateway.node, draw_until=func.now() + LEASE)
        .returning(faxes)
    )
    async with gateway.database.dispatcher() as connection:
        claimed: RowMapping | None = (await connection.execute(claim)).mappings().one_or_none()
    return claimed


async def _draw_claimed(gateway: Gateway, fax: RowMapping) -> None:
    """Draw a fax that is ours, and say what came of it; trouble of our own puts it back."""
    try:
        async with gateway.database.tenant(fax["tenant_id"]) as connection:
            tenant = await tenant_of(connection, fax["tenant_id"])
        page_set_id = fax["page_set_id"]
        if page_set_id is None:
            asked = Drawing.model_validate(
                {name: fax["request"][name] for name in Drawing.model_fields if name in fax["request"]}
            )
            page_set_id = await draw(gateway, tenant, fax["user_id"], asked, to_number=fax["to_number"])
        async with gateway.database.tenant(fax["tenant_id"]) as connection:
            await _ready(connection, tenant, fax, page_set_id)
    except RequestError as refused:
        await _refuse(gateway, fax, refused)
    except (DatabaseUnavailable, StoreFull, StoreUnavailable) as trouble:
        log.warning("a fax could not be drawn now", fax=str(fax["id"]), error=str(trouble))
        await _put_back(gateway, fax)


async def _ready(connection: AsyncConnection, tenant: Tenant, fax: RowMapping, page_set_id: UUID) -> None:
    """Have it, and those that share its pages, called when it is time."""
    own = fax["request"].get("hours")
    hours = [tenant.policy.hours, *([Hours.model_validate(own)] if own else [])]
    now = datetime.now(UTC)
    asked = fax["request"].get("send_at")
    at = start(datetime.fromisoformat(asked) if asked else None, now=now, hours=hours, days=tenant.policy.schedule_days)
    later = at > now
    count = (await connection.execute(select(page_sets.c.pages).where(page_sets.c.id == page_set_id))).scalar_one()
    ready = (
        update(faxes)
        .where(
            or_(faxes.c.id == fax["id"], faxes.c.drawn_with == fax["id"]),
            faxes.c.state.in_([State.ACCEPTED.value, State.CONVERTING.value]),
        )
        .values(
            state=State.READY.value,
            page_set_id=page_set_id,
            pages=count,
            drawn_with=None,
            drawer="",
            version=faxes.c.version + 1,
        )
        .returning(faxes.c.id)
    )
    ids = list((await connection.execute(ready)).scalars())
    await tell_each(connection, ids, EventType.READY, {"pages": count})
    state = State.SCHEDULED if later else State.QUEUED
    await connection.execute(update(faxes).where(faxes.c.id.in_(ids)).values(state=state.value, next_call_at=at))
    event = EventType.SCHEDULED if later else EventType.QUEUED
    await tell_each(connection, ids, event, {"at": at.isoformat()} if later else {})
    await wake(connection, "call")


async def _refuse(gateway: Gateway, fax: RowMapping, refused: RequestError) -> None:
    """Let the fax, and those that share its pages, fail: its documents cannot be sent."""
    reason: dict[str, Any] = {"reason": {"code": refused.code, "text": refused.reason}}
    async with gateway.database.tenant(fax["tenant_id"]) as connection:
        shared = select(faxes.c.id).where(or_(faxes.c.id == fax["id"], faxes.c.drawn_with == fax["id"]))
        for fax_id in (await connection.execute(shared.with_for_update())).scalars():
            try:
                row = await change(
                    connection,
                    fax_id,
                    to=State.FAILED,
                    event=EventType.FAILED,
                    data=reason,
                    reason_code=refused.code,
                    reason_text=refused.reason,
                    drawn_with=None,
                )
            except WrongState:
                continue  # canceled meanwhile
            await let_go(connection, row)


async def _put_back(gateway: Gateway, fax: RowMapping) -> None:
    """Let it be tried again, in a while; if the database is away, its lease runs out by itself."""
    back = (
        update(faxes)
        .where(faxes.c.id == fax["id"], faxes.c.state == State.CONVERTING.value)
        .values(draw_until=func.now() + timedelta(seconds=LOOK_AGAIN))
    )
    try:
        async with gateway.database.dispatcher() as connection:
            await connection.execute(back)
    except DatabaseUnavailable:
        return


async def take_back(connection: AsyncConnection, node: str) -> None:
    """Put back what this node was drawing when it was killed."""
    own = (faxes.c.state == State.CONVERTING.value) & (faxes.c.drawer == node)
    await connection.execute(update(faxes).where(own).values(state=State.ACCEPTED.value, drawer=""))
