"""Characters from the DTE become command lines, and a line becomes commands (V.250 chapter 5).

Nothing here knows what a command does. It shares nothing with any driver: a modem that parsed with the driver's own
code would agree with every mistake in it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

LONGEST_LINE = 256
"""A longer line is answered ERROR; without a limit a DTE that sends no CR would fill the modem's memory."""

CR, LF, BACKSPACE = 13, 10, 8


class Form(Enum):
    """What a command asks for; the value is how it is written after the name."""

    PLAIN = ""
    SET = "="
    READ = "?"
    TEST = "=?"


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a line: ``D``, ``&F``, ``S`` (value ``7=60`` becomes name ``S7``), ``+FTM``, ``#CID``."""

    name: str
    form: Form = Form.PLAIN
    value: str = ""

    @property
    def number(self) -> int:
        """The value as a number; none written means 0.

        Raises:
            BadCommandError: if it is not a number.
        """
        if not self.value:
            return 0
        if not (self.value.isascii() and self.value.isdigit()):
            raise BadCommandError(f"{self.name}: {self.value!r} is not a number")
        return int(self.value)


class BadCommandError(Exception):
    """The line does not follow the grammar, or a value is none that the command takes: the answer is ERROR."""


class LineReader:
    r"""Collects a command line: it starts at ``AT``, whatever came before, and ends at CR; ``A/`` repeats the last one.

    >>> reader = LineReader()
    >>> [line for octet in b'rubbishat+FCLASS=1\rA/' if (line := reader.feed(octet)) is not None]
    ['+FCLASS=1', '+FCLASS=1']
    """

    def __init__(self) -> None:
        self._line: str | None = None
        self._prefix = ""
        self._last = ""

    def feed(self, octet: int) -> str | None:
        """Take one octet (its top bit is parity and is ignored); return the line, without ``AT``, when it is whole."""
        octet &= 0x7F
        if self._line is None:
            return self._seek(chr(octet).upper())
        if octet == CR:
            self._last, self._line = self._line, None
            return self._last
        if octet == BACKSPACE:
            self._line = self._line[:-1]
        elif octet >= 0x20 and len(self._line) <= LONGEST_LINE:
            self._line += chr(octet)
        return None

    def _seek(self, character: str) -> str | None:
        before, self._prefix = self._prefix, character
        if before == "A" and character == "T":
            self._line = ""
        elif before == "A" and character == "/":
            return self._last
        return None


_EXTENDED = re.compile(r"([+#][A-Z][A-Z0-9!%\-./:_]*)(=\?|\?|=)?([^;]*)(?:;|$)")
_REGISTER = re.compile(r"S(\d{1,3})(=\?|\?|=)?(\d*)")
_BASIC = re.compile(r"([&\\%*]?[A-Z])(\d*)")


def commands(line: str) -> Iterator[Command]:
    """Yield the commands of a line one by one, so that those before a fault are carried out.

    >>> [(c.name, c.form.name, c.value) for c in commands("E0 +FTS=7;+ftm=146")]
    [('E', 'PLAIN', '0'), ('+FTS', 'SET', '7'), ('+FTM', 'SET', '146')]
    >>> [(c.name, c.value) for c in commands("S7=60 S0? DT 9,555-0100")]
    [('S7', '60'), ('S0', ''), ('D', 'T9,555-0100')]

    Raises:
        BadCommandError: at the first place that is no command.
    """
    if len(line) > LONGEST_LINE:
        raise BadCommandError("the line is too long")
    rest = line.upper().replace(" ", "")
    while rest:
        if rest[0] == ";":
            rest = rest[1:]
        elif rest[0] == "D":
            yield Command("D", Form.PLAIN, rest[1:])
            return
        else:
            command, rest = _first(rest)
            yield command


def _first(text: str) -> tuple[Command, str]:
    if match := _EXTENDED.match(text):
        name, form, value = match[1], Form(match[2] or ""), match[3]
        if value and form is not Form.SET:
            raise BadCommandError(f"{name}: {value!r} after it")
        return Command(name, form, value), text[match.end() :]
    if match := _REGISTER.match(text):
        return Command(f"S{int(match[1])}", Form(match[2] or ""), match[3]), text[match.end() :]
    if match := _BASIC.match(text):
        return Command(match[1], Form.PLAIN, match[2]), text[match.end() :]
    raise BadCommandError(f"no command starts with {text[0]!r}")
