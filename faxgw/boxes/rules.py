"""Rules of a box: what comes in from certain numbers lies in another box as well.

Its pages are sealed to both boxes as they come, since afterwards the gateway could not open them; its fax is written
down in the other box when the call is over. Where nothing is stored they are sealed to no box: then the fax waits in
both to be collected.
"""

from collections.abc import Set
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw import copies
from faxgw.audit import record
from faxgw.boxes.access import allowed
from faxgw.boxes.copying import copy_into
from faxgw.boxes.ways import BOX
from faxgw.faxes.keeping import NONE
from faxgw.faxes.needing import SPOOL
from faxgw.store.tables import box_keys, forwarding_rules, pages, wraps


async def leading_to(connection: AsyncConnection, box_id: UUID, caller: str) -> Set[UUID]:
    """Return the boxes that a fax from ``caller`` into this one is forwarded to, as the policy allows now."""
    return {row.to_box_id for row in await connection.execute(_leading(box_id, caller))}


async def forward_received(connection: AsyncConnection, fax: RowMapping) -> list[UUID]:
    """Write a received fax down in the boxes that rules lead to, if all of its pages can be opened there.

    Return its ids there.

    It is the same whoever ends the call: the node that took it, or another one after its death.
    """
    made, targets = [], await leading_to(connection, fax["box_id"], fax["from_number"])
    for box_id in sorted(targets):
        if await _opens_in(connection, fax, box_id):
            new = await copy_into(connection, fax, box_id)
            made.append(new)
            await copies.note(connection, fax_id=fax["id"], kind="forward", to=f"box:{box_id}")
            said: dict[str, Any] = {"box": str(box_id), "new": str(new), "by": "rule"}
            await record(
                connection,
                tenant_id=fax["tenant_id"],
                actor="service",
                action="fax.forwarded",
                object="fax",
                object_id=fax["id"],
                data=said,
            )
    return made


def _leading(box_id: UUID, caller: str) -> Select[tuple[UUID]]:
    rule = forwarding_rules.c
    mine = (rule.box_id == box_id) & func.starts_with(caller, rule.prefix)
    return select(rule.to_box_id).where(mine, allowed("allow_forwarding", rule.tenant_id)).distinct()


async def _opens_in(connection: AsyncConnection, fax: RowMapping, box_id: UUID) -> bool:
    """Tell whether each page was sealed to a box, or waits with the gateway until it is collected.

    A page of either kind may be in one fax: whether anything is stored can be changed in mid call.
    """
    keys = select(box_keys.c.key_id).where(box_keys.c.box_id == box_id)
    way = (wraps.c.kind == BOX) & wraps.c.key_id.in_(keys)
    if fax["storage"] == NONE:
        way |= wraps.c.kind == SPOOL
    there = select(wraps.c.object_id).where(wraps.c.object_id == pages.c.object_id, way)
    missing = select(func.count()).select_from(pages).where(pages.c.page_set_id == fax["page_set_id"], ~there.exists())
    return bool((await connection.execute(missing)).scalar_one() == 0)
