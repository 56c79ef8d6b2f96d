"""Many rows in one statement that is always the same: each column goes as one array.

So it is built, compiled and prepared once, however many rows there are; and several tables fit into one statement.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Insert, Table, any_, bindparam, column, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, insert


class Rows:
    """Some columns of a table, of which rows are inserted."""

    def __init__(self, table: Table, *names: str) -> None:
        self._table = table
        self._names = names

    def inserted(self, *, known: bool = False) -> Insert:
        """Return the statement, to be executed with what ``values`` returns; ``known``: some may be there already."""
        kinds = {name: self._table.c[name].type for name in self._names}
        arrays = (bindparam(self._parameter(name), type_=ARRAY(kind)) for name, kind in kinds.items())
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
