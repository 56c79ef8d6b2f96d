"""The rules that hold in each box of a tenant, and the faxes whose time is up by them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.rules.retention import RetentionPolicy
from faxgw.store.tables import boxes, faxes

NOT_STORED = "nothing is stored"


@dataclass(frozen=True, slots=True)
class Due:
    """Faxes of some boxes that go at one time, by one rule.

    Attributes:
        code: why, as in ``shredding.Why``.
        rule: in words.
        boxes: which; empty: any.
        created_before: what was created then or earlier; None: by the fax's own rule.
        shredded_before: minimal records of what went then or earlier; None: it is about no records.
    """

    code: str
    rule: str
    boxes: tuple[UUID, ...] = ()
    created_before: datetime | None = None
    unstored: bool = False
    shredded_before: datetime | None = None

    @property
    def record(self) -> Literal["minimal", "none"] | None:
        """What stays of them; None: what the tenant's policy says."""
        if self.shredded_before is not None:
            return "none"
        return "minimal" if self.unstored else None

    def condition(self, now: datetime) -> ColumnElement[bool]:
        """Return which faxes it is about, held or not."""
        if self.shredded_before is not None:
            return faxes.c.shredded_at <= self.shredded_before
        ended = and_(faxes.c.finished_at.is_not(None), faxes.c.shredded_at.is_(None))
        if self.unstored:
            waits = and_(faxes.c.erase_at.is_not(None), faxes.c.erase_at > now, faxes.c.direction == "in")
            return and_(ended, faxes.c.storage == "none", ~waits)
        if self.created_before is None:
            return and_(ended, faxes.c.erase_at <= now)
        return and_(ended, faxes.c.box_id.in_(self.boxes), faxes.c.created_at <= self.created_before)


@dataclass(frozen=True, slots=True)
class BoxRule:
    """How long faxes are kept in a box, in days; None: without end."""

    box_id: UUID
    name: str
    days: int | None
    rule: str


async def box_rules(connection: AsyncConnection, tenant_id: UUID, policy: RetentionPolicy) -> list[BoxRule]:
    """Return what holds in every box of a tenant."""
    mine = select(boxes.c.id, boxes.c.name, boxes.c.data_class, boxes.c.retention_days)
    rows = await connection.execute(mine.where(boxes.c.tenant_id == tenant_id).order_by(boxes.c.id))
    return [_rule(policy, *row) for row in rows]


def _rule(policy: RetentionPolicy, box_id: UUID, name: str, data_class: str, own: int | None) -> BoxRule:
    days = policy.days_for(data_class, own)
    if days is None:
        return BoxRule(box_id, name, None, "")
    of_class = policy.classes[data_class].days if data_class in policy.classes else None
    said = {policy.days: "tenant", of_class: f"class {data_class}", own: "box"}
    return BoxRule(box_id, name, days, f"{said[days]}: {days} days")


def records_due(policy: RetentionPolicy, *, now: datetime) -> Due | None:
    """Return which minimal records go now; None: they are kept without end."""
    days = policy.record_days
    if days is None:
        return None
    return Due("retention", f"records: {days} days", shredded_before=now - timedelta(days=days))


def dues(rules: Sequence[BoxRule], policy: RetentionPolicy, *, now: datetime) -> list[Due]:
    """Return all that may be due now: what is not stored, what has a rule of its own, each rule of boxes, records."""
    found = [Due("not_stored", NOT_STORED, unstored=True), Due("retention", "fax: its own time")]
    by_rule: dict[tuple[str, int], list[UUID]] = {}
    for each in rules:
        if each.days is not None:
            by_rule.setdefault((each.rule, each.days), []).append(each.box_id)
    for (rule, days), ids in by_rule.items():
        found.append(Due("retention", rule, tuple(ids), now - timedelta(days=days)))
    records = records_due(policy, now=now)
    return [*found, records] if records else found
