"""A T.38 gateway between a line under test and a simulated circuit; and what SIP would say in its place.

It hears packets and speaks on the circuit, and the reverse, as a gateway with perfect modems would. Whether fast octets
are HDLC it tells by their flags, where a real one has read DCS.
"""

import asyncio
from collections.abc import Callable

from drivers.t38.ifp import (
    BAD_FRAME,
    ENDS_FRAME,
    ENDS_SIGNAL,
    DataPacket,
    DataType,
    Field,
    FieldType,
    Indicator,
    IndicatorPacket,
    Packet,
)
from drivers.t38.line import UdptlLine
from drivers.t38.media import Agreed, Media, Stream
from drivers.t38.options import Options
from drivers.t38.signals import DATA_TYPE, INDICATOR, MODULATION
from drivers.t38.udptl import Missing
from simulators.circuit import CarrierOff, CarrierOn, End, Frame, Gone, Octets, ToneHeard
from simulators.network import Plug
from simulators.switch import Port
from t30.hdlc import Deframer, stuffed
from t30.line import (
    Answer,
    AwaitCall,
    Cause,
    Dial,
    HangUp,
    LineAction,
    LineError,
    LineEvent,
    NotConnected,
    Ringing,
    Tone,
)
from t30.rates import Modulation
from t30.timers import FAST_FLAGS

FLAGS = b"\x7e" * 4
PIECE = 40


class Gateway:
    """One call at a time between a port of a switch and the other end of a network."""

    def __init__(self, port: Port, plug: Plug, make: Callable[[Agreed], Stream] = Media) -> None:
        self.port = port
        self.make = make
        """What carries packets."""
        self.line: SignalledLine | None = None
        self._plug = plug
        self._end: End | None = None
        self._media = make(Agreed())
        self._tasks: list[asyncio.Task[None]] = []
        self._modulation: Modulation | None = None
        self._indicated = Indicator.NO_SIGNAL
        self._frame = bytearray()
        self._flagged = False
        plug.receiver = self._take

    async def dial(self, number: str) -> Cause | None:
        """Call a number; return why that did not come about."""
        called = await self.port.dial(number)
        if isinstance(called, Cause):
            return called
        self._connect(called)
        return None

    def answer(self) -> Cause | None:
        """Take the call that rings."""
        end = self.port.answer()
        if end is None:
            return Cause.NO_CARRIER
        self._connect(end)
        return None

    def hang_up(self) -> None:
        """End the call."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        if self._end is not None:
            self._end.hang_up()
            self._end = None

    def _connect(self, end: End) -> None:
        self._end, self._media = end, self.make(Agreed())
        self._send(IndicatorPacket(Indicator.NO_SIGNAL))
        self._tasks.append(asyncio.create_task(self._hear(end)))

    def _send(self, packet: Packet) -> None:
        for datagram in self._media.outgoing(packet):
            self._plug.send(datagram)

    # ------------------------------------------------------------------------------------------- packets to the circuit

    def _take(self, datagram: bytes) -> None:
        if self._end is None or self._end.gone or self._end.hung_up:
            return
        for packet in self._media.incoming(datagram):
            if not isinstance(packet, Missing):
                self._say(self._end, packet)

    def _say(self, end: End, packet: Packet) -> None:
        if isinstance(packet, IndicatorPacket):
            modulation = MODULATION.get(packet.indicator)
            if modulation is None or modulation is not self._modulation:
                self._off(end)
            again, self._indicated = self._indicated is packet.indicator, packet.indicator
            if packet.indicator in {Indicator.CED, Indicator.CNG} and not again:
                end.tone(Tone.CED if packet.indicator is Indicator.CED else Tone.CNG)
            elif modulation is not None and self._modulation is None:
                self._modulation, self._flagged = modulation, False
                end.carrier_on(modulation)
            return
        for kind, octets in packet.fields:
            self._say_field(end, kind, octets)

    def _say_field(self, end: End, kind: FieldType, octets: bytes) -> None:
        if kind is FieldType.T4_NON_ECM_DATA:
            end.octets(octets)
        elif kind is FieldType.HDLC_DATA:
            self._frame += octets
        elif kind in ENDS_FRAME and kind not in BAD_FRAME:
            self._say_frame(end, bytes(self._frame))
            self._frame.clear()
        if kind in ENDS_SIGNAL:
            self._off(end)

    def _say_frame(self, end: End, frame: bytes) -> None:
        if self._modulation is Modulation.V21:
            end.frame(frame)
        elif self._modulation is not None:
            flags = 1 if self._flagged else round(FAST_FLAGS * self._modulation.bps / 8)
            self._flagged = True
            end.octets(stuffed((frame,), flags_first=flags, flags_last=1))

    def _off(self, end: End) -> None:
        self._modulation = None
        self._frame.clear()
        if not end.hung_up:
            end.carrier_off()

    # ------------------------------------------------------------------------------------------- the circuit to packets

    async def _hear(self, end: End) -> None:
        modulation: Modulation | None = None
        deframer: Deframer | None = None
        begun = False
        while not isinstance(heard := await end.heard(), Gone):
            match heard:
                case ToneHeard(tone):
                    self._send(IndicatorPacket(Indicator.CED if tone is Tone.CED else Indicator.CNG))
                case CarrierOn(modulation):
                    deframer, begun = None, False
                    self._send(IndicatorPacket(INDICATOR[modulation]))
                case Frame(octets, good):
                    self._send_frame(DataType.V21, octets, good=good)
                case Octets(octets) if modulation:
                    if not begun and octets.startswith(FLAGS):
                        deframer = Deframer()
                    begun = True
                    self._send_octets(DATA_TYPE[modulation], octets, deframer)
                case CarrierOff() if modulation:
                    hdlc = modulation is Modulation.V21 or deframer is not None
                    kind = FieldType.HDLC_SIG_END if hdlc else FieldType.T4_NON_ECM_SIG_END
                    self._send(DataPacket(DATA_TYPE[modulation], (Field(kind),)))
                    self._send(IndicatorPacket(Indicator.NO_SIGNAL))
        if self.line is not None:
            self.line.dropped()

    def _send_octets(self, carried: DataType, octets: bytes, deframer: Deframer | None) -> None:
        if deframer is None:
            self._send(DataPacket(carried, (Field(FieldType.T4_NON_ECM_DATA, octets),)))
            return
        for frame in deframer.feed(octets):
            self._send_frame(carried, frame.octets, good=frame.good)

    def _send_frame(self, carried: DataType, octets: bytes, *, good: bool) -> None:
        for start in range(0, len(octets), PIECE):
            self._send(DataPacket(carried, (Field(FieldType.HDLC_DATA, octets[start : start + PIECE]),)))
        self._send(DataPacket(carried, (Field(FieldType.HDLC_FCS_OK if good else FieldType.HDLC_FCS_BAD),)))


class SignalledLine(UdptlLine):
    """The line, with somebody who says over the wall what SIP would: that a call rings, is answered, is over."""

    def __init__(self, plug: Plug, gateway: Gateway) -> None:
        super().__init__(plug, Options(("", 0), ("", 0)))
        self._gateway = gateway
        gateway.line = self

    def _stream(self) -> Stream:
        return self._gateway.make(self._options.agreed)

    async def perform(self, action: LineAction) -> LineEvent:
        """Do what the line does, with the gateway told."""
        match action:
            case AwaitCall():
                ring = await self._gateway.port.ringing()
                return Ringing(ring.caller, ring.dialled)
            case Dial(number):
                meeting = asyncio.ensure_future(super().perform(action))
                try:
                    cause = await self._gateway.dial(number)
                    return NotConnected(cause) if cause else await meeting
                finally:
                    if not meeting.done():
                        meeting.cancel()
                        await asyncio.wait([meeting])
            case Answer():
                heard = asyncio.ensure_future(self._meet(wait=None))
                await asyncio.sleep(0)
                if cause := self._gateway.answer():
                    heard.cancel()
                    return NotConnected(cause)
                await heard
            case HangUp():
                self._gateway.hang_up()
        return await super().perform(action)

    def dropped(self) -> None:
        """Take note that the call was hung up elsewhere."""
        if self._endpoint is not None:
            self._endpoint.fail(LineError("the other side hung up", code="line.dropped"))
