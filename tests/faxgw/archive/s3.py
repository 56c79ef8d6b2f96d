"""An S3 server for tests: moto's, in a process of its own, on loopback."""

import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import httpx

from tests.drivers.sip.authority import Authority
from tests.faxgw.serving import free_port

STARTS_WITHIN = 60.0


class S3Server:
    """A running server; ``new_bucket`` gives the options with which a store reaches it."""

    def __init__(self, url: str, client: httpx.Client) -> None:
        self.url = url
        self._client = client
        self._number = count(1)

    def new_bucket(self) -> str:
        """Make an empty bucket and return its name."""
        name = f"faxes-{next(self._number)}"
        self.ask("PUT", f"/{name}").raise_for_status()
        return name

    @property
    def options(self) -> dict[str, str]:
        return options(self.url)

    def parts_under_way(self, bucket: str) -> int:
        """Return how many uploads in parts were begun and neither finished nor given up."""
        return self.ask("GET", f"/{bucket}?uploads").text.count("<UploadId>")

    def ask(self, method: str, path: str, content: bytes = b"") -> httpx.Response:
        """Ask the server something; it takes any signature."""
        signature = "AWS4-HMAC-SHA256 Credential=id/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
        headers = {"authorization": signature}
        return self._client.request(method, self.url + path, content=content, headers=headers)


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
def s3_server(authority: Authority | None = None) -> Iterator[S3Server]:
    """Run a server; with an authority by TLS, with a certificate of hers."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    if authority:
        certificate, key = (authority.ca.with_name(f"s3.{kind}") for kind in ("crt", "key"))
        authority.sign(certificate, key, "localhost")
        command += ["-c", str(certificate), "-k", str(key)]
    url = f"https://localhost:{port}" if authority else f"http://127.0.0.1:{port}"
    believed = ssl.create_default_context(cafile=authority.ca) if authority else True
    with (
        httpx.Client(verify=believed) as client,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process,
    ):
        try:
            _await(process, client, url)
            yield S3Server(url, client)
        finally:
            process.kill()


def _await(process: subprocess.Popen[bytes], client: httpx.Client, url: str) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while True:
        assert process.poll() is None, "the S3 server ended by itself"
        assert time.monotonic() < end, "the S3 server did not start"
        try:
            client.get(url)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
