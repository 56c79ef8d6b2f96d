"""Clients of a drop box: asyncssh in this process, and the programs of OpenSSH."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncssh
from sqlalchemy import func, select

from faxgw.devices.device import Device
from faxgw.documents.tiff import tiff_octets
from faxgw.dropbox.door import Limits
from faxgw.dropbox.hostkey import host_key, public_text
from faxgw.dropbox.server import DropBox
from faxgw.gateway import Gateway
from faxgw.store.tables import batches, documents, drops, faxes, objects, wraps
from tests.faxgw.lines.pages import fax_pages

NUMBER = "+15550100"
SIDECAR = b'{"to": "+15550100"}'


def document(pages: int = 1) -> bytes:
    """Return a fax TIFF."""
    return tiff_octets(fax_pages(pages))


async def put(client: asyncssh.SFTPClient, name: str, octets: bytes) -> None:
    """Write a file whole."""
    async with client.open(name, "wb") as file:
        await file.write(octets)


@dataclass
class Box:
    """A drop box that is served, and a device that may use it."""

    gateway: Gateway
    server: DropBox
    port: int
    device: Device
    secret: str
    folder: Path

    @property
    def known_hosts(self) -> str:
        """The host key, as a client knows it."""
        return f"[127.0.0.1]:{self.port} {public_text(host_key(self.gateway.config.data_dir))}\n"

    @asynccontextmanager
    async def connected(self, **options: Any) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """Connect with asyncssh, as the device."""
        known = asyncssh.import_known_hosts(self.known_hosts)
        sure: dict[str, Any] = {"username": self.device.login, "password": self.secret, "known_hosts": known}
        sure |= {"client_keys": None, "agent_path": None, "config": None}
        async with asyncssh.connect("127.0.0.1", self.port, **sure | options) as connection:
            yield connection

    @asynccontextmanager
    async def sftp(self) -> AsyncIterator[asyncssh.SFTPClient]:
        """Connect, and begin SFTP."""
        async with self.connected() as connection, connection.start_sftp_client() as client:
            yield client

    async def rows(self, table: Any, *columns: Any) -> list[Any]:
        """Return all rows of a table, of all tenants."""
        async with self.gateway.database.dispatcher() as connection:
            return list((await connection.execute(select(*(columns or (table,))))).all())

    async def faxes(self) -> list[Any]:
        """Return all faxes."""
        return await self.rows(faxes)

    async def left(self) -> dict[str, int]:
        """Return how much there is of what a drop may leave behind."""
        counted = {}
        async with self.gateway.database.dispatcher() as connection:
            for table in (batches, documents, drops, faxes, objects, wraps):
                counted[table.name] = await connection.scalar(select(func.count()).select_from(table)) or 0
        stored = self.gateway.config.data_dir / "objects"
        counted["files"] = sum(each.is_file() for each in stored.rglob("*")) if stored.exists() else 0
        return {name: count for name, count in counted.items() if count}

    async def openssh(
        self,
        peer: Callable[[str], Path],
        program: str,
        *words: str,
        text: str = "",
        known: str = "",
        key: Path | None = None,
    ) -> tuple[int, str]:
        """Run a program of OpenSSH as the device; return its exit status and what it said.

        ``HOST`` in the words is where the drop box is; ``known`` is what is in known_hosts instead of the host key.
        """
        (self.folder / "known_hosts").write_text(known or self.known_hosts)
        asks = self.folder / "askpass"
        asks.write_text(f"#!/bin/sh\necho {self.secret}\n")
        asks.chmod(0o700)
        options = ["-F", "none", "-P", str(self.port), "-o", f"UserKnownHostsFile={self.folder}/known_hosts"]
        options += [
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "LogLevel=ERROR",
            "-o",
            f"BatchMode={'yes' if key else 'no'}",
        ]
        options += ["-i", str(key), "-o", "IdentitiesOnly=yes"] if key else ["-o", "PubkeyAuthentication=no"]
        process = await asyncio.create_subprocess_exec(
            str(peer(program)),
            *options,
            *(each.replace("HOST", f"{self.device.login}@127.0.0.1") for each in words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "SSH_ASKPASS": str(asks), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0"},
            cwd=self.folder,
        )
        async with asyncio.timeout(30):
            said, _ = await process.communicate(text.encode())
        assert process.returncode is not None
        return process.returncode, said.decode()


@asynccontextmanager
async def served(gateway: Gateway, device: Device, secret: str, folder: Path) -> AsyncIterator[Box]:
    """Serve the drop box of a gateway meanwhile; wrong secrets are answered at once."""
    server = DropBox(gateway, limits=replace(Limits(), tarpit=0.01))
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(server.run(port.set_result))
    both: set[asyncio.Future[Any]] = {port, running}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        yield Box(gateway, server, port.result(), device, secret, folder)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
