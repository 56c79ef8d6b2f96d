"""Has accepted faxes drawn, and then called when it is time.

A node's drawer claims faxes by a lease, so that those of a node that died are drawn by another. A batch without a
cover page is drawn once, by its first fax; the others take that one's page set. What is drawn at the same time is
written in one transaction.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import (
    CTE,
    DateTime,
    RowMapping,
    Select,
    Text,
    Uuid,
    bindparam,
    case,
    column,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.archive.objects import StoreError
from faxgw.errors import RequestError
from faxgw.faxes import private
from faxgw.faxes.changes import event_of, tell_each, tell_moved, wake
from faxgw.faxes.drawing import Drawn, Sources, draw_pages, keep, sources_of
from faxgw.faxes.ending import hours_of, let_go
from faxgw.faxes.policies import Tenant
from faxgw.faxes.requests import Drawing
from faxgw.gateway import Gateway
from faxgw.keys.spool import SpoolUnavailable, SpoolWrap
from faxgw.model import EventType, State
from faxgw.rules.causes import treatment
from faxgw.rules.windows import start
from faxgw.store.database import DatabaseUnavailable
from faxgw.store.tables import faxes, page_sets

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=10)
RENEWED = 120.0
"""So long a node may draw before another takes a fax over, and how often it says, in seconds, that it still does."""
AT_ONCE = 16
"""So many faxes are drawn at the same time; those that need a worker wait for one."""
LOOK_AGAIN = 5.0
"""Seconds between two looks when nobody rings, and until what failed for our own reasons is tried again."""
TRIES = 3
"""So often drawing may fail for our own reasons other than a store that cannot be used."""

UNDRAWN = (State.ACCEPTED.value, State.CONVERTING.value)


@dataclass(frozen=True, slots=True)
class _Result:
    """What became of one fax: a page set, ready or just drawn; else why not.

    Attributes:
        again: it is drawn once more, since it was no fault of the fax.
        counts: not for ever.
    """

    fax: RowMapping
    tenant: Tenant | None = None
    page_set_id: UUID | None = None
    drawn: Drawn | None = None
    refused: RequestError | None = None
    again: bool = False
    counts: bool = False


async def run_drawer(gateway: Gateway) -> None:
    """Draw accepted faxes until cancelled."""
    drawer = _Drawer(gateway)
    try:
        while True:
            await drawer.step()
    finally:
        await drawer.stop()


class _Drawer:
    """What one node is drawing."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._drawing: dict[asyncio.Task[_Result], UUID] = {}
        self._unwritten: list[_Result] = []
        self._renewed = 0.0
        self._unsure = False
        """Whether faxes may be claimed of which nobody here knows: the answer to a commit was lost."""

    async def step(self) -> None:
        """Claim what there is room for, write what is drawn, and wait for more of either."""
        self._gateway.draw_bell.clear()
        try:
            await self._be_sure()
            claimed = await self._claimed()
            self._collect()
            await self._write()
            await self._renew()
        except DatabaseUnavailable as trouble:
            log.debug("nothing was drawn: the database is away", error=str(trouble))
            self._unsure = True
            await asyncio.sleep(1.0)
            return
        if not claimed:
            await self._wait()

    async def stop(self) -> None:
        """End what is being drawn; it is drawn again, by this node or another."""
        for task in self._drawing:
            task.cancel()
        if self._drawing:
            await asyncio.wait(self._drawing)

    async def _be_sure(self) -> None:
        """After a break, put back what was claimed for this node but is not in hand."""
        if self._unsure:
            in_hand = [*self._drawing.values(), *(each.fax["id"] for each in self._unwritten)]
            async with self._gateway.database.dispatcher() as connection:
                await take_back(connection, drawer_in=[self._gateway.node], but=in_hand)
            self._unsure = False

    async def _claimed(self) -> bool:
        """Take on as many faxes as there is room for; return whether there are any."""
        room = AT_ONCE - len(self._drawing)
        found = await _claim(self._gateway, room) if room else []
        by_tenant: dict[UUID, list[RowMapping]] = defaultdict(list)
        for fax in found:
            by_tenant[fax["tenant_id"]].append(fax)
        for tenant_id, own in by_tenant.items():
            await self._begin(tenant_id, own)
        return bool(found)

    async def _begin(self, tenant_id: UUID, own: Sequence[RowMapping]) -> None:
        """Begin to draw faxes of one tenant."""
        asked = {fax["id"]: _asked(fax) for fax in own}
        try:
            async with self._gateway.database.tenant(tenant_id) as connection:
                sources = await sources_of(
                    connection,
                    tenant_id,
                    document_ids={each for drawing in asked.values() for each in drawing.documents},
                )
                said = await private.wraps_of(connection, {fax["private_id"] for fax in own if fax["private_id"]})
        except DatabaseUnavailable:
            self._unwritten += [_Result(fax, again=True) for fax in own]
            raise
        for fax in own:
            task = asyncio.create_task(
                _draw(self._gateway, sources, fax, asked[fax["id"]], said.get(fax["private_id"]))
            )
            self._drawing[task] = fax["id"]

    def _collect(self) -> None:
        for task in [task for task in self._drawing if task.done()]:
            del self._drawing[task]
            self._unwritten.append(task.result())

    async def _write(self) -> None:
        """Write down all that is drawn; while the database is away it stays here."""
        by_tenant: dict[UUID, list[_Result]] = defaultdict(list)
        for result in self._unwritten:
            by_tenant[result.fax["tenant_id"]].append(result)
        for tenant_id, results in by_tenant.items():
            async with self._gateway.database.tenant(tenant_id) as connection:
                await _written(connection, self._gateway, results)
            for result in results:
                self._unwritten.remove(result)

    async def _renew(self) -> None:
        """Say now and then that what is drawn slowly is still being drawn."""
        now = asyncio.get_running_loop().time()
        if not self._drawing or now < self._renewed + RENEWED:
            return
        own = faxes.c.id.in_(list(self._drawing.values())) & (faxes.c.state == State.CONVERTING.value)
        async with self._gateway.database.dispatcher() as connection:
            await connection.execute(update(faxes).where(own).values(draw_until=func.now() + LEASE))
        self._renewed = now

    async def _wait(self) -> None:
        bell = asyncio.ensure_future(self._gateway.draw_bell.wait())
        try:
            await asyncio.wait([bell, *self._drawing], timeout=LOOK_AGAIN, return_when=asyncio.FIRST_COMPLETED)
        finally:
            bell.cancel()


def _asked(fax: RowMapping) -> Drawing:
    request = fax["request"] | {"sender": fax["from_number"]}
    return Drawing.model_validate({name: request[name] for name in Drawing.model_fields if name in request})


async def _claim(gateway: Gateway, most: int) -> Sequence[RowMapping]:
    """Take the next faxes to draw."""
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
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    claim = (
        update(faxes)
        .where(faxes.c.id.in_(due))
        .values(state=State.CONVERTING.value, drawer=gateway.node, draw_until=func.now() + LEASE)
        .returning(faxes)
    )
    async with gateway.database.dispatcher() as connection:
        return list((await connection.execute(claim)).mappings())


async def _draw(gateway: Gateway, sources: Sources, fax: RowMapping, asked: Drawing, said: SpoolWrap | None) -> _Result:
    """Draw a fax that is ours; trouble of our own is no fault of the fax."""
    tenant = sources.tenant
    if fax["page_set_id"] is not None:
        return _Result(fax, tenant, fax["page_set_id"])
    try:
        if fax["private_id"] is not None:
            words = await private.opened(gateway, said, tenant_id=fax["tenant_id"], object_id=fax["private_id"])
            asked = asked.model_copy(update={"cover": words.cover_for(fax["to_number"])})
        box_id = None if fax["storage"] == "none" else fax["box_id"]
        ids = {"user_id": fax["user_id"], "box_id": box_id}
        drawn = await draw_pages(gateway, sources, asked, **ids, to_number=fax["to_number"])
    except RequestError as refused:
        if treatment(refused.code).ours and _may_try_again(fax):
            return _Result(fax, again=True, counts=True)
        return _Result(fax, tenant, refused=refused)
    except (StoreError, SpoolUnavailable) as trouble:
        log.warning("a fax could not be drawn now", fax=str(fax["id"]), error=str(trouble))
        return _Result(fax, again=True)
    except Exception:
        log.exception("drawing a fax broke off", fax=str(fax["id"]))
        if _may_try_again(fax):
            return _Result(fax, again=True, counts=True)
        return _Result(fax, tenant, refused=RequestError("fax.internal", "a fault in the gateway broke off drawing it"))
    return _Result(fax, tenant, drawn.page_set_id, drawn)


def _may_try_again(fax: RowMapping) -> bool:
    return int(fax["plan"].get("draws", 0)) + 1 < TRIES


# ------------------------------------------------------------------------------------------------------------- writing


async def _written(connection: AsyncConnection, gateway: Gateway, results: Sequence[_Result]) -> None:
    """Write results of one tenant down, in one transaction."""
    if drawn := [each.drawn for each in results if each.drawn is not None]:
        await keep(connection, gateway, drawn, tenant_id=results[0].fax["tenant_id"])
    await _lock(connection, results)
    now = datetime.now(UTC)
    ready: list[tuple[_Result, datetime]] = []
    for each in results:
        if each.refused is not None:
            await _refuse(connection, each.fax, each.refused)
        elif each.again:
            await _put_back(connection, each.fax, counts=each.counts)
        else:
            try:
                ready.append((each, _first_call(each, now)))
            except RequestError as never:
                await _refuse(connection, each.fax, never)
    if ready:
        await _ready(connection, ready, now)


async def _lock(connection: AsyncConnection, results: Sequence[_Result]) -> None:
    """Lock the faxes, and those drawn with them, in the order in which everybody does."""
    ids = [each.fax["id"] for each in results]
    both = or_(faxes.c.id.in_(ids), faxes.c.drawn_with.in_(ids))
    await connection.execute(
        select(func.count()).select_from(
            select(faxes.c.id).where(both).order_by(faxes.c.id).with_for_update().subquery()
        )
    )


def _first_call(each: _Result, now: datetime) -> datetime:
    """Return when the first call may be made.

    Raises:
        RequestError: ``schedule.*``: the policy has changed.
    """
    assert each.tenant is not None
    asked = each.fax["request"].get("send_at")
    hours, days = hours_of(each.tenant, each.fax["request"]), each.tenant.policy.schedule_days
    return start(datetime.fromisoformat(asked) if asked else None, now=now, hours=hours, days=days)


async def _ready(connection: AsyncConnection, ready: Sequence[tuple[_Result, datetime]], now: datetime) -> None:
    """Have faxes, and those that share their pages, called when it is time."""
    drawn = [
        (each.fax["id"], each.page_set_id, at, State.SCHEDULED.value if at > now else State.QUEUED.value)
        for each, at in ready
    ]
    leaders, sets, times, states = (list(each) for each in zip(*drawn, strict=True))
    shown = (
        func.unnest(
            bindparam("leaders", leaders, type_=ARRAY(Uuid)),
            bindparam("sets", sets, type_=ARRAY(Uuid)),
            bindparam("times", times, type_=ARRAY(DateTime(timezone=True))),
            bindparam("states", states, type_=ARRAY(Text)),
        )
        .table_valued(
            column("leader", Uuid),
            column("page_set", Uuid),
            column("at", DateTime(timezone=True)),
            column("state", Text),
        )
        .render_derived(name="shown")
    )
    moved = (
        update(faxes)
        .where(
            or_(faxes.c.id == shown.c.leader, faxes.c.drawn_with == shown.c.leader),
            faxes.c.state.in_(UNDRAWN),
            page_sets.c.id == shown.c.page_set,
        )
        .values(
            state=shown.c.state,
            page_set_id=shown.c.page_set,
            pages=page_sets.c.pages,
            next_call_at=shown.c.at,
            drawn_with=None,
            drawer="",
            version=faxes.c.version + 2,
        )
        .returning(faxes.c.id, faxes.c.tenant_id, faxes.c.state, faxes.c.pages, faxes.c.next_call_at)
    )
    await tell_moved(connection, moved, _told)
    await wake(connection, "call")


def _told(moved: CTE) -> list[Select[Any]]:
    """Return what is told of faxes whose pages are there."""
    ready = func.jsonb_build_object("state", State.READY.value, "pages", moved.c.pages)
    queued = func.jsonb_build_object("state", moved.c.state)
    scheduled = func.jsonb_build_object("state", moved.c.state, "at", moved.c.next_call_at)
    at_once = moved.c.state == State.QUEUED.value
    return [
        event_of(moved, literal(EventType.READY.value), ready),
        event_of(
            moved,
            case((at_once, EventType.QUEUED.value), else_=EventType.SCHEDULED.value),
            case((at_once, queued), else_=scheduled),
        ),
    ]


async def _refuse(connection: AsyncConnection, fax: RowMapping, refused: RequestError) -> None:
    """Let the fax, and those that share its pages, fail: its documents cannot be sent."""
    shared = or_(faxes.c.id == fax["id"], faxes.c.drawn_with == fax["id"])
    columns: dict[str, Any] = {"state": State.FAILED.value, "finished_at": func.now(), "version": faxes.c.version + 1}
    columns |= {"reason_code": refused.code, "reason_text": refused.reason, "drawn_with": None, "next_call_at": None}
    failed = update(faxes).where(shared, faxes.c.state.in_(UNDRAWN)).values(columns).returning(faxes)
    rows = (await connection.execute(failed)).mappings().all()
    reason = {"reason": {"code": refused.code, "text": refused.reason}}
    await tell_each(connection, [row["id"] for row in rows], EventType.FAILED, reason)
    for row in rows[:1]:  # they have the same documents
        await let_go(connection, row)


async def _put_back(connection: AsyncConnection, fax: RowMapping, *, counts: bool) -> None:
    """Let it be tried again, in a while."""
    own = (faxes.c.id == fax["id"]) & (faxes.c.state == State.CONVERTING.value)
    plan = fax["plan"] | ({"draws": fax["plan"].get("draws", 0) + 1} if counts else {})
    soon = func.now() + timedelta(seconds=LOOK_AGAIN)
    await connection.execute(update(faxes).where(own).values(draw_until=soon, plan=plan))


async def take_back(
    connection: AsyncConnection, *, drawer_in: Sequence[str] | Select[tuple[str]], but: Sequence[UUID] = ()
) -> int:
    """Put back what these nodes were drawing when they were killed, but these; return how many faxes."""
    own = (faxes.c.state == State.CONVERTING.value) & faxes.c.drawer.in_(drawer_in) & faxes.c.id.not_in(but)
    back = update(faxes).where(own).values(state=State.ACCEPTED.value, drawer="").returning(faxes.c.id)
    return len((await connection.execute(back)).all())
