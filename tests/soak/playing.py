"""Having a call that was planned, in virtual time, by whichever way carries it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

from drivers.class1.setup import Options
from drivers.t38.line import UdptlLine
from drivers.t38.media import Agreed
from drivers.t38.options import Options as T38Options
from drivers.t38.udptl import Protection
from simulators.circuit import Circuit
from simulators.clock import run
from simulators.line import CircuitLine
from simulators.machine import Machine, Several
from simulators.modem import lying
from simulators.network import pair
from simulators.signals import Heard
from simulators.switch import Switch
from simulators.tray import Tray
from t30.line import FaxLine, LineClock
from t30.outcome import Outcome
from tests.drivers.rig import modem_line
from tests.soak.paper import Document
from tests.soak.plans import Plan, Way

DELAY = 0.01
"""Seconds from one end of a circuit to the other."""


@dataclass(slots=True)
class Side:
    """One end of a call that is over."""

    machine: Machine
    habits: Several
    outcome: Outcome

    def told(self, *, last: int = 1000) -> str:
        return f"{self.outcome}\n{self.machine.told(last=last)}"


@dataclass(slots=True)
class Played:
    """A call that is over."""

    plan: Plan
    sender: Side
    receiver: Side
    document: Document
    tray: Tray
    heard: list[Heard] = field(default_factory=list)
    """What the receiver's line heard, where it is a circuit."""

    @property
    def sent(self) -> Outcome:
        return self.sender.outcome

    @property
    def got(self) -> Outcome:
        return self.receiver.outcome

    def told(self) -> str:
        return f"{self.plan}\n--- sender: {self.sender.told()}\n--- receiver: {self.receiver.told()}"


def played(plan: Plan) -> Played:
    """Have one call; it must be over in time."""
    return run(_played(plan))


async def _played(plan: Plan) -> Played:
    heard: list[Heard] = []
    document, tray = Document(plan.pages), Tray(slow=plan.slow)
    ours, theirs = plan.habits()
    async with _lines(plan, heard) as (calling, answering):
        sender = Machine(plan.sender.station, calling, document, habit=ours)
        receiver = Machine(plan.receiver.station, answering, tray, habit=theirs)
        receiving = asyncio.create_task(receiver.receive())
        try:
            async with asyncio.timeout(plan.limit):
                sent, got = await asyncio.gather(sender.send("200"), receiving)
        except TimeoutError:
            raise AssertionError(
                f"not over in {plan.limit} s\n{sender.told(last=60)}\n{receiver.told(last=60)}"
            ) from None
    return Played(plan, Side(sender, ours, sent), Side(receiver, theirs, got), document, tray, heard)


@asynccontextmanager
async def _lines(plan: Plan, heard: list[Heard]) -> AsyncIterator[tuple[FaxLine, FaxLine]]:
    clock = LineClock(asyncio.get_running_loop().time)
    match plan.way:
        case Way.T38:
            yield _over_packets(plan, clock)
        case Way.MODEMS:
            switch = Switch(clock, faults=plan.faults)
            firmware, options = lying(*plan.lies), Options(quirks="careful" if plan.lies else "")
            async with (
                modem_line(switch, "100", firmware=firmware, options=options) as (calling, _),
                modem_line(switch, "200", firmware=firmware, options=options) as (answering, _),
            ):
                yield calling, answering
        case Way.CIRCUIT:
            circuit = Circuit(clock, faults=plan.faults, delay=DELAY)
            circuit.answerer.on_heard = heard.append
            yield CircuitLine(circuit.caller, clock), CircuitLine(circuit.answerer, clock)
            assert circuit.caller.hung_up
            assert circuit.answerer.hung_up


def _over_packets(plan: Plan, clock: LineClock) -> tuple[FaxLine, FaxLine]:
    random = Random(f"{plan.seed} T.38")
    agreed = Agreed(
        version=random.randrange(4),
        protection=random.choice((Protection(3), Protection(3), Protection(0), Protection(0, 3, 3))),
        local_tcf=random.random() < 0.3,
        fill_bit_removal=random.random() < 0.3,
        transcoding_mmr=random.random() < 0.3,
    )
    one, other = pair(plan.weather, plan.weather, clock)
    nowhere = ("", 0)
    return (
        UdptlLine(one, T38Options(nowhere, nowhere, calls=True, agreed=agreed)),
        UdptlLine(other, T38Options(nowhere, nowhere, calls=False, agreed=agreed)),
    )
