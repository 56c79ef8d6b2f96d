"""Lists in pages: newest first, with a cursor that says after which id the next page begins."""

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime, BeforeValidator
from sqlalchemy import Column, ColumnElement, Select, Table

from faxgw.api.problems import Problem
from faxgw.ids import least_id

MOST = 200
USUAL = 50
APART = 600.0
"""Seconds that ``created_at``, by the database's clock, and the time in an id, by a gateway's, may be apart."""


def _written_out(value: str) -> str:
    if "T" not in value.upper():
        raise ValueError("a time is written like 2026-01-31T12:00:00Z")
    return value


Limit = Annotated[int, Query(ge=1, le=MOST, description="How many items to give at the most.")]
Cursor = Annotated[
    str | None,
    Query(
        max_length=64,
        description="`next` of the page before; without it, the list begins.",
        json_schema_extra={"pattern": "^[A-Za-z0-9_-]{21}[AQgw]$"},
    ),
]
Time = Annotated[AwareDatetime, BeforeValidator(_written_out)]
"""A time in the address of a request; numbers are none."""

Row = Mapping[Any, Any]


def newest_first(statement: Select[Any], column: Column[Any], *, limit: int, cursor: str | None) -> Select[Any]:
    """Return the statement for one page and one row more, which tells whether another page follows.

    Raises:
        Problem: ``request.cursor``.
    """
    if cursor is not None:
        statement = statement.where(column < read_cursor(cursor))
    return statement.order_by(column.desc()).limit(limit + 1)


def created_between(table: Table, after: datetime | None, before: datetime | None) -> Iterator[ColumnElement[bool]]:
    """Return the conditions on rows that were made at ``after`` or later, and before ``before``.

    Those on ``id``, by which lists are sorted, let the database begin at the right place.
    """
    if after is not None:
        yield table.c.created_at >= after
        yield table.c.id >= least_id(after.timestamp() - APART)
    if before is not None:
        yield table.c.created_at < before
        yield table.c.id < least_id(before.timestamp() + APART)


def page(rows: Sequence[Row], shape: Callable[[Row], Mapping[str, Any]], *, limit: int) -> dict[str, Any]:
    """Return the answer of a list from the rows of ``newest_first``."""
    more = len(rows) > limit
    items = [shape(row) for row in rows[:limit]]
    return {"items": items, "next": cursor_of(rows[limit - 1]["id"]) if more else None}


def cursor_of(last: UUID) -> str:
    """Return the cursor that goes on after an item."""
    return base64.urlsafe_b64encode(last.bytes).decode().rstrip("=")


def read_cursor(cursor: str) -> UUID:
    """Return the id after which the page begins.

    Raises:
        Problem: ``request.cursor``.
    """
    try:
        return UUID(bytes=base64.b64decode(cursor + "==", b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise Problem("request.cursor", "This is no cursor of this list; use `next` of the page before.") from None
