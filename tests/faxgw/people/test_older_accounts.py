"""Accounts that are older than people: whoever had one signs in with what they have, and opens what they had."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg
import pytest_asyncio
from alembic import command
from psycopg.types.json import Jsonb

from faxgw.config import Config
from faxgw.ids import new_id
from faxgw.keys.slots import Password, RecoveryCode, make_slot
from faxgw.keys.wraps import KeyPair
from faxgw.people.accounts import memberships
from faxgw.people.keys import Membership
from faxgw.people.signing_in import Door, Tried
from faxgw.people.unlocking import unlock_older
from faxgw.service import open_gateway, server_keys_of
from faxgw.store.migrating import SCRIPTS, alembic, migrate
from tests.faxgw.api.people import PASSWORD, now
from tests.faxgw.databases import DatabaseServer

BEFORE = "0007"


@dataclass(frozen=True)
class Older:
    """An account of before, in one tenant."""

    tenant_id: UUID
    user_id: UUID
    key_pair: KeyPair
    code: RecoveryCode


@pytest_asyncio.fixture
async def older_database(database_server: DatabaseServer) -> AsyncIterator[str]:
    """Return the name of a database of the version before there were people."""
    name = database_server.create("template0")
    with alembic(database_server.urls(name).owner, SCRIPTS) as config:
        command.upgrade(config, BEFORE)
    yield name
    database_server.drop(name)


async def add_older(connection: psycopg.Connection, email: str, password: str) -> Older:
    made = Older(new_id(), new_id(), KeyPair.generate(), RecoveryCode.generate())
    connection.execute("INSERT INTO tenants (id, name) VALUES (%s, %s)", (made.tenant_id, str(made.tenant_id)))
    public = made.key_pair.public
    connection.execute(
        "INSERT INTO users (id, tenant_id, email, role, key_id, public_key) VALUES (%s, %s, %s, 'owner', %s, %s)",
        (made.user_id, made.tenant_id, email, public.key_id, public.octets),
    )
    for secret in (Password(password, memory=64, passes=1), made.code):
        slot = await make_slot(made.key_pair, secret)
        connection.execute(
            "INSERT INTO key_slots (id, tenant_id, user_id, kind, parameters, blob) VALUES (%s, %s, %s, %s, %s, %s)",
            (new_id(), made.tenant_id, made.user_id, slot.kind, Jsonb(slot.parameters), slot.blob),
        )
    return made


async def test_an_older_account_signs_in_and_its_keys_open(
    database_server: DatabaseServer, older_database: str, tmp_path: Path
) -> None:
    with database_server.administrator(older_database) as connection:
        alone = await add_older(connection, "Alone@example.com", PASSWORD)
        first = await add_older(connection, "both@example.com", PASSWORD)
        second = await add_older(connection, "both@example.com", "the password of the second")
    urls = database_server.urls(older_database)
    config = Config(data_dir=tmp_path / "data", lines=())
    await migrate(urls.owner, server_keys_of(config).values)
    async with open_gateway(config, urls) as gateway:
        door = Door(gateway)
        found = await door.sign_in(Tried("alone@example.com", PASSWORD), now=now())
        both = await door.sign_in(Tried("both@example.com", PASSWORD), now=now())
        async with gateway.database.dispatcher() as connection_:
            (mine,) = await memberships(connection_, found.person_id)
            here, there = [Membership.of(row) for row in await memberships(connection_, both.person_id)]
        assert Membership.of(mine).unlock(found.key_pair) == alone.key_pair
        assert here.unlock(both.key_pair) == first.key_pair
        assert there.locked_to(both.key_pair.public.key_id)
        done = await unlock_older(gateway, door, both.person_id, second.code.text, now=now())
        assert (done.keys, done.locked) == (1, 0)
        async with gateway.database.dispatcher() as connection_:
            rows = await memberships(connection_, both.person_id)
        opened = [Membership.of(row).unlock(both.key_pair) for row in rows]
        assert opened == [first.key_pair, second.key_pair]
