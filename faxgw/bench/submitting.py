"""Submissions at a given rate, whatever the gateway makes of it: latencies, errors, and how the backlog goes."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from faxgw.bench.client import Answer, Connection
from faxgw.bench.figures import CannotMeasure, percentile, rounded, slope
from faxgw.bench.gateway import Gateway

CONNECTIONS = 16
"""Kept connections of the client; a submission that finds none free waits, and that counts."""
SAMPLE_EVERY = 1.0
FLAT = 0.02
"""Share of what was submitted by which the backlog may have grown, by its straight line, and still count as flat."""
STEP_UP, STEP_DOWN, STEPS = 1.25, 0.8, 12
DRAINED_WITHIN = 120.0

_NUMBERS = itertools.count()
_UNDRAWN = "SELECT count(*) FROM faxes WHERE state IN ('accepted', 'converting') AND batch_id IS NULL"

Submit = Callable[[Connection, str], Awaitable[Answer]]
"""Submits one fax to a number, with one request or more; returns the last answer, or the first refusal."""


def in_two_requests(document: bytes, media_type: str) -> Submit:
    """Upload the document, then have it sent."""

    async def submit(connection: Connection, to: str) -> Answer:
        uploaded = await connection.post("/v1/documents", document, media_type)
        if uploaded.status != 201:
            return uploaded
        return await connection.post("/v1/faxes", {"to": to, "documents": [uploaded.json()["id"]]})

    return submit


def in_one_request(document: bytes, media_type: str) -> Submit:
    """Send the document as the body of the fax."""

    async def submit(connection: Connection, to: str) -> Answer:
        return await connection.post(f"/v1/faxes:send?to=%2B{to[1:]}", document, media_type)

    return submit


@dataclass(slots=True)
class Run:
    """What came of submitting at one rate.

    Attributes:
        rate: asked for, a second.
        seconds: for how long.
        latencies: seconds from when each was due to its 202.
        errors: what else came back, and how often.
        backlog: seconds since the start, and how many were due or accepted but not drawn then.
        cpu: shares of a core that the gateway's processes took, by what they are, and the client.
        done_in_time: how many were accepted before the end.
        not_begun: how many were due and had found no free connection at the end; they are left out.
    """

    rate: float
    seconds: float
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    backlog: list[tuple[float, int]] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)
    done_in_time: int = 0
    not_begun: int = 0

    @property
    def achieved(self) -> float:
        """How many a second were accepted while they were offered."""
        return self.done_in_time / self.seconds

    @property
    def growth(self) -> float:
        """By how much the backlog has grown over the run, by its straight line; its beginning is left out."""
        settled = [(at, waiting) for at, waiting in self.backlog if at >= self.seconds / 6]
        return slope(settled) * self.seconds

    @property
    def flat(self) -> bool:
        """Whether everything was accepted, and the backlog has not grown."""
        return not self.errors and not self.not_begun and self.growth <= max(FLAT * self.rate * self.seconds, 1.0)

    def as_json(self) -> dict[str, Any]:
        """Return its figures."""
        return {
            "offered_per_s": rounded(self.rate),
            "achieved_per_s": rounded(self.achieved),
            "seconds": self.seconds,
            "latency_ms": {f"p{each}": rounded(1000 * percentile(self.latencies, each)) for each in (50, 99)},
            "errors": dict(self.errors),
            "not_begun": self.not_begun,
            "backlog": {
                "flat": self.flat,
                "growth_per_s": rounded(self.growth / self.seconds),
                "samples": [waiting for _, waiting in self.backlog],
            },
            "cpu": {name: round(share, 2) for name, share in self.cpu.items()},
            "cpu_ms_each": {
                name: rounded(1000 * share * self.seconds / max(self.done_in_time, 1))
                for name, share in self.cpu.items()
            },
        }


async def offered(gateway: Gateway, submit: Submit, *, rate: float, seconds: float) -> Run:
    """Submit at a rate for so long, one after the other in equal distances, and wait for the answers to what was begun.

    Raises:
        CannotMeasure: if nothing at all was accepted.
    """
    run, due = Run(rate, seconds), asyncio.Queue[float]()
    busy = 0

    async def work(connection: Connection) -> None:
        nonlocal busy
        while True:
            at = await due.get()
            busy += 1
            await _submitted(run, submit, connection, at, end=began + seconds)
            busy -= 1
            due.task_done()

    began = time.monotonic()
    async with _working(gateway, work):
        began = time.monotonic()
        before, own = gateway.cpu_seconds(), time.process_time()
        async with _watched(gateway, run, lambda: due.qsize() + busy):
            for each in _moments(began, rate=rate, seconds=seconds):
                if (early := each - time.monotonic()) > 0:
                    await asyncio.sleep(early)
                due.put_nowait(each)
            await asyncio.sleep(max(began + seconds - time.monotonic(), 0))
        spent = time.monotonic() - began
        now = gateway.cpu_seconds()
        run.cpu = {name: (now[name] - before.get(name, 0.0)) / spent for name in now}
        run.cpu["client"] = (time.process_time() - own) / spent
        while not due.empty():
            due.get_nowait()
            due.task_done()
            run.not_begun += 1
        await due.join()
    if not run.latencies:
        raise CannotMeasure(f"Of {run.errors.total()} submissions none was accepted: {dict(run.errors)}")
    return run


async def highest(gateway: Gateway, submit: Submit, *, around: float, seconds: float) -> tuple[float, list[Run]]:
    """Look for the highest rate at which the backlog is flat, in steps from ``around``; 0 if there is none.

    Returns:
        What was accepted a second in the best run, and the runs.
    """
    runs: list[Run] = []
    best, rate = 0.0, around
    for _ in range(STEPS):
        await drained(gateway)
        run = await offered(gateway, submit, rate=rate, seconds=seconds)
        runs.append(run)
        if run.flat:
            best = max(best, run.achieved)
        if run.flat != runs[0].flat:
            break
        rate *= STEP_UP if run.flat else STEP_DOWN
    return best, runs


async def drained(gateway: Gateway) -> None:
    """Wait until every fax is drawn.

    Raises:
        CannotMeasure: if that takes minutes.
    """
    end = time.monotonic() + DRAINED_WITHIN
    async with await psycopg.AsyncConnection.connect(gateway.urls.dispatcher, autocommit=True) as database:
        while left := await _undrawn(database):
            if time.monotonic() > end:
                raise CannotMeasure(f"{left} faxes still wait to be drawn after {DRAINED_WITHIN:g} s.")
            await asyncio.sleep(0.1)


async def _submitted(run: Run, submit: Submit, connection: Connection, due: float, *, end: float) -> None:
    try:
        answer = await submit(connection, _number())
    except (OSError, EOFError, TimeoutError) as trouble:
        run.errors[type(trouble).__name__] += 1
        return
    now = time.monotonic()
    if answer.status == 202:
        run.latencies.append(now - due)
        run.done_in_time += now <= end
    else:
        run.errors[str(answer.status)] += 1


def _moments(began: float, *, rate: float, seconds: float) -> Iterator[float]:
    return (began + index / rate for index in range(max(int(rate * seconds), 1)))


def _number() -> str:
    """Return another number each time: not so many faxes go to one."""
    return f"+1212{2_300_000 + next(_NUMBERS) % 800_000}"


@asynccontextmanager
async def _working(gateway: Gateway, work: Callable[[Connection], Awaitable[None]]) -> AsyncIterator[None]:
    """Have every connection opened, and work done over each, until the block ends."""
    connections = [gateway.connection() for _ in range(CONNECTIONS)]
    for each in connections:
        (await each.get("/v1/version")).json()
    tasks = [asyncio.ensure_future(work(each)) for each in connections]
    try:
        yield
    finally:
        await _ended(tasks)
        for each in connections:
            each.close()


@asynccontextmanager
async def _watched(gateway: Gateway, run: Run, waiting: Callable[[], int]) -> AsyncIterator[None]:
    """Note the backlog once a second until the block ends: what waits in the client, and what is not drawn."""

    async def watch() -> None:
        began = time.monotonic()
        for number in itertools.count():
            await asyncio.sleep(max(began + number * SAMPLE_EVERY - time.monotonic(), 0))
            undrawn = await _undrawn(database)
            run.backlog.append((time.monotonic() - began, waiting() + undrawn))

    async with await psycopg.AsyncConnection.connect(gateway.urls.dispatcher, autocommit=True) as database:
        watching = asyncio.ensure_future(watch())
        try:
            yield
        finally:
            await _ended([watching])


async def _undrawn(database: psycopg.AsyncConnection[Any]) -> int:
    row = await (await database.execute(_UNDRAWN)).fetchone()
    return int(row[0]) if row else 0


async def _ended(tasks: Sequence[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
