"""An SSH server in this process that ends a connection wherever a test wants it to."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from tests.faxgw.folders.sending import PASSWORD

OPERATIONS = ("open", "read", "write", "close", "rename", "remove", "lstat", "fsync")


@dataclass
class Server:
    """A running server.

    Attributes:
        cut_at: the number of the operation, from 0, at which the connection ends; None: at none.
        cut_after: whether that operation is done before.
        done: how many operations were asked for since it was set to 0.
        passwords: what was given to sign in with.
        operations: their names.
        opened: files; asyncssh leaves those of a connection that was cut open.
    """

    folder: Path
    port: int = 0
    host_key: str = ""
    cut_at: int | None = None
    cut_after: bool = False
    done: int = 0
    passwords: list[str] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)
    opened: list[Any] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, Any]:
        """Those of a target that leads here."""
        return {
            "kind": "sftp",
            "host": "127.0.0.1",
            "port": self.port,
            "user": "fax",
            "host_keys": [self.host_key],
        }


class _Authority(asyncssh.SSHServer):
    def __init__(self, server: Server) -> None:
        self._server = server

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        self._server.passwords.append(password)
        return (username, password) == ("fax", PASSWORD)


def _files(server: Server) -> Callable[[asyncssh.SSHServerChannel[bytes]], asyncssh.SFTPServer]:
    """Return a class whose operations count, and end the connection at the one that is to be the last."""

    class Files(asyncssh.SFTPServer):
        pass

    def counted(name: str) -> Callable[..., Any]:
        original = getattr(asyncssh.SFTPServer, name)

        def operation(self: Files, *arguments: Any) -> Any:
            number, server.done = server.done, server.done + 1
            server.operations.append(name)
            if number == server.cut_at and not server.cut_after:
                self.channel.get_connection().abort()
                raise asyncssh.SFTPConnectionLost("cut")
            answer = original(self, *arguments)
            if name == "open":
                server.opened.append(answer)
            if number == server.cut_at:
                self.channel.get_connection().abort()
            return answer

        return operation

    for name in OPERATIONS:
        setattr(Files, name, counted(name))
    return lambda channel: Files(channel, chroot=str(server.folder).encode())


@asynccontextmanager
async def ssh_server(folder: Path, **options: Any) -> AsyncIterator[Server]:
    """Run one whose files lie in ``folder``."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = Server(folder, host_key=key.export_public_key().decode().strip())
    acceptor = await asyncssh.create_server(
        lambda: _Authority(server),
        "127.0.0.1",
        0,
        server_host_keys=[key],
        sftp_factory=_files(server),
        **options,
    )
    server.port = acceptor.get_port()
    try:
        yield server
    finally:
        for file in server.opened:
            file.close()
        acceptor.close()
        await acceptor.wait_closed()
