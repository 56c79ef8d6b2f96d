"""The programs and libraries that the gateway leans on: PostgreSQL, LibreOffice in its sandbox, compiled kernels."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from faxgw.config import Config
from faxgw.doctor.finding import Finding, Machine, advice, bad, ok
from faxgw.documents.libreoffice import PACKAGES, SANDBOX
from faxgw.errors import RequestError
from faxgw.store.account import installed_binaries, server_version

OLDEST_POSTGRESQL = 15
CLOCKS_DIFFER = 60.0
CONNECT_SECONDS = 3
SANDBOX_HERE = (*SANDBOX, "--tmpfs", "/tmp")


def database(config: Config, _machine: Machine) -> Iterator[Finding]:
    """Look whether PostgreSQL is there, and new enough."""
    if config.database.private:
        yield from _private_database(config)
    else:
        yield from _own_database(config)


def office(_config: Config, _machine: Machine) -> Iterator[Finding]:
    """Look whether office files can be read, in a sandbox that works."""
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if missing:
        yield advice(
            "programs",
            "Office files (DOCX, ODT, RTF, HTML) are refused: what reads them is not installed.",
            f"Install it, if you want them: apt install {' '.join(missing)}",
        )
        return
    tried = subprocess.run(["bwrap", *SANDBOX_HERE, "true"], capture_output=True, text=True, check=False, timeout=20)
    if tried.returncode:
        yield bad(
            "programs",
            f"Office files are refused: their sandbox does not work here ({tried.stderr.strip()[:200]}).",
            "Allow unprivileged user namespaces (kernel.unprivileged_userns_clone, AppArmor's userns restriction).",
        )
    else:
        yield ok("programs", "Office files are read by LibreOffice in a sandbox of bubblewrap.")


def kernels(config: Config, _machine: Machine) -> Iterator[Finding]:
    """Look whether the compiled codec can be kept; where not, each start compiles it anew."""
    from faxgw.documents.kernels import FOLDER  # noqa: PLC0415

    folders = [Path(os.environ[_CACHE])] if os.environ.get(_CACHE) else []
    spec = find_spec("t30.t4")
    beside = Path(spec.origin).parent / "__pycache__" if spec and spec.origin else Path("/nowhere")
    folders += [beside, Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "numba"]
    folders.append(config.data_dir / FOLDER)
    writable = next((each for each in folders if _can_write(each)), None)
    if writable:
        yield ok("codec", f"The compiled codec is kept in {writable}.")
    else:
        yield advice(
            "codec",
            "The compiled codec cannot be kept, so that each start takes many seconds longer.",
            f"Let this user write to {beside}, or set {_CACHE} to a folder where it can.",
        )


_CACHE = "NUMBA_CACHE_DIR"


def _private_database(config: Config) -> Iterator[Finding]:
    try:
        version = server_version(installed_binaries())
    except RequestError as error:
        yield bad("database", "The private PostgreSQL cannot be run here.", error.reason)
        return
    theirs = _read(config.data_dir / "postgres" / "data" / "PG_VERSION")
    if theirs and theirs != version.split(".")[0]:
        yield bad(
            "database",
            f"The data directory is of PostgreSQL {theirs}, but this gateway brings PostgreSQL {version}.",
            "Convert it with pg_upgrade, or dump it with the earlier version and restore it here.",
        )
    else:
        yield ok("database", f"The private PostgreSQL is of version {version}.")


def _own_database(config: Config) -> Iterator[Finding]:
    settings = config.database
    for name, url in (
        ("url", settings.url),
        ("owner_url", settings.owner_url),
        ("dispatcher_url", settings.dispatcher_url),
    ):
        assert url is not None  # all three, or none
        try:
            with psycopg.connect(url.get_secret_value(), connect_timeout=CONNECT_SECONDS) as connection:
                found = list(_connected(name, connection))
        except psycopg.Error as error:
            reason = str(error).strip().splitlines()[0].rstrip(".")
            found = [bad("database", f"database.{name} does not lead to a database: {reason}.", "Correct it.")]
        yield from found


def _connected(name: str, connection: psycopg.Connection[tuple[Any, ...]]) -> Iterator[Finding]:
    row = connection.execute(
        "SELECT extract(epoch FROM clock_timestamp() - %s), rolbypassrls OR rolsuper"
        " FROM pg_roles WHERE rolname = current_user",
        [datetime.now(UTC)],
    ).fetchone()
    away, all_rows = row or (0, False)
    yield from _role(name, all_rows=all_rows)
    if name == "url":
        yield from _server(connection.info, float(away))


def _role(name: str, *, all_rows: bool) -> Iterator[Finding]:
    if name == "url" and all_rows:
        yield bad(
            "database",
            "The role of database.url sees the rows of every tenant: row-level security does not bind it.",
            "Use the roles of: faxgw admin database-sql",
        )
    if name == "dispatcher_url" and not all_rows:
        yield bad(
            "database",
            "The role of database.dispatcher_url does not see every tenant's calls (BYPASSRLS is missing).",
            "Use the roles of: faxgw admin database-sql",
        )


def _server(info: psycopg.ConnectionInfo, away: float) -> Iterator[Finding]:
    major = info.server_version // 10_000
    if major < OLDEST_POSTGRESQL:
        yield bad("database", f"The database is of PostgreSQL {major}.", f"Use {OLDEST_POSTGRESQL} or newer.")
    else:
        yield ok("database", f"The database is of PostgreSQL {major}.")
    remote = bool(info.hostaddr) and not info.hostaddr.startswith(("127.", "::1"))
    if remote and "sslmode=verify-full" not in info.dsn:
        yield bad(
            "database",
            "The connection to the database is not certain to be encrypted and to reach the right server.",
            "Add sslmode=verify-full to the three URLs, and sslrootcert where it has a certificate of your own.",
        )
    if abs(away) > CLOCKS_DIFFER:
        yield bad("clock", f"The clocks here and on the database differ by {abs(away):.0f} s.", "Set both by NTP.")


def _can_write(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK | os.X_OK)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
