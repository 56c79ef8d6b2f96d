"""A client that says any octets, over a socket of its own and real TLS; it knows nothing of the server's code."""

import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.faxgw.mail.submission.listening import LOGIN, SECRET, Listening

WITHIN = 8.0
"""Seconds for an answer, or the end of the connection."""


def trusting(certificate: Path) -> ssl.SSLContext:
    """Return a context that believes this certificate only."""
    return ssl.create_default_context(cafile=certificate)


def b64(text: str) -> str:
    return b64encode(text.encode()).decode()


class Probe:
    """One connection."""

    def __init__(self, port: int, *, address: str = "127.0.0.1", source: str = "") -> None:
        self.socket: socket.socket = socket.create_connection(
            (address, port), WITHIN, source_address=(source, 0) if source else None
        )
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._held = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def wrap(self, context: ssl.SSLContext) -> None:
        """Begin TLS."""
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    def raw(self, octets: bytes) -> None:
        """Send octets as they are."""
        self.socket.sendall(octets)

    def hear(self) -> str:
        """Return one answer, all its lines."""
        lines: list[str] = []
        while not lines or lines[-1][3:4] == "-":
            while b"\r\n" not in self._held:
                more = self.socket.recv(65536)
                assert more, f"the connection was closed after {lines}"
                self._held += more
            line, _, self._held = self._held.partition(b"\r\n")
            lines.append(line.decode())
        return "\n".join(lines)

    def ask(self, line: str) -> str:
        """Say a line and return the answer."""
        self.raw(line.encode() + b"\r\n")
        return self.hear()

    @property
    def is_closed(self) -> bool:
        """Whether the server closes the connection, without another word."""
        try:
            return not self._held and self.socket.recv(1) == b""
        except (ConnectionError, ssl.SSLError):
            return True
        except TimeoutError:
            return False


def protected(listening: Listening, *, implicit: bool = False, source: str = "") -> Probe:
    """Return a connection under TLS that was greeted and has said EHLO."""
    context = trusting(listening.certificate)
    probe = Probe(listening.ports.tls if implicit else listening.ports.starttls, source=source)
    if implicit:
        probe.wrap(context)
    assert probe.hear().startswith("220 ")
    if not implicit:
        assert "STARTTLS" in probe.ask("EHLO device.example")
        assert probe.ask("STARTTLS").startswith("220 ")
        probe.wrap(context)
    assert probe.ask("EHLO device.example").startswith("250-")
    return probe


def signed_in(listening: Listening, *, implicit: bool = False, source: str = "") -> Probe:
    """Return a connection on which a device has signed in."""
    probe = protected(listening, implicit=implicit, source=source)
    assert probe.ask("AUTH PLAIN " + b64(f"\0{LOGIN}\0{SECRET}")).startswith("235 ")
    return probe


def at_data(listening: Listening, *recipients: str) -> Probe:
    """Return a connection that was asked for a message."""
    probe = signed_in(listening)
    assert probe.ask("MAIL FROM:<scan@office.example>").startswith("250 ")
    for each in recipients or ("+49301234567@fax.example",):
        assert probe.ask(f"RCPT TO:<{each}>").startswith("250 ")
    assert probe.ask("DATA").startswith("354 ")
    return probe


def until(true: Callable[[], object], within: float = WITHIN) -> None:
    """Wait until a function returns true."""
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
