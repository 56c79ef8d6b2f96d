"""Events: what happened, as a stream while it happens (server-sent events), or as a list."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query
from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response, StreamingResponse

from faxgw.api.answers import ok
from faxgw.api.call import Call, Caller
from faxgw.api.fax_shapes import EventShape
from faxgw.api.following import Follower
from faxgw.api.guard import GuardedRoute
from faxgw.api.json import dumped
from faxgw.api.paging import MOST, USUAL, Limit
from faxgw.api.problems import Problem
from faxgw.api.resources.rows import visible_fax
from faxgw.api.shapes import Page
from faxgw.escrow.telling import told_to
from faxgw.faxes.told import whole
from faxgw.model import LAST_EVENTS, State
from faxgw.store.database import DatabaseUnavailable
from faxgw.store.tables import events, faxes

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["events"])

HEARTBEAT = 15.0
"""Seconds after which a quiet stream shows that it is alive, and any stream has its key checked again."""
REMEMBERED = 5000
"""Events that a stream remembers, so that none is sent twice."""
Row = Mapping[Any, Any]
LAST = frozenset(each.value for each in LAST_EVENTS)

LastEventId = Annotated[
    str | None,
    Header(max_length=40, description="Id of the last event that you have: the stream goes on after it."),
]
Accept = Annotated[str | None, Header(include_in_schema=False)]
Cursor = Annotated[str | None, Query(pattern=r"^[0-9]{1,18}$", description="Of the list: `next` of the page before.")]


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


class _Watch:
    """Whether a stream may go on: as long as its API key is good, and may do what it might at first."""

    def __init__(self, call: Call, follower: Follower) -> None:
        self.follower = follower
        self._call = call
        self._checked = asyncio.get_running_loop().time()

    @property
    def left(self) -> float:
        """Seconds until the key is to be checked again."""
        return max(0.0, self._checked + HEARTBEAT - asyncio.get_running_loop().time())

    async def holds(self) -> bool:
        """Return whether the stream goes on; the key is checked when it is time."""
        if not self.follower.ended and self.left == 0:
            await self._check()
        return not self.follower.ended

    async def _check(self) -> None:
        request = self._call.request
        self._checked = asyncio.get_running_loop().time()
        try:
            actor = await self._call.api.credentials.actor_of(request, used=False)
        except Problem:
            self.follower.end()
        except DatabaseUnavailable:
            return  # it is asked again next time, and nothing new is read meanwhile
        else:
            if actor != self._call.actor:
                self.follower.end()


@router.get("/faxes/{fax_id:uuid}/events", response_model=Page[EventShape])
async def follow_fax(
    call: Caller,
    fax_id: UUID,
    *,
    limit: Limit = USUAL,
    cursor: Cursor = None,
    accept: Accept = None,
    last_event_id: LastEventId = None,
) -> Response:
    """Follow a fax, page by page, to its end: a stream of events from its first on.

    With `Accept: application/json` it is a list of what has happened so far, oldest first.
    """
    after = _number(last_event_id)
    async with call.transaction() as connection:
        fax = await visible_fax(connection, call, fax_id, faxes.c.state)
        mine = _of_fax(call, fax_id)
        if _wants_list(accept):
            return ok(await _list(connection, mine, cursor, limit))
        if after and State(fax["state"]).final and not await _after(connection, mine, after, limit=1):
            return Response(status_code=204)  # tells an EventSource not to come again
    return _stream(_frames(call, fax_id, _OfFax(call, fax_id, after)))


@router.get("/events", response_model=Page[EventShape])
async def follow_all(
    call: Caller,
    limit: Limit = USUAL,
    cursor: Cursor = None,
    accept: Accept = None,
    last_event_id: LastEventId = None,
) -> Response:
    """Follow all faxes of one's own boxes, and what concerns one of the escrow, from now on.

    An owner or admin with the scope `admin` follows everything.

    With `Accept: application/json` it is a list of what has happened so far, oldest first.
    """
    after = _number(last_event_id)
    if _wants_list(accept):
        async with call.transaction() as connection:
            return ok(await _list(connection, _all(call), cursor, limit))
    return _stream(_frames(call, None, _OfTenant(call, after)))


async def _frames(call: Call, fax_id: UUID | None, source: "_OfFax | _OfTenant") -> AsyncIterator[bytes]:
    with call.api.hub.follow(call.actor.tenant_id, fax_id) as follower:
        follower.missed = bool(source.after)
        watch = _Watch(call, follower)
        while await watch.holds():
            rows = await source.news(follower)
            for row in rows:
                if source.take(row):
                    yield _sent(row, source.after)
            if source.over:
                return
            if len(rows) < MOST:
                async for beat in _until_news(watch):
                    yield beat


class _OfFax:
    """Events of one fax are in the order of their ids, since each locks the fax: nothing can come in between later.

    Attributes:
        after: the id that a client goes on after.
        over: nothing more will come.
    """

    def __init__(self, call: Call, fax_id: UUID, after: int) -> None:
        self._call = call
        self._mine = _of_fax(call, fax_id)
        self.after = after
        self.over = False

    async def news(self, follower: Follower) -> Sequence[Row]:
        """Return what has happened since."""
        follower.taken()
        async with self._call.transaction() as connection:
            return await _after(connection, self._mine, self.after, limit=MOST)

    def take(self, row: Row) -> bool:
        """Return whether an event is to be sent."""
        self.after = row["id"]
        self.over = row["type"] in LAST
        return True


class _OfTenant:
    """Events of many faxes may be committed in another order than that of their ids, so each is looked up by its own.

    The id that a client goes on after is held back behind those that may still come. Otherwise as ``_OfFax``.
    """

    over = False

    def __init__(self, call: Call, after: int) -> None:
        self._call = call
        self._sent: deque[int] = deque(maxlen=REMEMBERED)
        self.after = after

    async def news(self, follower: Follower) -> Sequence[Row]:
        """Return what has happened since, and perhaps some of what was before."""
        try:
            return await self._news(follower)
        except DatabaseUnavailable:
            follower.missed = True
            return []

    def take(self, row: Row) -> bool:
        """Return whether an event is to be sent."""
        if row["id"] in self._sent:
            return False
        self._sent.append(row["id"])
        self.after = max(self.after, self._call.api.hub.settled(row["id"]))
        return True

    async def _news(self, follower: Follower) -> Sequence[Row]:
        ids = follower.taken()
        if follower.missed and self.after:
            follower.missed = False
            async with self._call.transaction() as connection:
                rows = await _after(connection, _all(self._call), self.after, limit=MOST)
            follower.missed = len(rows) == MOST
            return rows
        follower.missed = False
        if not ids:
            return []
        async with self._call.transaction() as connection:
            statement = _all(self._call).where(events.c.id.in_(ids)).order_by(events.c.id)
            return list((await connection.execute(statement)).mappings())


async def _until_news(watch: _Watch) -> AsyncIterator[bytes]:
    """Wait for word of events; a beat now and then."""
    while await watch.holds() and not await watch.follower.wait(watch.left):
        yield b": still here\n\n"


async def _after(connection: AsyncConnection, statement: Select[Any], after: int, *, limit: int) -> Sequence[Row]:
    found = statement.where(events.c.id > after).order_by(events.c.id).limit(limit)
    return list((await connection.execute(found)).mappings())


async def _list(connection: AsyncConnection, statement: Select[Any], cursor: str | None, limit: int) -> dict[str, Any]:
    rows = await _after(connection, statement, int(cursor or 0), limit=limit + 1)
    following = str(rows[limit - 1]["id"]) if len(rows) > limit else None
    return {"items": [_shape(row) for row in rows[:limit]], "next": following}


def _all(call: Call) -> Select[Any]:
    statement = select(events).where(events.c.tenant_id == call.actor.tenant_id)
    visible = call.visible()
    if visible is None:
        return statement
    seen = events.c.fax_id.in_(select(faxes.c.id).where(visible))
    return statement.where(or_(seen, told_to(call.actor.user_id)))


def _of_fax(call: Call, fax_id: UUID) -> Select[Any]:
    return _all(call).where(events.c.fax_id == fax_id)


def _wants_list(accept: str | None) -> bool:
    given = accept or ""
    return "application/json" in given and "text/event-stream" not in given


def _number(last_event_id: str | None) -> int:
    """Return the id to go on after; what is no id of ours is passed over, as the standard of event streams has it."""
    text = (last_event_id or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def _stream(frames: AsyncIterator[bytes]) -> Response:
    return EventStream(frames, headers={"cache-control": "no-store", "x-accel-buffering": "no"})


def _sent(row: Row, go_on_after: int) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (go_on_after, row["type"].encode(), dumped(_shape(row)))


def _shape(row: Row) -> dict[str, Any]:
    return {"id": row["id"], "type": row["type"], "at": row["at"], "fax": row["fax_id"], "data": whole(row)}
