"""Parcels as rows: each is carried by one at a time, and what a late one says of it counts no more."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from faxgw.delivery import queue
from faxgw.delivery.carrier import NotProtected, Proof, Refused, Unreachable
from faxgw.delivery.queue import DELETE, FAX
from faxgw.ids import new_id
from faxgw.store.database import Database
from faxgw.store.tables import parcels, targets

PROOF = Proof("SSH-2.0", "aes256-gcm@openssh.com", "00", True, "pinned", "sftp://x/y", datetime.now(UTC), path="y")
AWAY = Unreachable("delivery.unreachable", "nobody answers at files.example")


async def target_of(database: Database, tenant: UUID, name: str = "files") -> UUID:
    """Make a target; return its id."""
    row: dict[str, Any] = {"id": new_id(), "tenant_id": tenant, "name": name, "kind": "local"}
    async with database.tenant(tenant) as connection:
        await connection.execute(targets.insert().values(row | {"settings": {"kind": "local"}}))
    return UUID(str(row["id"]))


@pytest.fixture
async def target(database: Database, tenant: UUID) -> UUID:
    return await target_of(database, tenant)


async def claimed(database: Database, lane: UUID, lease: float = 60) -> Any:
    async with database.dispatcher() as connection:
        return await queue.claim(connection, lane, lease=lease)


async def put(database: Database, tenant: UUID, target: UUID | None, key: str = "1", kind: str = FAX) -> UUID | None:
    async with database.dispatcher() as connection:
        return await queue.put(connection, tenant, kind, key, target_id=target)


async def test_there_is_one_parcel_of_a_kind_and_key(database: Database, tenant: UUID, target: UUID) -> None:
    made = [await put(database, tenant, target) for _ in range(2)]
    assert made[0] is not None and made[1] is None


async def test_ten_who_claim_at_once_get_ten_different_parcels(database: Database, tenant: UUID, target: UUID) -> None:
    there = {await put(database, tenant, target, key=str(each)) for each in range(10)}
    rows = await asyncio.gather(*(claimed(database, target) for _ in range(10)))
    assert {row["id"] for row in rows if row} == there
    assert await claimed(database, target) is None


async def test_a_parcel_is_claimed_again_only_when_its_lease_has_ended(
    database: Database, tenant: UUID, target: UUID
) -> None:
    parcel = await put(database, tenant, target)
    first = await claimed(database, target)
    assert await claimed(database, target) is None
    async with database.dispatcher() as connection:
        await connection.execute(update(parcels).values(next_at=func.now()))
    second = await claimed(database, target)
    assert (first["id"], second["id"], first["tries"], second["tries"]) == (parcel, parcel, 1, 2)
    async with database.dispatcher() as connection:
        assert not await queue.failed(connection, first, Refused("delivery.refused", "no"))
        assert await queue.delivered(connection, second, PROOF, b"\1" * 32)
        assert not await queue.again(connection, second, AWAY, wait=5)
        row = (await connection.execute(select(parcels))).mappings().one()
    assert (row["state"], row["next_at"], row["proof"]["path"]) == ("delivered", None, "y")


async def test_what_is_held_for_want_of_protection_comes_again(database: Database, tenant: UUID, target: UUID) -> None:
    await put(database, tenant, target)
    row = await claimed(database, target)
    async with database.dispatcher() as connection:
        assert await queue.held(connection, row, NotProtected("mail.no_tls", "no STARTTLS"), wait=0)
    async with database.dispatcher() as connection:
        assert (await connection.execute(select(parcels.c.state))).scalar_one() == "held_no_tls"
        assert await queue.due(connection) == [target]
    assert (await claimed(database, target))["tries"] == 2


async def test_a_target_that_is_switched_off_gets_nothing_but_gives_back(
    database: Database, tenant: UUID, target: UUID
) -> None:
    await put(database, tenant, target)
    async with database.dispatcher() as connection:
        await connection.execute(update(targets).values(enabled=False))
    assert await claimed(database, target) is None
    back = await put(database, tenant, target, kind=DELETE)
    assert (await claimed(database, target))["id"] == back


async def test_each_target_and_the_notices_of_each_tenant_are_lanes_of_their_own(
    database: Database, tenant: UUID, target: UUID
) -> None:
    other = await target_of(database, tenant, "others")
    for key, where in enumerate([target, other, other, None]):
        await put(database, tenant, where, key=str(key), kind=FAX if where else "result")
    async with database.dispatcher() as connection:
        assert set(await queue.due(connection)) == {target, other, tenant}
    assert (await claimed(database, tenant))["kind"] == "result"
