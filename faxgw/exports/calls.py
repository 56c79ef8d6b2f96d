"""Records of calls: what telephone companies call CDR. As CSV that no spreadsheet takes for formulas, and as JSON."""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, select, tuple_

from faxgw.store.tables import attempts, faxes

BATCH = 1000
"""Records that are read at a time."""

COLUMNS: dict[str, Any] = {
    "fax": attempts.c.fax_id,
    "attempt": attempts.c.index,
    "direction": faxes.c.direction,
    "box": faxes.c.box_id,
    "api_key": faxes.c.api_key_id,
    "from": faxes.c.from_number,
    "to": faxes.c.to_number,
    "remote_id": attempts.c.remote_id,
    "line": attempts.c.line,
    "node": attempts.c.node,
    "started_at": attempts.c.started_at,
    "connected_at": attempts.c.connected_at,
    "ended_at": attempts.c.ended_at,
    "seconds": attempts.c.seconds,
    "pages": attempts.c.pages,
    "rate": attempts.c.rate,
    "modulation": attempts.c.modulation,
    "ecm": attempts.c.ecm,
    "cause": attempts.c.cause,
    "cause_text": attempts.c.cause_text,
}
"""Name in a record -> where it is from; CSV and JSON have the same names."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"[+-]?[0-9][0-9 .]*")


def batch_after(last: tuple[datetime, Any] | None, *conditions: ColumnElement[bool], limit: int = BATCH) -> Select[Any]:
    """Return the next records after ``last``, the end and id of a call, in the order of their ends."""
    statement = (
        select(attempts.c.id.label("id"), *(column.label(name) for name, column in COLUMNS.items()))
        .join(faxes, faxes.c.id == attempts.c.fax_id)
        .where(attempts.c.state == "ended", *conditions)
        .order_by(attempts.c.ended_at, attempts.c.id)
        .limit(limit)
    )
    return statement if last is None else statement.where(tuple_(attempts.c.ended_at, attempts.c.id) > last)


def csv_head() -> bytes:
    """Return the line of names."""
    return _lines([list(COLUMNS)])


def csv_lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return records as lines of CSV (RFC 4180), times in ISO 8601, nothing as an empty cell."""
    return _lines([[cell(row[name]) for name in COLUMNS] for row in rows])


def json_records(rows: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """Return records as JSON, one each."""
    plain = [{name: _plain(row[name]) for name in COLUMNS} for row in rows]
    return [json.dumps(each, ensure_ascii=False).encode() for each in plain]


def cell(value: Any) -> str:
    """Return a value as a cell that stays text: what a spreadsheet would take for a formula gets an apostrophe.

    Telephone numbers stay as they are: digits after a plus are no formula.

    >>> cell("=HYPERLINK(1)"), cell("+15550100"), cell("@SUM(A1)"), cell(None), cell(True)
    ("'=HYPERLINK(1)", '+15550100', "'@SUM(A1)", '', 'true')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _lines(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
