"""HDLC framing as T.30 uses it: flags, zero-bit insertion, frame check sequence; octets least significant bit first.

Bits travel through here as strings of ``0`` and ``1`` in the order of the wire, because stuffing is then one
``str.replace``, finding flags one ``str.split`` and the FCS one ``binascii.crc_hqx``, all of them loops in C: a block
of 256 frames of 260 octets takes 6 ms each way.
"""

from binascii import crc_hqx
from collections.abc import Iterable
from dataclasses import dataclass

FLAG = "01111110"
SHORTEST = 4
"""Address, control and FCS, in octets; anything shorter between two flags is noise."""
LONGEST = 1024
"""Octets with FCS. No frame of T.30 comes near; it bounds what a line that never sends a flag can make us hold."""

AROUND_FRAME = 3
"""Octets that a frame takes on the line beside its own: FCS and one flag; stuffing is not counted."""

_FLAG_END = FLAG[1:]
_LONGEST_BITS = LONGEST * 8 * 6 // 5
_REVERSED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


@dataclass(frozen=True, slots=True)
class Deframed:
    """What stood between two flags: octets without FCS; ``good``: whole octets, and the FCS was right."""

    octets: bytes
    good: bool


def fcs(octets: bytes) -> int:
    """Return the frame check sequence (CRC-16/X.25), sent low octet first.

    >>> f"{fcs(b'123456789'):04X}"
    '906E'
    """
    remainder = crc_hqx(octets.translate(_REVERSED), 0xFFFF)
    return (_REVERSED[remainder & 0xFF] << 8 | _REVERSED[remainder >> 8]) ^ 0xFFFF


def stuffed(frames: Iterable[bytes], *, flags_first: int, flags_last: int = 2) -> bytes:
    """Return the octets that carry ``frames``: flags, each frame with its FCS and stuffing, one flag between two.

    The last octet is filled up with the beginning of another flag.

    Raises:
        ValueError: if there is no flag before or after.

    >>> stuffed([bytes.fromhex("FF C8 DF")], flags_first=1).hex(" ").upper()
    '7E DF 91 6F 5F 51 F1 F3 F3'
    """
    if flags_first < 1 or flags_last < 1:
        raise ValueError(f"a frame needs a flag on either side, not {flags_first} and {flags_last}")
    body = FLAG.join(_bits(frame + fcs(frame).to_bytes(2, "little")).replace("11111", "111110") for frame in frames)
    bits = FLAG * flags_first + (body + FLAG * flags_last if body else FLAG * (flags_last - 1))
    return _octets(bits + FLAG[: -len(bits) % 8])


class Deframer:
    """Finds the frames in a stream of octets, whatever the chunking and wherever the octets were cut.

    Never raises; holds one frame at most. A frame ended by an abort (seven ones or more), one longer than
    ``LONGEST`` and one shorter than ``SHORTEST`` are dropped; one that is not whole octets is given as bad.

    Attributes:
        flags_seen: whether any flag was found so far.
    """

    def __init__(self) -> None:
        self.flags_seen = False
        self._in_frame = False
        self._pending = ""

    def feed(self, octets: bytes) -> list[Deframed]:
        """Take the next octets and return the frames that ended in them."""
        *ended, self._pending = (self._pending + _bits(octets)).split(_FLAG_END)
        found = [frame for bits in ended if (frame := self._end(bits)) is not None]
        if len(self._pending) > _LONGEST_BITS + len(_FLAG_END):
            self._in_frame = False
        if not self._in_frame:
            # Only whether a run of ones is a flag or an abort still matters.
            self._pending = self._pending[-len(_FLAG_END) :]
        return found

    def _end(self, bits: str) -> Deframed | None:
        """Judge the bits before six ones and a zero; they end with the flag's first zero, unless two flags share it."""
        was_in_frame = self._in_frame
        self._in_frame = not bits.endswith("1")
        self.flags_seen = self.flags_seen or self._in_frame
        return _frame(bits[:-1].replace("111110", "11111")) if was_in_frame and self._in_frame else None


def _frame(bits: str) -> Deframed | None:
    count, left_over = divmod(len(bits), 8)
    if not SHORTEST <= count <= LONGEST:
        return None
    octets = _octets(bits[: count * 8])
    content, check = octets[:-2], int.from_bytes(octets[-2:], "little")
    return Deframed(content, left_over == 0 and fcs(content) == check)


def _bits(octets: bytes) -> str:
    """Return the bits in the order of the wire.

    >>> _bits(bytes.fromhex("01 C0"))
    '1000000000000011'
    """
    # The one on top keeps the leading zeros and is cut off with the "0b".
    return bin(int.from_bytes(octets, "little") | 1 << len(octets) * 8)[:2:-1]


def _octets(bits: str) -> bytes:
    return int("0" + bits[::-1], 2).to_bytes(len(bits) // 8, "little")
