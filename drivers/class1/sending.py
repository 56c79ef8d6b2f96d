"""Transmission: +FTH and +FTM, and the silence before them."""

import math
from enum import Enum, auto

from drivers.class1.at import NUMBERS, Code, State, Then
from drivers.class1.conversation import Conversation
from drivers.class1.quirks import Quirks
from t30.line import LineError
from t30.rates import Modulation

CONNECT_LIMIT = 5.0
"""Seconds from +FTH or +FTM to CONNECT; the longest training takes 1.4 s."""
SILENCE_LIMIT = 1.0
"""Seconds, beyond the silence asked for, after which we speak although the other side does not stop: it waits for us
3 s at most."""
BETWEEN = 0.015
"""Seconds of a silence that pass by themselves, from the modem's OK until the carrier that our next command asks for:
their octets, the modem and this machine. Where they were none at all, 60 ms would be left of 75, which T.30 allows
(75 +- 20 ms), and are asked for at least."""
MOST_SILENCE = 255
"""Hundredths of a second: what +FTS and +FRS can say."""
TRIES = 2
"""How often a signal is asked for of a modem that says NO CARRIER, which it also does when it misjudges the line."""
SLACK = 5.0
"""Seconds that a signal may take longer than its bits: preamble, stuffing, the modem's own buffers."""


class Before(Enum):
    """Whose signal was on the line last."""

    NOBODY = auto()
    OURS = auto()
    THEIRS = auto()


class Sender:
    """The transmitting half of the driver. The modem must be in command state, or in the V.21 that ATA left it in."""

    def __init__(self, talk: Conversation, quirks: Quirks) -> None:
        self._talk = talk
        self._quirks = quirks
        self._joins = quirks.joins_commands

    async def frames(self, frames: tuple[bytes, ...], *, after: float, before: Before) -> None:
        """Send one V.21 signal."""
        command = f"+FTH={NUMBERS[Modulation.V21]}"
        if self._talk.state is not State.SENDING:
            await self._connect(command, after=after, before=before)
        for frame in frames:
            if self._talk.state is not State.SENDING:
                await self._connect(command, after=0.0, before=Before.OURS)
            self._talk.end(frame)
            await self._done("a V.21 frame", len(frame) * 8 / Modulation.V21.bps, allowed=(Code.OK, Code.CONNECT))
        if self._talk.state is State.SENDING:
            # The last frame did not say that it was the last: the modem waits for another.
            self._talk.end()
            await self._done("the end of the V.21 signal", 0.0)

    async def data(self, modulation: Modulation, octets: bytes, *, after: float, before: Before) -> bool:
        """Send octets by a fast modulation; return whether the modem took them all before it ended the signal."""
        await self._connect(f"+FTM={NUMBERS[modulation]}", after=after, before=before)
        if self._quirks.connect_to_data:
            await self._talk.pause(self._quirks.connect_to_data)
        whole = await self._talk.pour(octets, bps=modulation.bps)
        if whole:
            self._talk.end()
        await self._done(f"{len(octets)} octets at {modulation}", len(octets) * 8 / modulation.bps)
        return whole

    # ----------------------------------------------------------------------------------------------------------------

    async def _connect(self, command: str, *, after: float, before: Before) -> None:
        """Keep the silence, then have the modem begin a signal."""
        hundredths = math.ceil(round(max(0.0, after - BETWEEN) * 100, 3))
        if hundredths and before is Before.THEIRS:
            await self._hear_silence(hundredths)
        if hundredths and before is Before.OURS and await self._keep_silence(hundredths, then=command):
            return
        for _ in range(TRIES):
            self._talk.begin(command, Then.SEND)
            code = await self._talk.answer(f"AT{command}", within=CONNECT_LIMIT)
            if code is Code.CONNECT:
                return
            if code is not Code.NO_CARRIER:
                break
        raise self._dropped(f"AT{command}", code)

    async def _keep_silence(self, hundredths: int, *, then: str) -> bool:
        """Send nothing for a while; return whether the modem went straight on to the command that follows."""
        while hundredths > MOST_SILENCE:
            self._talk.begin(f"+FTS={MOST_SILENCE}")
            await self._talk.answer("AT+FTS", within=CONNECT_LIMIT)
            hundredths -= MOST_SILENCE
        if self._joins:
            self._talk.begin(f"+FTS={hundredths};{then}", Then.SEND)
            code = await self._talk.answer(f"AT+FTS={hundredths};{then}", within=CONNECT_LIMIT)
            if code is not Code.ERROR:
                return code is Code.CONNECT
            self._joins = False
        self._talk.begin(f"+FTS={hundredths}")
        await self._talk.answer("AT+FTS", within=CONNECT_LIMIT)
        return False

    async def _hear_silence(self, hundredths: int) -> None:
        """Wait until the other side is silent; not for ever, and the modem is never asked how long is too long."""
        hundredths = min(hundredths, MOST_SILENCE)
        self._talk.begin(f"+FRS={hundredths}")
        await self._talk.settled(self._talk.clock.real(hundredths / 100 + SILENCE_LIMIT))
        if self._talk.state is not State.COMMAND:
            await self._talk.must_stop()

    async def _done(self, what: str, seconds: float, *, allowed: tuple[Code, ...] = (Code.OK,)) -> None:
        code = await self._talk.answer(f"the end of {what}", within=seconds + SLACK)
        if code not in allowed:
            raise self._dropped(what, code)

    def _dropped(self, what: str, code: Code) -> LineError:
        return LineError(
            f"{self._talk.port}: the modem answers {what} with {code.value}: the call is gone", code="line.dropped"
        )
