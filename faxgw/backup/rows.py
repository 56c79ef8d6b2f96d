"""The rows of every table, out of one moment of a database and into an empty one, as PostgreSQL's COPY writes them."""

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from faxgw.backup.bundle import PIECE
from faxgw.errors import RequestError

Connection = psycopg.Connection[TupleRow]

GAP = 1_000_000
"""How far numbers that the database gives out move on: none that was given out after the backup comes again."""

_COLUMNS = """
SELECT t.relname, a.attname FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid
WHERE t.relkind = 'r' AND t.relnamespace = 'public'::regnamespace AND t.relname <> 'alembic_version'
AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY t.relname, a.attnum
"""
_REFERENCES = """
SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND conrelid <> confrelid
"""
_NUMBERED = """
SELECT table_name, column_name, pg_get_serial_sequence(quote_ident(table_name), column_name)
FROM information_schema.columns WHERE table_schema = 'public'
AND pg_get_serial_sequence(quote_ident(table_name), column_name) IS NOT NULL
"""


def columns(connection: Connection) -> dict[str, list[str]]:
    """Return every table with its columns, those left out that PostgreSQL computes."""
    found: dict[str, list[str]] = {}
    for table, column in connection.execute(_COLUMNS):
        found.setdefault(table, []).append(column)
    return found


def copied(connection: Connection, table: str, names: Sequence[str]) -> Iterator[bytes]:
    """Go through the rows of a table as text, some megabytes at a time; each piece ends with a row."""
    copy = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(_list(names), sql.Identifier(table))
    held, size = [], 0
    with connection.cursor().copy(copy) as rows:
        for row in rows:
            held.append(bytes(row))
            size += len(row)
            if size >= PIECE:
                yield b"".join(held)
                held, size = [], 0
    if held:
        yield b"".join(held)


def put_back(connection: Connection, table: str, names: Sequence[str], pieces: Iterator[bytes]) -> None:
    """Copy such rows into a table."""
    copy = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), _list(names))
    with connection.cursor().copy(copy) as rows:
        for piece in pieces:
            rows.write(piece)


def in_order(connection: Connection, tables: Mapping[str, Any]) -> list[str]:
    """Return the tables so that each comes after those that it refers to.

    Raises:
        RequestError: ``backup.tables`` when some refer to each other in a circle.
    """
    sorter: TopologicalSorter[str] = TopologicalSorter({table: set() for table in sorted(tables)})
    for table, referred in connection.execute(_REFERENCES):
        if table in tables and referred in tables:
            sorter.add(table, referred)
    try:
        return list(sorter.static_order())
    except CycleError as error:
        raise RequestError("backup.tables", f"Tables refer to each other in a circle: {error.args[1]}.") from error


def move_numbers_on(dispatcher: Connection, owner: Connection) -> None:
    """Have the database go on numbering well after what the rows have."""
    for table, column, sequence in owner.execute(_NUMBERED).fetchall():
        highest = sql.SQL("SELECT coalesce(max({}), 0) FROM {}").format(sql.Identifier(column), sql.Identifier(table))
        row = dispatcher.execute(highest).fetchone()
        owner.execute("SELECT setval(%s, %s)", (sequence, (row[0] if row else 0) + GAP))


def set_triggers(owner: Connection, tables: Sequence[str], *, on: bool) -> None:
    """Have the triggers of tables rest while rows are put back, or work again; references are held to all the while."""
    what = sql.SQL("ENABLE" if on else "DISABLE")
    for table in tables:
        owner.execute(sql.SQL("ALTER TABLE {} {} TRIGGER USER").format(sql.Identifier(table), what))


def _list(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
