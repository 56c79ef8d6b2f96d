"""What resources write into the audit log: who did what, and what it was before; nothing personal in clear."""

from collections.abc import Mapping
from enum import Enum
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import ColumnElement, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.api.call import Call
from faxgw.api.json import plain
from faxgw.api.resources.editing import Row, change, one
from faxgw.audit import pseudonym, record

PERSONAL = frozenset({"email", "name", "note", "number", "numbers", "pattern", "prefix", "station_ids", "text"})
"""Fields that may tell of a person: a pseudonym stands for their values."""
_OURS = frozenset({"id", "tenant_id", "version", "created_at", "updated_at", "secret", "old_secret", "mac"})
"""Columns that say nothing of what was asked for, or are secret."""


async def note(connection: AsyncConnection, call: Call, action: str, object_id: UUID | str, **data: Any) -> None:
    """Record that whoever asks has done something, to a thing of the kind that the action's name begins with."""
    await record(
        connection,
        tenant_id=call.actor.tenant_id,
        actor=call.actor,
        action=action,
        object=action.partition(".")[0],
        object_id=object_id,
        data={name: _told(call, name, value) for name, value in data.items()},
    )


async def note_new(connection: AsyncConnection, call: Call, action: str, row: Row) -> None:
    """Record that a row was made, with what is in it."""
    await note(connection, call, action, row["id"], new=_facts(row))


async def change_noted(
    connection: AsyncConnection,
    call: Call,
    action: str,
    table: Table,
    condition: ColumnElement[bool],
    *,
    if_match: str | None,
    **values: Any,
) -> Row:
    """Change a row as ``change`` does, and record what was there before."""
    before = await one(connection, select(table).where(condition).with_for_update())
    row = await change(connection, table, condition, if_match=if_match, **values)
    await note(connection, call, action, row["id"], **difference(before, row))
    return row


def difference(before: Row, after: Row) -> dict[str, dict[str, Any]]:
    """Return the fields that are not the same any more, as they were (``old``) and as they are (``new``)."""
    old, new = _facts(before), _facts(after)
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return {
        "old": {name: old[name] for name in changed if name in old},
        "new": {name: new[name] for name in changed if name in new},
    }


def _facts(row: Row) -> dict[str, Any]:
    return {str(name): value for name, value in row.items() if name not in _OURS}


def _told(call: Call, name: str, value: Any) -> Any:
    """Return a value as the log may have it."""
    if isinstance(value, Mapping):
        return {str(each): _told(call, str(each), inner) for each, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_told(call, name, each) for each in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, str) and value and not isinstance(value, Enum):
        return _text(call, name, value)
    if value is None or isinstance(value, bool | int | str):
        return value
    return repr(value) if isinstance(value, float) else plain(value)


def _text(call: Call, name: str, value: str) -> str:
    if name == "url":
        return f"{urlsplit(value).scheme}://{urlsplit(value).hostname}"
    if name in PERSONAL:
        return pseudonym(call.gateway.server_keys, tenant_id=call.actor.tenant_id, subject=value)
    return value
