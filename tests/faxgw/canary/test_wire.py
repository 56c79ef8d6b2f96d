"""XM-14: of a canary that goes to every kind of place, nothing is seen by whoever listens on the way."""

import asyncio
import hashlib
import os
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from faxgw.delivery.carrier import Carrier, File, NotCarried, Parcel
from faxgw.delivery.targets import Target
from faxgw.folders.ftps import FtpsCarrier
from faxgw.folders.local import MARKER, LocalCarrier
from faxgw.folders.s3 import S3Carrier
from faxgw.folders.scp import ScpCarrier
from faxgw.folders.sftp import SftpCarrier
from faxgw.gateway import Gateway
from tests.drivers.sip.authority import Authority
from tests.faxgw.archive.s3 import s3_server
from tests.faxgw.canary.capturing import Capture
from tests.faxgw.canary.searching import Search
from tests.faxgw.canary.specimen import Canary
from tests.faxgw.folders.sending import gateway, target
from tests.faxgw.mail.sending.far_side import far_side, mail
from tests.faxgw.mail.sending.test_postman import OLD, weakened
from tests.interop import proftpd as ftp
from tests.interop.openssh import openssh
from tests.interop.postfix import running
from tests.interop.proftpd import proftpd

pytestmark = pytest.mark.interop

SMARTHOST_PASSWORD = "the-password-of-the-smarthost-is-long"
Peer = Callable[[str], Path]


@pytest.fixture(scope="module")
def canary() -> Canary:
    secrets = {"password of FTPS": ftp.PASSWORD, "password of the smarthost": SMARTHOST_PASSWORD}
    return Canary(int(os.environ["FAXGW_SEED"]), secrets)


@pytest.fixture(scope="module")
def search(canary: Canary) -> Search:
    return canary.search()


@pytest.fixture
def wire() -> Capture:
    """Return a capture, or skip where nobody may look."""
    try:
        with Capture() as tried:
            pass
    except PermissionError:
        if os.environ.get("FAXGW_REQUIRE_PEERS") == "1":
            pytest.fail("only root may look at what goes over loopback", pytrace=False)
        pytest.skip("only root may look at what goes over loopback")
    del tried
    return Capture()


def files(canary: Canary) -> tuple[File, ...]:
    """Return the canary as the files that leave."""
    kinds = {"image/tiff": "tif", "application/pdf": "pdf", "text/plain": "txt"}
    return tuple(
        File(f"fax.{kinds[kind]}", kind, octets, hashlib.sha256(octets).digest())
        for kind, octets in canary.uploads.items()
    )


def seen(wire: Capture, search: Search) -> set[str]:
    """Return the forms of the canary that somebody has seen on the way."""
    return {form for said in wire.said() for form in search.octets(said)}


# ------------------------------------------------------------------------------------------------- the capture sees it


async def test_the_capture_finds_a_canary_that_is_sent_in_clear(wire: Capture, canary: Canary, search: Search) -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    chance = random.Random(canary.seed)
    forms = dict(chance.sample(sorted(canary.forms().items()), 20))
    async with server:
        with wire:
            for octets in forms.values():
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                for at in range(0, len(octets), 500):
                    writer.write(octets[at : at + 500])
                    await writer.drain()
                writer.write_eof()
                await reader.read()
                writer.close()
    assert seen(wire, search) >= set(forms)


# ------------------------------------------------------------------------------------------------------ kinds of places


@dataclass
class Place:
    """Somewhere to carry files.

    Attributes:
        carry: carries them there.
        lies: what has arrived, as octets.
        ports: over which it goes; none: over no network.
    """

    carry: Callable[[Sequence[File]], Awaitable[object]]
    lies: Callable[[], list[bytes]]
    ports: tuple[int, ...]


def lying(folder: Path) -> Callable[[], list[bytes]]:
    return lambda: [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]


def parcel(given: Sequence[File]) -> Parcel:
    return Parcel(uuid4(), uuid4(), tuple(given))


@asynccontextmanager
async def by_ssh(
    peer: Peer, folder: Path, kind: str, made: Callable[[Target, Gateway], Carrier]
) -> AsyncGenerator[Place]:
    with openssh(peer, folder) as sshd:
        settings = {"kind": kind, "host": sshd.host, "port": sshd.port, "user": sshd.user}
        settings |= {"host_keys": [sshd.host_key], "folder": str(sshd.folder)}
        carrier = made(target(settings, private_key=sshd.private_key), gateway())
        yield Place(lambda given: carrier.carry(parcel(given)), lying(sshd.folder), (sshd.port,))


@asynccontextmanager
async def by_ftps(peer: Peer, folder: Path) -> AsyncGenerator[Place]:
    with proftpd(peer, folder) as server:
        settings = {"kind": "ftps", "host": server.host, "port": server.port, "user": server.user}
        carrier = FtpsCarrier(target(settings | {"authorities": server.authority}, password=server.password), gateway())
        yield Place(lambda given: carrier.carry(parcel(given)), lying(server.folder), (server.port,))


@asynccontextmanager
async def into_a_bucket(peer: Peer, folder: Path) -> AsyncGenerator[Place]:
    authority = Authority(folder)
    with s3_server(authority) as store:
        bucket = store.new_bucket()
        settings = {"kind": "s3", "bucket": bucket, "endpoint": store.url, "access_key_id": "id"}
        settings |= {"authorities": authority.ca.read_text()}
        carrier = S3Carrier(target(settings, password=ftp.PASSWORD), gateway())
        lies = lambda: [store.ask("GET", f"/{bucket}/{name}").content for name in ("fax.tif", "fax.txt")]  # noqa: E731
        yield Place(lambda given: carrier.carry(parcel(given)), lies, (int(store.url.rpartition(":")[2]),))


@asynccontextmanager
async def by_postfix(peer: Peer, folder: Path) -> AsyncGenerator[Place]:
    async with far_side(folder) as far:
        with running(peer("postfix"), chain=far.authority.chain("localhost")) as postfix:
            postman = await far.by_smarthost(postfix.port)

            async def carry(given: Sequence[File]) -> object:
                words = given[-1].content.decode()
                sent = replace(mail(), text=words, attachments=tuple(given))
                return await postman.send(sent, protection="require-verified")

            yield Place(carry, lambda: postfix.await_messages(1), (postfix.port,))


@asynccontextmanager
async def into_a_folder(peer: Peer, folder: Path) -> AsyncGenerator[Place]:
    (folder / "out").mkdir()
    (folder / MARKER).touch()
    carrier = LocalCarrier(target({"kind": "local", "folder": str(folder / "out")}), gateway(folders=(folder,)))
    yield Place(lambda given: carrier.carry(parcel(given)), lying(folder / "out"), ())


@asynccontextmanager
async def by_mail(peer: Peer, folder: Path) -> AsyncGenerator[Place]:
    async with far_side(folder) as far:
        host, port = await far.host(extensions=("AUTH PLAIN",), answers={"AUTH": "235 welcome"})
        postman = await far.by_smarthost(port, user="gateway", password=SMARTHOST_PASSWORD)

        async def carry(given: Sequence[File]) -> object:
            words = given[-1].content.decode()
            return await postman.send(
                replace(mail(), text=words, attachments=tuple(given)), protection="require-verified"
            )

        yield Place(carry, lambda: [bytes(host.inside)], (port,))


PLACES: dict[str, Callable[[Peer, Path], Any]] = {
    "mail": by_mail,
    "sftp": lambda peer, folder: by_ssh(peer, folder, "sftp", SftpCarrier),
    "scp": lambda peer, folder: by_ssh(peer, folder, "scp", ScpCarrier),
    "ftps": by_ftps,
    "local": into_a_folder,
    "s3": into_a_bucket,
    "postfix": by_postfix,
}


@pytest_asyncio.fixture(params=PLACES)
async def place(request: pytest.FixtureRequest, peer: Peer, tmp_path: Path) -> AsyncIterator[Place]:
    async with PLACES[request.param](peer, tmp_path) as found:
        yield found


@pytest.mark.requirement("XM-14", "XM-18")
async def test_of_a_fax_on_its_way_nothing_is_seen_and_no_password(
    place: Place, wire: Capture, canary: Canary, search: Search
) -> None:
    with wire:
        await place.carry(files(canary))
    assert {form for octets in place.lies() for form in search.octets(octets)}, "nothing arrived"
    assert all(any(len(said) > 1000 for said in wire.said(port)) for port in place.ports), "nothing was captured"
    assert seen(wire, search) == set()


# ------------------------------------------------------------------------------------------------------- wrong peers


WRONG: dict[str, dict[str, Any]] = {
    "strips STARTTLS": {"strips": True},
    "refuses STARTTLS": {"refuses_tls": "454 4.7.0 TLS not available"},
    "answers STARTTLS with 250": {"refuses_tls": "250 go on"},
    "injects before the handshake": {
        "injected": b"250-far.example\r\n250 AUTH PLAIN\r\n" * 50,
        "hangs_up": "handshake",
    },
}


@pytest.mark.requirement("WF-12", "WF-16")
@pytest.mark.parametrize("wrong", WRONG)
async def test_a_relay_that_does_wrong_is_told_nothing_but_who_calls(
    wrong: str, tmp_path: Path, wire: Capture, canary: Canary, search: Search
) -> None:
    async with far_side(tmp_path) as far:
        how = dict(WRONG[wrong])
        if "context" in how:
            how["context"] = weakened(far.authority.context("localhost"), ciphers="ALL:@SECLEVEL=0", **OLD)
        _, port = await far.host(**how)
        postman = await far.by_smarthost(port, user="gateway", password=SMARTHOST_PASSWORD)
        with wire, pytest.raises(NotCarried):
            await postman.send(replace(mail(), attachments=files(canary)), protection="require-encrypted")
    said = wire.sent_to(port)
    assert said
    assert not {b"MAIL", b"RCPT", b"AUTH", b"DATA"} & set(said.replace(b"\r\n", b" ").split(b" "))
    assert seen(wire, search) == set()
