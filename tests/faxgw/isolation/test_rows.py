"""XM-08: the database's own wall, with every filter of ours removed: each table, as the role that serves requests."""

import re
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
import pytest_asyncio
from psycopg import errors, sql
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Insert,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Update,
    Uuid,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import IntegrityError

from faxgw.backup.tombstones import FAX, Tombstone, signed, write_down
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.store.roles import APP, APPENDED, OF_PEOPLE, TENANT
from faxgw.store.sealed_columns import SealedType
from faxgw.store.tables import metadata, tenants, tombstones
from tests.faxgw.api.people import Person, add_person, now
from tests.faxgw.isolation.tenants import marks_of, rows_of, two

pytestmark = pytest.mark.requirement("XM-08")

WALLED = [table for table in metadata.sorted_tables if "tenant_id" in table.columns]
REFERENCES = [
    key
    for table in WALLED
    for key in sorted(table.foreign_key_constraints, key=lambda key: str(key.name))
    if key.referred_table in WALLED
]
TAKEN = {"grants.rights": ["read"]}
"""Column -> a value that its checks let pass, where that is not to be guessed."""
EVERYBODYS = {
    "attempts_one_call_per_line",
    "attempts_one_call_per_number",
    "box_keys_pkey",
    "devices_login_key",
    "numbers_key",
}
"""What is unique over all tenants, besides ids: telephones, keys (their names are hashes), random names of devices."""
Connection = psycopg.AsyncConnection[tuple[Any, ...]]


@pytest_asyncio.fixture
async def two_tenants(gateway: Gateway, owner: Person) -> tuple[UUID, UUID]:
    """Return two tenants that have rows in every table there is."""
    _, _, guest = await two(gateway, owner)
    for tenant_id in (owner.tenant_id, guest.tenant_id):
        await add_person(gateway, tenant_id)
        await fill_up(gateway, tenant_id)
    return owner.tenant_id, guest.tenant_id


@pytest_asyncio.fixture
async def app_role(gateway: Gateway) -> AsyncIterator[Connection]:
    """Return a connection of the role that serves requests, without anything of ours around it."""
    async with await psycopg.AsyncConnection.connect(gateway.database.urls.app, autocommit=True) as connection:
        yield connection


async def fill_up(gateway: Gateway, tenant_id: UUID) -> None:
    """Put a row into every table in which a tenant has none."""
    for table in WALLED:
        async with gateway.database.dispatcher() as connection:
            mine = select(table).where(table.c.tenant_id == tenant_id)
            if (await connection.execute(mine)).first() is None:
                pointed: Counter[Table] = Counter()
                values = {each.name: await _value(connection, each, tenant_id, pointed) for each in _needed(table)}
                await connection.execute(insert(table).values(values))


def _needed(table: Table) -> list[Column[Any]]:
    return [each for each in table.columns if not (each.nullable or each.server_default or each.identity)]


async def _value(connection: Any, column: Column[Any], tenant_id: UUID, pointed: Counter[Table]) -> Any:
    if column.name == "tenant_id" or str(column) in TAKEN:
        return TAKEN.get(str(column), tenant_id)
    for key in column.foreign_keys:
        whose = key.column.table
        found = select(key.column)
        if "tenant_id" in whose.columns:
            found = found.where(whose.c.tenant_id == tenant_id)
        pointed[whose] += 1  # a row may not point at the same one twice
        return (await connection.execute(found.order_by(key.column).offset(pointed[whose] - 1).limit(1))).scalar_one()
    if isinstance(column.type, Uuid):
        return new_id()
    if isinstance(column.type, SealedType):
        return tenant_id.bytes if column.type.form == "octets" else f"a value of {tenant_id}"
    if isinstance(column.type, Text):
        return _allowed(column) or f"a text of {tenant_id}"
    if isinstance(column.type, LargeBinary):
        return tenant_id.bytes
    if isinstance(column.type, ARRAY | JSONB):
        return [] if isinstance(column.type, ARRAY) else {}
    return now() if column.type.python_type.__name__ == "datetime" else 1


def _allowed(column: Column[Any]) -> str | None:
    assert isinstance(column.table, Table)
    checks = [str(each.sqltext) for each in column.table.constraints if isinstance(each, CheckConstraint)]
    found = [re.match(rf"{column.name} in \('(\w+)'", each) for each in checks]
    return next((match[1] for match in found if match), None)


# --------------------------------------------------------------------------------------------------- rows of one tenant


async def test_without_any_filter_one_reads_the_rows_of_ones_own_tenant_only(
    gateway: Gateway, two_tenants: tuple[UUID, UUID], app_role: Connection
) -> None:
    """XM-08: every table; a table that is added is filled and read, too."""
    theirs, own = two_tenants
    for whose in (own, theirs):
        rows = await rows_of(gateway, whose)
        assert [name for name in rows if not rows[name]] == []
        await app_role.execute("SELECT set_config(%s, %s, false)", (TENANT, str(whose)))
        for table in (*WALLED, tenants):
            column = "id" if table is tenants else "tenant_id"
            found = await _run(app_role, "SELECT {} FROM {}", column, table.name)
            assert [row[0] for row in found] == [whose] * len(rows[table.name]), table.name


async def test_without_any_filter_one_changes_and_deletes_nothing_of_another_tenant(
    gateway: Gateway, two_tenants: tuple[UUID, UUID], app_role: Connection
) -> None:
    """XM-08: UPDATE and DELETE of all rows, of every table, as often as it takes."""
    theirs, own = two_tenants
    before = await rows_of(gateway, theirs)
    await app_role.execute("SELECT set_config(%s, %s, false)", (TENANT, str(own)))
    mine = await rows_of(gateway, own)
    for table in WALLED:
        try:
            changed = await app_role.execute(_sql("UPDATE {} SET {} = {}", table.name, "tenant_id", "tenant_id"))
        except errors.InsufficientPrivilege:
            assert table.name in APPENDED
            continue
        assert changed.rowcount == len(mine[table.name]), table.name
        with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
            await app_role.execute(_sql("UPDATE {} SET {} = %s", table.name, "tenant_id"), (theirs,))
    await _delete_all(app_role)
    left = {name for name, rows in (await rows_of(gateway, own)).items() if rows}
    assert left <= {"tenants", *APPENDED}
    assert await rows_of(gateway, theirs) == before


async def _delete_all(app_role: Connection) -> None:
    tables = [table.name for table in reversed(WALLED)]
    for _ in tables:
        for name in list(tables):
            try:
                await app_role.execute(_sql("DELETE FROM {}", name))
            except (errors.ForeignKeyViolation, errors.RaiseException):
                continue  # what points at it goes first
            except errors.InsufficientPrivilege:
                assert name in APPENDED
            tables.remove(name)


async def test_one_puts_nothing_into_another_tenant(
    gateway: Gateway, two_tenants: tuple[UUID, UUID], app_role: Connection
) -> None:
    """XM-08: a row of theirs, word for word, is refused by the wall before anything says that it is there already."""
    theirs, own = two_tenants
    await app_role.execute("SELECT set_config(%s, %s, false)", (TENANT, str(own)))
    for table in WALLED:
        copied = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})")
        async with gateway.database.dispatcher() as connection:
            as_it_lies = text(f"SELECT * FROM {table.name} WHERE tenant_id = :theirs")
            row = (await connection.execute(as_it_lies, {"theirs": theirs})).mappings().first()
        assert row is not None
        values = {
            name: psycopg.types.json.Jsonb(value) if isinstance(value, dict) else value for name, value in row.items()
        }
        statement = copied.format(
            sql.Identifier(table.name),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(sql.Placeholder() * len(values)),
        )
        with pytest.raises(errors.InsufficientPrivilege) as refused:
            await app_role.execute(statement, list(values.values()))
        assert "row-level security" in str(refused.value) or table.name in APPENDED


async def test_no_row_names_one_of_another_tenant(gateway: Gateway, two_tenants: tuple[UUID, UUID]) -> None:
    """XM-08: every foreign key, by INSERT and by UPDATE; the refusal does not tell whether anybody has such a row."""
    theirs, own = two_tenants
    for reference in REFERENCES:
        column = list(reference.columns)[-1]
        mine, row = await _row(gateway, column, own), await _row(gateway, column, theirs)
        told = []
        for named in (await _named(gateway, reference, row, theirs), _nobodys(column)):
            for statement in _naming(column, {**row, column.name: named}, mine):
                with pytest.raises(IntegrityError) as refused:
                    async with gateway.database.tenant(own) as connection:
                        await connection.execute(statement)
                assert isinstance(refused.value.orig, errors.ForeignKeyViolation), (reference.name, statement)
                told.append(str(refused.value.orig))
        assert told[:2] == told[2:], reference.name


async def _row(gateway: Gateway, column: Column[Any], tenant_id: UUID) -> dict[str, Any]:
    """Return a tenant's row of the column's table, one in which the column says something if there is any."""
    rows = select(column.table).where(column.table.c.tenant_id == tenant_id).order_by(column.is_(None)).limit(1)
    async with gateway.database.dispatcher() as connection:
        return dict((await connection.execute(rows)).mappings().one())


async def _named(gateway: Gateway, reference: ForeignKeyConstraint, row: dict[str, Any], tenant_id: UUID) -> Any:
    key = reference.elements[-1].column
    return row[reference.column_keys[-1]] or (await _row(gateway, key, tenant_id))[key.name]


def _nobodys(column: Column[Any]) -> Any:
    if isinstance(column.type, BigInteger):
        return 1 << 62
    return "nobody's" if isinstance(column.type, Text) else new_id()


def _naming(column: Column[Any], row: dict[str, Any], mine: dict[str, Any]) -> list[Insert | Update]:
    """Return how a row of mine would name what this row of theirs does, together with all that it is unique by."""
    table = column.table
    assert isinstance(table, Table)
    free = {each.name for each in table.columns if _free(each)} - {column.name}
    tied = [names for names in _unique(table) if column.name in names or not names & free]
    together = {column.name}.union(*tied)
    fresh = {name for names in _unique(table) for name in names} & free - together
    new = {name: new_id() if name == "id" else str(new_id()) for name in fresh}
    own = {each.name: mine[each.name] for each in table.columns if each.foreign_keys and each.name not in together}
    values = {name: value for name, value in {**row, **new, **own}.items() if not table.c[name].identity}
    this = [each == mine[each.name] for each in table.primary_key]
    taken = {name: row[name] for name in together}
    same = {"tenant_id": mine["tenant_id"]}
    return [insert(table).values({**values, **same}), update(table).where(*this).values({**taken, **same})]


def _unique(table: Table) -> list[set[str]]:
    indexes = [set(each.columns.keys()) for each in table.indexes if each.unique]
    keys = [each for each in table.constraints if isinstance(each, PrimaryKeyConstraint | UniqueConstraint)]
    return [*indexes, *(set(each.columns.keys()) for each in keys)]


def _free(column: Column[Any]) -> bool:
    """Tell whether anything may stand in a column: an id, or a text that no check is on."""
    text = isinstance(column.type, Text) and not column.foreign_keys
    return column.name == "id" or (text and not _allowed(column))


async def test_what_is_unique_is_so_within_a_tenant(app_role: Connection) -> None:
    """XM-08: a row that is refused because there is such a one would tell that another tenant has it."""
    unique = """SELECT index.relname, array_agg(attname::text) FROM pg_index
    JOIN pg_class AS index ON index.oid = indexrelid JOIN pg_attribute ON attrelid = indexrelid
    WHERE indisunique AND indrelid::regclass::text = ANY(%s) GROUP BY index.relname"""
    found = await (await app_role.execute(unique, ([table.name for table in WALLED],))).fetchall()
    over_all = {name for name, columns in found if "tenant_id" not in columns and columns != ["id"]}
    assert over_all == EVERYBODYS


async def test_nobody_stops_the_tombstone_of_another_tenant_by_being_there_first(
    gateway: Gateway, two_tenants: tuple[UUID, UUID], app_role: Connection
) -> None:
    """XM-08: a row under an id of theirs, of a time that none of theirs is later than."""
    theirs, own = two_tenants
    stone = Tombstone(new_id(), theirs, FAX, now())
    await app_role.execute("SELECT set_config(%s, %s, false)", (TENANT, str(own)))
    planted = "INSERT INTO tombstones (id, tenant_id, kind, deleted_at, signature) VALUES (%s, %s, 'fax', %s, '')"
    await app_role.execute(planted, (stone.id, own, now() + timedelta(days=365)))
    async with gateway.database.tenant(theirs) as connection:
        await write_down(connection, signed(gateway.server_keys, [stone]))
    async with gateway.database.tenant(theirs) as connection:
        found = select(tombstones.c.deleted_at).where(tombstones.c.id == stone.id)
        assert (await connection.execute(found)).scalars().all() == [stone.deleted_at]


async def test_without_a_tenant_nothing_is_read_changed_or_deleted(
    gateway: Gateway, two_tenants: tuple[UUID, UUID], app_role: Connection
) -> None:
    before = [await rows_of(gateway, each) for each in two_tenants]
    for table in WALLED:
        for statement in ("SELECT FROM {}", "UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}"):
            try:
                found = await app_role.execute(_sql(statement, table.name))
            except errors.InsufficientPrivilege:
                assert table.name in APPENDED
                continue
            assert found.rowcount == 0, (statement, table.name)
    assert [await rows_of(gateway, each) for each in two_tenants] == before


# --------------------------------------------------------------------------------------------------- ways around tables


async def test_people_are_not_read_at_all(two_tenants: tuple[UUID, UUID], app_role: Connection) -> None:
    for name in OF_PEOPLE:
        with pytest.raises(errors.InsufficientPrivilege):
            await app_role.execute(_sql("SELECT FROM {}", name))


async def test_there_are_no_views_sequences_or_functions_to_look_over_the_wall_by(app_role: Connection) -> None:
    """XM-08: views read and functions run with the rights of their owner; a sequence tells how much others do."""
    own = "NOT IN ('pg_catalog', 'information_schema')"
    assert await _run(app_role, f"SELECT viewname FROM pg_views WHERE schemaname {own}") == []
    assert await _run(app_role, f"SELECT matviewname FROM pg_matviews WHERE schemaname {own}") == []
    counted = "SELECT relname FROM pg_class WHERE relkind = 'S' AND has_sequence_privilege(current_user, oid, {})"
    assert await _run(app_role, counted.replace("{}", "'SELECT, USAGE, UPDATE'")) == []
    elevated = "SELECT proname FROM pg_proc WHERE prosecdef AND has_function_privilege(current_user, oid, 'EXECUTE')"
    assert await _run(app_role, elevated) == [
        ("procrastinate_defer_jobs_v1",)
    ]  # which puts in, and gives a number back
    member = "SELECT rolname FROM pg_roles WHERE rolname <> current_user AND pg_has_role(current_user, oid, 'MEMBER')"
    assert await _run(app_role, member) == []
    assert (await _run(app_role, "SELECT current_user"))[0][0] == APP


async def test_statistics_of_the_database_tell_nothing_of_another_tenant(
    gateway: Gateway, owner: Person, two_tenants: tuple[UUID, UUID], app_role: Connection
) -> None:
    async with await psycopg.AsyncConnection.connect(gateway.database.urls.owner, autocommit=True) as connection:
        await connection.execute("ANALYZE")
    theirs, own = two_tenants
    marks = marks_of(await rows_of(gateway, theirs), await rows_of(gateway, own))
    await app_role.execute("SELECT set_config(%s, %s, false)", (TENANT, str(own)))
    seen = str(await _run(app_role, "SELECT * FROM pg_stats WHERE schemaname = 'public'"))
    assert not [mark for mark in marks if mark in seen]
    with pytest.raises(errors.InsufficientPrivilege):
        await app_role.execute("SELECT * FROM pg_statistic")


async def _run(connection: Connection, statement: str, *names: str) -> list[tuple[Any, ...]]:
    query = _sql(statement, *names) if names else statement.encode()
    return await (await connection.execute(query)).fetchall()


def _sql(statement: str, *names: str) -> sql.Composed:
    return sql.SQL(statement).format(*map(sql.Identifier, names))
