"""A small telephone exchange: Class 1 modems on pseudo-terminals and fax machines, which call each other."""

import asyncio
import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Protocol

from simulators.circuit import End
from simulators.faults import Faults
from simulators.line import CircuitLine
from simulators.machine import Habit, Machine
from simulators.modem import Firmware, Modem
from simulators.numbers import Far
from simulators.pty import PseudoTerminal
from simulators.switch import Switch
from t30.capabilities import Station
from t30.line import LineClock
from t30.outcome import Outcome
from t30.pages import PagePort

SCHEDULING = 0.03
"""Seconds of real time that a program may answer late on a busy machine without missing the start of a carrier."""


class Kept(Protocol):
    """What is kept of one call that a machine answered."""

    @property
    def pages(self) -> PagePort:
        """Where its pages go."""
        ...

    def confirmed(self, index: int) -> None:
        """Take note that the confirmation of a page has just gone out."""
        ...

    def ended(self, outcome: Outcome) -> None:
        """Take note that the call is over."""
        ...


class Exchange:
    """Several lines on one switch.

    Args:
        clock: the clock of every call; its speed may be above 1.
        faults: what goes wrong in a call.
        delay: seconds from one end of a call to the other.
    """

    def __init__(self, clock: LineClock, *, faults: Faults | None = None, delay: float = 0.0) -> None:
        self.clock = clock
        self.switch = Switch(clock, faults=faults or Faults(), delay=delay, slack=SCHEDULING * clock.speed)
        self.terminals: list[PseudoTerminal] = []
        self._answering: set[asyncio.Task[None]] = set()

    def modem(self, number: str, *, firmware: Firmware | None = None, leads_to: str | None = None) -> PseudoTerminal:
        """Attach a modem and put it on a pseudo-terminal; see ``Modem``.

        Raises:
            ValueError: if the number is taken.
        """
        terminal = PseudoTerminal(Modem(self.switch.attach(number), firmware=firmware, leads_to=leads_to))
        self.terminals.append(terminal)
        return terminal

    def machine(self, number: str, station: Station, pages: PagePort, *, habit: Habit | None = None) -> Machine:
        """Attach a fax machine.

        Raises:
            ValueError: if the number is taken.
        """
        return Machine(station, CircuitLine(self.switch.attach(number), self.clock), pages, habit=habit)

    def serve(self, number: str, far: Far, keep: Callable[[str], Kept], *, lines: int | None = None) -> None:
        """Let fax machines answer at a number, so many calls at a time, or as many as come.

        Args:
            number: the number.
            far: what the machines are and do.
            keep: given the caller's number, says what is to be kept of a call.
            lines: how many calls there may be at a time.

        Raises:
            ValueError: if the number is taken.
        """
        if far.cause:
            self.switch.fail(number, far.cause)
        else:
            self.switch.serve(number, partial(self._pick_up, far, keep, count()), lines=lines or math.inf)

    async def run(self) -> None:
        """Run the modems until cancelled; calls to machines are dropped then."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for terminal in self.terminals:
                    tasks.create_task(terminal.run(), name=f"modem {terminal.modem.port.number}")
        finally:
            for answering in self._answering:
                answering.cancel()

    def _pick_up(self, far: Far, keep: Callable[[str], Kept], calls: Iterator[int], end: End, caller: str) -> None:
        answering = asyncio.create_task(self._answer(far, far.station_of(next(calls)), keep(caller), end))
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)

    async def _answer(self, far: Far, station: Station, kept: Kept, end: End) -> None:
        machine = Machine(station, CircuitLine(end, self.clock), kept.pages, habit=far.habit(kept.confirmed))
        kept.ended(await machine.receive())
