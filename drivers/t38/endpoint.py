"""Sending and hearing the signals of a call over T.38: the part of a ``FaxLine`` between dialling and hanging up.

All progress is by timers; packets only bring it forward. What comes while we send is kept, since a packet is not there
once and gone as a signal on a wire is.
"""

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from drivers.t38 import sending
from drivers.t38.ifp import DataType, IndicatorPacket, Packet
from drivers.t38.media import Stream
from drivers.t38.pages import Pages
from drivers.t38.reception import Reception, Signal
from drivers.t38.sending import NO_SIGNAL, Step
from drivers.t38.signals import DATA_TYPE, TRAINING
from drivers.t38.udptl import Missing
from t30.line import (
    CHUNK_OCTETS,
    CHUNK_SECONDS,
    CarrierLost,
    Content,
    DataReceived,
    LineAction,
    LineClock,
    LineError,
    LineEvent,
    ListenData,
    ListenFrame,
    Quiet,
    SendData,
    SendFrames,
    SendTone,
    Sent,
    WrongCarrier,
)
from t30.rates import Modulation
from t30.timers import NEXT_FRAME, TCF_SECONDS

SILENCE_LIMIT = 5.0
"""Seconds to wait for the other side to be silent before speaking anyway."""
HELD = 0.3
"""Seconds that a missing packet is waited for."""
KEEP_ALIVE = 2.0
"""Seconds without a packet of ours after which we send one: what stands between us forgets a way that nobody uses."""
TURNED_AT_ONCE = 512
"""Octets of a page that are turned into something else before others are let in: of white rows they are thousands."""
TAIL = 0.1
"""Seconds after their last packet until they, too, have surely finished the signal."""
FINISHES = 0.1
"""Seconds before a chunk is due anyway, by which the listening ends."""


LATE = 0.01
"""Seconds after its time from which a packet counts as late."""


@dataclass(slots=True)
class Timing:
    """How punctual we were: seconds of the event loop's clock."""

    sent: int = 0
    """Packets that had a time."""
    late: int = 0
    worst: float = 0.0

    def note(self, lateness: float) -> None:
        """Count a packet that went out so much after its time."""
        self.sent += 1
        self.late += lateness > LATE
        self.worst = max(self.worst, lateness)


class Endpoint:
    """The signals of one call.

    Args:
        media: its stream.
        send: hands a datagram to the network.
        clock: that its times are counted on.
    """

    def __init__(self, media: Stream, send: Callable[[bytes], None], clock: LineClock) -> None:
        self.media = media
        self.timing = Timing()
        self.heard_at = -math.inf
        """When the last datagram came."""
        self._send = send
        self._clock = clock
        self._reception = Reception()
        self._pages = Pages(media.agreed)
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[bool] | None = None
        self._fault: LineError | None = None
        self._give_up: asyncio.TimerHandle | None = None
        self._keep_alive: asyncio.TimerHandle | None = None
        self._transmitted_at = 0.0
        self._going: _Going | None = None
        self._spoke_at = clock.now()

    @property
    def quiet_since(self) -> float:
        """When the last datagram came, or our last signal was over: while we send, many say nothing at all."""
        return self._clock.now() if self._going is not None else max(self.heard_at, self._spoke_at)

    def start(self) -> None:
        """Begin: say that there is no signal, so that the other side hears where we are."""
        self._transmit(NO_SIGNAL)

    def close(self) -> None:
        """End it; may be called more than once."""
        for handle in (self._give_up, self._keep_alive):
            if handle is not None:
                handle.cancel()
        self._give_up = self._keep_alive = None
        if self._going is not None:
            self._going.stop()
        self.fail(LineError("there is no call on this line"))

    def fail(self, fault: LineError) -> None:
        """Have whatever is performed, now or later, end with a fault."""
        self._fault = self._fault or fault
        if self._going is not None:
            self._going.fail(fault)
        self._wake()

    def take(self, datagram: bytes) -> None:
        """Take a datagram from the network."""
        if self._fault is not None:
            return
        self.heard_at = self._clock.now()
        packets = self.media.incoming(datagram)
        self._delivered(packets)
        if packets and self._give_up is not None:
            self._give_up.cancel()  # if one is missing now, it is another one
            self._give_up = None
        if self.media.waits and self._give_up is None:
            self._give_up = self._loop.call_later(self._clock.real(HELD), self._waited)

    async def perform(self, action: LineAction) -> LineEvent:
        """Send a signal, or listen for one.

        Raises:
            LineError: if the call is over.
        """
        if self._fault is not None:
            raise self._fault
        match action:
            case SendTone(kind):
                return await self._sent(sending.tone(kind), 0.0, None)
            case SendFrames(modulation, frames, after):
                for frame in frames if modulation is Modulation.V21 else ():
                    self._pages.learn(frame)
                return await self._sent(sending.frames(modulation, frames), after, DATA_TYPE[modulation])
            case SendData(modulation, octets, content, after):
                signal = await self._data(modulation, octets, content)
                return await self._sent(signal, after, DATA_TYPE[modulation])
        try:
            return await self._listened(action)
        except asyncio.CancelledError:
            self._reception.ignore()
            raise

    async def _listened(self, action: LineAction) -> LineEvent:
        match action:
            case ListenFrame(modulation, within):
                return await self._listen_frame(modulation, within)
            case ListenData(modulation, content, within):
                return await self._listen_data(modulation, content, within)
        raise TypeError(f"{action!r} is not for a line in a call")

    # ------------------------------------------------------------------------------------------------------- sending

    async def _data(self, modulation: Modulation, octets: bytes, content: Content) -> Iterator[Step]:
        if content is Content.PAGE:
            return sending.data(modulation, octets, await self._pages.outgoing(octets, sending.step(modulation)))
        if self.media.agreed.local_tcf:
            return sending.training_check(modulation, octets)
        return sending.data(modulation, octets)

    async def _sent(self, signal: Iterator[Step], after: float, carried: DataType | None) -> Sent:
        await self._silence()
        self._reception.forget()
        self._going = _Going(self, signal, after)
        try:
            await self._going.done
        except asyncio.CancelledError:
            if carried is not None and self._going.begun:
                self._transmit(sending.broken_off(carried))
            self._transmit(NO_SIGNAL)
            raise
        finally:
            self._going.stop()
            self._going = None
            self._spoke_at = self._clock.now()
        return Sent()

    async def hear_out(self, within: float) -> None:
        """Wait until the other side's signal is over, so many seconds at most; not while something is performed."""
        if self._fault is None and self._waiting is None and self._going is None:
            with suppress(LineError):
                await self._silence(within)
            await asyncio.sleep(self._clock.real(TAIL))

    async def _silence(self, within: float = SILENCE_LIMIT) -> None:
        """Wait until the other side's signal is over, but not for ever."""
        deadline = self._clock.now() + within
        while self._reception.present is not None and self._clock.now() < deadline:
            if not await self._more(deadline - self._clock.now()):
                self._reception.off()

    def _transmit(self, packet: Packet) -> None:
        for datagram in self.media.outgoing(packet):
            self._send(datagram)
        self._transmitted_at = self._loop.time()
        if self._keep_alive is None:
            self._keep_alive = self._loop.call_at(self._transmitted_at + self._clock.real(KEEP_ALIVE), self._stay)

    def _stay(self) -> None:
        """Keep the way open, if nothing went out for long; within a signal, with what it began with."""
        due = self._transmitted_at + self._clock.real(KEEP_ALIVE)
        if due > self._loop.time():  # one timer for many packets
            self._keep_alive = self._loop.call_at(due, self._stay)
            return
        self._keep_alive = None
        self._transmit(NO_SIGNAL if self._going is None else self._going.indicator)

    # ----------------------------------------------------------------------------------------------------- receiving

    def _delivered(self, packets: list[Packet | Missing]) -> None:
        for packet in packets:
            if isinstance(packet, Missing):
                self._reception.missed()
            else:
                self._reception.take(packet, self.heard_at)
        if self._reception.news:  # most packets are none, and to wake costs more than to take one
            self._reception.news = False
            self._wake()

    def _waited(self) -> None:
        self._give_up = None
        self._delivered(self.media.give_up())
        if self.media.waits:
            self._give_up = self._loop.call_later(self._clock.real(HELD), self._waited)

    def _wake(self, came: bool = True) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(came)

    async def _more(self, within: float) -> bool:
        """Wait until something comes; return whether it did in time.

        Raises:
            LineError: if the call is over.
        """
        came = False
        if self._fault is None and within > 0:
            self._waiting = self._loop.create_future()
            timer = self._loop.call_later(self._clock.real(within), self._wake, False)
            try:
                came = await self._waiting
            finally:
                timer.cancel()
                self._waiting = None
        if self._fault is not None:
            raise self._fault
        return came

    async def _begun(self, modulation: Modulation, within: float) -> Signal | Quiet | WrongCarrier:
        """Return the first signal of a modulation, once it has begun; else what happened instead."""
        deadline = self._clock.now() + within
        signals = self._reception.signals
        while True:
            while signals and signals[0].is_over_for(modulation):
                signals.popleft()
            if signals and signals[0].is_of(modulation):
                signals[0].accepted = True
                return signals[0]
            if signals and signals[0].is_news_for(modulation):
                signals[0].refused = True
                return WrongCarrier(signals[0].modulation)
            if not await self._more(deadline - self._clock.now()):
                return Quiet()

    async def _listen_frame(self, modulation: Modulation, within: float) -> LineEvent:
        signal = await self._begun(modulation, within)
        if not isinstance(signal, Signal):
            return signal
        limit = NEXT_FRAME + (0.0 if signal.begun else TRAINING[modulation])
        deadline = self._clock.now() + limit
        while not signal.frames:
            if signal.ended or not await self._more(deadline - self._clock.now()):
                return self._lost(signal)
        frame = signal.frames.popleft()
        if frame.good and signal.modulation is Modulation.V21:
            self._pages.learn(frame.octets)
        return frame

    async def _listen_data(self, modulation: Modulation, content: Content, within: float) -> LineEvent:
        signal = await self._begun(modulation, within)
        if not isinstance(signal, Signal):
            return signal
        if content is Content.TCF and self.media.agreed.local_tcf and not signal.begun:
            return await self._local_tcf(signal)
        if content is Content.PAGE and not signal.taken:
            signal.page = self._pages.incoming(modulation)
        signal.taken = True
        began, full_at = self._clock.now(), math.inf
        while await self._turned(signal) < CHUNK_OCTETS and not signal.ended and self._clock.now() < full_at:
            if signal.in_hand and full_at is math.inf:
                full_at = self._clock.now() + CHUNK_SECONDS - FINISHES
            limit = min(max(began, signal.last) + NEXT_FRAME + TRAINING[modulation], full_at)
            if not await self._more(limit - self._clock.now()) and not signal.in_hand:
                break
        return DataReceived(signal.chunk()) if await self._turned(signal) else self._lost(signal)

    async def _turned(self, signal: Signal) -> int:
        """Make of a page's octets what the engine is to have, and let others in between; return how many there are."""
        while signal.turn(TURNED_AT_ONCE) and len(signal.in_hand) < CHUNK_OCTETS:  # noqa: ASYNC110 (no waiting)
            await asyncio.sleep(0)
        return len(signal.in_hand)

    async def _local_tcf(self, signal: Signal) -> LineEvent:
        """Make the training check that does not come over the network."""
        over = self._clock.now() + TRAINING[signal.modulation] + TCF_SECONDS
        while not signal.ended and self._clock.now() < over:
            await self._more(over - self._clock.now())
        signal.begun = True
        signal.ended = True
        return DataReceived(bytes(signal.modulation.octets(TCF_SECONDS)))

    def _lost(self, signal: Signal) -> CarrierLost:
        if not signal.ended and self._reception.present is signal:
            self._reception.off()
        if self._reception.signals and self._reception.signals[0] is signal:
            self._reception.signals.popleft()
        return CarrierLost()


class _Going:
    """A signal of ours that is going out, step by step, each at its time by the clock whatever the one before took."""

    def __init__(self, endpoint: Endpoint, signal: Iterator[Step], after: float) -> None:
        self.done: asyncio.Future[None] = endpoint._loop.create_future()
        self.begun = False
        self.indicator = NO_SIGNAL
        self._endpoint = endpoint
        self._signal = signal
        self._due = endpoint._loop.time() + endpoint._clock.real(after)
        self._handle: asyncio.TimerHandle | None = None
        self._next()

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def fail(self, fault: LineError) -> None:
        self.stop()
        if not self.done.done():
            self.done.set_exception(fault)

    def _next(self) -> None:
        step = next(self._signal, None)
        if step is None:
            if not self.done.done():
                self.done.set_result(None)
            return
        self._due += self._endpoint._clock.real(step.after)
        self._handle = self._endpoint._loop.call_at(self._due, self._send, step)

    def _send(self, step: Step) -> None:
        self.begun = True
        self._endpoint.timing.note(self._endpoint._loop.time() - self._due)
        if isinstance(step.packet, IndicatorPacket):
            self.indicator = step.packet
        if step.packet is not None:
            self._endpoint._transmit(step.packet)
        self._next()
