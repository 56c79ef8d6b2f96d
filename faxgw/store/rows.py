"""Many rows in one statement that is always the same: each column goes as one array.

So it is built, compiled and prepared once, however many rows there are; and several tables fit into one statement.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Dialect,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    column,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert
from sqlalchemy.types import TypeDecorator, TypeEngine

from faxgw.store.sealed_columns import SealedType


class Rows:
    """Some columns of a table, of which rows are inserted."""

    def __init__(self, table: Table, *names: str) -> None:
        self._table = table
        self._names = names

    def inserted(self, *, known: bool = False) -> Insert:
        """Return the statement, to be executed with what ``values`` returns; ``known``: some may be there already."""
        kinds = {name: self._table.c[name].type for name in self._names}
        arrays = (bindparam(self._parameter(name), type_=_Spelled(kind)) for name, kind in kinds.items())
        rows = func.unnest(*arrays).table_valued(*(column(name, kind) for name, kind in kinds.items()))
        new = insert(self._table).from_select(
            list(self._names), select(*rows.render_derived(name=f"{self._table.name}_rows").c)
        )
        return new.on_conflict_do_nothing() if known else new

    def values(self, rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
        """Return the rows as the statement takes them: column by column."""
        there = list(rows)
        return {self._parameter(name): [row[name] for row in there] for name in self._names}

    def _parameter(self, name: str) -> str:
        return f"{self._table.name}_{name}"


def among(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """Return the condition that a column is one of some values; unlike ``in_``, it is prepared once for any number."""
    return column == any_(literal(list(values), ARRAY(column.type)))


class _Spelled(TypeDecorator[Sequence[Any]]):
    """An array that goes as it is written in SQL: the driver takes ten times as long over text with quotes in it."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: TypeEngine[Any]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> str | None:
        """Write the array."""
        if value is None:
            return None
        if isinstance(self.kind, SealedType):
            value = [self.kind.process_bind_param(each, dialect) for each in value]
        return "{" + ",".join(map(_spelled, value)) + "}"

    def bind_expression(self, bindparam: BindParameter[Sequence[Any]]) -> ColumnElement[Any]:
        """Have the server read it as what it is."""
        return cast(bindparam, ARRAY(self.kind))


def _spelled(value: Any) -> str:
    """Return a value as it is written in an array."""
    if value is None:
        return "NULL"
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bytes):
        return f'"\\\\x{value.hex()}"'
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, datetime):
        return f'"{value.isoformat()}"'
    if isinstance(value, dict | list):
        return _quoted(json.dumps(value))
    raise TypeError(f"a {type(value).__name__} cannot be an element of an array")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
