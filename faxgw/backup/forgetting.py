"""Whom the gateway was made to forget after the backup, a restore makes it forget again."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from faxgw.audit.sequencing import sequence
from faxgw.audit.subjects import stone_id
from faxgw.backup.rows import Connection
from faxgw.backup.tombstones import Tombstone
from faxgw.keys.tokens import ServerKeys
from faxgw.store.database import Database
from faxgw.store.roles import Urls
from faxgw.store.tables import NUMBER, STATION

_KEYS = 'DELETE FROM audit_subjects WHERE tenant_id = %s AND substring("index" from 1 for 16) = %s'
_NUMBERS = "SELECT tenant_id, number, station_ids FROM destinations WHERE tenant_id = ANY(%s)"
_FORGET_NUMBER = "DELETE FROM destinations WHERE tenant_id = %s AND number = %s"
_FORGET_STATION = "UPDATE destinations SET station_ids = %s WHERE tenant_id = %s AND number = %s"
_MACHINES = "SELECT id, tenant_id, number, station FROM machines WHERE tenant_id = ANY(%s)"
_FORGET_MACHINE = "DELETE FROM machines WHERE id = %s"
_LOCATIONS = "SELECT id, tenant_id, location FROM copies WHERE tenant_id = ANY(%s)"
_FORGET_LOCATION = "UPDATE copies SET location = %s WHERE id = %s"


async def number_what_waits(urls: Urls, keys: ServerKeys, *, now: datetime) -> None:
    """Give the rows of audit logs that waited in the backup their numbers, while the keys of pseudonyms are there.

    Later, an erased person in one of them would get another key, and be known again.
    """
    database = Database(urls, seals=None, pool=1, dispatcher_pool=1)
    try:
        await sequence(database, keys, now=now)
    finally:
        await database.close()


def forget_again(connection: Connection, keys: ServerKeys, stones: Collection[Tombstone]) -> int:
    """Delete what is known of the subjects that tombstones name, as an erasure does; return how many rows that was.

    Args:
        connection: of the dispatcher, to the restored database.
        keys: of the restored server.
        stones: those of subjects that the backup does not have itself. A subject that it has a tombstone of was
            forgotten already; what it has of it nevertheless came later, and stays.
    """
    if not stones:
        return 0
    named = {(each.tenant_id, each.id) for each in stones}
    with connection.transaction():
        gone = sum(connection.execute(_KEYS, (tenant, stone.bytes)).rowcount for tenant, stone in named)
        gone += _forget_numbers(connection, keys, named) + _forget_machines(connection, keys, named)
        return gone + _forget_locations(connection, keys, named)


def _forget_numbers(connection: Connection, keys: ServerKeys, named: Collection[tuple[UUID, UUID]]) -> int:
    gone = 0
    for tenant, number, stations in connection.execute(_NUMBERS, (_tenants(named),)).fetchall():
        if _is_named(keys, named, tenant, keys.values.open(number, context=NUMBER)):
            gone += connection.execute(_FORGET_NUMBER, (tenant, number)).rowcount
            continue
        opened = {each: keys.values.open(each, context=STATION) for each in stations}
        left = [each for each in stations if not _is_named(keys, named, tenant, opened[each])]
        if left != stations:
            gone += connection.execute(_FORGET_STATION, (left, tenant, number)).rowcount
    return gone


def _forget_machines(connection: Connection, keys: ServerKeys, named: Collection[tuple[UUID, UUID]]) -> int:
    gone = 0
    for machine, tenant, number, station in connection.execute(_MACHINES, (_tenants(named),)).fetchall():
        known = [keys.values.open(each, context=kind) for each, kind in ((number, NUMBER), (station, STATION)) if each]
        if any(_is_named(keys, named, tenant, each) for each in known):
            gone += connection.execute(_FORGET_MACHINE, (machine,)).rowcount
    return gone


def _forget_locations(connection: Connection, keys: ServerKeys, named: Collection[tuple[UUID, UUID]]) -> int:
    gone, context = 0, "copies.location"
    for copy, tenant, location in connection.execute(_LOCATIONS, (_tenants(named),)).fetchall():
        if _is_named(keys, named, tenant, keys.values.open(location, context=context)):
            erased = keys.values.seal_findable(f"erased:{copy}".encode(), context=context)
            gone += connection.execute(_FORGET_LOCATION, (erased, copy)).rowcount
    return gone


def _tenants(named: Collection[tuple[UUID, UUID]]) -> list[UUID]:
    return list({tenant for tenant, _ in named})


def _is_named(keys: ServerKeys, named: Collection[tuple[UUID, UUID]], tenant: UUID, subject: bytes) -> bool:
    return (tenant, stone_id(keys, tenant_id=tenant, subject=subject.decode())) in named
