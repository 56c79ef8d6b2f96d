"""``faxgw bench mail``: how much mail devices may submit, and what a large message and idle connections take.

A gateway of its own, as in ``faxgw bench api``, and the devices share two cores; what each takes of them is said. Each
submission is a connection of its own, with a TLS handshake and a sign-in, since office machines keep none.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faxgw.bench import machine
from faxgw.bench.client import Answer, Connection
from faxgw.bench.figures import CannotMeasure, Figure
from faxgw.bench.gateway import Gateway, scratch
from faxgw.bench.mail_client import Account, Refused, Session, message_of, named
from faxgw.bench.specimens import Specimens, specimens
from faxgw.bench.submitting import Submit, drained, highest, offered

MB = 2**20
LARGE = 25 * MB
"""Octets of the large message, as it is sent."""
IDLE = 1000
AT_ONCE = 50
"""Connections that are opened at the same time."""
WATCHED_EVERY = 0.02
NUMBER = "+12122300000"
TARGETS = {"submit.tiff": 100.0, "submit.pdf": 15.0, "large": 100.0, "idle": 150.0}


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: the usual figures, or less for a quick look.

    Attributes:
        seconds: of a run of submissions.
        idle: connections.
        searches: whether the highest rate is looked for.
    """

    seconds: float = 30.0
    idle: int = IDLE
    searches: bool = True


@dataclass(frozen=True, slots=True)
class _Bench:
    gateway: Gateway
    account: Account
    size: Size
    samples: Specimens


async def measure(
    *, only: Sequence[str] = (), size: Size | None = None, under: Path | None = None, say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure, and return the result as ``--json`` prints it.

    Args:
        only: names of ``PARTS``; all of them, if none is named.
        size: how much is measured.
        under: the folder in which the gateway's data directory is made.
        say: is told what is being measured.

    Raises:
        CannotMeasure: if it could not be measured.
    """
    load_before = machine.load()
    samples = await specimens()
    with scratch(under) as folder:
        gateway = Gateway(folder / "mail", on=None)
        try:
            say("a first start, which is not measured")
            gateway.start()
            gateway.set_up()
            bench = _Bench(gateway, await _device(gateway), size or Size(), samples)
            figures: list[Figure] = []
            for name, part in PARTS.items():
                if not only or name in only:
                    say(name)
                    figures += await part(bench)
            placement = gateway.placement()
        finally:
            gateway.stop()
    return {
        "bench": "mail",
        "machine": machine.described(),
        "load": {"before": load_before, "after": machine.load(), "calm": load_before[0] < machine.CALM},
        "cores": placement,
        "figures": figures,
    }


async def _device(gateway: Gateway) -> Account:
    async with gateway.connection() as connection:
        made = (await connection.post("/v1/devices", {"name": "bench", "reply": "none"})).json()
    return Account.of(gateway.mail_port, made["login"], made["secret"], gateway.certificate)


async def _submissions(bench: _Bench) -> list[Figure]:
    """Submit at the target's rate; then look for the highest rate."""
    figures = []
    for kind, document, media_type in (
        ("tiff", bench.samples.dotted_tiff(), "image/tiff"),
        ("pdf", bench.samples.pdf, "application/pdf"),
    ):
        submit, target = _by_mail(bench.account, message_of(document, media_type)), TARGETS[f"submit.{kind}"]
        what = f"{kind.upper()} of {len(document) / 1000:.0f} kB, a TLS connection each"
        await drained(bench.gateway)
        run = await offered(bench.gateway, submit, rate=target, seconds=bench.size.seconds)
        value = target if run.achieved >= 0.98 * target else run.achieved
        title = f"submissions sustained for {bench.size.seconds:g} s: {what}"
        same: dict[str, Any] = {"unit": "/s", "target": target, "more_is_better": True}
        figures.append(Figure(f"submit.{kind}", title, value, **same, holds=run.flat, details=run.as_json()))
        if bench.size.searches:
            found, runs = await highest(bench.gateway, submit, around=target, seconds=bench.size.seconds / 2)
            details = {"runs": [each.as_json() for each in runs]}
            title = f"highest rate with a flat backlog: {what}"
            figures.append(Figure(f"highest.{kind}", title, found, **same, details=details))
    return figures


def _by_mail(account: Account, message: bytes) -> Submit:
    """Return what submits one fax; the connection of the API is not used."""

    async def submit(_: Connection, to: str) -> Answer:
        session = None
        try:
            session = await Session.opened(account)
            await session.send(named() + message, to)
            await session.quit()
        except Refused as refused:
            return Answer(refused.code, str(refused).encode())
        finally:
            if session is not None:
                session.close()
        return Answer(202, b"")

    return submit


async def _large(bench: _Bench) -> list[Figure]:
    """Send one large message, and see how much more memory the gateway's own process had at the most meanwhile."""
    message = message_of(bench.samples.large_pdf(LARGE * 73 // 100), "application/pdf")
    session = await Session.opened(bench.account)
    try:
        await session.send(message_of(bench.samples.pdf, "application/pdf"), NUMBER)  # what is loaded once is loaded
        await drained(bench.gateway)
        before = _resident(bench.gateway)
        async with _Watched(bench.gateway) as watched:
            began = time.perf_counter()
            await session.send(message, NUMBER)
            took = time.perf_counter() - began
    except Refused as refused:
        raise CannotMeasure(f"The gateway refused a message of {LARGE / MB:.0f} MB: {refused}") from refused
    finally:
        session.close()
    more = watched.most - before
    details = {"octets": len(message), "seconds": round(took, 2), "before_mb": before, "most_mb": watched.most}
    what = f"more memory of the gateway's process for a message of {len(message) / MB:.0f} MB"
    return [Figure("large", what, more, "MB", TARGETS["large"], details=details)]


async def _idle(bench: _Bench) -> list[Figure]:
    """Have many devices signed in that say nothing."""
    sessions: list[Session] = []
    before = sum(bench.gateway.memory().values())
    gate = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with gate:
            sessions.append(await Session.opened(bench.account))

    began = time.perf_counter()
    try:
        await asyncio.gather(*(one() for _ in range(bench.size.idle)))
        took = time.perf_counter() - began
        memory = bench.gateway.memory()
    except (OSError, Refused, EOFError) as trouble:
        raise CannotMeasure(f"Of {bench.size.idle} connections {len(sessions)} came about: {trouble}") from trouble
    finally:
        for each in sessions:
            each.close()
    details = {"before_mb": round(before, 1), "processes_mb": memory, "signed_in_per_s": round(bench.size.idle / took)}
    what = f"more memory with {bench.size.idle:,} idle TLS connections, signed in"
    return [Figure("idle", what, sum(memory.values()) - before, "MB", TARGETS["idle"], details=details)]


class _Watched:
    """Looks again and again how large the gateway's process is, while the block runs; ``most`` is what it came to."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.most = 0.0

    async def __aenter__(self) -> "_Watched":
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._look()
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _watch(self) -> None:
        while True:
            self._look()
            await asyncio.sleep(WATCHED_EVERY)

    def _look(self) -> None:
        self.most = max(_resident(self._gateway), self.most)


def _resident(gateway: Gateway) -> float:
    """Return how much of the gateway's own process is in memory, in MB."""
    with Path(f"/proc/{gateway.pid}/statm").open() as statm:
        return round(int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MB, 1)


Part = Callable[[_Bench], Awaitable[list[Figure]]]

PARTS: Mapping[str, Part] = {"idle": _idle, "submit": _submissions, "large": _large}
"""What is measured, in this order."""
