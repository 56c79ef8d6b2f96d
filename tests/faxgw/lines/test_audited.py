"""What the audit log says of calls: how each fax ended, and whose key was opened to send one again."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from faxgw.audit.sequencing import sequence
from faxgw.config import LineSettings
from faxgw.documents.tiff import tiff_octets
from faxgw.faxes.actions import cancel_batch, resend
from faxgw.faxes.content import unlock
from faxgw.sandbox import call_in
from faxgw.store.tables import audit_rows, faxes, key_slots
from tests.faxgw.audit.conftest import NOW
from tests.faxgw.lines.conftest import Office, sim_line
from tests.faxgw.lines.far_ends import FarEnd
from tests.faxgw.lines.pages import fax_pages

BUSY, WHOLE, BROKEN = "+15550101", "+15550100", "+15550121"


@pytest.fixture
def lines() -> tuple[LineSettings, ...]:
    return (sim_line("one", "15550199"),)


@pytest.fixture
def far_ends() -> tuple[FarEnd, ...]:
    return (FarEnd("15550121", drops_after=(1, None)),)


async def log_of(office: Office, object_id: UUID | None = None) -> list[dict[str, Any]]:
    """Return the numbered rows of the log that are about a fax, or about anything."""
    await sequence(office.gateway.database, office.gateway.server_keys, now=NOW)
    wanted = select(audit_rows.c.entry).order_by(audit_rows.c.seq)
    if object_id is not None:
        wanted = wanted.where(audit_rows.c.object_id == str(object_id))
    return [json.loads(row.entry) for row in await office.rows(wanted)]


def outline(row: dict[str, Any]) -> tuple[str, str, str, dict[str, Any]]:
    return row["action"], row["actor"], row["object"], row["data"]


@pytest.mark.requirement("FP-13")
async def test_every_end_of_a_fax_that_goes_out_stands_in_the_log_once_and_names_nobody(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(2)), 2)
    once = {"retry": {"max_dials": 1}}
    ends = {
        WHOLE: ("fax.delivered", {"pages": 2, "pages_done": 2}),
        BROKEN: ("fax.partially_sent", {"pages": 2, "pages_done": 1}),
        BUSY: ("fax.failed", {"pages": 2, "pages_done": 0}),
    }
    for number, (action, said) in ends.items():
        fax = await office.ended(await office.send(number, document, **once))
        reason = {"reason": fax.reason_code} if fax.reason_code else {}
        (row,) = await log_of(office, fax.id)
        assert outline(row) == (action, "service", "fax", {**said, **reason, "direction": "out"})
        assert number[1:] not in str(row)
    waits = await office.waits(await office.send(BUSY, document))
    assert await log_of(office, waits.id) == []
    await office.cancel(waits.id)
    (row,) = await log_of(office, waits.id)
    assert outline(row)[::3] == ("fax.canceled", {"direction": "out", "reason": "call.canceled"})


async def test_each_fax_of_a_canceled_batch_stands_in_the_log(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    batch = await office.batch([BUSY, WHOLE, BROKEN], document, send_at=datetime.now(UTC) + timedelta(days=9))
    await office.do(cancel_batch, batch)
    rows = [row for row in await log_of(office) if row["action"] == "fax.canceled"]
    members = {str(fax.id) for fax in await office.rows(select(faxes.c.id).where(faxes.c.batch_id == batch))}
    assert len(rows) == 3
    assert {row["object_id"] for row in rows} == members


@pytest.mark.requirement("FP-13")
async def test_a_fax_that_came_in_stands_in_the_log(office: Office) -> None:
    await call_in("+15550199", fax_pages(2), caller="+15550100")
    (fax,) = await office.received()
    (row,) = await log_of(office, fax.id)
    assert outline(row) == ("fax.received", "service", "fax", {"pages": 2, "direction": "in"})
    assert "15550100" not in str(row)


@pytest.mark.requirement("FP-13")
async def test_whoever_opens_their_key_to_have_a_fax_sent_again_stands_in_the_log(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(2)), 2)
    fax = await office.ended(await office.send(WHOLE, document))
    assert not [row for row in await log_of(office) if row["action"] == "key.used"]
    again = await office.do(resend, office.gateway, office.actor, fax.id)
    await office.ended(again.id)
    (used,) = [row for row in await log_of(office) if row["action"] == "key.used"]
    assert outline(used) == ("key.used", f"user:{office.actor.user_id}", "user", {"for": "sending", "objects": 2})
    assert used["source"] == f"api_key:{office.actor.api_key_id}"


@pytest.mark.requirement("FP-13")
async def test_an_api_key_that_opens_its_users_key_stands_in_the_log_once_a_day(office: Office) -> None:
    async def opened() -> list[dict[str, Any]]:
        for _ in range(2):
            async with office.gateway.database.tenant(office.tenant.tenant) as connection:
                await unlock(connection, office.actor)
        return [row for row in await log_of(office) if row["action"] == "key.opened"]

    (row,) = await opened()
    assert (row["object"], row["object_id"]) == ("api_key", str(office.actor.api_key_id))
    assert row["actor"] == f"user:{office.actor.user_id}"
    async with office.gateway.database.dispatcher() as connection:
        await connection.execute(update(key_slots).values(told_at=func.now() - timedelta(hours=23)))
    assert len(await opened()) == 1
    async with office.gateway.database.dispatcher() as connection:
        await connection.execute(update(key_slots).values(told_at=func.now() - timedelta(hours=25)))
    assert len(await opened()) == 2
