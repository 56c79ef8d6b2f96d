"""The sound of one call: a packet each 20 ms, silence or a tone, and what is heard in the packets that come.

Our packets are sent by the far side's clock, as far as its packets let it be known: else its buffer, and the fax in it,
would run empty or full in a long call (case R02). No sample is ever left out or sent twice for that.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Protocol

from drivers.g711 import rtp, tones
from drivers.g711.companding import BLOCK, RATE, expand, translation
from drivers.g711.drift import Drift
from drivers.g711.hearing import Heard, Hearing
from drivers.g711.law import Law
from drivers.g711.reordering import Reordering
from drivers.witness import Seen, Wire, Witness
from t30.line import LineClock, Tone

Address = tuple[str, int]

BLOCK_SECONDS = BLOCK / RATE
BATCH = 5
"""Blocks that are listened to at once."""
FOLLOWED, MOST_PPM = 0.98, 300.0
"""How much of the far clock's lead we follow: not quite all, so that two who follow each other come to rest; and a
limit, beyond which it is the network that changes."""
STALLED = 0.2
"""Seconds behind its time after which a packet is not sent late, but left out."""


class Route(Protocol):
    """What sound needs of a network: datagrams out, and somebody to whom those that come in are handed."""

    receiver: Callable[[bytes], None] | None
    """Is given each datagram of the peer."""

    @property
    def local(self) -> Address:
        """Where this end is."""
        ...

    @property
    def peer(self) -> Address | None:
        """Where the other one is, as far as that is known."""
        ...

    def send(self, datagram: bytes) -> None:
        """Send a datagram; whether it arrives nobody knows."""
        ...


class Audio:
    """The sound of one call, both ways.

    Args:
        route: where packets go and come from; its owner closes it.
        law: how we send, and take what comes with ``payload_type``. The fixed types of both laws are always taken.
        payload_type: 0 to 127.
        clock: that its times are counted on.
        random: of the first numbers of our stream.

    Attributes:
        heard: is called with each signal once, when it is known.
        played: is called when a tone has been sent to its end; CNG has none.
        witness: is shown each packet, if there is one; what is sent while no peer is known goes nowhere, and is not.
    """

    def __init__(self, route: Route, law: Law, payload_type: int, clock: LineClock, random: Random) -> None:
        self.heard: Callable[[Heard], None] | None = None
        self.played: Callable[[], None] | None = None
        self.witness: Witness | None = None
        self._route = route
        self._law = law
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._laws = {each.value: each for each in Law} | {payload_type: law}
        self._silence = bytes((law.silence,)) * BLOCK
        self._numbering = rtp.Numbering(payload_type, random)
        self._blocks: tuple[bytes, ...] = ()
        self._at = 0
        self._endless = False
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._order = Reordering(law.silence)
        self._drift = Drift()
        self._hearing = Hearing()
        self._came: list[bytes] = []

    @property
    def ppm(self) -> float | None:
        """How many millionths the far clock is faster than ours; None in the first seconds."""
        return self._drift.ppm

    @property
    def lost(self) -> int:
        """Samples that were replaced by silence."""
        return self._order.filled

    def start(self) -> None:
        """Begin to send, and to listen."""
        self._route.receiver = self._receive
        self._due = self._loop.time()
        self._send()

    def play(self, tone: Tone | None) -> None:
        """Send a tone from the next packet on, CNG again and again; None ends it."""
        self._blocks = () if tone is None else tones.blocks(tone, self._law)
        self._at = 0
        self._endless = tone is Tone.CNG

    def close(self) -> None:
        """End it; may be called more than once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._route.receiver == self._receive:
            self._route.receiver = None

    # ------------------------------------------------------------------------------------------------------- sending

    def _send(self) -> None:
        """Send the packet that is due, and wait for the next one."""
        block = self._clock.real(BLOCK_SECONDS)
        behind = self._loop.time() - self._due
        if behind > STALLED:
            self._leave_out(int(behind / block))
        octets = self._numbering.packet(self._blocks[self._at] if self._blocks else self._silence)
        self._route.send(octets)
        if self.witness is not None:
            self._show(octets, sent=True)
        lead = self._drift.ppm or 0.0
        self._due += block / (1.0 + FOLLOWED * max(-MOST_PPM, min(lead, MOST_PPM)) * 1e-6)
        self._timer = self._loop.call_at(self._due, self._send)
        if self._blocks:
            self._advance(1)

    def _leave_out(self, blocks: int) -> None:
        """Go on where we would be now, after the process stood still: a burst would help nobody."""
        self._due += blocks * self._clock.real(BLOCK_SECONDS)
        self._numbering.skip(blocks * BLOCK)
        if self._blocks:
            self._advance(blocks)

    def _advance(self, blocks: int) -> None:
        """Go on in a tone."""
        self._at += blocks
        if self._at < len(self._blocks):
            return
        if self._endless:
            self._at %= len(self._blocks)
            return
        self.play(None)
        if self.played is not None:
            self.played()

    # ------------------------------------------------------------------------------------------------------- hearing

    def _receive(self, octets: bytes) -> None:
        """Take a datagram of the peer; what is no sound is dropped."""
        if self.witness is not None:
            self._show(octets, sent=False)
        try:
            packet = rtp.decode(octets)
        except rtp.RtpMalformed:
            return
        law = self._laws.get(packet.payload_type)
        if law is None:
            return
        if law is not self._law:
            packet = packet._replace(payload=packet.payload.translate(translation(law, self._law)))
        came = self._order.take(packet)
        if packet.source == self._order.source:
            self._drift.arrived(packet.timestamp, self._clock.now())
        if came:
            self._came += came
            if len(self._came) >= BATCH:
                self._listen()

    def _listen(self) -> None:
        samples = expand(b"".join(self._came), self._law)
        self._came.clear()
        for signal in self._hearing.take(samples):
            if self.heard is not None:
                self.heard(signal)

    def _show(self, octets: bytes, *, sent: bool) -> None:
        peer = self._route.peer
        if self.witness is not None and peer is not None:
            self.witness(Seen(self._clock.now(), Wire.RTP, sent, self._route.local, peer, octets))
