"""Puts an event on its way to every webhook that asks for it, in the transaction that wrote the event."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import BigInteger, Select, Uuid, column, func, insert, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.ids import new_id
from faxgw.store.tables import deliveries, webhooks
from faxgw.tasks.deferring import defer
from faxgw.webhooks.patterns import asked_for

DELIVER = "webhooks:deliver"
"""The task that sends what is waiting for some webhooks."""

MAX_WEBHOOKS = 20
"""Of one tenant: what one event may cause."""


async def enqueue(connection: AsyncConnection, *, tenant_id: UUID, event_id: int, type: str) -> None:
    """Insert a delivery for every webhook that wants the event, and the job that sends them: two statements at most.

    Args:
        connection: the open transaction that wrote the event, of its tenant or of the dispatcher.
        tenant_id: whose event it is.
        event_id: of its row.
        type: its name, ``fax.delivered``.
    """
    index = func.row_number().over(order_by=webhooks.c.id).label("index")
    wanted = _asking(tenant_id, type).add_columns(index).subquery()
    ids = func.unnest(literal([new_id() for _ in range(MAX_WEBHOOKS)], ARRAY(Uuid)))
    named = ids.table_valued(column("id", Uuid), with_ordinality="index").render_derived(name="named")
    statement = (
        insert(deliveries)
        .from_select(
            ["id", "tenant_id", "webhook_id", "event_id", "next_at"],
            select(named.c.id, literal(tenant_id), wanted.c.id, literal(event_id, BigInteger), func.now()).where(
                named.c.index == wanted.c.index
            ),
        )
        .returning(deliveries.c.webhook_id)
    )
    found = (await connection.scalars(statement)).all()
    if found:
        await wake(connection, found)


async def enqueue_each(connection: AsyncConnection, *, tenant_id: UUID, event_ids: Sequence[int], type: str) -> None:
    """Do the same for many events of one tenant and type: three statements at most."""
    found = (await connection.scalars(_asking(tenant_id, type))).all()
    if not found or not event_ids:
        return
    rows = [
        {"id": new_id(), "tenant_id": tenant_id, "webhook_id": webhook_id, "event_id": event_id}
        for event_id in event_ids
        for webhook_id in found
    ]
    await connection.execute(insert(deliveries).values(next_at=func.now()), rows)
    await wake(connection, found)


async def wake(connection: AsyncConnection, webhook_ids: Sequence[UUID]) -> None:
    """Have the deliveries that wait for these webhooks sent once this transaction is committed."""
    await defer(connection, DELIVER, webhook_ids=[str(each) for each in webhook_ids])


def _asking(tenant_id: UUID, type: str) -> Select[UUID]:
    """Select the webhooks of a tenant that ask for events of a type."""
    asking = (webhooks.c.tenant_id == tenant_id, webhooks.c.enabled, asked_for(type))
    return select(webhooks.c.id).where(*asking).order_by(webhooks.c.id).limit(MAX_WEBHOOKS)
