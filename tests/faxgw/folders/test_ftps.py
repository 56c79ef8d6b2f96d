"""Folders by FTP over TLS: to ProFTPD, and to servers that will not protect anything."""

import asyncio
import random
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from faxgw.delivery.carrier import NotProtected, Refused, Unreachable
from faxgw.folders.ftps import FtpsCarrier
from tests.drivers.sip.authority import Authority
from tests.faxgw.folders.ftp_server import FtpServer, ftp_server
from tests.faxgw.folders.sending import CANARY, PASSWORD, encrypted_anew, gateway, lies, parcel, target, whole
from tests.interop.proftpd import Proftpd, proftpd
from tests.interop.relay import relay

KINDS: dict[str, dict[str, Any]] = {
    "TLS 1.3": {"protocols": "TLSv1.3"},
    "TLS 1.2": {"protocols": "TLSv1.2", "overwrite": False},
    "implicit": {"implicit": True},
}


@pytest.fixture(params=KINDS)
def server(peer: Callable[[str], Path], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Proftpd]:
    with proftpd(peer, tmp_path, **KINDS[request.param]) as running:
        yield running


@pytest.fixture
def usual(peer: Callable[[str], Path], tmp_path: Path) -> Iterator[Proftpd]:
    with proftpd(peer, tmp_path) as running:
        yield running


def to(server: Proftpd, *, password: str = PASSWORD, implicit: bool = False, **more: Any) -> FtpsCarrier:
    settings = {
        "kind": "ftps",
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "authorities": server.authority,
        "implicit": implicit,
    }
    return FtpsCarrier(target(settings | more, password=password), gateway())


@pytest.mark.interop
@pytest.mark.requirement("XM-12", "XM-18")
async def test_proftpd_has_each_file_once_and_whole_however_often_it_is_carried(
    server: Proftpd, request: pytest.FixtureRequest
) -> None:
    kind = request.node.callspec.params["server"]
    carrier, fax = to(server, implicit=kind == "implicit"), parcel()
    proofs = [await carrier.carry(fax) for _ in range(3)]
    assert lies(server.folder) == whole(fax)
    assert proofs[0].protocol == ("TLSv1.2" if kind == "TLS 1.2" else "TLSv1.3")
    assert "GCM" in proofs[0].cipher
    assert proofs[0].place == f"ftps://127.0.0.1:{server.port}/{fax.files[0].name}"
    assert await carrier.take_back(proofs[0].path, fax.files[0].sha256)
    assert lies(server.folder) == {}
    assert not await carrier.take_back(proofs[0].path, fax.files[0].sha256)
    await carrier.probe()
    assert lies(server.folder) == {}


@pytest.mark.interop
async def test_what_was_encrypted_anew_takes_the_place_of_what_an_earlier_try_has_put_down(usual: Proftpd) -> None:
    carrier, fax = to(usual), parcel()
    for each in (fax, encrypted_anew(fax)):
        await carrier.carry(each)
        assert lies(usual.folder) == whole(each)


@pytest.mark.interop
async def test_another_file_of_that_name_is_neither_replaced_nor_taken_back(usual: Proftpd) -> None:
    carrier, fax = to(usual, folder="in"), parcel()
    with pytest.raises(Unreachable, match="no such folder"):
        await carrier.carry(fax)
    (folder := usual.folder / "in").mkdir()
    proof = await carrier.carry(fax)
    (folder / fax.files[0].name).write_bytes(b"somebody else's")
    with pytest.raises(Refused) as refused:
        await carrier.carry(fax)
    assert refused.value.code == "delivery.exists"
    assert not await carrier.take_back(proof.path, fax.files[0].sha256)
    assert lies(folder) == {fax.files[0].name: b"somebody else's"}


@pytest.mark.interop
async def test_a_wrong_password_is_refused_for_good(usual: Proftpd) -> None:
    with pytest.raises(Refused) as refused:
        await to(usual, password="wrong").carry(parcel())
    assert refused.value.code == "delivery.sign_in"


@pytest.mark.interop
@pytest.mark.requirement("XM-14")
async def test_nothing_can_be_read_between_us_and_proftpd(usual: Proftpd) -> None:
    async with relay([usual.port, *usual.passive]) as between:
        fax = parcel()
        proof = await to(usual, host="127.0.0.2").carry(fax)
        await to(usual, host="127.0.0.2").take_back(proof.path, fax.files[0].sha256)
        assert len(between.passed) > 2 * len(fax.files[0].content)
        for secret in (CANARY, PASSWORD.encode(), fax.files[0].name.encode()):
            assert secret not in between.passed


@pytest.mark.interop
@pytest.mark.slow
async def test_cut_at_any_octet_and_tried_again_each_file_is_there_once_and_whole(
    usual: Proftpd, soak_seed: int
) -> None:
    chance, fax = random.Random(soak_seed), parcel()
    async with relay([usual.port, *usual.passive]) as between:
        carrier = to(usual, host="127.0.0.2")
        await carrier.carry(fax)
        count, cut = len(between.passed), 0
        for at in sorted(chance.sample(range(count), 12)):
            for path in usual.folder.iterdir():
                path.unlink()
            between.begin(ends_at=at)
            try:
                await carrier.carry(fax)
            except Unreachable:
                cut += 1
            between.begin()
            await carrier.carry(fax)
            assert lies(usual.folder) == whole(fax), at
        assert cut > 9


def to_scripted(server: FtpServer, authority: Authority, **more: Any) -> FtpsCarrier:
    settings = {"kind": "ftps", "host": "127.0.0.1", "port": server.port, "user": "fax"}
    settings |= {"authorities": authority.ca.read_text()}
    return FtpsCarrier(target(settings | more, password=PASSWORD), gateway())


def shown(authority: Authority, folder: Path, name: str = "127.0.0.1") -> ssl.SSLContext:
    """Return the TLS of a server with a certificate for this name."""
    authority.sign(folder / "cert.pem", folder / "key.pem", name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@pytest.mark.requirement("XM-18")
async def test_a_server_of_plain_ftp_hears_that_it_should_protect_and_nothing_else(tmp_path: Path) -> None:
    async with ftp_server({"AUTH": "502 what is that"}) as server:
        with pytest.raises(NotProtected) as refused:
            await to_scripted(server, Authority(tmp_path)).carry(parcel())
    assert refused.value.code == "delivery.tls"
    assert server.heard == ["AUTH TLS"]


@pytest.mark.requirement("XM-18")
@pytest.mark.parametrize(
    ("answers", "signed_in"),
    [
        ({"PROT": "536 files go in clear"}, False),
        ({"PBSZ": "500 what is that"}, False),
        ({"PROT": "530 sign in first"}, True),
        ({"AUTH": "234 go on\r\n200 injected\r\n200 injected", "PROT": "536 files go in clear"}, False),
    ],
)
async def test_a_server_that_does_not_protect_files_gets_none(
    tmp_path: Path, answers: dict[str, str], signed_in: bool
) -> None:
    authority = Authority(tmp_path)
    async with ftp_server(answers, context=shown(authority, tmp_path)) as server:
        with pytest.raises(NotProtected) as refused:
            await to_scripted(server, authority).carry(parcel())
    assert refused.value.code == "delivery.tls"
    verbs = {line.partition(" ")[0] for line in server.heard}
    assert ("PASS" in verbs) == signed_in
    assert not verbs & {"STOR", "EPSV", "PASV", "CWD"}


@pytest.mark.requirement("XM-18")
@pytest.mark.parametrize("believed", [True, False])
async def test_a_server_with_the_wrong_certificate_hears_nothing_else(tmp_path: Path, believed: bool) -> None:
    (other := tmp_path / "other").mkdir()
    authority, name = Authority(tmp_path), "elsewhere.example" if believed else "127.0.0.1"
    async with ftp_server(context=shown(authority, tmp_path, name)) as server:
        with pytest.raises(NotProtected) as refused:
            await to_scripted(server, authority if believed else Authority(other)).carry(parcel())
    assert refused.value.code == "delivery.certificate"
    assert server.heard == ["AUTH TLS"]


@pytest.mark.requirement("XM-18")
async def test_a_way_for_files_that_leads_to_somebody_else_gets_none(tmp_path: Path) -> None:
    authority, given = Authority(tmp_path), bytearray()
    (other := tmp_path / "other").mkdir()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            given.extend(await reader.read())
        writer.transport.abort()

    elsewhere = await asyncio.start_server(take, "127.0.0.1", 0, ssl=shown(authority, other))
    answers = {
        "EPSV": f"229 (|||{elsewhere.sockets[0].getsockname()[1]}|)",
        "RETR": "550 no",
        "NLST": "150 go on",
        "STOR": "150 go on",
    }
    async with elsewhere, ftp_server(answers, context=shown(authority, tmp_path)) as server:
        with pytest.raises(NotProtected) as refused:
            await to_scripted(server, authority).carry(parcel())
    assert refused.value.code == "delivery.certificate"
    assert given == b""


@pytest.mark.parametrize("old", ["TLS 1.1", "CBC"])
async def test_a_server_with_old_tls_only_hears_nothing_else(tmp_path: Path, old: str) -> None:
    authority = Authority(tmp_path)
    context = shown(authority, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.maximum_version = ssl.TLSVersion.TLSv1_1 if old == "TLS 1.1" else ssl.TLSVersion.TLSv1_2
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ECDHE+AES:!AESGCM:!AESCCM:@SECLEVEL=0")
    async with ftp_server(context=context) as server:
        with pytest.raises((NotProtected, Unreachable)):  # the other side may end the handshake without a word
            await to_scripted(server, authority).carry(parcel())
    assert server.heard == ["AUTH TLS"]


async def test_the_certificate_itself_may_be_what_is_believed(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with ftp_server({"CWD": "550 no"}, context=shown(authority, tmp_path)) as server:
        itself = (tmp_path / "cert.pem").read_text()
        with pytest.raises(Unreachable, match="no such folder"):
            await to_scripted(server, authority, authorities=itself, folder="in").probe()
    assert f"PASS {PASSWORD}" in server.heard


async def test_a_server_that_talks_without_end_is_given_up(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    endless = "211-" + "\r\n more" * 150_000
    async with ftp_server({"FEAT": endless}, context=shown(authority, tmp_path)) as server:
        with pytest.raises(Unreachable) as given_up:
            await to_scripted(server, authority).probe()
    assert given_up.value.code == "delivery.cut"


async def test_a_server_that_falls_silent_is_given_up_in_time_and_no_thread_waits_for_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with ftp_server({"FEAT": "211-and"}, context=shown(authority, tmp_path)) as server:
        carrier = to_scripted(server, authority)
        carrier.rules = carrier.rules.model_copy(update={"timeout": 0.5})
        with pytest.raises(Unreachable) as late:
            await carrier.carry(parcel())
    assert late.value.code == "delivery.timeout"
    for thread in [each for each in threading.enumerate() if each.name == "folder"]:
        thread.join(1.0)
        assert not thread.is_alive()


async def test_private_addresses_are_not_connected_to_unless_allowed(tmp_path: Path) -> None:
    async with ftp_server() as server:
        carrier = to_scripted(server, Authority(tmp_path))
        carrier.rules = carrier.rules.model_copy(update={"allow_private": ()})
        with pytest.raises(Refused) as refused:
            await carrier.carry(parcel())
    assert refused.value.code == "delivery.address"
    assert server.connections == 0
