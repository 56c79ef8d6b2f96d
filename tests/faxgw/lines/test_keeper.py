"""A line that is unplugged and plugged in again, and one that rings as it is given a call to make."""

import asyncio
from pathlib import Path

from drivers.registry import Line
from faxgw.config import LineSettings
from faxgw.documents.tiff import tiff_octets
from faxgw.lines.keeper import Keeper
from faxgw.sandbox import start_call
from simulators.exchange import Exchange
from t30.line import LineClock, Ringing
from tests.faxgw.lines.conftest import Office, seen
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


async def test_a_job_is_given_back_when_the_line_rings_at_the_same_time(office: Office) -> None:
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
