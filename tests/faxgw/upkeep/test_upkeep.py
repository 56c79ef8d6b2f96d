"""What is due by the clock, shown with rows and files of yesterday."""

import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Table, func, insert, select, update

from faxgw.archive.folder import FolderStore
from faxgw.archive.sealed import SealedStore
from faxgw.ids import new_id
from faxgw.keys.spool import SpoolKeyGone, SpoolKeys, SpoolWrap
from faxgw.keys.wraps import wrap_context
from faxgw.model import State
from faxgw.store.database import Database
from faxgw.store.tables import (
    api_keys,
    boxes,
    counters,
    deliveries,
    devices,
    documents,
    events,
    faxes,
    idempotency,
    machines,
    objects,
    page_sets,
    pages,
    submissions,
    tenants,
    users,
    webhooks,
    wraps,
)
from faxgw.upkeep import ageing, leftovers, spooling
from faxgw.upkeep.uploads import delete_expired_uploads

NOW = datetime.now(UTC)
YESTERDAY = NOW - timedelta(hours=25)
SPOOL = "spool"


@dataclass
class Place:
    """A tenant with a person and a box, a store and spool keys whose clock a test may set."""

    database: Database
    tenant: UUID
    store: SealedStore
    spool: SpoolKeys
    clock: list[float]
    user: UUID
    box: UUID

    async def add(self, table: Table, **values: Any) -> UUID:
        values = {"id": new_id(), "tenant_id": self.tenant} | values
        values = {name: value for name, value in values.items() if name in table.c}
        async with self.database.dispatcher() as connection:
            await connection.execute(insert(table).values(values))
        found: UUID = values.get("id", self.tenant)
        return found

    async def add_object(self, *, kind: str = "page", object_id: UUID | None = None) -> UUID:
        """Store an object, with a row and with wraps for its owner and for the gateway."""
        stored = await self.store.put(b"sealed", tenant=self.tenant, kind=kind, object_id=object_id)
        await self.add(objects, id=stored.id, kind=kind, size=stored.size, created_at=YESTERDAY)
        context = wrap_context(tenant=self.tenant, object_id=stored.id, kind=SPOOL)
        wrap = self.spool.wrap(stored.dek, context=context)
        await self.add(wraps, object_id=stored.id, kind="owner", key_id="me", blob=b"w")
        await self.add(wraps, object_id=stored.id, kind=SPOOL, key_id=wrap.epoch, blob=wrap.blob)
        return stored.id

    async def add_document(self, *, expires: datetime = YESTERDAY) -> tuple[UUID, UUID]:
        object_id = await self.add_object(kind="document")
        values = {"media_type": "image/tiff", "sha256": b"", "size": 1, "pages": 1, "expires_at": expires}
        return await self.add(documents, user_id=self.user, object_id=object_id, **values), object_id

    async def add_page_set(self, *, expires: datetime = YESTERDAY) -> tuple[UUID, UUID]:
        object_id = await self.add_object()
        page_set = await self.add(page_sets, user_id=self.user, pages=1, expires_at=expires)
        values = {"index": 0, "sha256": b"", "width": "A4", "resolution": "fine", "rows": 1, "octets": 1}
        await self.add(pages, page_set_id=page_set, object_id=object_id, **values)
        return page_set, object_id

    async def add_fax(self, state: State, **values: Any) -> UUID:
        ended = {"finished_at": YESTERDAY} if state.final else {}
        ids = {"user_id": self.user, "box_id": self.box, "direction": "out", "state": state.value}
        return await self.add(faxes, **(ids | ended | values))

    async def count(self, table: Table) -> int:
        async with self.database.dispatcher() as connection:
            return int(await connection.scalar(select(func.count()).select_from(table)) or 0)

    async def stored(self) -> set[UUID]:
        return {each async for each in self.store.objects.list()}


@pytest.fixture
async def place(database: Database, tenant: UUID, tmp_path: Path) -> AsyncGenerator[Place]:
    clock = [NOW.timestamp()]
    folder = FolderStore(tmp_path / "objects")
    spool = SpoolKeys(tmp_path / "spool", now=lambda: clock[0])
    made = Place(database, tenant, SealedStore(folder), spool, clock, new_id(), new_id())
    await made.add(users, id=made.user, email="a@b.c", role="owner", key_id="me", public_key=b"")
    await made.add(boxes, id=made.box, owner_id=made.user, name="box")
    yield made
    await folder.close()


# -------------------------------------------------------------------------------------------------------------- uploads


@pytest.mark.requirement("FP-01")
async def test_an_upload_whose_time_is_up_is_gone_with_its_object_and_every_wrap(place: Place) -> None:
    await place.add_document()
    _, young = await place.add_document(expires=NOW - timedelta(minutes=1))
    assert await delete_expired_uploads(place.database, place.store, now=NOW) == 1
    assert (await place.count(documents), await place.count(objects), await place.count(wraps)) == (1, 1, 2)
    assert await place.stored() == {young}


@pytest.mark.parametrize("state", State)
async def test_a_document_stays_while_a_fax_is_to_be_drawn_from_it(place: Place, state: State) -> None:
    document, _ = await place.add_document()
    await place.add_fax(state, request={"documents": [str(document)]})
    await delete_expired_uploads(place.database, place.store, now=NOW)
    assert await place.count(documents) == (state in {State.ACCEPTED, State.CONVERTING})


@pytest.mark.parametrize("used", [True, False])
async def test_a_page_set_stays_as_long_as_there_is_a_fax_of_it(place: Place, used: bool) -> None:
    page_set, object_id = await place.add_page_set()
    if used:
        await place.add_fax(State.DELIVERED, page_set_id=page_set)
    assert await delete_expired_uploads(place.database, place.store, now=NOW) == (not used)
    assert await place.stored() == ({object_id} if used else set())
    assert await place.count(pages) == await place.count(page_sets) == await place.count(objects) == used


async def test_an_object_that_two_page_sets_have_stays_for_the_other(place: Place) -> None:
    _, object_id = await place.add_page_set()
    kept = await place.add(page_sets, user_id=place.user, pages=1, expires_at=None)
    values = {"index": 0, "sha256": b"", "width": "A4", "resolution": "fine", "rows": 1, "octets": 1}
    await place.add(pages, page_set_id=kept, object_id=object_id, **values)
    assert await delete_expired_uploads(place.database, place.store, now=NOW) == 1
    assert await place.stored() == {object_id}


async def test_more_than_a_batch_is_deleted_in_one_go(place: Place) -> None:
    object_id = await place.add_object(kind="document")
    values = {"media_type": "image/tiff", "sha256": b"", "size": 1, "pages": 1, "expires_at": YESTERDAY}
    common = {"tenant_id": place.tenant, "user_id": place.user, "object_id": object_id}
    async with place.database.dispatcher() as connection:
        await connection.execute(
            insert(page_sets),
            [
                {"id": new_id(), "user_id": place.user, "tenant_id": place.tenant, "expires_at": YESTERDAY}
                for _ in range(450)
            ],
        )
        await connection.execute(insert(documents), [{"id": new_id(), **common, **values}])
    assert await delete_expired_uploads(place.database, place.store, now=NOW) == 451


# --------------------------------------------------------------------------------------------------------------- ageing


async def test_answers_are_given_again_for_a_day(place: Place) -> None:
    key = await place.add(api_keys, user_id=place.user, name="k", scopes=[], mac=b"")
    for name, age in (("young", 23), ("old", 25)):
        values = {"key": name, "request": b"", "status": 202, "body": b""}
        await place.add(idempotency, api_key_id=key, created_at=NOW - timedelta(hours=age), **values)
    assert await ageing.delete_old_answers(place.database, now=NOW) == 1
    async with place.database.dispatcher() as connection:
        assert (await connection.scalars(select(idempotency.c.key))).all() == ["young"]


async def test_what_devices_handed_in_is_known_until_it_expires(place: Place) -> None:
    values = {"user_id": place.user, "box_id": place.box, "name": "copier", "login": "fax-1", "mac": b""}
    device = await place.add(devices, **values)
    for mark, minutes in ((b"young", 1), (b"old", -1)):
        until = NOW + timedelta(minutes=minutes)
        await place.add(submissions, device_id=device, mark=mark, became=new_id(), expires_at=until)
    assert await ageing.delete_old_submissions(place.database, now=NOW) == 1
    async with place.database.dispatcher() as connection:
        assert (await connection.scalars(select(submissions.c.mark))).all() == [b"young"]


async def test_counters_are_kept_for_as_long_as_a_quota_may_look_back(place: Place) -> None:
    for days in (39, 41):
        await place.add(counters, scope="tenant", hour=NOW - timedelta(days=days))
    assert await ageing.delete_old_counters(place.database, now=NOW) == 1
    assert await place.count(counters) == 1


async def test_what_calls_have_shown_is_forgotten_when_it_teaches_nothing_more_and_verdicts_stay(place: Place) -> None:
    never = {"no_v17": {"say": "never"}}
    for days, verdicts in ((89, {}), (91, {}), (91, never)):
        when = NOW - timedelta(days=days)
        station = f"{days} {len(verdicts)}"
        values = {"direction": "in", "station": station, "seen": {"calls": []}, "seen_at": when, "verdicts": verdicts}
        await place.add(machines, **values)
    assert await ageing.forget_machines(place.database, now=NOW) == 2
    assert await ageing.forget_machines(place.database, now=NOW) == 0
    async with place.database.dispatcher() as connection:
        left = await connection.execute(select(machines.c.station, machines.c.seen).order_by(machines.c.created_at))
        assert [tuple(row) for row in left] == [("89 0", {"calls": []}), ("91 1", {})]
    assert await ageing.forget_machines(place.database, now=NOW + timedelta(days=2)) == 1


async def test_calls_are_kept_for_as_long_as_the_tenant_lets_them_teach(place: Place) -> None:
    await place.add(machines, direction="in", number="+15550100", seen_at=NOW - timedelta(days=20))
    for days, forgotten in ((21, 0), (19, 1)):
        policy = {"learning": {"days": days, "forget_days": 1}}
        async with place.database.dispatcher() as connection:
            await connection.execute(update(tenants).where(tenants.c.id == place.tenant).values(policy=policy))
        assert await ageing.forget_machines(place.database, now=NOW) == forgotten


async def test_old_events_go_with_their_deliveries_but_those_of_living_faxes_stay(place: Place) -> None:
    hook = await place.add(
        webhooks, user_id=place.user, url="https://a.example", events=["*"], signature="v1", secret=b""
    )
    living = await place.add_fax(State.WAITING_RETRY)
    ended = await place.add_fax(State.DELIVERED)
    kept = []
    for fax, days, stays in ((living, 100, True), (ended, 100, False), (ended, 80, True), (None, 100, False)):
        event_values = {"tenant_id": place.tenant, "fax_id": fax, "type": "fax.queued"}
        old = insert(events).values(event_values | {"at": NOW - timedelta(days=days)})
        async with place.database.dispatcher() as connection:
            event = await connection.scalar(old.returning(events.c.id))
        await place.add(deliveries, webhook_id=hook, event_id=event)
        kept += [event] if stays else []
    assert await ageing.delete_old_events(place.database, now=NOW, keep=timedelta(days=90)) == 2
    async with place.database.dispatcher() as connection:
        assert (await connection.scalars(select(events.c.id).order_by(events.c.id))).all() == kept
        assert (await connection.scalars(select(deliveries.c.event_id).order_by(deliveries.c.event_id))).all() == kept


# ------------------------------------------------------------------------------------------------------------ leftovers


def id_of_age(age: timedelta) -> UUID:
    at = int((NOW - age).timestamp() * 1000)
    return UUID(int=at << 80 | 0x7 << 76 | 0x2 << 62 | int.from_bytes(os.urandom(7)))


async def test_files_without_a_row_are_deleted_once_they_are_old(place: Place) -> None:
    old, young = id_of_age(timedelta(hours=2)), id_of_age(timedelta(minutes=50))
    _, named = await place.add_document()
    for each in (old, young):
        await place.store.put(b"left", tenant=place.tenant, kind="document", object_id=each)
    assert await leftovers.delete_leftovers(place.database, place.store.objects, now=NOW, settle=0) == 1
    assert await place.stored() == {young, named}


async def test_an_old_file_with_a_row_stays(place: Place) -> None:
    object_id = await place.add_object(kind="document", object_id=id_of_age(timedelta(hours=2)))
    values = {"media_type": "image/tiff", "sha256": b"", "size": 1, "pages": 1}
    await place.add(documents, user_id=place.user, object_id=object_id, **values)
    assert await leftovers.delete_leftovers(place.database, place.store.objects, now=NOW, settle=0) == 0
    assert await place.stored() == {object_id}


async def test_rows_of_objects_that_nothing_uses_go_with_their_files(place: Place) -> None:
    await place.add_object(object_id=id_of_age(timedelta(hours=2)))
    assert await leftovers.delete_leftovers(place.database, place.store.objects, now=NOW, settle=0) == 1
    assert (await place.stored(), await place.count(objects), await place.count(wraps)) == (set(), 0, 0)


# ----------------------------------------------------------------------------------------------------------- spool keys


async def spool_rows(place: Place) -> list[SpoolWrap]:
    async with place.database.dispatcher() as connection:
        rows = (await connection.execute(select(wraps).where(wraps.c.kind == SPOOL))).all()
    return [SpoolWrap(row.key_id, row.blob) for row in rows]


async def test_live_wraps_move_to_the_present_hour_and_the_key_of_the_past_hour_is_destroyed(place: Place) -> None:
    _, object_id = await place.add_page_set()
    (before,) = await spool_rows(place)
    context = wrap_context(tenant=place.tenant, object_id=object_id, kind=SPOOL)
    dek = place.spool.unwrap(before, context=context)
    place.clock[0] += 7200
    assert await spooling.move_on(place.database, place.spool) == [before.epoch]
    (after,) = await spool_rows(place)
    assert after.epoch == place.spool.current() != before.epoch
    assert place.spool.unwrap(after, context=context) == dek
    with pytest.raises(SpoolKeyGone):  # even with the row from a backup
        place.spool.unwrap(before, context=context)


async def test_the_key_of_an_hour_is_kept_until_its_last_transactions_have_ended(place: Place) -> None:
    await place.add_page_set()
    place.clock[0] = (int(NOW.timestamp()) // 3600 + 1) * 3600 + 599
    assert await spooling.move_on(place.database, place.spool) == []
    place.clock[0] += 1
    assert len(await spooling.move_on(place.database, place.spool)) == 1


async def test_a_wrap_that_somebody_holds_or_that_does_not_open_keeps_its_hours_key(place: Place) -> None:
    await place.add_page_set()
    await place.add_page_set()
    (first, _) = await spool_rows(place)
    place.clock[0] += 7200
    async with place.database.dispatcher() as connection:
        await connection.execute(select(wraps.c.object_id).where(wraps.c.blob == first.blob).with_for_update())
        assert await spooling.move_on(place.database, place.spool) == []
    assert sorted(row.epoch for row in await spool_rows(place)) == sorted([first.epoch, place.spool.current()])
    async with place.database.dispatcher() as connection:
        damaged = update(wraps).where(wraps.c.key_id == first.epoch, wraps.c.kind == SPOOL)
        await connection.execute(damaged.values(blob=bytes(60)))
    assert await spooling.move_on(place.database, place.spool) == []
    assert first.epoch in place.spool.epochs()


async def test_fp_01_no_spool_wrap_outlives_the_faxes_of_its_pages(place: Place) -> None:
    page_set, _ = await place.add_page_set()
    await place.add_page_set()  # drawn, and not sent yet
    await place.add_fax(State.DELIVERED, page_set_id=page_set)
    live = await place.add_fax(State.WAITING_RETRY, page_set_id=page_set)
    assert await spooling.delete_left_wraps(place.database, now=NOW) == 0
    async with place.database.dispatcher() as connection:
        ends = {"state": State.FAILED.value, "finished_at": YESTERDAY}
        await connection.execute(update(faxes).where(faxes.c.id == live).values(ends))
    assert await spooling.delete_left_wraps(place.database, now=NOW) == 1
    assert len(await spool_rows(place)) == 1
    assert await place.count(wraps) == 3  # the owners' stay
