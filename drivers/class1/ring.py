"""An incoming call, as a modem tells of it: RING, and lines that name the caller."""

import re
from dataclasses import dataclass

from drivers.class1.at import Code, Heard, Line, Result

_CALLER = ("NMBR", "ANID", "CID", "CALLER NUMBER")
_DIALLED = ("NDID", "DDN_NMBR", "DDN", "CDID")
_OTHER = ("NAME", "DATE", "TIME", "MESG")
_TOLD = re.compile(rf"({'|'.join(_CALLER + _DIALLED + _OTHER)})\s*[=:]\s*(.*)", re.IGNORECASE)
_WITHHELD = ("P", "O", "S", "")
"""What stands for a number that is private, out of area or of a system."""

FRESH = 6.5
"""Seconds for which a RING stands for a call that can be answered; the next RING comes within them (HylaFAX: 6 s)."""


@dataclass(slots=True)
class Ring:
    """What is known of the call that is ringing.

    Attributes:
        news: goes up whenever something is told.
        rings: how often it rang.
        told: whether the modem said who calls, be it that the number is withheld.
    """

    caller: str = ""
    dialled: str = ""
    rings: int = 0
    told: bool = False
    news: int = 0
    last: float = 0.0

    def take(self, heard: Heard, at: float) -> bool:
        """Take note if what the modem said is of an incoming call; return whether it is."""
        match heard:
            case Result(Code.RING):
                self._renew(at)
                self.rings += 1
            case Line(text) if told := _TOLD.fullmatch(text):
                self._renew(at)
                self._told(told[1].upper(), told[2].strip())
            case _:
                return False
        self.last = at
        self.news += 1
        return True

    def ringing(self, at: float) -> bool:
        """Return whether a call rings that can be answered."""
        return self.rings > 0 and at <= self.last + FRESH

    def forget(self) -> None:
        """Begin anew: the call was answered, or is of no interest."""
        self.caller = self.dialled = ""
        self.rings = 0
        self.told = False

    def _renew(self, at: float) -> None:
        if at > self.last + FRESH:
            self.forget()

    def _told(self, name: str, value: str) -> None:
        number = "" if value.upper() in _WITHHELD else value
        if name in _CALLER:
            self.caller, self.told = number, True
        elif name in _DIALLED:
            self.dialled = number
