"""A tenant's policy as rules see it, read in the transaction that acts on it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from uuid import UUID

from sqlalchemy import Select, Text, Uuid, and_, bindparam, case, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.boxes.access import may
from faxgw.keys.wraps import PublicKey
from faxgw.numbers import Numbering
from faxgw.rules.admission import ListEntry
from faxgw.rules.policy import TenantPolicy
from faxgw.store.tables import box_keys, boxes, number_rules, tenants

SANDBOX_NUMBERS = frozenset(f"+155501{last:02}" for last in range(100))
"""Outside of every numbering plan, so no real call can go there."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant, and what it wants; ``version`` is its policy's."""

    id: UUID
    name: str
    policy: TenantPolicy
    version: int

    @property
    def numbering(self) -> Numbering:
        """How its people write numbers."""
        return self.policy.numbering(SANDBOX_NUMBERS)


async def tenant_of(connection: AsyncConnection, tenant_id: UUID) -> Tenant:
    """Read a tenant and its policy."""
    row = (
        await connection.execute(
            select(tenants.c.name, tenants.c.version, tenants.c.policy).where(tenants.c.id == tenant_id)
        )
    ).one()
    return _tenant(tenant_id, row.name, row.version, row.policy)


def _tenant(tenant_id: UUID, name: str, version: int, policy: dict[str, object]) -> Tenant:
    return Tenant(tenant_id, name, _Policy(tenant_id, version, policy).read(), version)


_LAST: dict[UUID, Tenant] = {}
"""Each tenant as it was read last; it holds while the version does."""


@dataclass(frozen=True, slots=True)
class Lists:
    """A tenant's allow and deny lists, as far as they speak of some numbers.

    Attributes:
        whole: entries for one number each.
        prefixes: entries for many.
    """

    policy: TenantPolicy
    whole: Mapping[str, tuple[ListEntry, ...]]
    prefixes: tuple[ListEntry, ...]

    def entries(self, number: str) -> tuple[ListEntry, ...]:
        """Return the entries that may speak of ``number``."""
        return (*self.policy.lists, *self.prefixes, *self.whole.get(number, ()))


async def lists_for(
    connection: AsyncConnection, tenant: Tenant, numbers: Collection[str], *, direction: Literal["out", "in"]
) -> Lists:
    """Read what the lists say of some numbers."""
    asked = {"tenant": tenant.id, "numbers": list(numbers), "direction": direction}
    found = (await connection.execute(select(_ENTRIES), asked)).scalar_one()
    return _lists(tenant, found, direction)


async def all_lists(
    connection: AsyncConnection, tenant: Tenant, *, direction: Literal["out", "in"], most: int
) -> Lists | None:
    """Read the whole lists; None if they have more than ``most`` entries."""
    own = (number_rules.c.tenant_id == tenant.id) & (number_rules.c.direction == direction)
    wanted = select(number_rules.c.pattern, number_rules.c.action).where(own).limit(most + 1)
    rows = (await connection.execute(wanted)).all()
    return _lists(tenant, [[row.pattern, row.action] for row in rows], direction) if len(rows) <= most else None


_ENTRIES = (
    select(func.jsonb_agg(func.jsonb_build_array(number_rules.c.pattern, number_rules.c.action)))
    .where(
        number_rules.c.tenant_id == bindparam("tenant", type_=Uuid),
        number_rules.c.direction == bindparam("direction"),
        or_(
            number_rules.c.pattern == func.any(bindparam("numbers", type_=ARRAY(Text))),
            number_rules.c.pattern.like("%*"),
        ),
    )
    .scalar_subquery()
)


def _lists(tenant: Tenant, found: list[list[str]] | None, direction: Literal["out", "in"]) -> Lists:
    whole: dict[str, tuple[ListEntry, ...]] = {}
    prefixes: list[ListEntry] = []
    for pattern, action in found or ():
        entry = ListEntry.model_validate({"pattern": pattern, "direction": direction, "action": action})
        if pattern.endswith("*"):
            prefixes.append(entry)
        else:
            whole[pattern] = (entry,)
    return Lists(tenant.policy, whole, tuple(prefixes))


@dataclass(frozen=True, slots=True)
class Standing:
    """What a request meets with: the tenant, its lists, and the box that a fax is to lie in, if there is one.

    Attributes:
        box_key: what is in the box is sealed to it; None: the box has no key yet.
    """

    tenant: Tenant
    lists: Lists
    box_id: UUID | None
    box_key: PublicKey | None


async def standing_of(
    connection: AsyncConnection,
    tenant_id: UUID,
    user_id: UUID,
    *,
    box: UUID | None,
    numbers: Callable[[Tenant], Collection[str]],
) -> Standing:
    """Read all that a request meets with, in one statement unless the policy has changed.

    Args:
        connection: a transaction of the tenant.
        tenant_id: of the tenant.
        user_id: whose request it is.
        box: the box that was asked for, from which the user may send; None: the user's own first.
        numbers: returns which numbers the lists are read for; how people write them is in the policy.
    """
    tenant = _LAST.get(tenant_id)
    while True:
        known = 0 if tenant is None else tenant.version
        asked = {"tenant": tenant_id, "user": user_id, "box": box, "known": known, "direction": "out"}
        row = (
            await connection.execute(_STANDING, {**asked, "numbers": [] if tenant is None else [*numbers(tenant)]})
        ).one()
        if tenant is not None and row.version == known:
            key = PublicKey.from_octets(row.box_key) if row.box_key else None
            return Standing(tenant, _lists(tenant, row.entries, "out"), row.box, key)
        tenant = _LAST[tenant_id] = _tenant(tenant_id, row.name, row.version, row.policy)


def _standing() -> Select[tuple[str, int, object, object, UUID, bytes]]:
    user, asked = bindparam("user", type_=Uuid), bindparam("box", type_=Uuid)
    first = and_(asked.is_(None), boxes.c.owner_id == user)
    given = and_(boxes.c.id == asked, may(user, "send"))
    wanted = and_(boxes.c.tenant_id == bindparam("tenant", type_=Uuid), or_(first, given))
    box = select(boxes.c.id).where(wanted).order_by(boxes.c.id).limit(1).scalar_subquery()
    key = select(box_keys.c.public_key).where(box_keys.c.box_id == box, box_keys.c.retired_at.is_(None))
    changed = tenants.c.version != bindparam("known")
    return select(
        tenants.c.name,
        tenants.c.version,
        case((changed, tenants.c.policy), else_=literal(None, JSONB)).label("policy"),
        _ENTRIES.label("entries"),
        box.label("box"),
        key.scalar_subquery().label("box_key"),
    ).where(tenants.c.id == bindparam("tenant", type_=Uuid))


_STANDING = _standing()


class _Policy:
    """A policy's row, read once for each of its versions."""

    def __init__(self, tenant_id: UUID, version: int, json: dict[str, object]) -> None:
        self._key = (tenant_id, version)
        self._json = json

    def read(self) -> TenantPolicy:
        return _read(self)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Policy) and other._key == self._key

    def parsed(self) -> TenantPolicy:
        return TenantPolicy.model_validate(self._json)


@lru_cache(maxsize=256)
def _read(policy: _Policy) -> TenantPolicy:
    return policy.parsed()
