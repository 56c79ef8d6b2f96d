"""A gateway that takes one fax, watches its own memory and log, and prints what came of it as JSON on one line.

``python -m tests.drivers.sip.flooded URL``; it says ``ready`` first.
"""

import asyncio
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import structlog
import uvloop

from drivers.registry import open_line
from simulators.machine import Machine
from simulators.tray import Tray
from t30.capabilities import Station
from tests.simulators.calls import sheet

EVERY = 0.1
"""Seconds between two looks at the memory."""


async def receive(url: str) -> dict[str, Any]:
    """Take a fax; return its verdict, the lines of the log, and what time and memory it took."""
    logged: list[tuple[float, Any]] = []
    structlog.configure(processors=[lambda _logger, _level, event: _keep(logged, event)])
    line = await open_line(url)
    tray = Tray()
    looks: list[tuple[float, int, float]] = []
    watching = asyncio.create_task(_watch(looks))
    try:
        print("ready", flush=True)
        outcome = await Machine(Station("1"), line, tray).receive()
    finally:
        watching.cancel()
        await line.close()
    bitmaps = [page.decoded.bitmap for page in tray.received.values() if page.decoded]
    return {"verdict": outcome.verdict, "same": bitmaps == [sheet(5).bitmap], "log": logged, "looks": looks}


def _keep(logged: list[tuple[float, Any]], event: Any) -> Any:
    logged.append((time.time(), dict(event)))
    raise structlog.DropEvent


async def _watch(looks: list[tuple[float, int, float]]) -> None:
    """Write down again and again: the time, the octets of memory in use, the seconds of CPU used."""
    while True:
        used = resource.getrusage(resource.RUSAGE_SELF)
        pages = int(Path("/proc/self/statm").read_text().split()[1])  # noqa: ASYNC240 (not a file)
        looks.append((time.time(), pages * os.sysconf("SC_PAGE_SIZE"), used.ru_utime + used.ru_stime))
        await asyncio.sleep(EVERY)


if __name__ == "__main__":
    print(json.dumps(uvloop.run(receive(sys.argv[1])), default=str), flush=True)
