"""Rows get their numbers without a gap and lose none, however many write at once and whatever breaks in between."""

import asyncio
import random
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Delete, Table, Update, delete, insert, select, update
from sqlalchemy.exc import ProgrammingError

from faxgw.audit import pseudonym, record
from faxgw.audit.canonical import canonical
from faxgw.audit.checkpoints import sign_all, verifier_of
from faxgw.audit.merkle import consistency_spans, continues, includes, inclusion_spans, leaf_hash
from faxgw.audit.notes import Checkpoint
from faxgw.audit.sequencing import BATCH, SIGN_EACH, is_alone, sequence
from faxgw.audit.tree import AuditAltered, hashes_of, root_of
from faxgw.audit.verify import Refuted
from faxgw.keys.tokens import ServerKeys
from faxgw.store.database import Database
from faxgw.store.tables import audit_checkpoints, audit_rows, audit_subjects, audit_waiting
from tests.faxgw.audit.conftest import NOW, Book
from tests.faxgw.databases import DatabaseServer, add_tenant


async def test_rows_are_numbered_from_zero_in_the_order_in_which_they_were_recorded(book: Book) -> None:
    for number in range(5):
        await book.note(number=number)
    assert await book.sequence() == 5
    await book.note(number=5)
    assert await book.sequence() == 1
    assert await book.sequence() == 0
    assert [(row["seq"], row["data"]["number"]) for row in await book.rows()] == [(each, each) for each in range(6)]
    async with book.database.dispatcher() as connection:
        assert (await connection.scalars(select(audit_waiting.c.id))).all() == []


@pytest.mark.slow
async def test_many_writers_and_two_nodes_leave_no_gap_and_lose_no_row(database: Database, book: Book) -> None:
    other = Book(database, await add_tenant(database, "other"), book.keys, count())
    writers, each_writes = 8, 60
    writing = True

    async def write(writer: int) -> None:
        for number in range(each_writes):
            await random.Random(writer * 1000 + number).choice([book, other]).note(writer=writer, number=number)

    async def node() -> None:
        while writing:
            await book.sequence()
            await asyncio.sleep(0)
        await book.sequence()

    nodes = [asyncio.create_task(node()) for _ in range(2)]
    await asyncio.gather(*(write(writer) for writer in range(writers)))
    writing = False
    await asyncio.gather(*nodes)
    await book.sequence()
    found = []
    for each in (book, other):
        rows = await each.rows()
        assert [row["seq"] for row in rows] == list(range(len(rows)))
        assert (await each.verified()).rows == len(rows) > 100
        found += [(row["data"]["writer"], row["data"]["number"]) for row in rows]
    assert sorted(found) == [(writer, number) for writer in range(writers) for number in range(each_writes)]


async def test_a_row_whose_transaction_commits_late_is_not_lost(book: Book) -> None:
    async with book.database.tenant(book.tenant) as connection:
        await record(connection, tenant_id=book.tenant, actor="service", action="late")
        await book.note("early")
        assert await book.sequence() == 1
    assert await book.sequence() == 1
    assert [(row["seq"], row["action"]) for row in await book.rows()] == [(0, "early"), (1, "late")]


async def test_rows_wait_for_the_node_that_is_at_work_on_their_log(book: Book) -> None:
    await book.note()
    async with book.database.dispatcher() as connection:
        assert await is_alone(connection, book.tenant)
        assert await book.sequence() == 0
    assert await book.sequence() == 1


async def test_many_rows_are_numbered_in_batches_and_signed_in_between(book: Book) -> None:
    entry = '{"action":"a","actor":"b","data":{},"object_id":""}'
    size = 2 * SIGN_EACH + BATCH + 1
    async with book.database.tenant(book.tenant) as connection:
        await connection.execute(insert(audit_waiting), [{"tenant_id": book.tenant, "entry": entry}] * size)
    assert await book.sequence() == size
    async with book.database.tenant(book.tenant) as connection:
        sizes = (await connection.scalars(select(audit_checkpoints.c.size).order_by(audit_checkpoints.c.size))).all()
    assert sizes == [SIGN_EACH, 2 * SIGN_EACH]


async def test_the_database_proves_every_row_and_every_growth(book: Book) -> None:
    roots: list[bytes] = []
    for _ in range(11):
        async with book.database.tenant(book.tenant) as connection:
            roots.append(await root_of(connection, book.tenant, len(roots)))
        await book.note()
        await book.sequence()
    rows = [canonical(row) for row in await book.rows()]
    async with book.database.tenant(book.tenant) as connection:
        for seq in range(10):
            proof = await hashes_of(connection, book.tenant, inclusion_spans(seq, 10))
            assert includes(roots[10], 10, seq=seq, leaf=leaf_hash(rows[seq]), proof=proof)
            growth = await hashes_of(connection, book.tenant, consistency_spans(seq, 10))
            assert continues(seq, roots[seq], 10, roots[10], proof=growth)


async def test_logs_that_have_grown_are_signed_once(database: Database, book: Book) -> None:
    await add_tenant(database, "silent")
    for _ in range(3):
        await book.note()
    await book.sequence()
    assert [await sign_all(database, book.keys, now=NOW) for _ in range(2)] == [1, 0]
    note = await book.checkpoint()
    assert Checkpoint.opened(note, verifier_of(book.keys, book.tenant)).size == 3
    assert await book.checkpoint() == note


@pytest.mark.requirement("FP-13")
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE audit_rows SET hashes = sha256('x') || substr(hashes, 33) WHERE seq = 4",
        "UPDATE audit_checkpoints SET note = replace(note, '5', '4')",
        "DELETE FROM audit_rows WHERE seq = 4",
    ],
)
async def test_a_log_that_was_altered_in_the_database_is_not_signed_again(
    database: Database, book: Book, database_server: DatabaseServer, damage: str
) -> None:
    for _ in range(5):
        await book.note()
    await book.sequence()
    await book.checkpoint()
    alter(database_server, database, damage)
    await book.note()
    await book.sequence()
    with pytest.raises(AuditAltered):
        await book.checkpoint()
    assert await sign_all(database, book.keys, now=NOW) == 0


@pytest.mark.requirement("FP-13")
async def test_a_row_that_was_altered_in_the_database_is_found_in_the_export(
    database: Database, book: Book, database_server: DatabaseServer
) -> None:
    for number in range(9):
        await book.note(number=number)
    await book.sequence()
    assert (await book.verified()).rows == 9
    alter(database_server, database, "UPDATE audit_rows SET entry = replace(entry, 'service', 'nobody') WHERE seq = 6")
    with pytest.raises(Refuted) as found:
        await book.verified()
    assert (found.value.code, found.value.row) == ("audit.altered", 6)


async def test_another_tenant_sees_nothing_of_a_log(database: Database, book: Book) -> None:
    await book.note(subject="+4930123456")
    await book.sequence()
    await book.checkpoint()
    await book.note()
    other = await add_tenant(database, "other")
    for table in (audit_waiting, audit_rows, audit_checkpoints, audit_subjects):
        async with database.tenant(book.tenant) as connection:
            assert (await connection.execute(select(table))).all()
        async with database.tenant(other) as connection:
            assert (await connection.execute(select(table))).all() == []
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with database.tenant(other) as connection:
            await record(connection, tenant_id=book.tenant, actor="service", action="planted")


@pytest.mark.parametrize("table", [audit_waiting, audit_rows, audit_checkpoints], ids=str)
async def test_no_role_of_the_gateway_changes_the_log(database: Database, book: Book, table: Table) -> None:
    await book.note()
    await book.sequence()
    await book.checkpoint()
    column = table.c.note if table is audit_checkpoints else table.c.entry
    statements: list[Update | Delete] = [update(table).values({column.name: "x"})]
    statements += [delete(table)] if table is not audit_waiting else []
    for statement in statements:
        for transaction in (database.dispatcher(), database.tenant(book.tenant)):
            with pytest.raises(ProgrammingError, match="permission denied"):
                async with transaction as connection:
                    await connection.execute(statement)
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with database.tenant(book.tenant) as connection:
            await connection.execute(delete(audit_waiting))


async def test_a_log_whose_keys_do_not_open_waits_and_holds_up_no_other(
    database: Database, book: Book, tmp_path: Path
) -> None:
    stranger = Book(database, await add_tenant(database, "other"), book.keys, count())
    await book.note(subject="a@b.c")
    await book.sequence()
    others = ServerKeys(tmp_path / "others")
    index = bytes.fromhex(pseudonym(others, tenant_id=book.tenant, subject="a@b.c").removeprefix("subject:"))
    async with database.dispatcher() as connection:
        await connection.execute(update(audit_subjects).values(index=index))
    book.keys = others
    await book.note(subject="a@b.c")
    await stranger.note()
    assert await sequence(database, others, now=NOW) == 1
    assert len(await stranger.rows()) == 1


def alter(server: DatabaseServer, database: Database, statement: str) -> None:
    """Do as whoever runs the machine can."""
    name = database.urls.app.partition("?")[0].rpartition("/")[2]
    with server.administrator(name) as intruder:
        intruder.execute(statement.encode())
