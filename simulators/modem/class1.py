"""What ``+FTH +FRH +FTM +FRM +FTS +FRS`` do on the line (T.31 chapter 8).

Each operation runs from its command to its final result code and says everything in between to the DTE itself.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable

from simulators.circuit import TRAINING, CarrierOff, CarrierOn, End, Frame, Gone, Heard, Octets
from simulators.modem.dte import DLE, ETX, Dte, EscapedError, Result
from simulators.modem.firmware import Firmware
from simulators.modem.framing import fcs, seconds_of
from simulators.modem.lies import FalseHook, Rubbish
from t30.line import Tone
from t30.rates import Modulation

PATIENCE = 5.0
"""Seconds that the DTE may take to send something (T.31: the inactivity timer)."""
PIECE = 0.1
"""Seconds of a fast carrier said to the circuit at once; an empty buffer for as long ends the carrier."""
SCHEDULING = 0.03
"""Seconds of real time that an empty buffer is forgiven in any case: on a fast clock a busy machine is late."""
STOPPING = 0.02
"""Seconds that it takes to stop a reception; what the DTE writes meanwhile is lost with the character that did it."""
TAIL = 0.1
"""Seconds for which a V.21 carrier that was on before +FRM may go on without being taken for a new signal."""
MOMENT = 0.001
"""Seconds between two signals of a modem that says OK before the first is over."""
DEAD_LINE = 1.0
"""Seconds after which the modem takes a line whose other side is gone for one without carrier."""
CED_AFTER, CED_LASTS, CED_THEN = 0.2, 3.0, 0.075
"""Silence before CED, its length, and the silence after it, in seconds."""
CNG_EVERY = 3.5
"""Seconds from one CNG to the next: 0.5 on, 3 off."""
FINAL = 0x10
"""Bit of the control octet: the last frame of a signal."""


class Class1:
    """One call of a Class 1 modem.

    Args:
        end: the modem's end of the circuit.
        dte: the DTE.
        firmware: what make of modem it is.
        say: says a result code to the DTE.
    """

    def __init__(self, end: End, dte: Dte, *, firmware: Firmware, say: Callable[[Result], None]) -> None:
        self.guard = 1.0
        self.adaptive = False
        """``+FAR=1``."""
        self.hook = FalseHook(firmware.false_hook, say)
        self._end = end
        self._dte = dte
        self._clock = end.clock
        self._firmware = firmware
        self._say = say
        self._lies_left = firmware.false_fcerrors
        self._drops_at = -math.inf
        self._connected = False
        self._more_frames = False
        self._ears_for: Modulation | None = None
        self._heard: deque[Heard] = deque()
        self._present: Modulation | None = None
        self._listener: asyncio.Task[None] | None = None

    # -------------------------------------------------------------------------------------------------- phase A

    async def calling(self, within: float) -> bool:
        """After the far side answered: send CNG until its flags are heard; ``receive_frame`` goes on from there.

        False: none came in time, the other side is gone, or the DTE wrote a character; the modem is to hang up.
        """
        deadline = self._clock.now() + within
        self._listen_for(Modulation.V21)
        try:
            while not self._end.gone and self._clock.now() < deadline:
                self._end.tone(Tone.CNG)
                if await self._flags_within(min(CNG_EVERY, deadline - self._clock.now())):
                    return True
        except _StoppedError:
            self._dte.discard()
        return False

    async def answering(self) -> bool:
        """After the call was taken: send CED; ``send_frames`` goes on from there. False: the DTE wrote a character."""
        if not await self._dte.until(self._dte.wants_abort, CED_AFTER):
            self._end.tone(Tone.CED)
            if not await self._dte.until(self._dte.wants_abort, CED_LASTS + CED_THEN):
                return True
        self._dte.discard()
        return False

    async def _flags_within(self, seconds: float) -> bool:
        deadline = self._clock.now() + seconds
        while not self._end.gone and self._clock.now() < deadline:
            if isinstance(await self._next(deadline - self._clock.now()), CarrierOn):
                return self._present is Modulation.V21
        return False

    # ------------------------------------------------------------------------------------------------- silences

    async def keep_silence(self, seconds: float) -> Result:
        """``+FTS``: send nothing for a while."""
        self.deafen()
        await self._dte.pause(seconds)
        return Result.OK

    async def await_silence(self, seconds: float) -> Result | None:
        """``+FRS``: wait until nothing was heard for a while; any character ends it."""
        self.deafen()
        self._listen_for(None)
        since = self._clock.now()
        try:
            while self._present or self._clock.now() < since + seconds:
                if await self._next(math.inf if self._present else since + seconds - self._clock.now()):
                    since = self._clock.now()
        except _StoppedError:
            return await self._stop()
        return Result.OK

    # --------------------------------------------------------------------------------------------- transmission

    async def send_frames(self) -> Result:
        """``+FTH=3``: flags, then frame after frame, each ended by DLE ETX, up to the one that says it is the last."""
        await self._carrier_on(Modulation.V21)
        due = self._clock.now() + TRAINING[Modulation.V21]
        try:
            while True:
                self._say(Result.CONNECT)
                frame = await self._dte.frame(PATIENCE, self.guard)
                if frame is None:
                    return Result.ERROR
                due = max(due, self._clock.now()) + (seconds_of(frame) if frame else 0.0)
                await self._dte.pause_to(due)
                if not frame:
                    return Result.OK
                self._end.frame(frame)
                if frame[1:2] and frame[1] & FINAL:
                    return Result.OK
        except EscapedError:
            return Result.OK
        finally:
            self._carrier_off()

    async def send_data(self, modulation: Modulation) -> Result:
        """``+FTM``: training, then what the DTE writes up to DLE ETX, at the rate of the line.

        OK also when the DTE is too slow: then the carrier dropped before the data ended.
        """
        await self._carrier_on(modulation)
        trained = self._clock.now() + TRAINING[modulation]
        try:
            if self._firmware.deaf_after_connect:
                self._say(Result.CONNECT)
                await self._dte.pause(self._firmware.deaf_after_connect)
                self._dte.discard()
                await self._dte.pause_to(trained)
            else:
                await self._dte.pause_to(trained)
                self._say(Result.CONNECT)
            return await self._send_octets(modulation.bps)
        except EscapedError:
            return Result.OK
        finally:
            self._carrier_off()

    async def _carrier_on(self, modulation: Modulation) -> None:
        self.deafen()
        await self._dte.pause_to(self._drops_at)
        self._end.carrier_on(modulation)

    def _carrier_off(self) -> None:
        """End the signal, now or, where OK comes too early, soon: the next one begins right after it."""
        late = self._firmware.early_ok
        if not late:
            self._end.carrier_off()
            return
        asyncio.get_running_loop().call_later(self._clock.real(late), self._end.carrier_off)
        self._drops_at = self._clock.now() + late + MOMENT

    async def _send_octets(self, bps: int) -> Result:
        limit = int(PIECE * bps / 8)
        if not await self._mark_until_data(limit):
            return Result.ERROR
        due = self._clock.now()
        idle, last = 0.0, 0
        while True:
            data, ended = self._dte.unstuffed(limit)
            if data:
                due += 8 * len(data) / bps
                await self._dte.pause_to(due)
                self._end.octets(data)
                idle, last = 0.0, data[-1]
            if ended:
                return Result.OK
            if data:
                continue
            if await self._dte.more(max(PIECE, SCHEDULING * self._clock.speed)):
                due = max(due, self._clock.now())
                continue
            # T.31: after a NUL the modem goes on sending NULs for a while; after anything else the signal ends.
            idle += self._clock.now() - due
            if last or idle >= PATIENCE:
                return Result.OK if last else Result.ERROR
            self._end.octets(bytes(int((self._clock.now() - due) * bps / 8)))
            due = self._clock.now()

    async def _mark_until_data(self, octets: int) -> bool:
        """Send ones in pieces of so many octets until the DTE writes; return whether it did in time."""
        deadline = self._clock.now() + PATIENCE
        while not await self._dte.anything(PIECE, self.guard):
            if self._clock.now() >= deadline:
                return False
            self._end.octets(b"\xff" * octets)
        return True

    # ------------------------------------------------------------------------------------------------ reception

    async def receive_frame(self) -> Result | None:
        """``+FRH=3``: wait for flags, give one frame with its FCS; the next command finds the next frame.

        Any character of the DTE ends it: OK, and what the DTE wrote is lost.
        """
        self._listen_for(Modulation.V21)
        try:
            if not await self._flags():
                return Result.NO_CARRIER
            if self._present is not Modulation.V21:
                return await self._rubbish(Modulation.V21, Result.ERROR)
            return await self._frame()
        except _StoppedError:
            return await self._stop()

    async def receive_data(self, modulation: Modulation) -> Result | None:
        """``+FRM``: wait for the carrier, give its octets, DLE ETX and NO CARRIER.

        A V.21 carrier instead is +FCERROR, or with ``+FAR=1`` received as ``+FRH=3`` would.
        """
        if self._lies_left:
            self._lies_left -= 1
            await self._dte.pause(STOPPING)
            return Result.FCERROR
        self.deafen()
        self._listen_for(modulation)
        try:
            came = await self._carrier(modulation)
            if came is None:
                return Result.NO_CARRIER
            if came is modulation:
                return await self._octets(modulation)
            if self._firmware.connects_to_any:
                return await self._rubbish(modulation, Result.NO_CARRIER)
            self._ears_for = Modulation.V21
            if not self.adaptive:
                return Result.FCERROR
            self._say(Result.FRH3)
            return await self._frame()
        except _StoppedError:
            return await self._stop()

    async def _flags(self) -> bool:
        if self._present is Modulation.V21 and self._heard and isinstance(self._heard[0], CarrierOff):
            await self._next()
            if self._more_frames:
                return False
        while self._present is not Modulation.V21 and not (self._present and self._firmware.connects_to_any):
            if self._end.gone and not self._heard:
                await self._dead_line()
                return False
            await self._next()
        return True

    async def _frame(self) -> Result:
        self._connect()
        while True:
            match await self._next():
                case Frame(octets, good):
                    self._more_frames = not (octets[1:2] and octets[1] & FINAL)
                    self._put(octets + fcs(octets, good=good))
                    self._put_end()
                    return Result.OK if good else Result.ERROR
                case CarrierOff() | Gone():
                    self._put_end()
                    return Result.NO_CARRIER

    async def _carrier(self, modulation: Modulation) -> Modulation | None:
        """Wait for this carrier or V.21; None: the other side is gone. Other carriers do not train and go unnoticed."""
        while True:
            match await self._next():
                case CarrierOn(other) if other is not modulation and self._firmware.connects_to_any:
                    return other
                case CarrierOn(Modulation.V21):
                    following = await self._next(TAIL)
                    if not isinstance(following, CarrierOff | Gone):
                        self._heard.extendleft([following] if following else [])
                        return Modulation.V21
                case CarrierOn(other, whole) if other is modulation and whole:
                    return modulation
                case Gone():
                    await self._dead_line()
                    return None

    async def _octets(self, modulation: Modulation) -> Result:
        piece = await self._next(TRAINING[modulation])
        if isinstance(piece, CarrierOff | Gone):
            return Result.NO_CARRIER
        self._connect()
        self._lies_left = self._firmware.false_fcerrors
        patience = math.inf
        while not isinstance(piece, CarrierOff | Gone):
            if isinstance(piece, Octets):
                self._put(piece.octets)
                patience = self._firmware.early_no_carrier
            piece = await self._next(patience)
            if piece is None:
                break
        self._put(self._firmware.tail)
        self._put_end()
        return Result.NO_CARRIER

    async def _rubbish(self, modulation: Modulation, ends: Result) -> Result:
        """Give what a receiver of this modulation makes of another carrier, until that ends."""
        self._connect()
        rubbish = Rubbish()
        while not isinstance(await self._next(PIECE), CarrierOff | Gone):
            self._put(rubbish.octets(int(PIECE * modulation.bps / 8)))
        self._put_end()
        return ends

    async def _dead_line(self) -> None:
        if await self._dte.until(self._dte.wants_abort, DEAD_LINE):
            raise _StoppedError

    # ---------------------------------------------------------------------------------------------- to the DTE

    def _connect(self) -> None:
        self._connected = True
        self._say(Result.CONNECT)

    def _put(self, octets: bytes) -> None:
        self._dte.write(octets.replace(b"\x10", b"\x10\x10") if self._firmware.doubles_dle else octets)

    def _put_end(self) -> None:
        self._dte.write(bytes([DLE, ETX]))
        self._connected = False

    async def _stop(self) -> Result | None:
        if self._connected:
            self._put_end()
        self.deafen()
        await self._dte.pause(STOPPING)
        self._dte.discard()
        return Result.OK if self._firmware.abort_answers else None

    # ------------------------------------------------------------------------------------------- from the line

    def deafen(self) -> None:
        """Stop listening: what passes on the line now is lost."""
        if self._listener:
            self._listener.cancel()
            self._listener = None
        self._ears_for = self._present = None
        self._heard.clear()
        self._end.discard()

    def _listen_for(self, modulation: Modulation | None) -> None:
        """Listen from now on, or go on listening if it is for the same modulation."""
        self._connected = False
        if self._listener and self._ears_for is modulation:
            return
        self.deafen()
        self._ears_for = modulation
        self._listener = asyncio.get_running_loop().create_task(self._listen(), name="modem listens")

    async def _listen(self) -> None:
        while True:
            heard = await self._end.heard()
            if heard is not None:
                self._heard.append(heard)
                self._dte.stir()
            if isinstance(heard, Gone):
                return

    async def _next(self, within: float = math.inf) -> Heard | None:
        """Return the next thing heard on the line, None if there is none in time.

        Raises:
            _StoppedError: if the DTE writes a character first.
        """
        await self._dte.until(lambda: bool(self._heard) or self._dte.wants_abort(), within)
        if self._dte.wants_abort():
            raise _StoppedError
        heard = self._heard.popleft() if self._heard else None
        match heard:
            case CarrierOn(modulation):
                self._present = modulation
            case CarrierOff() | Gone():
                self._present = None
        return heard


class _StoppedError(Exception):
    """A character from the DTE ended the reception."""
