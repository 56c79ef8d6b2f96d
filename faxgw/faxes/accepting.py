"""A fax or a batch is accepted: checked against the tenant's policy, written down, and from then on never lost.

Everything happens in the caller's transaction: 202 is answered after its commit.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, Uuid, and_, bindparam, column, func, insert, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.errors import RequestError
from faxgw.faxes import private
from faxgw.faxes.changes import tell_each, tell_new, wake
from faxgw.faxes.content import unlock
from faxgw.faxes.counting import count
from faxgw.faxes.ending import hours_of
from faxgw.faxes.policies import Lists, Tenant, lists_for, tenant_of
from faxgw.faxes.requests import Accepted, BatchRequest, Destination, Drawing, FaxRequest
from faxgw.faxes.sealed import OWNER, SPOOL, spent, spool_again
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.model import Direction, EventType, State
from faxgw.numbers import normalised, split_subaddress
from faxgw.rules.admission import admit_number, admit_size
from faxgw.rules.windows import start
from faxgw.store.tables import batches, boxes, documents, faxes, page_sets, pages, wraps

COLUMNS = ("to", "labels", "priority", "box")
"""What has a column of its own."""
AT_ONCE = 250
"""So many faxes of a batch are written in one statement: more would hold up the loop."""


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
    await admit(connection, tenant, [number])
    asked = request.model_dump(mode="json", exclude_defaults=True, exclude={*COLUMNS, *private.NAMES})
    start(request.send_at, now=now, hours=hours_of(tenant, asked), days=tenant.policy.schedule_days)
    what = await _pages(connection, gateway, actor, request, request.page_set)
    admit_size(tenant.policy.limits, pages=what.count, destinations=1)
    await count(connection, actor, tenant, pages=what.count, calls=1, now=now)
    fax_id = new_id()
    values = {
        "id": fax_id,
        "to_number": number,
        "labels": request.labels,
        "request": _request(asked, subaddress),
        "private_id": await private.put_away(connection, gateway, actor, request),
        **await _common(connection, actor, request, what),
    }
    await tell_new(connection, values, EventType.ACCEPTED, {"state": State.ACCEPTED.value}, work="draw")
    return Accepted(id=fax_id, state=State.ACCEPTED.value)


async def accept_batch(connection: AsyncConnection, gateway: Gateway, actor: Actor, request: BatchRequest) -> Accepted:
    """Take a document on for many numbers; each is a fax of its own. Without a cover page they share their pages.

    Raises:
        RequestError: as ``accept``; the first number that is refused has the whole batch refused.
    """
    now = datetime.now(UTC)
    tenant = await tenant_of(connection, actor.tenant_id)
    wanted = await asyncio.to_thread(_distinct, request.to, tenant)
    await admit(connection, tenant, list({number for number, _ in wanted}))
    asked = request.model_dump(mode="json", exclude_defaults=True, exclude={*COLUMNS, "name", *private.NAMES})
    start(request.send_at, now=now, hours=hours_of(tenant, asked), days=tenant.policy.schedule_days)
    what = await _pages(connection, gateway, actor, request, request.page_set)
    admit_size(tenant.policy.limits, pages=what.count, destinations=len(wanted))
    await count(connection, actor, tenant, pages=what.count * len(wanted), calls=len(wanted), now=now)
    batch_id = new_id()
    await connection.execute(
        insert(batches).values(
            id=batch_id, tenant_id=actor.tenant_id, user_id=actor.user_id, name=request.name, size=len(wanted)
        )
    )
    names = {number: to.to_name for (number, _), to in wanted.items() if to.to_name}
    common = await _common(connection, actor, request, what) | {"batch_id": batch_id}
    common["private_id"] = await private.put_away(connection, gateway, actor, request, names)
    leader = new_id()
    destinations = list(wanted.items())
    shared = request.cover is None and what.page_set_id is None
    await _write(connection, destinations[:1], common, asked, labels=request.labels, ids=[leader])
    common["drawn_with"] = leader if shared else None
    for first in range(1, len(destinations), AT_ONCE):
        some = destinations[first : first + AT_ONCE]
        await _write(connection, some, common, asked, labels=request.labels, ids=[new_id() for _ in some])
    await wake(connection, "draw")
    return Accepted(id=batch_id, state="running")


async def _write(
    connection: AsyncConnection,
    some: Sequence[tuple[tuple[str, str], Destination]],
    common: Mapping[str, Any],
    asked: dict[str, Any],
    *,
    labels: dict[str, str],
    ids: list[UUID],
) -> None:
    """Write some faxes of a batch, which differ in the number and in what was said of it, and tell of them."""
    each = func.unnest(
        bindparam("ids", ids, type_=ARRAY(Uuid)),
        bindparam("to_numbers", [number for (number, _), _ in some], type_=ARRAY(Text)),
        bindparam("requests", [_request(asked, subaddress) for (_, subaddress), _ in some], type_=ARRAY(JSONB)),
        bindparam("own_labels", [labels | to.labels for _, to in some], type_=ARRAY(JSONB)),
    )
    names = {"id": Uuid, "to_number": Text, "request": JSONB, "labels": JSONB}
    row = each.table_valued(*(column(name, kind) for name, kind in names.items())).render_derived(name="row")
    alike = [literal(value, faxes.c[name].type) for name, value in common.items()]
    await connection.execute(insert(faxes).from_select([*names, *common], select(*row.c, *alike)))
    await tell_each(connection, ids, EventType.ACCEPTED)


def _request(asked: dict[str, Any], subaddress: str) -> dict[str, Any]:
    return asked | ({"subaddress": subaddress} if subaddress else {})


def _number(text: str, tenant: Tenant) -> tuple[str, str]:
    plain, subaddress = split_subaddress(text)
    return normalised(plain, tenant.numbering), subaddress


async def admit(connection: AsyncConnection, tenant: Tenant, numbers: Sequence[str]) -> None:
    """Let faxes go to numbers, or not.

    Raises:
        RequestError: ``number.denied_by_policy``, for the first that may not be called.
    """
    lists = await lists_for(connection, tenant, numbers, direction="out")
    if len(numbers) == 1:
        _admit_all(numbers, lists, tenant)
    else:
        await asyncio.to_thread(_admit_all, numbers, lists, tenant)


def _admit_all(wanted: Sequence[str], lists: Lists, tenant: Tenant) -> None:
    numbering, opened = tenant.numbering, tenant.policy.opened
    for number in wanted:
        admit_number(number, numbering=numbering, opened=opened, entries=lists.entries(number))


def _distinct(given: Sequence[str | Destination], tenant: Tenant) -> Mapping[tuple[str, str], Destination]:
    """Return each number and subaddress once, with what was said of it first."""
    wanted: dict[tuple[str, str], Destination] = {}
    for each in given:
        destination = each if isinstance(each, Destination) else Destination(to=each, to_name="")
        wanted.setdefault(_number(destination.to, tenant), destination)
    return wanted


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


# --------------------------------------------------------------------------------------------------------------- pages


async def _pages(
    connection: AsyncConnection, gateway: Gateway, actor: Actor, asked: Drawing, page_set: UUID | None
) -> _Pages:
    """Count the pages of what is to be sent, hold it, and see to it that the gateway can open it.

    Raises:
        RequestError: ``document.unknown``, if something of it is not there, or is somebody else's; ``document.spent``;
            ``key.locked``.
    """
    if page_set is not None:
        own = (page_sets.c.id == page_set) & (page_sets.c.user_id == actor.user_id)
        kept = or_(page_sets.c.expires_at > func.now(), page_sets.c.expires_at.is_(None))
        found = await connection.execute(select(page_sets.c.pages).where(own, kept).with_for_update(read=True))
        if not (pages_there := found.scalar_one_or_none()):
            raise RequestError("document.unknown", f"There is no page set {page_set} of yours; draw it anew.")
        await spooled(connection, gateway, actor, page_set)
        return _Pages(pages_there, page_set)
    usable = or_(documents.c.expires_at > func.now(), documents.c.expires_at.is_(None))
    spool = and_(wraps.c.object_id == documents.c.object_id, wraps.c.kind == SPOOL)
    rows = await connection.execute(
        select(
            documents.c.id,
            documents.c.pages,
            documents.c.object_id,
            select(wraps.c.object_id).where(spool).exists().label("open"),
        )
        .where(documents.c.id.in_(asked.documents), documents.c.user_id == actor.user_id, usable)
        .order_by(documents.c.id)
        .with_for_update(read=True, of=documents)
    )
    there = {row.id: row for row in rows}
    for each in asked.documents:
        if each not in there:
            raise RequestError("document.unknown", f"There is no document {each} of yours; upload it again.")
    await _opened(connection, gateway, actor, [row.object_id for row in there.values() if not row.open])
    return _Pages(sum(there[each].pages for each in asked.documents) + (asked.cover is not None), None)


async def spooled(
    connection: AsyncConnection, gateway: Gateway, actor: Actor, page_set_id: UUID, *, private_id: UUID | None = None
) -> None:
    """Hold a page set, and see to it that the gateway can open it: the actor may have to give the key for it.

    Raises:
        RequestError: ``key.locked``, if it was sent before and this API key cannot open it.
    """
    await connection.execute(select(page_sets.c.id).where(page_sets.c.id == page_set_id).with_for_update(read=True))
    spool = and_(wraps.c.object_id == pages.c.object_id, wraps.c.kind == SPOOL)
    closed = select(pages.c.object_id).where(
        pages.c.page_set_id == page_set_id, ~select(wraps.c.object_id).where(spool).exists()
    )
    unopened = list((await connection.execute(closed)).scalars())
    if private_id is not None and not await private.wraps_of(connection, [private_id]):
        unopened.append(private_id)
    await _opened(connection, gateway, actor, unopened)


async def _opened(connection: AsyncConnection, gateway: Gateway, actor: Actor, closed: Sequence[UUID]) -> None:
    """Have the gateway open objects of the actor again.

    Raises:
        RequestError: ``document.spent``, if nobody can open them any more; ``key.locked``.
    """
    if not closed:
        return
    owned = select(func.count()).where(wraps.c.kind == OWNER, wraps.c.object_id.in_(closed))
    if (await connection.execute(owned)).scalar_one() < len(closed):
        raise spent()
    key = await unlock(connection, actor)
    await spool_again(connection, gateway.spool, key, tenant_id=actor.tenant_id, object_ids=closed)
