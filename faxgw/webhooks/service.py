"""What people do with webhooks: make, change, rotate, test and replay; each within a transaction of the tenant."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, RowMapping, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.config import Config
from faxgw.errors import RequestError
from faxgw.ids import new_id
from faxgw.keys.tokens import ServerKeys
from faxgw.model import EventType
from faxgw.store.tables import deliveries, events, webhooks
from faxgw.webhooks import signing
from faxgw.webhooks.claiming import FAILED, WAITING
from faxgw.webhooks.egress import MAX_URL, checked_url
from faxgw.webhooks.enqueue import MAX_WEBHOOKS, wake
from faxgw.webhooks.patterns import known
from faxgw.webhooks.secrets import sealed

SHOWN = tuple(column for column in webhooks.c if column.name not in ("secret", "old_secret"))
"""What may be told of a webhook."""

MAX_OVERLAP = 24 * 7
"""Hours that an old secret may be good for after a rotation."""


class Parts(Protocol):
    """What is needed of a ``Gateway``."""

    config: Config
    server_keys: ServerKeys


class WebhookRequest(BaseModel):
    """A webhook as it is to be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[
        str,
        Field(
            max_length=MAX_URL,
            description="Where events are posted: https, a public address.",
            examples=["https://example.com/hooks/fax"],
        ),
    ]
    events: Annotated[
        tuple[str, ...],
        Field(
            min_length=1,
            max_length=32,
            examples=[["fax.delivered", "fax.failed"]],
            description="What is sent: types of events, a family such as fax.*, or * for everything.",
        ),
    ] = ("*",)
    signature: Annotated[
        Literal["v1", "v1a"],
        Field(description="v1: HMAC-SHA256 by a secret that the receiver has; v1a: Ed25519, by our published key."),
    ] = "v1"
    full: Annotated[
        bool,
        Field(
            description="Whether messages have numbers, station id, reason and labels, too, and not ids and state only."
        ),
    ] = False
    enabled: Annotated[bool, Field(description="Whether anything is sent; what is due meanwhile waits.")] = True


async def create(
    connection: AsyncConnection, gateway: Parts, actor: Actor, request: WebhookRequest
) -> tuple[RowMapping, str]:
    """Make a webhook; return its row and its secret, which nobody is shown again (empty for v1a, which needs none).

    Raises:
        RequestError: ``webhook.url``, ``webhook.address``, ``webhook.events``, ``webhook.too_many``.
    """
    values = _values(gateway, request)
    if (await connection.scalar(select(func.count()).select_from(webhooks)) or 0) >= MAX_WEBHOOKS:
        raise RequestError("webhook.too_many", f"There are {MAX_WEBHOOKS} webhooks, the most there may be: delete one.")
    webhook_id, secret = new_id(), signing.new_secret()
    ids = {"id": webhook_id, "tenant_id": actor.tenant_id, "user_id": actor.user_id}
    statement = insert(webhooks).values(**ids, **values, secret=sealed(gateway.server_keys, webhook_id, secret))
    row = (await connection.execute(statement.returning(*SHOWN))).mappings().one()
    return row, "" if request.signature == "v1a" else signing.shown(secret)


async def change(
    connection: AsyncConnection, gateway: Parts, webhook_id: UUID, request: WebhookRequest, *, version: int
) -> RowMapping | None:
    """Change a webhook of that version; return its row, or None when there is none.

    Raises:
        RequestError: as ``create``.
    """
    values = {**_values(gateway, request), "version": version + 1}
    statement = update(webhooks).where(webhooks.c.id == webhook_id, webhooks.c.version == version).values(values)
    return (await connection.execute(statement.returning(*SHOWN))).mappings().one_or_none()


async def rotate(connection: AsyncConnection, gateway: Parts, webhook_id: UUID, *, hours: float) -> str | None:
    """Give a webhook another secret and return it; messages are signed by the old one, too, for so many hours more.

    Raises:
        RequestError: ``webhook.overlap`` for hours out of range; ``webhook.signature`` when it has no secret.
    """
    if not 0 <= hours <= MAX_OVERLAP:
        raise RequestError("webhook.overlap", f"The old secret may be good for 0 to {MAX_OVERLAP} hours more.")
    found = select(webhooks.c.signature).where(webhooks.c.id == webhook_id).with_for_update()
    signature = await connection.scalar(found)
    if signature is None:
        return None
    if signature == "v1a":
        raise RequestError(
            "webhook.signature", "This webhook is signed by the server's key; it has no secret to rotate."
        )
    secret = signing.new_secret()
    values = {
        "old_secret": webhooks.c.secret,
        "old_secret_until": func.now() + timedelta(hours=hours),
        "secret": sealed(gateway.server_keys, webhook_id, secret),
        "version": webhooks.c.version + 1,
    }
    await connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(values))
    return signing.shown(secret)


async def test(connection: AsyncConnection, webhook_id: UUID) -> UUID | None:
    """Send a webhook a message that tells of nothing, once; return the id of its delivery, None without a webhook.

    Raises:
        RequestError: ``webhook.disabled``.
    """
    found = select(webhooks.c.tenant_id, webhooks.c.enabled).where(webhooks.c.id == webhook_id)
    row = (await connection.execute(found)).one_or_none()
    if row is None:
        return None
    if not row.enabled:
        raise RequestError("webhook.disabled", "The webhook is disabled: enable it first.")
    event = insert(events).values(tenant_id=row.tenant_id, type=EventType.TEST.value, data={})
    event_id = await connection.scalar(event.returning(events.c.id))
    delivery_id = new_id()
    ids = {"id": delivery_id, "tenant_id": row.tenant_id, "webhook_id": webhook_id, "event_id": event_id}
    await connection.execute(insert(deliveries).values(**ids, next_at=func.now()))
    await wake(connection, [webhook_id])
    return delivery_id


async def replay(connection: AsyncConnection, webhook_id: UUID, delivery_id: UUID) -> bool:
    """Send a delivery that has ended once more, under the id that it had; False when there is none."""
    return bool(await _again(connection, webhook_id, deliveries.c.id == delivery_id, deliveries.c.state != WAITING))


async def replay_failed(connection: AsyncConnection, webhook_id: UUID, since: datetime) -> int:
    """Send everything once more that was to be sent since then and has failed; return how much that is."""
    return await _again(connection, webhook_id, deliveries.c.created_at >= since, deliveries.c.state == FAILED)


async def _again(connection: AsyncConnection, webhook_id: UUID, *which: ColumnElement[bool]) -> int:
    values = {"state": WAITING, "tries": 0, "next_at": func.now(), "ended_at": None, "error": "", "status": None}
    statement = update(deliveries).where(deliveries.c.webhook_id == webhook_id, *which).values(values)
    found: Sequence[UUID] = (await connection.scalars(statement.returning(deliveries.c.id))).all()
    if found:
        await wake(connection, [webhook_id])
    return len(found)


def _values(gateway: Parts, request: WebhookRequest) -> dict[str, object]:
    return {
        **request.model_dump(exclude={"url", "events"}),
        "url": checked_url(request.url, gateway.config.webhooks.allow_private),
        "events": [known(pattern) for pattern in dict.fromkeys(request.events)],
    }
