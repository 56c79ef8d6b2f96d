"""Claims calls from the database, exactly as many as this node has idle lines.

No fax is dialled twice for one attempt: the attempt is a row before anybody dials. No number has two calls: a partial
unique index on live attempts says so.
"""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.faxes.changes import tell_each
from faxgw.faxes.ending import adjustments_of, fail
from faxgw.gateway import Gateway
from faxgw.lines.claims import Claim, begin, new_attempt
from faxgw.lines.outgoing import OutgoingCall
from faxgw.lines.queue import Choice, choose_calls
from faxgw.model import WAITING, EventType, State
from faxgw.rules.routing import Candidate
from faxgw.store.database import DatabaseUnavailable
from faxgw.store.tables import batches, faxes
from t30.outcome import Reason

LOOK_AGAIN = 5.0
"""Seconds between two looks when nobody rings."""
DUE_EVERY = 1.0
"""Seconds between two looks for what is due by the clock, however often somebody rings."""
CLAIMED_WITHIN = 10.0
"""Seconds for a claim: less than ``leases.UNHELD``, so that what it claims is in hand before it could be nobody's."""
NEVER = Reason("schedule.never", "there is no time within both the tenant's and the fax's hours")
PROMOTED = 500
"""So many faxes are queued in one transaction."""


async def run_dispatcher(gateway: Gateway) -> None:
    """Hand calls to lines until cancelled."""
    clock, looked, more, early = asyncio.get_running_loop().time, -math.inf, False, False
    while True:
        gateway.call_bell.clear()
        try:
            early = not more and clock() < looked + DUE_EVERY
            if not early:
                more, looked = await _queue_what_is_due(gateway), clock()
            claims = await claim_calls(gateway)
        except DatabaseUnavailable:
            more, claims = False, []
        jobs = [(gateway.board.keepers[name], OutgoingCall(gateway, claim)) for name, claim in claims]
        for refused in [job for keeper, job in jobs if not keeper.take(job)]:
            await refused.give_back()
        if not more:
            # After a ring for which it was too early, a look is owed.
            owed = looked + DUE_EVERY - clock() if early else LOOK_AGAIN
            await _wait(gateway, owed)


async def _wait(gateway: Gateway, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await gateway.call_bell.wait()
    except TimeoutError:
        return


async def _queue_what_is_due(gateway: Gateway) -> bool:
    """Queue scheduled faxes and retries whose time has come; return whether there are more of them."""
    waiting = [literal(state.value, literal_execute=True) for state in WAITING]  # which the index's condition needs
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


async def claim_calls(gateway: Gateway) -> list[tuple[str, Claim]]:
    """Claim a fax for each idle line, where there is one; the claims are committed when this returns."""
    choice = Choice({line.name: line for line in gateway.board.states()})
    if not choice.idle:
        return []
    lease_ends = time.monotonic() + gateway.config.dispatch.lease
    async with gateway.database.dispatcher(within=CLAIMED_WITHIN) as connection:
        await choose_calls(connection, choice)
        for when, fax_ids in choice.closed.items():
            await _put_off(connection, fax_ids, when)
        begun = await _begin(connection, gateway, choice.meant)
    return [(attempt["line"], Claim(fax, attempt, lease_ends)) for fax, attempt in begun]


async def _put_off(connection: AsyncConnection, fax_ids: Sequence[UUID], when: datetime | None) -> None:
    """Have queued faxes wait for the next hour at which they may be called; without one they fail."""
    queued = select(faxes.c.id).where(faxes.c.id.in_(fax_ids), faxes.c.state == State.QUEUED.value)
    ids = list((await connection.execute(queued.with_for_update(skip_locked=True))).scalars())
    if when is None:
        for fax_id in ids:
            await fail(connection, fax_id, NEVER)
        return
    values = {"state": State.SCHEDULED.value, "next_call_at": when, "version": faxes.c.version + 1}
    await connection.execute(update(faxes).where(faxes.c.id.in_(ids)).values(values))
    await tell_each(connection, ids, EventType.SCHEDULED, {"at": when.isoformat()})


async def _begin(
    connection: AsyncConnection, gateway: Gateway, meant: Mapping[UUID, Candidate]
) -> list[tuple[RowMapping, RowMapping]]:
    """Write attempts down, for those faxes that no other node takes, to whose numbers nobody has a call just now.

    All are written in one statement, in the order of their numbers, so that two nodes never wait for each other.
    """
    own = faxes.c.id.in_(list(meant)) & (faxes.c.state == State.QUEUED.value)
    runs = or_(faxes.c.batch_id.is_(None), faxes.c.batch_id.in_(await _running(connection, list(meant))))
    locked = await connection.execute(select(faxes).where(own, runs).with_for_update(skip_locked=True))
    chosen = {fax["id"]: fax for fax in sorted(locked.mappings(), key=lambda each: str(each["to_number"]))}
    if not chosen:
        return []
    rows = [await _new_attempt(connection, gateway, fax, meant[fax["id"]]) for fax in chosen.values()]
    return await begin(connection, chosen, rows)


async def _running(connection: AsyncConnection, fax_ids: Sequence[UUID]) -> list[UUID]:
    """Return which batches of these faxes go on, and have them do so until this transaction is committed.

    So a pause is committed after the last call that begins. A batch that is being paused just now is none of them.
    """
    own = select(faxes.c.batch_id).where(faxes.c.id.in_(fax_ids))
    running = select(batches.c.id).where(batches.c.id.in_(own), batches.c.state == "running")
    return list((await connection.execute(running.with_for_update(read=True, skip_locked=True))).scalars())


async def _new_attempt(
    connection: AsyncConnection, gateway: Gateway, fax: RowMapping, candidate: Candidate
) -> dict[str, Any]:
    route = {"prefix": candidate.prefix, "cost": candidate.cost}
    adjusted = await adjustments_of(connection, fax)
    return new_attempt(gateway, fax, line=candidate.line, route=route, adjusted=adjusted)
