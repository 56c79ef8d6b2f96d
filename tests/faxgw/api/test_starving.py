"""More slow requests than there are connections to the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from faxgw.gateway import Gateway
from faxgw.store.database import Database
from tests.faxgw.api.conftest import Client
from tests.faxgw.api.people import Person

POOL = 2
LOCKED = "select count(*) from pg_locks where relation = 'boxes'::regclass and not granted"


@asynccontextmanager
async def starving(gateway: Gateway, client: Client, *, patience: float) -> AsyncIterator[list[asyncio.Task[int]]]:
    """Have requests hold every connection that there is for requests, until the block ends."""
    await gateway.database.close()
    watcher = Database(gateway.database.urls, seals=gateway.database.seals)
    gateway.database = Database(gateway.database.urls, seals=watcher.seals, pool=POOL, patience=patience)

    async def ask() -> int:
        return (await client.get("/v1/boxes")).status_code

    async with watcher.dispatcher() as connection:
        await connection.exec_driver_sql("lock table boxes in access exclusive mode")
        slow = [asyncio.create_task(ask()) for _ in range(POOL)]
        while (await connection.exec_driver_sql(LOCKED)).scalar_one() < POOL:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        yield slow
    await watcher.close()


async def test_whoever_waits_for_a_connection_is_answered_when_one_is_free(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    async with asyncio.timeout(20):
        async with starving(gateway, client, patience=10) as slow:
            waiting = [asyncio.create_task(client.get("/v1/faxes")) for _ in range(3 * POOL)]
            done, _ = await asyncio.wait(waiting, timeout=0.3)
            assert not done
        answers = await asyncio.gather(*waiting)
        assert {each.status_code for each in answers} == {200}
        assert await asyncio.gather(*slow) == [200] * POOL


async def test_whoever_waits_too_long_may_come_again_and_then_is_answered(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    async with asyncio.timeout(20):
        async with starving(gateway, client, patience=0.2) as slow:
            for answer in await asyncio.gather(*[client.get("/v1/faxes") for _ in range(3 * POOL)]):
                assert (answer.status_code, answer.json()["code"]) == (503, "service.unavailable")
                assert answer.json()["retryable"]
                assert int(answer.headers["retry-after"]) > 0
        assert await asyncio.gather(*slow) == [200] * POOL
        answers = await asyncio.gather(*[client.get("/v1/faxes") for _ in range(POOL)])
        assert {each.status_code for each in answers} == {200}
