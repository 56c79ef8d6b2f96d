"""A fax in another box: a row of its own, of the same pages, that names the one it was forwarded from."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.boxes.ways import BOX
from faxgw.faxes.changes import tell, tell_new
from faxgw.faxes.keeping import NONE
from faxgw.ids import new_id
from faxgw.model import Direction, EventType, State
from faxgw.store.tables import box_keys, boxes, faxes, pages, wraps

TAKEN_OVER = ("tenant_id", "page_set_id", "from_number", "to_number", "remote_id", "line", "pages", "mark")


async def copy_into(connection: AsyncConnection, fax: RowMapping, box_id: UUID) -> UUID:
    """Write an ended fax down in another box, to which its pages are sealed, as received; return its id there.

    One of which nothing is stored waits there for as long as the first one does. ``connection`` has locked the fax.
    """
    owner = (await connection.execute(select(boxes.c.owner_id).where(boxes.c.id == box_id))).scalar_one()
    partial = fax["state"] == State.PARTIALLY_RECEIVED.value
    state = State.PARTIALLY_RECEIVED if partial else State.RECEIVED
    new: dict[str, Any] = {name: fax[name] for name in TAKEN_OVER}
    new |= {"id": new_id(), "direction": Direction.IN.value, "state": state.value, "user_id": owner, "box_id": box_id}
    new |= {"pages_done": fax["pages"], "forwarded_from": fax["id"], "finished_at": datetime.now(UTC)}
    if fax["storage"] == NONE:
        new |= {"storage": NONE, "erase_at": fax["erase_at"]}
    event = EventType.PARTIALLY_RECEIVED if partial else EventType.RECEIVED
    said = {"state": state.value, "pages": fax["pages"], "forwarded_from": str(fax["id"])}
    await tell_new(connection, new, [(event, said)], work="draw")
    await tell(connection, fax["tenant_id"], fax["id"], EventType.FORWARDED, {"state": fax["state"], "to": str(box_id)})
    created: UUID = new["id"]
    return created


async def take_out(connection: AsyncConnection, fax_ids: Collection[UUID]) -> None:
    """Delete the ways into pages that other faxes keep from boxes in which no other fax has them.

    ``connection`` has locked the faxes, which are about to lose their content.
    """
    going, other = faxes.alias("going"), faxes.alias("other")
    ids = list(fax_ids)
    there = select(other.c.id).where(
        other.c.page_set_id == going.c.page_set_id, other.c.box_id == going.c.box_id, other.c.id.not_in(ids)
    )
    left = (
        select(pages.c.object_id, box_keys.c.key_id)
        .join(going, going.c.page_set_id == pages.c.page_set_id)
        .join(box_keys, box_keys.c.box_id == going.c.box_id)
        .where(going.c.id.in_(ids), ~there.correlate(going).exists())
    )
    own = tuple_(wraps.c.object_id, wraps.c.key_id).in_(left)
    await connection.execute(delete(wraps).where(wraps.c.kind == BOX, own))
