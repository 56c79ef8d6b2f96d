"""Rules of a box: what comes in from certain numbers is delivered to a target outside.

Its pages get a wrap of the gateway's own as they come, since afterwards the gateway could not open them; the parcels
are written down when the call is over, by the rules that hold then.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.boxes.access import allowed
from faxgw.delivery import queue
from faxgw.delivery.queue import FAX
from faxgw.faxes.needing import SPOOL, let_pages_go
from faxgw.store.tables import delivery_rules, faxes, pages, targets, wraps


def holds() -> ColumnElement[bool]:
    """Return whether the rule of a row of ``delivery_rules`` holds now, as the policy and its target say."""
    kept = select(targets.c.id).where(targets.c.id == delivery_rules.c.target_id, targets.c.retired_at.is_(None))
    return allowed("allow_forwarding", delivery_rules.c.tenant_id) & kept.correlate(delivery_rules).exists()


async def may_deliver(connection: AsyncConnection, box_ids: Collection[UUID], caller: str) -> bool:
    """Tell whether a rule of these boxes delivers what comes from ``caller``."""
    rule = delivery_rules.c
    fits = rule.box_id.in_(box_ids) & func.starts_with(caller, rule.prefix)
    return (await connection.execute(select(rule.id).where(fits, holds()).limit(1))).first() is not None


async def deliver_received(connection: AsyncConnection, fax_ids: Collection[UUID]) -> None:
    """Put received faxes, which are copies of each other, on their way to the targets of their boxes' rules.

    It is the same whoever ends the call: the node that took it, or another one after its death. A rule that was made
    in mid call, when pages had come already, is for the next one.
    """
    mine = select(faxes.c.id, faxes.c.tenant_id, faxes.c.box_id, faxes.c.from_number, faxes.c.page_set_id)
    rows = (await connection.execute(mine.where(faxes.c.id.in_(fax_ids)).order_by(faxes.c.id))).mappings().all()
    if not rows or await _lacks_wraps(connection, rows[0]["page_set_id"]):
        return
    for fax in rows:
        for rule in await _leading(connection, fax):
            await put_fax(connection, fax, rule["target_id"], format=rule["format"])
    await let_pages_go(connection, rows[0]["page_set_id"])


async def put_fax(connection: AsyncConnection, fax: Any, target_id: UUID, *, format: str) -> UUID | None:
    """Put a fax on its way to a target, once; None if it was before. ``fax`` is a row with ``id`` and ``tenant_id``."""
    ids = {"fax_id": fax["id"], "target_id": target_id}
    return await queue.put(connection, fax["tenant_id"], FAX, fax_key(fax["id"], target_id), format=format, **ids)


def fax_key(fax_id: UUID, target_id: UUID) -> str:
    """Return by what there is one parcel of a fax for a target."""
    return f"{fax_id}:{target_id}"


async def _leading(connection: AsyncConnection, fax: RowMapping) -> Collection[RowMapping]:
    rule = delivery_rules.c
    mine = (rule.box_id == fax["box_id"]) & func.starts_with(fax["from_number"], rule.prefix)
    found = select(rule.target_id, rule.format).where(mine, holds()).order_by(rule.id)
    return (await connection.execute(found)).mappings().all()


async def _lacks_wraps(connection: AsyncConnection, page_set_id: UUID) -> bool:
    there = select(wraps.c.object_id).where(wraps.c.object_id == pages.c.object_id, wraps.c.kind == SPOOL)
    lacking = select(pages.c.object_id).where(pages.c.page_set_id == page_set_id, ~there.exists())
    return (await connection.execute(lacking.limit(1))).first() is not None
