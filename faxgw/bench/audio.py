"""A telephone line of 8 kHz audio in virtual time, when each end was heard, and our side's modem as one of them."""

import asyncio
import ctypes as c
from argparse import Namespace
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from drivers.class1.setup import BAUD
from faxgw.bench.libspandsp import ALERTING, ANSWER, ANSWERED, CALL, CONNECTED, HANG_UP, RATE, Audio, Modem, Terminal

BLOCK = 16
"""Samples that are carried at a time, 2 ms: a command takes effect between two blocks."""
LONGEST = 300.0
"""Seconds after which a call is given up."""
AUDIBLE, PAUSE = 100, 0.02
"""Samples beyond that are a signal; signals of one end with less than so many seconds between them are one."""
FIFO = 64
"""Octets that cross the serial port at once."""


class Party(Protocol):
    """One end of the line."""

    def hear(self, samples: Audio) -> None:
        """Take a block of audio."""

    def speak(self) -> Audio:
        """Return the next block of audio."""


@dataclass(slots=True)
class Audible:
    """When one end was heard on the line."""

    signals: list[list[float]] = field(default_factory=list)
    """Beginning and end of each signal, in seconds of the call."""

    def note(self, samples: Audio, at: float) -> None:
        """Take note of the block that begins at ``at``."""
        if np.abs(np.frombuffer(bytes(samples), np.int16)).max() <= AUDIBLE:
            return
        ends = at + BLOCK / RATE
        if self.signals and at - self.signals[-1][1] < PAUSE:
            self.signals[-1][1] = ends
        else:
            self.signals.append([at, ends])


class Line:
    """The line between a caller and an answerer while a call is up; ``seconds`` counts its samples."""

    def __init__(self, caller: Party, answerer: Party) -> None:
        self._caller = caller
        self._answerer = answerer
        self._blocks = 0
        self.heard = {"caller": Audible(), "answerer": Audible()}

    @property
    def seconds(self) -> float:
        """Seconds since the call came about."""
        return self._blocks * BLOCK / RATE

    def carry(self) -> None:
        """Carry a block of audio both ways."""
        said, answered = self._caller.speak(), self._answerer.speak()
        self.heard["caller"].note(said, self.seconds)
        self.heard["answerer"].note(answered, self.seconds)
        self._caller.hear(answered)
        self._answerer.hear(said)
        self._blocks += 1

    def told(self) -> dict[str, Any]:
        """Return how long the call took, and when each end was heard in it."""
        signals = {
            who: [[round(at, 3) for at in each] for each in audible.signals] for who, audible in self.heard.items()
        }
        return {"seconds": round(self.seconds, 3), "signals": signals}


class ModemPort:
    """Our side's modem, as an ``OctetStream``, and the line between it and libspandsp's machine.

    Args:
        library: libspandsp.
        options: what its machine can do.
        sends: TIFF that its machine calls with and sends.
        stores: TIFF that it answers with and stores to.
        latency: seconds from what the modem says until our side has it.
    """

    def __init__(
        self, library: c.CDLL, options: Namespace, *, sends: Path | None, stores: Path | None, latency: float
    ) -> None:
        self.line: Line | None = None
        self.terminal: Terminal | None = None
        self.on_hook = True
        self._far_end = library, options, sends, stores
        self._modem = Modem(library, control=self._operate, verbose=options.verbose, block=BLOCK)
        self._latency = latency
        self._outgoing = bytearray()
        self._incoming = bytearray()
        self._came = asyncio.Event()
        self._left = asyncio.Event()
        self._crossing = False
        self._gone = False

    async def run(self) -> None:
        """Carry audio until both are on hook, or for ever while there was no call."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self.over:
            if self.line:
                self.line.carry()
            else:
                self._modem.speak()
            self._listen()
            self._cross()
            due += BLOCK / RATE
            await asyncio.sleep(due - loop.time())

    @property
    def over(self) -> bool:
        """Whether there was a call, and both are on hook, or it takes too long."""
        if self.line is None or self.terminal is None:
            return False
        return (self.on_hook and self.terminal.machine.result is not None) or self.line.seconds > LONGEST

    def ring(self) -> None:
        """Let our side's telephone ring once."""
        self._modem.tell(ALERTING)

    def _operate(self, operation: int, _value: int | None) -> None:
        if operation == HANG_UP:
            self.on_hook = True
        elif operation in (CALL, ANSWER):
            library, options, sends, stores = self._far_end
            self.terminal = Terminal(library, options, sends=sends, stores=stores, block=BLOCK)
            parties = (self._modem, self.terminal) if operation == CALL else (self.terminal, self._modem)
            self.line = Line(*parties)
            self.on_hook = False
            event = CONNECTED if operation == CALL else ANSWERED
            asyncio.get_running_loop().call_soon(self._modem.tell, event)

    # ------------------------------------------------------------------------------------------------ the serial port

    @property
    def pending(self) -> int:
        """Octets written that the modem has not got yet."""
        return len(self._outgoing)

    async def read(self) -> bytes:
        """Return what the modem said."""
        while not self._incoming and not self._gone:
            self._came.clear()
            await self._came.wait()
        octets = bytes(self._incoming)
        self._incoming.clear()
        return octets

    def write(self, octets: bytes) -> None:
        """Send octets to the modem."""
        self._outgoing += octets
        self._cross()

    async def drain(self, low: int = 0) -> None:
        """Wait until at most ``low`` octets are pending."""
        while self.pending > low:
            self._left.clear()
            await self._left.wait()

    async def drop_dtr(self) -> None:
        """Do nothing: this modem has no such wire."""

    async def close(self) -> None:
        """End what ``read`` waits for."""
        self._gone = True
        self._came.set()

    def _listen(self) -> None:
        """Let what the modem has said come over the serial port."""
        octets = bytes(self._modem.answers)
        self._modem.answers.clear()
        if octets:
            asyncio.get_running_loop().call_later(self._latency + _serial(len(octets)), self._arrive, octets)

    def _arrive(self, octets: bytes) -> None:
        self._incoming += octets
        self._came.set()

    def _cross(self) -> None:
        """Let the next octets cross, if there are any and the modem takes them."""
        count = min(len(self._outgoing), FIFO)
        if count and not self._crossing and self._modem.clear_to_send:
            self._crossing = True
            asyncio.get_running_loop().call_later(_serial(count), self._crossed, count)

    def _crossed(self, count: int) -> None:
        self._crossing = False
        octets = bytes(self._outgoing[:count])
        del self._outgoing[:count]
        self._modem.take(octets)
        self._listen()
        self._left.set()
        self._cross()


def _serial(octets: int) -> float:
    return octets * 10 / BAUD
