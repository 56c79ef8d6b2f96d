"""A small telephone exchange: Class 1 modems on pseudo-terminals and fax machines, which call each other."""

import asyncio

from simulators.faults import Faults
from simulators.line import CircuitLine
from simulators.machine import Habit, Machine
from simulators.modem import Firmware, Modem
from simulators.pty import PseudoTerminal
from simulators.switch import Switch
from t30.capabilities import Station
from t30.line import LineClock
from t30.pages import PagePort

SCHEDULING = 0.03
"""Seconds of real time that a program may answer late on a busy machine without missing the start of a carrier."""


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

    async def run(self) -> None:
        """Run the modems until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for terminal in self.terminals:
                tasks.create_task(terminal.run(), name=f"modem {terminal.modem.port.number}")
