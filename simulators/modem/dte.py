"""The DTE as the modem sees it: what it has written and was not read yet, the way back to it, and its DTR."""

import asyncio
import math
from collections.abc import Callable
from enum import Enum

from t30.line import LineClock

DLE, ETX, SUB = 0x10, 0x03, 0x1A
LF, XON, XOFF = 0x0A, 0x11, 0x13


class Result(Enum):
    """Result codes: as numbers (V0) and in words (V1)."""

    OK = ("0", "OK")
    CONNECT = ("1", "CONNECT")
    RING = ("2", "RING")
    NO_CARRIER = ("3", "NO CARRIER")
    ERROR = ("4", "ERROR")
    NO_DIALTONE = ("6", "NO DIALTONE")
    BUSY = ("7", "BUSY")
    NO_ANSWER = ("8", "NO ANSWER")
    FCERROR = ("+F4", "+FCERROR")
    FRH3 = ("+FRH:3", "+FRH:3")


class DtrDroppedError(Exception):
    """The DTE dropped DTR: whatever the modem does ends, and it hangs up."""


class EscapedError(Exception):
    """The DTE wrote ``+++`` between two guard times: transmission ends and the modem takes commands."""


class Dte:
    """The serial port, from the modem's side.

    Args:
        clock: the line's clock.
        capacity: octets held for the modem; what comes beyond is lost (``overrun`` counts it).
    """

    def __init__(self, clock: LineClock, capacity: int) -> None:
        self.clock = clock
        self.inbox = bytearray()
        self.overrun = 0
        self.software_flow = False
        self.write: Callable[[bytes], None] = lambda _: None
        """Takes octets to the DTE; they are lost while no cable is plugged in."""
        self.on_room: Callable[[], None] = lambda: None
        """Called when there is more room."""
        self._capacity = capacity
        self._stir = asyncio.Event()
        self._dtr = True
        self._full = False
        self._last_came = -math.inf
        self._silence_before = math.inf

    # ------------------------------------------------------------------------------------------ from the outside

    def receive(self, octets: bytes) -> None:
        """Take octets of the DTE."""
        if not self.inbox:
            self._silence_before = self.clock.now() - self._last_came
        taken = octets[: self.room]
        self.overrun += len(octets) - len(taken)
        self.inbox += taken
        self._last_came = self.clock.now()
        if self.software_flow and not self._full and self.room < self._capacity // 4:
            self._full = True
            self.write(bytes([XOFF]))
        self.stir()

    @property
    def room(self) -> int:
        """How many more octets the modem can hold."""
        return self._capacity - len(self.inbox)

    def drop_dtr(self) -> None:
        """End what the modem does with ``DtrDroppedError``."""
        self._dtr = False
        self.stir()

    def stir(self) -> None:
        """Let ``until`` look again: something has come, from the DTE or from the line."""
        self._stir.set()

    # ------------------------------------------------------------------------------------------- from the modem

    async def until(self, ready: Callable[[], bool], within: float = math.inf) -> bool:
        """Wait until ``ready``, at most ``within`` seconds; return whether it is.

        Raises:
            DtrDroppedError: if the DTE drops DTR.
        """
        deadline = self.clock.now() + within
        while True:
            if not self._dtr:
                self._dtr = True
                raise DtrDroppedError
            if ready():
                return True
            left = deadline - self.clock.now()
            if left <= 0:
                return False
            self._stir.clear()
            try:
                async with asyncio.timeout(None if math.isinf(left) else self.clock.real(left)):
                    await self._stir.wait()
            except TimeoutError:
                return ready()

    async def pause(self, seconds: float) -> None:
        """Let ``seconds`` pass, whatever the DTE writes."""
        await self.until(lambda: False, seconds)

    async def pause_to(self, moment: float) -> None:
        """Wait for a moment on the line's clock."""
        await self.pause(moment - self.clock.now())

    def wants_abort(self) -> bool:
        """Return whether the DTE wrote anything but flow control and the LF of a CR LF."""
        while self.inbox and self.inbox[0] in (LF, XON, XOFF):
            self.take(1)
        return bool(self.inbox)

    def take(self, count: int) -> bytes:
        """Remove and return the first octets of the inbox."""
        taken = bytes(self.inbox[:count])
        del self.inbox[:count]
        if self._full and self.room > self._capacity // 2:
            self._full = False
            self.write(bytes([XON]))
        if taken:
            self.on_room()
        return taken

    def discard(self) -> None:
        """Forget everything that the DTE wrote."""
        self.take(len(self.inbox))

    def unstuffed(self, limit: int) -> tuple[bytes, bool]:
        """Take about ``limit`` octets of the stream at most, DLE pairs resolved; and whether DLE ETX ended it.

        DLE SUB stands for two DLE; any other pair means nothing here and is dropped.
        """
        data = bytearray()
        while len(data) < limit and self.inbox:
            at = self.inbox.find(DLE, 0, limit - len(data))
            if at != 0:
                data += self.take(at if at > 0 else limit - len(data))
                continue
            if len(self.inbox) == 1:
                break
            code = self.take(2)[1]
            if code == ETX:
                return bytes(data), True
            data += {DLE: b"\x10", SUB: b"\x10\x10"}.get(code, b"")
        return bytes(data), False

    async def anything(self, within: float, guard: float) -> bool:
        """Wait up to ``within`` seconds for data of the DTE; return whether there is any.

        Raises:
            EscapedError: if it is ``+++`` between two silences of ``guard`` seconds.
        """
        if not await self.until(lambda: bool(self.inbox), within):
            return False
        while self._silence_before >= guard and b"+++".startswith(self.inbox):
            held = len(self.inbox)
            if await self._more_than(held, guard):
                continue
            if held == 3:
                self.discard()
                raise EscapedError
            break
        return True

    async def frame(self, within: float, guard: float) -> bytes | None:
        """Return the octets up to the next DLE ETX, or None when nothing came for ``within`` seconds, or no end.

        Raises:
            EscapedError: as ``anything``.
        """
        data = bytearray()
        if not await self.anything(within, guard):
            return None
        while len(data) < self._capacity:
            more, ended = self.unstuffed(self._capacity)
            data += more
            if ended:
                return bytes(data)
            if not await self.more(within):
                return None
        return None

    async def more(self, within: float) -> bool:
        """Wait up to ``within`` seconds for more than is in the inbox now; return whether it came."""
        return await self._more_than(len(self.inbox), within)

    async def _more_than(self, held: int, within: float) -> bool:
        return await self.until(lambda: len(self.inbox) > held, within)
