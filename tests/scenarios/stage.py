"""Where a scenario is played: our engine at one end, a script at the other, in virtual time.

The line between is the circuit of signals; or, for some, the Class 1 driver on a simulated modem on that circuit.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from simulators.circuit import Circuit, End
from simulators.clock import run
from simulators.line import CircuitLine
from simulators.machine import Machine
from simulators.script import Script, Step
from simulators.switch import Port, Switch
from simulators.tray import Sheet, Tray
from t30.answering import answering
from t30.calling import calling, polling
from t30.capabilities import Station
from t30.exchange import Procedure
from t30.line import LineClock
from t30.outcome import Direction, Outcome
from t30.pages import ANYBODY, Key, Length, PageReady, Resolution, Width
from t30.t4 import Bitmap
from tests.drivers.rig import modem_line

LIMIT = 1800.0
"""Seconds of line time by which any of these calls is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One call: what the far end says and expects to hear, and what our end is to make of it."""

    far: tuple[Step, ...]
    verdict: str
    reason: str = ""
    """The code of the reason; empty when the fax went through."""
    confirmed: int = 0
    """How many pages."""
    got: tuple[bytes, ...] | None = None
    """Octets of the pages as they were received, what fills the last frame up left out."""
    direction: Direction | None = None
    """Who was to have the pages, as the outcome has it."""
    told: int | None = None
    """How many pages the outcome tells of, confirmed or not."""
    took: tuple[float, float] | None = None
    """Seconds that the first page took, from its first signal to its confirmation: at least, at most."""
    saw: Mapping[str, object] = field(default_factory=dict)
    """What the outcome has for evidence, by its fields."""
    remote_id: str = ""
    station: Station = field(default_factory=Station)
    pages: tuple[Sheet | PageReady, ...] = ()
    """What our end sends; when there is none, it answers. A station that offers them answers, too."""
    polls: bool = False
    """Our end calls to fetch what the other one has."""
    key: Key = ANYBODY
    """What a caller must say to be given our pages."""
    begins: tuple[int, ...] = ()
    """Of our pages, from 0, those with which another document begins."""
    withdrawn: int | None = None
    """One of those that is not there any more when it is its turn."""
    slow: int = 0
    """How often in a row a page that was received is not safe yet."""
    driver: bool = False
    """Played through the Class 1 driver, too."""
    missing: str = ""
    """What our engine lacks for it."""

    @property
    def calls(self) -> bool:
        """Our end is the caller."""
        return self.polls or (bool(self.pages) and self.station.offer is None)

    def procedure(self) -> Procedure[Outcome]:
        """Return what our end does."""
        if not self.calls:
            return answering(self.station)
        return (polling if self.polls else calling)(self.station, "200")


@dataclass(slots=True)
class Played:
    """A call that is over."""

    script: Script
    machine: Machine
    outcome: Outcome
    tray: Tray = field(repr=False)


def each(scenarios: dict[str, Scenario]) -> pytest.MarkDecorator:
    """Have a test play each scenario on the circuit, and some by the driver."""
    params = []
    for name, scenario in scenarios.items():
        marks = [pytest.mark.xfail(strict=True, reason=scenario.missing)] if scenario.missing else []
        params.append(pytest.param(scenario, False, id=name, marks=marks))
        if scenario.driver:
            params.append(pytest.param(scenario, True, id=f"{name} (Class 1)", marks=marks))
    return pytest.mark.parametrize(("scenario", "by_driver"), params)


def check(scenario: Scenario, *, by_driver: bool) -> None:
    """Play a scenario, and compare what both ends made of the call."""
    played = run(_by_driver(scenario) if by_driver else _on_circuit(scenario))
    told = f"\n{played.script.diff()}\n--- our end: {played.outcome.reason}\n{played.machine.told()}"
    assert played.script.finished, told
    outcome = played.outcome
    assert (outcome.verdict, outcome.reason.code) == (scenario.verdict, scenario.reason), told
    assert sum(page.confirmed for page in outcome.pages) == scenario.confirmed, told
    assert [page.index for page in outcome.pages] == list(range(len(outcome.pages))), told
    assert scenario.direction in (None, outcome.direction), told
    assert scenario.told in (None, len(outcome.pages)), told
    assert outcome.remote_id == scenario.remote_id, told
    assert {name: getattr(outcome.evidence, name) for name in scenario.saw} == scenario.saw, told
    if scenario.took:
        assert scenario.took[0] <= outcome.pages[0].seconds <= scenario.took[1], told
    if scenario.got is not None:
        kept = [bytes(page.octets) for _, page in sorted(played.tray.received.items())]
        assert [page.rstrip(b"\0") for page in kept] == [page.rstrip(b"\0") for page in scenario.got], told


def _tray(scenario: Scenario) -> Tray:
    return Tray(
        scenario.pages, slow=scenario.slow, key=scenario.key, begins=scenario.begins, withdrawn=scenario.withdrawn
    )


async def _on_circuit(scenario: Scenario) -> Played:
    clock = LineClock(asyncio.get_running_loop().time)
    circuit = Circuit(clock)
    ours, theirs = circuit.ends if scenario.calls else circuit.ends[::-1]
    tray = _tray(scenario)
    machine = Machine(scenario.station, CircuitLine(ours, clock), tray)
    return await _played(scenario, machine, tray, _connected(theirs))


async def _by_driver(scenario: Scenario) -> Played:
    switch = Switch(LineClock(asyncio.get_running_loop().time))
    far = switch.attach("200")
    tray = _tray(scenario)
    async with modem_line(switch, "100") as (line, _):
        machine = Machine(scenario.station, line, tray)
        return await _played(scenario, machine, tray, _answered(far) if scenario.calls else _dialled(far))


async def _answered(far: Port) -> End:
    await far.ringing()
    end = far.answer()
    assert end is not None
    return end


async def _dialled(far: Port) -> End:
    end = await far.dial("100")
    assert isinstance(end, End)
    return end


async def _connected(end: End) -> End:
    return end


async def _played(scenario: Scenario, machine: Machine, tray: Tray, theirs: Coroutine[Any, Any, End]) -> Played:
    script = Script(*scenario.far)

    async def play() -> None:
        await script.play(await theirs)

    async with asyncio.timeout(LIMIT):
        _, outcome = await asyncio.gather(play(), machine.run(scenario.procedure()))
    return Played(script, machine, outcome, tray)


def blank(rows: int, *, width: Width = Width.A4, resolution: Resolution = Resolution.STANDARD) -> Sheet:
    """Return a white page to send."""
    return Sheet(Bitmap.from_pels(np.zeros((rows, resolution.pels(width)), np.uint8)), width, resolution, Length.A4)
