"""A user's own PostgreSQL: the administrator runs what we print, and the gateway's roles do the rest."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import select

from faxgw.store import account
from faxgw.store.database import Database
from faxgw.store.migrating import migrate
from faxgw.store.roles import Passwords, Urls, administrator_sql
from faxgw.store.tables import tenants
from tests.faxgw.databases import SEALS, add_tenant


def _binaries() -> list[Path]:
    """Return the programs of the wheel, and of Debian where its PostgreSQL is installed."""
    return [account.installed_binaries(), *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]


@pytest.fixture(params=_binaries(), ids=lambda path: account.server_version(path).split(".")[0])
def foreign(request: pytest.FixtureRequest, open_place: Path) -> Iterator[str]:
    """Return the socket folder of a PostgreSQL that knows nothing of us, with the trusted superuser ``postgres``."""
    user = account.account()
    data = open_place / "data"
    data.mkdir(mode=0o700)
    shutil.chown(data, user.uid, user.gid)
    who = {"user": user.uid, "group": user.gid, "extra_groups": []} if user.apart else {}
    initdb = [request.param / "initdb", "-D", data, "--username=postgres", "--auth=trust", "--no-sync", "--no-locale"]
    subprocess.run(initdb, check=True, capture_output=True, cwd=data, **who)  # type: ignore[call-overload]
    options = f"-c listen_addresses= -c unix_socket_directories={data} -c fsync=off"
    control = [request.param / "pg_ctl", "-D", data, "-l", data / "log", "-o", options, "-w"]
    subprocess.run([*control, "start"], check=True, capture_output=True, cwd=data, **who)  # type: ignore[call-overload]
    yield str(data)
    stop = [*control, "-m", "immediate", "stop"]
    subprocess.run(stop, check=True, capture_output=True, cwd=data, **who)  # type: ignore[call-overload]


async def test_what_the_administrator_is_given_makes_a_database_for_the_gateway(foreign: str) -> None:
    passwords = Passwords.generated()
    printed = administrator_sql(passwords)
    assert passwords.app not in printed
    with psycopg.connect(host=foreign, user="postgres", dbname="postgres", autocommit=True) as administrator:
        for statement in printed.strip().split(";\n"):
            administrator.execute(statement.encode())
    urls = Urls.of_socket(foreign, passwords)
    await migrate(urls.owner, None)
    database = Database(urls, seals=SEALS)
    mine, theirs = await add_tenant(database, "mine"), await add_tenant(database, "theirs")
    assert isinstance(theirs, UUID)
    async with database.tenant(mine) as connection:
        assert (await connection.scalars(select(tenants.c.name))).all() == ["mine"]
    await database.close()
