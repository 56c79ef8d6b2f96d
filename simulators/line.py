"""A fax modem at the end of a circuit: the simulated ``FaxLine``.

It does what a good modem does, with the timing of one: silences, training and preamble, so many bits a second. Half
duplex: it is deaf while it sends. Once it listens, it goes on hearing until the next signal of its own, so nothing is
lost between two actions.
"""

import asyncio
import math
from collections import deque
from collections.abc import Iterator

from simulators.circuit import TRAINING, CarrierOff, CarrierOn, End, Frame, Gone, Octets
from simulators.switch import Port
from t30.hdlc import AROUND_FRAME, Deframer, stuffed
from t30.line import (
    CHUNK_OCTETS,
    CHUNK_SECONDS,
    Answer,
    AwaitCall,
    CarrierLost,
    Cause,
    Connected,
    DataReceived,
    Dial,
    FrameReceived,
    HangUp,
    LineAction,
    LineClock,
    LineError,
    LineEvent,
    ListenData,
    ListenFrame,
    NotConnected,
    Quiet,
    Ringing,
    SendData,
    SendFrames,
    SendTone,
    Sent,
    Tone,
    WrongCarrier,
)
from t30.rates import Modulation
from t30.timers import FAST_FLAGS, NEXT_FRAME

TONE = {Tone.CED: (0.2, 3.0), Tone.CNG: (0.0, 0.5)}
"""Seconds of silence before a tone, and of the tone."""
PIECE_SECONDS = 0.25
"""A fast signal goes out in pieces of this length."""
SILENCE_LIMIT = 5.0
"""Seconds to wait for the other side to be silent before speaking anyway."""


class CircuitLine:
    """A line on the end of a circuit, or on a port of a switch.

    Args:
        route: a port, or the end of a call that already stands: that one rings, answers and connects at once.
        clock: the clock of the circuit.
    """

    def __init__(self, route: Port | End, clock: LineClock) -> None:
        self._clock = clock
        self._port = route if isinstance(route, Port) else None
        self._end = route if isinstance(route, End) else None
        self._reception = _Reception()

    @property
    def clock(self) -> LineClock:
        """The clock that this line's times are counted on."""
        return self._clock

    async def perform(self, action: LineAction) -> LineEvent:
        """Do one thing and say how it went.

        Raises:
            LineError: if the call was dropped, or there is none.
        """
        match action:
            case AwaitCall():
                return await self._await_call()
            case Dial(number):
                return await self._dial(number)
            case Answer():
                return self._answer()
            case HangUp():
                return self._hang_up()
        try:
            return await self._signal(action)
        except asyncio.CancelledError:
            self._deafen()
            raise

    async def _signal(self, action: LineAction) -> LineEvent:
        match action:
            case SendTone(tone):
                return await self._send_tone(tone)
            case SendFrames(Modulation.V21, frames, after):
                return await self._send(Modulation.V21, after, _v21(frames))
            case SendFrames(modulation, frames, after):
                flags = math.ceil(FAST_FLAGS * modulation.bps / 8)
                return await self._send(modulation, after, _fast(modulation, stuffed(frames, flags_first=flags)))
            case SendData(modulation, octets, _, after):
                return await self._send(modulation, after, _fast(modulation, octets))
            case ListenFrame(modulation, within):
                return await self._listen_frame(modulation, within)
            case ListenData(modulation, _, within):
                return await self._listen_data(modulation, within)
        raise TypeError(f"{action!r} is not for a line")

    # ------------------------------------------------------------------------------------------------------ the call

    async def _await_call(self) -> Ringing:
        if self._port is None:
            return Ringing("", "")
        ring = await self._port.ringing()
        return Ringing(ring.caller, ring.dialled)

    async def _dial(self, number: str) -> Connected | NotConnected:
        if self._port is not None:
            called = await self._port.dial(number)
            if isinstance(called, Cause):
                return NotConnected(called)
            self._take(called)
        return Connected()

    def _answer(self) -> Connected | NotConnected:
        if self._port is not None:
            end = self._port.answer()
            if end is None:
                return NotConnected(Cause.NO_CARRIER)
            self._take(end)
        return Connected()

    def _hang_up(self) -> Sent:
        if self._end is not None:
            self._end.hang_up()
        self._reception = _Reception()
        return Sent()

    def _take(self, end: End) -> None:
        self._end = end
        self._reception = _Reception()

    def _connected(self) -> End:
        if self._end is None or self._end.hung_up:
            raise LineError("there is no call on this line")
        return self._end

    def _dropped(self) -> LineError:
        return LineError("the call was dropped by the other side or the network", code="line.dropped")

    # ------------------------------------------------------------------------------------------------------- sending

    async def _send_tone(self, tone: Tone) -> Sent:
        self._deafen()
        silence, length = TONE[tone]
        await self._pause(silence)
        self._connected().tone(tone)
        await self._pause(length)
        return Sent()

    async def _send(self, modulation: Modulation, after: float, signal: Iterator["_Piece"]) -> Sent:
        end = self._connected()
        await self._silence(end)
        self._deafen()
        await self._pause(after)
        end.carrier_on(modulation)
        try:
            await self._pause(TRAINING[modulation])
            for seconds, thing in signal:
                await self._pause(seconds)
                end.frame(thing.octets) if isinstance(thing, Frame) else end.octets(thing.octets)
        finally:
            end.carrier_off()
        return Sent()

    async def _silence(self, end: End) -> None:
        """Wait until the other side's signal is over, but not for ever."""
        deadline = self._clock.now() + SILENCE_LIMIT
        while end.present is not None and self._clock.now() < deadline:
            await end.heard(deadline - self._clock.now())

    async def _pause(self, seconds: float) -> None:
        if await self._connected().gone_within(seconds):
            raise self._dropped()
        self._connected()

    # ----------------------------------------------------------------------------------------------------- listening

    def _deafen(self) -> None:
        if self._end is not None:
            self._end.discard()
        self._reception = _Reception()

    async def _hear(self, within: float) -> bool:
        """Take in the next thing; return whether there was one in time."""
        thing = await self._connected().heard(within)
        match thing:
            case Gone():
                raise self._dropped()
            case CarrierOn():
                self._reception = _Reception(thing)
            case CarrierOff():
                self._reception.ended = True
            case Frame(octets, good):
                self._reception.frames.append(FrameReceived(octets, good))
            case Octets(octets):
                self._reception.octets += octets
        return thing is not None

    async def _begin(self, modulation: Modulation, within: float) -> Quiet | WrongCarrier | None:
        """Listen to the carrier of ``modulation`` once it is on; return what happened instead if it did not come."""
        deadline = self._clock.now() + within
        while not self._reception.accepted_as(modulation):
            if wrong := self._reception.news_for(modulation):
                return wrong
            if not await self._hear(deadline - self._clock.now()):
                return Quiet()
        return None

    async def _listen_frame(self, modulation: Modulation, within: float) -> LineEvent:
        if otherwise := await self._begin(modulation, within):
            return otherwise
        reception = self._reception
        while not reception.frames:
            if reception.ended:
                return self._carrier_lost()
            if not await self._hear(reception.patience):
                self._deafen()
                return self._carrier_lost()
            reception.unstuff()
        reception.patience = NEXT_FRAME
        return reception.frames.popleft()

    async def _listen_data(self, modulation: Modulation, within: float) -> LineEvent:
        if otherwise := await self._begin(modulation, within):
            return otherwise
        reception = self._reception
        full_at = math.inf
        while not reception.ended and len(reception.octets) < CHUNK_OCTETS and self._clock.now() < full_at:
            if reception.octets:
                full_at = min(full_at, self._clock.now() + CHUNK_SECONDS - PIECE_SECONDS)
            if not await self._hear(min(reception.patience, full_at - self._clock.now())) and not reception.octets:
                self._deafen()
                break
        return DataReceived(reception.chunk()) if reception.octets else self._carrier_lost()

    def _carrier_lost(self) -> CarrierLost:
        self._reception = _Reception()
        return CarrierLost()


class _Reception:
    """One signal of the other side: what of it is in hand and not asked for yet."""

    def __init__(self, carrier: CarrierOn | None = None) -> None:
        self.ended = carrier is None
        self.frames: deque[FrameReceived] = deque()
        self.octets = bytearray()
        self.patience = NEXT_FRAME + (TRAINING[carrier.modulation] if carrier else 0.0)
        """Seconds without a frame, or without an octet of a page, after which the signal is given up."""
        self._carrier = carrier
        self._accepted = False
        self._refused = False
        self._deframer = Deframer()

    def accepted_as(self, modulation: Modulation) -> bool:
        """Begin to listen to it, if it is of this modulation and was trained on; return whether it is listened to."""
        if self._carrier != CarrierOn(modulation) or (self.ended and not self._accepted):
            return False
        self._accepted = True
        return True

    def news_for(self, modulation: Modulation) -> WrongCarrier | None:
        """Tell, once, somebody who waits for ``modulation`` that this is there; the rest of it is then ignored.

        So is the tail of a signal that was listened to before. One fast modem does not know another's carrier.
        """
        if self.ended or self._accepted or self._refused or self._carrier is None:
            return None
        self._refused = (self._carrier.modulation is Modulation.V21) is not (modulation is Modulation.V21)
        return WrongCarrier(self._carrier.modulation) if self._refused else None

    def unstuff(self) -> None:
        """Look for frames in the octets in hand."""
        found = self._deframer.feed(bytes(self.octets))
        self.frames.extend(FrameReceived(frame.octets, frame.good) for frame in found)
        self.octets.clear()

    def chunk(self) -> bytes:
        """Return the octets in hand, at most one chunk of them."""
        chunk = bytes(self.octets[:CHUNK_OCTETS])
        del self.octets[:CHUNK_OCTETS]
        return chunk


_Piece = tuple[float, Frame | Octets]
"""Seconds that it takes, and what is out then."""


def _v21(frames: tuple[bytes, ...]) -> Iterator[_Piece]:
    for frame in frames:
        yield (len(frame) + AROUND_FRAME) * 8 / Modulation.V21.bps, Frame(frame)


def _fast(modulation: Modulation, octets: bytes) -> Iterator[_Piece]:
    size = int(PIECE_SECONDS * modulation.bps / 8)
    for start in range(0, len(octets), size):
        piece = octets[start : start + size]
        yield len(piece) * 8 / modulation.bps, Octets(piece)
