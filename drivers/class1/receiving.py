"""Reception: +FRH and +FRM, what they bring, and what is kept of it from one action to the next."""

import asyncio
from collections import deque

from drivers.class1.at import NUMBERS, Code, Data, Line, Result, State, Then
from drivers.class1.conversation import Conversation
from drivers.class1.quirks import Quirks
from t30.frame import FINAL
from t30.hdlc import Deframer, fcs
from t30.line import (
    CHUNK_OCTETS,
    CHUNK_SECONDS,
    CarrierLost,
    DataReceived,
    FrameReceived,
    LineError,
    LineEvent,
    Quiet,
    WrongCarrier,
)
from t30.rates import Modulation
from t30.timers import NEXT_FRAME

TAIL = 0.5
"""Seconds to wait for a carrier whose content is complete to end by itself, before it is cut off: a preamble of 1 s
follows it, and not every modem stops well."""
SENDING_TAIL = 3.0
"""Seconds to wait for the end of a transmission of ours that was cancelled: training, and what the modem holds."""
AFTER_FINAL = 0.15
"""Seconds in which a further frame of a signal would begin, although the one before said that it was the last."""
AGAIN = 0.05
"""Seconds between two +FRH, when the first said NO CARRIER before there was any."""

_BY_NUMBER = {str(number): modulation for modulation, number in NUMBERS.items()}


class Receiver:
    """The receiving half of the driver."""

    def __init__(self, talk: Conversation, quirks: Quirks) -> None:
        self._talk = talk
        self._quirks = quirks
        self._signal: Modulation | None = None
        self._begun = False
        self._final = False
        self._waiting = False
        self._over = False
        self._octets = bytearray()
        self._frames: deque[FrameReceived] = deque()
        self._deframer = Deframer()

    def adopt(self, modulation: Modulation) -> None:
        """Take over a reception that is under way without a command of ours: ATD or ``+FRH:3`` began it."""
        self.forget()
        self._signal = modulation

    async def frame(self, modulation: Modulation, within: float) -> LineEvent:
        """Do ``ListenFrame``."""
        if self._signal is not modulation and (otherwise := await self._begin(modulation, within, framed=True)):
            return otherwise
        return await (self._v21_frame() if modulation is Modulation.V21 else self._fast_frame())

    async def data(self, modulation: Modulation, within: float) -> LineEvent:
        """Do ``ListenData``."""
        if self._signal is not modulation and (otherwise := await self._begin(modulation, within, framed=False)):
            return otherwise
        octets = await self._chunk(gathering=CHUNK_SECONDS)
        return DataReceived(octets) if octets else self._carrier_lost()

    async def settle(self) -> None:
        """Bring the modem back to command state before something else begins; forget what it was receiving.

        Raises:
            SilentModemError: if it does not stop.
        """
        receiving = self._signal is not None or self._talk.state is State.ABORTING
        self.forget()
        self._begun = self._final = self._waiting = False
        if self._talk.dialogue.sends:
            await self._talk.stop()
            await self._talk.settled(self._talk.patience(SENDING_TAIL))
        elif receiving:
            await self._talk.settled(self._talk.clock.real(TAIL))
        if self._talk.state is not State.COMMAND:
            await self._talk.must_stop()

    def forget(self) -> None:
        """Drop what was received and not asked for."""
        self._signal = None
        self._over = False
        self._octets.clear()
        self._frames.clear()
        self._deframer = Deframer()

    # ----------------------------------------------------------------------------------------------------- beginning

    async def _begin(self, modulation: Modulation, within: float, *, framed: bool) -> LineEvent | None:
        """Wait for the carrier; return what happened instead, or None when it is there."""
        v21 = framed and modulation is Modulation.V21
        final, going_on, waiting = v21 and self._final, v21 and self._begun, v21 and self._waiting
        if not waiting:
            await self.settle()
        self._final = self._begun = self._waiting = False
        clock = self._talk.clock
        deadline = clock.now() + (min(within, AFTER_FINAL) if final else within)
        command = f"{'+FRH' if v21 else '+FRM'}={NUMBERS[modulation]}"
        retries = 0 if v21 else self._quirks.fcerror_retries
        while (left := deadline - clock.now()) > 0:
            if not waiting:
                self._talk.begin(command, Then.RECEIVE)
            waiting = False
            try:
                async with asyncio.timeout(clock.real(left)):
                    code, instead = await self._connect()
            except TimeoutError:
                break
            if code is Code.CONNECT:
                self.adopt(instead or modulation)
                return WrongCarrier(instead) if instead not in (None, modulation) else None
            if code is Code.ERROR:
                raise self._refused(command)
            if code is Code.FCERROR:
                retries -= 1
                if retries < 0:
                    return WrongCarrier(None)
            elif going_on or (not v21 and retries <= 0):
                return CarrierLost()
            else:
                retries -= 1
                await self._talk.pause(min(AGAIN, left))
        if final:
            # No frame followed; the modem may go on waiting for the next signal.
            self._waiting = True
            return CarrierLost()
        await self._talk.must_stop()
        return Quiet()

    async def _connect(self) -> tuple[Code, Modulation | None]:
        """Return the result code of a reception, and the modulation that the modem went over to by itself."""
        instead = None
        while True:
            match await self._talk.hear():
                case Result(code):
                    return code, instead
                case Line(text) if text.startswith(("+FRH:", "+FRM:")):
                    instead = _BY_NUMBER.get(text[5:].strip())

    def _refused(self, command: str) -> LineError:
        return LineError(f"{self._talk.port}: the modem refuses {command}: the call is gone", code="line.dropped")

    # ---------------------------------------------------------------------------------------------------------- V.21

    async def _v21_frame(self) -> FrameReceived | CarrierLost:
        octets = bytearray()
        code = None
        try:
            async with asyncio.timeout(self._talk.clock.real(NEXT_FRAME)):
                while code is None:
                    match await self._talk.hear():
                        case Data(more):
                            octets += more
                        case Result(final):
                            code = final
        except TimeoutError:
            await self._talk.must_stop()
        self.forget()
        if not octets:
            return CarrierLost()
        frame = self._judged(bytes(octets), code)
        self._final = frame.good and frame.octets[1] == FINAL
        self._begun = True
        return frame

    def _judged(self, octets: bytes, code: Code | None) -> FrameReceived:
        """Check the FCS again: there are modems that say OK to anything.

        NO CARRIER is no verdict: the carrier ended with the frame, and the FCS must tell.
        """
        accepted = code in (Code.OK, Code.NO_CARRIER)
        content, check = octets[:-2], octets[-2:]
        return FrameReceived(content, accepted and len(content) >= 2 and check == fcs(content).to_bytes(2, "little"))

    # --------------------------------------------------------------------------------------------------- fast carriers

    async def _fast_frame(self) -> FrameReceived | CarrierLost:
        deadline = self._talk.clock.now() + NEXT_FRAME
        while not self._frames:
            octets = await self._chunk(gathering=0.0)
            if not octets:
                return self._carrier_lost()
            found = self._deframer.feed(octets)
            self._frames.extend(FrameReceived(frame.octets, frame.good) for frame in found)
            if not self._frames and self._talk.clock.now() >= deadline:
                await self.settle()
                return CarrierLost()
        return self._frames.popleft()

    async def _chunk(self, *, gathering: float) -> bytes:
        """Return the next octets of the carrier: what comes within so many seconds of the first; none at its end."""
        clock = self._talk.clock
        limit = NEXT_FRAME
        began: float | None = clock.now() if self._octets else None
        while len(self._octets) < CHUNK_OCTETS and not self._over:
            if began is not None:
                limit = began + gathering - clock.now()
            try:
                async with asyncio.timeout(clock.real(max(0.0, limit))):
                    heard = await self._talk.hear()
            except TimeoutError:
                if not self._octets:
                    await self._talk.must_stop()
                break
            match heard:
                case Data(octets):
                    self._octets += octets
                    began = clock.now() if began is None else began
                case Result():
                    self._over = True
        chunk = bytes(self._octets[:CHUNK_OCTETS])
        del self._octets[:CHUNK_OCTETS]
        return chunk

    def _carrier_lost(self) -> CarrierLost:
        self.forget()
        return CarrierLost()
