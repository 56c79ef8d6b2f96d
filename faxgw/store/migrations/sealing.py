"""Within a migration, seals what an older version of the program has left in clear."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import psycopg
from alembic import context, op
from psycopg import sql

from faxgw.errors import RequestError
from faxgw.keys.values import ValueSeals

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Column:
    """A column that becomes a sealed one.

    Attributes:
        name: of the column.
        context: what its values are.
        findable: whether they can be looked up.
        read: SQL of its values as they were; empty: the column. What is null, or empty, is nowhere written.
        needed: it has no default.
        nullable: it may be null, and is where there is nothing.
        many: it holds arrays.
        comment: on what it is.
    """

    name: str
    context: str
    findable: bool = False
    read: str = ""
    needed: bool = False
    nullable: bool = False
    many: bool = False
    comment: str = ""

    @property
    def type(self) -> sql.SQL:
        """Its type, in SQL."""
        return sql.SQL("bytea[]" if self.many else "bytea")

    @property
    def empty(self) -> sql.SQL:
        """What it holds where there is nothing, in SQL."""
        return sql.SQL("'{}'::bytea[]" if self.many else "''::bytea")

    @property
    def new(self) -> sql.Identifier:
        """What it is called while the one of before is there."""
        return sql.Identifier(f"sealed_{self.name}")

    def sealed(self, seals: ValueSeals, value: Any) -> Any:
        """Return a value as it is to be stored; JSON comes as text."""
        if not value or value == "{}":
            return None
        if self.many:
            return [self._sealed(seals, each) for each in value]
        return self._sealed(seals, value)

    def _sealed(self, seals: ValueSeals, value: str | bytes) -> bytes:
        octets = value.encode() if isinstance(value, str) else value
        seal = seals.seal_findable if self.findable else seals.seal
        return seal(octets, context=self.context)


def seal_columns(table: str, *columns: Column, also: str = "") -> None:
    """Put sealed columns in place of those of before; their constraints and indexes are to be made anew.

    No row as it was is left in the files of the table. What the write-ahead log has of it goes with that log.

    Args:
        table: its name.
        columns: the columns.
        also: SQL of what else is set in every row.
    """
    wall = "SELECT relforcerowsecurity FROM pg_class WHERE oid = %s::regclass"
    stands = (_connection().execute(wall, (table,)).fetchone() or (False,))[0]
    for statement in _prepared(columns):
        _say(statement, table)
    there = _seal_rows(table, columns, also)
    for statement in _finished(columns, there=there):
        _say(statement, table)
    if stands:
        _say(sql.SQL("ALTER TABLE {table} FORCE ROW LEVEL SECURITY"), table)


def _prepared(columns: Sequence[Column]) -> Iterator[sql.Composable]:
    yield sql.SQL("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    for each in columns:
        rest = sql.SQL("") if each.nullable else sql.SQL(" NOT NULL DEFAULT {}").format(each.empty)
        yield sql.SQL("ALTER TABLE {{table}} ADD COLUMN {} {}{}").format(each.new, each.type, rest)


def _finished(columns: Sequence[Column], *, there: bool) -> Iterator[sql.Composable]:
    for each in columns:
        old = sql.Identifier(each.name)
        yield sql.SQL("ALTER TABLE {{table}} DROP COLUMN IF EXISTS {}").format(old)
        yield sql.SQL("ALTER TABLE {{table}} RENAME COLUMN {} TO {}").format(each.new, old)
        if each.needed:
            yield sql.SQL("ALTER TABLE {{table}} ALTER COLUMN {} DROP DEFAULT").format(old)
        if each.comment:
            yield sql.SQL("COMMENT ON COLUMN {{table}}.{} IS {}").format(old, each.comment)
    if there:
        # PostgreSQL writes the table anew then, without what was dropped and without older rows.
        first = columns[0]
        rewritten = sql.SQL("ALTER TABLE {{table}} ALTER COLUMN {0} TYPE {1} USING {0} || {2}")
        yield rewritten.format(sql.Identifier(first.name), first.type, first.empty)


def _seal_rows(table: str, columns: Sequence[Column], also: str) -> bool:
    """Fill the new columns; return whether there was a row."""
    wanted = sql.SQL(", ").join(sql.SQL(each.read) if each.read else sql.Identifier(each.name) for each in columns)
    news = [sql.SQL("{0} = coalesce(%s, {0})").format(each.new) for each in columns] + ([sql.SQL(also)] if also else [])
    named = sql.Identifier(table)
    change = sql.SQL("UPDATE {} SET {} WHERE ctid = %s::tid").format(named, sql.SQL(", ").join(news))
    there, connection = False, _connection()
    with connection.cursor(name="rows_in_clear") as rows, connection.cursor() as writer:
        rows.execute(sql.SQL("SELECT ctid::text, {} FROM {}").format(wanted, named))
        while batch := rows.fetchmany(BATCH):
            there, seals = True, context.config.attributes.get("seals") or _refuse()
            writer.executemany(change, [[*_row(seals, columns, values), place] for place, *values in batch])
    return there


def _row(seals: ValueSeals, columns: Sequence[Column], values: Sequence[Any]) -> Iterator[Any]:
    return (column.sealed(seals, value) for column, value in zip(columns, values, strict=True))


def _refuse() -> NoReturn:
    reason = "The database has personal values in clear, and these are no keys to seal them by: start the service."
    raise RequestError("database.keys", reason)


def _say(statement: sql.Composable, table: str) -> None:
    text = statement.as_string(_connection()).replace("{table}", sql.Identifier(table).as_string(_connection()))
    _connection().execute(text.encode())


def _connection() -> psycopg.Connection[Any]:
    raw = op.get_bind().connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    return raw
