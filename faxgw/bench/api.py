"""``faxgw bench api``: how soon the gateway is ready, how much it takes on, how quickly it answers, how large it is.

A gateway of its own runs on one core with all its processes, and the client on another. In a part in which it takes
on work, a call at the speed of a real line is up, and how late the loop came to what was due is measured meanwhile.
"""

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faxgw.bench import lag, machine
from faxgw.bench.figures import CannotMeasure, Figure, rounded
from faxgw.bench.gateway import Gateway, scratch
from faxgw.bench.listing import fill, list_pages
from faxgw.bench.specimens import Specimens, specimens
from faxgw.bench.submitting import Submit, drained, highest, in_one_request, in_two_requests, offered

STARTS = 3
SETTLED = 30.0
"""Seconds after which a gateway that nobody asks anything is idle: its workers have ended."""
SEARCH = 4
"""The runs that look for the highest rate are so much shorter."""
CALL_UP_WITHIN = 60.0
BUSY_NUMBER = "+15550100"
"""The number of the sandbox that takes the long call."""

TARGETS = {
    "start.cold": 3.0,
    "start.warm": 1.5,
    "memory": 350.0,
    "submit.tiff": 100.0,
    "submit.pdf": 15.0,
    "list": 20.0,
    "batch": 5.0,
    "lag": 20.0,
}


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: the usual figures, or less for a quick look.

    Attributes:
        seconds: of a run of submissions.
        faxes: in the list.
        destinations: of the batch.
        requests: for each kind of page of the list.
        settled: seconds until the gateway counts as idle.
        starts: of each kind; batches, too.
        searches: whether the highest rate is looked for.
    """

    seconds: float = 60.0
    faxes: int = 100_000
    destinations: int = 10_000
    requests: int = 200
    settled: float = SETTLED
    starts: int = STARTS
    searches: bool = True


@dataclass(slots=True)
class _Bench:
    """One gateway that is measured, and what has come of it so far."""

    gateway: Gateway
    folder: Path
    size: Size
    on: set[int] | None
    samples: Specimens
    lags: dict[str, lag.Buckets] = field(default_factory=dict)
    calls: dict[str, bool] = field(default_factory=dict)

    @asynccontextmanager
    async def lag_measured(self, part: str) -> AsyncIterator[None]:
        """Measure how late the loop is while the block runs, and whether a call was up from beginning to end."""
        await self._call_up()
        before = lag.buckets(self.gateway.metrics())
        yield
        self.lags[part] = lag.between(before, lag.buckets(self.gateway.metrics()))
        self.calls[part] = self._lines_busy() > 0

    async def _call_up(self) -> None:
        """Have a call on the line, if there is none."""
        if self._lines_busy():
            return
        async with self.gateway.connection() as connection:
            document = (await connection.post("/v1/documents", self.samples.long_tiff, "image/tiff")).json()["id"]
            wish = {"to": BUSY_NUMBER, "documents": [document], "priority": 0}
            (await connection.post("/v1/faxes", wish)).json()
            end = time.monotonic() + CALL_UP_WITHIN
            while not self._lines_busy():
                if time.monotonic() > end:
                    raise CannotMeasure(f"No call came about within {CALL_UP_WITHIN:g} s.")
                await asyncio.sleep(0.1)

    def _lines_busy(self) -> int:
        with self.gateway.dispatcher() as database:
            row = database.execute(
                "SELECT count(*) FROM faxes JOIN attempts ON attempts.fax_id = faxes.id"
                " WHERE attempts.state = 'live' AND faxes.state = 'sending'"
            ).fetchone()
        return int(row[0]) if row else 0


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
    cores = machine.cores()
    load_before = machine.load()
    samples = await specimens()
    with scratch(under) as folder, client_on(cores):
        bench = _Bench(
            Gateway(folder / "warm", on=cores and cores[0]), folder, size or Size(), cores and cores[0], samples
        )
        try:
            # Before anything is measured: bytecode and compiled kernels lie on the disk, as where it is installed.
            say("a first start, which is not measured")
            bench.gateway.start()
            bench.gateway.set_up()
            figures: list[Figure] = []
            for name, part in PARTS.items():
                if not only or name in only:
                    say(name)
                    figures += await part(bench)
            figures += _lags(bench)
            placement = bench.gateway.placement()
        finally:
            bench.gateway.stop()
    return {
        "bench": "api",
        "machine": machine.described(),
        "load": {"before": load_before, "after": machine.load(), "calm": load_before[0] < machine.CALM},
        "cores": placement,
        "figures": figures,
    }


async def _starts(bench: _Bench) -> list[Figure]:
    """Start it, each time anew, with nothing there yet; and with everything there."""
    cold = []
    for number in range(bench.size.starts):
        fresh = Gateway(bench.folder / f"cold-{number}", on=bench.on)
        try:
            cold.append((fresh.start(), sum(fresh.cpu_seconds().values())))
        finally:
            fresh.stop()
    warm = []
    for _ in range(bench.size.starts):
        bench.gateway.stop()
        warm.append((bench.gateway.start(), sum(bench.gateway.cpu_seconds().values())))
    return [
        _start("start.cold", "ready after a cold start (no data directory yet), median", cold),
        _start("start.warm", "ready after a warm start, median", warm),
    ]


def _start(name: str, what: str, starts: Sequence[tuple[float, float]]) -> Figure:
    seconds, cpu = zip(*starts, strict=True)
    details = {"seconds": [rounded(each) for each in seconds], "cpu_seconds": [round(each, 2) for each in cpu]}
    return Figure(name, what, statistics.median(seconds), "s", TARGETS[name], details=details)


async def _idle_memory(bench: _Bench) -> list[Figure]:
    """Start it, let it be, and look how large it is."""
    bench.gateway.stop()
    bench.gateway.start()
    return [await _memory(bench, "memory.idle", "memory, idle after its start")]


async def _memory_after(bench: _Bench) -> list[Figure]:
    return [await _memory(bench, "memory.after_work", "memory, idle after all that was measured")]


async def _memory(bench: _Bench, name: str, what: str) -> Figure:
    await asyncio.sleep(bench.size.settled)
    sizes = bench.gateway.memory()
    return Figure(name, what, sum(sizes.values()), "MB", TARGETS["memory"], details={"processes_mb": sizes})


async def _submissions(bench: _Bench) -> list[Figure]:
    """Submit one page at the target's rate, in either form; then look for the highest rate."""
    figures = []
    for kind, document, media_type in (
        ("tiff", bench.samples.tiff, "image/tiff"),
        ("pdf", bench.samples.pdf, "application/pdf"),
    ):
        forms = {"": in_two_requests(document, media_type), "_as_body": in_one_request(document, media_type)}
        for form, submit in forms.items():
            how = "one request" if form else "two requests"
            target = TARGETS[f"submit.{kind}"]
            figures.append(await _sustained(bench, submit, f"submit.{kind}{form}", f"{kind.upper()}, {how}", target))
            if bench.size.searches:
                found, runs = await highest(bench.gateway, submit, around=target, seconds=bench.size.seconds / SEARCH)
                details = {"runs": [each.as_json() for each in runs]}
                name, what = f"highest.{kind}{form}", f"highest rate with a flat backlog: {kind.upper()}, {how}"
                figures.append(Figure(name, what, found, "/s", target, more_is_better=True, details=details))
    return figures


async def _sustained(bench: _Bench, submit: Submit, name: str, what: str, target: float) -> Figure:
    await drained(bench.gateway)
    async with bench.lag_measured(name):
        run = await offered(bench.gateway, submit, rate=target, seconds=bench.size.seconds)
    # What was due in the last moments is accepted after them.
    kept_up = run.achieved >= 0.98 * target
    value = target if kept_up else run.achieved
    title = f"submissions sustained for {bench.size.seconds:g} s: {what}"
    return Figure(name, title, value, "/s", target, more_is_better=True, holds=run.flat, details=run.as_json())


async def _lists(bench: _Bench) -> list[Figure]:
    await fill(bench.gateway, bench.size.faxes)
    async with bench.lag_measured("list"):
        return await list_pages(bench.gateway, bench.size.faxes, times=bench.size.requests, target=TARGETS["list"])


async def _batch(bench: _Bench) -> list[Figure]:
    """Have batches accepted, one after the other; they are canceled at once."""
    size, taken = bench.size.destinations, []
    async with bench.gateway.connection() as connection:
        document = (await connection.post("/v1/documents", bench.samples.tiff, "image/tiff")).json()["id"]
        async with bench.lag_measured("batch"):
            for number in range(bench.size.starts):
                to = [f"+1646{2_300_000 + number * size + index}" for index in range(size)]
                began = time.perf_counter()
                accepted = (await connection.post("/v1/batches", {"to": to, "documents": [document]})).json()
                taken.append(time.perf_counter() - began)
                (await connection.post(f"/v1/batches/{accepted['id']}:cancel", b"")).json()
    details = {"seconds": [rounded(each) for each in taken], "destinations": size}
    what = f"a batch of {size:,} destinations accepted, median"
    return [Figure("batch", what, statistics.median(taken), "s", TARGETS["batch"], details=details)]


def _lags(bench: _Bench) -> list[Figure]:
    """Say how late the loop was in each part, with a call on the line."""
    return [
        Figure(
            f"lag.{part}",
            f"loop latency p99 with a call up: {part}",
            1000 * lag.percentile(counted, 99),
            "ms",
            TARGETS["lag"],
            details={
                "share_within_target": round(lag.share_within(counted, TARGETS["lag"] / 1000), 4),
                "samples": lag.samples_of(counted),
                "call_up": bench.calls[part],
            },
            holds=bench.calls[part],
        )
        for part, counted in bench.lags.items()
    ]


@contextmanager
def client_on(cores: tuple[set[int], set[int]] | None) -> Iterator[None]:
    """Keep the client to a core of its own until the block ends."""
    if cores is None:
        yield
        return
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores[1])
    try:
        yield
    finally:
        os.sched_setaffinity(0, usual)


Part = Callable[[_Bench], Awaitable[list[Figure]]]

PARTS: Mapping[str, Part] = {
    "start": _starts,
    "memory": _idle_memory,
    "submit": _submissions,
    "batch": _batch,
    "list": _lists,
    "memory-after": _memory_after,
}
"""What is measured, in this order."""
