"""OpenSSH's server for one test: its own key, its own user's key, its own configuration, on a port of loopback."""

import getpass
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from tests.faxgw.serving import free_port

HOST = "127.0.0.1"
STARTS_WITHIN = 10.0
SFTP_SERVER = "/usr/lib/openssh/sftp-server"


@dataclass(frozen=True)
class Sshd:
    """A running server.

    Attributes:
        folder: where its files are; whoever signs in may write anywhere below.
        user: who may sign in, by the private key in ``private_key``.
        host_key: as known_hosts has it, without the name of the host.
        log: what it says.
    """

    port: int
    folder: Path
    user: str
    private_key: str
    host_key: str
    log: Path
    host: str = HOST


@contextmanager
def openssh(
    peer: Callable[[str], Path], folder: Path, *, sftp: str = "internal-sftp", more: str = ""
) -> Iterator[Sshd]:
    """Run a server; its own files lie in ``folder/ssh``, those of its users in ``folder/files``.

    ``sftp`` is the subsystem, empty for none; ``more`` has further lines of its configuration. Shells find no start-up
    files of the user's own.
    """
    program = peer("sshd")
    own, files = folder / "ssh", folder / "files"
    own.mkdir(parents=True)
    files.mkdir()
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # its programs are confined to it
    host_key, user_key = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    _secret(own / "host_key", host_key.export_private_key())
    _secret(own / "authorized_keys", user_key.export_public_key())
    port = free_port()
    (own / "config").write_text(
        f"""ListenAddress {HOST}
Port {port}
HostKey {own / "host_key"}
AuthorizedKeysFile {own / "authorized_keys"}
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
LogLevel VERBOSE
SetEnv HOME={own}
{f"Subsystem sftp {sftp}" if sftp else ""}
{more}
"""
    )
    log = own / "log"
    with log.open("wb") as said:
        process = subprocess.Popen([program, "-D", "-e", "-f", own / "config"], stdin=subprocess.DEVNULL, stderr=said)
    try:
        _await(process, port, log)
        yield Sshd(
            port=port,
            folder=files,
            user=getpass.getuser(),
            private_key=user_key.export_private_key().decode(),
            host_key=host_key.export_public_key().decode().strip(),
            log=log,
        )
    finally:
        process.kill()
        process.wait()
        print(f"--- sshd\n{log.read_text()}")


def _secret(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)


def _await(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    gives_up = time.monotonic() + STARTS_WITHIN
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < gives_up, "sshd does not listen"
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
