"""Whatever is cut off before it was closed leaves nothing behind: no row, no object, no fax."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import product

import asyncssh
from asyncssh.constants import FXP_WRITE

from faxgw.dropbox.writing import SMALL
from tests.faxgw.dropbox.clients import Box, document, put
from tests.faxgw.lines.conftest import seen

LONG = b"x" * (SMALL + 100_000)
Cut = Callable[[asyncssh.SSHClientConnection, asyncssh.SFTPClient], Awaitable[None]]


async def nothing_left(box: Box) -> None:
    """Wait until nothing is left, and nobody connected."""

    async def nothing() -> bool:
        return box.server.connections == 0 and await box.left() == {}

    await seen(nothing, within=10)


async def abort(connection: asyncssh.SSHClientConnection, client: asyncssh.SFTPClient) -> None:
    """Cut the connection without a word."""
    del client
    connection.abort()


async def half_closed(connection: asyncssh.SSHClientConnection, client: asyncssh.SFTPClient) -> None:
    """Say that no more comes, as ssh does whose sftp was killed."""
    client._handler._writer.write_eof()  # type: ignore[union-attr]
    await client.wait_closed()
    connection.close()


async def closed(connection: asyncssh.SSHClientConnection, client: asyncssh.SFTPClient) -> None:
    """Close the session, but not the file."""
    client.exit()
    await client.wait_closed()
    connection.close()


async def babbled(connection: asyncssh.SSHClientConnection, client: asyncssh.SFTPClient) -> None:
    """Send what is no packet."""
    client._handler._writer.write(b"\xff" * 100)  # type: ignore[union-attr]
    await client.wait_closed()
    connection.close()


async def cut_in_a_packet(connection: asyncssh.SSHClientConnection, client: asyncssh.SFTPClient) -> None:
    """Cut the connection in the middle of a packet."""
    client._handler._writer.write(b"\0\0\x80\0" + bytes([FXP_WRITE]) + b"x" * 1000)  # type: ignore[union-attr]
    await asyncio.sleep(0)
    connection.abort()


CUTS: list[Cut] = [abort, half_closed, closed, babbled, cut_in_a_packet]


async def test_a_file_that_was_not_closed_leaves_nothing_behind(box: Box) -> None:
    for cut in CUTS:
        for octets in (b"", b"short", LONG):
            async with box.connected() as connection:
                client = await connection.start_sftp_client()
                file = await client.open("+15550100.txt", "wb")
                if octets:
                    await file.write(octets)
                await cut(connection, client)
            await nothing_left(box)


async def test_a_file_that_was_not_renamed_leaves_nothing_behind(box: Box) -> None:
    for cut in CUTS:
        async with box.connected() as connection:
            client = await connection.start_sftp_client()
            await put(client, "+15550100.txt.filepart", LONG)
            await put(client, "+15550101.txt.part", b"short")
            await cut(connection, client)
        await nothing_left(box)


async def test_a_file_that_scp_did_not_finish_leaves_nothing_behind(box: Box) -> None:
    for end, sent in product(("abort", "eof"), (0, 3, 70_000, SMALL + 70_000)):
        async with box.connected() as connection:
            process = await connection.create_process("scp -t .", encoding=None)
            process.stdin.write(b"C0644 1000000 +15550100.txt\n" + b"x" * sent)
            assert await process.stdout.readexactly(2) == b"\0\0"
            if end == "abort":
                connection.abort()
            else:
                process.stdin.write_eof()
                await process.wait_closed()
        await nothing_left(box)


async def test_a_file_counts_once_its_client_was_told_so(box: Box) -> None:
    async with box.connected() as connection:
        client = await connection.start_sftp_client()
        await put(client, "+15550100.tif", document())
        connection.abort()
    assert len(await box.faxes()) == 1


async def test_when_the_service_stops_what_is_not_finished_is_gone(box: Box) -> None:
    async with box.connected() as connection:
        client = await connection.start_sftp_client()
        file = await client.open("+15550100.txt", "wb")
        await file.write(LONG)
        await box.server._end()
        with suppress(asyncssh.Error, OSError):
            await file.close()
    await nothing_left(box)
