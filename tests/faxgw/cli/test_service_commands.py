"""The service's commands against a started gateway, over TLS: serve, admin, submit, list, watch, cancel."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from faxgw.documents.sample import write_sample
from faxgw.errors import RequestError
from faxgw.tls import make_certificate

FAXGW = str(Path(sys.executable).with_name("faxgw"))
PASSWORD = "CANARY-correct-horse"


@dataclass
class Result:
    code: int
    out: str
    err: str


@dataclass
class Service:
    """A gateway process with a data directory of its own."""

    data: Path
    log: Path
    process: subprocess.Popen[bytes]
    port: int = 0
    key: str = ""

    def run(self, command: str, *arguments: object, **variables: str) -> Result:
        """Run one of the remote commands, as the command line does but without its start of half a second."""
        app = importlib.import_module(f"faxgw.cli.{command}").app
        done = CliRunner().invoke(app, [*map(str, arguments)], env={**self._variables, **variables})
        if isinstance(done.exception, RequestError):
            return Result(2, done.stdout, done.stderr + done.exception.reason)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Result(done.exit_code, done.stdout, done.stderr)

    def process_of(self, *arguments: object, **variables: str) -> Result:
        """Run any command as a process of its own."""
        environment = {**os.environ, **self._variables, **variables}
        command = [FAXGW, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)
        return Result(done.returncode, done.stdout, done.stderr)

    @property
    def _variables(self) -> dict[str, str]:
        server = {"FAXGW_SERVER": f"https://localhost:{self.port}", "FAXGW_DATA_DIR": str(self.data)}
        return {**server, "FAXGW_API_KEY": self.key}


@contextmanager
def serving(data: Path) -> Iterator[Service]:
    log = data.with_name("serve.log")
    settings = {"API_PORT": "0", "PRIVATE_PORT": "0", "SANDBOX_SPEED": "200", "LOG_FORMAT": "json"}
    environment = {**os.environ, **{f"FAXGW_{name}": value for name, value in settings.items()}}
    with log.open("wb") as stream:
        process = subprocess.Popen([FAXGW, "serve", "--data", str(data)], stderr=stream, env=environment)
    service = Service(data, log, process)
    try:
        service.port = _port(service)
        yield service
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()


def _port(service: Service) -> int:
    """Wait until the service says that it is ready, and return the port of the API."""
    until = time.monotonic() + 60
    while True:
        entries = [json.loads(line) for line in service.log.read_text().splitlines() if line.endswith("}")]
        if any(each["event"] == "ready" for each in entries):
            return int(next(each["port"] for each in entries if each.get("what") == "API"))
        assert service.process.poll() is None and time.monotonic() < until, service.log.read_text()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    # A socket's path may have 107 octets, fewer than pytest's folders take; in memory it is faster besides.
    place = Path(tempfile.mkdtemp(prefix="faxgw-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    place.chmod(0o711)
    try:
        with serving(place / "data") as service:
            yield service
    finally:
        shutil.rmtree(place)


@pytest.fixture(scope="module")
def owner(service: Service) -> Service:
    """Set a tenant up while the service runs, and use its API key from here on."""
    made = service.process_of(
        *("admin", "init", "--tenant", "acme", "--owner", "me@example.com", "--password-env", "PW", "--json"),
        PW=PASSWORD,
    )
    assert made.code == 0, made.err
    said = json.loads(made.out)
    assert {*said} == {"tenant", "user", "box", "api_key", "recovery_code"}
    service.key = said["api_key"]
    return service


@pytest.fixture(scope="module")
def letter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("letter") / "letter.pdf"
    write_sample(path)
    return path


def test_a_fax_is_submitted_followed_page_by_page_and_listed(owner: Service, letter: Path) -> None:
    sent = owner.run("submit", "--to", "+1 555 0100", "--label", "order=4711", letter, "--wait", "--json")
    assert sent.code == 0, sent.err
    fax = json.loads(sent.out)
    assert (fax["state"], fax["labels"]) == ("delivered", {"order": "4711"})
    told = sent.err.splitlines()
    assert [each for each in told if each.startswith("page sent")] == [f"page sent: page {n} of 3" for n in (1, 2, 3)]
    assert told[-1] == "delivered"

    listed = owner.run("list", "--direction", "out", "--state", "delivered")
    assert fax["id"] in listed.out and "+15550100" in listed.out and "3/3" in listed.out
    items = json.loads(owner.run("list", "--json", "--limit", 1).out)["items"]
    assert [each["id"] for each in items] == [fax["id"]]
    again = owner.run("watch", fax["id"])
    assert (again.code, again.out) == (0, f"{fax['id']} delivered, 3 of 3 pages\n")


def test_a_fax_that_waits_for_a_busy_number_is_canceled_and_watch_says_so_with_1(owner: Service, letter: Path) -> None:
    fax = json.loads(owner.run("submit", "--to", "+15550101", letter, "--json").out)["id"]
    until = time.monotonic() + 30
    while fax not in owner.run("list", "--state", "waiting_retry").out:
        assert time.monotonic() < until
    canceled = owner.run("cancel", fax)
    assert (canceled.code, canceled.out) == (0, f"{fax} canceled\n")
    watched = owner.run("watch", fax, "--json")
    assert (watched.code, json.loads(watched.out)["state"]) == (1, "canceled")
    assert "waiting retry" in watched.err


def test_what_the_api_refuses_is_said_with_2(owner: Service, letter: Path, tmp_path: Path) -> None:
    for arguments, words in (
        (["submit", "--to", "112", letter], "emergency"),
        (["submit", "--to", "+15550100", tmp_path / "none.pdf"], "none.pdf cannot be read"),
        (["submit", "--to", "+15550100", letter, "--label", "order"], "no label"),
        (["watch", "01a201c2-df5d-7323-be5e-f306603f8323"], "01a201c2"),
    ):
        refused = owner.run(*arguments)
        assert (refused.code, refused.out) == (2, ""), arguments
        assert words in refused.err
        assert "Traceback" not in refused.err
    assert owner.run("list", FAXGW_API_KEY="fgw_wrong").code == 2
    assert "FAXGW_API_KEY" in owner.run("list", FAXGW_API_KEY="").err


def test_a_gateway_that_is_not_there_or_not_trusted_is_said_with_1(owner: Service, tmp_path: Path) -> None:
    gone = owner.run("list", "--json", "--server", "https://localhost:9")
    assert (gone.code, json.loads(gone.out)["error"]["code"]) == (1, "server.unreachable")
    make_certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    other = owner.run("list", "--ca", tmp_path / "cert.pem")
    assert other.code == 1
    assert "--ca" in other.err


def test_a_second_service_with_the_same_folder_is_refused(owner: Service) -> None:
    second = owner.process_of("serve", "--data", owner.data)
    assert second.code == 2
    assert "Another gateway process" in second.err


def test_a_second_tenant_of_the_same_name_is_refused(owner: Service) -> None:
    again = owner.run("admin", "init", "--tenant", "acme", "--owner", "a@b", "--password-env", "PW", PW=PASSWORD)
    assert (again.code, again.out) == (2, "")
    assert "acme" in again.err


def test_the_log_has_neither_numbers_nor_secrets(owner: Service, letter: Path) -> None:
    sent = owner.run("submit", "--to", "+15550100", letter, "--wait")
    assert sent.code == 0
    log = owner.log.read_text()
    assert not [each for each in (PASSWORD, owner.key, owner.key[4:20], "5550100", "4711") if each in log]


def test_doctor_knows_that_it_runs(owner: Service) -> None:
    said = json.loads(owner.run("doctor", "--json").out)
    assert [each["text"] for each in said["findings"] if each["area"] == "ports"] == [
        "A gateway runs with this data directory, and has its ports."
    ]
