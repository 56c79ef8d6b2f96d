"""What is due goes, what is not stays, for twenty years of a clock that the tests turn."""

import asyncio
import os
import signal
import sys
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select, update

from faxgw.boxes.grants import end_expired, grant
from faxgw.config import Config
from faxgw.keys.wraps import KeyPair, Suite
from faxgw.retention.purging import purge
from faxgw.service import open_gateway
from faxgw.store.roles import Urls
from faxgw.store.tables import box_keys, box_wraps, boxes, events, faxes, grants, holds, objects, users, wraps
from faxgw.upkeep.leftovers import delete_leftovers
from faxgw.upkeep.uploads import delete_expired_uploads
from tests.faxgw.databases import add_tenant
from tests.faxgw.retention.place import NOW, Place, make_place

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


async def gone(place: Place, now: datetime) -> int:
    return await purge(place.gateway, now=now)


@pytest.mark.requirement("XM-10")
async def test_a_fax_and_all_of_it_goes_at_its_days_and_not_before(place: Place) -> None:
    await place.set_policy(retention={"days": 30})
    fax = await place.add_whole_fax(created=NOW)
    assert await gone(place, NOW + 30 * DAY - MOMENT) == 0
    assert len(await place.stored()) == 5
    assert await gone(place, NOW + 30 * DAY) == 1
    assert await place.stored() == set()
    assert (await place.row(fax)).shredded_at == NOW + 30 * DAY
    purged = select(events.c.data).where(events.c.type == "retention.purged")
    assert (await place.one(purged))["rule"] == "tenant: 30 days"


@pytest.mark.requirement("FP-07")
async def test_days_are_counted_from_creation_not_from_the_end(place: Place) -> None:
    await place.set_policy(retention={"days": 30})
    await place.add_fax(created=NOW, finished_at=NOW + 20 * DAY)
    assert await gone(place, NOW + 30 * DAY) == 1


@pytest.mark.requirement("XM-11")
async def test_boxes_and_classes_go_at_times_of_their_own(place: Place) -> None:
    await place.set_policy(retention={"days": 100, "classes": {"medical": {"days": 50}}})
    medical = await place.add_box("medical", data_class="medical")
    strict = await place.add_box("strict", data_class="medical", retention_days=10)
    lax = await place.add_box("lax", retention_days=1000)
    rows = {box: await place.add_fax(box_id=box) for box in (place.box, medical, strict, lax)}
    own = await place.add_fax(erase_at=NOW + 5 * DAY)
    seen: dict[int, set[object]] = {}
    for day in (4, 5, 9, 10, 49, 50, 99, 100):
        await gone(place, NOW + day * DAY)
        left = select(faxes.c.id).where(faxes.c.shredded_at.is_not(None))
        async with place.gateway.database.dispatcher() as connection:
            seen[day] = set((await connection.execute(left)).scalars())
    strictest = {own, rows[strict]}
    assert seen == {
        4: set(),
        5: {own},
        9: {own},
        10: strictest,
        49: strictest,
        50: strictest | {rows[medical]},
        99: strictest | {rows[medical]},
        100: {own, *rows.values()},
    }


async def test_a_fax_that_has_not_ended_is_not_purged(place: Place) -> None:
    await place.set_policy(retention={"days": 1})
    await place.add_fax(state="queued")
    assert await gone(place, NOW + 9 * DAY) == 0


async def test_the_rules_of_one_tenant_are_not_those_of_another(place: Place) -> None:
    other = await make_place(place.gateway, await add_tenant(place.gateway.database, "other"))
    await other.set_policy(retention={"days": 1, "record": "none"})
    mine, theirs = await place.add_whole_fax(), await other.add_whole_fax()
    assert await gone(place, NOW + 9 * DAY) == 1
    assert (await place.row(mine)).shredded_at is None
    assert await place.row(theirs) is None


@pytest.mark.requirement("FP-05")
@pytest.mark.requirement("XM-10")
@pytest.mark.requirement("XM-11")
@pytest.mark.requirement("XM-03")
async def test_twenty_years_of_retention_holds_grants_and_uploads(place: Place) -> None:
    """A year is a turn: each brings a fax into a box that keeps all, and one into a box that keeps seven years.

    Each brings another box, too, which a friend may read for three years.
    """
    friend = KeyPair.generate(Suite.X25519)
    public = {"key_id": friend.public.key_id, "public_key": friend.public.octets}
    reader = await place.add(users, email="friend@b.c", role="member", **public)
    lent: list[tuple[datetime, UUID]] = []
    seven = await place.add_box("seven years", retention_days=7 * 365)
    made: list[tuple[datetime, object, object]] = []
    hold = None
    for year in range(21):
        now = NOW + year * 365 * DAY
        kept = await place.add_fax(created=now)
        page_set = await place.add_page_set()
        limited = await place.add_fax(created=now, box_id=seven, to_number=f"+155501{year:02}", page_set_id=page_set)
        made.append((now, kept, limited))
        if year == 5:
            hold = await place.add_hold(numbers=["+15550103"])
        if year == 15:
            async with place.gateway.database.dispatcher() as connection:
                await connection.execute(update(holds).where(holds.c.id == hold).values(released_at=now))
        lent.append((now, await _lend(place, reader, f"box {year}", until=now + 3 * 365 * DAY)))
        await gone(place, now)
        assert await end_expired(place.gateway, now=now) == (year >= 3)
        await delete_expired_uploads(place.gateway.database, place.gateway.objects, now=now)
        async with place.gateway.database.dispatcher() as connection:
            there = select(faxes.c.id).where(faxes.c.shredded_at.is_(None))
            whole = set((await connection.execute(there)).scalars())
        expected = {kept for _, kept, _ in made}
        expected |= {limited for at, _, limited in made if at > now - 7 * 365 * DAY}
        if 5 <= year < 15:
            expected.add(made[3][2])
        assert whole == expected, year
        assert await _opened_by(place, reader) == {box for at, box in lent if at > now - 3 * 365 * DAY}, year
    assert await place.count(objects) == 7


async def _lend(place: Place, reader: UUID, name: str, *, until: datetime) -> UUID:
    """Make a box and let somebody read it until then; return its id."""
    box_id = await place.add_box(name)
    async with place.gateway.database.tenant(place.tenant) as connection:
        box = (await connection.execute(select(boxes).where(boxes.c.id == box_id))).mappings().one()
        await grant(
            connection, box=box, user_id=reader, rights=["read"], expires_at=until, by=place.user, key=place.key
        )
    return box_id


async def _opened_by(place: Place, reader: UUID) -> set[UUID]:
    """Return the boxes of which somebody has a grant and the key, both or neither."""
    keys = select(box_keys.c.box_id).join(box_wraps, box_wraps.c.key_id == box_keys.c.key_id)
    async with place.gateway.database.dispatcher() as connection:
        opened = set((await connection.execute(keys.where(box_wraps.c.user_id == reader))).scalars())
        granted = set((await connection.execute(select(grants.c.box_id).where(grants.c.user_id == reader))).scalars())
    assert opened == granted
    return opened


@pytest.mark.requirement("FP-05")
async def test_without_a_rule_twenty_years_purge_nothing(place: Place) -> None:
    fax = await place.add_whole_fax()
    for year in range(1, 21):
        assert await gone(place, NOW + year * 365 * DAY) == 0
    assert (await place.row(fax)).shredded_at is None
    assert len(await place.stored()) == 5


async def test_what_somebody_works_on_waits_and_holds_nobody_up(place: Place) -> None:
    await place.set_policy(retention={"days": 1})
    first, second = await place.add_fax(), await place.add_fax()
    async with place.gateway.database.tenant(place.tenant) as connection:
        await connection.execute(select(faxes.c.id).where(faxes.c.id == first).with_for_update())
        async with asyncio.timeout(5):
            assert await gone(place, NOW + 2 * DAY) == 1
    assert (await place.row(second)).shredded_at is not None
    assert await gone(place, NOW + 2 * DAY) == 1


async def test_a_purge_that_was_killed_is_finished_by_the_next(place: Place, tmp_path: Path) -> None:
    await place.set_policy(retention={"days": 1})
    for _ in range(6):
        page_set = await place.add_page_set(1)
        for _ in range(60):
            await place.add_fax(page_set_id=page_set)
    await place.add_whole_fax()
    urls = place.gateway.database.urls
    child = await asyncio.create_subprocess_exec(
        sys.executable, __file__, urls.owner, urls.app, urls.dispatcher, str(tmp_path / "data")
    )
    shredded = select(faxes.c.id).where(faxes.c.shredded_at.is_not(None)).limit(1)
    async with asyncio.timeout(20):
        while True:
            async with place.gateway.database.dispatcher() as connection:
                if (await connection.execute(shredded)).first():
                    break
            await asyncio.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    await child.wait()
    await gone(place, NOW + 2 * DAY)
    for table in (wraps, objects):
        assert await place.count(table) == 0
    assert await place.count(faxes, faxes.c.shredded_at.is_(None)) == 0
    later = NOW.now(NOW.tzinfo) + timedelta(hours=2)
    await delete_leftovers(place.gateway.database, place.gateway.objects.objects, now=later, settle=0)
    assert await place.stored() == set()


async def _purge_in_a_process_of_its_own(owner: str, app: str, dispatcher: str, folder: str) -> None:
    async with open_gateway(Config(data_dir=Path(folder), lines=()), Urls(owner, app, dispatcher)) as gateway:
        await purge(gateway, now=NOW + 2 * DAY)


if __name__ == "__main__":
    asyncio.run(_purge_in_a_process_of_its_own(*sys.argv[1:]))
