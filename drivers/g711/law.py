"""The two laws of G.711."""

from enum import Enum


class Law(Enum):
    """How samples are coded; the name is that of RTP, the value its fixed payload type."""

    PCMU = 0
    PCMA = 8

    @property
    def silence(self) -> int:
        """The octet of a sample of 0, or of what comes nearest to it."""
        return 0xFF if self is Law.PCMU else 0xD5
