"""A submission server on loopback in a thread of its own, and a desk that writes down what it is asked."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import uvloop

from faxgw.config import Config
from faxgw.devices.device import Device
from faxgw.mail.submission.limits import Limits
from faxgw.mail.submission.port import Peer, Rejected, Submission
from faxgw.mail.submission.server import Ports, SubmissionServer
from faxgw.tls import ServerTls

LOGIN, SECRET = "fax-a", "fgd_secret-of-a"
HASTY = Limits(tarpit=0.01, pause=0.02)


def device(login: str) -> Device:
    """Return a device of that login, with nothing else about it."""
    empty: dict[str, Any] = dict.fromkeys(Device.__dataclass_fields__)
    return Device(**empty | {"id": uuid4(), "tenant_id": UUID(int=1), "login": login})


@dataclass
class Book:
    """A desk that takes everything, but from strangers, and to numbers that begin with 0."""

    devices: dict[tuple[str, str], Device] = field(
        default_factory=lambda: {
            (LOGIN, SECRET): device(LOGIN),
            ("fax-b@fax.example", "fgd_secret-of-b"): device("fax-b"),
        }
    )
    asked: list[tuple[str, str, Peer]] = field(default_factory=list)
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    taken: list[Submission] = field(default_factory=list)
    fault: Exception | None = None
    let_go: threading.Event = field(default_factory=threading.Event)
    is_slow: bool = False
    noted: threading.Event = field(default_factory=threading.Event)
    """Set when something was exposed, or is being taken."""

    async def sign_in(self, login: str, secret: str, peer: Peer) -> Device | None:
        self.asked.append((login, secret, peer))
        return self.devices.get((login, secret))

    async def exposed(self, login: str, secret: str | None, peer: Peer) -> None:
        assert (peer.protocol, peer.cipher) == ("", "")
        self.seen.append((login, secret))
        self.noted.set()

    async def admit(self, device: Device, recipient: str) -> None:
        assert device in self.devices.values()
        if recipient.startswith("0"):
            raise Rejected(550, "5.1.1", "That is no number")

    async def take(self, submission: Submission) -> str:
        self.noted.set()
        if self.fault is not None:
            raise self.fault
        if self.is_slow:
            await asyncio.to_thread(self.let_go.wait, 10)
        self.taken.append(submission)
        return f"{len(submission.recipients)} faxes accepted"


@dataclass
class Listening:
    """A server that listens."""

    server: SubmissionServer
    ports: Ports
    desk: Book
    certificate: Path
    stop: threading.Event

    @property
    def memory(self) -> int:
        """Octets that messages under way have of its memory."""
        return self.server._shared.memory.held

    @property
    def connections(self) -> int:
        """How many there are."""
        return self.server._shared.connections


@contextmanager
def listening(
    folder: Path, *, limits: Limits = HASTY, config: Config | None = None, **settings: Any
) -> Iterator[Listening]:
    """Give a server with these settings until the end of the block."""
    config = config or Config(data_dir=folder, submission={"port": 0, **settings}, submissions={"port": 0})  # type: ignore[arg-type]
    desk, tls = Book(), ServerTls(config.api, folder)
    server = SubmissionServer(config, desk, tls, limits=limits)
    ready: list[Ports] = []
    started, stop = threading.Event(), threading.Event()

    async def run() -> None:
        def on_start(ports: Ports) -> None:
            ready.append(ports)
            started.set()

        serving = asyncio.create_task(server.serve(on_start))
        await asyncio.to_thread(stop.wait)
        serving.cancel()
        await asyncio.wait({serving})

    thread = threading.Thread(target=uvloop.run, args=(run(),))
    thread.start()
    try:
        assert started.wait(10)
        yield Listening(server, ready[0], desk, tls.certificate, stop)
    finally:
        stop.set()
        desk.let_go.set()
        thread.join(20)
        assert not thread.is_alive()
