"""The ways from a person's key to the keys of objects: sealed to it themselves, or to a box that they may read now."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.boxes.access import may
from faxgw.keys.export import BoxWay
from faxgw.keys.wraps import KeyPair, unwrap, wrap_context
from faxgw.store.tables import box_keys, box_wraps, boxes, wraps

OWNER, BOX = "owner", "box"


@dataclass(frozen=True, slots=True)
class Way:
    """How one object opens.

    Attributes:
        kind: of the wrap: ``owner`` or ``box``.
        blob: the object's key, wrapped.
        box_id: the box; None: it is wrapped to the person themselves.
        box_blob: the box's private key, wrapped to the person.
    """

    kind: str
    key_id: str
    blob: bytes = field(repr=False)
    box_id: UUID | None = None
    box_blob: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Ways:
    """Opens some objects with one person's key; needs no database."""

    tenant_id: UUID
    key: KeyPair = field(repr=False)
    by_object: Mapping[UUID, Way] = field(repr=False)
    _boxes: dict[str, KeyPair] = field(default_factory=dict, repr=False)

    def __iter__(self) -> Iterator[UUID]:
        return iter(self.by_object)

    def dek(self, object_id: UUID) -> bytes:
        """Return an object's key.

        Raises:
            KeyError: if there is no way to it.
            WrapBroken: if a wrap was altered.
        """
        way = self.by_object[object_id]
        key = self.key if way.box_id is None else self._box(way, way.box_id)
        return unwrap(way.blob, key, context=wrap_context(tenant=self.tenant_id, object_id=object_id, kind=way.kind))

    def _box(self, way: Way, box_id: UUID) -> KeyPair:
        if way.key_id not in self._boxes:
            self._boxes[way.key_id] = BoxWay(box_id, way.key_id, way.box_blob).key_pair(self.key, self.tenant_id)
        return self._boxes[way.key_id]


async def ways_to(connection: AsyncConnection, key: KeyPair, *, tenant_id: UUID, object_ids: Collection[UUID]) -> Ways:
    """Read how a person's key opens objects, as far as it does, after the transaction."""
    return Ways(tenant_id, key, await found_ways(connection, key.public.key_id, object_ids))


async def found_ways(connection: AsyncConnection, mine: str, object_ids: Collection[UUID]) -> Mapping[UUID, Way]:
    """Return the ways from a person's key, by its id, to objects."""
    readable = exists(
        select(boxes.c.id)
        .where(boxes.c.id == box_keys.c.box_id, may(box_wraps.c.user_id, "read"))
        .correlate_except(boxes)
    )
    held = and_(wraps.c.kind == BOX, box_wraps.c.key_id == wraps.c.key_id, box_wraps.c.to_key == mine)
    found = (
        select(wraps.c.object_id, wraps.c.kind, wraps.c.key_id, wraps.c.blob, box_keys.c.box_id, box_wraps.c.blob)
        .outerjoin(box_wraps, held)
        .outerjoin(box_keys, box_keys.c.key_id == box_wraps.c.key_id)
        .where(
            wraps.c.object_id.in_(list(object_ids)),
            or_(and_(wraps.c.kind == OWNER, wraps.c.key_id == mine), and_(box_wraps.c.key_id.is_not(None), readable)),
        )
    )
    return {row[0]: Way(row[1], row[2], row[3], row[4], row[5] or b"") for row in await connection.execute(found)}
