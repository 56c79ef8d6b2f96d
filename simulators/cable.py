"""A serial cable in memory, between a driver and the simulated modem: for tests in virtual time."""

import asyncio
from collections import deque

from simulators.modem import Modem

FIFO = 64
"""Octets that cross at once, as a UART's."""
BITS_PER_OCTET = 10


class Cable:
    """The DTE's side of a serial port (the same methods as the driver's ``OctetStream``).

    Args:
        modem: what is at the other end; somebody must ``run`` it.
        bps: how fast octets go to the modem. What the modem says arrives at once.
        hardware_flow: the modem's CTS holds the octets back while its buffer is full; without it they are lost, unless
            the driver heeds XOFF.
        delay: seconds that octets take each way beside that: a USB adapter, a virtual machine, serial over IP.
    """

    def __init__(self, modem: Modem, *, bps: int = 115200, hardware_flow: bool = True, delay: float = 0.0) -> None:
        self.modem = modem
        self._clock = modem.port.clock
        self._bps = bps
        self._hardware_flow = hardware_flow
        self._delay = delay
        self._on_the_way: tuple[deque[bytes], deque[bytes]] = (deque(), deque())
        self._outgoing = bytearray()
        self._incoming = bytearray()
        self._came = asyncio.Event()
        self._left = asyncio.Event()
        self._crossing = False
        self._gone = False
        modem.dte.write = self._arrive
        modem.dte.on_room = self._cross

    def unplug(self) -> None:
        """Take the modem away: reading ends, writing goes nowhere."""
        self._gone = True
        self._outgoing.clear()
        self.modem.dte.write = lambda _: None
        self.modem.dte.on_room = lambda: None
        self._came.set()
        self._left.set()

    @property
    def pending(self) -> int:
        """Octets written that the modem has not got yet."""
        return len(self._outgoing)

    async def read(self) -> bytes:
        """Return what the modem said, at least one octet; ``b""`` when it is gone."""
        while not self._incoming and not self._gone:
            self._came.clear()
            await self._came.wait()
        octets = bytes(self._incoming)
        self._incoming.clear()
        return octets

    def write(self, octets: bytes) -> None:
        """Send octets to the modem."""
        if not self._gone:
            self._outgoing += octets
            self._cross()

    async def drain(self, low: int = 0) -> None:
        """Wait until at most ``low`` octets are pending, or the modem is gone."""
        while self.pending > low:
            self._left.clear()
            await self._left.wait()

    async def drop_dtr(self) -> None:
        """Take DTR away for a moment."""
        self.modem.drop_dtr()

    async def close(self) -> None:
        """Unplug; without the DTE there is no DTR."""
        if not self._gone:
            self.modem.drop_dtr()
            self.unplug()

    def _arrive(self, octets: bytes) -> None:
        self._late(0, octets)

    def _late(self, way: int, octets: bytes) -> None:
        """Hand octets over after the delay, in order: the loop may run two timers of one instant in either order."""
        self._on_the_way[way].append(octets)
        if self._delay:
            asyncio.get_running_loop().call_later(self._clock.real(self._delay), self._hand_over, way)
        else:
            self._hand_over(way)

    def _hand_over(self, way: int) -> None:
        octets = self._on_the_way[way].popleft()
        if self._gone:
            return
        if way:
            self.modem.receive(octets)
            self._left.set()
        else:
            self._incoming += octets
            self._came.set()

    def _cross(self) -> None:
        """Let the next octets cross, if there are any and the modem has room for them."""
        count = min(len(self._outgoing), FIFO, self.modem.room if self._hardware_flow else FIFO)
        if count and not self._crossing:
            self._crossing = True
            seconds = count * BITS_PER_OCTET / self._bps
            asyncio.get_running_loop().call_later(self._clock.real(seconds), self._crossed, count)

    def _crossed(self, count: int) -> None:
        self._crossing = False
        octets = bytes(self._outgoing[:count])
        del self._outgoing[:count]
        self._late(1, octets)
        self._cross()
