"""``faxgw bench t38``: packets, and how many calls go through one process on one core at once."""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from drivers.t38 import ifp, udptl
from faxgw.bench import machine
from faxgw.bench.figures import CannotMeasure, Figure
from faxgw.bench.specimens import letter_page

PACKET, DATAGRAM = 2.0, 3.0
"""Microseconds that a packet, and a datagram with three others in it, may take to be written or read."""
REQUIRED, AIM = 600, 1000
MEMORY = 300.0
"""kB that a call may take."""
ROUNDS, TIMES = 10, 20_000
BEGIN_WITHIN = 10.0
"""Seconds in which all calls begin."""
OVER_WITHIN = 180.0
FIRST_PORT = 20_000


def packets() -> list[Figure]:
    """Measure single packets and datagrams of 30 ms at 14,400 bit/s, the best of some rounds."""
    data = ifp.DataPacket(ifp.DataType.V17_14400, (ifp.Field(ifp.FieldType.T4_NON_ECM_DATA, os.urandom(54)),))
    octets = ifp.encode(data)
    datagram = udptl.encode(udptl.Datagram(1, octets, (octets,) * 3))
    numbering = udptl.Numbering(udptl.Protection(3), most=1400)
    works: dict[str, tuple[str, float, Callable[[], object]]] = {
        "ifp.encode": ("an IFP packet written", PACKET, partial(ifp.encode, data)),
        "ifp.decode": ("an IFP packet read", PACKET, partial(ifp.decode, octets)),
        "udptl.encode": ("a datagram with three secondaries written", DATAGRAM, partial(numbering.datagram, octets)),
        "udptl.decode": ("a datagram with three secondaries read", DATAGRAM, partial(udptl.decode, datagram)),
    }
    return [Figure(name, what, _microseconds(do), "us", target) for name, (what, target, do) in works.items()]


def _microseconds(do: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(TIMES):
            do()
        best = min(best, time.perf_counter() - began)
    return best / TIMES * 1e6


@dataclass(frozen=True, slots=True)
class Side:
    """What came of one process's calls."""

    result: dict[str, Any]
    cpu: float
    """Seconds of processor time."""
    memory: float
    """kB that each call took."""


async def calls(count: int) -> list[Figure]:
    """Make so many calls at once, half of them in and half out, and tell what came of them.

    Raises:
        CannotMeasure: if the calls do not end.
    """
    page = await letter_page()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page"
        path.write_bytes(page.octets)
        ours, theirs = _asked(count, path, page.rows, ours=True), _asked(count, path, page.rows, ours=False)
        cores = machine.cores() or (None, None)
        async with asyncio.timeout(OVER_WITHIN):
            one, _ = await _both((ours, cores[0]), (theirs, cores[1]), count)
    confirmed = one.result["confirmed"]
    share = one.result["late"] / max(one.result["sent"], 1)
    details = {
        "calls": count,
        "verdicts": one.result["verdicts"],
        "reasons": one.result["reasons"],
        "late_packets": f"{share:.2%}",
        "worst_lateness_ms": round(one.result["worst"] * 1000, 1),
        "cpu_ms_each": round(one.cpu * 1000 / count, 1),
    }
    whole = confirmed == count and set(one.result["verdicts"]) <= {"delivered", "received"}
    target = REQUIRED if count <= REQUIRED else AIM
    return [
        Figure(
            f"calls.{count}",
            f"calls at once on one core, every page confirmed ({share:.1%} of packets over 10 ms late)",
            confirmed,
            "calls",
            target,
            more_is_better=True,
            holds=whole,
            details=details,
        ),
        Figure(f"memory.{count}", f"memory of a call, {count} of them up", one.memory, "kB", MEMORY),
        Figure(f"cpu.{count}", "processor time of a one-page call", one.cpu * 1000 / count, "ms", 30_000 / AIM),
    ]


def _asked(count: int, page: Path, rows: int, *, ours: bool) -> dict[str, Any]:
    """Return what one side is to do: calls with even numbers go out from us, the others from them."""
    mine, other = (0, 1) if ours else (1, 0)
    each = []
    for number in range(count):
        port = FIRST_PORT + 4 * number
        sends = (number % 2 == 0) is ours
        role = "caller" if sends else "answerer"
        url = f"udptl:127.0.0.1:{port + 2 * mine}@127.0.0.1:{port + 2 * other}?role={role}&version=3&max_datagram=1400"
        each.append({"url": url, "sends": sends})
    return {"calls": each, "seconds": BEGIN_WITHIN, "page": str(page), "rows": rows}


async def _both(
    ours: tuple[dict[str, Any], set[int] | None], theirs: tuple[dict[str, Any], set[int] | None], count: int
) -> tuple[Side, Side]:
    processes = [await _started(*side) for side in (ours, theirs)]
    try:
        before = [machine.memory(each.pid) for each in processes]
        for each in processes:
            assert each.stdin is not None
            each.stdin.write(b"\n")
        await asyncio.sleep(2 * BEGIN_WITHIN)  # all are up by then, and none is over
        sizes = [machine.memory(each.pid) for each in processes]
        sides = []
        for each, size, peak in zip(processes, before, sizes, strict=True):
            assert each.stdout is not None
            line = await each.stdout.readline()
            if not line:
                raise CannotMeasure("A process with calls ended before they did.")
            result = json.loads(line)
            sides.append(Side(result, result["cpu"], (peak - size) * 1024 / count))
        return sides[0], sides[1]
    finally:
        for each in processes:
            if each.returncode is None:
                each.kill()
            await each.wait()


async def _started(asked: dict[str, Any], on: set[int] | None) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "faxgw.bench.t38_calls",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if on:
        os.sched_setaffinity(process.pid, on)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps(asked).encode() + b"\n")
    if (await process.stdout.readline()).strip() != b"ready":
        raise CannotMeasure("A process with calls could not open its lines; are its ports free?")
    return process
