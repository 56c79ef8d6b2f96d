"""Shredding: the keys to a fax's content are deleted, then the content; what stays is a minimal record, or nothing.

Everything but the files goes in the caller's transaction; the files, which nobody can open any more, after its commit.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ARRAY, RowMapping, Text, cast, delete, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw import audit
from faxgw.actor import Actor
from faxgw.archive.objects import StoreError
from faxgw.backup import tombstones
from faxgw.backup.tombstones import FAX, OBJECT, Tombstone, TombstoneLog
from faxgw.boxes.copying import take_out
from faxgw.errors import RequestError
from faxgw.faxes.changes import tell
from faxgw.faxes.policies import tenant_of
from faxgw.gateway import Gateway
from faxgw.ids import least_id
from faxgw.model import EventType
from faxgw.retention import certificates
from faxgw.retention.certificates import Certificate, certify
from faxgw.retention.holding import is_held, no_new_hold
from faxgw.rules.retention import RetentionPolicy
from faxgw.store.tables import (
    attempts,
    batches,
    confirmations,
    copies,
    documents,
    events,
    faxes,
    objects,
    page_sets,
    pages,
    wraps,
)

log = structlog.get_logger(__name__)

TOLD = ("state", "pages", "pages_done", "page", "at", "reason", "fax", "again", "forwarded_from", "to")
"""What an event of a shredded fax still says."""
CLOCKS_APART = 600.0
"""Seconds that the time in an id and that of a row may be apart."""


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


@dataclass(slots=True)
class _Content:
    """What faxes have that nobody else has, and how much each shares with others, which stays."""

    kinds: dict[UUID, str] = field(default_factory=dict)
    of_fax: dict[UUID, UUID] = field(default_factory=dict)
    by_fax: defaultdict[UUID, list[UUID]] = field(default_factory=lambda: defaultdict(list))
    page_sets: list[UUID] = field(default_factory=list)
    documents: list[UUID] = field(default_factory=list)
    shared: Counter[UUID] = field(default_factory=Counter)

    def add(self, object_id: UUID, kind: str, fax_id: UUID) -> None:
        if object_id not in self.kinds:
            self.kinds[object_id] = kind
            self.of_fax[object_id] = fax_id
            self.by_fax[fax_id].append(object_id)


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
    done = Shredded()
    rows = await _locked(connection, fax_ids)
    if not rows:
        return done
    tenant_id = rows[0]["tenant_id"]
    held = select(faxes.c.id).where(faxes.c.id.in_([row["id"] for row in rows]), is_held())
    vetoed = set((await connection.execute(held)).scalars())
    policy = (await tenant_of(connection, tenant_id)).policy.retention
    removed = (why.record or policy.record) == "none"
    going = []
    for row in rows:
        if row["finished_at"] is None:
            done.running.append(row["id"])
        elif row["id"] in vetoed:
            done.held.append(row["id"])
        elif removed or row["shredded_at"] is None:
            going.append(row)
    if not going:
        return done
    content = await _content(connection, going)
    await _note(connection, gateway, going, content, tenant_id=tenant_id, removed=removed, now=now)
    opened = await _delete_wraps(connection, content)
    if shared := [row["id"] for row in going if content.shared[row["id"]]]:
        await take_out(connection, shared)
    gone = await _copies(connection, going, now)
    await _delete(connection, going, content, policy=policy, removed=removed, now=now)
    done.objects = list(content.kinds)
    said = [_said(row, content, opened, gone, why=why, by=by, removed=removed) for row in going]
    done.certificates = await asyncio.to_thread(_signed, gateway, going, said, now)
    await certificates.write_down(connection, done.certificates, at=now, erasure_id=why.erasure_id)
    await _tell(connection, done.certificates, why=why, by=by, tenant_id=tenant_id, now=now)
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
    wanted = faxes.c.id.in_(list(fax_ids))
    tenants = (await connection.execute(select(faxes.c.tenant_id).where(wanted).distinct())).scalars().all()
    if not tenants:
        return []
    if len(tenants) > 1:
        raise ValueError("faxes of several tenants cannot be shredded at once")
    await no_new_hold(connection, tenants[0])
    found = await connection.execute(select(faxes).where(wanted).order_by(faxes.c.id).with_for_update())
    return found.mappings().all()


# -------------------------------------------------------------------------------------------- what belongs to the faxes


async def _content(connection: AsyncConnection, going: Sequence[RowMapping]) -> _Content:
    """Find all that these faxes have and no other fax needs, and hold it."""
    content = _Content()
    ids = [row["id"] for row in going]
    kept = await _documents(connection, going, content)
    await _pages(connection, going, content, kept)
    said = {row["private_id"]: row["id"] for row in going if row["private_id"]}
    others = select(faxes.c.private_id).where(faxes.c.private_id.in_(list(said)), faxes.c.id.not_in(ids)).distinct()
    shared = set((await connection.execute(others)).scalars()) if said else set()
    for row in going:
        if row["private_id"] in shared:
            content.shared[row["id"]] += 1
        elif row["private_id"]:
            content.add(row["private_id"], "request", row["id"])
    traces = select(attempts.c.trace_id, attempts.c.fax_id).where(
        attempts.c.fax_id.in_(ids), attempts.c.trace_id.is_not(None)
    )
    for row in (await connection.execute(traces)).mappings():
        content.add(row["trace_id"], "trace", row["fax_id"])
    return content


async def _documents(connection: AsyncConnection, going: Sequence[RowMapping], content: _Content) -> set[UUID]:
    """Take the uploads that are still there; return page sets of those that another fax was made of, too."""
    named: dict[UUID, UUID] = {UUID(each): row["id"] for row in going for each in row["request"].get("documents", [])}
    if not named:
        return set()
    there = select(documents).where(documents.c.id.in_(list(named))).order_by(documents.c.id).with_for_update()
    rows = (await connection.execute(there)).mappings().all()
    if not rows:
        return set()
    wanted = [str(row["id"]) for row in rows]
    # A fax of a document is younger than it is.
    since = least_id(min(row["created_at"] for row in rows).timestamp() - CLOCKS_APART)
    others = select(faxes.c.request["documents"]).where(
        faxes.c.tenant_id == going[0]["tenant_id"],
        faxes.c.id >= since,
        faxes.c.id.not_in([row["id"] for row in going]),
        faxes.c.shredded_at.is_(None),
        faxes.c.request["documents"].op("?|")(cast(literal(wanted, ARRAY(Text)), ARRAY(Text))),
    )
    needed = {UUID(each) for listed in (await connection.execute(others)).scalars() for each in listed}
    kept = set()
    for row in rows:
        if row["id"] in needed:
            content.shared[named[row["id"]]] += 1
            kept.add(row["page_set_id"])
        else:
            content.documents.append(row["id"])
            content.add(row["object_id"], "document", named[row["id"]])
    return kept - {None}


async def _pages(connection: AsyncConnection, going: Sequence[RowMapping], content: _Content, kept: set[UUID]) -> None:
    """Take the page sets that no other fax has, and no document that stays, and their pages."""
    ids = [row["id"] for row in going]
    wanted = {row["page_set_id"] for row in going if row["page_set_id"]}
    if not wanted:
        return
    held = select(page_sets.c.id).where(page_sets.c.id.in_(list(wanted))).order_by(page_sets.c.id)
    await connection.execute(held.with_for_update())
    others = select(faxes.c.page_set_id).where(faxes.c.page_set_id.in_(list(wanted)), faxes.c.id.not_in(ids)).distinct()
    shared = set((await connection.execute(others)).scalars()) | kept
    content.page_sets = sorted(wanted - shared)
    first: dict[UUID, UUID] = {}
    for row in going:
        first.setdefault(row["page_set_id"], row["id"])
        content.shared[row["id"]] += row["page_set_id"] in shared
    elsewhere = pages.alias()
    alone = (
        ~select(elsewhere.c.object_id)
        .where(elsewhere.c.object_id == pages.c.object_id, elsewhere.c.page_set_id.not_in(content.page_sets))
        .exists()
    )
    found = select(pages.c.object_id, pages.c.page_set_id).where(pages.c.page_set_id.in_(content.page_sets), alone)
    for row in (await connection.execute(found)).mappings():
        content.add(row["object_id"], "page", first[row["page_set_id"]])


# ------------------------------------------------------------------------------------------------------------- deletion


async def _note(
    connection: AsyncConnection,
    gateway: Gateway,
    going: Sequence[RowMapping],
    content: _Content,
    *,
    tenant_id: UUID,
    removed: bool,
    now: datetime,
) -> None:
    """Write down what will be gone, where a restore of an older backup finds it."""
    stones = [Tombstone(each, tenant_id, OBJECT, now) for each in content.kinds]
    if removed:
        stones += [Tombstone(row["id"], tenant_id, FAX, now) for row in going]
    keys = gateway.server_keys
    await tombstones.write_down(connection, keys, stones)
    try:
        await asyncio.to_thread(TombstoneLog(gateway.config.data_dir).append, keys, stones)
    except OSError as error:
        reason = f"What is deleted cannot be noted in the data directory, so nothing was: {error.strerror}."
        raise RequestError("storage.failed", reason) from error


async def _delete_wraps(connection: AsyncConnection, content: _Content) -> Mapping[UUID, Counter[str]]:
    """Delete every way to open the content; return how many there were, by fax and kind."""
    gone = delete(wraps).where(wraps.c.object_id.in_(list(content.kinds))).returning(wraps.c.object_id, wraps.c.kind)
    counted: defaultdict[UUID, Counter[str]] = defaultdict(Counter)
    for object_id, kind in await connection.execute(gone):
        counted[content.of_fax[object_id]][kind] += 1
    return counted


async def _delete(
    connection: AsyncConnection,
    going: Sequence[RowMapping],
    content: _Content,
    *,
    policy: RetentionPolicy,
    removed: bool,
    now: datetime,
) -> None:
    ids = [row["id"] for row in going]
    await connection.execute(update(faxes).where(faxes.c.drawn_with.in_(ids)).values(drawn_with=None))
    if removed:
        await connection.execute(delete(faxes).where(faxes.c.id.in_(ids)))
    else:
        await _reduce(connection, ids, policy, now)
    if content.documents:
        await connection.execute(delete(documents).where(documents.c.id.in_(content.documents)))
    if content.page_sets:
        await connection.execute(delete(page_sets).where(page_sets.c.id.in_(content.page_sets)))
    if content.kinds:
        await connection.execute(delete(objects).where(objects.c.id.in_(list(content.kinds))))
    named = [row["batch_id"] for row in going if row["batch_id"]]
    if named:
        whole = select(faxes.c.id).where(faxes.c.batch_id == batches.c.id, faxes.c.shredded_at.is_(None)).exists()
        await connection.execute(update(batches).where(batches.c.id.in_(named), ~whole).values(name=""))


async def _reduce(connection: AsyncConnection, ids: Sequence[UUID], policy: RetentionPolicy, now: datetime) -> None:
    """Leave of the faxes what a minimal record has."""
    kept = policy.record_fields
    numbers: dict[str, Any] = {} if "numbers" in kept else {"from_number": "", "to_number": ""}
    station: dict[str, Any] = {} if "remote_id" in kept else {"remote_id": ""}
    labels: dict[str, Any] = {} if "labels" in kept else {"labels": {}}
    bare: dict[str, Any] = {
        "request": {},
        "plan": {},
        "mark": "",
        "page_set_id": None,
        "private_id": None,
        "shredded_at": now,
    }
    own = faxes.c.id.in_(ids)
    await connection.execute(
        update(faxes).where(own).values(**bare, **numbers, **station, **labels, version=faxes.c.version + 1)
    )
    called: dict[str, Any] = {"trace_id": None, "adjustments": {}, **station}
    called |= {} if "numbers" in kept else {"destination": ""}
    await connection.execute(update(attempts).where(attempts.c.fax_id.in_(ids)).values(called))
    await connection.execute(delete(confirmations).where(confirmations.c.fax_id.in_(ids)))
    allowed = literal(list(TOLD), ARRAY(Text))
    each = func.jsonb_each(events.c.data).table_valued("key", "value", name="each")
    left = select(func.coalesce(func.jsonb_object_agg(each.c.key, each.c.value), cast("{}", events.c.data.type))).where(
        each.c.key == func.any(allowed)
    )
    more = events.c.data.op("-")(allowed) != cast("{}", events.c.data.type)
    told = update(events).where(events.c.fax_id.in_(ids), more).values(data=left.scalar_subquery())
    await connection.execute(told)


# --------------------------------------------------------------------------------------------------- what is said of it


async def _copies(connection: AsyncConnection, going: Iterable[RowMapping], now: datetime) -> Mapping[UUID, int]:
    """Return how many copies of each fax are where the gateway has no hand on them."""
    alive = (copies.c.deleted_at.is_(None)) & ((copies.c.expires_at.is_(None)) | (copies.c.expires_at > now))
    counted = (
        select(copies.c.fax_id, func.count())
        .where(copies.c.fax_id.in_([row["id"] for row in going]), alive)
        .group_by(copies.c.fax_id)
    )
    return {row[0]: row[1] for row in await connection.execute(counted)}


def _said(
    row: RowMapping,
    content: _Content,
    opened: Mapping[UUID, Counter[str]],
    copied: Mapping[UUID, int],
    *,
    why: Why,
    by: Actor | str,
    removed: bool,
) -> dict[str, Any]:
    mine = [{"id": str(each), "kind": content.kinds[each]} for each in content.by_fax[row["id"]]]
    return {
        "why": why.code,
        "rule": why.rule,
        "by": by if isinstance(by, str) else f"user:{by.user_id}",
        "record": "none" if removed else "minimal",
        "wraps": dict(sorted(opened.get(row["id"], Counter()).items())),
        "objects": mine,
        "shared": content.shared[row["id"]],
        "copies_outside_control": copied.get(row["id"], 0),
        "erasure": str(why.erasure_id) if why.erasure_id else None,
    }


def _signed(
    gateway: Gateway, going: Sequence[RowMapping], said: Sequence[Mapping[str, Any]], now: datetime
) -> list[Certificate]:
    key = gateway.server_keys.signing
    return [
        certify(key, tenant_id=row["tenant_id"], fax_id=row["id"], at=now, said=each)
        for row, each in zip(going, said, strict=True)
    ]


async def _tell(
    connection: AsyncConnection,
    written: Sequence[Certificate],
    *,
    why: Why,
    by: Actor | str,
    tenant_id: UUID,
    now: datetime,
) -> None:
    """Have the audit log say it of every fax, and one event of all."""
    for each in written:
        await audit.record(
            connection,
            tenant_id=tenant_id,
            actor=by,
            action="fax.shredded",
            object="fax",
            object_id=each.fax_id,
            data={"why": why.code, "rule": why.rule, "certificate": str(each.id), "sha256": each.digest},
            now=now,
        )
    event = EventType.PURGED if why.code == "retention" else EventType.DELETED
    data = {"faxes": [str(each.fax_id) for each in written], "why": why.code, "rule": why.rule}
    await tell(connection, tenant_id, None, event, data)
