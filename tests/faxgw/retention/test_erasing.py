"""All that is about a subject goes, but for what is held; and what is out of reach is named."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text, update

from faxgw import audit, copies
from faxgw.actor import Actor
from faxgw.audit.sequencing import sequence
from faxgw.retention.certificates import is_genuine, of_row, shape
from faxgw.retention.erasing import LEFT_ALONE, Subject, begin, erase, go_on
from faxgw.store.tables import (
    certificates,
    destinations,
    erasures,
    events,
    faxes,
    holds,
    machines,
    number_rules,
    objects,
)
from faxgw.store.tables import copies as ledger
from tests.faxgw.retention.place import NOW, Place

NUMBER = "+15550100"


async def begun(place: Place, subject: Subject) -> UUID:
    actor = Actor(place.tenant, "tenant", place.user, "owner", None, frozenset())
    async with place.gateway.database.tenant(place.tenant) as connection:
        row = await begin(connection, place.gateway, actor, subject, reason="asked for it")
    found: UUID = row["id"]
    return found


async def report(place: Place, erasure: UUID) -> Any:
    async with place.gateway.database.dispatcher() as connection:
        return (await connection.execute(select(erasures).where(erasures.c.id == erasure))).one()


async def test_everything_about_a_number_goes_and_nothing_else(place: Place) -> None:
    to, from_it = (
        await place.add_whole_fax(to_number=NUMBER),
        await place.add_whole_fax(to_number="+15550101", from_number=NUMBER, direction="in", state="received"),
    )
    other = await place.add_whole_fax(to_number="+15550101")
    for number in (NUMBER, "+15550101"):
        await place.add(destinations, number=number)
        await place.add(machines, direction="in", number=number)
    await place.add(machines, direction="out", number=NUMBER)
    await place.add(number_rules, direction="out", action="deny", pattern=NUMBER)
    async with place.gateway.database.tenant(place.tenant) as connection:
        await copies.note(connection, fax_id=to, kind="download", to="user:1", now=NOW)
        await copies.note(connection, fax_id=other, kind="forward", to=NUMBER, now=NOW)
    erasure = await begun(place, Subject(number=NUMBER))
    assert await erase(place.gateway, erasure, now=NOW) == "done"
    assert (await place.row(to), await place.row(from_it)) == (None, None)
    assert (await place.row(other)).shredded_at is None
    assert await place.count(objects) == len(await place.stored()) == 5
    assert await place.one(select(destinations.c.number)) == "+15550101"
    assert await place.one(select(machines.c.number)) == "+15550101"
    row = await report(place, erasure)
    assert row.report == {
        "faxes": 2,
        "held": 0,
        "running": 0,
        "destinations": 3,
        "rules": 1,
        "copies_deleted": 0,
        "copies_being_deleted": 0,
        "copies_outside_control": 1,
    }
    assert (row.subject, row.reason, row.finished_at) == (None, "", NOW)
    async with place.gateway.database.dispatcher() as connection:
        for table in (erasures, certificates, events, ledger, faxes, destinations, machines):
            rows = (await connection.execute(select(table))).all()
            assert NUMBER not in str([tuple(row) for row in rows]), table


async def test_a_station_is_erased_by_what_it_calls_itself(place: Place) -> None:
    fax = await place.add_whole_fax(remote_id="STATION 1")
    other = await place.add_whole_fax(remote_id="STATION 2")
    await place.add(destinations, number="+15550101", station_ids=["STATION 1", "STATION 2"])
    for station in ("STATION 1", "STATION 2"):
        await place.add(machines, direction="in", station=station)
    await erase(place.gateway, await begun(place, Subject(station_id="STATION 1")), now=NOW)
    assert await place.one(select(machines.c.station)) == "STATION 2"
    assert await place.row(fax) is None
    assert await place.row(other) is not None
    assert await place.one(select(destinations.c.station_ids)) == ["STATION 2"]


async def test_single_faxes_are_erased(place: Place) -> None:
    fax, other = await place.add_whole_fax(), await place.add_whole_fax()
    await erase(place.gateway, await begun(place, Subject(faxes=(fax,))), now=NOW)
    assert await place.row(fax) is None
    assert await place.row(other) is not None


async def test_a_subject_without_any_mark_is_nobody(place: Place) -> None:
    fax = await place.add_whole_fax(remote_id="", from_number="")
    assert await erase(place.gateway, await begun(place, Subject()), now=NOW) == "done"
    assert await place.row(fax) is not None


async def test_what_is_held_or_runs_waits_and_goes_later(place: Place) -> None:
    held = await place.add_whole_fax(box_id=await place.add_box("held"))
    free = await place.add_whole_fax()
    runs = await place.add_whole_fax(state="sending", finished_at=None)
    hold = await place.add_hold(boxes=[(await place.row(held)).box_id])
    erasure = await begun(place, Subject(number=NUMBER))
    assert await erase(place.gateway, erasure, now=NOW) == "waiting"
    assert await place.row(free) is None
    row = await report(place, erasure)
    assert (row.report["faxes"], row.report["held"], row.report["running"]) == (1, 1, 1)
    assert row.subject["number"] == NUMBER
    async with place.gateway.database.dispatcher() as connection:
        await connection.execute(update(holds).where(holds.c.id == hold).values(released_at=NOW))
        await connection.execute(update(faxes).where(faxes.c.id == runs).values(state="failed", finished_at=NOW))
    await go_on(place.gateway, now=NOW)
    row = await report(place, erasure)
    assert (row.state, row.report["faxes"], row.subject) == ("done", 3, None)


async def test_an_erasure_that_lost_its_worker_is_taken_up_and_one_that_runs_is_left_alone(place: Place) -> None:
    erasure = await begun(place, Subject(number=NUMBER))
    made = (await report(place, erasure)).created_at
    await go_on(place.gateway, now=made + LEFT_ALONE / 2)
    assert (await report(place, erasure)).state == "running"
    await go_on(place.gateway, now=made + 2 * LEFT_ALONE)
    assert (await report(place, erasure)).state == "done"


async def test_an_erasure_ends_with_a_signed_certificate(place: Place) -> None:
    await place.add_whole_fax()
    erasure = await begun(place, Subject(number=NUMBER))
    for _ in range(2):  # the second time it does nothing
        await erase(place.gateway, erasure, now=NOW)
    own = select(certificates).where(certificates.c.erasure_id == erasure).order_by(certificates.c.id)
    async with place.gateway.database.dispatcher() as connection:
        rows = (await connection.execute(own)).mappings().all()
    key = place.gateway.server_keys.signing.public_key()
    assert [is_genuine(shape(of_row(row)), key) for row in rows] == [True, True]
    assert [row["said"]["fax"] is None for row in rows] == [False, True]
    assert rows[1]["said"]["faxes"] == 1


async def test_the_audit_log_cannot_be_tied_to_the_number_any_more(place: Place) -> None:
    keys = place.gateway.server_keys
    name = audit.pseudonym(keys, tenant_id=place.tenant, subject=NUMBER)
    async with place.gateway.database.tenant(place.tenant) as connection:
        await audit.record(connection, tenant_id=place.tenant, actor="service", action="fax.sent", data={"to": name})
    await erase(place.gateway, await begun(place, Subject(number=NUMBER)), now=NOW)
    await sequence(place.gateway.database, keys, now=NOW)
    async with place.gateway.database.tenant(place.tenant) as connection:
        assert await audit.known_as(connection, keys, tenant_id=place.tenant, subject=NUMBER) is None


async def test_the_job_of_an_erasure_names_nobody(place: Place) -> None:
    erasure = await begun(place, Subject(number=NUMBER))
    async with place.gateway.database.dispatcher() as connection:
        jobs = (await connection.execute(text("SELECT task_name, args FROM procrastinate_jobs"))).all()
    assert [tuple(job) for job in jobs] == [("retention:erase", {"erasure_id": str(erasure)})]


@pytest.mark.requirement("XM-12")
async def test_copies_that_nobody_can_take_back_are_counted(place: Place) -> None:
    fax = await place.add_whole_fax()
    async with place.gateway.database.tenant(place.tenant) as connection:
        for user in ("user:1", "user:2"):
            await copies.note(connection, fax_id=fax, kind="download", to=user, now=NOW)
        await copies.note(connection, fax_id=fax, kind="export", to="user:1", expires_at=NOW, now=NOW)
    erasure = await begun(place, Subject(faxes=(fax,)))
    await erase(place.gateway, erasure, now=NOW)
    assert (await report(place, erasure)).report["copies_outside_control"] == 2
