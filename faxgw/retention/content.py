"""What belongs to faxes that are about to go: what they have and nobody else has. What others share stays."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import ARRAY, RowMapping, Text, cast, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.ids import least_id
from faxgw.store.rows import among
from faxgw.store.tables import attempts, documents, faxes, page_sets, pages

CLOCKS_APART = 600.0
"""Seconds that the time in an id and that of a row may be apart."""


@dataclass(slots=True)
class Content:
    """What faxes have that nobody else has.

    Attributes:
        kinds: what is in the store for them, by the objects' ids: ``page``, ``document``, ``request`` or ``trace``.
        of_fax: the first of the faxes that has an object.
        by_fax: the same, the other way round.
        page_sets: that go with them.
        documents: uploads that go with them.
        shared: how much of each fax is left to others.
    """

    kinds: dict[UUID, str] = field(default_factory=dict)
    of_fax: dict[UUID, UUID] = field(default_factory=dict)
    by_fax: defaultdict[UUID, list[UUID]] = field(default_factory=lambda: defaultdict(list))
    page_sets: list[UUID] = field(default_factory=list)
    documents: list[UUID] = field(default_factory=list)
    shared: Counter[UUID] = field(default_factory=Counter)

    def add(self, object_id: UUID, kind: str, fax_id: UUID) -> None:
        """Count an object to a fax, unless an earlier one has it."""
        if object_id not in self.kinds:
            self.kinds[object_id] = kind
            self.of_fax[object_id] = fax_id
            self.by_fax[fax_id].append(object_id)


async def content_of(connection: AsyncConnection, going: Sequence[RowMapping]) -> Content:
    """Find all that these faxes have and no other fax needs, and hold it.

    ``going`` has of each fax ``id``, ``tenant_id``, ``documents``, ``page_set_id`` and ``private_id``.
    """
    content = Content()
    kept = await _documents(connection, going, content)
    await _pages(connection, going, content, kept)
    await _words(connection, going, content)
    await _traces(connection, going, content)
    return content


async def _documents(connection: AsyncConnection, going: Sequence[RowMapping], content: Content) -> set[UUID]:
    """Take the uploads that are still there; return page sets of those that another fax was made of, too."""
    named: dict[UUID, UUID] = {UUID(each): row["id"] for row in going for each in row["documents"] or ()}
    if not named:
        return set()
    there = select(documents.c.id, documents.c.object_id, documents.c.page_set_id, documents.c.created_at)
    held = there.where(among(documents.c.id, named)).order_by(documents.c.id).with_for_update()
    rows = (await connection.execute(held)).mappings().all()
    needed = await _needed(connection, going, rows) if rows else set()
    kept = set()
    for row in rows:
        if row["id"] in needed:
            content.shared[named[row["id"]]] += 1
            kept.add(row["page_set_id"])
        else:
            content.documents.append(row["id"])
            content.add(row["object_id"], "document", named[row["id"]])
    return kept - {None}


async def _needed(connection: AsyncConnection, going: Sequence[RowMapping], uploads: Sequence[RowMapping]) -> set[UUID]:
    """Return what other faxes were made of; these uploads are in it as far as they are needed."""
    wanted = literal([str(row["id"]) for row in uploads], ARRAY(Text))
    # A fax of a document is younger than it is.
    since = least_id(min(row["created_at"] for row in uploads).timestamp() - CLOCKS_APART)
    others = select(faxes.c.request["documents"]).where(
        faxes.c.tenant_id == going[0]["tenant_id"],
        faxes.c.id >= since,
        ~among(faxes.c.id, _ids(going)),
        faxes.c.shredded_at.is_(None),
        faxes.c.request["documents"].op("?|")(cast(wanted, ARRAY(Text))),
    )
    return {UUID(each) for listed in (await connection.execute(others)).scalars() for each in listed}


async def _pages(connection: AsyncConnection, going: Sequence[RowMapping], content: Content, kept: set[UUID]) -> None:
    """Take the page sets that no other fax has, and no document that stays, and their pages."""
    first: dict[UUID, UUID] = {}
    for row in going:
        if row["page_set_id"]:
            first.setdefault(row["page_set_id"], row["id"])
    if not first:
        return
    held = select(page_sets.c.id).where(among(page_sets.c.id, first)).order_by(page_sets.c.id)
    await connection.execute(held.with_for_update())
    mine = among(faxes.c.page_set_id, first) & ~among(faxes.c.id, _ids(going))
    others = select(faxes.c.page_set_id).where(mine).distinct()
    shared = set((await connection.execute(others)).scalars()) | kept
    content.page_sets = sorted(first.keys() - shared)
    content.shared.update(row["id"] for row in going if row["page_set_id"] in shared)
    for object_id, page_set_id in await _alone_in(connection, content.page_sets):
        content.add(object_id, "page", first[page_set_id])


async def _alone_in(connection: AsyncConnection, page_set_ids: Collection[UUID]) -> Sequence[tuple[UUID, UUID]]:
    """Return the pages that are in these page sets and in no other, each with one of them."""
    elsewhere = pages.alias()
    others = (elsewhere.c.object_id == pages.c.object_id) & ~among(elsewhere.c.page_set_id, page_set_ids)
    alone = ~select(elsewhere.c.object_id).where(others).exists()
    found = select(pages.c.object_id, pages.c.page_set_id).where(among(pages.c.page_set_id, page_set_ids), alone)
    return [(row.object_id, row.page_set_id) for row in await connection.execute(found)]


async def _words(connection: AsyncConnection, going: Sequence[RowMapping], content: Content) -> None:
    """Take the words of covers and messages, which a fax sent again shares with the one before."""
    said: Mapping[UUID, UUID] = {row["private_id"]: row["id"] for row in going if row["private_id"]}
    if not said:
        return
    mine = among(faxes.c.private_id, said) & ~among(faxes.c.id, _ids(going))
    shared = set((await connection.execute(select(faxes.c.private_id).where(mine).distinct())).scalars())
    for row in going:
        if row["private_id"] in shared:
            content.shared[row["id"]] += 1
        elif row["private_id"]:
            content.add(row["private_id"], "request", row["id"])


async def _traces(connection: AsyncConnection, going: Sequence[RowMapping], content: Content) -> None:
    """Take the recordings of calls; one in which other faxes went, too, goes with the last of them."""
    elsewhere = attempts.alias()
    others = (elsewhere.c.trace_id == attempts.c.trace_id) & ~among(elsewhere.c.fax_id, _ids(going))
    alone = ~select(elsewhere.c.id).where(others).exists()
    mine = among(attempts.c.fax_id, _ids(going)) & attempts.c.trace_id.is_not(None) & alone
    for trace_id, fax_id in await connection.execute(select(attempts.c.trace_id, attempts.c.fax_id).where(mine)):
        content.add(trace_id, "trace", fax_id)


def _ids(going: Sequence[RowMapping]) -> list[UUID]:
    return [row["id"] for row in going]
