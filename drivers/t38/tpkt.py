"""T.38 over TCP: each IFP packet with four octets before it that say how long it is (TPKT, RFC 1006).

Nothing is lost and nothing overtakes on a connection: there are no numbers, nothing is repeated, and who loses count of
octets cannot find it again.
"""

from collections.abc import Sequence

from drivers.t38.ifp import Packet, encode
from drivers.t38.media import Agreed, Forms
from drivers.t38.udptl import Arrived, Missing

VERSION = 3
HEAD = 4
LARGEST = 0xFFFF
"""Octets of the largest packet, with its head."""


def framed(packet: bytes) -> bytes:
    """Return a packet as it goes over a connection.

    Raises:
        ValueError: if it is too long.
    """
    if len(packet) > LARGEST - HEAD:
        raise ValueError(f"{len(packet)} octets are more than TPKT can count")
    return bytes((VERSION, 0)) + (HEAD + len(packet)).to_bytes(2, "big") + packet


class Unframer:
    """Cuts a stream of octets into packets; holds one packet at most.

    Attributes:
        lost: why the stream cannot be read on; "" while it can. The connection is to be closed then.
    """

    def __init__(self) -> None:
        self.lost = ""
        self._held = bytearray()

    def feed(self, octets: bytes) -> list[bytes]:
        """Take the next octets; return the packets that are whole now."""
        if self.lost:
            return []
        self._held += octets
        packets: list[bytes] = []
        at = 0
        while len(self._held) - at >= HEAD:
            length = self._held[at + 2] << 8 | self._held[at + 3]
            if self._held[at] != VERSION or length < HEAD:
                self.lost = f"{bytes(self._held[at : at + HEAD]).hex(' ')} is no head of TPKT"
                self._held.clear()
                return packets
            if len(self._held) - at < length:
                break
            packets.append(bytes(self._held[at + HEAD : at + length]))
            at += length
        del self._held[:at]
        return packets


class TpktStream:
    """The stream of one call over a connection."""

    waits = False

    def __init__(self, agreed: Agreed) -> None:
        self.agreed = agreed
        self.forms = Forms(agreed.version)
        self._unframer = Unframer()

    @property
    def lost(self) -> str:
        """Why the stream cannot be read on; "" while it can."""
        return self._unframer.lost

    def fits(self, octets: bytes) -> bool:  # noqa: ARG002
        """Tell that nothing from elsewhere belongs to a connection."""
        return False

    def outgoing(self, packet: Packet) -> Sequence[bytes]:
        """Return the octets that send a packet."""
        return (framed(encode(packet, self.forms.form)),)

    def incoming(self, octets: bytes) -> list[Packet | Missing]:
        """Return the packets that are whole now that some octets have come; an empty one is none."""
        return [self.forms.packet(Arrived(each)) for each in self._unframer.feed(octets) if each]

    def give_up(self) -> list[Packet | Missing]:
        """Return nothing: there is nothing to wait for."""
        return []
