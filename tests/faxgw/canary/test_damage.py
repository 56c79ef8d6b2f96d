"""XM-19, FP-13: whatever was altered on the way to a page is found out, said as documented, and gives nothing away."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import Column, ColumnElement, select, update

from faxgw.audit.sequencing import sequence
from faxgw.audit.verify import Refuted, verify
from faxgw.errors import RequestError
from faxgw.gateway import Gateway
from faxgw.keys.slots import Password
from faxgw.store.tables import (
    api_keys,
    box_wraps,
    key_slots,
    objects,
    pages,
    people,
    person_slots,
    sessions,
    users,
    wraps,
)
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import PASSWORD, Person, add_fax, add_pages, tiff
from tests.faxgw.audit.test_sequencing import alter
from tests.faxgw.boxes.house import PAGE, received
from tests.faxgw.databases import DatabaseServer

pytestmark = pytest.mark.slow

TRIES = 3
"""Bits of each thing that are turned, one after another, besides its first and its last."""

DAMAGED, LOCKED, INVALID = (500, "content.damaged"), (423, "key.locked"), (401, "auth.invalid_key")
KEY_WAY: dict[str, tuple[Column[Any], tuple[int, str]]] = {
    "the object's key, wrapped": (wraps.c.blob, DAMAGED),
    "the slot of the API key": (key_slots.c.blob, LOCKED),
    "the check of the API key": (api_keys.c.mac, INVALID),
}
SESSION_WAY: dict[str, tuple[Column[Any], tuple[int, str]]] = {
    "the object's key, wrapped": (wraps.c.blob, DAMAGED),
    "the slot of the session": (person_slots.c.blob, LOCKED),
    "the member's key, wrapped to the person": (users.c.key_wrap, LOCKED),
    "the check of the session": (sessions.c.mac, INVALID),
}


def turned(octets: bytes, bit: int) -> bytes:
    """Return octets of which one bit is another."""
    at = bytearray(octets)
    at[bit // 8] ^= 1 << bit % 8
    return bytes(at)


def some_bits(octets: bytes, chance: random.Random) -> list[int]:
    return [0, len(octets) * 8 - 1, *(chance.randrange(len(octets) * 8) for _ in range(TRIES))]


def chance() -> random.Random:
    return random.Random(0xFA)


def check(answer: Any, expected: tuple[int, str]) -> None:
    """Check that an answer is the documented one and says nothing of what it is about."""
    assert (answer.status_code, answer.json()["code"]) == expected, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert not [word for word in ("Traceback", "File ", "cryptography", "InvalidTag", "faxgw.") if word in answer.text]
    assert PAGE.octets[:24].hex() not in answer.content.hex()


@dataclass(frozen=True)
class Way:
    """A reader, and a fax of one page that they open."""

    gateway: Gateway
    owner: Person
    client: Client
    fax: UUID

    async def is_closed_by(self, column: Column[Any], expected: tuple[int, str]) -> None:
        """Turn bits of what lies on the way to the page; it is refused as documented, and opens when all is back."""
        (octets,) = await self._read(column)
        for bit in some_bits(octets, chance()):
            await self._write(column, turned(octets, bit))
            check(await self.client.get(f"/v1/faxes/{self.fax}/content"), expected)
            check(await self.client.get(f"/v1/faxes/{self.fax}/pages/1"), expected)
        await self._write(column, octets)
        assert (await self.client.get(f"/v1/faxes/{self.fax}/content")).status_code == 200

    async def _read(self, column: Column[Any]) -> list[bytes]:
        async with self.gateway.database.dispatcher() as connection:
            found = select(column).where(_row_of(column.table, self.owner))
            return list((await connection.execute(found)).scalars())

    async def _write(self, column: Column[Any], octets: bytes) -> None:
        async with self.gateway.database.dispatcher() as connection:
            row = update(column.table).where(_row_of(column.table, self.owner))
            await connection.execute(row.values({column.name: octets}))


def _row_of(table: Any, owner: Person) -> ColumnElement[bool]:
    """Return the row of a table that is on the way of that person, with this credential."""
    rows: dict[Any, ColumnElement[bool]] = {
        api_keys: api_keys.c.id == owner.key.id,
        key_slots: key_slots.c.api_key_id == owner.key.id,
        users: users.c.id == owner.user_id,
        person_slots: (person_slots.c.person_id == owner.person_id) & (person_slots.c.kind == "session"),
        sessions: sessions.c.person_id == owner.person_id,
        wraps: wraps.c.tenant_id == owner.tenant_id,
        box_wraps: box_wraps.c.tenant_id == owner.tenant_id,
    }
    return rows[table]


@pytest.mark.requirement("XM-19")
@pytest.mark.parametrize("name", KEY_WAY)
async def test_a_turned_bit_on_the_way_from_an_api_key_is_found(
    gateway: Gateway, owner: Person, client: Client, name: str
) -> None:
    """XM-19: every wrap and slot between an API key and a page of an upload, bit by bit."""
    page_set = await add_pages(gateway, owner, [PAGE])
    fax = await add_fax(gateway, owner, page_set_id=page_set, pages=1)
    await Way(gateway, owner, client, fax).is_closed_by(*KEY_WAY[name])


@pytest.mark.requirement("XM-19")
@pytest.mark.parametrize("column", [wraps.c.blob, box_wraps.c.blob], ids=["the object's key", "the box's key"])
async def test_a_turned_bit_on_the_way_over_a_box_is_found(
    gateway: Gateway, owner: Person, client: Client, column: Column[Any]
) -> None:
    await Way(gateway, owner, client, await received(gateway, owner)).is_closed_by(column, DAMAGED)


@pytest.mark.requirement("XM-19")
@pytest.mark.parametrize("name", SESSION_WAY)
async def test_a_turned_bit_on_the_way_from_a_session_is_found(
    app: FastAPI, gateway: Gateway, owner: Person, connect: Connect, name: str
) -> None:
    client = connect(None)
    app.state.api.door.password = lambda text: Password(text, memory=64, passes=1)
    begun = await client.post("/v1/sessions", json={"email": owner.email, "password": PASSWORD})
    client.headers["authorization"] = f"Bearer {begun.json()['token']}"
    await Way(gateway, owner, client, await received(gateway, owner)).is_closed_by(*SESSION_WAY[name])


# ------------------------------------------------------------------------------------------------- objects and uploads


Change = Callable[[bytes, random.Random], bytes]
CHANGES: dict[str, Change] = {
    "a bit turned": lambda octets, chance: turned(octets, chance.randrange(len(octets) * 8)),
    "the first bit turned": lambda octets, _: turned(octets, 0),
    "the last bit turned": lambda octets, _: turned(octets, len(octets) * 8 - 1),
    "cut": lambda octets, chance: octets[: chance.randrange(len(octets))],
    "cut by one": lambda octets, _: octets[:-1],
    "empty": lambda _, __: b"",
    "longer": lambda octets, chance: octets + chance.randbytes(1 + chance.randrange(40)),
    "of chance": lambda octets, chance: chance.randbytes(len(octets)),
}


@contextmanager
def altered(path: Path, octets: bytes) -> Iterator[None]:
    """Have a file be something else meanwhile."""
    whole = path.read_bytes()
    path.write_bytes(octets)
    yield
    path.write_bytes(whole)


def file_of(gateway: Gateway, object_id: UUID) -> Path:
    (path,) = (each for each in (gateway.config.data_dir / "objects").rglob("*") if each.name == str(object_id))
    return path


@pytest.mark.requirement("XM-19")
@pytest.mark.parametrize("change", CHANGES)
async def test_an_altered_or_truncated_page_is_refused_by_every_way_to_it(
    gateway: Gateway, owner: Person, client: Client, change: str
) -> None:
    """XM-19: turned bits, cut and exchanged objects."""
    fax = await received(gateway, owner)
    async with gateway.database.dispatcher() as connection:
        object_id = (await connection.execute(select(pages.c.object_id))).scalar_one()
    path, dice = file_of(gateway, object_id), chance()
    for _ in range(TRIES if "chance" in CHANGES[change].__code__.co_varnames else 1):
        with altered(path, CHANGES[change](path.read_bytes(), dice)):
            for way in ("content", "content?format=tiff", "pages/1"):
                check(await client.get(f"/v1/faxes/{fax}/{way}"), DAMAGED)
    path.unlink()
    check(await client.get(f"/v1/faxes/{fax}/content"), DAMAGED)


@pytest.mark.requirement("XM-19")
async def test_a_page_that_lies_in_the_place_of_another_is_refused(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    one, two = await received(gateway, owner), await received(gateway, owner)
    async with gateway.database.dispatcher() as connection:
        first, second = (await connection.execute(select(pages.c.object_id))).scalars().all()
    with altered(file_of(gateway, first), file_of(gateway, second).read_bytes()):
        answers = [await client.get(f"/v1/faxes/{fax}/content") for fax in (one, two)]
    assert sorted(answer.status_code for answer in answers) == [200, 500]


@pytest.mark.requirement("XM-19")
async def test_an_upload_whose_spool_wrap_or_object_was_altered_is_not_drawn(
    gateway: Gateway, owner: Person, client: Client, tmp_path: Path
) -> None:
    sent = await client.post("/v1/documents", content=tiff(tmp_path), headers={"content-type": "image/tiff"})
    document = sent.json()["id"]
    spool = (wraps.c.kind == "spool") & wraps.c.object_id.in_(select(objects.c.id).where(objects.c.kind == "document"))
    async with gateway.database.dispatcher() as connection:
        row = (await connection.execute(select(wraps.c.object_id, wraps.c.blob).where(spool))).one()
    asked = {"documents": [document], "resolution": "standard"}
    for bit in some_bits(row.blob, chance())[:6]:
        async with gateway.database.dispatcher() as connection:
            await connection.execute(update(wraps).where(spool).values(blob=turned(row.blob, bit)))
        check(await client.post("/v1/documents:render", json=asked), (422, "document.damaged"))
    async with gateway.database.dispatcher() as connection:
        await connection.execute(update(wraps).where(spool).values(blob=row.blob))
    path = file_of(gateway, row.object_id)
    for change in ("a bit turned", "cut", "empty"):
        with altered(path, CHANGES[change](path.read_bytes(), chance())):
            check(await client.post("/v1/documents:render", json=asked), (422, "document.damaged"))
    assert (await client.post("/v1/documents:render", json=asked)).status_code == 201


async def test_a_second_factor_that_was_altered_lets_nobody_in(
    app: FastAPI, gateway: Gateway, owner: Person, connect: Connect
) -> None:
    sealed = gateway.server_keys.seal_small(b"secret of an authenticator", context=b"something else")
    app.state.api.door.password = lambda text: Password(text, memory=64, passes=1)
    async with gateway.database.dispatcher() as connection:
        await connection.execute(update(people).values(totp=sealed))
    asked = {"email": owner.email, "password": PASSWORD, "code": "123456"}
    answer = await connect(None).post("/v1/sessions", json=asked)
    check(answer, DAMAGED)


# ------------------------------------------------------------------------------------------------------- the audit log


@pytest.mark.requirement("FP-13")
async def test_a_turned_bit_of_a_row_of_the_audit_log_is_found(
    gateway: Gateway, client: Client, database_server: DatabaseServer
) -> None:
    """FP-13: by whoever verifies an export, whichever bit it was, and by the gateway itself."""
    for number in range(3):
        await client.post("/v1/boxes", json={"name": f"box {number}"})
    await sequence(gateway.database, gateway.server_keys, now=datetime.now(UTC))
    kept = (await client.get("/v1/audit/checkpoint")).json()["note"]
    alter(database_server, gateway.database, "CREATE TABLE kept AS SELECT * FROM audit_rows")
    dice = chance()
    for _ in range(TRIES):
        at, mask, row = dice.randrange(100), 1 << dice.randrange(5), dice.randrange(3)  # printable it stays
        by = f"convert_from(set_byte(entry::bytea, {at}, get_byte(entry::bytea, {at}) # {mask}), 'SQL_ASCII')"
        alter(database_server, gateway.database, f"UPDATE audit_rows SET entry = {by} WHERE seq = {row}")
        exported = await client.get("/v1/audit:export")
        assert exported.status_code == 200, exported.text
        with pytest.raises((Refuted, RequestError)):
            verify(BytesIO(exported.content), earlier=[kept])
        back = "UPDATE audit_rows a SET entry = k.entry FROM kept k WHERE k.tenant_id = a.tenant_id AND k.seq = a.seq"
        alter(database_server, gateway.database, back)
    assert verify(BytesIO((await client.get("/v1/audit:export")).content), earlier=[kept]).rows >= 3
