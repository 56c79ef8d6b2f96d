"""Who was erased stays erased, though an older backup is restored; who came again afterwards is not lost."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pyrage
import pytest
import pytest_asyncio
from sqlalchemy import select

from faxgw import audit, copies
from faxgw.actor import Actor
from faxgw.audit.checkpoints import signed
from faxgw.audit.sequencing import sequence
from faxgw.backup.creating import create
from faxgw.backup.restoring import Source, restore, restore_files, verify
from faxgw.backup.tombstones import FAX, Tombstone, write_down
from faxgw.backup.tombstones import signed as signed_stones
from faxgw.config import Config
from faxgw.retention.erasing import Subject, begin, erase
from faxgw.service import open_gateway
from faxgw.store.database import Database
from faxgw.store.tables import audit_rows, destinations, faxes, machines, parcels, targets, tombstones
from faxgw.store.tables import copies as ledger
from tests.faxgw.databases import DatabaseServer, add_tenant
from tests.faxgw.retention.place import NOW, Place, make_place

pytestmark = pytest.mark.requirement("XM-20", "FP-13")

ERASED, UNNUMBERED, STATION, OTHER = "+15550100", "+15550101", "STATION 1", "+15550102"


@dataclass
class Copied:
    """A gateway, its backups, and the place in which they are restored."""

    place: Place
    server: DatabaseServer
    folder: Path
    identity: Any = field(default_factory=pyrage.x25519.Identity.generate)

    async def note(self, *subjects: str) -> None:
        """Write a row about each into the audit log."""
        gateway = self.place.gateway
        async with gateway.database.tenant(self.place.tenant) as connection:
            for each in subjects:
                name = audit.pseudonym(gateway.server_keys, tenant_id=self.place.tenant, subject=each)
                of = self.place.tenant
                await audit.record(connection, tenant_id=of, actor="service", action="test", object_id=name)

    async def number(self) -> None:
        await sequence(self.place.gateway.database, self.place.gateway.server_keys, now=NOW)

    async def erase(self, *subjects: Subject, now: datetime = NOW) -> None:
        gateway, actor = self.place.gateway, Actor(self.place.tenant, "t", self.place.user, "owner", None, frozenset())
        for each in subjects:
            async with gateway.database.tenant(self.place.tenant) as connection:
                row = await begin(connection, gateway, actor, each, reason="")
            assert await erase(gateway, row["id"], now=now) == "done"

    async def backup(self, name: str) -> Source:
        path, gateway = self.folder / name, self.place.gateway
        await asyncio.to_thread(
            create,
            path,
            config=gateway.config,
            config_file=None,
            urls=gateway.database.urls,
            store=gateway.objects.objects,
            recipients=[self.identity.to_public()],
        )
        return Source(path, [self.identity])

    @asynccontextmanager
    async def restored(self, source: Source) -> AsyncIterator[Place]:
        """Give what a backup and the log of tombstones as it is now make elsewhere."""
        database = self.server.create()
        config = Config(data_dir=self.folder / f"{database}.data", lines=())
        config.data_dir.mkdir()
        log = self.place.gateway.config.data_dir / "tombstones"
        await asyncio.to_thread(self._restore, source, config, database, [log] if log.exists() else [])
        try:
            async with open_gateway(config, self.server.urls(database)) as gateway:
                yield Place(gateway, self.place.tenant, self.place.key, self.place.user, self.place.box)
        finally:
            self.server.drop(database)

    def _restore(self, source: Source, config: Config, database: str, logs: list[Path]) -> None:
        restore_files(source, config.data_dir)
        store, urls = self.place.gateway.objects.objects, self.server.urls(database)
        with asyncio.Runner() as runner:
            said, data = verify(source), config.data_dir
            restore(source, said, data_dir=data, urls=urls, store=store, logs=logs, run=runner.run)


@pytest_asyncio.fixture
async def copied(
    database: Database, tenant: UUID, database_server: DatabaseServer, tmp_path: Path
) -> AsyncIterator[Copied]:
    config = Config(data_dir=tmp_path / "data", lines=())
    async with open_gateway(config, database.urls) as gateway:
        yield Copied(await make_place(gateway, tenant), database_server, tmp_path)


async def known(place: Place, subjects: Iterable[str]) -> dict[str, str | None]:
    """Return under which pseudonym the log has each, once all of its rows have numbers."""
    keys = place.gateway.server_keys
    await sequence(place.gateway.database, keys, now=NOW)
    async with place.gateway.database.tenant(place.tenant) as connection:
        return {each: await audit.known_as(connection, keys, tenant_id=place.tenant, subject=each) for each in subjects}


async def test_who_was_erased_after_a_backup_cannot_be_found_in_the_log_of_what_is_restored(copied: Copied) -> None:
    everybody = (ERASED, UNNUMBERED, STATION, OTHER)
    await copied.note(ERASED, STATION, OTHER)
    await copied.number()
    await copied.note(UNNUMBERED)  # it waits for its number when the backup is made
    older = await copied.backup("older.age")
    before = await known(copied.place, everybody)
    assert all(before.values())
    await copied.erase(Subject(number=ERASED), Subject(number=UNNUMBERED), Subject(station_id=STATION))
    async with copied.restored(older) as place:
        assert await known(place, everybody) == dict.fromkeys(everybody) | {OTHER: before[OTHER]}
        assert await place.count(audit_rows) == 4
        async with place.gateway.database.dispatcher() as connection:
            await signed(connection, place.gateway.server_keys, tenant_id=place.tenant, now=NOW)
    log = (copied.place.gateway.config.data_dir / "tombstones").read_text()
    assert not [each for each in everybody if each in log]
    assert log.count('"kind":"subject"') == 3


async def test_what_was_known_of_a_number_is_not_known_again_after_a_restore(copied: Copied) -> None:
    place = copied.place
    await place.add(destinations, number=ERASED)
    await place.add(destinations, number=OTHER, station_ids=[STATION, "STATION 2"])
    for said in ({"number": ERASED}, {"number": OTHER}, {"station": STATION}):
        await place.add(machines, direction="in", **said)
    fax = await place.add_fax()
    async with place.gateway.database.tenant(place.tenant) as connection:
        for to in (ERASED, OTHER):
            await copies.note(connection, fax_id=fax, kind="forward", to=to, now=NOW)
    older = await copied.backup("older.age")
    await copied.erase(Subject(number=ERASED, station_id=STATION))
    async with copied.restored(older) as place, place.gateway.database.dispatcher() as connection:
        rows = (await connection.execute(select(destinations.c.number, destinations.c.station_ids))).all()
        assert [tuple(row) for row in rows] == [(OTHER, ["STATION 2"])]
        assert (await connection.scalars(select(machines.c.number))).all() == [OTHER]
        locations = (await connection.scalars(select(ledger.c.location))).all()
        assert len(locations) == 2
        assert ERASED not in str(locations)
        assert OTHER in locations


async def test_who_came_again_after_the_erasure_is_known_after_the_restore_of_a_backup_that_came_later(
    copied: Copied,
) -> None:
    await copied.note(ERASED)
    await copied.erase(Subject(number=ERASED))
    await copied.note(ERASED)
    await copied.number()
    later = await copied.backup("later.age")
    mine = await known(copied.place, [ERASED])
    async with copied.restored(later) as place:
        assert await known(place, [ERASED]) == mine != {ERASED: None}
    again = NOW + timedelta(seconds=1)
    await copied.erase(Subject(number=ERASED), now=again)
    assert await copied.place.one(select(tombstones.c.deleted_at)) == again  # what `faxgw backup tombstones` writes
    async with copied.restored(later) as place:
        assert await known(place, [ERASED]) == {ERASED: None}


async def test_a_tombstone_deletes_what_was_its_own_tenants_and_nothing_else(copied: Copied) -> None:
    mine, theirs = await copied.place.add_fax(), await copied.place.add_fax()
    stranger = await add_tenant(copied.place.gateway.database, "another")
    whole = signed_stones(
        copied.place.gateway.server_keys,
        [Tombstone(mine, copied.place.tenant, FAX, NOW), Tombstone(theirs, stranger, FAX, NOW)],
    )
    for tenant, stone in zip((copied.place.tenant, stranger), whole, strict=True):
        async with copied.place.gateway.database.tenant(tenant) as connection:
            await write_down(connection, [stone])
    backup = await copied.backup("a.age")
    async with copied.restored(backup) as place, place.gateway.database.dispatcher() as connection:
        assert (await connection.execute(select(faxes.c.id))).scalars().all() == [theirs]


async def test_a_fax_that_was_under_way_in_the_backup_stands_in_the_log_as_failed(copied: Copied) -> None:
    fax = await copied.place.add_fax(state="queued")
    older = await copied.backup("older.age")
    async with copied.restored(older) as place:
        await sequence(place.gateway.database, place.gateway.server_keys, now=NOW)
        row = json.loads(await place.one(select(audit_rows.c.entry)))
        assert (row["action"], row["object_id"], row["actor"]) == ("fax.failed", str(fax), "service")
        assert row["data"] == {"direction": "out", "reason": "service.restored"}


async def test_what_was_on_its_way_to_a_target_in_the_backup_does_not_go_twice(copied: Copied) -> None:
    place = copied.place
    target = await place.add(targets, name="files", kind="local", settings={"kind": "local"})
    fax = await place.add_fax()
    made = {
        kind: await place.add(parcels, kind=kind, key="1", fax_id=about, target_id=where, next_at=NOW)
        for kind, about, where in (("fax", fax, target), ("delete", None, target), ("result", fax, None))
    }
    older = await copied.backup("older.age")
    async with copied.restored(older) as restored, restored.gateway.database.dispatcher() as connection:
        found = {row.id: (row.state, row.code) for row in await connection.execute(select(parcels))}
    gone = ("canceled", "service.restored")
    assert found == {made["fax"]: gone, made["result"]: gone, made["delete"]: ("waiting", "")}
