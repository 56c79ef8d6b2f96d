"""``record``: one row of the audit log, or one for each of many things, in the transaction of what it tells of.

The row gets its number and its place in the tree a moment later (``sequencing``), so that transactions which record
something never wait for each other.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.actor import Actor
from faxgw.audit.canonical import canonical
from faxgw.store.rows import Rows
from faxgw.store.tables import audit_waiting

Outcome = Literal["ok", "refused"]


async def record(
    connection: AsyncConnection,
    *,
    tenant_id: UUID,
    actor: Actor | str,
    action: str,
    object: str = "",
    object_id: UUID | str | None = None,
    outcome: Outcome = "ok",
    source: str = "",
    data: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> None:
    """Append one row to a tenant's log; it is there when, and if, the transaction commits.

    Args:
        connection: a transaction of the tenant, or of the dispatcher.
        tenant_id: whose log.
        actor: who did it: who asks, or ``service`` or ``operator``, or a ``pseudonym``.
        action: what was done, such as ``policy.changed``; docs/audit.md lists them.
        object: what kind of thing it was done to.
        object_id: which one; ids of rows are random and say nothing of a person once the row is gone.
        outcome: ``refused`` if it was asked for and not done.
        source: by what; for an ``Actor`` it is the credential.
        data: null, booleans, integers, text, lists and objects; persons and numbers as ``pseudonym`` only.
        now: when; the time by the clock unless given.

    Raises:
        NotCanonical: if something in ``data`` is none of these.
    """
    same = {"tenant": str(tenant_id), "action": action, "object": object, "outcome": outcome}
    entry = _entry(_common(actor, source, now=now, **same), object_id, data or {})
    await connection.execute(_APPEND, {"tenant_id": tenant_id, "entry": entry})


async def record_each(
    connection: AsyncConnection,
    said: Iterable[tuple[UUID | str | None, Mapping[str, Any]]],
    *,
    tenant_id: UUID,
    actor: Actor | str,
    action: str,
    object: str = "",
    now: datetime | None = None,
) -> None:
    """Append a row for each of many things to which the same was done; in one statement.

    Args:
        connection: as of ``record``, and so is all that is not here.
        said: of each thing, its id and its ``data``.
        tenant_id: whose log.
        actor: who did it.
        action: what was done.
        object: what kind of things.
        now: when.
    """
    same = {"tenant": str(tenant_id), "action": action, "object": object, "outcome": "ok"}
    common = _common(actor, now=now, **same)
    rows = [{"tenant_id": tenant_id, "entry": _entry(common, object_id, data)} for object_id, data in said]
    if rows:
        await connection.execute(_APPEND_EACH, _WAITING.values(rows))


_APPEND = insert(audit_waiting)
_WAITING = Rows(audit_waiting, "tenant_id", "entry")
_APPEND_EACH = _WAITING.inserted()


def _common(actor: Actor | str, source: str = "", *, now: datetime | None, **same: str) -> dict[str, str]:
    who, by = (actor, source) if isinstance(actor, str) else (f"user:{actor.user_id}", source or _credential(actor))
    time = (now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"actor": who, "source": by, "time": time, **same}


def _entry(common: Mapping[str, Any], object_id: UUID | str | None, data: Mapping[str, Any]) -> str:
    return canonical({**common, "data": dict(data), "object_id": str(object_id) if object_id else ""}).decode()


def _credential(actor: Actor) -> str:
    if actor.session_id:
        return f"session:{actor.session_id}"
    if actor.device_id:
        return f"device:{actor.device_id}"
    return f"api_key:{actor.api_key_id}" if actor.api_key_id else ""
