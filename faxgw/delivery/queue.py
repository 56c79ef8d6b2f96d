"""Parcels as rows: which are due, which is ours to carry now, and what became of it.

A claim is a lease: while it lasts nobody else carries that parcel, and whoever dies with one loses it. ``tries`` is its
fencing token: what became of a try is written only while no later one was begun, and nobody has canceled it.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.delivery.carrier import NotCarried, Proof
from faxgw.ids import new_id
from faxgw.store.tables import parcels, targets

FAX, DELETE = "fax", "delete"
"""Kinds of parcels; every other one is a notice."""

WAITING, HELD, DELIVERED, FAILED, CANCELED = "waiting", "held_no_tls", "delivered", "failed", "canceled"
OPEN = (WAITING, HELD)
"""States in which a parcel has still to go."""

SHOWN = (WAITING, HELD, FAILED)
"""States in which a parcel is somebody's concern."""

_candidate = parcels.alias("candidate")
_lane = func.coalesce(_candidate.c.target_id, _candidate.c.tenant_id)


def _is_due() -> ColumnElement[bool]:
    """Return whether a parcel is to be carried now: its target takes parcels, or it takes back what lies there."""
    open_target = select(targets.c.id).where(targets.c.id == _candidate.c.target_id, targets.c.enabled).exists()
    goes = or_(_candidate.c.target_id.is_(None), _candidate.c.kind == DELETE, open_target)
    return and_(_candidate.c.state.in_(OPEN), _candidate.c.next_at <= func.now(), goes)


async def put(connection: AsyncConnection, tenant_id: UUID, kind: str, key: str, **values: Any) -> UUID | None:
    """Insert a parcel, due at once unless ``next_at`` says otherwise; None if there is one of this kind and key.

    Args:
        connection: a transaction of the tenant, or of the dispatcher.
        tenant_id: whose.
        kind: ``fax``, ``delete``, or a kind of notice.
        key: of the same tenant, kind and key there is one parcel.
        **values: other columns of ``parcels``.
    """
    row = {"id": new_id(), "tenant_id": tenant_id, "kind": kind, "key": key, "next_at": func.now()} | values
    new = insert(parcels).values(row).on_conflict_do_nothing(index_elements=["tenant_id", "kind", "key"])
    made: UUID | None = (await connection.execute(new.returning(parcels.c.id))).scalar_one_or_none()
    return made


async def due(connection: AsyncConnection) -> Sequence[UUID]:
    """Return the lanes on which something is to be carried now: of each target, and of each tenant's notices."""
    return (await connection.scalars(select(_lane).where(_is_due()).distinct())).all()


async def claim(connection: AsyncConnection, lane: UUID, *, lease: float) -> RowMapping | None:
    """Take the parcel of a lane that has been due for the longest, for ``lease`` seconds; None when none is.

    ``tries`` of the row counts this one.
    """
    oldest = (
        select(_candidate.c.id)
        .where(_is_due(), _lane == lane)
        .order_by(_candidate.c.next_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    values = {"tries": parcels.c.tries + 1, "next_at": func.now() + timedelta(seconds=lease)}
    ours = update(parcels).where(parcels.c.id == oldest.scalar_subquery()).values(values).returning(parcels)
    row: RowMapping | None = (await connection.execute(ours)).mappings().one_or_none()
    return row


async def delivered(connection: AsyncConnection, row: RowMapping, proof: Proof, sha256: bytes) -> bool:
    """Note that it is there; False if this try counts no more.

    What a notice said and whom it was for is forgotten: the address that a mail came from was kept for this alone.
    """
    said: dict[str, Any] = {"proof": proof.as_json(), "sha256": sha256, "code": "", "error": ""}
    if row["kind"] not in (FAX, DELETE):
        said |= {"recipient": "", "data": {}}
    return await _ended(connection, row, DELIVERED, said)


async def failed(connection: AsyncConnection, row: RowMapping, fault: NotCarried) -> bool:
    """Note that it is not tried again by itself; False if this try counts no more."""
    return await _ended(connection, row, FAILED, _wrong(fault))


async def again(connection: AsyncConnection, row: RowMapping, fault: NotCarried, *, wait: float) -> bool:
    """Note that this try went wrong, and in how many seconds the next is due; False if this try counts no more."""
    return await _later(connection, row, WAITING, fault, wait)


async def held(connection: AsyncConnection, row: RowMapping, fault: NotCarried, *, wait: float) -> bool:
    """Note that nothing may go while the hop is not protected; as ``again`` otherwise."""
    return await _later(connection, row, HELD, fault, wait)


def _wrong(fault: NotCarried) -> dict[str, Any]:
    return {"code": fault.code, "error": str(fault)}


async def _later(connection: AsyncConnection, row: RowMapping, state: str, fault: NotCarried, wait: float) -> bool:
    values = {"state": state, "next_at": func.now() + timedelta(seconds=wait)} | _wrong(fault)
    return await _write(connection, row, values)


async def _ended(connection: AsyncConnection, row: RowMapping, state: str, said: Mapping[str, Any]) -> bool:
    return await _write(connection, row, {"state": state, "ended_at": func.now(), "next_at": None} | dict(said))


async def _write(connection: AsyncConnection, row: RowMapping, values: Mapping[str, Any]) -> bool:
    own = (parcels.c.id == row["id"]) & (parcels.c.tries == row["tries"]) & parcels.c.state.in_(OPEN)
    written = update(parcels).where(own).values(values).returning(parcels.c.id)
    return (await connection.execute(written)).first() is not None
