"""A message whose 250 was lost comes again and is no second fax; what somebody wants sent again is one."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from faxgw.devices.device import Device
from faxgw.devices.repeating import NAMED, NAMELESS
from faxgw.gateway import Gateway
from faxgw.mail.arriving.desk import Desk
from faxgw.mail.submission.port import Peer, Rejected, Submission
from faxgw.retention.shredding import Why, shred
from faxgw.store.tables import batches, faxes, submissions
from tests.faxgw.api.people import Person
from tests.faxgw.devices.making import HERE, make
from tests.faxgw.mail.arriving.letters import TIFF, attachment, fax_page, letter, multi, text

PEER = Peer(HERE, "TLSv1.3", "TLS_AES_256_GCM_SHA384")
TO = "+15550100@fax.example"
SCAN = multi([text("Regards"), attachment(TIFF, fax_page())])


@pytest.fixture
def desk(gateway: Gateway) -> Desk:
    return Desk(gateway)


def handed(device: Device, content: bytes, *recipients: str) -> Submission:
    return Submission(device, "scans@office.example", recipients or (TO,), content, PEER)


def named(name: str = "<1@office.example>", date: str = "Mon, 2 Feb 2026 10:00:00 +0000", body: bytes = SCAN) -> bytes:
    return f"Message-ID: {name}\r\nDate: {date}\r\n".encode() + letter(body)


async def rows(gateway: Gateway, table: Any) -> list[Any]:
    async with gateway.database.dispatcher() as connection:
        return list((await connection.execute(select(table))).all())


async def later(gateway: Gateway, by: timedelta) -> None:
    """Have so much time be over, for what was handed in."""
    async with gateway.database.dispatcher() as connection:
        await connection.execute(update(submissions).values(expires_at=submissions.c.expires_at - by))


async def stored(gateway: Gateway) -> int:
    return len([each async for each in gateway.objects.objects.list()])


@pytest.mark.parametrize("content", [named(), letter(SCAN)], ids=["with a Message-ID", "without"])
async def test_a_message_that_comes_again_is_answered_as_the_first_and_leaves_nothing(
    gateway: Gateway, owner: Person, desk: Desk, content: bytes
) -> None:
    device, _ = await make(gateway, owner, faxes_per_day=1)
    await desk.take(handed(device, content))
    (fax,) = await rows(gateway, faxes)
    there = await stored(gateway)
    for _ in range(2):  # also when the day's quota is used up
        assert await desk.take(handed(device, content)) == f"{fax.id} was accepted before"
    assert [row.id for row in await rows(gateway, faxes)] == [fax.id]
    assert await stored(gateway) == there


async def test_a_message_that_comes_several_times_at_once_is_one_fax(
    gateway: Gateway, owner: Person, desk: Desk
) -> None:
    device, _ = await make(gateway, owner)
    said = await asyncio.gather(*(desk.take(handed(device, named())) for _ in range(5)))
    (fax,) = await rows(gateway, faxes)
    assert sorted(said) == [f"{fax.id} was accepted before"] * 4 + [f"fax {fax.id} accepted"]


async def test_a_refused_message_is_not_taken_for_one_that_was_accepted(
    gateway: Gateway, owner: Person, desk: Desk
) -> None:
    device, _ = await make(gateway, owner, faxes_per_day=1)
    await desk.take(handed(device, named("<0@office.example>")))
    for _ in range(2):
        with pytest.raises(Rejected, match=r"quota\.calls"):
            await desk.take(handed(device, named()))
    assert len(await rows(gateway, submissions)) == 1


async def test_a_batch_that_comes_again_in_another_order_and_through_another_server_is_the_first(
    gateway: Gateway, owner: Person, desk: Desk
) -> None:
    device, _ = await make(gateway, owner)
    numbers = TO, "+15550101@fax.example"
    await desk.take(handed(device, named(), *numbers))
    (batch,) = await rows(gateway, batches)
    passed_on = b"Received: from a server\r\n" + named()
    assert await desk.take(handed(device, passed_on, *reversed(numbers))) == f"{batch.id} was accepted before"
    assert len(await rows(gateway, batches)) == 1


@pytest.mark.parametrize(
    "other",
    [
        named("<2@office.example>"),
        named(date="Mon, 2 Feb 2026 10:00:01 +0000"),
        named(body=multi([text("Regards"), attachment(TIFF, fax_page(2))])),
        named(body=multi([text("No regards"), attachment(TIFF, fax_page())])),
        letter(SCAN),
        letter(SCAN, "again"),
    ],
    ids=["another Message-ID", "another date", "another document", "another text", "no Message-ID", "a subject"],
)
async def test_another_message_with_the_same_page_is_another_fax(
    gateway: Gateway, owner: Person, desk: Desk, other: bytes
) -> None:
    device, _ = await make(gateway, owner)
    await desk.take(handed(device, named()))
    await desk.take(handed(device, other))
    assert len(await rows(gateway, faxes)) == 2


async def test_the_same_for_another_number_or_from_another_device_is_another_fax(
    gateway: Gateway, owner: Person, desk: Desk
) -> None:
    one, _ = await make(gateway, owner, "one")
    other, _ = await make(gateway, owner, "other")
    await desk.take(handed(one, named()))
    await desk.take(handed(one, named(), "+15550101@fax.example"))
    await desk.take(handed(other, named()))
    assert len(await rows(gateway, faxes)) == 3


@pytest.mark.parametrize(("content", "known_for"), [(named(), NAMED), (letter(SCAN), NAMELESS)])
async def test_what_comes_again_much_later_is_wanted_again(
    gateway: Gateway, owner: Person, desk: Desk, content: bytes, known_for: timedelta
) -> None:
    device, _ = await make(gateway, owner)
    await desk.take(handed(device, content))
    await later(gateway, known_for - timedelta(minutes=1))
    await desk.take(handed(device, content))
    assert len(await rows(gateway, faxes)) == 1
    await later(gateway, timedelta(minutes=1))
    for _ in range(2):
        said = await desk.take(handed(device, content))
    assert said == f"{max(row.id for row in await rows(gateway, faxes))} was accepted before"
    assert len(await rows(gateway, faxes)) == 2


async def test_what_comes_again_when_its_fax_is_gone_is_not_sent_again(
    gateway: Gateway, owner: Person, desk: Desk
) -> None:
    device, _ = await make(gateway, owner)
    await desk.take(handed(device, named()))
    (fax,) = await rows(gateway, faxes)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await connection.execute(update(faxes).values(state="delivered", finished_at=datetime.now(UTC)))
        await shred(
            connection, gateway, [fax.id], why=Why("not_stored", record="none"), by="service", now=datetime.now(UTC)
        )
    assert await desk.take(handed(device, named())) == f"{fax.id} was accepted before"


async def test_what_is_known_of_a_message_says_nothing_of_it(gateway: Gateway, owner: Person, desk: Desk) -> None:
    device, _ = await make(gateway, owner)
    await desk.take(handed(device, named()))
    (row,) = await rows(gateway, submissions)
    assert set(row._fields) == {"tenant_id", "device_id", "mark", "became", "expires_at"}
    assert len(row.mark) == 32 and b"office" not in row.mark
