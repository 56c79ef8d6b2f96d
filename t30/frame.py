"""HDLC frames as T.30 uses them: address, control, facsimile control field, facsimile information field."""

from dataclasses import dataclass
from typing import Self

from t30.fcf import Fcf

ADDRESS = 0xFF
MORE_FOLLOW = 0x03
FINAL = 0x13

SECRET = frozenset({Fcf.PWD, Fcf.SEP, Fcf.PSA, Fcf.ISP, Fcf.SUB, Fcf.IRA})
"""Frames whose information field is shown to nobody: passwords, and what says whom a fax is for, or which is wanted."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; octets as on the wire, first bit = least significant (T.30 5.3)."""

    code: int
    """The facsimile control field as sent, bit X included."""
    fif: bytes = b""
    final: bool = True

    @classmethod
    def of(cls, fcf: Fcf, fif: bytes = b"", *, x: bool = False, final: bool = True) -> Self:
        """Return the frame that says ``fcf``; ``x``: by a station that has received DIS."""
        return cls(fcf.octet(x=x), fif, final)

    @classmethod
    def parse(cls, octets: bytes) -> Self | None:
        """Return the frame, or None if the octets are none of T.30 (too short, another address or control field)."""
        if len(octets) < 3 or octets[0] != ADDRESS or octets[1] not in (MORE_FOLLOW, FINAL):
            return None
        return cls(octets[2], octets[3:], octets[1] == FINAL)

    @property
    def fcf(self) -> Fcf | None:
        """What the frame says, or None for a code unknown to T.30."""
        return Fcf.of(self.code)

    @property
    def octets(self) -> bytes:
        """The frame on the wire, from address to information field, without FCS."""
        return bytes((ADDRESS, FINAL if self.final else MORE_FOLLOW, self.code)) + self.fif

    @property
    def name(self) -> str:
        """The name of what it says, or the octet where T.30 has none."""
        return str(self.fcf) if self.fcf else f"unknown frame {self.code:02X}"

    def __str__(self) -> str:
        shown = "(not shown)" if self.fcf in SECRET else self.fif.hex(" ")
        return f"{self.name} {shown}".strip()
