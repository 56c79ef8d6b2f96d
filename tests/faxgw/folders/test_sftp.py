"""Folders by SFTP: to OpenSSH, and to a server that ends the connection anywhere."""

import random
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import UUID

import asyncssh
import pytest

from faxgw.delivery.carrier import NotProtected, Refused, Unreachable
from faxgw.errors import RequestError
from faxgw.folders.sftp import SftpCarrier
from faxgw.folders.ssh import host_key_of, pinned_keys
from tests.faxgw.folders.sending import (
    CANARY,
    LOOPBACK,
    PASSWORD,
    encrypted_anew,
    gateway,
    lies,
    parcel,
    target,
    varying,
    whole,
)
from tests.faxgw.folders.ssh_server import Server, ssh_server
from tests.interop.openssh import SFTP_SERVER, Sshd, openssh
from tests.interop.proftpd import proftpd
from tests.interop.relay import relay

OTHER_KEY = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with ssh_server(tmp_path) as running:
        yield running


@pytest.fixture(params=["internal-sftp", SFTP_SERVER])
def sshd(peer: Callable[[str], Path], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Sshd]:
    with openssh(peer, tmp_path, sftp=request.param) as running:
        yield running


def to_openssh(sshd: Sshd, **more: object) -> SftpCarrier:
    settings = {
        "kind": "sftp",
        "host": sshd.host,
        "port": sshd.port,
        "user": sshd.user,
        "host_keys": [sshd.host_key],
        "folder": str(sshd.folder),
    }
    return SftpCarrier(target(settings | more, private_key=sshd.private_key), gateway())


def to(server: Server, *, password: str = PASSWORD, timeout: float = 20, **more: object) -> SftpCarrier:
    return SftpCarrier(target(server.settings | more, password=password), gateway(timeout=timeout))


@pytest.mark.interop
async def test_openssh_has_each_file_once_and_whole_however_often_it_is_carried(sshd: Sshd) -> None:
    carrier, fax = to_openssh(sshd), parcel()
    proofs = [await carrier.carry(fax) for _ in range(3)]
    assert lies(sshd.folder) == whole(fax)
    proof = proofs[0]
    assert (proof.protocol, proof.cipher, proof.decision) == ("SSH-2.0", "aes256-gcm@openssh.com", "host-key-pinned")
    assert proof.place == f"sftp://127.0.0.1:{sshd.port}/{sshd.folder}/{fax.files[0].name}"
    assert f"{sshd.user}@" not in proof.place
    assert {each.path for each in proofs} == {proof.path}


@pytest.mark.interop
@pytest.mark.requirement("XM-12")
async def test_what_was_put_down_at_openssh_is_taken_back_with_its_sidecar_once(sshd: Sshd) -> None:
    carrier, fax, other = to_openssh(sshd), parcel(), parcel()
    proof = await carrier.carry(fax)
    await carrier.carry(other)
    assert await carrier.take_back(proof.path, fax.files[0].sha256)
    assert lies(sshd.folder) == whole(other)
    assert not await carrier.take_back(proof.path, fax.files[0].sha256)


@pytest.mark.interop
async def test_what_was_encrypted_anew_takes_the_place_of_what_an_earlier_try_has_put_down(sshd: Sshd) -> None:
    carrier, fax = to_openssh(sshd), parcel()
    for each in (fax, encrypted_anew(fax)):
        await carrier.carry(each)
        assert lies(sshd.folder) == whole(each)


@pytest.mark.interop
async def test_another_file_of_that_name_is_never_replaced_nor_taken_back(sshd: Sshd) -> None:
    carrier, fax = to_openssh(sshd), parcel()
    proof = await carrier.carry(fax)
    (sshd.folder / fax.files[0].name).write_bytes(b"somebody else's")
    with pytest.raises(Refused) as refused:
        await carrier.carry(fax)
    assert refused.value.code == "delivery.exists"
    assert not await carrier.take_back(proof.path, fax.files[0].sha256)
    assert lies(sshd.folder) == {fax.files[0].name: b"somebody else's"}


@pytest.mark.interop
async def test_openssh_can_be_tried_out_and_keeps_nothing_of_it(sshd: Sshd) -> None:
    proof = await to_openssh(sshd).probe()
    assert proof.protocol == "SSH-2.0"
    assert lies(sshd.folder) == {}
    with pytest.raises(Unreachable, match="no such folder"):
        await to_openssh(sshd, folder=f"{sshd.folder}/missing").probe()


@pytest.mark.interop
async def test_a_rename_that_comes_too_late_replaces_nothing(sshd: Sshd) -> None:
    carrier = to_openssh(sshd)
    (sshd.folder / "part").write_bytes(b"ours")
    (sshd.folder / "name").write_bytes(b"theirs")
    async with carrier.open(str(sshd.folder)) as folder:
        assert not await folder.move("part", "name")  # type: ignore[attr-defined]
    assert lies(sshd.folder) == {"part": b"ours", "name": b"theirs"}


@pytest.mark.requirement("XM-18")
async def test_a_host_with_another_key_gets_neither_password_nor_content(server: Server) -> None:
    with pytest.raises(NotProtected) as refused:
        await to(server, host_keys=[OTHER_KEY]).carry(parcel())
    assert refused.value.code == "delivery.host_key"
    assert asyncssh.import_public_key(server.host_key).get_fingerprint() in str(refused.value)
    assert (server.passwords, server.operations, lies(server.folder)) == ([], [], {})


async def test_a_host_with_a_key_of_another_kind_gets_neither(server: Server) -> None:
    rsa = asyncssh.generate_private_key("ssh-rsa", key_size=2048).export_public_key().decode()
    with pytest.raises(NotProtected) as refused:
        await to(server, host_keys=[rsa]).carry(parcel())
    assert refused.value.code == "delivery.ssh"
    assert server.passwords == []


@pytest.mark.parametrize(
    "old",
    [
        {"encryption_algs": ["aes256-cbc"]},
        {"encryption_algs": ["chacha20-poly1305@openssh.com"]},
        {"encryption_algs": ["aes256-ctr"], "mac_algs": ["hmac-sha1"]},
        {"kex_algs": ["diffie-hellman-group14-sha1"]},
        {"kex_algs": ["diffie-hellman-group-exchange-sha256"]},
    ],
)
async def test_a_host_with_old_methods_only_gets_neither(tmp_path: Path, old: dict[str, list[str]]) -> None:
    async with ssh_server(tmp_path, **old) as server:
        with pytest.raises(NotProtected) as refused:
            await to(server).carry(parcel())
        assert refused.value.code == "delivery.ssh"
        assert server.passwords == []


async def test_a_wrong_password_is_refused_for_good(server: Server) -> None:
    with pytest.raises(Refused) as refused:
        await to(server, password="wrong").carry(parcel())
    assert refused.value.code == "delivery.sign_in"
    assert "wrong" not in str(refused.value)


@pytest.mark.interop
@pytest.mark.requirement("XM-14")
async def test_nothing_can_be_read_between_us_and_openssh(sshd: Sshd) -> None:
    async with relay([sshd.port]) as between:
        fax = parcel()
        carrier = to_openssh(sshd, host="127.0.0.2")
        proof = await carrier.carry(fax)
        await carrier.take_back(proof.path, fax.files[0].sha256)
        assert len(between.passed) > 2 * len(fax.files[0].content)
        assert CANARY not in between.passed
        assert fax.files[0].name.encode() not in between.passed


@pytest.mark.slow
async def test_cut_at_any_octet_and_tried_again_each_file_is_there_once_and_whole(
    server: Server, soak_seed: int
) -> None:
    chance, fax = random.Random(soak_seed), parcel()
    async with relay([server.port]) as between:
        carrier = to(server, host="127.0.0.2")
        await carrier.carry(fax)
        assert PASSWORD.encode() not in between.passed
        count, cut = len(between.passed), 0
        for at in sorted(chance.sample(range(count), 60)):
            for path in server.folder.iterdir():
                path.unlink()
            between.begin(ends_at=at)
            try:
                await carrier.carry(fax)
            except Unreachable:
                cut += 1
            between.begin()
            await carrier.carry(fax)
            assert lies(server.folder) == whole(fax), at
        assert cut > 50


async def test_private_addresses_are_not_connected_to_unless_allowed(server: Server) -> None:
    carrier = SftpCarrier(target(server.settings, password=PASSWORD), gateway(private=False))
    with pytest.raises(Refused) as refused:
        await carrier.carry(parcel())
    assert refused.value.code == "delivery.address"
    assert server.passwords == []


@pytest.mark.parametrize("after", [False, pytest.param(True, marks=pytest.mark.slow)])
async def test_cut_at_any_operation_and_tried_again_each_file_is_there_once_and_whole(
    server: Server, after: bool
) -> None:
    carrier, fax = to(server), parcel()
    await carrier.carry(fax)
    count, cut = server.done, 0
    assert count > 10
    server.cut_after = after
    for number in range(count):
        for path in server.folder.iterdir():
            path.unlink()
        server.cut_at, server.done = number, 0
        try:
            await carrier.carry(fax)
        except Unreachable:
            cut += 1
        server.cut_at = None
        await carrier.carry(fax)
        assert lies(server.folder) == whole(fax), (number, server.operations[-30:])
    assert cut >= count // 2  # what the last answers would have said is there is there


@pytest.mark.slow
async def test_cut_at_any_operation_what_is_encrypted_anew_at_every_try_is_there_once_and_whole(server: Server) -> None:
    carrier, number, cut = to(server), 0, True
    while cut:
        first, second = (varying(parcel(parcel_id=UUID(int=7)), chance) for chance in (b"1", b"2"))
        server.cut_at, server.done = number, 0
        try:
            await carrier.carry(first)
            cut = False
        except Unreachable:
            number += 1
        server.cut_at = None
        proof = await carrier.carry(second)
        assert lies(server.folder) == whole(second), number
        assert await carrier.take_back(proof.path, second.files[0].sha256)
        assert lies(server.folder) == {}
    assert number > 10


async def test_cut_at_any_operation_of_taking_back_nothing_is_left_after_the_next_try(server: Server) -> None:
    carrier, fax = to(server), parcel()
    proof = await carrier.carry(fax)
    server.done = 0
    assert await carrier.take_back(proof.path, fax.files[0].sha256)
    for number in range(server.done):
        await carrier.carry(fax)
        server.cut_at, server.done = number, 0
        with pytest.raises(Unreachable):
            await carrier.take_back(proof.path, fax.files[0].sha256)
        server.cut_at = None
        await carrier.take_back(proof.path, fax.files[0].sha256)
        assert lies(server.folder) == {}


async def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        settings = {
            "kind": "sftp",
            "host": "127.0.0.1",
            "port": deaf.getsockname()[1],
            "user": "fax",
            "host_keys": [OTHER_KEY],
        }
        carrier = SftpCarrier(target(settings), gateway(timeout=5))
        carrier.rules = carrier.rules.model_copy(update={"timeout": 0.2})
        with pytest.raises(Unreachable) as late:
            await carrier.carry(parcel())
    assert late.value.code == "delivery.timeout"


async def test_the_key_that_a_host_shows_is_told_to_be_compared(server: Server) -> None:
    found = await host_key_of("127.0.0.1", server.port, allowed=(LOOPBACK,))
    assert found.line == server.host_key
    assert found.fingerprint == asyncssh.import_public_key(server.host_key).get_fingerprint()
    assert pinned_keys([f"host.example,10.0.0.1 {found.line} a comment"]) == pinned_keys([found.line])
    with pytest.raises(Refused):
        await host_key_of("127.0.0.1", server.port, allowed=())


@pytest.mark.parametrize(
    "line",
    ["", "ssh-dss AAAA", "ssh-ed25519 AAAA", "@cert-authority * " + OTHER_KEY],
    ids=["nothing", "DSA", "cut off", "an authority"],
)
def test_what_is_no_host_key_is_not_pinned(line: str) -> None:
    with pytest.raises(RequestError) as refused:
        pinned_keys([line])
    assert refused.value.code == "target.host_keys"


def test_nothing_is_not_everything() -> None:
    with pytest.raises(RequestError):
        pinned_keys([])


@pytest.mark.interop
async def test_proftpd_has_each_file_once_and_whole_and_its_rename_replaces_nothing(
    peer: Callable[[str], Path], tmp_path: Path
) -> None:
    with proftpd(peer, tmp_path, sftp=True) as running:
        settings = {"kind": "sftp", "host": running.host, "port": running.port, "user": running.user}
        carrier = SftpCarrier(target(settings | {"host_keys": [running.host_key]}, password=PASSWORD), gateway())
        fax = parcel()
        proofs = [await carrier.carry(fax) for _ in range(2)]
        assert lies(running.folder) == whole(fax)
        (running.folder / "part").write_bytes(b"ours")
        async with carrier.open("") as folder:
            assert not await folder.move("part", fax.files[0].name)  # type: ignore[attr-defined]
        (running.folder / "part").unlink()
        assert lies(running.folder) == whole(fax)
        assert await carrier.take_back(proofs[0].path, fax.files[0].sha256)
        await carrier.probe()
        assert lies(running.folder) == {}
