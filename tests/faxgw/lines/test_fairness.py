"""Whose fax takes the next line that is free."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import insert, select, text, update

from faxgw.faxes.ending import Ending, end_attempt
from faxgw.ids import new_id
from faxgw.lines.dispatcher import claim_calls
from faxgw.setup import SetUp
from faxgw.store.database import Database
from faxgw.store.tables import NUMBER, attempts, faxes, routes
from tests.faxgw.lines.conftest import Office, new_tenant, sim_line
from tests.faxgw.lines.test_nodes import idle_office

QUEUED = text(
    "INSERT INTO faxes (id, tenant_id, direction, state, user_id, box_id, to_number, next_call_at, pages, priority)"
    " SELECT gen_random_uuid(), :tenant, 'out', 'queued', :user, :box, (cast(:called as bytea[]))[n],"
    " now() - :hours * interval '1 hour' + n * interval '1 ms', 1, :priority FROM generate_series(1, :count) n"
)


@pytest_asyncio.fixture
async def idle(database: Database, tmp_path: Path) -> AsyncIterator[Office]:
    """Return an office with two lines whose gateway does nothing by itself."""
    async with idle_office(database, tmp_path, sim_line("one", "15550199"), sim_line("two", "15550198")) as office:
        yield office


async def queue(
    office: Office, whose: SetUp, prefix: str, *, count: int = 1, priority: int = 50, hours: int = 1
) -> None:
    """Let faxes wait, the first for so many hours, each a millisecond less than the one before."""
    values = {"tenant": whose.tenant, "user": whose.user, "box": whose.box, "hours": hours}
    seal = office.gateway.server_keys.values.seal_findable
    values["called"] = [seal(f"{prefix}{each:07}".encode(), context=NUMBER) for each in range(1, count + 1)]
    async with office.gateway.database.dispatcher() as connection:
        await connection.execute(QUEUED, {**values, "count": count, "priority": priority})


async def claim(office: Office, *lines: str) -> list[Any]:
    """Claim calls for these lines, the others being busy; return the attempts."""
    for name, keeper in office.gateway.board.keepers.items():
        keeper.state = "idle" if name in lines else "busy"
    return [each.attempt for _, each in await claim_calls(office.gateway)]


async def end(office: Office, attempt_id: UUID) -> None:
    async with office.gateway.database.dispatcher() as connection:
        await end_attempt(connection, attempt_id, Ending("call.busy"))


async def test_each_tenant_has_its_turn_however_much_another_had_waiting_before(idle: Office) -> None:
    second = await new_tenant(idle.gateway, "second", ())
    third = await new_tenant(idle.gateway, "third", ())
    await queue(idle, idle.tenant, "+4930", count=500)
    await queue(idle, second, "+4940", count=3)
    await queue(idle, third, "+4950", count=3)
    called = []
    for _ in range(9):
        (attempt,) = await claim(idle, "one")
        called.append(attempt["tenant_id"])
        await end(idle, attempt["id"])
    rounds = [set(called[first : first + 3]) for first in (0, 3, 6)]
    assert rounds == [{idle.tenant.tenant, second.tenant, third.tenant}] * 3


async def test_lines_are_shared_and_a_tenant_that_has_one_comes_after_one_that_has_none(idle: Office) -> None:
    second = await new_tenant(idle.gateway, "second", ())
    await queue(idle, idle.tenant, "+4930", count=10)
    await queue(idle, second, "+4940", count=10)
    first, other = await claim(idle, "one", "two")
    assert {first["tenant_id"], other["tenant_id"]} == {idle.tenant.tenant, second.tenant}
    await end(idle, first["id"])
    (again,) = await claim(idle, first["line"])
    assert again["tenant_id"] == first["tenant_id"]


async def test_priority_comes_before_fairness_and_age_within_a_tenant(idle: Office) -> None:
    second = await new_tenant(idle.gateway, "second", ())
    await queue(idle, idle.tenant, "+4930", count=3, priority=10)
    await queue(idle, second, "+4940")
    called = []
    for _ in range(4):
        (attempt,) = await claim(idle, "one")
        called.append(attempt["destination"])
        await end(idle, attempt["id"])
    assert called == ["+49300000001", "+49300000002", "+49300000003", "+49400000001"]


@pytest.mark.soak
async def test_a_batch_that_waits_for_a_busy_line_holds_up_nobody_else(idle: Office, *, soak: bool) -> None:
    count = 100_000 if soak else 10_000
    second = await new_tenant(idle.gateway, "second", ())
    rows = [
        {"id": new_id(), "tenant_id": each.tenant, "prefix": "", "lines": lines, "cost": 0}
        for each, lines in ((idle.tenant, ["one"]), (second, ["one", "two"]))
    ]
    async with idle.gateway.database.dispatcher() as connection:
        await connection.execute(insert(routes).values(rows))
    await queue(idle, idle.tenant, "+4930", count=count, hours=2)
    await queue(idle, second, "+4940")
    began = time.perf_counter()
    (attempt,) = await claim(idle, "two")
    print(f"claimed in {time.perf_counter() - began:.4f} s, while {count} others wait")
    assert (attempt["tenant_id"], attempt["line"]) == (second.tenant, "two")
    assert await claim(idle, "two") == []


async def test_a_number_that_is_being_called_holds_up_no_other_number(idle: Office) -> None:
    await queue(idle, idle.tenant, "+4930", count=400)
    async with idle.gateway.database.dispatcher() as connection:
        mine = select(faxes.c.id).where(faxes.c.to_number.in_([f"+4930{each:07}" for each in range(350)]))
        await connection.execute(update(faxes).where(faxes.c.id.in_(mine)).values(to_number="+49300000001"))
    first, second = await claim(idle, "one", "two")
    assert [first["destination"], second["destination"]] == ["+49300000001", "+49300000350"]
    assert len(await idle.rows(select(attempts.c.id))) == 2
