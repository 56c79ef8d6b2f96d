"""A document and its sidecar become a fax, whichever comes first, and nothing else does."""

import json

import asyncssh
import pytest
from sqlalchemy import update

from faxgw.devices.repeating import NAMELESS
from faxgw.store.tables import batches, drops, submissions
from tests.faxgw.dropbox.clients import NUMBER, SIDECAR, Box, document, put


@pytest.mark.parametrize("first", ["document", "sidecar"])
async def test_a_document_and_its_sidecar_become_a_fax_whichever_comes_first(box: Box, first: str) -> None:
    files = [("letter.TIF", document()), ("Letter.json", SIDECAR)]
    async with box.sftp() as client:
        for name, octets in files if first == "document" else reversed(files):
            assert await box.faxes() == []
            await put(client, name, octets)
        (fax,) = await box.faxes()
        assert (fax.to_number, fax.device_id, fax.box_id, fax.pages) == (NUMBER, box.device.id, box.device.box_id, 1)
        assert sorted(map(str, await client.listdir("/"))) == [".", "..", "results"]
        assert [(row.kind, row.fax_id) for row in await box.rows(drops)] == [("sent", fax.id)]


async def test_a_number_at_the_beginning_of_the_name_needs_no_sidecar(box: Box) -> None:
    async with box.sftp() as client:
        await put(client, "+15550100_order 17.tif", document(2))
        await put(client, "+15550101.tif", document())
    assert [(fax.to_number, fax.pages) for fax in await box.faxes()] == [("+15550100", 2), ("+15550101", 1)]


async def test_a_list_of_numbers_is_a_batch(box: Box) -> None:
    said = {"to": ["+15550100", {"to": "+15550101", "labels": {"row": "2"}}], "name": "May", "labels": {"a": "b"}}
    async with box.sftp() as client:
        await put(client, "offer.json", json.dumps(said).encode())
        await put(client, "offer.tif", document())
    assert [row.size for row in await box.rows(batches)] == [2]
    assert {(fax.to_number, fax.labels.get("row")) for fax in await box.faxes()} == {
        ("+15550100", None),
        ("+15550101", "2"),
    }


async def test_what_a_sidecar_says_is_what_the_api_takes(box: Box) -> None:
    said = {"to": NUMBER, "resolution": "standard", "priority": 3, "storage": "none", "labels": {"case": "7"}}
    said |= {"cover": {"subject": "An order", "to_name": "Ann"}}
    async with box.sftp() as client:
        await put(client, "a.tif", document())
        with pytest.raises(asyncssh.SFTPFailure, match="90 days"):  # further ahead than the policy lets
            await put(client, "a.json", json.dumps(said | {"send_at": "2099-01-01T00:00:00Z"}).encode())
        await put(client, "a.json", json.dumps(said | {"send_at": "2020-01-01T00:00:00Z"}).encode())
    (fax,) = await box.faxes()
    assert (fax.priority, fax.storage, fax.labels, fax.pages) == (3, "none", {"case": "7"}, 2)
    assert fax.request["resolution"] == "standard"


async def test_a_temporary_name_is_no_name_until_it_is_renamed(box: Box) -> None:
    async with box.sftp() as client:
        await put(client, "letter.json.filepart", SIDECAR)
        await put(client, ".letter.tif", document())
        assert await box.left() == {}
        await client.rename(".letter.tif", "letter.tif")
        await client.posix_rename("letter.json.filepart", "letter.json")
    assert len(await box.faxes()) == 1


@pytest.mark.parametrize("first", ["document", "sidecar"])
async def test_a_pair_that_is_put_again_since_its_close_was_not_heard_is_one_fax(box: Box, first: str) -> None:
    files = [("letter.tif", document()), ("letter.json", SIDECAR)]
    for _ in range(2):
        async with box.sftp() as client:
            for name, octets in files if first == "document" else reversed(files):
                await put(client, name, octets)
            assert sorted(map(str, await client.listdir("/"))) == [".", "..", "results"]
    (fax,) = await box.faxes()
    assert [(row.kind, row.fax_id) for row in await box.rows(drops)] == [("sent", fax.id)]
    left = await box.left()
    assert (left["documents"], left["objects"], left["files"]) == (1, 1, 1)


async def test_a_document_with_a_number_in_its_name_that_is_put_again_is_one_fax_for_a_while(box: Box) -> None:
    async with box.sftp() as client:
        for _ in range(2):
            await put(client, "+15550100.tif", document())
        assert len(await box.faxes()) == 1
        async with box.gateway.database.dispatcher() as connection:
            await connection.execute(update(submissions).values(expires_at=submissions.c.expires_at - NAMELESS))
        await put(client, "+15550100.tif", document())
        assert len(await box.faxes()) == 2


async def test_another_document_number_or_name_is_another_fax(box: Box) -> None:
    async with box.sftp() as client:
        for name, octets, said in (
            ("letter", document(), SIDECAR),
            ("letter", document(2), SIDECAR),
            ("letter", document(), b'{"to": "+15550101"}'),
            ("second", document(), SIDECAR),
        ):
            await put(client, f"{name}.tif", octets)
            await put(client, f"{name}.json", said)
    assert len(await box.faxes()) == 4
