"""Who is told of what happens to the escrow: everybody of its policy, those whom it concerns of each request."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, or_
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.escrow.requests import concerned
from faxgw.faxes.changes import tell
from faxgw.model import EventType
from faxgw.store.tables import events

Row = Mapping[Any, Any]


async def tell_everybody(connection: AsyncConnection, tenant_id: UUID, *, on: bool) -> None:
    """Tell all members, and webhooks, that the escrow is another one."""
    await tell(connection, tenant_id, None, EventType.ESCROW_CHANGED, {"state": "on" if on else "off"})


async def tell_concerned(connection: AsyncConnection, row: Row, event: EventType, *, by: UUID | None) -> None:
    """Tell the trustees, the box's owner and readers, whoever asked, and webhooks, of a request.

    ``row`` is the request's; ``by``: who did it; None: nobody, its time was up.
    """
    notified = sorted(str(each) for each in await concerned(connection, row))
    ids = {"request": str(row["id"]), "box": str(row["box_id"]), "by": None if by is None else str(by)}
    await tell(connection, row["tenant_id"], None, event, {"state": row["state"], **ids, "notified": notified})


def told_to(user_id: UUID) -> ColumnElement[bool]:
    """Return whether a row of ``events`` tells somebody of the escrow."""
    mine = events.c.data["notified"].contains([str(user_id)])
    return events.c.type.startswith("escrow.") & or_(events.c.type == EventType.ESCROW_CHANGED.value, mine)
