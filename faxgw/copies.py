"""The copy ledger: every copy of a fax that left the archive, and until when it is where it went."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Integer, RowMapping, Text, Uuid, cast, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.ids import new_id
from faxgw.rules.retention import Copy, LedgerKind
from faxgw.store.tables import copies, faxes, tenants


async def note(
    connection: AsyncConnection,
    *,
    fax_id: UUID,
    kind: LedgerKind,
    to: str,
    sha256: bytes = b"",
    expires_at: datetime | None = None,
    now: datetime | None = None,
    tenant_id: UUID | None = None,
    target_id: UUID | None = None,
    path: str = "",
) -> None:
    """Write down that a copy leaves; the same one to the same place again counts as one.

    Args:
        connection: a transaction of the tenant, or of the dispatcher.
        fax_id: of the fax; where there is none, nothing is written, unless the tenant is given.
        kind: how it leaves.
        to: who has it then, or where it lies: ``user:ID``, an address, a path.
        sha256: of what leaves; empty: unknown.
        expires_at: when it is gone there; None: after the days that the tenant's policy declares for such copies.
        now: when it leaves; the time by the clock unless given.
        tenant_id: whose fax it is; None: as its row says.
        target_id: to which target it goes.
        path: of the file there, by which the gateway can delete it; empty: it cannot.
    """
    at = func.now() if now is None else literal(now, DateTime(timezone=True))
    days = cast(tenants.c.policy["retention"]["declared"][kind].astext, Integer)
    declared = at + func.make_interval(0, 0, 0, days)
    end = declared if expires_at is None else literal(expires_at, DateTime(timezone=True))
    values = {
        "id": literal(new_id(), Uuid),
        "tenant_id": tenants.c.id,
        "fax_id": literal(fax_id, Uuid),
        "kind": literal(kind, Text),
        "location": literal(to, copies.c.location.type),
        "sha256": literal(sha256, copies.c.sha256.type),
        "created_at": at,
        "last_at": at,
        "expires_at": end,
        "deletable": literal(bool(path)),
        "target_id": literal(target_id, Uuid),
        "path": literal(path, copies.c.path.type),
    }
    of_fax = select(faxes.c.tenant_id).where(faxes.c.id == fax_id).scalar_subquery()
    one = select(*values.values()).where(tenants.c.id == (of_fax if tenant_id is None else tenant_id))
    new = insert(copies).from_select(list(values), one)
    again: dict[str, Any] = {name: new.excluded[name] for name in ("last_at", "expires_at", "deletable", "path")}
    again |= {"times": copies.c.times + 1, "deleted_at": None, "told_at": None}
    await connection.execute(new.on_conflict_do_update(constraint="copies_key", set_=again))


async def of_fax(connection: AsyncConnection, fax_id: UUID) -> Sequence[RowMapping]:
    """Return the rows of a fax's copies, oldest first."""
    found = select(copies).where(copies.c.fax_id == fax_id).order_by(copies.c.id)
    return (await connection.execute(found)).mappings().all()


def as_copy(row: RowMapping) -> Copy:
    """Return a row as the rules see it."""
    return Copy(row["expires_at"], row["deleted_at"], row["deletable"])
