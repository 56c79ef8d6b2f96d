"""What a user does to faxes that were accepted: cancel, send once more, let go on; and to a whole batch."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, Uuid, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB, distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.boxes import switches
from faxgw.errors import RequestError
from faxgw.faxes.accepting import admit, spooled
from faxgw.faxes.changes import WrongState, change, event_of, tell_moved, tell_new, wake
from faxgw.faxes.counting import count
from faxgw.faxes.ending import CANCELED, CANCELED_TEXT, hours_of, let_go
from faxgw.faxes.policies import tenant_of
from faxgw.faxes.requests import Accepted
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.model import ON_LINE, Direction, EventType, State
from faxgw.rules.windows import start
from faxgw.store.tables import batches, confirmations, faxes

NOT_ON_LINE = frozenset(State) - ON_LINE
AGAIN = frozenset({State.FAILED, State.CANCELED, State.PARTIALLY_SENT, State.DELIVERED})


async def cancel(connection: AsyncConnection, fax_id: UUID) -> State:
    """Cancel a fax in whatever state it is; one that is on the line is hung up in a moment, by its node.

    Raises:
        RequestError: ``fax.unknown``; ``fax.state`` if it has ended already, or is an incoming one.
    """
    fax = await _locked(connection, fax_id)
    state = State(fax["state"])
    if state.final or fax["direction"] == Direction.IN.value:
        raise WrongState(fax_id, "canceled")
    await connection.execute(update(faxes).where(faxes.c.id == fax_id).values(cancel_wanted=True))
    if state in ON_LINE:
        await wake(connection, f"cancel {fax_id}")
        return state
    await _canceled(connection, fax)
    return State.CANCELED


async def _canceled(connection: AsyncConnection, fax: RowMapping) -> None:
    row = await change(
        connection,
        fax["id"],
        to=State.CANCELED,
        event=EventType.CANCELED,
        data={"reason": {"code": CANCELED, "text": CANCELED_TEXT}},
        came_from=NOT_ON_LINE,
        reason_code=CANCELED,
        reason_text=CANCELED_TEXT,
        drawn_with=None,
    )
    await _appoint(connection, fax["id"])
    await let_go(connection, row)


async def _appoint(connection: AsyncConnection, fax_id: UUID) -> None:
    """If others were to share the pages of this fax, have another of them drawn, and let the rest share its pages."""
    following = select(faxes.c.id).where(faxes.c.drawn_with == fax_id).order_by(faxes.c.id).limit(1)
    successor = (await connection.execute(following)).scalar_one_or_none()
    if successor is not None:
        await connection.execute(update(faxes).where(faxes.c.drawn_with == fax_id).values(drawn_with=successor))
        await connection.execute(update(faxes).where(faxes.c.id == successor).values(drawn_with=None))
        await wake(connection, "draw")


async def release(connection: AsyncConnection, fax_id: UUID) -> State:
    """Let a held fax go on, at its hours: whoever answers at its number is the right one.

    Raises:
        RequestError: ``fax.unknown``; ``fax.state`` if it is not held; ``schedule.never``.
    """
    fax = await _locked(connection, fax_id)
    if fax["state"] != State.HELD.value:
        raise WrongState(fax_id, "released")
    tenant = await tenant_of(connection, fax["tenant_id"])
    now = datetime.now(UTC)
    at = start(None, now=now, hours=hours_of(tenant, fax["request"]), days=0)
    plan = fax["plan"] | {"trusted": True}
    columns = {"plan": plan, "mark": "", "reason_code": "", "reason_text": "", "next_call_at": at}
    state = State.SCHEDULED if at > now else State.QUEUED
    await change(connection, fax_id, to=state, event=EventType.RELEASED, data={"at": at.isoformat()}, **columns)
    await wake(connection, "call")
    return state


async def resend(connection: AsyncConnection, gateway: Gateway, actor: Actor, fax_id: UUID) -> Accepted:
    """Send a fax that has ended once more, as a fax of its own: of one that was sent in part, only what was missing.

    Raises:
        RequestError: ``fax.unknown``; ``fax.state`` if it has not ended, or had no pages; ``key.locked`` if this API
            key cannot open them; ``number.*`` and ``quota.*`` as for a new one.
    """
    fax = await _locked(connection, fax_id)
    if fax["shredded_at"] is not None or (fax["storage"] == "none" and fax["finished_at"] is not None):
        raise RequestError("content.gone", f"The content of the fax {fax_id} was deleted for good.")
    if State(fax["state"]) not in AGAIN or fax["page_set_id"] is None or fax["direction"] == Direction.IN.value:
        raise WrongState(fax_id, "sent again")
    partial = fax["state"] == State.PARTIALLY_SENT.value
    tenant = await tenant_of(connection, fax["tenant_id"])
    allow = tenant.policy.allow_forwarding
    await switches.check_not_passed_on(connection, fax["page_set_id"], allow_forwarding=allow)
    await admit(connection, tenant, [fax["to_number"]])
    left = fax["pages"] - (fax["pages_done"] if partial else 0)
    await count(connection, actor, tenant, pages=left, calls=1, now=datetime.now(UTC))
    await spooled(connection, gateway, actor, fax["page_set_id"], private_id=fax["private_id"])
    taken_over = (
        "tenant_id",
        "direction",
        "box_id",
        "page_set_id",
        "private_id",
        "from_number",
        "to_number",
        "subaddress",
        "pages",
        "priority",
    )
    new = {name: fax[name] for name in (*taken_over, "labels")}
    again = {name: value for name, value in fax["request"].items() if name != "send_at"}
    new |= {"id": new_id(), "state": State.ACCEPTED.value, "request": again}
    new |= {"user_id": fax["user_id"], "api_key_id": actor.api_key_id}
    new |= {"storage": tenant.policy.storage, "erase_at": fax["erase_at"]}
    said = {"state": State.ACCEPTED.value, "again": str(fax_id)}
    await tell_new(connection, new, [(EventType.ACCEPTED, said)], work="draw")
    if partial:
        await _take_over(connection, fax, new["id"])
    return Accepted(id=new["id"], state=State.ACCEPTED.value)


async def _take_over(connection: AsyncConnection, fax: RowMapping, new_fax: UUID) -> None:
    """Count the pages that were confirmed for a fax as confirmed for its successor."""
    columns = [column for column in confirmations.c if column.name != "fax_id"]
    rows = select(literal(new_fax, Uuid), *columns).where(confirmations.c.fax_id == fax["id"])
    await connection.execute(insert(confirmations).from_select(["fax_id", *(each.name for each in columns)], rows))
    await connection.execute(update(faxes).where(faxes.c.id == new_fax).values(pages_done=fax["pages_done"]))


# ------------------------------------------------------------------------------------------------------------- batches


async def pause_batch(connection: AsyncConnection, batch_id: UUID) -> str:
    """Begin no more calls for a batch; those that are on the line go on.

    Raises:
        RequestError: ``batch.unknown``; ``batch.state`` if it was canceled.
    """
    return await _set_batch(connection, batch_id, "paused")


async def resume_batch(connection: AsyncConnection, batch_id: UUID) -> str:
    """Go on with a paused batch.

    Raises:
        RequestError: ``batch.unknown``; ``batch.state`` if it was canceled.
    """
    state = await _set_batch(connection, batch_id, "running")
    await wake(connection, "call")
    return state


async def cancel_batch(connection: AsyncConnection, batch_id: UUID) -> str:
    """Cancel every fax of a batch that has not ended.

    Raises:
        RequestError: ``batch.unknown``; ``batch.state`` if it was canceled before.
    """
    state = await _set_batch(connection, batch_id, "canceled")
    own = select(faxes.c.id).where(faxes.c.batch_id == batch_id, faxes.c.finished_at.is_(None)).order_by(faxes.c.id)
    await connection.execute(select(func.count()).select_from(own.with_for_update().subquery()))
    live = faxes.c.batch_id == batch_id, faxes.c.finished_at.is_(None)
    on_line = faxes.c.state.in_([each.value for each in ON_LINE])
    calling = update(faxes).where(*live, on_line).values(cancel_wanted=True).returning(faxes.c.id)
    on_lines = set((await connection.execute(calling)).scalars())
    columns: dict[str, Any] = {
        "state": State.CANCELED.value,
        "finished_at": func.now(),
        "next_call_at": None,
        "drawn_with": None,
        "cancel_wanted": True,
        "version": faxes.c.version + 1,
        "reason_code": CANCELED,
        "reason_text": CANCELED_TEXT,
    }
    ended_now = update(faxes).where(*live, ~on_line).values(columns).returning(faxes.c.id, faxes.c.tenant_id)
    said = {"state": State.CANCELED.value, "reason": {"code": CANCELED, "text": CANCELED_TEXT}}
    await tell_moved(
        connection,
        ended_now,
        lambda moved: [event_of(moved, literal(EventType.CANCELED.value), literal(said, JSONB))],
    )
    ended = faxes.c.batch_id == batch_id, faxes.c.state == State.CANCELED.value
    one_of_each = select(faxes).where(*ended).ext(distinct_on(faxes.c.page_set_id)).order_by(faxes.c.page_set_id)
    for row in (await connection.execute(one_of_each)).mappings().all():
        await let_go(connection, row)
    for fax_id in on_lines:
        await wake(connection, f"cancel {fax_id}")
    return state


async def _set_batch(connection: AsyncConnection, batch_id: UUID, state: str) -> str:
    statement = (
        update(batches)
        .where(batches.c.id == batch_id, batches.c.state != "canceled")
        .values(state=state, version=batches.c.version + 1)
        .returning(batches.c.state)
    )
    changed: str | None = (await connection.execute(statement)).scalar_one_or_none()
    if changed is not None:
        return changed
    known = (await connection.execute(select(batches.c.id).where(batches.c.id == batch_id))).scalar_one_or_none()
    if known is None:
        raise RequestError("batch.unknown", f"There is no batch {batch_id}.")
    raise RequestError("batch.state", f"The batch {batch_id} was canceled; what is canceled stays so.")


async def _locked(connection: AsyncConnection, fax_id: UUID) -> RowMapping:
    row = (
        (await connection.execute(select(faxes).where(faxes.c.id == fax_id).with_for_update())).mappings().one_or_none()
    )
    if row is None:
        raise RequestError("fax.unknown", f"There is no fax {fax_id}.")
    return row
