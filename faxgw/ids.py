"""Ids of everything that is stored: UUID version 7, so that newer ones sort after older ones."""

import os
import time
from uuid import UUID


def new_id() -> UUID:
    """Return a new id: 48 bits of milliseconds since 1970, 74 bits of chance (RFC 9562, version 7).

    >>> new_id().version
    7
    """
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def least_id(seconds: float) -> UUID:
    """Return the id below which all ids lie that were made before a time, in seconds since 1970, and no others.

    >>> least_id(1_769_860_800)
    UUID('019c13ec-9e00-7000-8000-000000000000')
    """
    return UUID(int=max(0, int(seconds * 1000)) << 80 | 0x7 << 76 | 0x2 << 62)
