"""Columns whose values lie sealed: what is stored, what is found, and what cannot be asked."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import ColumnElement, func, insert, literal, select, text
from sqlalchemy.exc import StatementError

from faxgw.ids import new_id
from faxgw.keys.values import ValueBroken, ValueSeals
from faxgw.store.database import Database
from faxgw.store.rows import Rows
from faxgw.store.sealed_columns import Findable, SealedType, after
from faxgw.store.tables import STATION, attempts, destinations, faxes, holds, metadata, number_rules, numbers
from tests.faxgw.databases import SEALS

NUMBERS = ("+15550100", "+15550101", "+15550102")
Asked = Callable[[], object]

REFUSED: dict[str, Asked] = {
    "order": lambda: faxes.c.to_number < "+2",
    "prefix": lambda: faxes.c.to_number.like("+49%"),
    "begins": lambda: faxes.c.to_number.startswith("+49"),
    "between": lambda: faxes.c.to_number.between("+1", "+2"),
    "descending": faxes.c.to_number.desc,
    "joined": lambda: faxes.c.to_number + "1",
    "put after": lambda: "1" + faxes.c.to_number,
    "its own": lambda: faxes.c.to_number.op("||")("1"),
    "another kind": lambda: faxes.c.to_number == faxes.c.remote_id,
    "in clear": lambda: faxes.c.to_number == numbers.c.number,
    "a clear text": lambda: faxes.c.to_number == literal("+15550100"),
    "equality of what is not found": lambda: faxes.c.mark == "junk",
    "among what is not found": lambda: faxes.c.mark.in_(["junk"]),
    "a part of JSON": lambda: faxes.c.labels["order"],
}
ALLOWED: dict[str, Callable[[], ColumnElement[Any]]] = {
    "a value": lambda: faxes.c.to_number == "+15550100",
    "another": lambda: faxes.c.to_number != "",
    "some": lambda: faxes.c.to_number.in_(NUMBERS),
    "the same kind": lambda: faxes.c.to_number == attempts.c.destination,
    "an array": lambda: faxes.c.to_number == func.any(holds.c.numbers),
    "nothing": lambda: faxes.c.mark.is_(None),
}


@pytest.mark.parametrize("asked", REFUSED)
def test_what_sealed_octets_would_answer_wrongly_is_refused_where_it_is_built(asked: str) -> None:
    with pytest.raises(TypeError, match="is sealed"):
        REFUSED[asked]()


@pytest.mark.parametrize("asked", ALLOWED)
def test_what_equality_answers_can_be_asked(asked: str) -> None:
    assert isinstance(ALLOWED[asked](), ColumnElement)


def test_no_two_columns_have_one_context_unless_they_are_found_by_it() -> None:
    kinds = [(each.type, each) for table in metadata.sorted_tables for each in table.columns]
    alone = [kind.context for kind, _ in kinds if isinstance(kind, SealedType) and not isinstance(kind, Findable)]
    assert len(alone) == len(set(alone))
    assert {each.context for each, _ in kinds if isinstance(each, Findable)}.isdisjoint(alone)


async def test_what_is_written_lies_sealed_and_is_read_as_it_was(database: Database, tenant: UUID) -> None:
    rule = {
        "id": new_id(),
        "tenant_id": tenant,
        "direction": "in",
        "action": "allow",
        "pattern": "+1*",
        "note": "Ärztin",
    }
    async with database.tenant(tenant) as connection:
        await connection.execute(insert(number_rules).values(rule))
        assert (await connection.scalars(select(number_rules.c.note))).one() == "Ärztin"
        lies = (await connection.execute(text("SELECT note FROM number_rules"))).scalar_one()
    assert "Ärztin".encode() not in lies
    assert SEALS.open(lies, context="number_rules.note").decode() == "Ärztin"


async def test_rows_given_as_arrays_are_sealed_and_found(database: Database, tenant: UUID) -> None:
    rows = Rows(destinations, "tenant_id", "number")
    async with database.tenant(tenant) as connection:
        given = [{"tenant_id": tenant, "number": each} for each in NUMBERS]
        await connection.execute(rows.inserted(), rows.values(given))
        await connection.execute(destinations.update().values(station_ids=["ACME 1", "ACME 2"]))
        found = select(destinations.c.number).where(destinations.c.number.in_(NUMBERS[:2]))
        assert set((await connection.scalars(found)).all()) == set(NUMBERS[:2])
        known = select(func.count()).where(destinations.c.station_ids.contains(["ACME 2"]))
        assert (await connection.scalar(known), len(NUMBERS)) == (3, 3)
        left = func.array_remove(destinations.c.station_ids, literal("ACME 1", Findable(STATION)))
        assert (await connection.execute(destinations.update().values(station_ids=left))).rowcount == len(NUMBERS)
        assert (await connection.scalars(select(destinations.c.station_ids))).all() == [["ACME 2"]] * 3
        lies = str((await connection.execute(text("SELECT number, station_ids FROM destinations"))).all())
    assert not [each for each in (*NUMBERS, "ACME") if each in lies]


async def test_a_list_goes_on_after_a_value_in_the_order_in_which_they_lie(database: Database, tenant: UUID) -> None:
    in_order = select(destinations.c.number).order_by(destinations.c.number)
    async with database.tenant(tenant) as connection:
        await connection.execute(insert(destinations), [{"tenant_id": tenant, "number": each} for each in NUMBERS])
        listed = (await connection.scalars(in_order)).all()
        assert sorted(listed) == list(NUMBERS)
        for index, each in enumerate(listed):
            rest = (await connection.scalars(in_order.where(after(destinations.c.number, each)))).all()
            assert rest == listed[index + 1 :]


async def test_without_the_keys_of_the_server_nothing_is_written_or_read(database: Database, tenant: UUID) -> None:
    async with database.tenant(tenant) as connection:
        await connection.execute(insert(destinations).values(tenant_id=tenant, number=NUMBERS[0]))
    asked = select(destinations.c.number)
    for seals, refused in ((None, RuntimeError), (ValueSeals(b"another" * 5), ValueBroken)):
        other = Database(database.urls, seals=seals, pool=1)
        async with other.tenant(tenant) as connection:
            rows = await connection.execute(asked)
            with pytest.raises(refused):
                rows.all()
        await other.close()
    other = Database(database.urls, seals=None, pool=1)
    with pytest.raises(StatementError, match="without the keys"):
        async with other.tenant(tenant) as connection:
            await connection.execute(asked.where(destinations.c.number == NUMBERS[0]))
    await other.close()
