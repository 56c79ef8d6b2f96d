"""Forwarding by hand: to another box, sealed to its key, or to a number, as a fax of the same pages.

It takes somebody who opens the pages: the gateway by itself cannot pass them on.
"""

from uuid import UUID

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw import copies
from faxgw.actor import Actor
from faxgw.audit import record
from faxgw.boxes import switches
from faxgw.boxes.access import may
from faxgw.boxes.copying import copy_into
from faxgw.boxes.keys import sealing_key
from faxgw.boxes.ways import ways_to
from faxgw.errors import RequestError
from faxgw.faxes.accepting import Held, accept, spooled
from faxgw.faxes.changes import WrongState, tell
from faxgw.faxes.content import unlock
from faxgw.faxes.requests import Accepted, FaxRequest
from faxgw.faxes.sealed import not_sealed, put_into
from faxgw.gateway import Gateway
from faxgw.model import EventType, State
from faxgw.store.tables import boxes, faxes, pages


async def forward_to_box(connection: AsyncConnection, actor: Actor, fax_id: UUID, box_id: UUID) -> Accepted:
    """Put a fax that has ended into another box of the tenant, where it is a fax of its own.

    Raises:
        RequestError: ``policy.denied``, ``fax.unknown``, ``fax.state``, ``content.gone``, ``box.unknown``,
            ``key.locked``.
    """
    fax = await _ended(connection, actor.tenant_id, fax_id)
    if (await connection.execute(select(boxes.c.id).where(boxes.c.id == box_id))).first() is None:
        raise RequestError("box.unknown", f"There is no box {box_id}.")
    key = await unlock(connection, actor)
    own = select(pages.c.object_id).where(pages.c.page_set_id == fax["page_set_id"])
    object_ids = (await connection.execute(own)).scalars().all()
    ways = await ways_to(connection, key, tenant_id=actor.tenant_id, object_ids=object_ids)
    if not object_ids or not set(ways) >= set(object_ids):
        raise not_sealed()
    deks = [(each, ways.dek(each)) for each in object_ids]
    await put_into(connection, await sealing_key(connection, box_id), deks, tenant_id=actor.tenant_id)
    new = await copy_into(connection, fax, box_id)
    await _note(connection, actor, fax, new, to=f"box:{box_id}")
    return Accepted(id=new, state=State.RECEIVED.value)


async def forward_to_number(
    connection: AsyncConnection, gateway: Gateway, actor: Actor, fax_id: UUID, number: str
) -> Accepted:
    """Send the pages of a fax that has ended to a number, from its box if that is allowed, else from one's own.

    Raises:
        RequestError: as ``forward_to_box``, and as ``accept``.
    """
    fax = await _ended(connection, actor.tenant_id, fax_id)
    await spooled(connection, gateway, actor, fax["page_set_id"])
    same = select(boxes.c.id).where(boxes.c.id == fax["box_id"], may(actor.user_id, "send"))
    box_id = (await connection.execute(same)).scalar_one_or_none()
    request = FaxRequest(to=number, page_set=fax["page_set_id"], box=box_id)
    held = Held(fax["pages"], fax["page_set_id"])
    accepted = await accept(connection, gateway, actor, request, new=held, forwarded_from=fax_id)
    said = {"state": fax["state"], "fax": str(accepted.id)}
    await tell(connection, actor.tenant_id, fax_id, EventType.FORWARDED, said)
    await _note(connection, actor, fax, accepted.id, to=f"fax:{accepted.id}")
    return accepted


async def _ended(connection: AsyncConnection, tenant_id: UUID, fax_id: UUID) -> RowMapping:
    await switches.check(connection, "allow_forwarding", tenant_id)
    found = select(faxes).where(faxes.c.id == fax_id).with_for_update()
    fax = (await connection.execute(found)).mappings().one_or_none()
    if fax is None:
        raise RequestError("fax.unknown", f"There is no fax {fax_id}.")
    if fax["shredded_at"] is not None or fax["storage"] == "none":
        raise RequestError("content.gone", f"The content of the fax {fax_id} is not kept.")
    if not State(fax["state"]).final or fax["page_set_id"] is None or not fax["pages"]:
        raise WrongState(fax_id, "forwarded")
    return fax


async def _note(connection: AsyncConnection, actor: Actor, fax: RowMapping, new: UUID, *, to: str) -> None:
    await copies.note(connection, fax_id=fax["id"], kind="forward", to=to)
    ids = {"tenant_id": actor.tenant_id, "object": "fax", "object_id": fax["id"]}
    await record(connection, **ids, actor=actor, action="fax.forwarded", data={"to": to, "new": str(new)})
