"""The only writer of a fax's state: a change, its event, and all who are told of it, in one transaction."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Insert,
    RowMapping,
    Select,
    Text,
    Uuid,
    bindparam,
    cast,
    column,
    func,
    insert,
    literal,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from faxgw.audit.following import recorded
from faxgw.errors import RequestError
from faxgw.faxes.told import parted
from faxgw.model import FOLLOWS, LAST_EVENTS, EventType, State
from faxgw.store.tables import events, faxes, webhooks
from faxgw.webhooks.enqueue import enqueue, enqueue_each

_EVENT = ("tenant_id", "fax_id", "type", "data")
EVENTS_CHANNEL = "faxgw_events"
WORK_CHANNEL = "faxgw_work"

BEFORE: Mapping[State, frozenset[State]] = {
    state: frozenset(before for before, after in FOLLOWS.items() if state in after) for state in State
}
"""State -> what it may come after."""


class WrongState(RequestError):
    """The fax is not, or no longer, in a state from which that is possible."""

    def __init__(self, fax_id: UUID, wanted: str) -> None:
        super().__init__("fax.state", f"The fax {fax_id} is past the point where it could be {wanted}.")


async def change(
    connection: AsyncConnection,
    fax_id: UUID,
    *,
    to: State,
    event: EventType | None = None,
    data: Mapping[str, Any] | None = None,
    came_from: frozenset[State] | None = None,
    **columns: Any,
) -> RowMapping:
    """Bring a fax into another state, tell of it, and return its row.

    Args:
        connection: a transaction of the fax's tenant, or of the dispatcher.
        fax_id: of the fax.
        to: the new state; the arrows of ``FOLLOWS`` hold.
        event: what those who follow are told; None: nothing.
        data: what the event says besides.
        came_from: narrower than the arrows: only from one of these.
        **columns: what else changes in the row.

    Raises:
        WrongState: if no arrow leads there from where the fax is now.
    """
    allowed = BEFORE[to] if came_from is None else came_from & BEFORE[to]
    values: dict[str, Any] = {"state": to.value, "version": faxes.c.version + 1, **columns}
    if to.final:
        values |= {"finished_at": func.now(), "next_call_at": None}
    statement = (
        update(faxes)
        .where(faxes.c.id == fax_id, faxes.c.state.in_([state.value for state in allowed]))
        .values(values)
        .returning(faxes)
    )
    row: RowMapping | None = (await connection.execute(statement)).mappings().one_or_none()
    if row is None:
        raise WrongState(fax_id, to.value.replace("_", " "))
    if event is not None:
        await tell(connection, row["tenant_id"], fax_id, event, {"state": to.value, **(data or {})})
    return row


async def tell(
    connection: AsyncConnection,
    tenant_id: UUID,
    fax_id: UUID | None,
    event: EventType,
    data: Mapping[str, Any],
) -> int:
    """Write an event, wake whoever follows, and put it on its way to the webhooks; return its id.

    The fax's row must be locked by this transaction, so that events of one fax are in the order of their ids.
    """
    plain, personal = parted(data) if fax_id else (dict(data), {})
    said = {"of_tenant": tenant_id, "of_fax": fax_id, "event": event.value, "plain": plain, "personal": personal}
    event_id, _, wanted = (await connection.execute(_telling(ends=event in LAST_EVENTS), said)).one()
    if wanted:
        await enqueue(connection, tenant_id=tenant_id, event_id=event_id, type=event.value)
    return int(event_id)


@cache
def _telling(*, ends: bool) -> Select[Any]:
    """Return the statement of ``tell``; ``ends``: nothing more happens to the fax."""
    of_tenant, of_fax = bindparam("of_tenant", type_=Uuid), bindparam("of_fax", type_=Uuid)
    type_, data = bindparam("event", type_=Text), bindparam("plain", type_=JSONB)
    personal = bindparam("personal", type_=events.c.personal.type)
    written = insert(events).values(tenant_id=of_tenant, fax_id=of_fax, type=type_, data=data, personal=personal)
    new = written.returning(events).cte("new")
    notice = func.json_build_object("tenant", new.c.tenant_id, "fax", new.c.fax_id, "id", new.c.id, "type", new.c.type)
    hooked = select(webhooks.c.id).where(webhooks.c.tenant_id == new.c.tenant_id, webhooks.c.enabled).exists()
    statement = select(new.c.id, func.pg_notify(literal(EVENTS_CHANNEL), cast(notice, Text)), hooked)
    return statement.add_cte(_audited(new).cte("audited")) if ends else statement


Told = tuple[EventType, Mapping[str, Any]]
"""An event, and what it says."""


def first_call(pages: int, at: datetime, now: datetime) -> tuple[State, Sequence[Told]]:
    """Return the state of a fax whose pages are there and that may be called from ``at`` on, and what is told of it."""
    later = at > now
    state = State.SCHEDULED if later else State.QUEUED
    said = {"state": state.value} | ({"at": at.isoformat()} if later else {})
    ready = (EventType.READY, {"state": State.READY.value, "pages": pages})
    return state, [ready, (EventType.SCHEDULED if later else EventType.QUEUED, said)]


async def tell_new(connection: AsyncConnection, fax: Mapping[str, Any], told: Sequence[Told], *, work: str) -> None:
    """Write a new fax and its first events, and have the nodes look for ``work``: all in one statement."""
    values = {f"fax_{name}": value for name, value in fax.items()}
    parts = [parted(data) for _, data in told]
    said = {
        "types": [event.value for event, _ in told],
        "said": [plain for plain, _ in parts],
        "personal": [personal for _, personal in parts],
    }
    for row in (await connection.execute(_new_fax(tuple(fax), work), said | values)).all():
        if row.hooked:
            await enqueue(connection, tenant_id=row.tenant_id, event_id=row.id, type=row.type)


@cache
def _new_fax(names: tuple[str, ...], work: str) -> Select[Any]:
    row = insert(faxes).values(**{name: bindparam(f"fax_{name}", type_=faxes.c[name].type) for name in names})
    written = row.returning(faxes.c.id, faxes.c.tenant_id).cte("written")
    kinds: dict[str, Any] = {"types": Text(), "said": JSONB(), "personal": events.c.personal.type}
    told = (
        func.unnest(*(bindparam(name, type_=ARRAY(kind)) for name, kind in kinds.items()))
        .table_valued(*(column(name, kind) for name, kind in kinds.items()), with_ordinality="place")
        .render_derived(name="told")
    )
    each = select(written.c.tenant_id, written.c.id, told.c.types, told.c.said, told.c.personal)
    each = each.select_from(written.join(told, true())).order_by(told.c.place)
    new = insert(events).from_select([*_EVENT, "personal"], each).returning(events).cte("new")
    notice = func.json_build_object("tenant", new.c.tenant_id, "fax", new.c.fax_id, "id", new.c.id, "type", new.c.type)
    return select(
        new.c.id,
        new.c.tenant_id,
        new.c.type,
        select(webhooks.c.id)
        .where(webhooks.c.tenant_id == new.c.tenant_id, webhooks.c.enabled)
        .exists()
        .label("hooked"),
        func.pg_notify(literal(EVENTS_CHANNEL), cast(notice, Text)),
        func.pg_notify(literal(WORK_CHANNEL), literal(work)),
    )


async def tell_each(
    connection: AsyncConnection,
    fax_ids: Sequence[UUID],
    event: EventType,
    data: Mapping[str, Any] | None = None,
    **columns: ColumnElement[Any],
) -> None:
    """Write the same event for many faxes, whose rows this transaction has locked.

    Args:
        connection: the transaction.
        fax_ids: of the faxes.
        event: what they are told.
        data: what it says of all of them, beside their state.
        **columns: what it says of each; nothing personal.
    """
    if not fax_ids:
        return
    said = [item for name, column in {"state": faxes.c.state, **columns}.items() for item in (literal(name), column)]
    told = func.jsonb_build_object(*said).op("||")(bindparam("more", type_=JSONB))
    plain, personal = parted(data or {})
    sealed = bindparam("personal", type_=events.c.personal.type)
    rows = (
        select(faxes.c.tenant_id, faxes.c.id, literal(event.value), told, sealed)
        .where(faxes.c.id == func.any(bindparam("ids", type_=ARRAY(Uuid))))
        .order_by(faxes.c.id)
    )
    await _tell_all(
        connection,
        insert(events).from_select([*_EVENT, "personal"], rows),
        {"more": plain, "personal": personal, "ids": fax_ids},
    )


async def _tell_all(connection: AsyncConnection, written: Insert, values: Mapping[str, Any]) -> None:
    """Write events, wake whoever follows, and put them on their way to the webhooks."""
    new = written.returning(events).cte("new")
    notice = func.json_build_object("tenant", new.c.tenant_id, "fax", new.c.fax_id, "id", new.c.id, "type", new.c.type)
    hooked = select(webhooks.c.id).where(webhooks.c.tenant_id == new.c.tenant_id, webhooks.c.enabled).exists()
    notified = func.count(func.pg_notify(literal(EVENTS_CHANNEL), cast(notice, Text)))
    ids = func.array_agg(new.c.id).filter(hooked)
    each = select(new.c.tenant_id, new.c.type, notified, ids).group_by(new.c.tenant_id, new.c.type)
    each = each.add_cte(_audited(new).cte("audited"))
    for tenant_id, type_, _, event_ids in await connection.execute(each, values):
        if event_ids:
            await enqueue_each(connection, tenant_id=tenant_id, event_ids=sorted(event_ids), type=type_)


def _audited(new: CTE) -> Insert:
    """Return what the audit log is told of events: how a fax ended. It names nobody; the fax's record does that."""
    direction = select(faxes.c.direction).where(faxes.c.id == new.c.fax_id).scalar_subquery()
    said: dict[str, ColumnElement[Any]] = {name: new.c.data[name] for name in ("pages", "pages_done")}
    said |= {"reason": new.c.data[("reason", "code")], "direction": direction}
    ends = new.c.type.in_([each.value for each in LAST_EVENTS])
    return recorded(new, action=new.c.type, object="fax", object_id=new.c.fax_id, data=said, where=ends)


async def tell_moved(
    connection: AsyncConnection, moved: ReturningUpdate[Any], told: Callable[[CTE], Sequence[Select[Any]]]
) -> None:
    """Bring many faxes into other states and tell of them, all in one statement: no row of theirs comes here.

    Args:
        connection: the transaction.
        moved: the change, returning ``id``, ``tenant_id`` and what ``told`` needs.
        told: returns for each event what is written of the faxes that were moved: tenant, fax, type, data; nothing
            personal, since none of it is sealed.
    """
    cte = moved.cte("moved")
    parts = [each.add_columns(literal(place).label("place")) for place, each in enumerate(told(cte))]
    rows = union_all(*parts).subquery("told")
    ordered = select(*list(rows.c)[:4]).order_by(rows.c.place, rows.c.fax)
    await _tell_all(connection, insert(events).from_select(_EVENT, ordered), {})


def event_of(moved: CTE, type: ColumnElement[str], data: ColumnElement[Any]) -> Select[Any]:
    """Return what one event says of each fax that was moved; see ``tell_moved``."""
    return select(moved.c.tenant_id, moved.c.id.label("fax"), type, data)


async def wake(connection: AsyncConnection, work: str) -> None:
    """Have the nodes look for work when this transaction is committed: ``call``, ``draw`` or ``cancel ID``."""
    await connection.execute(select(func.pg_notify(WORK_CHANNEL, work)))
