"""A fax or a batch is accepted: checked against the tenant's policy, written down, and from then on never lost.

Everything happens in the caller's transaction: 202 is answered after its commit.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, Uuid, and_, bindparam, column, func, insert, literal, or_, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw import audit
from faxgw.actor import Actor
from faxgw.boxes import switches
from faxgw.boxes.keys import sealing_key
from faxgw.boxes.ways import BOX, OWNER
from faxgw.errors import RequestError
from faxgw.faxes import private
from faxgw.faxes.changes import Told, first_call, tell_each, tell_new, wake
from faxgw.faxes.content import unlock
from faxgw.faxes.counting import count
from faxgw.faxes.drawing import are_as_they_are
from faxgw.faxes.ending import hours_of
from faxgw.faxes.keeping import NONE, kept
from faxgw.faxes.policies import Lists, Standing, Tenant, lists_for, standing_of
from faxgw.faxes.requests import Accepted, BatchRequest, Destination, Drawing, FaxRequest
from faxgw.faxes.sealed import SPOOL, put_into, spent, spool_again, spooled_dek, spooled_pages
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.wraps import PublicKey
from faxgw.model import Direction, EventType, State
from faxgw.numbers import normalised, split_subaddress
from faxgw.rules.admission import admit_number, admit_size
from faxgw.rules.windows import start
from faxgw.store.tables import batches, documents, faxes, page_sets, wraps

COLUMNS = ("to", "sender", "subaddress", "labels", "priority", "box", "storage", "retention_days")
"""What has a column of its own."""
AT_ONCE = 250
"""So many faxes of a batch are written in one statement: more would hold up the loop."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is to be sent: how many pages, and the page set that has them already, if one does.

    Attributes:
        deks: keys of the pages' objects that its box has no wrap of yet, where they are at hand.
    """

    count: int
    page_set_id: UUID | None
    deks: tuple[tuple[UUID, bytes], ...] = field(default=(), repr=False)


async def accept(
    connection: AsyncConnection,
    gateway: Gateway,
    actor: Actor,
    request: FaxRequest,
    *,
    new: Held | None = None,
    fax_id: UUID | None = None,
    forwarded_from: UUID | None = None,
) -> Accepted:
    """Take a fax on; one whose pages are there already can be called at once.

    Args:
        connection: a transaction of the actor's tenant.
        gateway: the gateway.
        actor: who asks.
        request: what for.
        new: the request's one document, if this transaction has written it; or its pages, if they are at hand.
        fax_id: what the fax is to be called; a new id, if nobody has given it one yet.
        forwarded_from: the fax whose pages they are, if it is forwarded.

    Raises:
        RequestError: ``number.*``, ``document.*``, ``quota.*``, ``schedule.*``, ``box.unknown``.
    """
    now = datetime.now(UTC)
    standing = await standing_of(
        connection, actor.tenant_id, actor.user_id, box=request.box, numbers=lambda tenant: _numbers(request.to, tenant)
    )
    tenant = standing.tenant
    box_id, box = await _own_box(connection, standing)
    number, subaddress = _number(request.to, tenant)
    admit_all([number], standing.lists, tenant)
    admit_from(actor, [number])
    asked = request.model_dump(mode="json", exclude_defaults=True, exclude={*COLUMNS, *private.NAMES})
    at = start(request.send_at, now=now, hours=hours_of(tenant, asked), days=tenant.policy.schedule_days)
    keeping = await kept(connection, actor, request, tenant, now=now)
    readers = () if keeping["storage"] == NONE else (box,)
    if new is None:
        what = await _pages(connection, gateway, actor, request, tenant, readers=readers)
    else:
        what = _what(new, request, tenant)
    admit_size(tenant.policy.limits, pages=what.count, destinations=1)
    await count(connection, actor, tenant, pages=what.count, calls=1, now=now)
    fax = {
        "id": fax_id or new_id(),
        "state": State.ACCEPTED.value,
        "to_number": number,
        "subaddress": subaddress or request.subaddress,
        "labels": request.labels,
        "request": asked,
        "private_id": await private.put_away(connection, gateway, request, tenant_id=actor.tenant_id, boxes=readers),
        **_common(actor, request, what, box_id),
        **keeping,
        "forwarded_from": forwarded_from,
    }
    await _file(connection, what, readers, tenant_id=actor.tenant_id)
    forwarded = {"forwarded_from": str(forwarded_from)} if forwarded_from else {}
    told: list[Told] = [(EventType.ACCEPTED, {"state": State.ACCEPTED.value, **forwarded})]
    if what.page_set_id is None:
        await tell_new(connection, fax, told, work="draw")
        return Accepted(id=fax["id"], state=State.ACCEPTED.value)
    state, more = first_call(what.count, at, now)
    await tell_new(connection, fax | {"state": state.value, "next_call_at": at}, [*told, *more], work="call")
    return Accepted(id=fax["id"], state=state.value)


async def accept_batch(
    connection: AsyncConnection, gateway: Gateway, actor: Actor, request: BatchRequest, *, batch_id: UUID | None = None
) -> Accepted:
    """Take a document on for many numbers; each is a fax of its own. Without a cover page they share their pages.

    ``batch_id`` is what the batch is to be called; a new id, if nobody has given it one yet.

    Raises:
        RequestError: as ``accept``; the first number that is refused has the whole batch refused.
    """
    now = datetime.now(UTC)
    standing = await standing_of(connection, actor.tenant_id, actor.user_id, box=request.box, numbers=lambda _: ())
    tenant = standing.tenant
    box_id, box = await _own_box(connection, standing)
    wanted = await asyncio.to_thread(_distinct, request.to, tenant)
    await admit(connection, tenant, list({number for number, _ in wanted}))
    admit_from(actor, [number for number, _ in wanted])
    asked = request.model_dump(mode="json", exclude_defaults=True, exclude={*COLUMNS, "name", *private.NAMES})
    start(request.send_at, now=now, hours=hours_of(tenant, asked), days=tenant.policy.schedule_days)
    keeping = await kept(connection, actor, request, tenant, now=now)
    readers = () if keeping["storage"] == NONE else (box,)
    what = await _pages(connection, gateway, actor, request, tenant, readers=readers)
    admit_size(tenant.policy.limits, pages=what.count, destinations=len(wanted))
    await count(connection, actor, tenant, pages=what.count * len(wanted), calls=len(wanted), now=now)
    batch_id = batch_id or new_id()
    await connection.execute(
        insert(batches).values(
            id=batch_id, tenant_id=actor.tenant_id, user_id=actor.user_id, name=request.name, size=len(wanted)
        )
    )
    names = {number: to.to_name for (number, _), to in wanted.items() if to.to_name}
    common = _common(actor, request, what, box_id) | {
        "state": State.ACCEPTED.value,
        "batch_id": batch_id,
        **keeping,
    }
    common["private_id"] = await private.put_away(
        connection, gateway, request, tenant_id=actor.tenant_id, boxes=readers, to_names=names
    )
    await _file(connection, what, readers, tenant_id=actor.tenant_id)
    leader = new_id()
    destinations = list(wanted.items())
    shared = request.cover is None
    common["request"] = asked
    await _write(connection, destinations[:1], common, labels=request.labels, ids=[leader])
    common["drawn_with"] = leader if shared else None
    for first in range(1, len(destinations), AT_ONCE):
        some = destinations[first : first + AT_ONCE]
        await _write(connection, some, common, labels=request.labels, ids=[new_id() for _ in some])
    await wake(connection, "draw")
    return Accepted(id=batch_id, state="running")


async def _write(
    connection: AsyncConnection,
    some: Sequence[tuple[tuple[str, str], Destination]],
    common: Mapping[str, Any],
    *,
    labels: dict[str, str],
    ids: list[UUID],
) -> None:
    """Write some faxes of a batch, which differ in the number and in what was said of it, and tell of them."""
    own = {
        "id": ids,
        "to_number": [number for (number, _), _ in some],
        "subaddress": [subaddress for (_, subaddress), _ in some],
        "labels": [labels | to.labels for _, to in some],
    }
    kinds = {name: faxes.c[name].type for name in own}
    each = func.unnest(*(bindparam(f"own_{name}", own[name], type_=ARRAY(kind)) for name, kind in kinds.items()))
    row = each.table_valued(*(column(name, kind) for name, kind in kinds.items())).render_derived(name="row")
    alike = [literal(value, faxes.c[name].type) for name, value in common.items()]
    await connection.execute(insert(faxes).from_select([*kinds, *common], select(*row.c, *alike)))
    await tell_each(connection, ids, EventType.ACCEPTED)


def _numbers(text: str, tenant: Tenant) -> list[str]:
    """Return the number in a list; an empty one, if it is none."""
    try:
        return [_number(text, tenant)[0]]
    except RequestError:
        return []


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
        admit_all(numbers, lists, tenant)
    else:
        await asyncio.to_thread(admit_all, numbers, lists, tenant)


def admit_all(wanted: Sequence[str], lists: Lists, tenant: Tenant) -> None:
    """Let faxes go to numbers, or not, by lists that have been read for them.

    Raises:
        RequestError: ``number.denied_by_policy``, for the first that may not be called.
    """
    numbering, opened = tenant.numbering, tenant.policy.opened
    for number in wanted:
        admit_number(number, numbering=numbering, opened=opened, entries=lists.entries(number))


def admit_from(actor: Actor, numbers: Sequence[str]) -> None:
    """Have a device send only to numbers that are its own to send to.

    Raises:
        RequestError: ``number.denied_to_device``.
    """
    allowed = actor.device.numbers if actor.device else ()
    if allowed and not all(each.startswith(allowed) for each in numbers):
        raise RequestError("number.denied_to_device", "This device may not send to that number.")


def _distinct(given: Sequence[str | Destination], tenant: Tenant) -> Mapping[tuple[str, str], Destination]:
    """Return each number and subaddress once, with what was said of it first."""
    wanted: dict[tuple[str, str], Destination] = {}
    for each in given:
        destination = each if isinstance(each, Destination) else Destination(to=each, to_name="")
        wanted.setdefault(_number(destination.to, tenant), destination)
    return wanted


def _common(actor: Actor, request: FaxRequest | BatchRequest, what: Held, box_id: UUID) -> dict[str, Any]:
    """Return the columns that every fax of a request has alike."""
    return {
        "tenant_id": actor.tenant_id,
        "direction": Direction.OUT.value,
        "user_id": actor.user_id,
        "api_key_id": actor.api_key_id,
        "device_id": actor.device_id,
        "box_id": box_id,
        "page_set_id": what.page_set_id,
        "from_number": request.sender,
        "pages": what.count,
        "priority": request.priority,
    }


async def _own_box(connection: AsyncConnection, standing: Standing) -> tuple[UUID, PublicKey]:
    if standing.box_id is None:
        raise RequestError("box.unknown", "There is no such box of yours; GET /v1/boxes lists them.")
    return standing.box_id, standing.box_key or await sealing_key(connection, standing.box_id)


async def _file(connection: AsyncConnection, what: Held, readers: Sequence[PublicKey], *, tenant_id: UUID) -> None:
    """Have the box's readers open pages that are there already; what is drawn is sealed to the box then."""
    if what.page_set_id is not None and what.deks:
        for box in readers:
            await put_into(connection, box, what.deks, tenant_id=tenant_id)


# --------------------------------------------------------------------------------------------------------------- pages


async def _pages(
    connection: AsyncConnection,
    gateway: Gateway,
    actor: Actor,
    asked: FaxRequest | BatchRequest,
    tenant: Tenant,
    *,
    readers: Sequence[PublicKey],
) -> Held:
    """Count the pages of what is to be sent, hold it, and see to it that the gateway can open it.

    Raises:
        RequestError: ``document.unknown``, if something of it is not there, or is somebody else's; ``document.spent``;
            ``key.locked``.
    """
    if asked.page_set is not None:
        allow = tenant.policy.allow_forwarding
        await switches.check_not_passed_on(connection, asked.page_set, allow_forwarding=allow)
        own = Held(await _own_page_set(connection, actor, asked.page_set), asked.page_set)
        return await _spooled(connection, gateway, actor, own, readers)
    there = await _own_documents(connection, actor, asked.documents)
    if len(asked.documents) == 1:
        (only,) = there.values()
        what = _what(Held(only.pages, only.page_set_id), asked, tenant)
        if what.page_set_id is not None:
            return await _spooled(connection, gateway, actor, what, readers)
    await _opened(connection, gateway, actor, [row.object_id for row in there.values() if not row.open])
    return Held(sum(there[each].pages for each in asked.documents) + (asked.cover is not None), None)


def _what(document: Held, asked: Drawing, tenant: Tenant) -> Held:
    """Return what is to be sent of one document: its pages as they are, if nothing is to be drawn."""
    if document.page_set_id is not None and (not asked.documents or are_as_they_are(asked, tenant)):
        return document
    return Held(document.count, None)


async def _own_page_set(connection: AsyncConnection, actor: Actor, page_set: UUID) -> int:
    """Hold a page set of the actor's, and return how many pages it has."""
    own = (page_sets.c.id == page_set) & (page_sets.c.user_id == actor.user_id)
    kept = or_(page_sets.c.expires_at > func.now(), page_sets.c.expires_at.is_(None))
    found = await connection.execute(select(page_sets.c.pages).where(own, kept).with_for_update(read=True))
    count: int | None = found.scalar_one_or_none()
    if not count:
        raise RequestError("document.unknown", f"There is no page set {page_set} of yours; draw it anew.")
    return count


async def _own_documents(
    connection: AsyncConnection, actor: Actor, asked: Sequence[UUID]
) -> Mapping[UUID, Row[tuple[UUID, int, UUID, UUID | None, bool]]]:
    """Hold documents of the actor's, with their pages where they are fax pages; return them by their ids."""
    rows = await connection.execute(_OWN_DOCUMENTS, {"asked": list(asked), "user": actor.user_id})
    there = {row.id: row for row in rows}
    for each in asked:
        if each not in there:
            raise RequestError("document.unknown", f"There is no document {each} of yours; upload it again.")
    return there


def _holding_documents() -> Select[tuple[UUID, int, UUID, UUID | None, bool]]:
    usable = or_(documents.c.expires_at > func.now(), documents.c.expires_at.is_(None))
    spool = and_(wraps.c.object_id == documents.c.object_id, wraps.c.kind == SPOOL)
    own_set = select(page_sets.c.id).where(page_sets.c.id == documents.c.page_set_id).with_for_update(read=True)
    held = own_set.lateral("held")
    return (
        select(
            documents.c.id,
            documents.c.pages,
            documents.c.object_id,
            held.c.id.label("page_set_id"),
            select(wraps.c.object_id).where(spool).exists().label("open"),
        )
        .select_from(documents.outerjoin(held, true()))
        .where(
            documents.c.id == func.any(bindparam("asked", type_=ARRAY(Uuid))),
            documents.c.user_id == bindparam("user", type_=Uuid),
            usable,
        )
        .order_by(documents.c.id)
        .with_for_update(read=True, of=documents)
    )


_OWN_DOCUMENTS = _holding_documents()


async def spooled(
    connection: AsyncConnection, gateway: Gateway, actor: Actor, page_set_id: UUID, *, private_id: UUID | None = None
) -> None:
    """Hold a page set, and see to it that the gateway can open it: the actor may have to give the key for it.

    Raises:
        RequestError: ``key.locked``, if it was sent before and this API key cannot open it.
    """
    await connection.execute(select(page_sets.c.id).where(page_sets.c.id == page_set_id).with_for_update(read=True))
    closed = [each for each, wrapped, _ in await spooled_pages(connection, page_set_id) if wrapped is None]
    if private_id is not None and not await private.wraps_of(connection, [private_id]):
        closed.append(private_id)
    await _opened(connection, gateway, actor, closed)


async def _spooled(
    connection: AsyncConnection, gateway: Gateway, actor: Actor, what: Held, readers: Sequence[PublicKey]
) -> Held:
    """See to it that the gateway can open pages, which are held; return them with the keys of what has other readers.

    Raises:
        RequestError: as ``spooled``.
    """
    assert what.page_set_id is not None
    there = await spooled_pages(connection, what.page_set_id, boxes=readers)
    if closed := [each for each, wrapped, _ in there if wrapped is None]:
        await _opened(connection, gateway, actor, closed)
        there = await spooled_pages(connection, what.page_set_id, boxes=readers)
    deks = [
        (each, spooled_dek(gateway.spool, wrapped, actor.tenant_id, each))
        for each, wrapped, filed in there
        if wrapped is not None and not filed
    ]
    return replace(what, deks=tuple(deks))


async def _opened(connection: AsyncConnection, gateway: Gateway, actor: Actor, closed: Sequence[UUID]) -> None:
    """Have the gateway open objects of the actor again.

    Raises:
        RequestError: ``document.spent``, if nobody can open them any more; ``key.locked``.
    """
    if not closed:
        return
    kept = wraps.c.kind.in_([OWNER, BOX]) & wraps.c.object_id.in_(closed)
    owned = select(func.count(wraps.c.object_id.distinct())).where(kept)
    if (await connection.execute(owned)).scalar_one() < len(closed):
        raise spent()
    key = await unlock(connection, actor)
    await spool_again(connection, gateway.spool, key, tenant_id=actor.tenant_id, object_ids=closed)
    await audit.record(
        connection,
        tenant_id=actor.tenant_id,
        actor=actor,
        action="key.used",
        object="user",
        object_id=actor.user_id,
        data={"for": "sending", "objects": len(closed)},
    )
