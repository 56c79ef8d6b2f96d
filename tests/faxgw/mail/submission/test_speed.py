"""What the server costs: memory of idle connections and of a large message, processor time of a usual one."""

import os
import resource
import subprocess
import sys
from base64 import encodebytes
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faxgw.mail.submission.listening import LOGIN, SECRET
from tests.faxgw.mail.submission.probe import Probe, b64, trusting

pytestmark = [pytest.mark.slow, pytest.mark.alone]

IDLE = 1000
HEAD = b"Subject: fax\r\nContent-Type: image/tiff\r\nContent-Transfer-Encoding: base64\r\n\r\n"
KIB, MIB = 1024, 1024 * 1024


@dataclass
class Process:
    pid: int
    starttls: int
    tls: int
    certificate: Path

    def memory(self, name: str) -> int:
        """Return a line of its status in octets."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(each.split()[1]) * KIB for each in lines if each.startswith(name))

    def seconds(self) -> float:
        """Return its processor time."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def connect(self, *, implicit: bool) -> Probe:
        probe = Probe(self.tls if implicit else self.starttls)
        context = trusting(self.certificate)
        if implicit:
            probe.wrap(context)
        probe.hear()
        if not implicit:
            probe.ask("EHLO a")
            probe.ask("STARTTLS")
            probe.wrap(context)
        probe.ask("EHLO a")
        assert probe.ask("AUTH PLAIN " + b64(f"\0{LOGIN}\0{SECRET}")).startswith("235 ")
        return probe


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    command = [sys.executable, "-m", "tests.faxgw.mail.submission.serving", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        assert running.stdout is not None and running.stdin is not None
        starttls, tls = map(int, running.stdout.readline().split())
        yield Process(running.pid, starttls, tls, tmp_path / "tls" / "cert.pem")
        running.stdin.close()
        assert running.wait(20) == 0


def send(probe: Probe, body: bytes) -> None:
    for line in ("MAIL FROM:<a@b.example>", "RCPT TO:<1@fax.example>", "DATA"):
        assert probe.ask(line)[:3] in {"250", "354"}
    probe.raw(HEAD + body + b".\r\n")
    assert probe.hear().startswith("250 ")


def in_base64(octets: int) -> bytes:
    return encodebytes(os.urandom(octets)).replace(b"\n", b"\r\n")


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "tls"])
def test_a_thousand_idle_connections_have_less_than_150_mb(process: Process, implicit: bool) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * IDLE:
        pytest.skip(f"this user may have {hard} files open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * IDLE), hard))
    with ExitStack() as open_:
        open_.enter_context(process.connect(implicit=implicit))
        before = process.memory("VmRSS")
        for _ in range(IDLE):
            open_.enter_context(process.connect(implicit=implicit))
        used = process.memory("VmRSS") - before
    print(f"{IDLE} idle connections: {used / 1e6:.0f} MB")
    assert used < 150e6


def test_a_message_of_25_mb_takes_less_than_100_mb_of_memory(process: Process) -> None:
    body = in_base64(18 * 10**6 + 10**5)
    with process.connect(implicit=True) as probe:
        send(probe, in_base64(1000))
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")
        before = process.memory("VmRSS")
        send(probe, body)
        used = process.memory("VmHWM") - before
    print(f"{len(body) / 1e6:.0f} MB: {used / 1e6:.0f} MB of memory")
    assert used < 60e6, "the desk has the rest of the 100"


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "tls"])
def test_a_message_of_100_kb_with_its_own_connection_takes_less_than_5_ms(process: Process, implicit: bool) -> None:
    body, messages = in_base64(100_000), 200
    with process.connect(implicit=implicit) as probe:
        send(probe, body)
    before = process.seconds()
    for _ in range(messages):
        with process.connect(implicit=implicit) as probe:
            send(probe, body)
    used = (process.seconds() - before) / messages
    print(f"{used * 1000:.2f} ms of processor time for each")
    assert used < 0.005
