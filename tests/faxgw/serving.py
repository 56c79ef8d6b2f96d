"""``faxgw serve`` as a process of its own: started, asked over TLS, killed, started again."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

FAXGW = (str(Path(sys.executable).with_name("faxgw")),)
PASSWORD = "correct horse battery"
STARTS_WITHIN = 60.0
SPEED = "100"


def free_port() -> int:
    """Return a port of loopback that nobody has now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def reachable_folder(under: Path | None = None) -> Iterator[Path]:
    """Give a folder that the private PostgreSQL's user can get to, as pytest's own cannot."""
    folder = Path(tempfile.mkdtemp(prefix="faxgw-serve-", dir=under))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Service:
    """One gateway process over a data directory, and its first tenant.

    Attributes:
        folder: its data directory is ``folder / "data"``.
        account: what ``faxgw admin init --json`` printed.
        log: what the process wrote, of all its starts.
    """

    program: tuple[str, ...] = FAXGW

    def __init__(self, folder: Path, *, environment: Mapping[str, str] | None = None, config: str = "") -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log"
        self.api_port, self.private_port = free_port(), free_port()
        self.submission_port, self.submissions_port = free_port(), free_port()
        self.account: dict[str, str] = {}
        self._config = folder / "faxgw.toml"
        self._config.write_text(config)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FAXGW_")}
        self.environment = {
            **kept,
            "FAXGW_API_PORT": str(self.api_port),
            "FAXGW_PRIVATE_PORT": str(self.private_port),
            "FAXGW_SUBMISSION_PORT": str(self.submission_port),
            "FAXGW_SUBMISSIONS_PORT": str(self.submissions_port),
            "FAXGW_SANDBOX_SPEED": SPEED,
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://localhost:{self.api_port}"

    @property
    def certificate(self) -> Path:
        return self.data / "tls" / "cert.pem"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *, until_ready: bool = True) -> float:
        """Start the process, and return after how many seconds it was ready."""
        began = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.program, "serve", "--data", str(self.data), "--config", str(self._config)],
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        if until_ready:
            self.until_ready()
        return time.monotonic() - began

    def until_ready(self, within: float = STARTS_WITHIN) -> None:
        """Wait until it says that it is ready."""
        end = time.monotonic() + within
        while not self.health()[0]:
            assert self._process is not None
            assert self._process.poll() is None, f"it ended: {self.last_words()}"
            assert time.monotonic() < end, f"not ready: {self.health()[1]}; {self.last_words()}"
            time.sleep(0.02)

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Return whether it is ready, and what its checks say."""
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.private_port}/health/ready", timeout=5)
        except httpx.TransportError:
            return False, {}
        return answer.status_code == httpx.codes.OK, answer.json()["checks"]

    def last_words(self) -> str:
        """Return the end of what it wrote."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    def kill(self) -> None:
        """End it as no program expects."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """End it politely and return its exit code."""
        if self._process is None or self._process.poll() is not None:
            return self._process.returncode if self._process else 0
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def set_up(self, tenant: str = "acme", owner: str = "owner@acme.example") -> dict[str, str]:
        """Make a tenant; the first one is the one whose key ``api`` uses."""
        command = [*self.program, "admin", "init", "--data", str(self.data), "--config", str(self._config), "--json"]
        command += ["--tenant", tenant, "--owner", owner, "--password-env", "FAXGW_TEST_PASSWORD"]
        environment = self.environment | {"FAXGW_TEST_PASSWORD": PASSWORD}
        done = subprocess.run(command, env=environment, capture_output=True, check=True)
        made: dict[str, str] = json.loads(done.stdout)
        self.account = self.account or made
        return made

    def api(self, key: str | None = None, **options: Any) -> httpx.Client:
        """Return a client over TLS that trusts the service's own certificate only."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        headers = {"Authorization": f"Bearer {key or self.account['api_key']}"}
        return httpx.Client(base_url=self.url, verify=context, headers=headers, timeout=30, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            if self._process is not None and self._process.poll() is None:
                self._process.kill()
                self._process.wait()


def upload(api: httpx.Client, octets: bytes, media_type: str = "image/tiff", *, name: str = "") -> str:
    """Upload a document and return its id."""
    headers = {"Content-Type": media_type}
    answer = api.post("/v1/documents", content=octets, headers=headers, params={"name": name})
    assert answer.status_code == httpx.codes.CREATED, answer.text
    return str(answer.json()["id"])


def send(api: httpx.Client, to: str, document: str, **wishes: Any) -> str:
    """Have a fax accepted and return its id."""
    answer = api.post("/v1/faxes", json={"to": to, "documents": [document], **wishes})
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    return str(answer.json()["id"])


FINAL = {"delivered", "partially_sent", "failed", "canceled", "received", "partially_received"}


def ended(api: httpx.Client, fax: str, within: float = 60.0) -> dict[str, Any]:
    """Return a fax when nothing more will happen to it."""
    end = time.monotonic() + within
    while True:
        seen: dict[str, Any] = api.get(f"/v1/faxes/{fax}").json()
        if seen["state"] in FINAL:
            return seen
        assert time.monotonic() < end, seen
        time.sleep(0.05)
