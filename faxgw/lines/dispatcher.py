"""Claims calls from the database, exactly as many as this node has idle lines, and keeps their leases.

No fax is dialled twice for one attempt: the attempt is a row before anybody dials. No number has two calls: a partial
unique index on live attempts says so. A call cannot be taken from a node that has lost touch, so such a node hangs up
before its leases end.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import RowMapping, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.faxes.changes import WORK_CHANNEL, change, tell_each
from faxgw.faxes.drawing import take_back
from faxgw.faxes.ending import CANCELED, CANCELED_TEXT, INTERRUPTED, Ending, end_attempt, history_of, known_of
from faxgw.faxes.policies import tenant_of
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.lines.incoming import end_interrupted
from faxgw.lines.outgoing import Claim, OutgoingCall
from faxgw.model import EventType, State
from faxgw.rules.attempt import Adjustments
from faxgw.rules.ladder import adjustments
from faxgw.rules.routing import Candidate, LineState, Route, choose
from faxgw.store.database import DatabaseUnavailable
from faxgw.store.tables import attempts, batches, faxes, nodes, routes, tenants

log = structlog.get_logger(__name__)

LOOK_AGAIN = 5.0
"""Seconds between two looks when nobody rings."""
AHEAD = 200
"""So many queued faxes are looked at, since the first may all wait for lines that are busy."""
PROMOTED = 500
"""So many faxes are queued in one transaction."""


async def run_dispatcher(gateway: Gateway) -> None:
    """Hand calls to lines until cancelled."""
    while True:
        gateway.call_bell.clear()
        try:
            more = await _queue_what_is_due(gateway)
            claims = await _claim(gateway)
        except DatabaseUnavailable:
            more, claims = False, []
        for keeper_name, claim in claims:
            job = OutgoingCall(gateway, claim)
            if not gateway.board.keepers[keeper_name].take(job):
                await job.give_back()
        if not more:
            await _wait(gateway)


async def _wait(gateway: Gateway) -> None:
    try:
        async with asyncio.timeout(LOOK_AGAIN):
            await gateway.call_bell.wait()
    except TimeoutError:
        return


async def _queue_what_is_due(gateway: Gateway) -> bool:
    """Queue scheduled faxes and retries whose time has come; return whether there are more of them."""
    waiting = [State.SCHEDULED.value, State.WAITING_RETRY.value]
    async with gateway.database.dispatcher() as connection:
        due = (
            select(faxes.c.id)
            .where(faxes.c.state.in_(waiting), faxes.c.next_call_at <= func.now())
            .order_by(faxes.c.next_call_at)
            .limit(PROMOTED)
            .with_for_update(skip_locked=True)
        )
        values = {"state": State.QUEUED.value, "version": faxes.c.version + 1}
        queued = update(faxes).where(faxes.c.id.in_(due)).values(values).returning(faxes.c.id)
        ids = list((await connection.execute(queued)).scalars())
        await tell_each(connection, ids, EventType.QUEUED)
    return len(ids) == PROMOTED


# ---------------------------------------------------------------------------------------------------------- claiming


async def _claim(gateway: Gateway) -> list[tuple[str, Claim]]:
    """Claim a fax for each idle line, where there is one; the claims are committed when this returns."""
    lines = {state.name: state for state in gateway.board.states()}
    if not any(line.idle and line.sends for line in lines.values()):
        return []
    claims: list[tuple[str, Claim]] = []
    lease_ends = time.monotonic() + gateway.config.dispatch.lease
    async with gateway.database.dispatcher() as connection:
        queued = await _queued(connection)
        routed = await _routes(connection, {fax["tenant_id"] for fax in queued})
        for fax in queued:
            candidate = _line_for(fax, routed.get(fax["tenant_id"], []), list(lines.values()))
            if candidate is None:
                continue
            attempt = await _begin_attempt(connection, gateway, fax, candidate)
            if attempt is None:
                continue
            lines[candidate.line] = _busy(lines[candidate.line])
            claims.append((candidate.line, Claim(fax, attempt, lease_ends)))
            if not any(line.idle and line.sends for line in lines.values()):
                break
    return claims


async def _queued(connection: AsyncConnection) -> Sequence[RowMapping]:
    """Return queued faxes in their order, none to a number that has a call, one for each number."""
    calling = select(attempts.c.id).where(attempts.c.state == "live", attempts.c.destination == faxes.c.to_number)
    paused = select(batches.c.id).where(batches.c.id == faxes.c.batch_id, batches.c.state != "running")
    statement = (
        select(faxes, tenants.c.name.label("tenant"))
        .join(tenants, tenants.c.id == faxes.c.tenant_id)
        .where(
            faxes.c.state == State.QUEUED.value,
            faxes.c.next_call_at <= func.now(),
            ~calling.exists(),
            ~paused.exists(),
        )
        .order_by(faxes.c.priority, faxes.c.next_call_at, faxes.c.id)
        .limit(AHEAD)
        .with_for_update(of=faxes, skip_locked=True)
    )
    by_number: dict[str, RowMapping] = {}
    for fax in (await connection.execute(statement)).mappings():
        by_number.setdefault(fax["to_number"], fax)
    return list(by_number.values())


async def _routes(connection: AsyncConnection, tenant_ids: set[UUID]) -> dict[UUID, list[Route]]:
    found: dict[UUID, list[Route]] = {}
    for row in await connection.execute(select(routes).where(routes.c.tenant_id.in_(tenant_ids))):
        route = Route(prefix=row.prefix, lines=tuple(row.lines), cost=row.cost)
        found.setdefault(row.tenant_id, []).append(route)
    return found


def _line_for(fax: RowMapping, routed: Sequence[Route], lines: Sequence[LineState]) -> Candidate | None:
    choice = choose(
        fax["to_number"],
        routes=routed,
        lines=lines,
        tenant=fax["tenant"],
        now=datetime.now(UTC),
        avoid=fax["plan"].get("avoid", ""),
    )
    return choice.line


def _busy(line: LineState) -> LineState:
    return replace(line, idle=False)


async def _begin_attempt(
    connection: AsyncConnection, gateway: Gateway, fax: RowMapping, candidate: Candidate
) -> RowMapping | None:
    """Write the attempt down; None if another node has a call to that number, or on that line, at this very moment."""
    adjusted = await _adjustments(connection, fax)
    values = {
        "id": new_id(),
        "tenant_id": fax["tenant_id"],
        "fax_id": fax["id"],
        "index": fax["dials"] + 1,
        "destination": fax["to_number"],
        "node": gateway.node,
        "line": candidate.line,
        "lease_until": datetime.now(UTC) + timedelta(seconds=gateway.config.dispatch.lease),
        "route": {"prefix": candidate.prefix, "cost": candidate.cost},
        "adjustments": adjusted.model_dump(mode="json"),
        "first_page": fax["pages_done"],
    }
    new = upsert(attempts).values(values).on_conflict_do_nothing().returning(attempts)
    attempt: RowMapping | None = (await connection.execute(new)).mappings().one_or_none()
    if attempt is not None:
        await change(
            connection,
            fax["id"],
            to=State.DIALING,
            event=EventType.DIALING,
            data={"attempt": attempt["index"], "line": candidate.line},
            dials=attempt["index"],
            line=candidate.line,
        )
    return attempt


async def _adjustments(connection: AsyncConnection, fax: RowMapping) -> Adjustments:
    """Return what this call does otherwise than its line is set to: by what its number, and this fax, have taught."""
    tenant = await tenant_of(connection, fax["tenant_id"])
    memory, _ = await known_of(connection, fax["tenant_id"], fax["to_number"])
    history = await history_of(connection, fax["id"]) if fax["dials"] else []
    return adjustments(tenant.policy.ladder, history, memory=memory, at=datetime.now(UTC))


# ------------------------------------------------------------------------------------------------------------ leases


async def run_leases(gateway: Gateway) -> None:
    """Renew this node's leases, and end the calls of nodes that did not, until cancelled."""
    renewed = time.monotonic()
    pause = gateway.config.dispatch.renew
    while True:
        try:
            await _renew(gateway)
            renewed = time.monotonic()
            await _end_abandoned(gateway)
        except DatabaseUnavailable:
            if time.monotonic() + 2 * pause > renewed + gateway.config.dispatch.lease:
                for call in list(gateway.calls):
                    call.hang_up("this node has lost touch with the database")
        await asyncio.sleep(pause)


async def _renew(gateway: Gateway) -> None:
    """Prolong the leases of the calls on our lines; hang up those that are not ours any more, or not wanted."""
    until = datetime.now(UTC) + timedelta(seconds=gateway.config.dispatch.lease)
    calls = {call.attempt_id: call for call in gateway.calls}
    async with gateway.database.dispatcher() as connection:
        await _sign_on(connection, gateway)
        own = attempts.c.id.in_(list(calls)) & (attempts.c.state == "live") & (attempts.c.node == gateway.node)
        renewed = update(attempts).where(own, faxes.c.id == attempts.c.fax_id).values(lease_until=until)
        rows = (await connection.execute(renewed.returning(attempts.c.id, faxes.c.cancel_wanted))).all()
    kept = {row.id for row in rows}
    for attempt_id, call in calls.items():
        if attempt_id not in kept and call in gateway.calls:
            call.hang_up("this call's lease was lost")
    for row in rows:
        if row.cancel_wanted:
            _cancel(calls[row.id])


async def _sign_on(connection: AsyncConnection, gateway: Gateway) -> None:
    """Say that this node is there."""
    node = upsert(nodes).values(id=gateway.node, name=gateway.config.node)
    news = {"seen_at": func.now(), "name": gateway.config.node}
    await connection.execute(node.on_conflict_do_update(index_elements=["id"], set_=news))


async def _end_abandoned(gateway: Gateway) -> None:
    """End the calls of nodes that are gone."""
    late = (attempts.c.state == "live") & (attempts.c.lease_until < func.now())
    async with gateway.database.dispatcher() as connection:
        found = await connection.execute(
            select(attempts.c.id, attempts.c.destination).where(late).with_for_update(skip_locked=True)
        )
        await _end_dead(connection, found.all())
    async with gateway.database.dispatcher() as connection:
        gone = func.now() - timedelta(days=1)
        await connection.execute(delete(nodes).where(nodes.c.seen_at < gone))


async def recover(gateway: Gateway) -> int:
    """Sign on, and end what this node had on its lines when it was killed; return how many calls."""
    own = (attempts.c.state == "live") & (attempts.c.node == gateway.node)
    async with gateway.database.dispatcher() as connection:
        await _sign_on(connection, gateway)
        found = (await connection.execute(select(attempts.c.id, attempts.c.destination).where(own))).all()
        await _end_dead(connection, found)
        await take_back(connection, gateway.node)
    return len(found)


async def _end_dead(connection: AsyncConnection, dead: Sequence[Any]) -> None:
    for attempt in dead:
        if attempt.destination:
            ending = Ending(INTERRUPTED, "the gateway was stopped in the middle of the call")
            await end_attempt(connection, attempt.id, ending)
        else:
            await end_interrupted(connection, attempt.id)


# ------------------------------------------------------------------------------------------------------------- waking


async def run_ears(gateway: Gateway) -> None:
    """Listen for work that other transactions leave, until cancelled."""
    async with gateway.database.listen(WORK_CHANNEL) as notices:
        async for notice in notices:
            if notice.missed:
                gateway.draw_bell.set()
                gateway.call_bell.set()
            elif notice.payload == "draw":
                gateway.draw_bell.set()
            elif notice.payload == "call":
                gateway.call_bell.set()
            elif notice.payload.startswith("cancel "):
                _cancel_fax(gateway, UUID(notice.payload.removeprefix("cancel ")))


def _cancel_fax(gateway: Gateway, fax_id: UUID) -> None:
    for call in gateway.calls:
        if isinstance(call, OutgoingCall) and call.claim.fax["id"] == fax_id:
            _cancel(call)


def _cancel(call: object) -> None:
    if isinstance(call, OutgoingCall):
        call.hang_up(CANCELED_TEXT, why=CANCELED)
