"""A database of before: what it has in clear is sealed as it is brought up to date, and is in no file afterwards."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
import pytest_asyncio
from psycopg import errors
from sqlalchemy import select, text

from faxgw.config import Config
from faxgw.errors import RequestError
from faxgw.service import check_values, open_gateway, server_keys_of
from faxgw.store.database import Database
from faxgw.store.migrating import head, migrate, upgrade
from faxgw.store.tables import (
    attempts,
    boxes,
    copies,
    destinations,
    documents,
    erasures,
    events,
    faxes,
    holds,
    idempotency,
    people,
    users,
)
from tests.faxgw.databases import SEALS, DatabaseServer

BEFORE = "0012"
ONE = UUID(int=1)
NUMBER, OURS, STATION = "+16465550142", "OUR STATION", "THEIR STATION"
ID = f"'{ONE}'"
ROWS = (
    f"INSERT INTO tenants (id, name) VALUES ({ID}, 'one')",
    f"INSERT INTO people (id, email, key_id, public_key) VALUES ({ID}, 'some@body.example', '', '')",
    "INSERT INTO users (id, tenant_id, person_id, email, role, key_id, public_key)"
    f" VALUES ({ID}, {ID}, {ID}, 'some@body.example', 'owner', '', '')",
    f"INSERT INTO boxes (id, tenant_id, owner_id, name) VALUES ({ID}, {ID}, {ID}, 'a box of Wilhelmine')",
    f"INSERT INTO objects (id, tenant_id, kind, size) VALUES ({ID}, {ID}, 'document', 1)",
    "INSERT INTO documents (id, tenant_id, user_id, object_id, name, media_type, sha256, size, pages)"
    f" VALUES ({ID}, {ID}, {ID}, {ID}, 'a letter to Wilhelmine', '', '', 1, 1)",
    "INSERT INTO faxes (id, tenant_id, direction, state, user_id, box_id, from_number, to_number, remote_id, labels,"
    f" request, reason_text, finished_at) VALUES ({ID}, {ID}, 'out', 'failed', {ID}, {ID}, '{OURS}', '{NUMBER}',"
    f" '{STATION}', '{{\"order\": \"of Wilhelmine\"}}',"
    f' \'{{"documents": [{ID.replace(chr(39), chr(34))}], "sender": "{OURS}", "subaddress": "4711"}}\','
    f" '{STATION} hung up', now())",
    "INSERT INTO attempts (id, tenant_id, fax_id, index, destination, node, line, route, remote_id)"
    f" VALUES ({ID}, {ID}, {ID}, 1, '{NUMBER}', '', '', '{{\"prefix\": \"{NUMBER}\"}}', '{STATION}')",
    "INSERT INTO events (tenant_id, fax_id, type, data) VALUES"
    f' ({ID}, {ID}, \'fax.failed\', \'{{"state": "failed", "remote_id": "{STATION}",'
    ' "reason": {"code": "call.busy", "text": "Wilhelmine is busy"}}\'),'
    f' ({ID}, NULL, \'advisory\', \'{{"id": "A-1", "anything": true}}\')',
    "INSERT INTO destinations (tenant_id, number, station_ids)"
    f' VALUES ({ID}, \'{NUMBER}\', \'{{"ids": ["{STATION}", "ANOTHER"]}}\')',
    f"INSERT INTO holds (id, tenant_id, name, by_fax, numbers, user_id) VALUES"
    f" ({ID}, {ID}, 'Wilhelmine v. us', false, ARRAY['{NUMBER}'], {ID})",
    "INSERT INTO copies (id, tenant_id, fax_id, kind, location, sha256)"
    f" VALUES ({ID}, {ID}, {ID}, 'mail', '{NUMBER}', '')",
    "INSERT INTO erasures (id, tenant_id, user_id, subject, pseudonym) VALUES"
    f' ({ID}, {ID}, {ID}, \'{{"number": "{NUMBER}", "station_id": "", "faxes": []}}\', \'\')',
    "INSERT INTO idempotency (tenant_id, api_key_id, key, request, status, body)"
    f" VALUES ({ID}, {ID}, 'k', '', 202, '{{\"to\": \"{NUMBER}\"}}')",
)
IN_CLEAR = (NUMBER, OURS, STATION, "Wilhelmine", "some@body", "4711", "ANOTHER")


@pytest_asyncio.fixture
async def older(database_server: DatabaseServer) -> AsyncIterator[str]:
    """Return the name of a database of the version before, with a row of everything."""
    name = database_server.create("template0")
    upgrade(database_server.urls(name).owner, to=BEFORE)
    with psycopg.connect(database_server.urls(name).dispatcher) as connection:
        for statement in ROWS:
            connection.execute(statement.encode())
    yield name
    database_server.drop(name)


async def test_what_lay_in_clear_is_sealed_and_reads_as_before(database_server: DatabaseServer, older: str) -> None:
    urls = database_server.urls(older)
    await migrate(urls.owner, SEALS)
    database = Database(urls, seals=SEALS, pool=1)
    async with database.dispatcher() as connection:
        fax = (await connection.execute(select(faxes).where(faxes.c.to_number == NUMBER))).one()
        assert (fax.from_number, fax.remote_id, fax.subaddress, fax.labels) == (
            OURS,
            STATION,
            "4711",
            {"order": "of Wilhelmine"},
        )
        assert (fax.request, fax.mark, fax.reason_text) == ({"documents": [str(ONE)]}, "", f"{STATION} hung up")
        call = (await connection.execute(select(attempts))).one()
        assert (call.destination, call.remote_id, call.route) == (NUMBER, STATION, {"prefix": NUMBER})
        failed, advisory = (await connection.execute(select(events).order_by(events.c.id))).all()
        assert failed.data == {"state": "failed", "reason": {"code": "call.busy", "text": ""}}
        assert failed.personal["remote_id"] == STATION
        assert failed.personal["reason"]["text"] == "Wilhelmine is busy"
        assert (advisory.data, advisory.personal) == ({"id": "A-1", "anything": True}, {})
        for column, value in (
            (destinations.c.station_ids, [STATION, "ANOTHER"]),
            (holds.c.numbers, [NUMBER]),
            (holds.c.name, "Wilhelmine v. us"),
            (copies.c.location, NUMBER),
            (erasures.c.subject, {"number": NUMBER, "station_id": "", "faxes": []}),
            (idempotency.c.body, f'{{"to": "{NUMBER}"}}'.encode()),
            (documents.c.name, "a letter to Wilhelmine"),
            (boxes.c.name, "a box of Wilhelmine"),
            (people.c.email, "some@body.example"),
            (users.c.email, "some@body.example"),
        ):
            assert (await connection.scalars(select(column))).all() == [value], column
        # A hold that was there is over it, by the number as it lies now.
        with pytest.raises(errors.DatabaseError, match="a legal hold is over the fax"):
            raw = (await connection.get_raw_connection()).driver_connection
            await raw.execute("DELETE FROM faxes")  # type: ignore[union-attr]
        await connection.execute(text("ROLLBACK"))
        await connection.execute(text("BEGIN"))
    await database.close()


async def test_no_file_of_the_tables_has_it_afterwards(database_server: DatabaseServer, older: str) -> None:
    urls = database_server.urls(older)
    assert set(IN_CLEAR) == _in_files(database_server, older)
    await migrate(urls.owner, SEALS)
    assert _in_files(database_server, older) == set()


async def test_without_keys_it_is_not_brought_up_to_date(database_server: DatabaseServer, older: str) -> None:
    urls = database_server.urls(older)
    with pytest.raises(RequestError) as refused:
        await migrate(urls.owner, None)
    assert refused.value.code == "database.keys"
    await migrate(urls.owner, SEALS)
    with psycopg.connect(urls.owner) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (head(),)


def _in_files(server: DatabaseServer, name: str) -> set[str]:
    """Return what lies in clear in the files of a database's tables and indexes."""
    with server.administrator(name) as connection:
        connection.execute("CHECKPOINT")
        row = connection.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
    assert row is not None
    folder = Path(server.server.folder) / "data" / "base" / str(row[0])
    octets = b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())
    return {each for each in IN_CLEAR if each.encode() in octets}


async def test_keys_of_another_database_are_refused_at_the_start(
    database_server: DatabaseServer, older: str, tmp_path: Path
) -> None:
    urls = database_server.urls(older)
    ours, others = (Config(data_dir=tmp_path / name, lines=()) for name in ("ours", "others"))
    await migrate(urls.owner, server_keys_of(ours).values)
    async with open_gateway(ours, urls) as gateway:
        await check_values(gateway)
    async with open_gateway(others, urls) as gateway:
        with pytest.raises(RequestError, match="are not those of this database") as refused:
            await check_values(gateway)
    assert refused.value.code == "keys.values"
