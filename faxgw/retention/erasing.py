"""Erasure by subject: all that is about a number, a station or some faxes goes, but for what is held, and is certified.

An erasure that has to wait, for a hold, a fax that has not ended or a copy that is not deleted yet, goes on by the
timetable until nothing is left.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, RowMapping, Select, delete, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw import audit
from faxgw.actor import Actor
from faxgw.audit.sequencing import sequence
from faxgw.audit.subjects import stone_id
from faxgw.backup import tombstones
from faxgw.backup.tombstones import SUBJECT, Tombstone
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.retention import certificates
from faxgw.retention.certificates import certify
from faxgw.retention.returning import ERASE
from faxgw.retention.shredding import Shredded, Why, remove, shred
from faxgw.store.sealed_columns import Findable
from faxgw.store.tables import STATION, copies, destinations, erasures, faxes, machines, number_rules
from faxgw.store.tables import certificates as certificate_rows
from faxgw.tasks.deferring import defer

log = structlog.get_logger(__name__)

BATCH = 100
LOOKED_AT = 10_000
"""Faxes that are shredded in one transaction, and those that are looked up at once."""
LEFT_ALONE = timedelta(minutes=10)
"""After so long, an erasure that still runs has lost its worker."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose data it is: whatever fits any of these.

    Attributes:
        number: in E.164: faxes to and from it, and what is known of it.
        station_id: what the other machine calls itself.
        faxes: single faxes.
    """

    number: str = ""
    station_id: str = ""
    faxes: tuple[UUID, ...] = ()

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Subject":
        """Read one back from its row."""
        return cls(kept["number"], kept["station_id"], tuple(UUID(each) for each in kept["faxes"]))

    @property
    def kept(self) -> dict[str, Any]:
        """As it is kept until nothing of it is left."""
        return asdict(self) | {"faxes": [str(each) for each in self.faxes]}

    def condition(self) -> ColumnElement[bool]:
        """Return which faxes are about it."""
        ways: list[ColumnElement[bool]] = [faxes.c.id.in_(self.faxes)] if self.faxes else []
        if self.number:
            ways += [faxes.c.to_number == self.number, faxes.c.from_number == self.number]
        if self.station_id:
            ways.append(faxes.c.remote_id == self.station_id)
        return or_(literal(value=False), *ways)


async def begin(
    connection: AsyncConnection, gateway: Gateway, actor: Actor, subject: Subject, *, reason: str
) -> RowMapping:
    """Write an erasure down; it is carried out once this transaction is committed. Return its row."""
    pseudonym = gateway.server_keys.mac(repr(sorted(subject.kept.items())).encode())
    row = {
        "id": new_id(),
        "tenant_id": actor.tenant_id,
        "user_id": actor.user_id,
        "subject": subject.kept,
        "pseudonym": pseudonym,
        "reason": reason,
    }
    made: RowMapping = (await connection.execute(insert(erasures).values(row).returning(erasures))).mappings().one()
    await audit.record(
        connection,
        tenant_id=actor.tenant_id,
        actor=actor,
        action="erasure.begun",
        object="erasure",
        object_id=made["id"],
        data={"by_number": bool(subject.number), "by_station": bool(subject.station_id), "faxes": len(subject.faxes)},
    )
    await defer(connection, ERASE, erasure_id=str(made["id"]))
    return made


async def go_on(gateway: Gateway, *, now: datetime) -> None:
    """Carry out what had to wait, or has lost its worker."""
    lost = (erasures.c.state == "running") & (erasures.c.created_at < now - LEFT_ALONE)
    open_ones = select(erasures.c.id).where(or_(erasures.c.state == "waiting", lost)).order_by(erasures.c.id)
    async with gateway.database.dispatcher() as connection:
        ids = (await connection.execute(open_ones)).scalars().all()
    for each in ids:
        await erase(gateway, each, now=now)


async def erase(gateway: Gateway, erasure_id: UUID, *, now: datetime) -> str:
    """Carry an erasure out as far as it goes now; return its state. Doing so twice does no harm."""
    async with gateway.database.dispatcher() as connection:
        found = await connection.execute(select(erasures).where(erasures.c.id == erasure_id))
        row = found.mappings().one_or_none()
    if row is None or row["state"] == "done":
        return "done"
    left = await _shred_all(gateway, row, Subject.of(row["subject"]), now)
    # What waits for its number would get a pseudonym after the key of the subject was destroyed, and so another key.
    await sequence(gateway.database, gateway.server_keys, now=now)
    async with gateway.database.dispatcher() as connection:
        state = await _conclude(connection, gateway, row, left=left, now=now)
    log.info("an erasure was carried out", erasure=str(erasure_id), state=state)
    return state


async def _shred_all(gateway: Gateway, row: RowMapping, subject: Subject, now: datetime) -> Shredded:
    """Shred every fax of the subject; return those that stay."""
    left, found, after = Shredded(), LOOKED_AT, None
    why = Why("erasure", record="none", erasure_id=row["id"])
    while found == LOOKED_AT:
        ids = await _found(gateway, row["tenant_id"], subject, after)
        for first in range(0, len(ids), BATCH):
            async with gateway.database.dispatcher() as connection:
                some = ids[first : first + BATCH]
                done = await shred(connection, gateway, some, why=why, by=f"user:{row['user_id']}", now=now)
            await remove(gateway, done.objects)
            left.held += done.held
            left.running += done.running
        found, after = len(ids), ids[-1] if ids else None
    return left


async def _found(gateway: Gateway, tenant_id: UUID, subject: Subject, after: UUID | None) -> Sequence[UUID]:
    wanted = select(faxes.c.id).where(faxes.c.tenant_id == tenant_id, subject.condition())
    if after is not None:
        wanted = wanted.where(faxes.c.id > after)
    async with gateway.database.dispatcher() as connection:
        return (await connection.execute(wanted.order_by(faxes.c.id).limit(LOOKED_AT))).scalars().all()


async def _conclude(
    connection: AsyncConnection, gateway: Gateway, row: RowMapping, *, left: Shredded, now: datetime
) -> str:
    """Forget what else is known of the subject, certify what was done, and say whether something is left."""
    report = row["report"] | await _forget(connection, gateway, row, Subject.of(row["subject"]), now=now)
    report |= await _counts(connection, row, now) | {"held": len(left.held), "running": len(left.running)}
    is_done = not left.held and not left.running and not report["copies_being_deleted"]
    state = "done" if is_done else "waiting"
    if is_done or report != row["report"]:
        said = {"why": "erasure", "erasure": str(row["id"]), "by": f"user:{row['user_id']}", "done": is_done, **report}
        key = gateway.server_keys.signing
        made = await asyncio.to_thread(certify, key, tenant_id=row["tenant_id"], fax_id=None, at=now, said=said)
        await certificates.write_down(connection, [made], at=now, erasure_id=row["id"])
        await audit.record(
            connection,
            tenant_id=row["tenant_id"],
            actor="service",
            action="erasure.done" if is_done else "erasure.waiting",
            object="erasure",
            object_id=row["id"],
            data={"certificate": str(made.id), "sha256": made.digest, **report},
            now=now,
        )
    over = {"finished_at": now, "subject": None, "reason": ""} if is_done else {}
    changed = update(erasures).where(erasures.c.id == row["id"], erasures.c.state != "done")
    await connection.execute(changed.values(state=state, report=report, **over))
    return state


async def _forget(
    connection: AsyncConnection, gateway: Gateway, row: RowMapping, subject: Subject, *, now: datetime
) -> dict[str, int]:
    """Delete the history of the number, and what ties it to the audit log; return how much there was, all in all."""
    tenant_id, before = row["tenant_id"], row["report"]
    keys, names = gateway.server_keys, [each for each in (subject.number, subject.station_id) if each]
    counts = {"destinations": before.get("destinations", 0), "rules": 0}
    if subject.number:
        own = (destinations.c.tenant_id == tenant_id) & (destinations.c.number == subject.number)
        counts["destinations"] += (await connection.execute(delete(destinations).where(own))).rowcount
        met = (machines.c.tenant_id == tenant_id) & (machines.c.number == subject.number)
        counts["destinations"] += (await connection.execute(delete(machines).where(met))).rowcount
        listed = (number_rules.c.tenant_id == tenant_id) & (number_rules.c.pattern == subject.number)
        found = select(func.count()).select_from(number_rules).where(listed)
        counts["rules"] = (await connection.execute(found)).scalar_one()
        there = (copies.c.tenant_id == tenant_id) & (copies.c.location == subject.number)
        for each in (await connection.execute(select(copies.c.id).where(there))).scalars().all():
            gone = update(copies).where(copies.c.id == each).values(location=f"erased:{each}")
            await connection.execute(gone)
    if subject.station_id:
        ids = destinations.c.station_ids
        named = (destinations.c.tenant_id == tenant_id) & ids.contains([subject.station_id])
        left = func.array_remove(ids, literal(subject.station_id, Findable(STATION)))
        changed = update(destinations).where(named).values(station_ids=left)
        counts["destinations"] += (await connection.execute(changed)).rowcount
        met = (machines.c.tenant_id == tenant_id) & (machines.c.station == subject.station_id)
        counts["destinations"] += (await connection.execute(delete(machines).where(met))).rowcount
    was_known = [await audit.forget(connection, keys, tenant_id=tenant_id, subject=each) for each in names]
    if names and (not before or any(was_known) or counts["destinations"] > before.get("destinations", 0)):
        stones = [
            Tombstone(stone_id(keys, tenant_id=tenant_id, subject=each), tenant_id, SUBJECT, now) for each in names
        ]
        await tombstones.note(connection, keys, gateway.config.data_dir, stones)
    return counts


async def _counts(connection: AsyncConnection, row: RowMapping, now: datetime) -> dict[str, int]:
    """Count what was certified under this erasure, and the copies that nobody here can delete."""
    mine = (certificate_rows.c.erasure_id == row["id"]) & certificate_rows.c.fax_id.is_not(None)
    gone = select(func.count(certificate_rows.c.fax_id.distinct())).where(mine)
    outside = select(func.count()).select_from(outside_control(row["id"], now).subquery())
    about = copies.c.fax_id.in_(_erased(row["id"]))
    deleted = func.count().filter(copies.c.deleted_at.is_not(None))
    being = func.count().filter(copies.c.deleted_at.is_(None), copies.c.deletable)
    there = (await connection.execute(select(deleted, being).where(about))).one()
    return {
        "copies_deleted": there[0],
        "copies_being_deleted": there[1],
        "faxes": (await connection.execute(gone)).scalar_one(),
        "copies_outside_control": (await connection.execute(outside)).scalar_one(),
    }


def outside_control(erasure_id: UUID, now: datetime) -> Select[Any]:
    """Return the statement for the copies of erased faxes that are where the gateway has no hand on them."""
    there = or_(copies.c.expires_at.is_(None), copies.c.expires_at > now)
    alive = copies.c.deleted_at.is_(None) & ~copies.c.deletable & there
    return select(copies).where(copies.c.fax_id.in_(_erased(erasure_id)), alive).order_by(copies.c.id)


def _erased(erasure_id: UUID) -> Select[Any]:
    return select(certificate_rows.c.fax_id).where(certificate_rows.c.erasure_id == erasure_id)
