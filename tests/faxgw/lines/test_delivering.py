"""Calls that come into a box which delivers: their pages are the gateway's to open until the last parcel has ended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select, update

from faxgw.delivery import carriers
from faxgw.delivery.carrier import NotProtected, Refused, Unreachable
from faxgw.delivery.courier import Courier
from faxgw.delivery.waits import Waits
from faxgw.ids import new_id
from faxgw.lines.received import end_incoming
from faxgw.retention import returning
from faxgw.retention.jobs import end_unstored
from faxgw.retention.shredding import Why, shred
from faxgw.sandbox import call_in
from faxgw.store.tables import attempts, boxes, copies, events, faxes, forwarding_rules, holds, parcels, targets
from faxgw.upkeep import spooling
from tests.faxgw.delivery.shelf import PATH, PLACES, add_rule, add_target, parcels_of
from tests.faxgw.lines.conftest import Office, seen
from tests.faxgw.lines.pages import fax_pages

OWN = "+15550199"
SOON = Waits(usual=(0.01,) * 3, back=(0.01,) * 3, held=(0.01,) * 3)
AWAY = Unreachable("delivery.unreachable", "nobody answers")


@pytest.fixture(autouse=True)
def shelves(monkeypatch: pytest.MonkeyPatch) -> None:
    PLACES.clear()
    monkeypatch.setattr(carriers, "CARRIERS", {"local": PATH, "mail": PATH})


@asynccontextmanager
async def carrying(office: Office, waits: Waits = SOON) -> AsyncIterator[None]:
    """Have a courier at work meanwhile."""
    running = asyncio.create_task(Courier(office.gateway, waits=waits, tick=0.02).run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def there(office: Office, *states: str) -> list[Any]:
    """Return the parcels once they are in these states."""

    async def look() -> Any:
        every = await parcels_of(office.gateway, office.tenant.tenant)
        found = [row for row in every if row.kind in ("fax", "delete")]
        return [row.state for row in found] == list(states) and found

    return list(await seen(look))


async def rule_to(office: Office, name: str, box: UUID | None = None, prefix: str = "") -> UUID:
    target = await add_target(office.gateway, office.tenant.tenant, name)
    await add_rule(office.gateway, office.tenant.tenant, box or office.tenant.box, target, prefix)
    return target


async def call(caller: str = "+15550100") -> None:
    assert (await call_in(OWN, fax_pages(2), caller=caller)).verdict == "delivered"


@pytest.mark.requirement("XM-12")
async def test_a_received_fax_is_delivered_and_then_the_gateway_cannot_open_it_any_more(office: Office) -> None:
    target = await rule_to(office, "files", prefix="+1555")
    await call()
    (fax,) = await office.received()
    assert await office.spooled(fax.id) == {"page"}
    await spooling.delete_left_wraps(office.gateway.database, now=fax.finished_at + spooling.GRACE * 2)
    assert await office.spooled(fax.id) == {"page"}
    async with carrying(office):
        (parcel,) = await there(office, "delivered")
    assert await office.spooled(fax.id) == set()
    pdf, sidecar = PLACES["files"].files
    assert PLACES["files"].files[pdf].startswith(b"%PDF") and sidecar.endswith(".json")
    (copy,) = await office.rows(select(copies))
    assert (copy.fax_id, copy.kind, copy.deletable, copy.target_id) == (fax.id, "folder", True, target)
    assert (copy.path, copy.location) == (f"{pdf} {sidecar}", f"shelf:files/{pdf}")
    assert copy.sha256 == parcel.sha256 == sha256(PLACES["files"].files[pdf]).digest()
    (told,) = await office.rows(select(events).where(events.c.type == "delivery.delivered"))
    assert (told.fax_id, told.data["parcel"], told.data["target"]) == (fax.id, str(parcel.id), str(target))


async def test_what_comes_from_others_is_not_delivered_and_has_no_wrap_of_the_gateway(office: Office) -> None:
    await rule_to(office, "files", prefix="+44")
    await call()
    (fax,) = await office.received()
    assert await office.spooled(fax.id) == set() and await parcels_of(office.gateway, office.tenant.tenant) == []


@pytest.mark.requirement("XM-06")
async def test_while_the_policy_lets_nobody_forward_nothing_is_delivered(office: Office) -> None:
    await rule_to(office, "files")
    await office.change_policy(allow_forwarding=False)
    await call()
    (fax,) = await office.received()
    assert await office.spooled(fax.id) == set() and await parcels_of(office.gateway, office.tenant.tenant) == []
    await office.change_policy(allow_forwarding=True)
    await call()
    await office.received(2)
    await office.change_policy(allow_forwarding=False)
    async with carrying(office):
        (parcel,) = await there(office, "failed")
    assert (parcel.code, PLACES["files"].tries) == ("policy.denied", 0)


async def test_a_copy_in_another_box_is_delivered_by_the_rules_of_that_box(office: Office) -> None:
    own, other = {"tenant_id": office.tenant.tenant}, new_id()
    async with office.gateway.database.dispatcher() as connection:
        await connection.execute(insert(boxes).values(id=other, owner_id=office.tenant.user, name="theirs", **own))
        rule = {"id": new_id(), "box_id": office.tenant.box, "to_box_id": other}
        await connection.execute(insert(forwarding_rules).values(**rule, **own))
    await rule_to(office, "theirs", box=other)
    await call()
    first, copy = await office.received(2)
    async with carrying(office):
        (parcel,) = await there(office, "delivered")
    assert (parcel.fax_id, copy.forwarded_from) == (copy.id, first.id)
    assert await office.spooled(first.id) == set()


async def test_a_target_that_is_away_is_tried_again_while_another_has_the_fax_at_once(office: Office) -> None:
    """One bad host never hides a received fax, nor holds up other targets."""
    await rule_to(office, "bad")
    await rule_to(office, "good")
    PLACES["bad"].faults = [AWAY] * 100
    await call()
    async with carrying(office, Waits(usual=(600,))):
        await there(office, "waiting", "delivered")
        (fax,) = await office.received()
        assert fax.state == "received" and await office.spooled(fax.id) == {"page"}
        waiting = (await parcels_of(office.gateway, office.tenant.tenant))[0]
        assert (waiting.tries, waiting.code, waiting.error) == (1, AWAY.code, str(AWAY))
        PLACES["bad"].faults.clear()
        async with office.gateway.database.dispatcher() as connection:
            await connection.execute(update(parcels).where(parcels.c.id == waiting.id).values(next_at=func.now()))
        await there(office, "delivered", "delivered")
    assert PLACES["bad"].files.keys() == PLACES["good"].files.keys()
    assert await office.spooled(fax.id) == set()


async def test_after_the_last_try_and_when_it_is_refused_a_parcel_has_failed_and_people_are_told(
    office: Office,
) -> None:
    await rule_to(office, "away")
    await rule_to(office, "strict")
    PLACES["away"].faults = [AWAY] * 100
    PLACES["strict"].faults = [Refused("delivery.refused", "no room for that")]
    await call()
    (fax,) = await office.received()
    async with carrying(office):
        first, second = await there(office, "failed", "failed")
    assert [(each.tries, each.code) for each in (first, second)] == [(4, AWAY.code), (1, "delivery.refused")]
    assert await office.spooled(fax.id) == set()
    told = await office.rows(select(events.c.data).where(events.c.type == "delivery.failed"))
    assert [row.data["kind"] for row in told].count("fax") == 2
    kinds = [row.kind for row in await parcels_of(office.gateway, office.tenant.tenant)]
    assert kinds.count("failure") == 2


@pytest.mark.requirement("XM-17")
async def test_what_cannot_be_protected_is_held_and_the_admins_are_told_once(office: Office) -> None:
    target = await rule_to(office, "mail")
    PLACES["mail"].faults = [NotProtected("mail.no_tls", "no STARTTLS at mx.example")] * 2
    await call()
    async with carrying(office, Waits(held=(600,))):
        await there(office, "held_no_tls")
    async with office.gateway.database.dispatcher() as connection:
        await connection.execute(update(parcels).values(next_at=func.now()).where(parcels.c.kind == "fax"))
    async with carrying(office, Waits(held=(0.01, 0.01))):
        await there(office, "delivered")
    found = await parcels_of(office.gateway, office.tenant.tenant)
    (notice,) = [row for row in found if row.kind == "held"]
    assert notice.key.startswith(str(target)) and notice.data["code"] == "mail.no_tls"
    types = [row.type for row in await office.rows(select(events.c.type))]
    assert types.count("delivery.held") == 1


@pytest.mark.requirement("FP-06")
async def test_where_nothing_is_stored_a_fax_is_delivered_and_then_shredded(office: Office) -> None:
    await office.change_policy(storage="none")
    await rule_to(office, "files")
    await call()
    (fax,) = await office.received()
    async with carrying(office):
        await there(office, "delivered")
    await end_unstored(office.gateway, fax.id, now=datetime.now(UTC))  # long before it would have been collected
    gone = await office.fax(fax.id)
    assert gone.shredded_at is not None and len(PLACES["files"].files) == 2
    assert await office.spooled(fax.id) == set()


@pytest.mark.requirement("FP-06")
async def test_where_nothing_is_stored_what_could_not_be_delivered_ends_when_it_is_shredded(office: Office) -> None:
    await office.change_policy(storage="none")
    await rule_to(office, "files")
    await call()
    (fax,) = await office.received()
    await end_unstored(office.gateway, fax.id, now=fax.finished_at)
    assert (await office.fax(fax.id)).shredded_at is None
    await end_unstored(office.gateway, fax.id, now=fax.erase_at)
    assert (await office.fax(fax.id)).shredded_at is not None
    (parcel,) = await there(office, "failed")
    assert parcel.code == "content.gone"


async def test_what_breaks_off_in_a_carrier_is_tried_again_and_has_an_end(office: Office) -> None:
    await rule_to(office, "files")
    PLACES["files"].faults = [KeyError("a fault of ours")]
    await call()
    async with carrying(office):
        (parcel,) = await there(office, "delivered")
    assert (parcel.tries, PLACES["files"].tries) == (2, 2)


@pytest.mark.requirement("XM-12")
async def test_the_copies_of_a_fax_that_was_erased_are_deleted_where_they_lie(office: Office) -> None:
    target = await rule_to(office, "files")
    await call()
    (fax,) = await office.received()
    async with carrying(office):
        await there(office, "delivered")
        async with office.gateway.database.dispatcher() as connection:
            gone = await shred(
                connection,
                office.gateway,
                [fax.id],
                why=Why("erasure", record="none"),
                by="service",
                now=fax.finished_at,
            )
            await connection.execute(update(targets).where(targets.c.id == target).values(retired_at=func.now()))
        (parcel,) = await there(office, "delivered")
        assert parcel.kind == "delete" and parcel.data == {}
    assert PLACES["files"].files == {}
    for copy in await office.rows(select(copies)):
        assert copy.deleted_at is not None and copy.location == f"erased:{copy.id}" and copy.path == ""
    said = gone.certificates[0].said
    assert (said["copies_being_deleted"], said["copies_outside_control"]) == (1, 0)
    assert await office.rows(select(faxes.c.id)) == []


@pytest.mark.requirement("XM-12", "XM-13")
async def test_a_copy_is_deleted_when_its_declared_time_is_up_but_not_while_its_fax_is_held(office: Office) -> None:
    await office.change_policy(retention={"declared": {"folder": 3}})
    await rule_to(office, "files")
    await call()
    (fax,) = await office.received()
    row = {"id": new_id(), "tenant_id": office.tenant.tenant, "name": "a case", "by_fax": False}
    async with carrying(office):
        await there(office, "delivered")
        copy = (await office.rows(select(copies)))[0]
        assert copy.expires_at == copy.created_at + timedelta(days=3)
        async with office.gateway.database.dispatcher() as connection:
            await connection.execute(insert(holds).values(**row, user_id=office.tenant.user))
            assert await returning.take_back_expired(connection, now=copy.expires_at) == 0
            await connection.execute(update(holds).values(released_at=func.now()))
            assert await returning.take_back_expired(connection, now=copy.expires_at - timedelta(seconds=1)) == 0
            assert await returning.take_back_expired(connection, now=copy.expires_at) == 1
            assert await returning.take_back_expired(connection, now=copy.expires_at) == 0
        await there(office, "delivered", "delivered")
    assert PLACES["files"].files == {} and (await office.fax(fax.id)).shredded_at is None
    assert all(each.deleted_at for each in await office.rows(select(copies)))


@pytest.mark.requirement("XM-12")
async def test_a_mailbox_that_has_a_copy_is_told_when_its_fax_is_deleted(office: Office) -> None:
    target = await add_target(office.gateway, office.tenant.tenant, "desk", "mail", address="desk@clinic.example")
    await add_rule(office.gateway, office.tenant.tenant, office.tenant.box, target)
    await call()
    (fax,) = await office.received()
    async with carrying(office):
        await there(office, "delivered")
    async with office.gateway.database.dispatcher() as connection:
        await connection.execute(update(copies).values(deletable=False, path=""))
        why = Why("erasure", record="none")
        gone = await shred(connection, office.gateway, [fax.id], why=why, by="service", now=fax.finished_at)
    (notice,) = [each for each in await parcels_of(office.gateway, office.tenant.tenant) if each.kind == "recall"]
    assert (notice.recipient, notice.data["fax"]) == ("desk@clinic.example", str(fax.id))
    assert "5550100" not in str(notice.data)
    said = gone.certificates[0].said
    assert (said["copies_being_deleted"], said["copies_outside_control"]) == (0, 1)


async def test_a_copy_that_somebody_has_taken_is_out_of_reach_and_not_called_deleted(office: Office) -> None:
    await rule_to(office, "files")
    await call()
    (fax,) = await office.received()
    async with carrying(office):
        await there(office, "delivered")
        PLACES["files"].files.clear()
        async with office.gateway.database.dispatcher() as connection:
            await returning.take_back(connection, office.tenant.tenant, [fax.id], now=fax.finished_at)
        await there(office, "delivered", "delivered")
    for copy in await office.rows(select(copies)):
        assert (copy.deleted_at, copy.deletable) == (None, False)


async def test_a_call_whose_node_died_is_delivered_by_whoever_ends_it(office: Office) -> None:
    await rule_to(office, "files")
    await call()
    (fax,) = await office.received()
    async with office.gateway.database.dispatcher() as connection:
        await connection.execute(parcels.delete())
        await connection.execute(update(faxes).values(state="receiving", finished_at=None))
        (attempt,) = await office.calls(fax.id)
        await connection.execute(update(attempts).where(attempts.c.id == attempt.id).values(state="live"))
        await end_incoming(connection, attempt.id, whole=False, cause="call.interrupted", cause_text="")
    (parcel,) = await parcels_of(office.gateway, office.tenant.tenant)
    assert parcel.fax_id == fax.id and (await office.fax(fax.id)).state == "partially_received"
