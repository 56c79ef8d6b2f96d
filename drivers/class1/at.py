"""The AT dialogue, without I/O: commands out, result codes and data in, and which of the two the modem is about to say.

COMMAND --command--> WAITING --CONNECT--> RECEIVING --DLE ETX--> WAITING --OK--> COMMAND
                        |                                           ^
                        '------CONNECT--> SENDING --end()-----------'
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from drivers.class1.dle import END, Unstuffer
from t30.rates import Modulation

NUMBERS: Mapping[Modulation, int] = {
    Modulation.V21: 3,
    Modulation.V27TER_2400: 24,
    Modulation.V27TER_4800: 48,
    Modulation.V29_7200: 72,
    Modulation.V29_9600: 96,
    Modulation.V17_7200: 73,
    Modulation.V17_7200_SHORT: 74,
    Modulation.V17_9600: 97,
    Modulation.V17_9600_SHORT: 98,
    Modulation.V17_12000: 121,
    Modulation.V17_12000_SHORT: 122,
    Modulation.V17_14400: 145,
    Modulation.V17_14400_SHORT: 146,
}
"""What +FTM, +FRM, +FTH and +FRH call each modulation (T.31)."""


class Code(Enum):
    """Result codes; the value is how a modem spells it."""

    OK = "OK"
    CONNECT = "CONNECT"
    RING = "RING"
    NO_CARRIER = "NO CARRIER"
    ERROR = "ERROR"
    NO_DIALTONE = "NO DIALTONE"
    BUSY = "BUSY"
    NO_ANSWER = "NO ANSWER"
    BLACKLISTED = "BLACKLISTED"
    """The modem refuses to dial this number (again so soon)."""
    FCERROR = "+FCERROR"
    """Another carrier than the one that was asked for."""


class State(Enum):
    """What the modem is doing, as far as its words say."""

    COMMAND = auto()
    """It takes a command."""
    WAITING = auto()
    """It works on one; its result code is to come."""
    SENDING = auto()
    """It takes data, up to DLE ETX."""
    RECEIVING = auto()
    """It gives data, up to DLE ETX."""
    ABORTING = auto()
    """It was told to stop; its result code is to come, and all else that comes is of no interest."""


class Then(Enum):
    """What CONNECT means in answer to a command."""

    NOTHING = State.COMMAND
    SEND = State.SENDING
    RECEIVE = State.RECEIVING


@dataclass(frozen=True, slots=True)
class Result:
    """A result code."""

    code: Code


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is no result code: an answer, an echo, the number of a caller, ``+FRH:3``."""

    text: str


@dataclass(frozen=True, slots=True)
class Data:
    """Received octets, unstuffed."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class DataEnd:
    """DLE ETX: the signal, or the frame, is over; a result code follows."""


Heard = Result | Line | Data | DataEnd

XON, XOFF, CAN = 0x11, 0x13, 0x18

_OF_A_DIALLING = frozenset({Code.BUSY, Code.NO_ANSWER, Code.NO_DIALTONE, Code.BLACKLISTED})
_LONGEST_LINE = 512
_SPELLINGS = {code.value: code for code in Code} | {"NO DIAL TONE": Code.NO_DIALTONE, "DELAYED": Code.BLACKLISTED}
_LONGER = re.compile(r"(CONNECT|RING)[ /].*")
_LINE_END = re.compile(rb"[\r\n]")
_CONTROLS = dict.fromkeys((*range(32), 127))


class Dialogue:
    """One side of the conversation with one modem: makes what is to be written, understands what is read.

    Never raises for anything that is read, and holds one line at most.

    Args:
        doubled: see ``Unstuffer``.
        software_flow: DC1 and DC3 read while sending are flow control.

    Attributes:
        state: what the modem is doing.
        held: the modem asked us to stop writing (DC3).
        doubt: what the modem said since the last command as though the call were gone, but which answers no command
            of a call; it may be a modem that takes noise for a busy tone, or the truth.
    """

    def __init__(self, *, doubled: bool = True, software_flow: bool = False) -> None:
        self.doubled = doubled
        self.software_flow = software_flow
        self.state = State.COMMAND
        self.held = False
        self.doubt: Code | None = None
        self._in_call = False
        self._then = Then.NOTHING
        self._line = b""
        self._after_cr = False
        self._unstuffer = Unstuffer()

    # ------------------------------------------------------------------------------------------------------- writing

    def command(self, text: str, then: Then = Then.NOTHING) -> bytes:
        """Return the octets of a command (``text`` without AT), whose CONNECT means ``then``."""
        self.state = State.WAITING
        self.doubt = None
        self._in_call = text.startswith("+F")
        self._then = then
        self._line = b""
        return f"AT{text}\r".encode("ascii")

    def end(self) -> bytes:
        """Return what ends the data, or the frame, being sent."""
        self.state = State.WAITING
        return END

    def abort(self) -> bytes:
        """Return what makes the modem stop what it is doing and answer with a result code."""
        if self.state is State.RECEIVING:
            self._line = b""
        self.state = State.ABORTING
        return bytes((CAN,))

    @property
    def sends(self) -> bool:
        """Whether a transmission is under way, from its command to its final result code."""
        return self.state is State.SENDING or (self.state is State.WAITING and self._then is Then.SEND)

    def idle(self) -> None:
        """Take it that the modem is in command state, whatever it did not say."""
        self.state = State.COMMAND

    # ------------------------------------------------------------------------------------------------------- reading

    def feed(self, octets: bytes) -> list[Heard]:
        """Take the next octets read; return what the modem said in them."""
        heard: list[Heard] = []
        while octets:
            octets = (self._data if self.state is State.RECEIVING else self._text)(octets, heard)
        return heard

    def _data(self, octets: bytes, heard: list[Heard]) -> bytes:
        if self._after_cr:
            self._after_cr = False
            octets = octets.removeprefix(b"\n")
        data, rest = self._unstuffer.feed(octets)
        if data:
            heard.append(Data(data))
        if self._unstuffer.ended:
            heard.append(DataEnd())
            self.state = State.WAITING
        return rest

    def _text(self, octets: bytes, heard: list[Heard]) -> bytes:
        end = _LINE_END.search(octets)
        part = octets[: end.start()] if end else octets
        self._line += self._flow(part)
        if len(self._line) > _LONGEST_LINE:
            self._line = self._line[-_LONGEST_LINE:]
        if end is None:
            return b""
        self._after_cr = end[0] == b"\r"
        text, self._line = self._line.decode("latin-1").translate(_CONTROLS).strip(), b""
        if text:
            heard.append(self._said(text))
        return octets[end.end() :]

    def _said(self, text: str) -> Heard:
        longer = _LONGER.fullmatch(text)
        code = _SPELLINGS.get(longer[1] if longer else text)
        if code is None:
            return Line(text)
        if self._in_call and code in _OF_A_DIALLING:
            self.doubt = code
            return Line(text)
        if code is Code.CONNECT and self.state is State.WAITING:
            self.state = self._then.value
            self._unstuffer = Unstuffer(doubled=self.doubled)
            self.held = False
        elif code not in (Code.CONNECT, Code.RING):
            self.state = State.COMMAND
        return Result(code)

    def _flow(self, octets: bytes) -> bytes:
        if self.software_flow and self.state in (State.SENDING, State.WAITING):
            for octet in octets:
                if octet in (XON, XOFF):
                    self.held = octet == XOFF
        return octets


def numbers(text: str) -> frozenset[int]:
    """Return the values that an answer to ``=?`` lists, as plain numbers or ranges, in brackets or not.

    >>> sorted(numbers("+FRM: (24,48,72-74)"))
    [24, 48, 72, 73, 74]
    """
    found: set[int] = set()
    for first, last in re.findall(r"(?<![.\d])(\d+)(?:-(\d+))?(?![.\d])", text.rpartition(":")[2]):
        found.update(range(int(first), min(int(last or first), int(first) + 1000) + 1))
    return frozenset(found)


def dial_string(number: str) -> str:
    """Return ``number`` as V.250 lets one dial it, without the punctuation that people write.

    >>> dial_string("+49 (30) 12-34")
    '+49301234'

    Raises:
        ValueError: if there is anything else in it (a semicolon would smuggle in a command), or nothing to dial.
    """
    dialled = re.sub(r"[ \-()./]", "", number.upper())
    if not re.fullmatch(r"[0-9*#+,W@!]*[0-9*#][0-9*#+,W@!]*", dialled):
        raise ValueError(f"{number!r} is not a number that a modem can dial")
    return dialled
