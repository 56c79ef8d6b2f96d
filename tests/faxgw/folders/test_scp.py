"""Folders by SCP: to OpenSSH with and without SFTP, a shell and scp, cut anywhere."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from faxgw.delivery.carrier import NotProtected, Refused, Unreachable
from faxgw.folders.scp import ScpCarrier
from tests.faxgw.folders.sending import CANARY, encrypted_anew, gateway, lies, parcel, target, whole
from tests.faxgw.folders.test_sftp import OTHER_KEY
from tests.interop.openssh import Sshd, openssh
from tests.interop.relay import relay

pytestmark = pytest.mark.interop


@pytest.fixture
def sshd(peer: Callable[[str], Path], tmp_path: Path) -> Iterator[Sshd]:
    peer("scp")
    with openssh(peer, tmp_path, sftp="") as running:
        yield running


def to(sshd: Sshd, **more: Any) -> ScpCarrier:
    settings = {
        "kind": "scp",
        "host": sshd.host,
        "port": sshd.port,
        "user": sshd.user,
        "host_keys": [sshd.host_key],
        "folder": str(sshd.folder),
    }
    return ScpCarrier(target(settings | more, private_key=sshd.private_key), gateway())


@pytest.mark.requirement("XM-12", "XM-18")
async def test_each_file_is_there_once_and_whole_and_can_be_taken_back(sshd: Sshd) -> None:
    folder = sshd.folder / "a folder; touch 'x' $(reboot)"
    folder.mkdir()
    carrier, fax = to(sshd, folder=str(folder)), parcel()
    proofs = [await carrier.carry(fax) for _ in range(2)]
    assert lies(folder) == whole(fax)
    assert (proofs[0].protocol, proofs[0].cipher) == ("SSH-2.0", "aes256-gcm@openssh.com")
    assert proofs[0].place.startswith(f"scp://127.0.0.1:{sshd.port}//")
    assert await carrier.take_back(proofs[0].path, fax.files[0].sha256)
    assert not await carrier.take_back(proofs[0].path, fax.files[0].sha256)
    await carrier.probe()
    assert (lies(folder), [path.name for path in sshd.folder.iterdir()]) == ({}, [folder.name])


async def test_what_was_encrypted_anew_takes_the_place_of_what_an_earlier_try_has_put_down(sshd: Sshd) -> None:
    carrier, fax = to(sshd), parcel()
    for each in (fax, encrypted_anew(fax)):
        await carrier.carry(each)
        assert lies(sshd.folder) == whole(each)


async def test_another_file_of_that_name_is_neither_replaced_nor_taken_back(sshd: Sshd) -> None:
    carrier, fax = to(sshd), parcel()
    proof = await carrier.carry(fax)
    (sshd.folder / fax.files[0].name).write_bytes(b"somebody else's")
    with pytest.raises(Refused) as refused:
        await carrier.carry(fax)
    assert refused.value.code == "delivery.exists"
    assert not await carrier.take_back(proof.path, fax.files[0].sha256)
    (sshd.folder / "part").write_bytes(b"ours")
    async with carrier.open(str(sshd.folder)) as folder:
        assert not await folder.move("part", fax.files[0].name)  # type: ignore[attr-defined]
    assert lies(sshd.folder) == {fax.files[0].name: b"somebody else's", "part": b"ours"}


@pytest.mark.parametrize("forced", ["scp -t .", "internal-sftp"])
async def test_where_there_is_no_shell_nothing_is_sent(
    peer: Callable[[str], Path], tmp_path: Path, forced: str
) -> None:
    with openssh(peer, tmp_path, sftp="", more=f"ForceCommand {forced}") as sshd:
        with pytest.raises(Refused) as refused:
            await to(sshd).carry(parcel())
        assert refused.value.code == "delivery.no_shell"
        assert lies(sshd.folder) == {}


async def test_a_folder_that_is_not_there_may_be_there_later(sshd: Sshd) -> None:
    with pytest.raises(Unreachable) as missing:
        await to(sshd, folder=f"{sshd.folder}/missing").carry(parcel())
    assert missing.value.code == "delivery.folder"


@pytest.mark.requirement("XM-18")
async def test_a_host_with_another_key_gets_nothing(sshd: Sshd) -> None:
    with pytest.raises(NotProtected) as refused:
        await to(sshd, host_keys=[OTHER_KEY]).carry(parcel())
    assert refused.value.code == "delivery.host_key"
    assert "Accepted" not in sshd.log.read_text()


@pytest.mark.slow
async def test_cut_at_any_octet_and_tried_again_each_file_is_there_once_and_whole(sshd: Sshd, soak_seed: int) -> None:
    chance, fax = random.Random(soak_seed), parcel()
    async with relay([sshd.port]) as between:
        carrier = to(sshd, host="127.0.0.2")
        await carrier.carry(fax)
        assert CANARY not in between.passed
        count, cut = len(between.passed), 0
        for at in sorted(chance.sample(range(count), 15)):
            for path in sshd.folder.iterdir():
                path.unlink()
            between.begin(ends_at=at)
            try:
                await carrier.carry(fax)
            except Unreachable:
                cut += 1
            between.begin()
            await carrier.carry(fax)
            assert lies(sshd.folder) == whole(fax), at
        assert cut > 12
