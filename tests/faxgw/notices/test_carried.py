"""A notice carried by the courier of deliveries: held while its way is not protected, gone when it has arrived."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import select

from faxgw.delivery.courier import Courier
from faxgw.delivery.waits import Waits
from faxgw.mail.sending.postman import Postman
from faxgw.notices.telling import Role, notify
from faxgw.store.tables import events, parcels
from tests.faxgw.notices.test_sending import POLICY, Sender, sender

__all__ = ["sender"]

SOON = Waits(usual=(0.01,) * 3, back=(0.01,) * 3, held=(0.01,) * 1000)
WITHIN = 10.0


@asynccontextmanager
async def carrying(sender: Sender) -> AsyncIterator[None]:
    running = asyncio.create_task(Courier(sender.gateway, waits=SOON, tick=0.02).run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(sender: Sender, holds: Callable[[Any], bool]) -> Any:
    """Wait until the one parcel is so, and return it."""
    async with asyncio.timeout(WITHIN):
        while True:
            async with sender.gateway.database.dispatcher() as connection:
                (row,) = (await connection.execute(select(parcels))).mappings().all()
            if holds(row):
                return row
            await asyncio.sleep(0.02)


@pytest.mark.requirement("XM-17", "WF-08")
async def test_a_notice_is_held_with_an_event_until_its_way_is_protected_and_forgotten_when_it_has_gone(
    sender: Sender,
) -> None:
    stripped = await sender.by(strips=True)
    async with sender.gateway.database.dispatcher() as connection:
        await notify(connection, sender.tenant, kind="policy", key="k", to=Role.OWNERS, data=POLICY)
    async with carrying(sender):
        held = await until(sender, lambda row: row["state"] == "held_no_tls" and row["tries"] > 2)
        assert held["recipient"] and held["code"] == "mail.not_protected"
        async with sender.gateway.database.dispatcher() as connection:
            told = (await connection.scalars(select(events.c.type).where(events.c.type == "delivery.held"))).all()
        assert len(told) == 1
        assert stripped.messages == []
        old: Postman | None = sender.gateway.postman
        good = await sender.by()
        gone = await until(sender, lambda row: row["state"] == "delivered")
    assert old is not None
    await old.close()
    assert len(good.messages) == 1
    assert (gone["recipient"], gone["data"], gone["proof"]["place"]) == ("", {}, "")
    assert gone["proof"]["protocol"] == "TLSv1.3"
