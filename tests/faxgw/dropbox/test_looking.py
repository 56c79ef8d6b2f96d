"""What devices see: what waits, what was wrong, what became of it; each its own."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncssh
import pytest
from sqlalchemy import func, update

from faxgw.dropbox.dropping import drop_document, drop_sidecar
from faxgw.dropbox.naming import name_of
from faxgw.dropbox.reading import Reading
from faxgw.dropbox.sidecar import MOST
from faxgw.dropbox.writing import SMALL
from faxgw.gateway import Gateway
from faxgw.store.tables import drops, faxes
from faxgw.upkeep.ageing import delete_old_drops
from tests.faxgw.api.people import Person, add_person
from tests.faxgw.devices.making import change, make
from tests.faxgw.dropbox.clients import NUMBER, SIDECAR, Box, document, put


async def names(client: asyncssh.SFTPClient, path: str = ".") -> set[str]:
    """Return what is in a folder."""
    return set(map(str, await client.listdir(path))) - {".", "..", "results"}


async def content(client: asyncssh.SFTPClient, path: str) -> str:
    """Return what is in a file."""
    async with client.open(path, "rb") as file:
        octets: Any = await file.read()
        return str(octets, "utf-8")


BAD = {
    "no JSON": (b"{", "no JSON"),
    "no object": (b"[]", "no object"),
    "nothing": (b"{}", "to: Field required"),
    "another field": (b'{"to": "1", "box": "x"}', "nothing else such as 'box'"),
    "a kind": (b'{"to": "+15550100", "priority": "high"}', "priority: Input should be a valid integer"),
    "nobody": (b'{"to": []}', "to: List should have at least 1 item"),
    "no number": (b'{"to": "pizza"}', "number"),
    "emergency": (b'{"to": "+4950"}', "number"),
    "NUL": (b'{"to": "+15550100", "labels": {"a": "\\u0000"}}', "NUL"),
    "UTF-16": ('{"to": "+15550100"}'.encode("utf-16")[:-1], ""),
    "deep": (b"[" * 100_000, "no JSON"),
    "surrogate": (b'{"to": "+15550100", "labels": {"a": "\\ud800"}}', "sidecar"),
    "large": (b'{"to": "' + b"1" * MOST + b'"}', "octets"),
}


async def test_what_is_wrong_with_a_sidecar_is_told_and_the_document_goes_on_waiting(box: Box) -> None:
    async with box.sftp() as client:
        await put(client, "letter.tif", document())
        for octets, told in BAD.values():
            with pytest.raises(asyncssh.SFTPError):
                await put(client, "letter.json", octets)
            assert await names(client) == {"letter.tif", "letter.error.txt"}
            assert told in await content(client, "letter.error.txt")
        await put(client, "letter.json", SIDECAR)
        assert await names(client) == set()
    assert len(await box.faxes()) == 1


async def test_what_is_no_document_is_refused_and_gone(box: Box) -> None:
    async with box.sftp() as client:
        await put(client, "letter.json", SIDECAR)
        for octets in (b"", b"%PDF-1.7 no", b"II*\0", b"\xff\xd8\xff" * SMALL):
            with pytest.raises(asyncssh.SFTPFailure):
                await put(client, "letter.pdf", octets)
            assert await names(client) == {"letter.json", "letter.error.txt"}
            await client.remove("letter.error.txt")
            assert await box.left() == {"drops": 1}


async def test_a_devices_own_limits_hold(box: Box, gateway: Gateway) -> None:
    await change(gateway, box.device.login, numbers=["+1555010"], faxes_per_day=1)
    async with box.sftp() as client:
        with pytest.raises(asyncssh.SFTPFailure, match="may not send"):
            await put(client, "+15550199.tif", document())
        await put(client, "+15550100.tif", document())
        with pytest.raises(asyncssh.SFTPFailure, match="this device"):
            await put(client, "+15550101.tif", document())
        assert await names(client) == {"+15550199.error.txt", "+15550101.error.txt"}
    assert len(await box.faxes()) == 1


async def test_results_are_there_when_all_has_ended_and_only_then(box: Box, gateway: Gateway) -> None:
    async with box.sftp() as client:
        await put(client, "+15550100.tif", document())
        await put(client, "all.tif", document())
        await put(client, "all.json", json.dumps({"to": [NUMBER, "+15550101"]}).encode())
        assert await names(client, "results") == set()
        ids = [fax.id for fax in await box.faxes()]
        for some in (ids[:2], ids[2:]):
            async with gateway.database.dispatcher() as connection:
                over = {"state": "delivered", "pages_done": 1, "finished_at": func.now()}
                await connection.execute(update(faxes).where(faxes.c.id.in_(some)).values(over))
            if some == ids[:2]:
                assert await names(client, "results") == {"+15550100.result.json"}
        assert await names(client, "results") == {"+15550100.result.json", "all.result.json"}
        one = json.loads(await content(client, "results/+15550100.result.json"))
        assert (one["state"], one["pages"], one["pages_done"]) == ("delivered", 1, 1)
        both = json.loads(await content(client, "results/all.result.json"))
        assert (both["counts"], len(both["faxes"])) == ({"delivered": 2}, 2)
        await client.remove("results/all.result.json")
        assert await names(client, "results") == {"+15550100.result.json"}
        with pytest.raises(asyncssh.SFTPNoSuchFile):
            await client.remove("results/all.result.json")


async def test_clients_that_look_whether_all_was_written_find_it_so(box: Box) -> None:
    octets = document(2)
    async with box.sftp() as client:
        for name in ("+15550100.tif", "letter.tif"):
            await put(client, name, octets)
            assert (await client.stat(name)).size == len(octets)
            await client.utime(name)
            await client.chmod(name, 0o644)


async def test_what_waits_is_replaced_renamed_and_removed_and_documents_are_not_given_back(box: Box) -> None:
    async with box.sftp() as client:
        await put(client, "letter.tif", document())
        one = await box.left()
        await put(client, "letter.tif", document(2))
        assert await box.left() == one
        with pytest.raises(asyncssh.SFTPPermissionDenied, match="same sidecar"):
            await put(client, "letter.pdf", document())
        with pytest.raises(asyncssh.SFTPPermissionDenied, match="sealed"):
            await content(client, "letter.tif")
        await client.rename("letter.tif", "order.tif")
        assert await names(client) == {"order.tif", "letter.error.txt"}
        await client.remove("letter.error.txt")
        await client.remove("order.tif")
        assert await box.left() == {}
        await put(client, "order.json", SIDECAR)
        assert await content(client, "order.json") == SIDECAR.decode()
        await put(client, "letter.tif", document())
        await client.rename("letter.tif", "order.tif")
    assert len(await box.faxes()) == 1


async def test_a_device_sees_its_own_folder_only(box: Box, gateway: Gateway, owner: Person) -> None:
    others = [await make(gateway, owner, "second"), await make(gateway, await add_person(gateway), "third")]
    async with box.sftp() as client:
        await put(client, "letter.tif", document())
        await put(client, "+15550100.tif", document())
    async with gateway.database.dispatcher() as connection:
        await connection.execute(update(faxes).values(state="delivered", finished_at=func.now()))
    for device, secret in others:
        async with (
            box.connected(username=device.login, password=secret) as as_other,
            as_other.start_sftp_client() as client,
        ):
            assert await names(client) == await names(client, "results") == set()
            for path in ("letter.tif", "results/+15550100.result.json"):
                assert not await client.exists(path)
                with pytest.raises(asyncssh.SFTPNoSuchFile):
                    await client.remove(path)
            with pytest.raises(asyncssh.SFTPNoSuchFile):
                await client.rename("letter.tif", "+15550101.tif")
            await put(client, "letter.json", SIDECAR)
    assert len(await box.faxes()) == 1


async def test_halves_that_come_at_once_make_one_fax(box: Box, gateway: Gateway) -> None:
    reading = Reading(gateway)
    for n in range(10):
        name, sidecar = name_of(f"{n}.tif"), name_of(f"{n}.json")
        received = await reading.document(box.device, name.text, document())
        became = await asyncio.gather(
            drop_document(gateway, box.device, name, received), drop_sidecar(gateway, box.device, sidecar, SIDECAR)
        )
        assert len(became) - became.count(None) == 1
        assert len(await box.faxes()) == n + 1


async def test_what_lay_too_long_is_forgotten(box: Box, gateway: Gateway) -> None:
    async with box.sftp() as client:
        await put(client, "a.json", SIDECAR)
        with pytest.raises(asyncssh.SFTPFailure):
            await put(client, "b.json", b"{")
        await put(client, "+15550100.tif", document())
    now = datetime.now(UTC)
    for days, left in ((0.9, {"sidecar", "error", "sent"}), (2, {"error", "sent"}), (8, {"sent"}), (31, set())):
        await delete_old_drops(gateway.database, now=now + timedelta(days=days))
        assert {row.kind for row in await box.rows(drops)} == left
    assert len(await box.faxes()) == 1


async def test_the_service_says_how_the_drop_box_is(box: Box) -> None:
    async with box.connected():
        assert await box.server.check() == f"The drop box listens on port {box.port}, and 1 are connected."
