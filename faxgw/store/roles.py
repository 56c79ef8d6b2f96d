"""The three roles of the database, the walls between tenants, and the SQL that puts both up.

The owner makes the tables. The app serves people: row-level security binds it to the tenant of its transaction. The
dispatcher makes the calls and runs the tasks of every tenant.
"""

import base64
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from importlib.metadata import version
from urllib.parse import quote

from sqlalchemy import MetaData

OWNER, APP, DISPATCHER = "faxgw_owner", "faxgw_app", "faxgw_dispatcher"
ADMINISTRATOR = "faxgw_admin"
"""Superuser of the private PostgreSQL; the gateway itself never uses it, see the README."""

DATABASE = "faxgw"
TENANT = "faxgw.tenant"
"""The setting that names the tenant of a transaction."""

_EVERYTHING = "SELECT, INSERT, UPDATE, DELETE"

APPENDED = {
    "audit_waiting": ("SELECT, INSERT", "SELECT, INSERT, DELETE"),
    "audit_rows": ("SELECT", "SELECT, INSERT"),
    "audit_checkpoints": ("SELECT, INSERT", "SELECT, INSERT"),
}
"""Tables whose rows nobody changes: what the app, and what the dispatcher may do there."""

OF_PEOPLE = frozenset({"people", "person_slots", "sessions", "sign_in_failures", "passkeys", "spent_challenges"})
"""Tables of no tenant that the app does not even read: of whom it serves it knows what their membership says."""


@dataclass(frozen=True, slots=True)
class Passwords:
    """The generated password of each role."""

    administrator: str
    owner: str
    app: str
    dispatcher: str

    def __repr__(self) -> str:
        return "Passwords(***)"

    @classmethod
    def generated(cls) -> "Passwords":
        """Make up new ones, 256 bits each."""
        return cls(*(secrets.token_urlsafe(32) for _ in range(4)))


@dataclass(frozen=True, slots=True)
class Urls:
    """How each role reaches the database: ``postgresql://ROLE:PASSWORD@HOST/DATABASE``."""

    owner: str
    app: str
    dispatcher: str

    def __repr__(self) -> str:
        return "Urls(***)"

    @classmethod
    def of_socket(cls, folder: str, passwords: Passwords, database: str = DATABASE) -> "Urls":
        """Return the URLs of a server that listens on a Unix socket in the folder."""

        def url(role: str, password: str) -> str:
            return f"postgresql://{role}:{quote(password)}@/{database}?host={quote(folder, safe='')}"

        return cls(url(OWNER, passwords.owner), url(APP, passwords.app), url(DISPATCHER, passwords.dispatcher))


def roles(passwords: Passwords) -> list[str]:
    """Return the statements that make the roles; they hold verifiers, from which nobody gets the passwords back."""
    return [
        f"CREATE ROLE {OWNER} LOGIN PASSWORD '{_verifier(passwords.owner)}'",
        f"CREATE ROLE {APP} LOGIN PASSWORD '{_verifier(passwords.app)}'",
        f"CREATE ROLE {DISPATCHER} LOGIN BYPASSRLS PASSWORD '{_verifier(passwords.dispatcher)}'",
    ]


def database_rights(database: str = DATABASE) -> list[str]:
    """Return the statements that leave a database to its owner, and open it to the other two roles and nobody else."""
    return [
        f"ALTER DATABASE {database} OWNER TO {OWNER}",
        f"REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {database} TO {APP}, {DISPATCHER}",
    ]


def administrator_sql(passwords: Passwords, database: str = DATABASE) -> str:
    """Return what the administrator of a PostgreSQL (15 or newer) runs there once, as a superuser."""
    statements = [*roles(passwords), f"CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8'"]
    return "".join(f"{each};\n" for each in [*statements, *database_rights(database)])


def protection(metadata: MetaData) -> list[str]:
    """Return the statements that set what each role may do to every table, and put the walls between tenants up.

    They may run again over tables that have them.
    """
    return [
        statement
        for table in metadata.sorted_tables
        for statement in table_protection(table.name, tenants="tenant_id" in table.columns)
    ]


def table_protection(name: str, *, tenants: bool) -> list[str]:
    """Return these statements for one table: one of the tenants', or one of the gateway's, which the app only reads."""
    app, dispatcher = APPENDED.get(name, (_EVERYTHING, _EVERYTHING))
    statements = [f"GRANT {dispatcher} ON {name} TO {DISPATCHER}"]
    if name == "tenants":
        return [*statements, f"GRANT SELECT, UPDATE ON {name} TO {APP}", *_wall(name, "id")]
    if tenants:
        return [*statements, f"GRANT {app} ON {name} TO {APP}", *_wall(name, "tenant_id")]
    return statements if name in OF_PEOPLE else [*statements, f"GRANT SELECT ON {name} TO {APP}"]


def _wall(table: str, column: str) -> list[str]:
    # NULLIF: once a transaction had the setting, the session shows it empty, not missing.
    own = f"{column} = NULLIF(current_setting('{TENANT}', true), '')::uuid"
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",  # for the owner, too: it needs no rows
        f"DROP POLICY IF EXISTS tenant ON {table}",
        f"CREATE POLICY tenant ON {table} USING ({own}) WITH CHECK ({own})",
    ]


def task_protection() -> list[str]:
    """Return the statements for procrastinate's tables: the dispatcher works on them, the app only puts tasks in.

    The tasks of all tenants lie in one table, so the app does not see it; the function inserts with the owner's rights.
    """
    put = "procrastinate_defer_jobs_v1(procrastinate_job_to_defer_v1[])"
    tables = ", ".join(f"procrastinate_{name}" for name in ("workers", "jobs", "periodic_defers", "events"))
    return [
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {DISPATCHER}",
        f"COMMENT ON TABLE procrastinate_jobs IS 'procrastinate {version('procrastinate')}'",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {DISPATCHER}",
        f"ALTER FUNCTION {put} SECURITY DEFINER SET search_path = public, pg_temp",
    ]


def _verifier(password: str, rounds: int = 4096) -> str:
    """Return what PostgreSQL stores for a password (RFC 5803), so that the password itself is in no statement."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = [base64.b64encode(each).decode() for each in (salt, stored, server)]
    return f"SCRAM-SHA-256${rounds}:{parts[0]}${parts[1]}:{parts[2]}"
