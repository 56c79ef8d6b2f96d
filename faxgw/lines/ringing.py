"""A call that rings: whose it is, and whether it is answered."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import delete, insert, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from drivers.registry import Line
from faxgw.config import LineSettings
from faxgw.faxes.changes import tell
from faxgw.faxes.policies import Tenant, lists_for, tenant_of
from faxgw.gateway import Gateway
from faxgw.learning.keeping import Who, known_of
from faxgw.lines.claims import lease_end
from faxgw.lines.incoming import Arriving, Home, IncomingCall
from faxgw.lines.leases import end_interrupted
from faxgw.model import Direction, EventType, State
from faxgw.numbers import Numbering, caller_id
from faxgw.rules.attempt import NONE, Adjustments
from faxgw.rules.incoming import Arrival, Assignment, Screening, before_answering, choose_box
from faxgw.rules.routing import trunk_of
from faxgw.store.database import DatabaseUnavailable
from faxgw.store.tables import attempts, boxes, faxes, numbers, tenants
from t30.line import AwaitCall, Ringing

log = structlog.get_logger(__name__)

LOOKED_UP_WITHIN = 3.0
"""Seconds to find out whose a call is, before the caller hears nothing for too long."""
QUIET, SHORTEST_QUIET = 10.0, 0.1
"""Seconds of the line without a ring after which a caller has given up; of real time at least."""


async def answer(gateway: Gateway, line: Line, settings: LineSettings, ringing: Ringing) -> bool:
    """Take a call that rings, or let it ring; return whether the line did its part."""
    next_call: Ringing | None = ringing
    while next_call is not None:
        call = await _call_for(gateway, settings, next_call)
        if call is not None:
            return await IncomingCall(gateway, call).take(line, settings, next_call)
        next_call = await _let_ring(line, next_call)
    return True


async def _call_for(gateway: Gateway, settings: LineSettings, ringing: Ringing) -> Arriving | None:
    """Return the call if it is to be answered."""
    if (obstacle := await gateway.not_receiving()) is not None:
        log.warning("a call is not answered", line=settings.name, reason=obstacle)
        return None
    try:
        async with asyncio.timeout(LOOKED_UP_WITHIN):
            return await _looked_up(gateway, settings, ringing)
    except (DatabaseUnavailable, TimeoutError) as trouble:
        log.warning("a call is not answered", line=settings.name, reason=f"its box could not be looked up: {trouble}")
        return None


async def _let_ring(line: Line, refused: Ringing) -> Ringing | None:
    """Let a call ring until its caller gives up; return the one that rings after it already.

    What rings on is the same call: the number of a caller comes with the first ring only on many lines.
    """
    while True:
        try:
            async with asyncio.timeout(max(line.clock.real(QUIET), SHORTEST_QUIET)):
                event = await line.perform(AwaitCall())
        except TimeoutError:
            return None
        if isinstance(event, Ringing) and event.caller not in ("", refused.caller):
            return event


_NUMBERING = Numbering()


async def _looked_up(gateway: Gateway, settings: LineSettings, ringing: Ringing) -> Arriving | None:
    """Find out whose a call is and write its fax down; None if it is not to be answered."""
    arrival = Arrival(trunk_of(settings.name), caller_id(ringing.dialled, _NUMBERING))
    while True:
        async with gateway.database.dispatcher() as connection:
            homes = await _homes(connection, arrival, settings.tenants)
            first = choose_box(arrival, [each for each, _ in homes])
            if first.assignment is None:
                log.info("a call is not answered", line=settings.name, reason=first.text)
                return None
            home = next(home for each, home in homes if each == first.assignment)
            tenant = await tenant_of(connection, home.tenant_id)
            # Whether it is an inland number is for the tenant to say, whose it is now known to be.
            arrival = replace(arrival, caller=caller_id(ringing.caller, tenant.numbering))
            lists = await lists_for(connection, tenant, [arrival.caller], direction="in")
            now = datetime.now(UTC)
            if tenant.policy.storage == "none" and not tenant.policy.collect_hours:
                log.info(
                    "a call is not answered", line=settings.name, reason="its fax could not be kept until collected"
                )
                return None
            entries = lists.entries(arrival.caller)
            screened = before_answering(arrival, rules=tenant.policy.junk, entries=entries, at=now)
            if screened.screening is Screening.REJECT:
                log.info("a call is not answered", line=settings.name, reason="junk", rule=screened.rule)
                return None
            same_tenant = [(each, one) for each, one in homes if one.tenant_id == home.tenant_id]
            adjusted = await _known(connection, tenant, arrival.caller, now)
            call = Arriving(settings.name, arrival, same_tenant, tenant.policy, lists, now, adjusted)
            if await _write_ringing(connection, gateway, call, home):
                return call
        # A claim was made for this line as it began to ring; it is given back in a moment.
        await asyncio.sleep(0.05)


async def _known(connection: AsyncConnection, tenant: Tenant, caller: str, now: datetime) -> Adjustments:
    """Return what a call does otherwise, by its caller: DIS is said before a sender says who it is."""
    if not caller:
        return NONE
    who = Who(Direction.IN, number=caller)
    return (await known_of(connection, tenant.id, who, tenant.policy.learning, at=now)).adjustments


async def _homes(
    connection: AsyncConnection, arrival: Arrival, may_use: frozenset[str]
) -> list[tuple[Assignment, Home]]:
    """Return every assignment that may hold for a call on this line to this number.

    Args:
        connection: a transaction of the dispatcher.
        arrival: the call.
        may_use: names of the tenants that the line is for; empty: for all.
    """
    number = numbers.c.number
    statement = (
        select(numbers, boxes.c.owner_id)
        .join(boxes, boxes.c.id == numbers.c.box_id)
        .join(tenants, tenants.c.id == numbers.c.tenant_id)
        .where(numbers.c.line.in_(["", arrival.line]), or_(number.in_(["", arrival.dialled]), number.like("%*")))
    )
    if may_use:
        statement = statement.where(tenants.c.name.in_(may_use))
    return [
        (
            Assignment(
                box=row.box_id, number=row.number or None, line=row.line or None, subaddress=row.subaddress or None
            ),
            Home(row.box_id, row.tenant_id, row.owner_id),
        )
        for row in await connection.execute(statement)
    ]


async def _write_ringing(connection: AsyncConnection, gateway: Gateway, call: Arriving, home: Home) -> bool:
    """Write the fax and its only attempt down; false while a call to be made is still written down for the line.

    One to be taken that is written down cannot be going on, since the line rings: nobody was told that it was written.
    """
    values: dict[str, Any] = {
        "id": call.fax_id,
        "tenant_id": home.tenant_id,
        "direction": Direction.IN.value,
        "state": State.RINGING.value,
        "user_id": home.user_id,
        "box_id": home.box_id,
        "from_number": call.arrival.caller,
        "to_number": call.arrival.dialled,
        "line": call.line,
        "storage": call.policy.storage,
    }
    if call.policy.storage == "none":
        values["erase_at"] = call.began + timedelta(hours=call.policy.collect_hours)
    on_line = (attempts.c.node == gateway.node) & (attempts.c.line == call.line) & (attempts.c.state == "live")
    for earlier in (await connection.execute(select(attempts.c.id, attempts.c.destination).where(on_line))).all():
        if earlier.destination:
            return False
        await end_interrupted(connection, earlier.id, outgoing=False)
    await connection.execute(insert(faxes).values(values))
    new = upsert(attempts).values(
        id=call.attempt_id,
        tenant_id=home.tenant_id,
        fax_id=call.fax_id,
        index=1,
        destination="",
        node=gateway.node,
        line=call.line,
        lease_until=lease_end(gateway),
        adjustments=call.adjustments.model_dump(mode="json"),
    )
    if (await connection.execute(new.on_conflict_do_nothing().returning(attempts.c.id))).first() is None:
        await connection.execute(delete(faxes).where(faxes.c.id == call.fax_id))
        return False
    await tell(connection, home.tenant_id, call.fax_id, EventType.RINGING, {"state": State.RINGING.value})
    return True
