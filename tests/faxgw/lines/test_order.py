"""Which fax goes when: priority, the time asked for, the hours of the tenant and of the fax."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from faxgw.config import LineSettings
from faxgw.documents.tiff import tiff_octets
from faxgw.errors import RequestError
from faxgw.faxes.actions import release
from faxgw.model import State
from faxgw.store.tables import attempts, faxes
from tests.faxgw.lines.conftest import Office, sim_line
from tests.faxgw.lines.pages import fax_pages

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@pytest.fixture
def lines() -> tuple[LineSettings, ...]:
    return (sim_line("one", "15550199"),)


def closed_now() -> dict[str, Any]:
    """Return hours of which none is within the next four."""
    now = datetime.now(UTC)
    opens, closes = now + timedelta(hours=4), now + timedelta(hours=6)
    return {"zone": "UTC", "spans": [{"days": DAYS, "opens": f"{opens:%H:%M}", "closes": f"{closes:%H:%M}"}]}


async def test_faxes_go_in_the_order_of_their_priority(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    numbers = ("+15550100", "+15550105", "+15550106")
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    ids = [
        await office.send(number, document, priority=priority, send_at=soon)
        for number, priority in zip(numbers, (90, 50, 10), strict=True)
    ]
    for fax_id in ids:
        await office.in_state(fax_id, State.SCHEDULED)
    async with office.gateway.database.dispatcher() as connection:
        await connection.execute(update(faxes).values(next_call_at=func.now()))
        await connection.execute(text("SELECT pg_notify('faxgw_work', 'call')"))
    for fax_id in ids:
        await office.ended(fax_id)
    called = await office.rows(select(attempts.c.destination).order_by(attempts.c.started_at))
    # A machine that calls back may take the line from a call before it began, which is made again then.
    outgoing = list(dict.fromkeys(row.destination for row in called if row.destination))
    assert outgoing == ["+15550106", "+15550105", "+15550100"]


async def test_a_fax_waits_for_its_time_and_for_open_hours(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    at = datetime.now(UTC) + timedelta(hours=3)
    asked = await office.in_state(await office.send("+15550100", document, send_at=at.isoformat()), State.SCHEDULED)
    assert asked.next_call_at == at and (await office.told(asked.id))[-1] == "fax.scheduled"
    hours = closed_now()  # once: the minute may turn meanwhile
    own = await office.in_state(await office.send("+15550100", document, hours=hours), State.SCHEDULED)
    assert timedelta(hours=3.9) < own.next_call_at - datetime.now(UTC) <= timedelta(hours=4)
    await office.change_policy(hours=hours)
    tenants = await office.in_state(await office.send("+15550100", document), State.SCHEDULED)
    assert tenants.next_call_at == own.next_call_at


async def test_hours_that_close_while_a_fax_is_queued_put_it_off(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    at = datetime.now(UTC) + timedelta(hours=1)
    fax_id = await office.send("+15550100", document, send_at=at.isoformat())
    await office.in_state(fax_id, State.SCHEDULED)
    await office.change_policy(hours=closed_now())
    async with office.gateway.database.dispatcher() as connection:
        await connection.execute(update(faxes).values(next_call_at=func.now()))
        await connection.execute(text("SELECT pg_notify('faxgw_work', 'call')"))

    async def put_off() -> Any:
        fax = await office.fax(fax_id)
        return fax.next_call_at > datetime.now(UTC) + timedelta(hours=3.9) and fax

    async with asyncio.timeout(10):
        while not (fax := await put_off()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert (fax.state, fax.dials) == ("scheduled", 0)
    assert (await office.told(fax_id))[-2:] == ["fax.queued", "fax.scheduled"]


async def test_a_fax_that_is_released_at_night_waits_for_the_morning(office: Office) -> None:
    await office.change_policy(misdirect="hold")
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    await office.ended(await office.send("+15550106", document))
    held = await office.in_state(await office.send("+15550106", document), State.HELD)
    await office.change_policy(hours=closed_now())
    assert await office.do(release, held.id) is State.SCHEDULED
    assert (await office.fax(held.id)).next_call_at > datetime.now(UTC) + timedelta(hours=3.9)


async def test_times_that_never_come_or_lie_too_far_ahead_are_refused(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    with pytest.raises(RequestError, match="90 days") as refused:
        await office.send("+15550100", document, send_at=(datetime.now(UTC) + timedelta(days=91)).isoformat())
    assert refused.value.code == "schedule.too_far"
    await office.change_policy(schedule_days=100)
    await office.send("+15550100", document, send_at=(datetime.now(UTC) + timedelta(days=91)).isoformat())
    nights = {"zone": "UTC", "spans": [{"days": DAYS, "opens": "22:00", "closes": "23:00"}]}
    mornings = {"zone": "UTC", "spans": [{"days": DAYS, "opens": "06:00", "closes": "07:00"}]}
    await office.change_policy(hours=nights)
    with pytest.raises(RequestError) as refused:
        await office.send("+15550100", document, hours=mornings)
    assert refused.value.code == "schedule.never"
    assert len(await office.rows(select(faxes.c.id))) == 1
