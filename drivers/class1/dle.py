"""DLE stuffing: how a Class 1 modem marks, in a stream of any octets, where a signal ends (T.31)."""

DLE, ETX, SUB, CR = 0x10, 0x03, 0x1A, 0x0D

END = bytes((DLE, ETX))
"""Ends the data in either direction."""

_DLE = bytes((DLE,))


def stuffed(octets: bytes) -> bytes:
    """Double each DLE.

    >>> stuffed(bytes.fromhex("00 10 03")).hex(" ")
    '00 10 10 03'
    """
    return octets.replace(_DLE, _DLE + _DLE)


class Unstuffer:
    """Undoes stuffing, whatever the chunking, up to DLE ETX.

    A DLE with anything but DLE, SUB (it stands for two DLE) or ETX after it is a message of the modem (signal quality)
    and no data; it is dropped.

    Args:
        doubled: the modem doubles a DLE that is data, as it must. Where it does not, every octet is data, and the end
            is told from data by the CR of the result code that follows it.

    Attributes:
        ended: DLE ETX was seen.
    """

    def __init__(self, *, doubled: bool = True) -> None:
        self.ended = False
        self._doubled = doubled
        self._held = b""

    def feed(self, octets: bytes) -> tuple[bytes, bytes]:
        """Take the next octets; return the data in them, and what comes after the end."""
        octets = self._held + octets
        self._held = b""
        data = bytearray()
        start = 0
        while not self.ended and (at := octets.find(DLE, start)) >= 0:
            data += octets[start:at]
            length = self._escape(octets[at : at + 3], data)
            if length == 0:
                self._held = octets[at:]
                return bytes(data), b""
            start = at + length
        if self.ended:
            return bytes(data), octets[start:]
        data += octets[start:]
        return bytes(data), b""

    def _escape(self, octets: bytes, data: bytearray) -> int:
        """Read what begins with a DLE; return how many octets that takes, 0 if there are not enough yet."""
        if not self._doubled:
            return self._bare(octets, data)
        if len(octets) < 2:
            return 0
        self.ended = octets[1] == ETX
        if octets[1] in (DLE, SUB):
            data += _DLE if octets[1] == DLE else _DLE + _DLE
        return 2

    def _bare(self, octets: bytes, data: bytearray) -> int:
        if END.startswith(octets):
            return 0
        if octets[:2] == END and octets[2] == CR:
            self.ended = True
            return 2
        data += _DLE
        return 1
