"""What resources have in common that people edit: found or 404, changed by version, refused where the tables refuse."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import Header
from psycopg.errors import IntegrityError as Refused
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, Select, Table, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.api.answers import version_of
from faxgw.api.problems import Problem

Row = Mapping[Any, Any]

IfMatch = Annotated[
    str | None, Header(max_length=100, description="The ETag of what you have read, or `*`.", examples=['"1"'])
]


class Asked(BaseModel):
    """The body of a request: what is not known is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


async def one(connection: AsyncConnection, statement: Select[Any], code: str = "request.not_found") -> Row:
    """Return the one row of a statement.

    Raises:
        Problem: ``code``, if there is none.
    """
    row: Row | None = (await connection.execute(statement)).mappings().one_or_none()
    if row is None:
        raise Problem(code)
    return row


async def change(
    connection: AsyncConnection, table: Table, condition: ColumnElement[bool], *, if_match: str | None, **values: Any
) -> Row:
    """Change a row that has a version, if it is still the one that the caller has read; return it as it is then.

    Raises:
        Problem: ``request.not_found``, ``request.precondition`` or ``.precondition_required``.
    """
    version = version_of(if_match)
    before = await one(connection, select(table.c.version).where(condition).with_for_update())
    if version is not None and before["version"] != version:
        raise Problem("request.precondition", f"It has version {before['version']} by now; read it again.")
    statement = update(table).where(condition).values(version=table.c.version + 1, **values).returning(table)
    row: Row = (await connection.execute(statement)).mappings().one()
    return row


async def remove(connection: AsyncConnection, table: Table, condition: ColumnElement[bool]) -> None:
    """Delete a row.

    Raises:
        Problem: ``request.not_found``.
    """
    if (await connection.execute(delete(table).where(condition))).rowcount != 1:
        raise Problem("request.not_found")


@contextmanager
def refused(**problems: tuple[str, str]) -> Iterator[None]:
    """Turn what a constraint refuses into a problem: name of the constraint -> code and reason.

    The transaction is lost then, as it is with every problem.
    """
    try:
        yield
    except IntegrityError as error:
        name = error.orig.diag.constraint_name if isinstance(error.orig, Refused) else None
        if name not in problems:
            raise
        raise Problem(*problems[name]) from None
