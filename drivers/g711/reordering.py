"""Packets as they come, in blocks as they were sent: in order, and with silence where one is missing.

What is missing is waited for by what comes after it, not by a clock: whoever sends no more leaves nothing to wait for.
"""

from drivers.g711.companding import BLOCK, RATE
from drivers.g711.rtp import Packet, after

HELD = RATE // 10
"""Samples after a gap for which it is waited for."""
JUMP = RATE
"""Samples from what is due to what begins anew: of a longer gap only ``PAUSE`` is filled."""
PAUSE = RATE * 6 // 10
LONGEST = RATE // 4
"""A packet with more samples is none that anybody sends."""
LATE = 5
"""So many packets in a row that are too late are a stream that begins anew."""


class Reordering:
    """One stream of packets, of any size each.

    Args:
        silence: the octet of silence.

    Attributes:
        source: which stream is being followed; None before the first packet.
        filled: samples of silence in the place of what was missing.
        late: packets that came when their place was filled, or twice.
    """

    def __init__(self, silence: int) -> None:
        self.source: int | None = None
        self.filled = 0
        self.late = 0
        self._silence = bytes((silence,))
        self._due = 0
        self._held: dict[int, bytes] = {}
        self._ready = bytearray()
        self._stranger: int | None = None
        self._late_in_a_row = 0

    def take(self, packet: Packet) -> list[bytes]:
        """Take a packet; return the blocks of 160 octets that are complete now."""
        size = len(packet.payload)
        if not 0 < size <= LONGEST or not self._follows(packet):
            return []
        ahead = after(packet.timestamp, self._due)
        if not -JUMP < ahead < JUMP:
            self._restart(packet)
            if ahead > 0:
                self._ready += self._silence * PAUSE
        elif ahead + size <= 0:
            if not self._is_restarted(packet):
                return []
        elif ahead or self._held:
            self._late_in_a_row = 0
            self._hold(packet)
            return self._blocks()
        self._late_in_a_row = 0
        self._append(packet.payload)
        return self._blocks()

    def _follows(self, packet: Packet) -> bool:
        """Return whether a packet is of our stream: another one is followed from its second packet in a row."""
        if packet.source == self.source:
            self._stranger = None
            return True
        if self.source is not None and packet.source != self._stranger:
            self._stranger = packet.source
            return False
        self.source, self._stranger = packet.source, None
        self._restart(packet)
        return True

    def _restart(self, packet: Packet) -> None:
        self._due = packet.timestamp
        self._held.clear()
        self._ready.clear()

    def _is_restarted(self, packet: Packet) -> bool:
        """Count a packet that is too late; return whether there were so many that its time is the right one."""
        self.late += 1
        self._late_in_a_row += 1
        if self._late_in_a_row < LATE:
            return False
        self._restart(packet)
        return True

    def _hold(self, packet: Packet) -> None:
        """Keep a packet that is not due, and give out all that is due, or not worth waiting for."""
        self._held[packet.timestamp] = packet.payload
        while self._held:
            first = min(self._held, key=lambda timestamp: after(timestamp, self._due))
            gap = after(first, self._due)
            if gap > 0:
                if max(after(each, self._due) + len(octets) for each, octets in self._held.items()) < gap + HELD:
                    return
                self.filled += gap
                self._append(self._silence * gap)
            octets = self._held.pop(first)
            self._append(octets[-gap:] if gap < 0 else octets)

    def _append(self, octets: bytes) -> None:
        self._ready += octets
        self._due += len(octets)

    def _blocks(self) -> list[bytes]:
        """Take the blocks that are complete."""
        ready = self._ready
        if len(ready) == BLOCK:
            block = bytes(ready)
            ready.clear()
            return [block]
        whole = len(ready) - len(ready) % BLOCK
        blocks = [bytes(ready[at : at + BLOCK]) for at in range(0, whole, BLOCK)]
        del ready[:whole]
        return blocks
