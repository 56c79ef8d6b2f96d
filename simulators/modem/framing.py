"""A V.21 frame as the DTE gets it and as long as it takes."""

from t30.rates import Modulation


def fcs(octets: bytes, *, good: bool = True) -> bytes:
    """Return the two octets of the frame check sequence, as they are on the wire; or wrong ones.

    >>> fcs(b"123456789").hex()
    '6e90'
    """
    register = 0xFFFF
    for octet in octets:
        register ^= octet
        for _ in range(8):
            register = register >> 1 ^ (0x8408 if register & 1 else 0)
    return (register ^ (0xFFFF if good else 0)).to_bytes(2, "little")


def seconds_of(frame: bytes) -> float:
    """Say how long a V.21 frame takes, FCS and flag included. Stuffed zeros, at most one bit in six, are left out."""
    return 8 * (len(frame) + 3) / Modulation.V21.bps
