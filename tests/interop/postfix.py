"""Postfix in a folder of its own: configuration, queue, certificate, mailbox; no other Postfix is touched.

It takes mail on loopback and puts what is for ``DOMAIN`` into a mailbox; what else it does, its ``options`` say (the
parameters of main.cf), such as being a sender by ``relayhost``. It starts as root only, and works as Debian's account.
"""

import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

DOMAIN = "clinic.example"
STARTS_WITHIN = 20.0
ARRIVES_WITHIN = 20.0
_QUEUES = ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"]
_SERVICES = """\
{address}:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
tlsmgr unix - - n 1000? 1 tlsmgr
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass
class Postfix:
    """A running Postfix.

    Attributes:
        port: where it takes mail, at ``address``.
        folder: everything of it.
    """

    folder: Path
    port: int
    address: str = "127.0.0.1"
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def log(self) -> str:
        """What it has said so far."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def messages(self) -> list[bytes]:
        """Return what is in the mailbox, as it was written there."""
        return [each.read_bytes() for each in sorted((self.folder / "mail" / "box" / "new").glob("*"))]

    def await_messages(self, count: int) -> list[bytes]:
        """Wait until so many are in the mailbox."""
        gives_up = time.monotonic() + ARRIVES_WITHIN
        while len(found := self.messages()) < count:
            assert time.monotonic() < gives_up, f"{len(found)} messages of {count} came:\n{self.log}"
            time.sleep(0.02)
        return found

    def await_said(self, words: str, *, times: int = 1) -> None:
        """Wait until its log has these words so often."""
        gives_up = time.monotonic() + ARRIVES_WITHIN
        while self.log.count(words) < times:
            assert time.monotonic() < gives_up, f"it did not say {words!r}:\n{self.log}"
            time.sleep(0.02)


@contextmanager
def running(
    program: Path,
    *,
    chain: Path | None = None,
    options: Mapping[str, str] | None = None,
    address: str = "127.0.0.1",
) -> Iterator[Postfix]:
    """Run a Postfix until the end of the block.

    Args:
        program: ``postfix``, whose other programs lie where its package has put them.
        chain: its key and certificates, in PEM: then it takes mail under TLS only; without, it has no TLS.
        options: more parameters of main.cf, or others.
        address: of loopback, that it listens on.
    """
    folder = Path(tempfile.mkdtemp(prefix="faxgw-postfix-"))
    folder.chmod(0o755)  # its parts are not root
    made = Postfix(folder, _free_port(address), address)
    try:
        _lay_out(made, chain, options or {})
        made.process = subprocess.Popen(
            [_daemons(program) / "master", "-c", folder / "etc", "-d"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _await_port(made)
        yield made
    finally:
        if made.process is not None:
            _end(made.process)
        shutil.rmtree(folder, ignore_errors=True)


def _lay_out(made: Postfix, chain: Path | None, options: Mapping[str, str]) -> None:
    folder, owner = made.folder, pwd.getpwnam("postfix")
    for name in ("etc", "queue", "data", "mail"):
        (folder / name).mkdir()
    for name in _QUEUES:
        (folder / "queue" / name).mkdir(mode=0o700)
        os.chown(folder / "queue" / name, owner.pw_uid, -1)
    for name, mode in (("public", 0o710), ("maildrop", 0o730)):
        (folder / "queue" / name).mkdir()
        os.chown(folder / "queue" / name, owner.pw_uid, grp.getgrnam("postdrop").gr_gid)
        (folder / "queue" / name).chmod(mode)
    (folder / "queue" / "pid").mkdir()
    for name in ("data", "mail"):
        os.chown(folder / name, owner.pw_uid, owner.pw_gid)
    settings = {
        "compatibility_level": "3.6",
        "queue_directory": f"{folder}/queue",
        "data_directory": f"{folder}/data",
        "maillog_file": f"{folder}/log",
        "maillog_file_prefixes": str(folder),
        "inet_protocols": "ipv4",
        "mynetworks": "127.0.0.0/8",
        "myhostname": "postfix.example",
        "mydestination": "",
        "alias_maps": "",
        "local_recipient_maps": "",
        "smtp_bind_address": made.address,
        "virtual_mailbox_domains": DOMAIN,
        "virtual_mailbox_maps": "static:box/",
        "virtual_mailbox_base": f"{folder}/mail",
        "virtual_mailbox_limit": "0",
        "virtual_minimum_uid": "1",
        "virtual_uid_maps": f"static:{owner.pw_uid}",
        "virtual_gid_maps": f"static:{owner.pw_gid}",
        "smtpd_tls_security_level": "encrypt" if chain else "none",
        "smtpd_tls_chain_files": _own(folder, chain) if chain else "",
        "smtpd_tls_received_header": "yes",
        "smtpd_tls_loglevel": "1",
        "smtp_tls_loglevel": "1",
        **options,
    }
    (folder / "etc" / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
    (folder / "etc" / "master.cf").write_text(_SERVICES.format(address=made.address, port=made.port))


def _own(folder: Path, chain: Path) -> str:
    copy = folder / "etc" / "chain.pem"
    copy.write_bytes(chain.read_bytes())
    copy.chmod(0o600)
    return str(copy)


def _daemons(program: Path) -> Path:
    asked = subprocess.run(
        [program.with_name("postconf"), "-dh", "daemon_directory"], capture_output=True, text=True, check=True
    )
    return Path(asked.stdout.strip())


def _free_port(address: str) -> int:
    with closing(socket.socket()) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
    return port


def _await_port(made: Postfix) -> None:
    """Wait until it greets: it listens before it can answer."""
    gives_up = time.monotonic() + STARTS_WITHIN
    assert made.process is not None
    while True:
        try:
            with socket.create_connection((made.address, made.port), timeout=STARTS_WITHIN) as there:
                if there.recv(3) == b"220":
                    return
        except OSError:
            time.sleep(0.02)
        assert made.process.poll() is None, f"Postfix ended with {made.process.returncode}:\n{made.log}"
        assert time.monotonic() < gives_up, f"Postfix does not greet:\n{made.log}"


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End it with its children, which are in its session."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
