"""Shredding: the keys to a fax's content are deleted, then the content; what stays is a minimal record, or nothing.

Everything but the files goes in the caller's transaction; the files, which nobody can open any more, after its commit.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import RowMapping, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.archive.objects import StoreError
from faxgw.audit.recording import record_each
from faxgw.backup import tombstones
from faxgw.backup.tombstones import FAX, OBJECT, Tombstone
from faxgw.boxes.copying import take_out
from faxgw.faxes.changes import tell
from faxgw.faxes.policies import tenant_of
from faxgw.gateway import Gateway
from faxgw.links.ending import end_links_of
from faxgw.model import EventType
from faxgw.retention import certificates
from faxgw.retention.certificates import Certificate, certify
from faxgw.retention.content import Content, content_of
from faxgw.retention.deleting import delete_content, delete_faxes, delete_wraps, forget_names, reduce_faxes
from faxgw.retention.holding import is_held, no_new_hold
from faxgw.retention.returning import end_parcels, recall, take_back
from faxgw.store.rows import among
from faxgw.store.tables import copies, faxes

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Why:
    """For what reason something is deleted.

    Attributes:
        code: ``deleted`` by somebody, ``retention``, ``erasure``, or ``not_stored``.
        rule: by which rule, in words.
        record: what stays; ``None`` here: what the tenant's policy says.
        erasure_id: of the erasure that it belongs to.
    """

    code: str
    rule: str = ""
    record: str | None = None
    erasure_id: UUID | None = None


@dataclass(slots=True)
class Shredded:
    """What came of it.

    Attributes:
        certificates: one for each fax that went.
        objects: what is to be removed from the store once the transaction is committed.
        held: faxes that stay, since a legal hold is over them.
        running: faxes that have not ended.
    """

    certificates: list[Certificate] = field(default_factory=list)
    objects: list[UUID] = field(default_factory=list)
    held: list[UUID] = field(default_factory=list)
    running: list[UUID] = field(default_factory=list)


async def shred(
    connection: AsyncConnection,
    gateway: Gateway,
    fax_ids: Collection[UUID],
    *,
    why: Why,
    by: Actor | str,
    now: datetime,
) -> Shredded:
    """Delete what is in faxes of one tenant, or the whole of them; those that run or are held stay.

    Args:
        connection: a transaction of the tenant, or of the dispatcher.
        gateway: for its keys, and its log of what was deleted.
        fax_ids: of the faxes; those that are not there, or were shredded and keep their record, are passed over.
        why: see there.
        by: who does it, for the audit log.
        now: the time.

    Returns:
        What came of it. When the transaction is committed, pass ``objects`` to ``remove``.

    Raises:
        RequestError: ``storage.failed``, if what is to be deleted cannot be noted down first.
    """
    rows = await _locked(connection, fax_ids)
    if not rows:
        return Shredded()
    tenant_id = rows[0]["tenant_id"]
    policy = (await tenant_of(connection, tenant_id)).policy.retention
    is_removed = (why.record or policy.record) == "none"
    done, going = _parted(rows, is_removed=is_removed)
    if not going:
        return done
    work = _Shredding(connection, gateway, tenant_id, going, await content_of(connection, going), now)
    await work.note(is_removed=is_removed)
    await end_links_of(connection, work.ids, now=now)
    opened = await delete_wraps(connection, work.content)
    await work.take_out_of_boxes()
    copied = await _copied(connection, work.ids, now)
    await work.call_copies_back(failed=why.code == "not_stored")
    if is_removed:
        await delete_faxes(connection, work.ids)
    else:
        await reduce_faxes(connection, work.ids, policy=policy, now=now)
    await delete_content(connection, work.content)
    await forget_names(connection, [row["batch_id"] for row in going if row["batch_id"]])
    done.objects = list(work.content.kinds)
    said = partial(_said, content=work.content, opened=opened, copied=copied)
    done.certificates = await work.certify(said, _common(why, by, is_removed=is_removed), erasure_id=why.erasure_id)
    await work.tell(done.certificates, why, by)
    return done


async def remove(gateway: Gateway, object_ids: Sequence[UUID]) -> None:
    """Remove what was shredded from the store; what stays for now nobody can open, and upkeep removes it."""
    if not object_ids:
        return
    try:
        await gateway.objects.delete(object_ids)
    except StoreError as fault:
        log.warning("shredded objects stay until the next search", objects=len(object_ids), fault=str(fault))


async def _locked(connection: AsyncConnection, fax_ids: Collection[UUID]) -> Sequence[RowMapping]:
    """Lock the faxes, and return of each what decides whether it goes, and names what goes with it."""
    wanted = among(faxes.c.id, fax_ids)
    tenants = (await connection.execute(select(faxes.c.tenant_id).where(wanted).distinct())).scalars().all()
    if not tenants:
        return []
    if len(tenants) > 1:
        raise ValueError("faxes of several tenants cannot be shredded at once")
    await no_new_hold(connection, tenants[0])
    found = await connection.execute(_NEEDED.where(wanted).order_by(faxes.c.id).with_for_update())
    return found.mappings().all()


_NEEDED = select(
    *(faxes.c.id, faxes.c.tenant_id, faxes.c.finished_at, faxes.c.shredded_at, is_held().label("is_held")),
    *(faxes.c.request["documents"].label("documents"), faxes.c.page_set_id, faxes.c.private_id, faxes.c.batch_id),
)


def _parted(rows: Iterable[RowMapping], *, is_removed: bool) -> tuple[Shredded, list[RowMapping]]:
    """Part the faxes into those that stay, and those that go."""
    done, going = Shredded(), []
    for row in rows:
        if row["finished_at"] is None:
            done.running.append(row["id"])
        elif row["is_held"]:
            done.held.append(row["id"])
        elif is_removed or row["shredded_at"] is None:
            going.append(row)
    return done, going


@dataclass(frozen=True, slots=True)
class _Shredding:
    """Faxes that go, what goes with them, and what is written down of it."""

    connection: AsyncConnection
    gateway: Gateway
    tenant_id: UUID
    going: Sequence[RowMapping]
    content: Content
    now: datetime

    @property
    def ids(self) -> list[UUID]:
        return [row["id"] for row in self.going]

    async def note(self, *, is_removed: bool) -> None:
        """Write down what will be gone, where a restore of an older backup finds it."""
        stones = [Tombstone(each, self.tenant_id, OBJECT, self.now) for each in self.content.kinds]
        if is_removed:
            stones += [Tombstone(each, self.tenant_id, FAX, self.now) for each in self.ids]
        await tombstones.note(self.connection, self.gateway.server_keys, self.gateway.config.data_dir, stones)

    async def call_copies_back(self, *, failed: bool) -> None:
        """Carry nothing of these faxes any more; have what was carried deleted, or at least those told who have it."""
        await end_parcels(self.connection, self.ids, failed=failed)
        await take_back(self.connection, self.tenant_id, self.ids, now=self.now)
        await recall(self.connection, self.tenant_id, self.ids, now=self.now)

    async def take_out_of_boxes(self) -> None:
        """Delete the ways by which readers of these faxes' boxes would open what other faxes keep."""
        if shared := [each for each in self.ids if self.content.shared[each]]:
            await take_out(self.connection, shared)

    async def certify(
        self, said: Callable[[UUID], Mapping[str, Any]], common: Mapping[str, Any], *, erasure_id: UUID | None
    ) -> list[Certificate]:
        """Sign what was done with each fax, and keep it."""
        signed = await asyncio.to_thread(self._signed, said, common)
        await certificates.write_down(self.connection, signed, at=self.now, erasure_id=erasure_id)
        return signed

    def _signed(self, said: Callable[[UUID], Mapping[str, Any]], common: Mapping[str, Any]) -> list[Certificate]:
        key, of = self.gateway.server_keys.signing, self.tenant_id
        whole = ((each, {**common, **said(each)}) for each in self.ids)
        return [certify(key, tenant_id=of, fax_id=each, at=self.now, said=what) for each, what in whole]

    async def tell(self, written: Sequence[Certificate], why: Why, by: Actor | str) -> None:
        """Have the audit log say it of every fax, and one event of all."""
        same = {"why": why.code, "rule": why.rule}
        said = [(each.fax_id, same | {"certificate": str(each.id), "sha256": each.digest}) for each in written]
        what = {"action": "fax.shredded", "object": "fax"}
        await record_each(self.connection, said, tenant_id=self.tenant_id, actor=by, **what, now=self.now)
        event = EventType.PURGED if why.code == "retention" else EventType.DELETED
        data = same | {"faxes": [str(each.fax_id) for each in written]}
        await tell(self.connection, self.tenant_id, None, event, data)


async def _copied(
    connection: AsyncConnection, fax_ids: Sequence[UUID], now: datetime
) -> Mapping[UUID, tuple[int, int]]:
    """Return how many copies of each fax are deleted where they are now, and how many no hand of ours reaches."""
    there = (copies.c.expires_at.is_(None)) | (copies.c.expires_at > now)
    outside = func.count().filter(~copies.c.deletable & there)
    mine = among(copies.c.fax_id, fax_ids) & copies.c.deleted_at.is_(None)
    counted = select(copies.c.fax_id, func.count().filter(copies.c.deletable), outside).where(mine)
    return {row[0]: (row[1], row[2]) for row in await connection.execute(counted.group_by(copies.c.fax_id))}


def _common(why: Why, by: Actor | str, *, is_removed: bool) -> dict[str, Any]:
    """Return what the certificates of all of these faxes say."""
    return {
        "why": why.code,
        "rule": why.rule,
        "by": by if isinstance(by, str) else f"user:{by.user_id}",
        "record": "none" if is_removed else "minimal",
        "erasure": str(why.erasure_id) if why.erasure_id else None,
    }


def _said(
    fax_id: UUID, *, content: Content, opened: Mapping[UUID, Counter[str]], copied: Mapping[UUID, tuple[int, int]]
) -> dict[str, Any]:
    """Return what a fax's certificate says of it alone."""
    return {
        "wraps": dict(sorted(opened.get(fax_id, Counter()).items())),
        "objects": [{"id": str(each), "kind": content.kinds[each]} for each in content.by_fax[fax_id]],
        "shared": content.shared[fax_id],
        "copies_being_deleted": copied.get(fax_id, (0, 0))[0],
        "copies_outside_control": copied.get(fax_id, (0, 0))[1],
    }
