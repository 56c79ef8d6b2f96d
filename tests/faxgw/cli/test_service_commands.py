"""The service's commands against a started gateway, over TLS: serve, admin, submit, list, watch, cancel."""

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from faxgw.documents.sample import write_sample
from faxgw.errors import RequestError
from faxgw.tls import make_certificate
from tests.faxgw.serving import FAXGW, PASSWORD, Service, reachable_folder

INIT = ("admin", "init", "--tenant", "acme", "--owner", "me@example.com", "--password-env", "PW", "--json")


@dataclass
class Result:
    code: int
    out: str
    err: str


@dataclass
class Client:
    """The commands as one user runs them against a service."""

    service: Service
    key: str = ""

    def run(self, command: str, *arguments: object, **variables: str) -> Result:
        """Run a command as the command line does, but without its start of half a second."""
        app = importlib.import_module(f"faxgw.cli.{command}").app
        done = CliRunner().invoke(app, [*map(str, arguments)], env={**self._variables, **variables})
        if isinstance(done.exception, RequestError):
            return Result(2, done.stdout, done.stderr + done.exception.reason)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Result(done.exit_code, done.stdout, done.stderr)

    def process(self, *arguments: object) -> Result:
        """Run a command as a process of its own."""
        environment = {**self.service.environment, **self._variables}
        command = [*FAXGW, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)
        return Result(done.returncode, done.stdout, done.stderr)

    @property
    def _variables(self) -> dict[str, str]:
        data = {"FAXGW_DATA_DIR": str(self.service.data)}
        return {"FAXGW_SERVER": self.service.url, "FAXGW_API_KEY": self.key, **data}


@pytest.fixture(scope="module")
def owner() -> Iterator[Client]:
    """Start a service, and set a tenant up while it runs."""
    memory = Path("/dev/shm")
    with (
        reachable_folder(memory if os.access(memory, os.W_OK) else None) as folder,
        Service(folder, environment={"FAXGW_SANDBOX_SPEED": "200"}) as service,
    ):
        service.start()
        client = Client(service)
        made = client.run(*INIT, PW=PASSWORD)
        assert made.code == 0, made.err
        said = json.loads(made.out)
        assert {*said} == {"tenant", "user", "box", "api_key", "recovery_code"}
        client.key = said["api_key"]
        yield client


@pytest.fixture(scope="module")
def letter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("letter") / "letter.pdf"
    write_sample(path)
    return path


def test_a_fax_is_submitted_followed_page_by_page_and_listed(owner: Client, letter: Path) -> None:
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
    learned = owner.run("learned", "--number", "+15550100")
    assert "to +15550100  (1 call)" in learned.out, learned.err
    assert json.loads(owner.run("learned", "--json", "--direction", "in").out) == {"items": []}
    again = owner.run("watch", fax["id"])
    assert (again.code, again.out) == (0, f"{fax['id']} delivered, 3 of 3 pages\n")


def test_a_fax_that_waits_for_a_busy_number_is_canceled_and_watch_says_so_with_1(owner: Client, letter: Path) -> None:
    fax = json.loads(owner.run("submit", "--to", "+15550101", letter, "--json").out)["id"]
    until = time.monotonic() + 30
    while fax not in owner.run("list", "--state", "waiting_retry").out:
        assert time.monotonic() < until
    canceled = owner.run("cancel", fax)
    assert (canceled.code, canceled.out) == (0, f"{fax} canceled\n")
    watched = owner.run("watch", fax, "--json")
    assert (watched.code, json.loads(watched.out)["state"]) == (1, "canceled")
    assert "waiting retry" in watched.err


def test_what_the_api_refuses_is_said_with_2(owner: Client, letter: Path, tmp_path: Path) -> None:
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


def test_a_gateway_that_is_not_there_or_not_trusted_is_said_with_1(owner: Client, tmp_path: Path) -> None:
    gone = owner.run("list", "--json", "--server", "https://localhost:9")
    assert (gone.code, json.loads(gone.out)["error"]["code"]) == (1, "server.unreachable")
    make_certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    other = owner.run("list", "--ca", tmp_path / "cert.pem")
    assert other.code == 1
    assert "--ca" in other.err


def test_a_second_service_with_the_same_folder_is_refused(owner: Client) -> None:
    second = owner.process("serve", "--data", owner.service.data)
    assert second.code == 2
    assert "Another gateway process" in second.err


def test_a_second_tenant_of_the_same_name_is_refused(owner: Client) -> None:
    again = owner.run(*INIT, PW=PASSWORD)
    assert (again.code, again.out) == (2, "")
    assert "acme" in again.err


def test_the_operator_invites_somebody_and_lets_them_set_a_password_anew(owner: Client) -> None:
    invited = owner.run("admin", "add-user", "--tenant", "acme", "--email", "you@example.com", "--json")
    assert invited.code == 0, invited.err
    assert json.loads(invited.out)["set_up_code"].startswith("fgi_")
    again = owner.run("admin", "add-user", "--tenant", "acme", "--email", "you@example.com")
    assert (again.code, "a member already" in again.err) == (2, True)
    reset = owner.run("admin", "reset-user", "--email", "me@example.com", "--json")
    assert json.loads(reset.out).keys() == {"set_up_code", "expires_at"}
    nobody = owner.run("admin", "reset-user", "--email", "nobody@example.com")
    assert (nobody.code, "Nobody signs in" in nobody.err) == (2, True)


def test_the_log_has_neither_numbers_nor_secrets(owner: Client, letter: Path) -> None:
    sent = owner.run("submit", "--to", "+15550100", letter, "--wait")
    assert sent.code == 0
    log = owner.service.log.read_text()
    assert not [each for each in (PASSWORD, owner.key, owner.key[4:20], "5550100", "4711") if each in log]


def test_doctor_knows_that_it_runs(owner: Client) -> None:
    said = json.loads(owner.run("doctor", "--json").out)
    assert [each["text"] for each in said["findings"] if each["area"] == "ports"] == [
        "A gateway runs with this data directory, and has its ports."
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nobody_else_gets_at_the_memory_of_the_service(owner: Client) -> None:
    process = Path(f"/proc/{owner.service.pid}")
    cores = next(
        line for line in (process / "limits").read_text().splitlines() if line.startswith("Max core file size")
    )
    assert cores.split()[4:6] in (["1", "1"], ["0", "0"])
    assert "Umask:\t0077" in (process / "status").read_text()
    code = "import ctypes; from faxgw.cli.serve import keep_memory_private as p; p(); print(ctypes.CDLL(None).prctl(3))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"0\n"
