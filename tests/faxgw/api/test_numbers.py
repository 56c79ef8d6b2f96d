"""No tenant can have the calls of another lead to a box of its own."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from faxgw.gateway import Gateway
from faxgw.store.tables import lines, nodes, tenants
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import Person, add_person

DID = {"number": "+15550199"}
CATCH_ALL = {"line": "isdn"}


async def ask(client: Client, person: Person, entry: dict[str, Any]) -> tuple[int, str]:
    """Ask for an entry; return status and code."""
    answer = await client.post("/v1/numbers", json={**entry, "box": str(person.box_id)})
    return answer.status_code, answer.json().get("code", "")


@pytest.mark.parametrize(
    ("theirs", "wanted"),
    [
        (DID, DID),
        (DID, DID | {"line": "sim"}),
        (DID, DID | {"subaddress": "1"}),
        (DID, {"number": "+1 (555) 0199", "line": "sim", "subaddress": "1"}),
        (DID | {"line": "isdn"}, DID | {"line": "sim"}),
        (DID | {"subaddress": "1"}, DID),
        (DID, CATCH_ALL),
        (DID | CATCH_ALL, CATCH_ALL),
        (CATCH_ALL, CATCH_ALL | {"subaddress": "1"}),
        (CATCH_ALL, DID | CATCH_ALL),
        (CATCH_ALL, DID),
    ],
)
async def test_calls_of_another_tenant_cannot_be_taken_xm_08(
    gateway: Gateway, client: Client, owner: Person, connect: Connect, *, theirs: Any, wanted: Any
) -> None:
    other = await add_person(gateway)
    assert (await ask(client, owner, theirs))[0] == 201
    assert await ask(connect(other), other, wanted) == (409, "number.taken")


async def test_an_entry_cannot_be_changed_into_one_that_takes_calls_of_another_tenant_xm_08(
    gateway: Gateway, client: Client, owner: Person, connect: Connect
) -> None:
    other = await add_person(gateway)
    await ask(client, owner, DID)
    theirs = connect(other)
    made = await theirs.post("/v1/numbers", json={"number": "+15550142", "box": str(other.box_id)})
    asked = {**DID, "line": "sim", "box": str(other.box_id)}
    answer = await theirs.put(made.headers["location"], json=asked, headers={"if-match": "*"})
    assert (answer.status_code, answer.json()["code"]) == (409, "number.taken")
    assert (await theirs.get(made.headers["location"])).json()["number"] == "+15550142"


@pytest.mark.parametrize("entry", [DID | CATCH_ALL, CATCH_ALL, DID | CATCH_ALL | {"subaddress": "1"}])
async def test_a_number_on_a_line_of_other_tenants_is_refused(
    gateway: Gateway, client: Client, owner: Person, connect: Connect, *, entry: dict[str, Any]
) -> None:
    other = await add_person(gateway)
    await add_line(gateway, "isdn", owner)
    await add_line(gateway, "shared")
    assert await ask(connect(other), other, entry) == (422, "number.line")
    assert await ask(connect(other), other, {"number": "+15550143", "line": "shared"}) == (201, "")
    assert await ask(client, owner, entry) == (201, "")


async def test_a_number_is_refused_when_no_line_at_all_takes_calls_for_its_tenant(
    gateway: Gateway, client: Client, owner: Person, connect: Connect
) -> None:
    other = await add_person(gateway)
    await add_line(gateway, "isdn", owner)
    await add_line(gateway, "out", receives=False)
    assert await ask(connect(other), other, DID) == (422, "number.line")
    assert await ask(client, owner, DID) == (201, "")
    theirs = connect(other)
    await add_line(gateway, "late", other)
    made = await theirs.post("/v1/numbers", json={"number": "+15550142", "box": str(other.box_id)})
    asked = {"number": "+15550142", "line": "isdn", "box": str(other.box_id)}
    answer = await theirs.put(made.headers["location"], json=asked, headers={"if-match": "*"})
    assert (answer.status_code, answer.json()["code"]) == (422, "number.line")


async def add_line(gateway: Gateway, name: str, *whose: Person, receives: bool = True) -> None:
    """Write a line down as the node that has it does."""
    row = {"node": "elsewhere", "name": name, "kind": "sim", "sends": True, "receives": receives, "state": "idle"}
    names = select(tenants.c.name).where(tenants.c.id.in_([each.tenant_id for each in whose]))
    async with gateway.database.dispatcher() as connection:
        await connection.execute(upsert(nodes).values(id="elsewhere", name="elsewhere").on_conflict_do_nothing())
        named = list((await connection.execute(names)).scalars())
        await connection.execute(insert(lines).values(**row, tenants=named))


async def test_other_numbers_and_lines_are_free_for_other_tenants(
    gateway: Gateway, client: Client, owner: Person, connect: Connect
) -> None:
    other = await add_person(gateway)
    assert await ask(client, owner, DID | {"line": "isdn"}) == (201, "")
    assert await ask(client, owner, CATCH_ALL) == (201, "")
    assert await ask(connect(other), other, {"line": "sim"}) == (201, "")
    assert await ask(connect(other), other, {"number": "+15550142", "line": "sim"}) == (201, "")


async def test_a_tenant_has_a_number_lead_to_many_boxes_by_line_and_subaddress(client: Client, owner: Person) -> None:
    for entry in (DID, DID | {"line": "sim"}, DID | {"subaddress": "1"}, CATCH_ALL, DID | CATCH_ALL):
        assert await ask(client, owner, entry) == (201, "")


async def test_of_two_tenants_that_ask_at_once_one_gets_the_number(gateway: Gateway, connect: Connect) -> None:
    people = [await add_person(gateway) for _ in range(6)]
    entries = [DID | {"line": f"line-{each}"} for each in range(6)]
    asked = [ask(connect(who), who, entry) for who, entry in zip(people, entries, strict=True)]
    answers = await asyncio.gather(*asked)
    assert sorted(answers) == [(201, ""), *[(409, "number.taken")] * 5]
