"""Where it is kept: one row for each machine of a tenant, with its last calls, sealed, and what an operator says.

What follows from the calls is not stored: it is worked out whenever it is asked for, see ``lessons``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.ids import new_id
from faxgw.learning.evidence import CallSeen, Seen, as_json, from_json
from faxgw.learning.lessons import lessons
from faxgw.learning.limits import Limit
from faxgw.learning.policy import LearningPolicy
from faxgw.learning.standing import Known, stand
from faxgw.learning.verdicts import Verdict, Verdicts
from faxgw.model import Direction
from faxgw.store.tables import machines

CALLS_KEPT = 12
"""So many calls with one machine are kept, the last ones."""


@dataclass(frozen=True, slots=True)
class Who:
    """A machine: what answers at a number, or what calls from it; without a number, by what it calls itself."""

    direction: Direction
    number: str = ""
    station: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """A row, opened.

    Attributes:
        calls: its last ones, oldest first.
        capabilities: its last DIS, or where it calls its last DCS.
        nonstandard: what came in its last NSF or NSS.
    """

    direction: Direction
    calls: Sequence[CallSeen] = ()
    verdicts: Verdicts = field(default_factory=dict)
    capabilities: bytes = b""
    nonstandard: bytes = b""

    def known(self, policy: LearningPolicy, *, at: datetime) -> Known:
        """Return what holds at a moment."""
        return stand(lessons(policy, self.calls, direction=self.direction, at=at), self.verdicts, at=at)


def opened(row: Mapping[Any, Any]) -> Kept:
    """Return what is in a row."""
    seen = row["seen"]
    return Kept(
        Direction(row["direction"]),
        tuple(from_json(each) for each in seen.get("calls", ())),
        {Limit(limit): Verdict.model_validate(said) for limit, said in row["verdicts"].items()},
        bytes.fromhex(seen.get("capabilities", "")),
        bytes.fromhex(seen.get("nonstandard", "")),
    )


async def known_of(
    connection: AsyncConnection, tenant_id: UUID, who: Who, policy: LearningPolicy, *, at: datetime
) -> Known:
    """Return what holds for a call with a machine at a moment."""
    found = await connection.execute(select(machines).where(_this(tenant_id, who)))
    row = found.mappings().one_or_none()
    return opened(row).known(policy, at=at) if row is not None else Known()


async def keep(connection: AsyncConnection, tenant_id: UUID, who: Who, seen: Seen) -> None:
    """Take a call into what is known of a machine, in the transaction that ends the call."""
    new = upsert(machines).values(
        id=new_id(), tenant_id=tenant_id, direction=who.direction.value, number=who.number, station=who.station
    )
    await connection.execute(new.on_conflict_do_nothing())
    before = await connection.execute(select(machines).where(_this(tenant_id, who)).with_for_update())
    row = before.mappings().one()
    values = {"seen": _with(row, seen), "seen_at": func.now()}
    await connection.execute(update(machines).where(machines.c.id == row["id"]).values(values))


def _with(row: RowMapping, seen: Seen) -> dict[str, Any]:
    """Return what is kept of the calls of a machine, with one more."""
    before = row["seen"]
    return {
        "calls": [*before.get("calls", ()), as_json(seen.call)][-CALLS_KEPT:],
        "capabilities": seen.capabilities.hex() or before.get("capabilities", ""),
        "nonstandard": seen.nonstandard.hex() or before.get("nonstandard", ""),
    }


def _this(tenant_id: UUID, who: Who) -> ColumnElement[bool]:
    return (
        (machines.c.tenant_id == tenant_id)
        & (machines.c.direction == who.direction.value)
        & (machines.c.number == who.number)
        & (machines.c.station == who.station)
    )
