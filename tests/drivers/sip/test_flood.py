"""A stranger's flood while a fax runs: dropped before it is read, with memory and log as before."""

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drivers.registry import open_line
from simulators.machine import Machine
from simulators.tray import Tray
from t30.capabilities import Station
from t30.line import Connected
from t30.outcome import Outcome
from tests.simulators.calls import sheet

ROOT = Path(__file__).parents[3]
OURS, THEIRS = "127.0.0.1:25160", "127.0.0.1:25161"
RATE = 10_000
"""INVITEs a second."""
PAGE = sheet(5)
MORE = 8_000_000
"""Octets by which the memory of the gateway may grow during a flood, the fax's own included."""
SHARE = 0.3
"""Of a core, that the gateway may take for a flood and a fax."""


@dataclass(frozen=True, slots=True)
class Flood:
    """What the gateway told of a fax during which there was a flood, and what there was."""

    told: dict[str, Any]
    outcome: Outcome
    sent: int
    began: float
    ended: float

    @property
    def dropped(self) -> list[dict[str, Any]]:
        """What the log says during the flood, and a second after it."""
        return [entry for at, entry in self.told["log"] if self.began <= at <= self.ended + 1.5]

    @property
    def memory(self) -> list[int]:
        return [octets for at, octets, _ in self.told["looks"] if self.began <= at <= self.ended]

    @property
    def share(self) -> float:
        """What of a core the gateway took."""
        looks = [(at, used) for at, _, used in self.told["looks"] if self.began <= at <= self.ended]
        return float((looks[-1][1] - looks[0][1]) / (looks[-1][0] - looks[0][0]))


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.soak
@pytest.mark.parametrize("heard", [False, True], ids=["who is not allowed", "who may call, but sends too much"])
async def test_a_fax_arrives_through_a_flood_that_costs_neither_memory_nor_log(soak: bool, heard: bool) -> None:
    seconds = 10.0 if soak else 3.0
    flood = await _fax_through_a_flood(seconds, "&allow=127.0.0.0/8" if heard else "")
    dropped = sum(each["dropped"] for each in flood.dropped)
    grown = max(flood.memory) - flood.memory[0]
    print(f"{flood.sent} sent, {dropped} dropped, {grown / 1e6:.1f} MB more, {flood.share:.1%} of a core")
    assert flood.outcome.verdict == "delivered", flood.outcome
    assert (flood.told["verdict"], flood.told["same"]) == ("received", True)
    assert flood.sent > 0.8 * RATE * seconds
    assert 0.5 * flood.sent < dropped < flood.sent - (100 + 20 * seconds) * heard + 50
    assert {each["event"] for each in flood.dropped} == {"messages dropped"}
    assert {each["worst"] for each in flood.dropped} == {"127.0.0.2"}
    assert len(flood.dropped) <= seconds + 2
    assert grown < MORE
    assert flood.share < SHARE


async def _fax_through_a_flood(seconds: float, options: str) -> Flood:
    gateway = await _run("flooded", f"sip:{OURS}?local={THEIRS}{options}")
    assert gateway.stdout is not None
    try:
        assert await gateway.stdout.readline() == b"ready\n"
        line = await open_line(f"sip:{THEIRS}?local={OURS}")
        sender = Machine(Station("2"), line, Tray([PAGE]))
        sending = asyncio.create_task(sender.send("15550100"))
        while not any(isinstance(step.event, Connected) for step in sender.transcript):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        flooder = await _run("flooder", *THEIRS.split(":"), str(RATE), str(seconds))
        began = time.time()
        sent = int((await flooder.communicate())[0])
        ended = time.time()
        outcome = await sending
        await line.close()
        told = json.loads((await gateway.communicate())[0])
    finally:
        if gateway.returncode is None:
            gateway.kill()
            await gateway.wait()
    return Flood(told, outcome, sent, began, ended)


async def _run(program: str, *args: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"tests.drivers.sip.{program}", *args, stdout=PIPE, cwd=ROOT
    )
