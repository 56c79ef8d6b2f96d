"""A client that costs little beside the service that it measures: HTTP/1.1 over TLS, one request at a time."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from faxgw.bench.figures import CannotMeasure

PATIENCE = 60.0
"""Seconds after which an answer is not waited for any more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes

    def json(self) -> dict[str, Any]:
        """Return the body of a success.

        Raises:
            CannotMeasure: if it is a refusal.
        """
        if self.status >= 300:
            raise CannotMeasure(f"The gateway refused what the benchmark needs: {self.status} {self.body.decode()}")
        body: dict[str, Any] = json.loads(self.body)
        return body


class Connection:
    """A connection that is kept; used by one task at a time. It opens itself, again too where the gateway closed it."""

    def __init__(self, port: int, certificate: Path, key: str = "") -> None:
        self._port = port
        self._context = ssl.create_default_context(cafile=str(certificate))
        self._head = f"Host: localhost:{port}\r\n" + (f"Authorization: Bearer {key}\r\n" if key else "")
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    async def get(self, path: str) -> Answer:
        """Ask for something."""
        return await self._ask(f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode())

    async def post(self, path: str, body: bytes | Mapping[str, Any], media_type: str = "application/json") -> Answer:
        """Send octets, or JSON."""
        octets = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\n{self._head}Content-Type: {media_type}\r\nContent-Length: {len(octets)}\r\n\r\n"
        )
        return await self._ask(head.encode() + octets)

    async def _ask(self, octets: bytes) -> Answer:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._exchange(octets)
        except BaseException:
            self.close()
            raise

    async def _exchange(self, octets: bytes) -> Answer:
        if self._streams is None or self._streams[0].at_eof():
            self.close()
            self._streams = await asyncio.open_connection(
                "127.0.0.1", self._port, ssl=self._context, server_hostname="localhost"
            )
        reader, writer = self._streams
        writer.write(octets)
        await writer.drain()
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.close()
        return Answer(int(first.split()[1]), body)

    def close(self) -> None:
        """Close it; the next request opens it again."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None
