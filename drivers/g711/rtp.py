"""RTP (RFC 3550): packets of sound as octets, and back; anything may come in."""

import struct
from random import Random
from typing import NamedTuple

NUMBERS, TICKS = 1 << 16, 1 << 32
"""So many sequence numbers and timestamps there are before they begin again."""
COMFORT_NOISE = 13
"""The payload type of a description of noise, in place of sound (RFC 3389)."""
_VERSION, _PADDED, _EXTENDED, _SOURCES = 0x80, 0x20, 0x10, 0x0F
_MARKER = 0x80
_CONTROL = range(192, 224)
"""What the second octet is in RTCP, which may share the port (RFC 5761)."""
_HEADER = struct.Struct("!BBHII")


class RtpMalformed(ValueError):
    """Octets that are no RTP packet."""


class Packet(NamedTuple):
    """One RTP packet.

    Attributes:
        payload_type: 0 to 127.
        sequence: 0 to 65535, one more for each packet.
        timestamp: the number of its first sample, modulo 2^32.
        source: which stream it belongs to (SSRC).
        marker: it is the first one after silence.
    """

    payload_type: int
    sequence: int
    timestamp: int
    source: int
    payload: bytes
    marker: bool = False


def encode(packet: Packet) -> bytes:
    """Write an RTP packet without padding, extension or further sources."""
    payload_type, sequence, timestamp, source, payload, marker = packet
    kind = payload_type | _MARKER if marker else payload_type
    return _HEADER.pack(_VERSION, kind, sequence, timestamp, source) + payload


def decode(octets: bytes) -> Packet:
    """Read an RTP packet; padding, extension and further sources are taken off.

    Raises:
        RtpMalformed: if it is none; RTCP is none either.
    """
    if len(octets) < _HEADER.size:
        raise RtpMalformed("cut off")
    first, kind, sequence, timestamp, source = _HEADER.unpack_from(octets)
    if first & 0xC0 != _VERSION:
        raise RtpMalformed("another version")
    if kind in _CONTROL:
        raise RtpMalformed("RTCP")
    at, end = _HEADER.size, len(octets)
    if first != _VERSION:
        at, end = _bounds(octets, first)
    return Packet(kind & 0x7F, sequence, timestamp, source, octets[at:end], kind >= _MARKER)


def after(timestamp: int, other: int) -> int:
    """Return by how much a timestamp is after another one; less than 0 if it is before."""
    return (timestamp - other + (TICKS >> 1) & TICKS - 1) - (TICKS >> 1)


def _bounds(octets: bytes, first: int) -> tuple[int, int]:
    """Return where the payload begins and ends.

    Raises:
        RtpMalformed: if it would begin after its end.
    """
    at, end = _HEADER.size + 4 * (first & _SOURCES), len(octets)
    if first & _EXTENDED:
        at += 4 + 4 * int.from_bytes(octets[at + 2 : at + 4], "big")
    if first & _PADDED:
        if not octets[-1]:
            raise RtpMalformed("padding that does not count itself")
        end -= octets[-1]
    if at > end:
        raise RtpMalformed("cut off")
    return at, end


class Numbering:
    """What numbers the packets of a stream of ours; it begins anywhere.

    Args:
        random: of the first numbers.
    """

    def __init__(self, payload_type: int, random: Random) -> None:
        self._payload_type = payload_type
        self._source = random.randrange(TICKS)
        self._sequence = random.randrange(NUMBERS)
        self._timestamp = random.randrange(TICKS)
        self._marker = True

    def packet(self, payload: bytes) -> bytes:
        """Return the next packet, of one sample for each octet."""
        kind = self._payload_type | _MARKER if self._marker else self._payload_type
        octets = _HEADER.pack(_VERSION, kind, self._sequence, self._timestamp, self._source) + payload
        self._sequence = self._sequence + 1 & NUMBERS - 1
        self._timestamp = self._timestamp + len(payload) & TICKS - 1
        self._marker = False
        return octets

    def skip(self, samples: int) -> None:
        """Let time pass in which nothing is sent."""
        self._timestamp = self._timestamp + samples & TICKS - 1
        self._marker = True
