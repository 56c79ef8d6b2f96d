"""Brings a database to the version of this program, and refuses one that it must not touch."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import structlog
from sqlalchemy import create_engine, make_url, pool

from faxgw.errors import RequestError
from faxgw.keys.values import ValueSeals
from faxgw.store.roles import APP, DISPATCHER

if TYPE_CHECKING:
    from alembic.config import Config

log = structlog.get_logger(__name__)

SCRIPTS = Path(__file__).parent / "migrations"
OLDEST_SERVER = 15
CONNECT_LIMIT = 5

LOCK = 0x666178677700
"""Number of the advisory lock under which a node migrates: ``faxgw`` in ASCII."""

_ONE_AT_A_TIME = threading.Lock()

_ROLES = {APP: (False, False), DISPATCHER: (False, True)}
"""Role -> whether it is a superuser, whether it passes row-level security."""


def versions(scripts: Path = SCRIPTS) -> list[str]:
    """Return the names of the migrations in order: they are numbered."""
    return sorted(path.stem for path in (scripts / "versions").glob("[0-9]*.py"))


def head() -> str:
    """Return the version that this program needs."""
    return versions()[-1]


def ours(name: str | None, kind: str, _parents: object) -> bool:
    """Tell Alembic what to compare: all but procrastinate's tables."""
    return kind != "table" or not str(name).startswith("procrastinate_")


async def migrate(owner_url: str, seals: ValueSeals | None) -> None:
    """Bring the database up to date; a look of 10 ms when it is. Two nodes may do so at once.

    ``seals`` are for personal values that an older version has left in clear; None does for a database without rows.

    Raises:
        RequestError: ``database.server`` when PostgreSQL is too old, ``database.newer`` when the database is of a later
            version of this program, ``database.roles`` when a role is not as it should be, ``database.url`` when it
            cannot be reached.
    """
    await asyncio.to_thread(_migrate, owner_url, seals)


def _migrate(owner_url: str, seals: ValueSeals | None) -> None:
    found, needed = _version(owner_url), head()
    if found == needed:
        return
    if found is not None and found > needed:
        raise RequestError(
            "database.newer",
            f"The database is of version {found}, newer than this program, which knows {needed}: "
            f"start the newer program, or restore a backup from before it.",
        )
    log.info("the database is brought up to date", found=found, needed=needed)
    upgrade(owner_url, seals=seals)


def _version(owner_url: str) -> str | None:
    """Return the version of the database without Alembic, whose import alone takes 0.1 s; None when it is empty."""
    try:
        connection = psycopg.connect(owner_url, autocommit=True, connect_timeout=CONNECT_LIMIT)
    except psycopg.Error as error:
        reason = str(error).strip()
        raise RequestError("database.url", f"The database cannot be reached as its owner: {reason}") from error
    with connection:
        refuse_old(connection.info.server_version)
        _refuse_other_roles(connection)
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except psycopg.errors.UndefinedTable:
            return None
    return str(row[0]) if row else None


def refuse_old(server_version: int) -> None:
    """Refuse a PostgreSQL by its version as libpq gives it, such as 150012; before 15, every role could make tables."""
    if server_version // 10000 < OLDEST_SERVER:
        raise RequestError(
            "database.server",
            f"The database is on PostgreSQL {server_version // 10000}; the gateway needs {OLDEST_SERVER} or newer.",
        )


def _refuse_other_roles(connection: psycopg.Connection) -> None:
    """Refuse roles for whom the walls between tenants would not stand, or who could not see over them."""
    rows = connection.execute("SELECT rolname, rolsuper, rolbypassrls FROM pg_roles").fetchall()
    found = {name: (superuser, passes) for name, superuser, passes in rows}
    for role, wanted in _ROLES.items():
        if found.get(role) != wanted:
            raise RequestError(
                "database.roles",
                f"The role {role} is missing, or has other rights than it should: make the roles as "
                f"`faxgw admin database-sql` says.",
            )


def upgrade(owner_url: str, scripts: Path = SCRIPTS, *, to: str = "head", seals: ValueSeals | None = None) -> None:
    """Run every migration that the database has not had, or those up to one of them; ``seals`` as for ``migrate``."""
    from alembic import command  # noqa: PLC0415  slow, and seldom needed

    with alembic(owner_url, scripts) as config:
        config.attributes["seals"] = seals
        command.upgrade(config, to)


@contextmanager
def alembic(owner_url: str, scripts: Path) -> "Iterator[Config]":
    """Give Alembic a database; one at a time, since it keeps what it works on in a global."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    engine = create_engine(make_url(owner_url).set(drivername="postgresql+psycopg"), poolclass=pool.NullPool)
    with _ONE_AT_A_TIME, engine.connect() as connection:
        config.attributes["connection"] = connection
        yield config
