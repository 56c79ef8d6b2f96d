"""A line that is unplugged and plugged in again, and one that rings as it is given a call to make."""

import asyncio
import socket
from pathlib import Path
from typing import Self, cast

import pytest

from drivers.registry import DRIVERS, Line, LineUrl, open_line
from faxgw.config import LineSettings
from faxgw.documents.tiff import tiff_octets
from faxgw.lines.keeper import Keeper
from faxgw.sandbox import start_call
from faxgw.trace.reading import read
from faxgw.trace.record import Recorder
from simulators.exchange import Exchange
from t30.capabilities import Station
from t30.line import AwaitCall, Connected, Dial, LineAction, LineClock, LineEvent, Ringing
from t30.outcome import Direction
from t30.rates import Modulation
from tests.faxgw.lines.conftest import Office, seen, sim_line
from tests.faxgw.lines.pages import fax_pages


class Job:
    """A call to make, which is only counted."""

    def __init__(self) -> None:
        self.made = self.given_back = 0

    async def make(self, _line: Line, _settings: LineSettings) -> bool:
        self.made += 1
        return True

    async def give_back(self) -> None:
        self.given_back += 1


async def never(_line: Line, _settings: LineSettings, _ringing: Ringing) -> bool:
    return True


def plugged_in(link: Path) -> "asyncio.Task[None]":
    """Plug a modem in where ``link`` leads to."""
    exchange = Exchange(LineClock(asyncio.get_running_loop().time, 1.0))
    terminal = exchange.modem("15550199")
    link.unlink(missing_ok=True)
    link.symlink_to(terminal.path)
    return asyncio.create_task(exchange.run())


@pytest.mark.slow
async def test_a_line_that_is_unplugged_is_down_until_it_is_plugged_in_again(tmp_path: Path) -> None:
    link = tmp_path / "modem"
    states: list[str] = []
    settings = LineSettings(name="one", url=f"class1:{link}", ident="+1 555 0199")
    keeper = Keeper(settings, settings.url, node="node", changed=lambda: states.append(keeper.state))
    keeping = asyncio.create_task(keeper.run(never))

    async def idle() -> bool:
        return keeper.state == "idle"

    async def down() -> bool:
        return keeper.state == "down"

    await seen(lambda: _has(states, "down"))
    assert "modem" in keeper.fault and not keeper.seen.up
    running = plugged_in(link)
    await seen(idle)
    job = Job()
    assert keeper.take(job)
    await seen(lambda: _made(job))
    await seen(idle)
    link.unlink()
    running.cancel()
    await asyncio.wait([running])
    await seen(down)
    assert not keeper.take(Job()) and keeper.fault
    running = plugged_in(link)
    await seen(idle)
    keeping.cancel()
    running.cancel()
    await asyncio.wait([keeping, running])


async def _has(states: list[str], state: str) -> bool:
    return state in states


async def _made(job: Job) -> bool:
    return job.made == 1


class RingsAtOnce:
    """A line that rings at the very moment at which its keeper is given a job."""

    clock = LineClock(lambda: 0.0, 1.0)
    sends = receives = frozenset[Modulation]()
    keeper: Keeper
    job: Job

    @classmethod
    async def open(cls, _url: LineUrl) -> Self:
        return cls()

    async def perform(self, _action: LineAction) -> LineEvent:
        await asyncio.sleep(0.01)
        if not self.job.given_back and self.keeper.take(self.job):
            return Ringing("+15550100", "+15550199")
        never: asyncio.Future[LineEvent] = asyncio.get_running_loop().create_future()
        return await never

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_job_is_given_back_when_the_line_rings_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast(dict[str, str], DRIVERS), "rings", f"{__name__}:RingsAtOnce")
    rang: list[Ringing] = []

    async def answer(_line: Line, _settings: LineSettings, ringing: Ringing) -> bool:
        rang.append(ringing)
        return True

    job = RingsAtOnce.job = Job()
    keeper = RingsAtOnce.keeper = Keeper(sim_line("one", "1"), "rings:1", node="node", changed=lambda: None)
    keeping = asyncio.create_task(keeper.run(answer))

    async def answered() -> bool:
        return bool(rang) and keeper.state == "idle"

    await seen(answered)
    assert (job.made, job.given_back, len(rang)) == (0, 1, 1)
    keeping.cancel()
    await asyncio.wait([keeping])


async def test_calls_that_come_and_go_at_once_all_go_through(office: Office) -> None:
    document = await office.upload(tiff_octets(fax_pages(1)), 1)
    calling = [await start_call("+15550199", fax_pages(1)) for _ in range(3)]
    ids = [await office.send(number, document) for number in ("+15550100", "+15550105", "+15550106", "+15550107")]
    for fax_id in ids:
        fax = await office.ended(fax_id)
        causes = {call.cause for call in await office.calls(fax_id)}
        assert fax.state == "delivered" and causes <= {"", "line.taken"}
    for each in calling:
        outcome = await each
        assert outcome is not None and outcome.complete
    assert len(await office.received(3)) >= 3


async def test_what_a_line_shows_before_it_rings_is_in_the_trace_of_the_call(tmp_path: Path) -> None:
    path, ringing = tmp_path / "call.jsonl", asyncio.Event()
    near, far = (f"udptl:127.0.0.1:{one}@127.0.0.1:{other}?speed=20" for one, other in _two_ports())

    async def record(line: Line, _settings: LineSettings, rung: Ringing) -> bool:
        recorder = Recorder(path, direction=Direction.IN, line="udptl:", station=Station())
        recorder.watch(line)
        recorder.action(AwaitCall())
        recorder.event(rung)
        recorder.close()
        ringing.set()
        return True

    settings = LineSettings(name="one", url=near, ident="+1 555 0199")
    keeper = Keeper(settings, settings.url, node="node", changed=lambda: None)
    keeping = asyncio.create_task(keeper.run(record))
    await seen(lambda: _is_idle(keeper))
    calling = await open_line(far)
    assert await calling.perform(Dial("1")) == Connected()
    await ringing.wait()
    keeping.cancel()
    await asyncio.wait([keeping])
    await calling.close()
    before = [each for each in read(path).seen if each.at <= 0]
    assert {each.sent for each in before} == {True, False}


def _two_ports() -> list[tuple[int, int]]:
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        ports = one.getsockname()[1], other.getsockname()[1]
    return [ports, ports[::-1]]


async def _is_idle(keeper: Keeper) -> bool:
    return keeper.state == "idle"
