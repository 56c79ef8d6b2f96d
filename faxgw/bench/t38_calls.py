"""A process with many T.38 calls at once, straight over UDP: one side of ``faxgw bench t38``.

Its standard input is one JSON object: ``{"calls": [{"url", "sends"}, ...], "seconds": S, "page": "/path/of/a/page",
"rows": N}``; calls begin one after the other within S seconds. It says ``ready`` on standard output when all lines are
open, begins when a line comes in, and prints one JSON object when the last call is over.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import uvloop

from drivers.registry import open_line
from drivers.t38.line import UdptlLine
from faxgw.calls import run_call
from faxgw.documents.receiver import Receiver
from t30.answering import answering
from t30.calling import calling
from t30.capabilities import Station
from t30.pages import (
    Coding,
    FetchPage,
    Length,
    NoMorePages,
    NoteConfirmed,
    Noted,
    PageAction,
    PageEvent,
    PageFormat,
    PageReady,
    Resolution,
    Width,
)
from t30.session import Session

FORMAT = PageFormat(Width.A4, Length.A4, Resolution.FINE, Coding.MMR, ecm=True)


class _OnePage:
    """Has one page, which is coded already."""

    def __init__(self, octets: bytes, rows: int) -> None:
        self._page = PageReady(FORMAT, octets, rows)

    async def perform(self, action: PageAction) -> PageEvent:
        match action:
            case FetchPage(index=0):
                return self._page
            case FetchPage():
                return NoMorePages()
            case NoteConfirmed():
                return Noted()
        raise TypeError(f"{action!r} is not for a source")


async def _stored(index: int, page: object) -> None:
    """Store nothing: what is measured is the call."""


async def _run(asked: dict[str, Any]) -> dict[str, Any]:
    octets, rows = await asyncio.to_thread(Path(asked["page"]).read_bytes), asked["rows"]
    await Receiver(_stored).prepare()
    lines = [await open_line(each["url"]) for each in asked["calls"]]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    loop, cpu = asyncio.get_running_loop(), time.process_time()
    began, distance = loop.time(), asked["seconds"] / max(len(lines), 1)

    async def call(place: int, line: UdptlLine, *, sends: bool) -> dict[str, Any]:
        await asyncio.sleep(began + place * distance - loop.time() if sends else 0)
        pages = _OnePage(octets, rows) if sends else Receiver(_stored)
        procedure = calling(Station(), "1") if sends else answering(Station())
        outcome = await run_call(Session(procedure), line, pages)
        timing = line.timing
        return {
            "verdict": outcome.verdict,
            "reason": outcome.reason.code,
            "confirmed": sum(page.confirmed for page in outcome.pages),
            "sent": timing.sent,
            "late": timing.late,
            "worst": timing.worst,
        }

    works = [
        call(place, line, sends=each["sends"])  # type: ignore[arg-type]
        for place, (line, each) in enumerate(zip(lines, asked["calls"], strict=True))
    ]
    done = await asyncio.gather(*works)
    cpu = time.process_time() - cpu
    for line in lines:
        await line.close()
    return {
        "verdicts": Counter(each["verdict"] for each in done),
        "reasons": Counter(each["reason"] for each in done if each["reason"]),
        "confirmed": sum(each["confirmed"] for each in done),
        "sent": sum(each["sent"] for each in done),
        "late": sum(each["late"] for each in done),
        "worst": max((each["worst"] for each in done), default=0.0),
        "cpu": cpu,
    }


def main() -> None:
    """Make the calls that standard input asks for."""
    print(json.dumps(uvloop.run(_run(json.loads(sys.stdin.readline())))), flush=True)


if __name__ == "__main__":
    main()
