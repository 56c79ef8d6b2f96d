"""Deliveries as rows: which are due, which is ours to send now, and what became of it.

A claim is a lease: while it lasts nobody else sends that delivery, and whoever dies with one loses it. ``tries`` is its
fencing token: what became of a try is written only while no later one was begun.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Insert, RowMapping, Update, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.audit.following import recorded
from faxgw.store.tables import deliveries, events, faxes, webhooks

WAITING, SUCCEEDED, FAILED = "waiting", "succeeded", "failed"

_waiting = deliveries.alias("waiting")
_IS_DUE = (
    _waiting.c.state == WAITING,
    _waiting.c.next_at <= func.now(),
    webhooks.c.enabled,
    webhooks.c.id == _waiting.c.webhook_id,
)
_TOLD = (events.c.type, events.c.fax_id)
_OF_WEBHOOK = (webhooks.c.url, webhooks.c.signature, webhooks.c.full, webhooks.c.secret, webhooks.c.old_secret)
_OF_EVENT = (events.c.type, events.c.at, events.c.data, events.c.personal, events.c.fax_id)
_OF_FAX = (
    *(faxes.c.direction, faxes.c.box_id, faxes.c.batch_id, faxes.c.from_number, faxes.c.to_number),
    *(faxes.c.remote_id, faxes.c.reason_code, faxes.c.reason_text, faxes.c.labels),
)


async def due(connection: AsyncConnection) -> Sequence[UUID]:
    """Return the webhooks for which something is to be sent now."""
    return (await connection.scalars(select(_waiting.c.webhook_id).where(*_IS_DUE).distinct())).all()


async def claim(connection: AsyncConnection, webhook_id: UUID, *, lease: float) -> RowMapping | None:
    """Take the delivery of a webhook that has been due for the longest, for ``lease`` seconds; None when none is.

    The row has the delivery, its webhook, its event and its fax; ``tries`` counts this one.
    """
    oldest = (
        select(_waiting.c.id)
        .where(*_IS_DUE, _waiting.c.webhook_id == webhook_id)
        .order_by(_waiting.c.next_at)
        .limit(1)
        .with_for_update(skip_locked=True, of=_waiting)
    )
    ours = (
        update(deliveries)
        .where(deliveries.c.id == oldest.scalar_subquery())
        .values(tries=deliveries.c.tries + 1, next_at=func.now() + timedelta(seconds=lease))
        .returning(deliveries.c.id, deliveries.c.webhook_id, deliveries.c.event_id, deliveries.c.tries)
        .cte("ours")
    )
    old_counts = (webhooks.c.old_secret_until > func.now()).label("old_secret_counts")
    statement = (
        select(ours, *_OF_WEBHOOK, old_counts, *_OF_EVENT, *_OF_FAX)
        .join(webhooks, webhooks.c.id == ours.c.webhook_id)
        .join(events, events.c.id == ours.c.event_id)
        .outerjoin(faxes, faxes.c.id == events.c.fax_id)
    )
    return (await connection.execute(statement)).mappings().one_or_none()


async def succeeded(connection: AsyncConnection, row: RowMapping, status: int) -> None:
    """Note that the receiver has it."""
    values = {"state": SUCCEEDED, "status": status, "error": "", "ended_at": func.now(), "next_at": None}
    await connection.execute(_ended(_of_this_try(row).values(values), "webhook.delivered"))


async def again(connection: AsyncConnection, row: RowMapping, status: int | None, error: str, *, wait: float) -> None:
    """Note that this try went wrong, and when the next one is due."""
    values = {"status": status, "error": error, "next_at": func.now() + timedelta(seconds=wait)}
    await connection.execute(_of_this_try(row).values(values))


async def failed(connection: AsyncConnection, row: RowMapping, status: int | None, error: str) -> None:
    """Note that this was the last try."""
    values = {"state": FAILED, "status": status, "error": error, "ended_at": func.now(), "next_at": None}
    await connection.execute(_ended(_of_this_try(row).values(values), "webhook.failed"))


async def gone(connection: AsyncConnection, row: RowMapping, status: int, error: str) -> None:
    """Note that the receiver wants nothing any more: its webhook is disabled, and all that waits for it has failed."""
    disabled = update(webhooks).where(webhooks.c.id == row["webhook_id"], webhooks.c.url == row["url"])
    await connection.execute(disabled.values(enabled=False, version=webhooks.c.version + 1))
    waiting = update(deliveries).where(deliveries.c.webhook_id == row["webhook_id"], deliveries.c.state == WAITING)
    values = {"state": FAILED, "status": status, "error": error, "ended_at": func.now(), "next_at": None}
    await connection.execute(_ended(waiting.values(values), "webhook.failed"))


def _ended(ended: Update, action: str) -> Insert:
    """Have what ends deliveries tell the audit log of each."""
    done = ended.returning(deliveries).cte("done")
    event = [select(each).where(events.c.id == done.c.event_id).scalar_subquery() for each in _TOLD]
    said: dict[str, ColumnElement[Any]] = {"delivery": done.c.id, "tries": done.c.tries, "status": done.c.status}
    said |= {"event": event[0], "fax": event[1]}
    return recorded(done, action=action, object="webhook", object_id=done.c.webhook_id, data=said)


def _of_this_try(row: RowMapping) -> Update:
    return update(deliveries).where(
        deliveries.c.id == row["id"], deliveries.c.tries == row["tries"], deliveries.c.state == WAITING
    )
