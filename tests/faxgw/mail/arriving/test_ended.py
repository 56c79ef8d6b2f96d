"""A fax that came by mail has ended: what it was made of is gone, and whoever waits for the result is told, once."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select, text, update

from faxgw.delivery import queue
from faxgw.delivery.carrier import Proof
from faxgw.devices.ended import settle
from faxgw.faxes.actions import cancel, cancel_batch
from faxgw.faxes.ending import fail
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.mail.arriving.desk import Desk
from faxgw.store.tables import documents, faxes, held_faxes, holds, objects, page_sets, pages, parcels, wraps
from t30.outcome import Reason
from tests.faxgw.api.people import Person, add_fax
from tests.faxgw.devices.making import change, make
from tests.faxgw.mail.arriving.letters import TIFF, attachment, fax_page, letter, multi
from tests.faxgw.mail.arriving.letters import text as words
from tests.faxgw.mail.arriving.test_desk import SENDER, TO, all_of, message, scanned

OTHER = "+15550101@fax.example"


@pytest.fixture
def desk(gateway: Gateway) -> Desk:
    return Desk(gateway)


async def jobs(gateway: Gateway) -> set[tuple[str, str | None]]:
    """Return what is to be settled, by the jobs that were put in."""
    query = "SELECT args FROM procrastinate_jobs WHERE task_name = 'devices:ended'"
    async with gateway.database.dispatcher() as connection:
        return {(row.args["fax_id"], row.args["batch_id"]) for row in await connection.execute(text(query))}


async def settled(gateway: Gateway) -> None:
    for fax_id, batch_id in await jobs(gateway):
        await settle(gateway, UUID(fax_id), UUID(batch_id) if batch_id else None)


async def results(gateway: Gateway) -> list[Any]:
    return await all_of(gateway, parcels.c.recipient, parcels.c.data, parcels.c.next_at)


@pytest.mark.requirement("WF-08")
async def test_what_a_fax_was_made_of_is_gone_with_its_end_and_its_pages_stay(
    gateway: Gateway, owner: Person, desk: Desk
) -> None:
    device, _ = await make(gateway, owner)
    await desk.take(message(device, scanned()))
    ((fax_id,),) = await all_of(gateway, faxes.c.id)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await cancel(connection, fax_id)
    assert [row.kind for row in await all_of(gateway, wraps)] == ["box"]  # so nothing opens the rest any more
    await settled(gateway)
    await settled(gateway)
    assert await all_of(gateway, documents) == []
    kept = {row.object_id for row in await all_of(gateway, pages)}
    assert {row.id for row in await all_of(gateway, objects)} == kept != set()
    assert {each async for each in gateway.objects.objects.list()} == kept


@pytest.mark.requirement("WF-08")
async def test_a_document_stays_while_a_fax_is_drawn_from_it_or_a_hold_is_over_it(
    gateway: Gateway, owner: Person, desk: Desk
) -> None:
    device, _ = await make(gateway, owner)
    await desk.take(message(device, letter(multi([words("Hello")])), TO, OTHER))
    rows = await all_of(gateway, faxes.c.id)
    mine = {"tenant_id": owner.tenant_id}
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await cancel(connection, rows[0].id)
    await settled(gateway)
    assert len(await all_of(gateway, documents)) == 1
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await cancel(connection, rows[1].id)
        hold = {"id": new_id(), "name": "case", "by_fax": True, "user_id": owner.user_id}
        await connection.execute(insert(holds).values(**hold, **mine))
        await connection.execute(insert(held_faxes).values(hold_id=hold["id"], fax_id=rows[1].id, **mine))
    await settled(gateway)
    assert len(await all_of(gateway, documents)) == 1
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await connection.execute(update(holds).values(released_at=datetime.now(UTC), released_by=owner.user_id))
    await settled(gateway)
    assert await all_of(gateway, documents) == []
    assert await all_of(gateway, page_sets) == []


async def test_the_sender_is_told_once_and_then_forgotten(gateway: Gateway, owner: Person, desk: Desk) -> None:
    device, _ = await make(gateway, owner, "copier")
    await desk.take(message(device, scanned(), "+49301234567@fax.example"))
    ((fax_id,),) = await all_of(gateway, faxes.c.id)
    async with gateway.database.dispatcher() as connection:
        assert await queue.due(connection) == []
        ready = update(faxes).values(state="converting")
        await connection.execute(ready)
        await fail(connection, fax_id, Reason("document.damaged", "It is damaged."))
    for _ in range(2):
        await settled(gateway)
        ((recipient, said, next_at),) = await results(gateway)
        assert (recipient, next_at is not None) == (SENDER, True)
    assert said["fax"] == str(fax_id)
    assert (said["number"], said["state"], said["reason"]) == ("+49…67", "failed", "It is damaged.")
    assert said["device"] == "copier"
    async with gateway.database.dispatcher() as connection:
        (lane,) = await queue.due(connection)
        row = await queue.claim(connection, lane, lease=60)
        assert row is not None
        proof = Proof("TLSv1.3", "", "", True, "", "mail:", datetime.now(UTC))
        assert await queue.delivered(connection, row, proof, bytes(32))
    assert [row.recipient for row in await results(gateway)] == [""]


@pytest.mark.parametrize(("reply", "recipients"), [("owner", 1), ("none", 0)])
async def test_the_owner_or_nobody_is_told_as_the_device_is_set(
    gateway: Gateway, owner: Person, desk: Desk, reply: str, recipients: int
) -> None:
    device, _ = await make(gateway, owner, reply=reply)
    await desk.take(message(device, scanned()))
    ((fax_id,),) = await all_of(gateway, faxes.c.id)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await cancel(connection, fax_id)
    for _ in range(2):
        await settled(gateway)
    assert [row.recipient for row in await results(gateway)] == [owner.email] * recipients


async def test_a_batch_has_one_result_when_all_of_it_has_ended(gateway: Gateway, owner: Person, desk: Desk) -> None:
    device, _ = await make(gateway, owner)
    await desk.take(message(device, scanned(), TO, OTHER))
    rows = await all_of(gateway, faxes.c.id, faxes.c.batch_id)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await cancel(connection, rows[0].id)
    await settled(gateway)
    ((_, said, next_at),) = await results(gateway)
    assert (said, next_at) == ({}, None)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await cancel_batch(connection, rows[0].batch_id)
    await asyncio.gather(settled(gateway), settled(gateway))
    ((recipient, said, next_at),) = await results(gateway)
    assert (recipient, next_at is not None) == (SENDER, True)
    assert (said["batch"], said["count"], said["delivered"]) == (str(rows[0].batch_id), 2, 0)
    assert [each["number"] for each in said["others"]] == ["+1…00", "+1…01"]


async def test_a_device_that_was_deleted_meanwhile_holds_nothing_up(
    gateway: Gateway, owner: Person, desk: Desk
) -> None:
    device, _ = await make(gateway, owner)
    await desk.take(message(device, letter(multi([attachment(TIFF, fax_page())]))))
    ((fax_id,),) = await all_of(gateway, faxes.c.id)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await cancel(connection, fax_id)
    await change(gateway, device.login, enabled=False)
    async with gateway.database.dispatcher() as connection:
        await connection.execute(text("DELETE FROM devices"))
    await settled(gateway)
    assert await all_of(gateway, documents) == []
    ((recipient, said, _),) = await results(gateway)
    assert (recipient, said["state"], "device" in said) == (SENDER, "canceled", False)


async def test_faxes_of_no_device_have_no_such_job(gateway: Gateway, owner: Person) -> None:
    fax_id = await add_fax(gateway, owner, state="queued", finished_at=None)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        found = await connection.scalar(select(faxes.c.device_id).where(faxes.c.id == fax_id))
        await cancel(connection, fax_id)
    assert found is None and await jobs(gateway) == set()
