"""What comes after a delivery: erasures wait for copies, old parcels go, records of processing name recipients."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update

from faxgw.delivery import carriers, setting_up
from faxgw.delivery.carrier import Refused, Unreachable
from faxgw.delivery.courier import Courier
from faxgw.gateway import Gateway
from faxgw.retention.erasing import erase
from faxgw.retention.preview import processing_records
from faxgw.store.tables import copies, parcels, targets
from faxgw.upkeep.timetable import delete_events
from tests.faxgw.api.conftest import Connect, app, connect, gateway, owner, settings
from tests.faxgw.api.people import Person
from tests.faxgw.boxes.house import received
from tests.faxgw.delivery.shelf import PATH, PLACES, add_rule, add_target, parcels_of

__all__ = ["app", "connect", "gateway", "owner", "settings"]

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def shelves(monkeypatch: pytest.MonkeyPatch) -> None:
    PLACES.clear()
    monkeypatch.setattr(carriers, "CARRIERS", dict.fromkeys(carriers.CARRIERS, PATH))


async def carry(gateway: Gateway, lane: UUID) -> None:
    assert await Courier(gateway)._carry(lane, lambda: None) is not None


async def delivered(gateway: Gateway, owner: Person, connect: Connect) -> tuple[UUID, UUID]:
    """Deliver a fax by hand; return its id and the target's."""
    target = await add_target(gateway, owner.tenant_id, "files")
    fax = await received(gateway, owner)
    assert (await connect(owner).post(f"/v1/faxes/{fax}:deliver", json={"target": str(target)})).status_code == 202
    await carry(gateway, target)
    return fax, target


@pytest.mark.requirement("XM-12")
@pytest.mark.parametrize(("reached", "counted"), [(True, (1, 0, 0)), (False, (0, 0, 1))])
async def test_an_erasure_waits_until_copies_are_deleted_or_known_to_be_out_of_reach(
    gateway: Gateway, owner: Person, connect: Connect, reached: bool, counted: tuple[int, int, int]
) -> None:
    fax, target = await delivered(gateway, owner, connect)
    client = connect(owner)
    url = (await client.post("/v1/erasures", json={"faxes": [str(fax)]})).headers["location"]
    erasure = UUID(url.rpartition("/")[2])
    assert await erase(gateway, erasure, now=NOW) == "waiting"
    said = (await client.get(url)).json()
    assert (said["report"]["copies_being_deleted"], said["outside_control"]) == (1, [])
    if not reached:
        PLACES["files"].faults = [Unreachable("delivery.unreachable", "away"), Refused("delivery.moved", "elsewhere")]
        await carry(gateway, target)
        assert await erase(gateway, erasure, now=NOW) == "waiting"
        async with gateway.database.dispatcher() as connection:
            await connection.execute(update(parcels).values(next_at=func.now()))
    await carry(gateway, target)
    async with gateway.database.dispatcher() as connection:
        jobs = text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'retention:erase'")
        assert (await connection.execute(jobs)).scalar_one() == 2, "it goes on by itself"
    assert await erase(gateway, erasure, now=NOW) == "done"
    said = (await client.get(url)).json()
    names = ("copies_deleted", "copies_being_deleted", "copies_outside_control")
    assert tuple(said["report"][name] for name in names) == counted
    assert len(said["outside_control"]) == counted[2] and bool(PLACES["files"].files) == (not reached)


async def test_parcels_go_with_the_age_of_events_and_a_deleted_target_when_nothing_needs_it(
    gateway: Gateway, owner: Person, connect: Connect
) -> None:
    _, target = await delivered(gateway, owner, connect)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await setting_up.retire(connection, target)
    keep = timedelta(days=gateway.config.storage.keep_events_days)
    ended = (await parcels_of(gateway, owner.tenant_id))[0].ended_at
    await delete_events(gateway, ended + keep)
    assert len(await parcels_of(gateway, owner.tenant_id)) == 1
    await delete_events(gateway, ended + keep + timedelta(seconds=1))
    assert await parcels_of(gateway, owner.tenant_id) == []
    async with gateway.database.dispatcher() as connection:
        assert (await connection.execute(select(targets.c.id))).scalars().all() == [target], "its copy is still there"
        await connection.execute(update(copies).values(deleted_at=func.now()))
    await delete_events(gateway, ended + keep)
    async with gateway.database.dispatcher() as connection:
        assert (await connection.execute(select(targets.c.id))).all() == []


@pytest.mark.requirement("XM-01")
async def test_records_of_processing_name_whom_a_box_delivers_to(gateway: Gateway, owner: Person) -> None:
    target = await add_target(gateway, owner.tenant_id, "Desk", "mail", address="desk@clinic.example")
    for prefix in ("", "+49"):
        await add_rule(gateway, owner.tenant_id, owner.box_id, target, prefix)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        records = await processing_records(connection, owner.tenant_id, now=NOW)
    (box,) = [each for each in records["items"] if each["box"] == owner.box_id]
    assert box["recipients"] == ["mail: Desk (desk@clinic.example)"]
