"""What an ended call means for its fax: whole, once more at such a time, held, or given up; written at once.

The same code ends the calls of a node that died: then nothing is known but what was confirmed before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import RowMapping, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.faxes.changes import change, wake
from faxgw.faxes.policies import Tenant, tenant_of
from faxgw.faxes.sealed import SPOOL
from faxgw.model import EventType, State
from faxgw.rules.attempt import Adjustments, Attempt
from faxgw.rules.ladder import Learned, Memory, learn
from faxgw.rules.retry import GiveUp, RetryAt, RetryWish, next_step
from faxgw.rules.windows import Hours
from faxgw.store.tables import attempts, confirmations, destinations, documents, faxes, pages, wraps

log = structlog.get_logger(__name__)

INTERRUPTED = "call.interrupted"
CANCELED, CANCELED_TEXT = "call.canceled", "the fax was canceled"
MISDIRECTED = "policy.misdirect"
STATION_IDS_KEPT = 8


@dataclass(frozen=True, slots=True)
class Ending:
    """What a call came to. ``cause`` is empty when every page that it was to send was confirmed."""

    cause: str
    text: str = ""
    remote_id: str = ""
    rate: int | None = None
    modulation: str | None = None
    ecm: bool | None = None
    seconds: float | None = None
    connected_at: datetime | None = None
    trace_id: UUID | None = None


async def end_attempt(connection: AsyncConnection, attempt_id: UUID, ending: Ending) -> bool:
    """End a live attempt and bring its fax on; false if somebody else has ended it before.

    ``connection`` is a transaction of the fax's tenant, or of the dispatcher.
    """
    values = {
        "state": "ended",
        "lease_until": None,
        "ended_at": func.now(),
        "connected_at": ending.connected_at,
        "cause": ending.cause,
        "cause_text": ending.text,
        "remote_id": ending.remote_id,
        "rate": ending.rate,
        "modulation": ending.modulation,
        "ecm": ending.ecm,
        "seconds": ending.seconds,
        "trace_id": ending.trace_id,
    }
    live = (attempts.c.id == attempt_id) & (attempts.c.state == "live")
    ended = (await connection.execute(update(attempts).where(live).values(values).returning(attempts))).mappings()
    attempt = ended.one_or_none()
    if attempt is None:
        return False
    fax = (
        (await connection.execute(select(faxes).where(faxes.c.id == attempt["fax_id"]).with_for_update()))
        .mappings()
        .one()
    )
    tenant = await tenant_of(connection, fax["tenant_id"])
    await _decide(connection, tenant, fax, ending)
    await wake(connection, "call")
    return True


async def _decide(connection: AsyncConnection, tenant: Tenant, fax: RowMapping, ending: Ending) -> None:
    """Bring the fax into its next state."""
    history = await history_of(connection, fax["id"])
    memory, station_ids = await known_of(connection, fax["tenant_id"], fax["to_number"])
    if fax["pages"] is not None and fax["pages_done"] >= fax["pages"]:
        ids = [ending.remote_id, *(each for each in station_ids if each != ending.remote_id)]
        await _remember(connection, fax, learn(memory, history[-1], tenant.policy.ladder), ids)
        await _finish(connection, fax, State.DELIVERED, EventType.DELIVERED, Ending(""))
    elif fax["cancel_wanted"] or ending.cause == CANCELED:
        await _finish(connection, fax, State.CANCELED, EventType.CANCELED, Ending(CANCELED, CANCELED_TEXT))
    elif ending.cause == MISDIRECTED:
        reason = {"reason": {"code": ending.cause, "text": ending.text}}
        columns: dict[str, Any] = {"reason_code": ending.cause, "reason_text": ending.text, "next_call_at": None}
        await change(
            connection, fax["id"], to=State.HELD, event=EventType.HELD, data=reason, mark=ending.text, **columns
        )
    else:
        await _again_or_not(connection, tenant, fax, ending, history)


async def _again_or_not(
    connection: AsyncConnection,
    tenant: Tenant,
    fax: RowMapping,
    ending: Ending,
    history: Sequence[Attempt],
) -> None:
    own = fax["request"]
    policy = tenant.policy.retry
    if own.get("retry"):
        policy = policy.narrowed(RetryWish.model_validate(own["retry"]))
    hours = [tenant.policy.hours, *([Hours.model_validate(own["hours"])] if own.get("hours") else [])]
    now = datetime.now(UTC)
    match next_step(policy, history, now=now, seed=str(fax["id"]), hours=hours):
        case RetryAt(when, other_line):
            plan = fax["plan"] | {"avoid": await _last_line(connection, fax["id"]) if other_line else ""}
            await change(
                connection,
                fax["id"],
                to=State.WAITING_RETRY,
                event=EventType.WAITING_RETRY,
                data={"at": when.isoformat(), "reason": {"code": ending.cause, "text": ending.text}},
                next_call_at=when,
                plan=plan,
                reason_code=ending.cause,
                reason_text=ending.text,
            )
        case GiveUp(reason):
            some = fax["pages_done"] > 0
            state = State.PARTIALLY_SENT if some else State.FAILED
            event = EventType.PARTIALLY_SENT if some else EventType.FAILED
            await _finish(connection, fax, state, event, Ending(reason.code, reason.text))


async def _finish(connection: AsyncConnection, fax: RowMapping, state: State, event: EventType, ending: Ending) -> None:
    data: dict[str, Any] = {"pages": fax["pages"], "pages_done": fax["pages_done"]}
    if ending.cause:
        data["reason"] = {"code": ending.cause, "text": ending.text}
    columns: dict[str, Any] = {"reason_code": ending.cause, "reason_text": ending.text, "mark": ""}
    await let_go(connection, await change(connection, fax["id"], to=state, event=event, data=data, **columns))


async def let_go(connection: AsyncConnection, fax: RowMapping) -> None:
    """Take away the gateway's own way to an ended fax's pages and documents, unless another fax still needs it."""
    unneeded = []
    if fax["page_set_id"] is not None:
        live = select(faxes.c.id).where(faxes.c.page_set_id == fax["page_set_id"], faxes.c.finished_at.is_(None))
        unneeded.append(select(pages.c.object_id).where(pages.c.page_set_id == fax["page_set_id"], ~live.exists()))
    for document in fax["request"].get("documents", []):
        undrawn = faxes.c.state.in_([State.ACCEPTED.value, State.CONVERTING.value])
        waits = select(faxes.c.id).where(undrawn, faxes.c.request["documents"].contains([document]))
        unneeded.append(select(documents.c.object_id).where(documents.c.id == UUID(document), ~waits.exists()))
    for objects in unneeded:
        await connection.execute(delete(wraps).where(wraps.c.kind == SPOOL, wraps.c.object_id.in_(objects)))


# ---------------------------------------------------------------------------------------------- what was, what is known


async def history_of(connection: AsyncConnection, fax_id: UUID) -> list[Attempt]:
    """Return the calls for a fax that are over, oldest first."""
    rows = await connection.execute(
        select(attempts).where(attempts.c.fax_id == fax_id, attempts.c.state == "ended").order_by(attempts.c.index)
    )
    return [
        Attempt(
            cause=row.cause,
            ended=row.ended_at,
            connected=row.connected_at is not None,
            confirmed=row.pages,
            adjustments=Adjustments.model_validate(row.adjustments),
            ecm=row.ecm,
        )
        for row in rows
    ]


async def _last_line(connection: AsyncConnection, fax_id: UUID) -> str:
    last = select(attempts.c.line).where(attempts.c.fax_id == fax_id).order_by(attempts.c.index.desc()).limit(1)
    return str((await connection.execute(last)).scalar_one())


async def known_of(connection: AsyncConnection, tenant_id: UUID, number: str) -> tuple[Memory, list[str]]:
    """Return what a tenant knows of a number, and the station ids that answered there, latest first."""
    row = (
        await connection.execute(
            select(destinations).where(destinations.c.tenant_id == tenant_id, destinations.c.number == number)
        )
    ).one_or_none()
    if row is None:
        return Memory(), []
    return (
        Memory(
            learned=Learned.model_validate(row.learned) if row.learned else None,
            override=Adjustments.model_validate(row.override) if row.override else None,
        ),
        [str(each) for each in row.station_ids.get("ids", [])],
    )


async def _remember(connection: AsyncConnection, fax: RowMapping, memory: Memory, station_ids: Sequence[str]) -> None:
    """Keep what a delivered fax has taught of its number."""
    ids = list(station_ids[:STATION_IDS_KEPT])
    learned = memory.learned.model_dump(mode="json") if memory.learned else {}
    row = upsert(destinations).values(
        tenant_id=fax["tenant_id"], number=fax["to_number"], station_ids={"ids": ids}, learned=learned
    )
    news = {"station_ids": row.excluded.station_ids, "learned": row.excluded.learned, "updated_at": func.now()}
    await connection.execute(row.on_conflict_do_update(index_elements=["tenant_id", "number"], set_=news))


async def unconfirmed(connection: AsyncConnection, fax: RowMapping) -> list[int]:
    """Return the pages, from 0, that the other machine has not confirmed yet."""
    rows = await connection.execute(select(confirmations.c.index).where(confirmations.c.fax_id == fax["id"]))
    confirmed = set(rows.scalars())
    return [index for index in range(fax["pages"]) if index not in confirmed]
