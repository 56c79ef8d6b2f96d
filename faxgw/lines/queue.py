"""What waits to be called, and what of it is next: priority first, then the tenant with the fewest calls on the lines.

Of tenants with as many, the one goes first whose last call is longest ago. So however much one tenant has waiting, the
next line that is free is for another. Within a tenant, whoever has waited longest goes first.
"""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, func, literal, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.faxes.ending import hours_of
from faxgw.faxes.policies import Tenant, tenant_of
from faxgw.model import State
from faxgw.rules.routing import Candidate, LineState, Route, choose
from faxgw.rules.windows import next_open
from faxgw.store.tables import attempts, batches, faxes, routes, tenants

AHEAD = 100
LOOKS = 40
"""So many faxes of one tenant are read at once, and so often, since the first may all wait for lines that are busy."""
LONG_AGO = timedelta(hours=1)
"""When the last call of a tenant was is looked up so far back; before that, all are alike."""


@dataclass(slots=True)
class Choice:
    """What a look at the queue came to.

    Attributes:
        lines: this node's, busy as soon as a fax is meant for them.
        meant: fax -> the line that is to take it.
        closed: faxes that must wait, since it is not an hour at which they may be called; when it is; None: never.
        numbers: who is to be called.
    """

    lines: dict[str, LineState]
    meant: dict[UUID, Candidate] = field(default_factory=dict)
    closed: dict[datetime | None, list[UUID]] = field(default_factory=dict)
    numbers: set[str] = field(default_factory=set)

    @property
    def idle(self) -> list[LineState]:
        """The lines that a call could be made on."""
        return [line for line in self.lines.values() if line.idle and line.sends and line.up]


async def choose_calls(connection: AsyncConnection, choice: Choice) -> None:
    """Go through the queue, in a transaction of the dispatcher, until every idle line has its fax."""
    queues = await _queues(connection)
    heapq.heapify(queues)
    while queues:
        queue = heapq.heappop(queues)
        if not queue.can_use(choice.idle):
            continue
        if queue.found:
            queue.calls += _offer(choice, queue, queue.found.popleft())
        else:
            await queue.read(connection)
        if queue.found or queue.more:
            heapq.heappush(queues, queue)


def _offer(choice: Choice, queue: "_Queue", fax: RowMapping) -> bool:
    """Have the best idle line take a fax, if it may go now and there is one; return whether it is taken."""
    now = datetime.now(UTC)
    opens = next_open(hours_of(queue.tenant, fax["request"]), now)
    if opens is None or opens > now:
        choice.closed.setdefault(opens, []).append(fax["id"])
        return False
    number, lines, avoid = fax["to_number"], list(choice.lines.values()), fax["plan"].get("avoid", "")
    best = choose(number, routes=queue.routes, lines=lines, tenant=queue.tenant.name, now=now, avoid=avoid).line
    if best is None or number in choice.numbers:
        return False
    choice.numbers.add(number)
    choice.meant[fax["id"]] = best
    choice.lines[best.line] = replace(choice.lines[best.line], idle=False)
    return True


class _Queue:
    """The faxes of one tenant that wait for a line, read as far as they are looked at.

    Attributes:
        tenant: whose; known once they are read.
        calls: how many of its calls are on lines, or will be.
        found: faxes that are read and not looked at yet.
        more: there may be faxes that are not read yet.
    """

    tenant: Tenant

    def __init__(self, row: RowMapping, routed: Sequence[Route]) -> None:
        self.routes = routed
        self.calls: int = row["calls"]
        self.found: deque[RowMapping] = deque()
        self.more = True
        self._id: UUID = row["id"]
        self._name: str = row["name"]
        self._last: datetime = row["last"]
        self._head = row
        self._looks = 0

    def __lt__(self, other: "_Queue") -> bool:
        return self._place < other._place

    @property
    def _place(self) -> tuple[Any, ...]:
        head = self.found[0] if self.found else self._head
        return (head["priority"], self.calls, self._last, head["next_call_at"], self._id)

    def can_use(self, idle: Sequence[LineState]) -> bool:
        """Tell whether any of these lines could take one of the tenant's faxes."""
        named = {name for route in self.routes for name in route.lines}
        open_to = [line for line in idle if not line.tenants or self._name in line.tenants]
        return any(not self.routes or line.name in named for line in open_to)

    async def read(self, connection: AsyncConnection) -> None:
        """Read on."""
        if not self._looks:
            self.tenant = await tenant_of(connection, self._id)
        self.found.extend(await _queued(connection, self._id, after=self._head if self._looks else None))
        self._looks += 1
        self.more = len(self.found) == AHEAD and self._looks < LOOKS
        if self.found:
            self._head = self.found[-1]


async def _queues(connection: AsyncConnection) -> list[_Queue]:
    """Return the queue of each tenant that has faxes waiting."""
    head = (
        select(faxes.c.priority, faxes.c.next_call_at)
        .where(faxes.c.tenant_id == tenants.c.id, *_WAITS)
        .order_by(*_ORDER)
        .limit(1)
        .lateral("head")
    )
    outgoing = attempts.c.destination != ""
    live = select(attempts.c.tenant_id, func.count().label("calls")).where(attempts.c.state == "live", outgoing)
    on_lines = live.group_by(attempts.c.tenant_id).subquery("on_lines")
    since = func.now() - LONG_AGO
    ended = select(func.max(attempts.c.ended_at)).where(
        attempts.c.tenant_id == tenants.c.id, attempts.c.ended_at > since, outgoing
    )
    calls = func.coalesce(on_lines.c.calls, 0).label("calls")
    last = func.coalesce(ended.scalar_subquery(), since).label("last")
    statement = (
        select(tenants.c.id, tenants.c.name, head.c.priority, head.c.next_call_at, calls, last)
        .select_from(tenants)
        .join(head, true())
        .outerjoin(on_lines, on_lines.c.tenant_id == tenants.c.id)
    )
    rows = (await connection.execute(statement)).mappings().all()
    routed = await _routes(connection, [row["id"] for row in rows])
    return [_Queue(row, routed.get(row["id"], ())) for row in rows]


async def _routes(connection: AsyncConnection, tenant_ids: Sequence[UUID]) -> dict[UUID, list[Route]]:
    found: dict[UUID, list[Route]] = {}
    for row in await connection.execute(select(routes).where(routes.c.tenant_id.in_(tenant_ids))):
        route = Route(prefix=row.prefix, lines=tuple(row.lines), cost=row.cost)
        found.setdefault(row.tenant_id, []).append(route)
    return found


# As a literal, the state is seen to be the condition of the index ``faxes_queue``, however the statement is planned.
_WAITS = (faxes.c.state == literal(State.QUEUED.value, literal_execute=True), faxes.c.next_call_at <= func.now())
_ORDER = (faxes.c.priority, faxes.c.next_call_at, faxes.c.id)


async def _queued(connection: AsyncConnection, tenant_id: UUID, *, after: RowMapping | None) -> Sequence[RowMapping]:
    """Return a tenant's queued faxes in their order, ``AHEAD`` of them, none to a number on the line."""
    calling = select(attempts.c.id).where(attempts.c.state == "live", attempts.c.destination == faxes.c.to_number)
    paused = select(batches.c.id).where(batches.c.id == faxes.c.batch_id, batches.c.state != "running")
    statement = (
        select(*_ORDER, faxes.c.to_number, faxes.c.request, faxes.c.plan)
        .where(faxes.c.tenant_id == tenant_id, *_WAITS, ~calling.exists(), ~paused.exists())
        .order_by(*_ORDER)
        .limit(AHEAD)
    )
    if after is not None:
        statement = statement.where(tuple_(*_ORDER) > tuple_(*(after[column.name] for column in _ORDER)))
    return (await connection.execute(statement)).mappings().all()
