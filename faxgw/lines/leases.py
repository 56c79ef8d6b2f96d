"""Leases: this node's are renewed while its calls last; the calls of a node that did not renew are ended by others.

A call cannot be taken from a node that has lost touch, so such a node hangs up before its leases end.
"""

import asyncio
import time
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.faxes.changes import wake
from faxgw.faxes.drawer import take_back
from faxgw.faxes.ending import INTERRUPTED, Ending, end_attempt
from faxgw.gateway import Gateway
from faxgw.lines.claims import lease_end
from faxgw.lines.ears import cancel_call
from faxgw.lines.received import end_incoming
from faxgw.store.database import DatabaseUnavailable
from faxgw.store.tables import attempts, faxes, nodes

log = structlog.get_logger(__name__)

INTERRUPTED_TEXT = "the gateway was stopped in the middle of the call"
UNHELD = timedelta(seconds=15)
"""A call of this node that nobody has in hand for so long is nobody's: the database broke as it took it down."""
FORGOTTEN = timedelta(days=1)
"""A node that was not seen for so long is forgotten."""


async def run_leases(gateway: Gateway) -> None:
    """Renew this node's leases, and end the calls of nodes that did not, until cancelled."""
    touch = _Touch()
    async with asyncio.TaskGroup() as group:
        group.create_task(_renew_for_ever(gateway, touch))
        group.create_task(_hang_up_in_time(gateway, touch))


async def recover(gateway: Gateway) -> int:
    """Sign on, and end what this node had on its lines when it was killed; return how many calls."""
    async with gateway.database.dispatcher() as connection:
        await _sign_on(connection, gateway)
        await take_back(connection, drawer_in=[gateway.node])
    return await _end_dead(gateway, _own(gateway))


async def end_interrupted(connection: AsyncConnection, attempt_id: UUID, *, outgoing: bool) -> None:
    """End a call of which nothing is known but the pages that were confirmed before."""
    if outgoing:
        await end_attempt(connection, attempt_id, Ending(INTERRUPTED, INTERRUPTED_TEXT))
    else:
        await end_incoming(connection, attempt_id, whole=False, cause=INTERRUPTED, cause_text=INTERRUPTED_TEXT)


class _Touch:
    """When this node last was in touch with the database, by ``time.monotonic``."""

    def __init__(self) -> None:
        self.at = time.monotonic()


async def _renew_for_ever(gateway: Gateway, touch: _Touch) -> None:
    pause = gateway.config.dispatch.renew
    while True:
        asked = time.monotonic()
        try:
            await _renew(gateway)
            touch.at = asked
            await _end_abandoned(gateway)
        except DatabaseUnavailable as trouble:
            log.debug("leases were not renewed", error=str(trouble))
        await asyncio.sleep(pause)


async def _hang_up_in_time(gateway: Gateway, touch: _Touch) -> None:
    """End our calls a little before their leases end: after that they may be another node's."""
    settings = gateway.config.dispatch
    while True:
        if time.monotonic() > touch.at + settings.lease - settings.renew:
            for call in list(gateway.calls):
                call.hang_up("this node has lost touch with the database")
        await asyncio.sleep(settings.renew / 4)


async def _renew(gateway: Gateway) -> None:
    """Prolong the leases of the calls on our lines; hang up those that are not ours any more, or not wanted."""
    held = {call: call.attempt_ids for call in gateway.calls}
    calls = {attempt_id: call for call, ids in held.items() for attempt_id in ids}
    async with gateway.database.dispatcher(within=gateway.config.dispatch.renew) as connection:
        await _sign_on(connection, gateway)
        own = _own(gateway) & attempts.c.id.in_(list(calls))
        renewed = update(attempts).where(own, faxes.c.id == attempts.c.fax_id).values(lease_until=lease_end(gateway))
        rows = (await connection.execute(renewed.returning(attempts.c.id, faxes.c.cancel_wanted))).all()
    kept = {row.id for row in rows}
    for call, ids in held.items():
        # One that has gone over to its next fax meanwhile has another attempt.
        if kept.isdisjoint(ids) and call in gateway.calls and call.attempt_ids == ids:
            call.hang_up("this call's lease was lost")
    for row in rows:
        if row.cancel_wanted:
            cancel_call(calls[row.id])


def _own(gateway: Gateway) -> ColumnElement[bool]:
    return (attempts.c.state == "live") & (attempts.c.node == gateway.node)


async def _sign_on(connection: AsyncConnection, gateway: Gateway) -> None:
    """Say that this node is there."""
    node = upsert(nodes).values(id=gateway.node, name=gateway.config.node)
    news = {"seen_at": func.now(), "name": gateway.config.node}
    await connection.execute(node.on_conflict_do_update(index_elements=["id"], set_=news))


async def _end_abandoned(gateway: Gateway) -> None:
    """End the calls of nodes that are gone, let others draw what they were drawing, and end what nobody has in hand."""
    late = (attempts.c.state == "live") & (attempts.c.lease_until < func.now())
    held = attempts.c.id.in_([attempt_id for call in gateway.calls for attempt_id in call.attempt_ids])
    silent = nodes.c.seen_at < func.now() - timedelta(seconds=gateway.config.dispatch.lease)
    await _end_dead(gateway, late | (_own(gateway) & ~held & (attempts.c.started_at < func.now() - UNHELD)))
    async with gateway.database.dispatcher() as connection:
        if await take_back(connection, drawer_in=select(nodes.c.id).where(silent)):
            await wake(connection, "draw")
        await connection.execute(delete(nodes).where(nodes.c.seen_at < func.now() - FORGOTTEN))


async def _end_dead(gateway: Gateway, dead: ColumnElement[bool]) -> int:
    """End attempts that nobody makes any more, each by itself: what is wrong with one holds up no other."""
    found = select(attempts.c.id, attempts.c.destination).where(dead).order_by(attempts.c.id)
    async with gateway.database.dispatcher() as connection:
        rows = (await connection.execute(found)).all()
    for row in rows:
        try:
            async with gateway.database.dispatcher() as connection:
                still = select(attempts.c.id).where(dead, attempts.c.id == row.id).with_for_update(skip_locked=True)
                if (await connection.execute(still)).first() is not None:
                    await end_interrupted(connection, row.id, outgoing=bool(row.destination))
        except DatabaseUnavailable:
            raise
        except Exception:
            log.exception("the call of a node that is gone could not be ended", attempt=str(row.id))
    return len(rows)
