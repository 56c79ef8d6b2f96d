"""What a drop box does not do: other paths, other orders, other requests, more than its share."""

import asyncio
from contextlib import AsyncExitStack, suppress

import asyncssh
import pytest
from asyncssh.constants import (
    FXF_CREAT,
    FXF_EXCL,
    FXF_WRITE,
    FXP_LINK,
    FXP_READLINK,
    FXP_SYMLINK,
)
from pydantic import ByteSize

from faxgw.config.folders import SftpSettings
from faxgw.config.model import MIB, ApiSettings
from faxgw.dropbox.folder import MOST_OPEN
from faxgw.dropbox.server import CIPHERS
from faxgw.dropbox.sftp import MOST_LISTINGS, SERVED, FolderServer
from faxgw.dropbox.writing import AHEAD
from tests.faxgw.devices.making import change
from tests.faxgw.dropbox.clients import SIDECAR, Box, document, put

PIECE = 16 * 1024
OTHERS = [
    *(
        "/etc/passwd",
        "../../etc/passwd",
        "/results/x.pdf",
        "results",
        "/",
        "",
        "folder/letter.pdf",
        "a\0b.pdf",
        "a\nb.pdf",
    ),
    *("letter.error.txt", "letter.result.json", "a\\b.pdf", "x" * 300, "\udcff.pdf", "results/../../letter/x.pdf"),
]


async def test_nothing_is_written_but_files_of_the_folder_itself(box: Box) -> None:
    async with box.connected() as connection, connection.start_sftp_client(path_encoding=None) as client:
        for path in OTHERS:
            octets = path.encode("utf-8", "surrogateescape")
            with pytest.raises(asyncssh.SFTPError):
                async with client.open(octets, "wb") as file:
                    await file.write(SIDECAR)
            with pytest.raises(asyncssh.SFTPError):
                await client.rename(b"letter.pdf", octets)
    assert await box.left() == {}


async def test_paths_lead_nowhere_but_into_the_folder(box: Box) -> None:
    async with box.sftp() as client:
        for path, real in (("..", "/"), ("results/../..", "/"), ("/x/../results", "/results"), ("a//b", "/a/b")):
            assert await client.realpath(path) == real
        for path in ("/etc", "/etc/passwd", "results/x.result.json", "/proc/self/environ"):
            assert not await client.exists(path)
            with pytest.raises(asyncssh.SFTPNoSuchFile):
                await client.listdir(path)


def test_only_requests_of_the_list_are_answered_and_all_that_asyncssh_serves_from_files_are_its_own() -> None:
    everything = set(asyncssh.sftp.SFTPServerHandler._packet_handlers)
    assert everything - set(SERVED) == {
        *(FXP_READLINK, FXP_SYMLINK, FXP_LINK, 22, 23),  # 22 and 23: locks of version 6
        *(b"statvfs@openssh.com", b"fstatvfs@openssh.com", b"hardlink@openssh.com", b"lsetstat@openssh.com"),
        *(b"limits@openssh.com", b"copy-data", b"ranges@asyncssh.com"),
    }
    inherited = {
        "channel",
        "connection",
        "convert_attrs",
        "env",
        "format_longname",
        "logger",
        "map_path",
        "reverse_map_path",
    }
    unserved = {"link", "lock", "open56", "readlink", "statvfs", "fstatvfs", "symlink", "unlock", "lsetstat"}
    public = {name for name in dir(asyncssh.SFTPServer) if not name.startswith("_")}
    own = {name for name in public if getattr(FolderServer, name) is not getattr(asyncssh.SFTPServer, name)}
    assert public - own <= inherited | unserved


async def test_links_folders_and_lengths_are_refused(box: Box) -> None:
    async with box.sftp() as client:
        await put(client, "letter.tif", document())
        asked = [
            client.symlink("/etc/passwd", "link.txt"),
            client.link("/etc/passwd", "link.txt"),
            client.readlink("letter.tif"),
            client.mkdir("folder"),
            client.rmdir("results"),
            client.statvfs("/"),
            client.truncate("letter.tif", 10),
            client.remove("other.tif"),
        ]
        for each in asked:
            with pytest.raises(asyncssh.SFTPError):
                await each


async def test_a_file_is_written_once_from_its_beginning_to_its_end(box: Box) -> None:
    letter = document(3)
    async with box.sftp() as client:
        file = await client.open("+15550100.tif", "wb")  # as clients do that have many writes under way
        for offset in (300, 100, 200, 0):
            await file.write(letter[offset : offset + 100], offset)
        await file.write(letter[400:], 400)
        await file.close()
        assert len(await box.faxes()) == 1
        for name, offset in (("gap.tif", 10), ("far.tif", AHEAD), ("huge.tif", 2**40)):
            file = await client.open(name, "wb")
            with pytest.raises(asyncssh.SFTPError, match=r"once|octets"):
                await file.write(letter, offset)
                await file.close()
        file = await client.open("twice.tif", "wb")
        await file.write(letter, 0)
        with pytest.raises(asyncssh.SFTPOpUnsupported, match="once"):
            await file.write(letter, 0)
        with pytest.raises(asyncssh.SFTPError):
            await file.close()
        with pytest.raises(asyncssh.SFTPOpUnsupported, match="appended"):
            await client.open("+15550100.tif", "ab")
        with pytest.raises(asyncssh.SFTPNoSuchFile):
            await client.open("none.tif", FXF_WRITE)
        await put(client, "there.tif", letter)
        with pytest.raises(asyncssh.SFTPPermissionDenied):
            await client.open("there.tif", FXF_WRITE | FXF_CREAT | FXF_EXCL)
    assert len(await box.faxes()) == 1


async def test_floods_of_opens_and_listings_are_bounded(box: Box) -> None:
    async with box.sftp() as client:
        files = [await client.open(f"{n}.pdf", "wb") for n in range(MOST_OPEN)]
        with pytest.raises(asyncssh.SFTPFailure, match="at once"):
            await client.open("more.pdf", "wb")
        for file in files:
            await file.write(b"%")
    async with box.sftp() as client:
        for n in range(MOST_OPEN):
            await put(client, f"{n}.part", b"x")
        with pytest.raises(asyncssh.SFTPFailure, match="renamed"):
            await put(client, "more.part", b"x")
        handler = client._handler
        handles = [await handler.opendir(b"/") for _ in range(MOST_LISTINGS + 5)]
        for handle in handles[:MOST_LISTINGS]:
            assert await handler.readdir(handle)


async def test_there_is_no_shell_no_command_no_terminal_and_no_way_through(box: Box) -> None:
    async with box.connected() as connection:
        for command in (None, "id", "scp -f /etc/passwd", "scp -t a b", "scp -S sh -t .", "scp -t '", "scp;id"):
            try:
                done = await connection.run(command, encoding=None)
            except asyncssh.ChannelOpenError:
                continue
            assert (done.exit_status, "root" in str(done.stdout)) == (1, False), command
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.run("scp -t .", term_type="xterm", subsystem="shell")
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection("127.0.0.1", box.port)
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", 1)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_unix_connection("/tmp/x")


async def test_only_one_cipher_and_modern_key_exchanges_are_spoken(box: Box) -> None:
    async with box.connected() as connection:
        assert (connection.get_extra_info("send_cipher"),) == CIPHERS
    old: list[dict[str, list[str]]] = [
        {"encryption_algs": ["chacha20-poly1305@openssh.com", "aes128-ctr"]},
        {"kex_algs": ["diffie-hellman-group14-sha1", "diffie-hellman-group14-sha256"]},
    ]
    for each in old:
        with pytest.raises(asyncssh.KeyExchangeFailed):
            async with box.connected(**each):
                pass


async def test_wrong_secrets_end_the_connection_and_unknown_logins_are_told_nothing_else(box: Box) -> None:
    for login, secret in ((box.device.login, "fgd_wrong"), ("fax-nobody", box.secret), ("-", "-")):
        with pytest.raises(asyncssh.PermissionDenied) as refused:
            async with box.connected(username=login, password=secret):
                pass
        assert str(refused.value) == f"Permission denied for user {login} on host 127.0.0.1"

    class Stubborn(asyncssh.SSHClient):
        tries = 0

        def password_auth_requested(self) -> str:
            Stubborn.tries += 1
            return "fgd_wrong"

    with pytest.raises(asyncssh.Error):
        async with box.connected(password=None, client_factory=Stubborn):
            pass
    assert Stubborn.tries == 3


async def test_a_device_that_was_revoked_drops_nothing_more_even_if_it_is_connected(box: Box) -> None:
    async with box.sftp() as client:
        await change(box.gateway, box.device.login, enabled=False)
        with pytest.raises(asyncssh.SFTPPermissionDenied, match="any more"):
            await put(client, "+15550100.tif", document())
    with pytest.raises(asyncssh.PermissionDenied):
        async with box.sftp():
            pass
    assert await box.left() == {}


class TestLimits:
    """With settings of its own."""

    @pytest.fixture
    def sftp(self) -> SftpSettings:
        """Let two come from one address, and err twice."""
        return SftpSettings(port=0, connections_per_address=2, failures_per_minute=2)

    async def test_so_many_connect_from_one_address_and_no_more(self, box: Box) -> None:
        async with AsyncExitStack() as all_of_them:
            for _ in range(2):
                await all_of_them.enter_async_context(box.connected())
            with pytest.raises((asyncssh.ConnectionLost, OSError)):
                await all_of_them.enter_async_context(box.connected())
        async with box.connected() as connection:
            sessions = [await connection.start_sftp_client() for _ in range(4)]
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.start_sftp_client()
            sessions[0].exit()
            await sessions[0].wait_closed()
            await connection.start_sftp_client()

    async def test_who_errs_too_often_is_not_let_in_with_the_right_secret_either(self, box: Box) -> None:
        for _ in range(2):
            with pytest.raises(asyncssh.PermissionDenied):
                async with box.connected(password="fgd_wrong"):
                    pass
        with pytest.raises(asyncssh.PermissionDenied):
            async with box.connected():
                pass


class TestNetworks:
    """With networks that are not ours."""

    @pytest.fixture
    def sftp(self) -> SftpSettings:
        """Let nobody in who is here."""
        return SftpSettings.model_validate({"port": 0, "allowed": ["192.0.2.0/24"]})

    @pytest.mark.requirement("WF-03")
    async def test_from_other_networks_nobody_hears_as_much_as_a_greeting(self, box: Box) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", box.port)
        writer.write(b"SSH-2.0-test\r\n")
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()


class TestSize:
    """Where documents may have a megabyte."""

    @pytest.fixture
    def settings(self) -> ApiSettings:
        """Take no more than that."""
        return ApiSettings(max_body=ByteSize(MIB))

    async def test_what_is_too_large_is_refused_while_it_comes_and_nothing_of_it_stays(self, box: Box) -> None:
        async with box.sftp() as client:
            file = await client.open("+15550100.tif", "wb")
            for n in range(MIB // PIECE):
                await file.write(bytes(PIECE), n * PIECE)
            with pytest.raises(asyncssh.SFTPFailure, match="1,048,576 octets"):
                await file.write(b"x", MIB)
            with pytest.raises(asyncssh.SFTPFailure, match="1,048,576 octets"):
                await file.close()
            assert box.server._shared.memory.held == 0
            assert await box.left() == {"drops": 1}
            async with client.open("+15550100.error.txt", "rb") as told:
                assert "1,048,576 octets" in str(await told.read())
