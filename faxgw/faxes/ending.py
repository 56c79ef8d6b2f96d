"""What an ended call means for its fax: whole, once more at such a time, held, or given up; written at once.

The same code ends the calls of a node that died: then nothing is known but what was confirmed before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import RowMapping, Text, cast, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.faxes.changes import change, wake
from faxgw.faxes.needing import let_pages_go
from faxgw.faxes.policies import Tenant, tenant_of
from faxgw.faxes.sealed import SPOOL
from faxgw.learning.evidence import Seen
from faxgw.learning.keeping import Who, keep, known_of
from faxgw.model import Direction, EventType, State
from faxgw.rules.attempt import Adjustments, Attempt
from faxgw.rules.ladder import Memory, adjustments
from faxgw.rules.retry import GiveUp, RetryAt, RetryWish, next_step
from faxgw.rules.windows import Hours
from faxgw.store.tables import attempts, confirmations, destinations, documents, faxes, wraps
from faxgw.tasks.deferring import defer
from t30.outcome import Reason

log = structlog.get_logger(__name__)

INTERRUPTED = "call.interrupted"
CANCELED, CANCELED_TEXT = "call.canceled", "the fax was canceled"
MISDIRECTED = "policy.misdirect"
TAKEN = "line.taken"
STATION_IDS_KEPT = 8
NOT_STORED = "retention:not_stored"
"""The task that shreds a fax of which nothing is to be kept."""
OF_DEVICE = "devices:ended"
"""The task that deletes what a device's fax was drawn from, and tells of its result."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What a call came to.

    Attributes:
        cause: empty when every page that it was to send was confirmed.
        seen: what it has shown of the machine; None if nothing.
    """

    cause: str
    text: str = ""
    remote_id: str = ""
    rate: int | None = None
    modulation: str | None = None
    ecm: bool | None = None
    seconds: float | None = None
    connected_at: datetime | None = None
    trace_id: UUID | None = None
    seen: Seen | None = None


async def is_live(connection: AsyncConnection, attempt_id: UUID) -> bool:
    """Tell whether a call is still its holder's, and have it stay so within this transaction."""
    live = select(attempts.c.id).where(attempts.c.id == attempt_id, attempts.c.state == "live").with_for_update()
    return (await connection.execute(live)).scalar_one_or_none() is not None


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
    if ending.seen is not None:
        who = Who(Direction.OUT, number=fax["to_number"])
        await keep(connection, tenant.id, who, ending.seen)
    await _decide(connection, tenant, fax, ending)
    await wake(connection, "call")
    return True


async def _decide(connection: AsyncConnection, tenant: Tenant, fax: RowMapping, ending: Ending) -> None:
    """Bring the fax into its next state."""
    history = await history_of(connection, fax["id"])
    if fax["pages"] is not None and fax["pages_done"] >= fax["pages"]:
        # Who took the pages: an ending that nobody saw, or a call that had nothing left to send, does not know.
        before = await station_ids(connection, fax["tenant_id"], fax["to_number"])
        await _remember(connection, fax, [fax["remote_id"], *(each for each in before if each != fax["remote_id"])])
        await _finish(connection, fax, State.DELIVERED, EventType.DELIVERED, Ending(""))
    elif fax["cancel_wanted"] or ending.cause == CANCELED:
        await _finish(connection, fax, State.CANCELED, EventType.CANCELED, Ending(CANCELED, CANCELED_TEXT))
    elif ending.cause == TAKEN:
        await change(connection, fax["id"], to=State.QUEUED, event=EventType.QUEUED, next_call_at=func.now())
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
    now = datetime.now(UTC)
    match next_step(policy, history, now=now, seed=str(fax["id"]), hours=hours_of(tenant, own)):
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


def hours_of(tenant: Tenant, request: Mapping[str, Any]) -> list[Hours]:
    """Return the hours within which calls for a fax may begin, all of which must hold."""
    own = request.get("hours")
    return [tenant.policy.hours, *([Hours.model_validate(own)] if own else [])]


async def fail(connection: AsyncConnection, fax_id: UUID, reason: Reason) -> None:
    """Let a fax fail before any call for it could be made."""
    row = await change(
        connection,
        fax_id,
        to=State.FAILED,
        event=EventType.FAILED,
        data={"reason": {"code": reason.code, "text": reason.text}},
        reason_code=reason.code,
        reason_text=reason.text,
    )
    await let_go(connection, row)


async def _finish(connection: AsyncConnection, fax: RowMapping, state: State, event: EventType, ending: Ending) -> None:
    data: dict[str, Any] = {"pages": fax["pages"], "pages_done": fax["pages_done"]}
    if ending.cause:
        data["reason"] = {"code": ending.cause, "text": ending.text}
    columns: dict[str, Any] = {"reason_code": ending.cause, "reason_text": ending.text}
    await let_go(connection, await change(connection, fax["id"], to=state, event=event, data=data, **columns))


async def let_go(connection: AsyncConnection, fax: RowMapping) -> None:
    """Take away the gateway's own way to an ended fax's pages and documents, unless another fax still needs it.

    Whoever accepts a fax holds its documents or pages until it is written: they are waited for, and then looked for.
    """
    if fax["device_id"] is not None:
        batch_id = str(fax["batch_id"]) if fax["batch_id"] else None
        await defer(connection, OF_DEVICE, fax_id=str(fax["id"]), batch_id=batch_id)
    if fax["storage"] == "none":
        await defer(connection, NOT_STORED, fax_id=str(fax["id"]))
    if fax["page_set_id"] is not None:
        await let_pages_go(connection, fax["page_set_id"])
    if fax["private_id"] is not None:
        others = select(faxes.c.id).where(faxes.c.private_id == fax["private_id"], faxes.c.finished_at.is_(None))
        own = (wraps.c.object_id == fax["private_id"]) & (wraps.c.kind == SPOOL)
        await connection.execute(delete(wraps).where(own, ~others.exists()))
    named = [UUID(each) for each in fax["request"].get("documents", [])]
    if named:
        held = select(documents.c.id).where(documents.c.id.in_(named)).order_by(documents.c.id)
        await connection.execute(held.with_for_update(key_share=True))
        undrawn = faxes.c.state.in_([State.ACCEPTED.value, State.CONVERTING.value])
        this = func.jsonb_build_array(cast(documents.c.id, Text))
        waits = select(faxes.c.id).where(undrawn, faxes.c.request["documents"].op("@>")(this))
        unneeded = select(documents.c.object_id).where(documents.c.id.in_(named), ~waits.exists())
        await connection.execute(delete(wraps).where(wraps.c.kind == SPOOL, wraps.c.object_id.in_(unneeded)))


# ---------------------------------------------------------------------------------------------- what was, what is known


async def history_of(connection: AsyncConnection, fax_id: UUID) -> list[Attempt]:
    """Return the calls for a fax that are over, oldest first."""
    rows = await connection.execute(
        select(attempts)
        .where(attempts.c.fax_id == fax_id, attempts.c.state == "ended", attempts.c.cause != TAKEN)
        .order_by(attempts.c.index)
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


async def memory_of(connection: AsyncConnection, tenant: Tenant, number: str, *, at: datetime) -> Memory:
    """Return what a call to a number at a moment begins with: by what was learned of it, and laid down."""
    own = (destinations.c.tenant_id == tenant.id) & (destinations.c.number == number)
    laid_down = (await connection.execute(select(destinations.c.override).where(own))).scalar_one_or_none()
    who = Who(Direction.OUT, number=number)
    known = await known_of(connection, tenant.id, who, tenant.policy.learning, at=at)
    return known.memory(Adjustments.model_validate(laid_down) if laid_down else None)


async def adjustments_of(connection: AsyncConnection, fax: RowMapping) -> Adjustments:
    """Return what a call for a fax does otherwise than its line is set to: by what its number, and the fax, taught."""
    tenant = await tenant_of(connection, fax["tenant_id"])
    memory = await memory_of(connection, tenant, fax["to_number"], at=datetime.now(UTC))
    history = await history_of(connection, fax["id"]) if fax["dials"] else []
    return adjustments(tenant.policy.ladder, history, memory=memory)


async def station_ids(connection: AsyncConnection, tenant_id: UUID, number: str) -> list[str]:
    """Return the station ids that answered at a number when faxes of a tenant were delivered, latest first."""
    own = (destinations.c.tenant_id == tenant_id) & (destinations.c.number == number)
    return list((await connection.execute(select(destinations.c.station_ids).where(own))).scalar_one_or_none() or ())


async def _remember(connection: AsyncConnection, fax: RowMapping, ids: Sequence[str]) -> None:
    """Keep who has taken a delivered fax."""
    row = upsert(destinations).values(
        tenant_id=fax["tenant_id"], number=fax["to_number"], station_ids=list(ids[:STATION_IDS_KEPT])
    )
    news = {"station_ids": row.excluded.station_ids, "updated_at": func.now()}
    await connection.execute(row.on_conflict_do_update(index_elements=["tenant_id", "number"], set_=news))


async def unconfirmed(connection: AsyncConnection, fax: RowMapping) -> list[int]:
    """Return the pages, from 0, that the other machine has not confirmed yet."""
    rows = await connection.execute(select(confirmations.c.index).where(confirmations.c.fax_id == fax["id"]))
    confirmed = set(rows.scalars())
    return [index for index in range(fax["pages"]) if index not in confirmed]
