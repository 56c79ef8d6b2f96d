"""OpenSSH's own clients: sftp, scp over SFTP, scp as it was before."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, update

from faxgw.dropbox.hostkey import private_text, public_text
from faxgw.store.tables import faxes
from tests.faxgw.devices.making import change, row_of
from tests.faxgw.dropbox.clients import SIDECAR, Box, document

Peer = Callable[[str], Path]

pytestmark = pytest.mark.interop


def files(folder: Path) -> None:
    """Lay down a letter of some length and its sidecar."""
    (folder / "letter.tif").write_bytes(document(30))
    (folder / "letter.json").write_bytes(SIDECAR)


async def test_sftp_puts_a_pair_down_and_fetches_its_result(box: Box, peer: Peer) -> None:
    files(box.folder)
    said = "put letter.tif\nput letter.json\nls -l\nls results\n"
    assert (await box.openssh(peer, "sftp", "-b", "-", "HOST", text=said))[0] == 0
    (fax,) = await box.faxes()
    assert fax.pages == 30
    async with box.gateway.database.dispatcher() as connection:
        over = {"state": "failed", "reason_code": "call.busy", "finished_at": func.now()}
        await connection.execute(update(faxes).values(over))
    said = "ls -l results\nget results/letter.result.json\nrm results/letter.result.json\n"
    status, told = await box.openssh(peer, "sftp", "-b", "-", "HOST", text=said)
    assert (status, "letter.result.json" in told) == (0, True), told
    result = json.loads((box.folder / "letter.result.json").read_bytes())
    assert (result["fax"], result["state"], result["pages"]) == (str(fax.id), "failed", 30)
    assert result["reason"]["code"] == "call.busy"
    assert (await box.openssh(peer, "sftp", "-b", "-", "HOST", text=said))[0] == 1


@pytest.mark.parametrize("how", [(), ("-O",), ("-p",), ("-O", "-p")], ids=" ".join)
async def test_scp_puts_a_pair_down_and_ends_with_0(box: Box, peer: Peer, how: tuple[str, ...]) -> None:
    files(box.folder)
    for words in (("letter.json", "letter.tif", "HOST:"), ("letter.tif", "HOST:/+15550101_again.tif")):
        status, said = await box.openssh(peer, "scp", *how, *words)
        assert status == 0, said
    assert [(fax.to_number, fax.pages) for fax in await box.faxes()] == [("+15550100", 30), ("+15550101", 30)]


@pytest.mark.parametrize("how", [(), ("-O",)], ids=" ".join)
async def test_scp_of_what_is_refused_does_not_end_with_0(box: Box, peer: Peer, how: tuple[str, ...]) -> None:
    (box.folder / "letter.tif").write_bytes(b"II*\0 no TIFF")
    (box.folder / "+15550100.json").write_bytes(b"{")
    for name in ("letter.tif", "+15550100.json"):
        status, _ = await box.openssh(peer, "scp", *how, name, "HOST:")
        assert status == 1
    status, _ = await box.openssh(peer, "scp", *how, "-r", str(box.folder), "HOST:")
    assert status == 1
    assert await box.faxes() == []


async def test_a_host_key_that_is_not_ours_is_found_out_by_the_client(box: Box, peer: Peer) -> None:
    files(box.folder)
    other = public_text(Ed25519PrivateKey.generate())
    known = f"[127.0.0.1]:{box.port} {other}\n"
    status, _ = await box.openssh(peer, "sftp", "-b", "-", "HOST", text="put letter.tif\n", known=known)
    assert status != 0
    assert await box.left() == {}


async def test_a_device_with_a_key_of_its_own_needs_no_secret(box: Box, peer: Peer) -> None:
    files(box.folder)
    for name in ("own", "other"):
        key = Ed25519PrivateKey.generate()
        (box.folder / name).write_bytes(private_text(key))
        (box.folder / name).chmod(0o600)
        if name == "own":
            await change(box.gateway, box.device.login, ssh_key=public_text(key))
    put = "put letter.tif +15550100.tif\n"
    assert (await box.openssh(peer, "sftp", "-b", "-", "HOST", text=put, key=box.folder / "other"))[0] != 0
    assert (await box.openssh(peer, "sftp", "-b", "-", "HOST", text=put, key=box.folder / "own"))[0] == 0
    assert len(await box.faxes()) == 1
    seen = await row_of(box.gateway, box.device.login)
    assert seen["seen_tls"] == "SSH-2.0 aes256-gcm@openssh.com"
    await change(box.gateway, box.device.login, networks=["192.0.2.0/24"])
    assert (await box.openssh(peer, "sftp", "-b", "-", "HOST", text=put, key=box.folder / "own"))[0] != 0
