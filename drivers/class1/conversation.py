"""The dialogue with a modem that is really there: writes, waits with limits, keeps what nobody asked for yet."""

import asyncio
import logging
from collections import deque
from contextlib import suppress

from drivers.class1.at import Code, DataEnd, Dialogue, Heard, Line, Result, State, Then
from drivers.class1.dle import stuffed
from drivers.class1.port import OctetStream
from drivers.class1.ring import Ring
from t30.line import LineClock, LineError

log = logging.getLogger(__name__)

FLOOR = 1.0
"""Real seconds that a modem is given at least, however fast the line's clock runs: it may share a busy machine."""
AHEAD, AHEAD_REAL = 0.5, 0.05
"""Seconds of page data that are kept written ahead of the line; real seconds at least, when the line runs faster."""
PIECE, PENDING = 0.1, 512
"""Seconds of page data written at a time, and octets that may be pending when more are written. A cancelled page goes
on for no more than that and what is ahead."""
SOFTWARE_PIECE, SOFTWARE_PENDING = 64, 128
"""Octets for both with XON/XOFF, which must act soon: stuffed, they make 256 in the kernel's queue at most."""
HELD = 4096
"""Things that the modem said and nobody has asked for: all of them are noise, and the oldest are forgotten."""
STALLED = 30.0
"""Seconds of the line after which a modem that takes no more data is given up."""

STOP_LIMIT = 1.0
"""Real seconds that stopping the modem may take."""
_ABORT_ANSWER = 0.4
_PROBE_AFTER, _PROBE_EVERY, _LINGER = 0.05, 0.2, 0.05


class SilentModemError(Exception):
    """The modem did not answer in time, or would not stop."""


class Conversation:
    """What is said between the driver and one modem.

    Args:
        stream: the port; the conversation owns it from now on.
        clock: the line's clock.
        port: what the port is called in messages.

    Attributes:
        dialogue: what has been understood so far; ``state`` is always up to date.
        ring: what the modem told about an incoming call.
        in_call: reaction times count.
        worst_reaction: longest time, in seconds of the line, from a result code to what was written next in this call.
    """

    def __init__(self, stream: OctetStream, clock: LineClock, *, port: str) -> None:
        self.port = port
        self.clock = clock
        self.dialogue = Dialogue()
        self.ring = Ring()
        self.in_call = False
        self.worst_reaction = 0.0
        self.abort_gives_ok = True
        self._stream = stream
        self._heard: deque[Heard] = deque(maxlen=HELD)
        self._news = asyncio.Event()
        self._gone: LineError | None = None
        self._answered_at: float | None = None
        self._reader = asyncio.get_running_loop().create_task(self._read(), name=f"{port} reader")

    @property
    def state(self) -> State:
        """What the modem is doing."""
        return self.dialogue.state

    # ------------------------------------------------------------------------------------------------------ commands

    async def ask(self, command: str, *, within: float = 3.0) -> tuple[Code | None, list[str]]:
        """Give a command that only answers; return its result code, None if there was none in time, and its lines."""
        self.begin(command)
        lines: list[str] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(self.patience(within)):
                while True:
                    match await self.hear():
                        case Result(code):
                            return code, [line for line in lines if line.upper() != f"AT{command}".upper()]
                        case Line(text):
                            lines.append(text)
        return None, lines

    def begin(self, command: str, then: Then = Then.NOTHING) -> None:
        """Give a command; whatever was said before and not asked for is forgotten."""
        self._heard.clear()
        log.debug("command", extra={"port": self.port, "command": command if command[:1] != "D" else "D..."})
        self.write(self.dialogue.command(command, then))

    def write(self, octets: bytes) -> None:
        """Write octets as they are.

        Raises:
            LineError: if the modem is gone.
        """
        if self._gone:
            raise self._gone
        if self.in_call and self._answered_at is not None:
            self.worst_reaction = max(self.worst_reaction, self.clock.now() - self._answered_at)
        self._answered_at = None
        self._stream.write(octets)

    async def pause(self, seconds: float) -> None:
        """Let ``seconds`` of the line pass on purpose: the modem's wait for that is no lateness of ours."""
        await asyncio.sleep(self.clock.real(seconds))
        self._answered_at = None

    def patience(self, seconds: float) -> float:
        """Return the real seconds to wait for a modem that has ``seconds`` of the line to answer."""
        return max(self.clock.real(seconds), FLOOR)

    # ------------------------------------------------------------------------------------------------------- hearing

    async def hear(self) -> Heard:
        """Return the next thing that the modem says.

        Raises:
            LineError: if it is gone.
        """
        while not self._heard:
            if self._gone:
                raise self._gone
            await self._something()
        return self._heard.popleft()

    async def result(self) -> Code:
        """Return the next result code; lines and data before it are passed over.

        Raises:
            LineError: if the modem is gone.
        """
        while True:
            heard = await self.hear()
            if isinstance(heard, Result):
                return heard.code

    async def answer(self, to: str, *, within: float) -> Code:
        """Return the result code that a command must come to within so many seconds of the line.

        A BUSY in mid call is believed only if nothing else comes.

        Raises:
            SilentModemError: if it does not.
            LineError: if the modem is gone.
        """
        try:
            async with asyncio.timeout(self.patience(within)):
                return await self.result()
        except TimeoutError:
            if self.dialogue.doubt is None:
                raise SilentModemError(f"no answer to {to} in {within:.0f} s") from None
            self.dialogue.idle()
            return self.dialogue.doubt

    async def rung(self, *, within: float | None) -> bool:
        """Wait for more news of an incoming call; return whether there was any in ``within`` real seconds."""
        before = self.ring.news
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.ring.news == before:
                    if self._gone:
                        raise self._gone
                    self._heard.clear()  # nothing else was asked, and this wait may last for weeks
                    await self._something()
        return self.ring.news != before

    # --------------------------------------------------------------------------------------------------------- data

    async def pour(self, octets: bytes, *, bps: int) -> bool:
        """Write data, stuffed, at the pace of the line; return whether the modem took all of it.

        Raises:
            SilentModemError: if the modem takes nothing for ``STALLED``.
            LineError: if it is gone.
        """
        software = self.dialogue.software_flow
        piece = min(max(1, round(bps / 8 * PIECE)), SOFTWARE_PIECE if software else PENDING)
        low = SOFTWARE_PENDING if software else PENDING
        stalled = self.patience(STALLED)
        ahead = max(AHEAD, AHEAD_REAL * self.clock.speed)
        began = self.clock.now()
        for start in range(0, len(octets), piece):
            due = began + start * 8 / bps - ahead
            await asyncio.sleep(self.clock.real(max(0.0, due - self.clock.now())))
            try:
                async with asyncio.timeout(stalled):
                    await self._room(low)
            except TimeoutError:
                raise SilentModemError(f"the modem took no more data for {STALLED:.0f} s") from None
            if self.state is not State.SENDING:
                return False
            self.write(stuffed(octets[start : start + piece]))
        return self.state is State.SENDING

    async def _room(self, low: int) -> None:
        while self.dialogue.held and self.state is State.SENDING:
            await self._something()
        await self._stream.drain(low)

    def end(self, frame: bytes = b"") -> None:
        """Write one frame, or nothing more, and the end of it; a result code follows."""
        self.write(stuffed(frame) + self.dialogue.end())

    # ------------------------------------------------------------------------------------------------------ stopping

    async def stop(self) -> bool:
        """Make the modem stop what it is doing; return whether it is in command state then. Takes ``STOP_LIMIT``."""
        with suppress(TimeoutError, LineError):
            async with asyncio.timeout(STOP_LIMIT):
                if self.dialogue.sends:
                    await self._stop_sending()
                elif self.state is not State.COMMAND:
                    await self._stop_receiving()
        return self.state is State.COMMAND

    async def settled(self, seconds: float) -> None:
        """Wait, at most so many real seconds, until the modem is in command state by itself."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.state is not State.COMMAND:
                    if self._gone:
                        raise self._gone
                    await self._something()

    async def must_stop(self) -> None:
        """Make the modem stop what it is doing.

        Raises:
            SilentModemError: if it does not.
        """
        if not await self.stop():
            raise SilentModemError(f"the modem did not stop within {STOP_LIMIT:.0f} s")

    async def _stop_sending(self) -> None:
        # What ends the data is understood before CONNECT, too; nothing stops what the modem holds already.
        while self.state is not State.COMMAND:
            self.end()
            await self._until_answered(STOP_LIMIT)

    async def _stop_receiving(self) -> None:
        self.write(self.dialogue.abort())
        await self._until_answered(_ABORT_ANSWER if self.abort_gives_ok else _PROBE_AFTER)
        while self.state is not State.COMMAND:
            self.begin("")
            await self._until_answered(_PROBE_EVERY)
            # An OK for the abort that comes late must not be taken for the answer to the next command.
            await asyncio.sleep(_LINGER)

    async def _until_answered(self, seconds: float) -> None:
        """Wait, at most ``seconds``, until the modem says what it does now: it has stopped, or takes data again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.state in (State.WAITING, State.ABORTING):
                    if self._gone:
                        raise self._gone
                    await self._something()

    async def escape(self, guard: float) -> None:
        """Write ``+++`` between two silences of ``guard`` real seconds, which a modem that takes data may obey."""
        await asyncio.sleep(guard)
        self.write(b"+++")
        await asyncio.sleep(guard)
        self.dialogue.idle()

    async def drop_dtr(self) -> None:
        """Drop DTR, which makes a modem hang up and listen to commands, where the port has such a wire."""
        await self._stream.drop_dtr()
        self.dialogue.idle()

    async def close(self) -> None:
        """Release the port."""
        self._reader.cancel()
        await asyncio.wait([self._reader])
        await self._stream.close()

    # ------------------------------------------------------------------------------------------------------- reading

    async def _something(self) -> None:
        self._news.clear()
        await self._news.wait()

    async def _read(self) -> None:
        try:
            while octets := await self._stream.read():
                for heard in self.dialogue.feed(octets):
                    self._take(heard)
                self._news.set()
        finally:
            self._gone = LineError(f"{self.port}: the modem is gone; is it still plugged in and switched on?")
            self._news.set()

    def _take(self, heard: Heard) -> None:
        if isinstance(heard, Result | DataEnd):
            self._answered_at = self.clock.now()
        if not self.ring.take(heard, self.clock.now()):
            self._heard.append(heard)
