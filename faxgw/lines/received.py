"""What an incoming call comes to: its fax is received, in part perhaps, or has failed."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.boxes.rules import forward_received
from faxgw.delivery.rules import deliver_received
from faxgw.faxes.changes import change
from faxgw.model import EventType, State
from faxgw.store.tables import attempts, faxes


def _no_mark(_pages_done: int) -> str:
    return ""


async def end_incoming(
    connection: AsyncConnection,
    attempt_id: UUID,
    *,
    whole: bool,
    mark: Callable[[int], str] = _no_mark,
    **values: Any,
) -> None:
    """End the attempt of an incoming call, if it is still live, and its fax with it.

    ``mark`` says by the number of its pages what the fax is marked with.
    """
    live = (attempts.c.id == attempt_id) & (attempts.c.state == "live")
    ended = update(attempts).where(live).values(state="ended", lease_until=None, ended_at=func.now(), **values)
    attempt = (await connection.execute(ended.returning(attempts))).mappings().one_or_none()
    if attempt is None:
        return
    locked = select(faxes).where(faxes.c.id == attempt["fax_id"]).with_for_update()
    fax = (await connection.execute(locked)).mappings().one()
    done, cause, text = fax["pages_done"], attempt["cause"], attempt["cause_text"]
    state, event = _verdict(done, whole=whole)
    marked = mark(done) if done else ""
    data: dict[str, Any] = {"pages": done} | ({"mark": marked} if marked else {})
    if cause:
        data["reason"] = {"code": cause, "text": text}
    columns = {"pages": done, "reason_code": cause, "reason_text": text, "mark": marked}
    await connection.execute(update(attempts).where(attempts.c.id == attempt_id).values(pages=done))
    ended_fax = await change(connection, fax["id"], to=state, event=event, data=data, **columns)
    if done:
        forwarded = await forward_received(connection, ended_fax)
        await deliver_received(connection, [ended_fax["id"], *forwarded])


def _verdict(pages_done: int, *, whole: bool) -> tuple[State, EventType]:
    if not pages_done:
        return State.FAILED, EventType.FAILED
    if whole:
        return State.RECEIVED, EventType.RECEIVED
    return State.PARTIALLY_RECEIVED, EventType.PARTIALLY_RECEIVED
