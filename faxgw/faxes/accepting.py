"""A fax or a batch is accepted: checked against the tenant's policy, written down, and from then on never lost.

Everything happens in the caller's transaction: 202 is answered after its commit.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.errors import RequestError
from faxgw.faxes.changes import tell, tell_each, wake
from faxgw.faxes.content import unlock
from faxgw.faxes.policies import Lists, Tenant, lists_for, tenant_of
from faxgw.faxes.requests import Accepted, BatchRequest, Destination, Drawing, FaxRequest
from faxgw.faxes.sealed import SPOOL, spool_again
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.model import Direction, EventType, State
from faxgw.numbers import normalised, split_subaddress
from faxgw.rules.admission import admit_number, admit_size
from faxgw.rules.quotas import Period, Quota, Used, check, period
from faxgw.rules.windows import Hours, start
from faxgw.store.tables import batches, boxes, counters, documents, faxes, page_sets, pages, wraps


@dataclass(frozen=True, slots=True)
class _Pages:
    """What is to be sent: how many pages, and the page set that has them already, if one does."""

    count: int
    page_set_id: UUID | None


async def accept(connection: AsyncConnection, gateway: Gateway, actor: Actor, request: FaxRequest) -> Accepted:
    """Take a fax on.

    Raises:
        RequestError: ``number.*``, ``document.*``, ``quota.*``, ``schedule.*``, ``box.unknown``.
    """
    now = datetime.now(UTC)
    tenant = await tenant_of(connection, actor.tenant_id)
    number, subaddress = _number(request.to, tenant)
    lists = await lists_for(connection, tenant, [number], direction="out")
    _admit_all([number], lists, tenant)
    start(request.send_at, now=now, hours=_hours(tenant, request), days=tenant.policy.schedule_days)
    what = await _pages(connection, gateway, actor, request, request.page_set)
    admit_size(tenant.policy.limits, pages=what.count, destinations=1)
    await _count(connection, actor, tenant, pages=what.count, calls=1, now=now)
    asked = request.model_dump(mode="json", exclude_defaults=True, exclude={"to", "labels", "priority", "box"})
    fax_id = new_id()
    values = {
        "id": fax_id,
        "to_number": number,
        "labels": request.labels,
        "request": asked | ({"subaddress": subaddress} if subaddress else {}),
        **await _common(connection, actor, request, what),
    }
    await connection.execute(insert(faxes), values)
    await tell(connection, actor.tenant_id, fax_id, EventType.ACCEPTED, {"state": State.ACCEPTED.value})
    await wake(connection, "draw")
    return Accepted(id=fax_id, state=State.ACCEPTED.value)


async def accept_batch(connection: AsyncConnection, gateway: Gateway, actor: Actor, request: BatchRequest) -> Accepted:
    """Take a document on for many numbers; each is a fax of its own. Without a cover page they share their pages.

    Raises:
        RequestError: as ``accept``; the first number that is refused has the whole batch refused.
    """
    now = datetime.now(UTC)
    tenant = await tenant_of(connection, actor.tenant_id)
    wanted = await asyncio.to_thread(_distinct, request.to, tenant)
    lists = await lists_for(connection, tenant, wanted, direction="out")
    await asyncio.to_thread(_admit_all, list(wanted), lists, tenant)
    start(request.send_at, now=now, hours=_hours(tenant, request), days=tenant.policy.schedule_days)
    what = await _pages(connection, gateway, actor, request, request.page_set)
    admit_size(tenant.policy.limits, pages=what.count, destinations=len(wanted))
    await _count(connection, actor, tenant, pages=what.count * len(wanted), calls=len(wanted), now=now)
    batch_id = new_id()
    await connection.execute(
        insert(batches).values(
            id=batch_id, tenant_id=actor.tenant_id, user_id=actor.user_id, name=request.name, size=len(wanted)
        )
    )
    common = await _common(connection, actor, request, what) | {"batch_id": batch_id}
    left_out = {"to", "labels", "priority", "box", "name"}
    asked = request.model_dump(mode="json", exclude_defaults=True, exclude=left_out)
    rows = [
        {
            "id": new_id(),
            "to_number": number,
            "labels": request.labels | destination.labels,
            "request": _with_name(asked, destination),
            "drawn_with": None,
            **common,
        }
        for number, destination in wanted.items()
    ]
    if request.cover is None and what.page_set_id is None:
        for row in rows[1:]:
            row["drawn_with"] = rows[0]["id"]
    await connection.execute(insert(faxes), rows)
    await tell_each(connection, [row["id"] for row in rows], EventType.ACCEPTED)
    await wake(connection, "draw")
    return Accepted(id=batch_id, state="running")


def _number(text: str, tenant: Tenant) -> tuple[str, str]:
    plain, subaddress = split_subaddress(text)
    return normalised(plain, tenant.numbering), subaddress


def _admit_all(wanted: Sequence[str], lists: Lists, tenant: Tenant) -> None:
    numbering, opened = tenant.numbering, tenant.policy.opened
    for number in wanted:
        admit_number(number, numbering=numbering, opened=opened, entries=lists.entries(number))


def _distinct(given: Sequence[str | Destination], tenant: Tenant) -> Mapping[str, Destination]:
    """Return each number once, with what was said of it first."""
    wanted: dict[str, Destination] = {}
    for each in given:
        destination = each if isinstance(each, Destination) else Destination(to=each, to_name="")
        number, _ = _number(destination.to, tenant)
        wanted.setdefault(number, destination)
    return wanted


def _with_name(asked: dict[str, Any], destination: Destination) -> dict[str, Any]:
    if not destination.to_name or "cover" not in asked:
        return asked
    return asked | {"cover": asked["cover"] | {"to_name": destination.to_name}}


def _hours(tenant: Tenant, request: FaxRequest | BatchRequest) -> list[Hours]:
    return [tenant.policy.hours, *([request.hours] if request.hours else [])]


async def _common(
    connection: AsyncConnection, actor: Actor, request: FaxRequest | BatchRequest, what: _Pages
) -> dict[str, Any]:
    """Return the columns that every fax of a request has alike."""
    return {
        "tenant_id": actor.tenant_id,
        "direction": Direction.OUT.value,
        "state": State.ACCEPTED.value,
        "user_id": actor.user_id,
        "api_key_id": actor.api_key_id,
        "box_id": await _box(connection, actor, request.box),
        "page_set_id": what.page_set_id,
        "from_number": request.sender,
        "pages": what.count,
        "priority": request.priority,
    }


async def _box(connection: AsyncConnection, actor: Actor, asked: UUID | None) -> UUID:
    """Return the box that was asked for, if it is the user's own; else their first."""
    own = select(boxes.c.id).where(boxes.c.tenant_id == actor.tenant_id, boxes.c.owner_id == actor.user_id)
    wanted = own.where(boxes.c.id == asked) if asked else own.order_by(boxes.c.id).limit(1)
    found: UUID | None = (await connection.execute(wanted)).scalar_one_or_none()
    if found is None:
        raise RequestError("box.unknown", "There is no such box of yours; GET /v1/boxes lists them.")
    return found


async def _pages(
    connection: AsyncConnection, gateway: Gateway, actor: Actor, asked: Drawing, page_set: UUID | None
) -> _Pages:
    """Count the pages of what is to be sent, and see to it that the gateway can open them.

    Raises:
        RequestError: ``document.unknown``, if something of it is not there, or is somebody else's; ``key.locked``.
    """
    if page_set is not None:
        own = (page_sets.c.id == page_set) & (page_sets.c.user_id == actor.user_id)
        count = (await connection.execute(select(page_sets.c.pages).where(own))).scalar_one_or_none()
        if not count:
            raise RequestError("document.unknown", f"There is no page set {page_set} of yours; draw it anew.")
        drawn = await connection.execute(select(pages.c.object_id).where(pages.c.page_set_id == page_set))
        await spooled(connection, gateway, actor, list(drawn.scalars()))
        return _Pages(count, page_set)
    own_documents = await connection.execute(
        select(documents.c.id, documents.c.pages, documents.c.object_id)
        .where(documents.c.id.in_(asked.documents), documents.c.user_id == actor.user_id)
        .where((documents.c.expires_at > func.now()) | documents.c.expires_at.is_(None))
        .with_for_update(read=True)
    )
    found = {row.id: row for row in own_documents}
    for each in asked.documents:
        if each not in found:
            raise RequestError("document.unknown", f"There is no document {each} of yours; upload it again.")
    await spooled(connection, gateway, actor, [row.object_id for row in found.values()])
    return _Pages(sum(found[each].pages for each in asked.documents) + (asked.cover is not None), None)


async def spooled(connection: AsyncConnection, gateway: Gateway, actor: Actor, object_ids: Sequence[UUID]) -> None:
    """See to it that the gateway can open these objects of the actor, who may have to give the key for it.

    Raises:
        RequestError: ``key.locked``, if they were sent before and this API key cannot open them.
    """
    rows = await connection.execute(
        select(wraps.c.object_id).where(wraps.c.kind == SPOOL, wraps.c.object_id.in_(object_ids))
    )
    open_now = set(rows.scalars())
    closed = [each for each in object_ids if each not in open_now]
    if closed:
        key = await unlock(connection, actor)
        await spool_again(connection, gateway.spool, key, tenant_id=actor.tenant_id, object_ids=closed)


# --------------------------------------------------------------------------------------------------------------- quotas


async def _count(
    connection: AsyncConnection, actor: Actor, tenant: Tenant, *, pages: int, calls: int, now: datetime
) -> None:
    """Count pages and calls where there is a quota.

    Raises:
        RequestError: ``quota.*``.
    """
    quotas = tenant.policy.quotas
    scopes: list[tuple[str, Quota, str]] = [("tenant", quotas.tenant, tenant.name)]
    if actor.api_key_id:
        scopes.append((f"key:{actor.api_key_id}", quotas.key, "this API key"))
    for scope, quota, whose in scopes:
        if any(limit is not None for limit in quota.model_dump().values()):
            used = await _used(connection, actor.tenant_id, scope, period(now))
            check(quota, used, pages=pages, calls=calls, whose=whose)
            await _add(connection, actor.tenant_id, scope, pages=pages, calls=calls, now=now)


async def _used(connection: AsyncConnection, tenant_id: UUID, scope: str, period: Period) -> Used:
    """Return what was used so far; the rows stay locked, so that two requests do not both take the last page."""
    rows = (
        await connection.execute(
            select(counters)
            .where(counters.c.tenant_id == tenant_id, counters.c.scope == scope, counters.c.hour >= period.day)
            .with_for_update()
        )
    ).all()
    recent = [row for row in rows if row.hour >= period.hour]
    return Used(
        pages_hour=sum(row.pages for row in recent),
        pages_day=sum(row.pages for row in rows),
        calls_hour=sum(row.calls for row in recent),
        calls_day=sum(row.calls for row in rows),
    )


async def _add(
    connection: AsyncConnection, tenant_id: UUID, scope: str, *, pages: int, calls: int, now: datetime
) -> None:
    hour = now.replace(minute=0, second=0, microsecond=0)
    row = upsert(counters).values(tenant_id=tenant_id, scope=scope, hour=hour, pages=pages, calls=calls)
    more = {"pages": counters.c.pages + row.excluded.pages, "calls": counters.c.calls + row.excluded.calls}
    await connection.execute(row.on_conflict_do_update(index_elements=["tenant_id", "scope", "hour"], set_=more))
