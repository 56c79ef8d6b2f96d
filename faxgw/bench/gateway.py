"""A gateway of the benchmark's own: ``faxgw serve`` on one core, with a tenant, watched from outside."""

import http.client
import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg

from faxgw.bench import machine
from faxgw.bench.client import Connection
from faxgw.bench.figures import CannotMeasure
from faxgw.store.roles import Urls
from faxgw.store.server import urls_for_another_node

LOOK_AGAIN = 0.005
READY_WITHIN = 60.0
STOPS_WITHIN = 30.0

RUN = "from faxgw.cli import main; main()"
"""What the installed command ``faxgw`` does; that itself may not be on the path."""

SETTINGS = {
    "FAXGW_SANDBOX_SPEED": "1",  # a call as a real line has it, neither quicker nor slower
    "FAXGW_API_REQUESTS_PER_SECOND": "100000",  # the limit for one key would be what is measured
    "FAXGW_LOG_FORMAT": "json",
    "FAXGW_SUBMISSION_CONNECTIONS_PER_ADDRESS": "2000",  # all devices of the benchmark have one address
}

_UNLIKE_INSTALLED = ("PYTHONDONTWRITEBYTECODE", "PYTHONPROFILEIMPORTTIME", "PYTHONTRACEMALLOC", "PYTHONASYNCIODEBUG")
"""What makes Python slower than it is where the gateway is installed."""


@contextmanager
def scratch(under: Path | None) -> Iterator[Path]:
    """Give a folder that the private PostgreSQL's user can get to; removed at the end."""
    with tempfile.TemporaryDirectory(prefix="faxgw-bench-", dir=under, ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


class Gateway:
    """One gateway over a data directory; started and stopped as often as wanted.

    Attributes:
        account: what ``faxgw admin init --json`` printed; empty before ``set_up``.
        port: of its API.
        mail_port: of its submission server, with TLS from the first octet.
    """

    def __init__(self, folder: Path, *, on: set[int] | None) -> None:
        """Name the folder of its data directory, and the cores that it and all its processes run on."""
        folder.mkdir(exist_ok=True)
        folder.chmod(0o711)
        self.data = folder / "data"
        self.port, self._private_port, self.mail_port = _free_port(), _free_port(), _free_port()
        self.account: dict[str, str] = {}
        self._log = folder / "log"
        self._config = folder / "faxgw.toml"
        self._config.write_text("")
        self._on = on
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the gateway itself."""
        assert self._process is not None
        return self._process.pid

    @property
    def urls(self) -> Urls:
        """How its private PostgreSQL is reached."""
        return urls_for_another_node(self.data / "postgres")

    def start(self) -> float:
        """Start it, and return after how many seconds it was ready and answered requests.

        Raises:
            CannotMeasure: if that does not come about.
        """
        began = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command("serve"), env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        if self._on:
            os.sched_setaffinity(self._process.pid, self._on)
        while not (self._is_ready() and self._answers()):
            if self._process.poll() is not None or time.monotonic() > began + READY_WITHIN:
                raise CannotMeasure(f"The gateway did not get ready: {self._last_words()}")
            time.sleep(LOOK_AGAIN)
        return time.monotonic() - began

    def stop(self) -> None:
        """End it politely; else not."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def set_up(self) -> None:
        """Make its tenant.

        Raises:
            CannotMeasure: if that fails.
        """
        command = [*self._command("admin", "init"), "--json", "--tenant", "bench", "--owner", "owner@bench.example"]
        environment = self._environment() | {"BENCH_PASSWORD": secrets.token_urlsafe()}
        done = subprocess.run(
            [*command, "--password-env", "BENCH_PASSWORD"], env=environment, capture_output=True, check=False
        )
        if done.returncode:
            raise CannotMeasure(f"No tenant could be made: {done.stderr.decode(errors='replace').strip()}")
        self.account = json.loads(done.stdout)

    def connection(self, key: str | None = None) -> Connection:
        """Return a new connection to its API, with the first key or another."""
        return Connection(self.port, self.certificate, key or self.account["api_key"])

    def metrics(self) -> str:
        """Return what it says of itself."""
        with closing(http.client.HTTPConnection("127.0.0.1", self._private_port, timeout=10)) as private:
            private.request("GET", "/metrics")
            return private.getresponse().read().decode()

    def memory(self) -> dict[str, float]:
        """Return the proportional set sizes of its processes, in MB, by what they are."""
        sizes: dict[str, float] = defaultdict(float)
        for pid in machine.family(self.pid):
            sizes[machine.name_of(pid)] += machine.memory(pid)
        return {name: round(size, 1) for name, size in sorted(sizes.items())}

    def placement(self) -> dict[str, list[int]]:
        """Return the cores that each kind of its processes may run on, and the client."""
        places: dict[str, set[int]] = defaultdict(set)
        for pid in machine.family(self.pid):
            with suppress(ProcessLookupError):
                places[machine.name_of(pid)] |= os.sched_getaffinity(pid)
        places["client"] = os.sched_getaffinity(0)
        return {name: sorted(place) for name, place in places.items()}

    def cpu_seconds(self) -> dict[str, float]:
        """Return how long its processes have kept a core busy, by what they are."""
        spent: dict[str, float] = defaultdict(float)
        for pid in machine.family(self.pid):
            spent[machine.name_of(pid)] += machine.cpu_seconds(pid)
        return spent

    def dispatcher(self) -> psycopg.Connection:
        """Connect to its database, past it."""
        return psycopg.connect(self.urls.dispatcher, autocommit=True)

    @property
    def certificate(self) -> Path:
        """By which its listeners are known."""
        return self.data / "tls" / "cert.pem"

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("FAXGW_") and name not in _UNLIKE_INSTALLED
        }
        ports = {"FAXGW_API_PORT": str(self.port), "FAXGW_PRIVATE_PORT": str(self._private_port)}
        ports |= {"FAXGW_SUBMISSION_PORT": "0", "FAXGW_SUBMISSIONS_PORT": str(self.mail_port)}
        return {**kept, **SETTINGS, **ports}

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-c", RUN, *words, "--data", str(self.data), "--config", str(self._config)]

    def _is_ready(self) -> bool:
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", self._private_port, timeout=5)) as private:
                private.request("GET", "/health/ready")
                return private.getresponse().status == http.client.OK
        except OSError:
            return False

    def _answers(self) -> bool:
        """Ask the API itself without a key: a refusal is an answer."""
        try:
            context = ssl.create_default_context(cafile=str(self.certificate))
            with closing(http.client.HTTPSConnection("localhost", self.port, timeout=5, context=context)) as api:
                api.request("GET", "/v1/version")
                return api.getresponse().status == http.client.UNAUTHORIZED
        except OSError:
            return False

    def _last_words(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
