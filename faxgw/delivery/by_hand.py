"""What people do with parcels: have a fax delivered, have it tried again, have it go no more.

To deliver what the gateway cannot open any more takes somebody who opens it.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.boxes import switches
from faxgw.delivery.ending import let_go
from faxgw.delivery.guarding import protects
from faxgw.delivery.queue import CANCELED, DELETE, DELIVERED, FAX, OPEN, WAITING
from faxgw.delivery.rules import fax_key, put_fax
from faxgw.delivery.targets import SETTINGS
from faxgw.errors import RequestError
from faxgw.faxes.accepting import spooled
from faxgw.faxes.changes import WrongState
from faxgw.faxes.policies import tenant_of
from faxgw.gateway import Gateway
from faxgw.model import State
from faxgw.store.tables import boxes, copies, faxes, parcels, targets


async def deliver(
    connection: AsyncConnection, gateway: Gateway, actor: Actor, fax_id: UUID, *, target_id: UUID, format: str
) -> UUID:
    """Put a fax that has ended on its way to a target; return the parcel's id.

    Raises:
        RequestError: ``policy.denied``, ``target.unknown``, ``target.unprotected``, ``parcel.exists``,
            ``fax.state``, ``content.gone``, ``key.locked``.
    """
    fax = await _carried(connection, gateway, actor, fax_id, target_id)
    made = await put_fax(connection, fax, target_id, format=format)
    if made is not None:
        return made
    same = (parcels.c.kind == FAX) & (parcels.c.key == fax_key(fax_id, target_id))
    there = (await connection.execute(select(parcels.c.id, parcels.c.state).where(same).with_for_update())).one()
    if there.state in (*OPEN, DELIVERED):
        raise RequestError("parcel.exists", f"The fax was delivered there, or is on its way: {there.id}.")
    await _again(connection, there.id, format=format)
    return UUID(str(there.id))


async def retry(connection: AsyncConnection, gateway: Gateway, actor: Actor, parcel_id: UUID) -> None:
    """Have a parcel tried now that was not delivered.

    Raises:
        RequestError: ``parcel.state``, and as ``deliver``.
    """
    fax_id = (await connection.execute(select(parcels.c.fax_id).where(parcels.c.id == parcel_id))).scalar_one()
    if fax_id is not None:
        await connection.execute(select(faxes.c.id).where(faxes.c.id == fax_id).with_for_update())
    row = await _locked(connection, parcel_id)
    if row["state"] == DELIVERED:
        raise RequestError("parcel.state", "The parcel was delivered.")
    if row["kind"] == FAX:
        await _carried(connection, gateway, actor, row["fax_id"], row["target_id"])
    if row["kind"] == DELETE and row["data"]:
        reached = update(copies).where(copies.c.id == UUID(row["data"]["copy"]))
        await connection.execute(reached.values(deletable=True))
    await _again(connection, parcel_id)


async def cancel(connection: AsyncConnection, parcel_id: UUID) -> None:
    """Have a parcel go no more.

    Raises:
        RequestError: ``parcel.state``, if it has ended.
    """
    fax_id = (await connection.execute(select(parcels.c.fax_id).where(parcels.c.id == parcel_id))).scalar_one()
    found = await connection.execute(select(faxes).where(faxes.c.id == fax_id).with_for_update())
    fax = found.mappings().one_or_none()
    row = await _locked(connection, parcel_id)
    if row["state"] not in OPEN:
        raise RequestError("parcel.state", f"The parcel is {row['state']}.")
    values = {"state": CANCELED, "ended_at": func.now(), "next_at": None}
    await connection.execute(update(parcels).where(parcels.c.id == parcel_id).values(values))
    if row["kind"] == FAX:
        await let_go(connection, fax)


async def _carried(
    connection: AsyncConnection, gateway: Gateway, actor: Actor, fax_id: UUID, target_id: UUID
) -> RowMapping:
    """Lock a fax, check that it may go to a target, and see to it that the gateway can open it."""
    await switches.check(connection, "allow_forwarding", actor.tenant_id)
    found = select(faxes, boxes.c.data_class).join(boxes, boxes.c.id == faxes.c.box_id).where(faxes.c.id == fax_id)
    fax = (await connection.execute(found.with_for_update(of=faxes))).mappings().one()
    is_gone = fax["storage"] == "none" and fax["direction"] == "out"
    if fax["shredded_at"] is not None or is_gone:
        raise RequestError("content.gone", f"The content of the fax {fax_id} is not kept.")
    if not State(fax["state"]).final or fax["page_set_id"] is None or not fax["pages"]:
        raise WrongState(fax_id, "delivered")
    await _check_target(connection, fax, target_id)
    await spooled(connection, gateway, actor, fax["page_set_id"])
    return fax


async def _check_target(connection: AsyncConnection, fax: RowMapping, target_id: UUID) -> None:
    present = select(targets.c.settings).where(targets.c.id == target_id, targets.c.retired_at.is_(None))
    settings = (await connection.execute(present.with_for_update(read=True))).scalar_one_or_none()
    if settings is None:
        raise RequestError("target.unknown", f"There is no target {target_id}.")
    policy = (await tenant_of(connection, fax["tenant_id"])).policy.retention
    if not protects(SETTINGS.validate_python(settings), fax["data_class"], policy):
        raise RequestError(
            "target.unprotected", "The fax lies in a box with personal data; the target neither seals nor is attested."
        )


async def _locked(connection: AsyncConnection, parcel_id: UUID) -> RowMapping:
    return (
        (await connection.execute(select(parcels).where(parcels.c.id == parcel_id).with_for_update())).mappings().one()
    )


async def _again(connection: AsyncConnection, parcel_id: UUID, **values: Any) -> None:
    fresh = {"state": WAITING, "tries": 0, "next_at": func.now(), "ended_at": None, "code": "", "error": ""} | values
    await connection.execute(update(parcels).where(parcels.c.id == parcel_id).values(fresh))
