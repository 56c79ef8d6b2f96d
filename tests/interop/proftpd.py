"""ProFTPD for one test: FTP over TLS, or SFTP, with its own user, password and certificate, on ports of loopback."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from tests.drivers.sip.authority import Authority
from tests.faxgw.serving import free_port

HOST = "127.0.0.1"
USER = "fax"
PASSWORD = "a-password-that-nobody-may-read"
STARTS_WITHIN = 10.0
PASSIVE = 12

CONFIGURATION = """
DefaultAddress {host}
Port {port}
SocketBindTight on
UseIPv6 off
User {user}
Group {group}
ServerType standalone
ServerName fax
PidFile {own}/pid
ScoreboardFile none
DelayEngine off
WtmpLog off
TransferLog none
SystemLog {own}/log
LoadModule mod_tls.c
LoadModule mod_sftp.c
AuthOrder mod_auth_file.c
AuthUserFile {own}/users
RequireValidShell off
RootLogin on
AllowOverwrite {overwrite}
PassivePorts {passive} {passive_end}
{more}
"""
FTPS = """
TLSEngine on
TLSRequired on
TLSProtocol {protocols}
TLSECCertificateFile {own}/cert.pem
TLSECCertificateKeyFile {own}/key.pem
TLSVerifyClient off
TLSLog {own}/tls.log
{options}
"""
SFTP = """
SFTPEngine on
SFTPLog {own}/sftp.log
SFTPHostKey {own}/host_key
"""


@dataclass(frozen=True)
class Proftpd:
    """A running server.

    Attributes:
        folder: where its user begins, and may write.
        passive: the ports of its ways for files.
        authority: in PEM, who signed its certificate.
        host_key: of SFTP, as known_hosts has it.
    """

    port: int
    folder: Path
    passive: range
    authority: str
    host_key: str
    host: str = HOST
    user: str = USER
    password: str = PASSWORD


@contextmanager
def proftpd(
    peer: Callable[[str], Path],
    folder: Path,
    *,
    protocols: str = "TLSv1.2 TLSv1.3",
    implicit: bool = False,
    sftp: bool = False,
    overwrite: bool = True,
    names: tuple[str, ...] = ("localhost", "127.0.0.1", "127.0.0.2"),
) -> Iterator[Proftpd]:
    """Run a server; it wants the TLS session of the commands for files, too, as it does unless told otherwise."""
    program = str(peer("proftpd"))
    own, files = folder / "proftpd", folder / "files"
    own.mkdir(parents=True)
    files.mkdir()
    authority = Authority(own)
    authority.sign(own / "cert.pem", own / "key.pem", *names)
    host_key = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    _write(own / "host_key", host_key.export_private_key("pkcs1-pem"))
    _write(own / "key.pem", (own / "key.pem").read_bytes())
    _write(own / "users", f"{USER}:{_hashed(PASSWORD)}:{os.getuid()}:{os.getgid()}::{files}:/bin/sh\n".encode())
    port, passive = free_port(), _free_ports(PASSIVE)
    kind = SFTP if sftp else FTPS
    more = kind.format(own=own, protocols=protocols, options="TLSOptions UseImplicitSSL" if implicit else "")
    text = CONFIGURATION.format(
        host=HOST, port=port, user=_name("u"), group=_name("g"), own=own, more=more,
        overwrite="on" if overwrite else "off", passive=passive.start, passive_end=passive.stop - 1,
    )  # fmt: skip
    (own / "config").write_text(text)
    with (own / "said").open("wb") as said:
        command = [program, "-n", "-q", "-c", str(own / "config")]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
    try:
        _await(process, port, own / "said")
        pem = authority.ca.read_text()
        yield Proftpd(port, files, passive, pem, host_key.export_public_key().decode().strip())
    finally:
        process.terminate()
        process.wait()
        for name in ("said", "log", "tls.log", "sftp.log"):
            if (own / name).exists():
                print(f"--- proftpd: {name}\n{(own / name).read_text(errors='replace')}")


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)


def _hashed(password: str) -> str:
    done = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=password, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _name(kind: str) -> str:
    return subprocess.run(["id", f"-{kind}n"], capture_output=True, text=True, check=True).stdout.strip()


def _free_ports(count: int) -> range:
    """Return ports in a row that nobody has now."""
    while True:
        first = free_port()
        ports = range(first, first + count)
        if ports.stop < 65536 and all(map(_free, ports)):
            return ports


def _free(port: int) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind((HOST, port))
        except OSError:
            return False
    return True


def _await(process: "subprocess.Popen[bytes]", port: int, said: Path) -> None:
    gives_up = time.monotonic() + STARTS_WITHIN
    while True:
        assert process.poll() is None, said.read_text(errors="replace")
        assert time.monotonic() < gives_up, "ProFTPD does not listen"
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
