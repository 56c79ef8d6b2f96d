"""An S3 server for tests: moto's, in a process of its own, on loopback."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import httpx

from tests.faxgw.serving import free_port

STARTS_WITHIN = 60.0


class S3Server:
    """A running server; ``new_bucket`` gives the options with which a store reaches it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._number = count(1)

    def new_bucket(self) -> str:
        """Make an empty bucket and return its name."""
        name = f"faxes-{next(self._number)}"
        httpx.put(f"{self.url}/{name}").raise_for_status()
        return name

    @property
    def options(self) -> dict[str, str]:
        return options(self.url)

    def parts_under_way(self, bucket: str) -> int:
        """Return how many uploads in parts were begun and neither finished nor given up."""
        return httpx.get(f"{self.url}/{bucket}?uploads").text.count("<UploadId>")


def options(url: str) -> dict[str, str]:
    """Return what a store needs to reach a server at this URL."""
    return {
        "endpoint": url,
        "allow_http": "true",
        "access_key_id": "id",
        "secret_access_key": "secret",
        "region": "us-east-1",
    }


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run a server."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _await(process, f"http://127.0.0.1:{port}/")
            yield S3Server(port)
        finally:
            process.kill()


def _await(process: subprocess.Popen[bytes], url: str) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while True:
        assert process.poll() is None, "the S3 server ended by itself"
        assert time.monotonic() < end, "the S3 server did not start"
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
