"""Exports: a box whole, opened with its owner's key only; call records; evidence that names nobody."""

import csv
import io
import json
import tracemalloc
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidSignature
from sqlalchemy import delete, insert, select, update

from faxgw.backup.manifest import read_key
from faxgw.backup.tombstones import Tombstone, write_down
from faxgw.backup.tombstones import signed as signed_stones
from faxgw.documents.pdf import pdf_octets
from faxgw.documents.tiff import tiff_octets
from faxgw.exports.boxes import ExportedFax, box_archive
from faxgw.exports.calls import COLUMNS, cell
from faxgw.exports.evidence import signed_octets
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.store.tables import attempts, audit_waiting, copies, tombstones, wraps
from tests.faxgw.api.conftest import Client, Connect
from tests.faxgw.api.people import Person, add_fax, add_key, add_pages, add_person, drawn_page

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def unzipped(octets: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(octets)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


async def ended_fax(gateway: Gateway, person: Person, *seeds: int, **columns: Any) -> UUID:
    page_set = await add_pages(gateway, person, [drawn_page(seed) for seed in seeds]) if seeds else None
    return await add_fax(gateway, person, page_set_id=page_set, pages=len(seeds), finished_at=AT, **columns)


async def call_of(gateway: Gateway, person: Person, fax_id: UUID, index: int = 1, **columns: Any) -> None:
    row = {"id": new_id(), "tenant_id": person.tenant_id, "fax_id": fax_id, "index": index, "state": "ended"}
    row |= {"destination": "+15550100", "node": "n", "line": "l", "ended_at": datetime.now(UTC), **columns}
    async with gateway.database.tenant(person.tenant_id) as connection:
        await connection.execute(insert(attempts).values(row))


@pytest.mark.requirement("FP-14")
async def test_a_box_is_exported_whole_with_the_hash_of_each_file(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    sent = await ended_fax(gateway, owner, 1, 2)
    came = await ended_fax(gateway, owner, 3, direction="in", state="received", from_number="+15550123")
    await add_fax(gateway, owner, state="queued")
    answer = await client.get(f"/v1/boxes/{owner.box_id}/archive")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    found = unzipped(answer.content)
    manifest = json.loads(found.pop("manifest.json"))
    assert [each["id"] for each in manifest["faxes"]] == [str(sent), str(came)]
    assert manifest["faxes"][1]["from_number"] == "+15550123"
    assert {each["content"] for each in manifest["faxes"]} == {"kept"}
    named = {file["name"]: file for fax in manifest["faxes"] for file in fax["files"]}
    assert set(named) == set(found)
    for name, octets in found.items():
        assert named[name]["sha256"] == sha256(octets).hexdigest()
        assert named[name]["octets"] == len(octets)
    pages = [drawn_page(1), drawn_page(2)]
    assert found[f"faxes/{sent}/fax.tif"] == tiff_octets(pages)
    assert found[f"faxes/{sent}/fax.pdf"] == pdf_octets(pages)


async def test_an_export_of_a_period_has_that_period_only(gateway: Gateway, owner: Person, client: Client) -> None:
    fax = await ended_fax(gateway, owner, 1)
    for period, expected in (({"before": "2026-11-22T12:00:00Z"}, []), ({"after": "2026-11-22T12:00:00Z"}, [str(fax)])):
        answer = await client.get(f"/v1/boxes/{owner.box_id}/archive", params=period)
        manifest = json.loads(unzipped(answer.content)["manifest.json"])
        assert [each["id"] for each in manifest["faxes"]] == expected


@pytest.mark.requirement("FP-09", "FP-14")
async def test_a_key_that_opens_nothing_exports_nothing(gateway: Gateway, owner: Person, connect: Connect) -> None:
    await ended_fax(gateway, owner, 1)
    key = await add_key(gateway, owner.tenant_id, owner.user_id, scopes=["content"], key_pair=None)
    locked = replace(owner, key=key)
    answer = await connect(locked).get(f"/v1/boxes/{owner.box_id}/archive")
    assert (answer.status_code, answer.json()["code"]) == (423, "key.locked")


@pytest.mark.requirement("XM-02", "XM-08")
async def test_nobody_exports_a_box_of_somebody_else(gateway: Gateway, owner: Person, connect: Connect) -> None:
    admin = await add_person(gateway, owner.tenant_id, role="admin")
    stranger = await add_person(gateway)
    for each in (admin, stranger):
        answer = await connect(each).get(f"/v1/boxes/{owner.box_id}/archive")
        assert (answer.status_code, answer.json()["code"]) == (404, "box.unknown")


@pytest.mark.requirement("FP-06")
async def test_what_was_not_kept_is_named_as_gone(gateway: Gateway, owner: Person, client: Client) -> None:
    await ended_fax(gateway, owner, 1)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await connection.execute(delete(wraps))
    found = unzipped((await client.get(f"/v1/boxes/{owner.box_id}/archive")).content)
    manifest = json.loads(found["manifest.json"])
    assert [(each["content"], each["files"]) for each in manifest["faxes"]] == [("gone", [])]
    assert set(found) == {"manifest.json"}


@pytest.mark.requirement("XM-12")
async def test_an_export_is_in_the_ledger_of_copies_and_in_the_audit_log(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    fax = await ended_fax(gateway, owner, 1)
    await client.get(f"/v1/boxes/{owner.box_id}/archive")
    async with gateway.database.tenant(owner.tenant_id) as connection:
        rows = (await connection.execute(select(copies.c.fax_id, copies.c.kind, copies.c.location))).all()
        entries = [json.loads(each) for each in await connection.scalars(select(audit_waiting.c.entry))]
    assert [tuple(row) for row in rows] == [(fax, "export", f"user:{owner.user_id}")]
    assert ("box.exported", str(owner.box_id)) in [(each["action"], each["object_id"]) for each in entries]


async def test_an_export_takes_no_more_memory_the_longer_it_is() -> None:
    page = drawn_page(1)
    peaks = []

    async def some(count: int) -> AsyncIterator[ExportedFax]:
        for _ in range(count):
            fax_id = new_id()
            yield ExportedFax(fax_id, {"id": str(fax_id)}, [page] * 10)

    for count in (2, 40):
        tracemalloc.start()
        size = 0
        async for piece in box_archive({"id": "x"}, some(count), at=AT):
            size += len(piece)
        peaks.append((tracemalloc.get_traced_memory()[1], size))
        tracemalloc.stop()
    assert peaks[1][1] > 15 * peaks[0][1]
    assert peaks[1][0] < 1.5 * peaks[0][0] + 200_000


@pytest.mark.requirement("FP-14", "FP-03")
async def test_call_records_come_as_json_and_as_csv(gateway: Gateway, owner: Person, client: Client) -> None:
    fax = await ended_fax(gateway, owner, 1)
    await call_of(gateway, owner, fax, cause="call.busy", cause_text="the line was busy")
    await call_of(gateway, owner, fax, 2, pages=1, seconds=12.5, rate=14400, ecm=True, remote_id="+1 555 0100")
    said = (await client.get("/v1/usage/calls")).json()["items"]
    assert [(each["attempt"], each["cause"], each["pages"]) for each in said] == [(1, "call.busy", 0), (2, "", 1)]
    answer = await client.get("/v1/usage/calls", params={"format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert list(rows[0]) == list(COLUMNS) == list(said[0])
    assert [row["to"] for row in rows] == ["+15550100", "+15550100"]
    assert (rows[1]["remote_id"], rows[1]["ecm"], rows[1]["seconds"], rows[0]["rate"]) == (
        "+1 555 0100",
        "true",
        "12.5",
        "",
    )
    assert datetime.fromisoformat(rows[0]["ended_at"]) == datetime.fromisoformat(said[0]["ended_at"])


async def test_many_call_records_of_one_moment_come_each_once(gateway: Gateway, owner: Person, client: Client) -> None:
    fax = await ended_fax(gateway, owner)
    rows = [
        {"id": new_id(), "tenant_id": owner.tenant_id, "fax_id": fax, "index": index, "state": "ended"}
        | {"destination": "", "node": "n", "line": "l", "ended_at": AT}
        for index in range(2500)
    ]
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await connection.execute(insert(attempts), rows)
        await connection.execute(update(attempts).values(ended_at=datetime.now(UTC)))
    said = (await client.get("/v1/usage/calls")).json()["items"]
    assert sorted(each["attempt"] for each in said) == list(range(2500))


async def test_call_records_are_of_ones_own_boxes(gateway: Gateway, owner: Person, connect: Connect) -> None:
    await call_of(gateway, owner, await ended_fax(gateway, owner))
    member = await add_person(gateway, owner.tenant_id, role="member")
    stranger = await add_person(gateway)
    assert len((await connect(owner).get("/v1/usage/calls")).json()["items"]) == 1
    for each in (member, stranger):
        assert (await connect(each).get("/v1/usage/calls")).json() == {"items": []}
    refused = await connect(owner).get("/v1/usage/calls", params={"after": "2020-01-01T00:00:00Z"})
    assert (refused.status_code, refused.json()["code"]) == (400, "request.invalid")


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\r=1", " =1", "\n=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["+15550100", "+1 555 0100", "-5", "12.5", "a=b", ""])
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert cell(text) == text


@pytest.mark.requirement("FP-12")
async def test_the_evidence_is_signed_says_how_data_is_kept_and_names_nobody(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    fax = await ended_fax(gateway, owner, 1, to_number="+15550177")
    gone = Tombstone(new_id(), owner.tenant_id, "fax", AT)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        await write_down(connection, signed_stones(gateway.server_keys, [gone]))
    answer = await client.get("/v1/exports/evidence")
    found = unzipped(answer.content)
    manifest, signed = json.loads(found["manifest.json"]), json.loads(found["signature.json"])
    key = read_key(signed["key"])
    key.verify(bytes.fromhex(signed["signature"]), signed_octets(found["manifest.json"]))
    with pytest.raises(InvalidSignature):
        key.verify(bytes.fromhex(signed["signature"]), signed_octets(found["manifest.json"] + b" "))
    assert {each["name"]: each["sha256"] for each in manifest["files"]} == {
        name: sha256(octets).hexdigest()
        for name, octets in found.items()
        if name not in ("manifest.json", "signature.json")
    }
    keys, kept = json.loads(found["keys.json"]), json.loads(found["retention.json"])
    assert [each["key_id"] for each in keys["users"]] == [owner.key_pair.public.key_id]
    assert (kept["faxes"], kept["tombstones"]) == (1, 1)
    assert (kept["deleted_faxes_that_are_there"], kept["deleted_objects_that_open"]) == (0, 0)
    stone = json.loads(found["tombstones.jsonl"])
    assert (stone["id"], stone["kind"]) == (str(gone.id), "fax")
    everything = b"".join(found.values())
    for secret in (b"+15550177", b"@example.com", str(fax).encode(), owner.key.text.encode(), b'"salt"'):
        assert secret not in everything


@pytest.mark.requirement("FP-12")
async def test_evidence_shows_what_was_deleted_and_is_there_all_the_same(
    gateway: Gateway, owner: Person, client: Client
) -> None:
    fax = await ended_fax(gateway, owner)
    async with gateway.database.tenant(owner.tenant_id) as connection:
        stones = signed_stones(gateway.server_keys, [Tombstone(fax, owner.tenant_id, "fax", AT)])
        await write_down(connection, stones)
        assert len((await connection.execute(select(tombstones))).all()) == 1
    found = unzipped((await client.get("/v1/exports/evidence")).content)
    assert json.loads(found["retention.json"])["deleted_faxes_that_are_there"] == 1


async def test_a_member_gets_no_evidence(gateway: Gateway, owner: Person, connect: Connect) -> None:
    member = await add_person(gateway, owner.tenant_id, role="member")
    assert (await connect(member).get("/v1/exports/evidence")).status_code == 403
