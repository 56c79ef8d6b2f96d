"""Persons in the log: known by a pseudonym, and after an erasure known to nobody; the log holds either way."""

from uuid import UUID

import pytest
from sqlalchemy import select

from faxgw.audit import forget, known_as
from faxgw.store.database import Database
from faxgw.store.tables import audit_rows, audit_subjects
from tests.faxgw.audit.conftest import Book

NUMBER = "+4930123456"


async def shown(book: Book) -> list[str]:
    return [row["data"]["to"] for row in await book.rows()]


async def test_a_person_has_one_pseudonym_in_a_log_and_is_found_by_it(book: Book) -> None:
    await book.note(subject=NUMBER)
    await book.note(subject="other")
    await book.sequence()
    await book.note(subject=NUMBER)
    await book.sequence()
    first, other, again = await shown(book)
    assert first == again != other
    assert first.startswith("pseudonym:")
    async with book.database.tenant(book.tenant) as connection:
        assert await known_as(connection, book.keys, tenant_id=book.tenant, subject=NUMBER) == first
        assert await known_as(connection, book.keys, tenant_id=book.tenant, subject="nobody") is None


async def test_pseudonyms_stand_wherever_a_person_was_named(book: Book) -> None:
    await book.note(subject=NUMBER, nested={"all": ["plain", "subject:no", {"one": book.note.__name__}]})
    await book.sequence()
    row = (await book.rows())[0]
    assert row["data"]["nested"] == {"all": ["plain", "subject:no", {"one": "note"}]}
    async with book.database.dispatcher() as connection:
        entries = (await connection.scalars(select(audit_rows.c.entry))).all()
    assert not any(NUMBER in entry or '"subject:0' in entry for entry in entries)


@pytest.mark.requirement("FP-13")
async def test_the_log_holds_after_an_erasure_and_nobody_can_compute_the_pseudonym_again(book: Book) -> None:
    await book.note(subject=NUMBER)
    await book.note(subject="stays")
    await book.sequence()
    kept = await book.checkpoint()
    before = await book.export()
    gone, stays = await shown(book)
    async with book.database.tenant(book.tenant) as connection:
        assert await forget(connection, book.keys, tenant_id=book.tenant, subject=NUMBER) == gone
    async with book.database.tenant(book.tenant) as connection:
        assert await forget(connection, book.keys, tenant_id=book.tenant, subject=NUMBER) is None
        assert await known_as(connection, book.keys, tenant_id=book.tenant, subject=NUMBER) is None
        assert await known_as(connection, book.keys, tenant_id=book.tenant, subject="stays") == stays
    assert await book.export() == before
    await book.note(subject=NUMBER)
    await book.sequence()
    assert (await book.verified(earlier=[kept])).rows == 3
    assert (await shown(book))[2] not in {gone, stays}


async def test_the_keys_of_pseudonyms_are_sealed(book: Book, database: Database, tenant: UUID) -> None:
    await book.note(subject=NUMBER)
    await book.sequence()
    async with database.dispatcher() as connection:
        index, blob = (await connection.execute(select(audit_subjects.c["index"], audit_subjects.c.key))).one()
    assert len(blob) > 32
    assert NUMBER.encode() not in index + blob
