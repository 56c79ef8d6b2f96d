"""A tenant's policy as rules see it, read in the transaction that acts on it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from uuid import UUID

from sqlalchemy import Text, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.numbers import Numbering
from faxgw.rules.admission import ListEntry
from faxgw.rules.policy import TenantPolicy
from faxgw.store.tables import number_rules, tenants

SANDBOX_NUMBERS = frozenset(f"+155501{last:02}" for last in range(100))
"""Outside of every numbering plan, so no real call can go there."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant, and what it wants."""

    id: UUID
    name: str
    policy: TenantPolicy

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
    return Tenant(tenant_id, row.name, _Policy(tenant_id, row.version, row.policy).read())


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
    pattern = number_rules.c.pattern
    rows = await connection.execute(
        select(pattern, number_rules.c.action).where(
            number_rules.c.tenant_id == tenant.id,
            number_rules.c.direction == direction,
            or_(pattern == func.any(literal(list(numbers), ARRAY(Text))), pattern.like("%*")),
        )
    )
    whole: dict[str, tuple[ListEntry, ...]] = {}
    prefixes: list[ListEntry] = []
    for row in rows:
        entry = ListEntry(pattern=row.pattern, direction=direction, action=row.action)
        if row.pattern.endswith("*"):
            prefixes.append(entry)
        else:
            whole[row.pattern] = (entry,)
    return Lists(tenant.policy, whole, tuple(prefixes))


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
