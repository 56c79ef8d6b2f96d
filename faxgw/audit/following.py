"""Rows of the log that a statement writes by itself, for what it has just done: they cost no way to the database.

What ends a call, or a message to a webhook, is one statement already; the row goes along as a part of it.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import CTE, ColumnElement, Insert, Text, cast, func, insert, literal, select

from faxgw.store.tables import audit_waiting

_TIME = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'


def recorded(
    done: CTE,
    *,
    action: ColumnElement[str] | str,
    object: str,
    object_id: ColumnElement[Any],
    data: Mapping[str, ColumnElement[Any]],
    where: ColumnElement[bool] | None = None,
) -> Insert:
    """Return the statement that appends a row to the log for each row of ``done``, which the gateway did by itself.

    Args:
        done: what the statement has changed, with ``tenant_id``.
        action: as of ``record``.
        object: as of ``record``.
        object_id: a column of ``done``, or made of some.
        data: what else it says; no fractions, and nothing of a person. What is null is left out.
        where: which rows of ``done``; None: all.
    """
    entry = {
        "action": literal(action) if isinstance(action, str) else action,
        "actor": literal("service"),
        "data": func.jsonb_strip_nulls(_object(data)),
        "object": literal(object),
        "object_id": cast(object_id, Text),
        "outcome": literal("ok"),
        "source": literal(""),
        "tenant": cast(done.c.tenant_id, Text),
        "time": func.to_char(func.timezone("UTC", func.now()), _TIME),
    }
    rows = select(done.c.tenant_id, cast(_object(entry), Text))
    return insert(audit_waiting).from_select(["tenant_id", "entry"], rows if where is None else rows.where(where))


def _object(members: Mapping[str, ColumnElement[Any]]) -> ColumnElement[Any]:
    return func.jsonb_build_object(*[item for name, value in members.items() for item in (literal(name), value)])
