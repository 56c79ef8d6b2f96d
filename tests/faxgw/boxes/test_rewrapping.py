"""A box of many objects is wrapped to another key quickly, and calls do not notice."""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import func, insert, select

from faxgw.boxes.keys import held_keys, rotate, sealing_key
from faxgw.cli.serve import GIVES_WAY
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.wraps import PublicKey, unwrap, wrap, wrap_context
from faxgw.store.tables import objects, wraps
from tests.faxgw.api.conftest import Client
from tests.faxgw.api.people import Person

AT_ONCE = 1000
STALL = 0.05
"""Seconds that nothing may hold up the loop."""


@pytest.fixture
def _gives_way() -> Iterator[None]:
    """Have threads let the loop go on as soon as they do in the service."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(GIVES_WAY)
    yield
    sys.setswitchinterval(before)


@pytest.mark.soak
@pytest.mark.usefixtures("_gives_way")
@pytest.mark.requirement("XM-03")
async def test_a_large_box_is_wrapped_anew_within_a_minute_and_nothing_waits_for_it(
    gateway: Gateway, owner: Person, client: Client, soak: bool
) -> None:
    count = 100_000 if soak else 1_500
    await _fill(gateway, owner, count)
    async with await psycopg.AsyncConnection.connect(
        gateway.database.urls.owner.replace("+psycopg", ""), autocommit=True
    ) as connection:
        await connection.execute("ANALYZE wraps")  # as autovacuum does a minute later
    async with gateway.database.tenant(owner.tenant_id) as connection:
        present = await rotate(connection, owner.box_id)
    lags: list[float] = []
    probe = asyncio.create_task(_probe(lags))
    began, used, done, left = time.monotonic(), time.process_time(), 0, 1
    while left:
        answer = await client.post(f"/v1/boxes/{owner.box_id}:rewrap")
        assert answer.status_code == 200, answer.text
        done, left = done + answer.json()["rewrapped"], answer.json()["left"]
    seconds = time.monotonic() - began
    probe.cancel()
    ranked = sorted(lags)
    half, worst = ranked[len(ranked) // 2], ranked[len(ranked) * 99 // 100]
    print(f"{done} objects in {seconds:.1f} s, {time.process_time() - used:.1f} s of a core, load {os.getloadavg()}")
    print(f"the loop was held up for {half * 1000:.1f} ms, in one of a hundred times for {worst * 1000:.1f} ms")
    assert done == count
    if soak:
        assert seconds < 60.0
        assert worst < STALL
    async with gateway.database.tenant(owner.tenant_id) as connection:
        there = select(wraps.c.key_id, func.count()).where(wraps.c.kind == "box").group_by(wraps.c.key_id)
        assert (await connection.execute(there)).all() == [(present.key_id, count)]
        assert present.key_id in await held_keys(connection, owner.key_pair, owner.box_id)


@pytest.mark.requirement("XM-03")
async def test_what_is_in_the_box_by_both_keys_keeps_the_present_one_alone(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    await _fill(gateway, owner, 3)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        present = await rotate(connection, owner.box_id)
        first: UUID = (await connection.execute(select(wraps.c.object_id).limit(1))).scalar_one()
        await connection.execute(insert(wraps), _wraps([first], owner, present))
    answer = await client.post(f"/v1/boxes/{owner.box_id}:rewrap")
    assert (answer.json()["rewrapped"], answer.json()["left"]) == (3, 0)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        keys = (await connection.execute(select(wraps.c.key_id).where(wraps.c.kind == "box"))).scalars().all()
        pairs = await held_keys(connection, owner.key_pair, owner.box_id)
        rows = (await connection.execute(select(wraps.c.object_id, wraps.c.blob).where(wraps.c.kind == "box"))).all()
    assert keys == [present.key_id] * 3
    for row in rows:
        context = wrap_context(tenant=owner.tenant_id, object_id=row.object_id, kind="box")
        assert len(unwrap(row.blob, pairs[present.key_id], context=context)) == 32


async def _probe(lags: list[float]) -> None:
    while True:
        began = time.monotonic()
        await asyncio.sleep(0.005)
        lags.append(time.monotonic() - began - 0.005)


async def _fill(gateway: Gateway, owner: Person, count: int) -> None:
    """Put rows of so many objects into a box."""
    async with gateway.database.tenant(owner.tenant_id) as connection:
        key = await sealing_key(connection, owner.box_id)
    for first in range(0, count, AT_ONCE):
        ids = [new_id() for _ in range(min(AT_ONCE, count - first))]
        rows = await asyncio.to_thread(_wraps, ids, owner, key)
        async with gateway.database.tenant(owner.tenant_id) as connection:
            mine = {"tenant_id": owner.tenant_id, "kind": "page", "size": 1}
            await connection.execute(insert(objects), [{"id": each, **mine} for each in ids])
            await connection.execute(insert(wraps), rows)


def _wraps(ids: list[UUID], owner: Person, key: PublicKey) -> list[dict[str, object]]:
    rows = []
    for each in ids:
        context = wrap_context(tenant=owner.tenant_id, object_id=each, kind="box")
        row = {"tenant_id": owner.tenant_id, "object_id": each, "kind": "box", "key_id": key.key_id}
        rows.append({**row, "blob": wrap(os.urandom(32), key, context=context)})
    return rows
