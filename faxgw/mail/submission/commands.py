"""What a client says: command lines, the addresses and parameters in them, credentials in base 64. No I/O here."""

import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field

LONGEST_COMMAND = 4096
"""Octets of a command, or of an answer to AUTH, with CR LF; RFC 5321 has 512, and extensions add to it."""
LONGEST_PATH = 256

_ATOMS = r"[^<>\"@\\,:;\[\]\x00-\x20\x7f-\x9f]+"
"""Wider than RFC 5321: people write numbers with parentheses."""
_QUOTED = r'"(?:[^"\\\x00-\x1f\x7f-\x9f]|\\[\x20-\x7e])*"'
_ADDRESS = rf"(?:{_ATOMS}|{_QUOTED})(?:@(?:{_ATOMS}|\[[\w.:]+\]))?"
_ARGUMENT = re.compile(
    rf"(?P<word>FROM|TO):[ \t]*(?:<(?P<path>(?:{_ADDRESS})?)>|(?P<bare>{_ADDRESS}))"
    r"(?P<parameters>(?:[ \t]+[A-Za-z0-9][A-Za-z0-9-]*(?:=[^\s=\x00-\x20\x7f]+)?)*)[ \t]*",
    re.IGNORECASE,
)
_VERB = re.compile(r"[A-Za-z]{1,12}")


class Misspelt(Exception):
    """What cannot be understood; ``code``, ``enhanced`` and the text are the answer."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.enhanced = enhanced
        self.text = text


@dataclass(frozen=True, slots=True)
class Command:
    """One line: its verb in capitals, empty if there is none, and what stands after it."""

    verb: str
    argument: str = field(repr=False)

    @classmethod
    def read(cls, line: bytes) -> "Command":
        """Read a line, given without its CR LF.

        Raises:
            Misspelt: for control characters, and what is no UTF-8.
        """
        try:
            text = line.decode()
        except UnicodeDecodeError:
            raise Misspelt(500, "5.5.2", "The command is no text") from None
        if any((each < " " and each != "\t") or each == "\x7f" for each in text):
            raise Misspelt(500, "5.5.2", "There is a control character in the command")
        verb, _, argument = text.strip(" \t").partition(" ")
        return cls(verb.upper() if _VERB.fullmatch(verb) else "", argument.strip(" \t"))


@dataclass(frozen=True, slots=True)
class Path:
    """The address of MAIL or RCPT, without angle brackets, and its parameters, names in capitals."""

    address: str = field(repr=False)
    parameters: Mapping[str, str]

    @property
    def domain(self) -> str:
        """What stands after the last @, in small letters; empty without one."""
        return self.address.rpartition("@")[2].lower() if "@" in self.address else ""

    @classmethod
    def read(cls, argument: str, word: str) -> "Path":
        """Read what stands after MAIL or RCPT; ``word`` is FROM or TO. A route through other hosts is none.

        Raises:
            Misspelt: if it is no address.
        """
        match = _ARGUMENT.fullmatch(argument)
        if match is None or match["word"].upper() != word:
            raise Misspelt(501, "5.5.4", f"{word}:<address> is expected")
        address = match["path"] or match["bare"] or ""
        if len(address.encode()) > LONGEST_PATH:
            raise Misspelt(501, "5.1.3" if word == "TO" else "5.1.7", "The address is too long")
        parameters = (each.partition("=") for each in match["parameters"].split())
        return cls(address, {name.upper(): value for name, _, value in parameters})


def plain(answer: str) -> tuple[str, str]:
    """Return login and secret from the answer to AUTH PLAIN (RFC 4616).

    Raises:
        Misspelt: if there are none in it.
    """
    parts = decoded(answer).split("\0")
    if len(parts) != 3 or not parts[1] or parts[0] not in ("", parts[1]):
        raise Misspelt(501, "5.5.2", "The answer has no login and secret")
    return parts[1], parts[2]


def decoded(answer: str) -> str:
    """Return what a client says in base 64.

    Raises:
        Misspelt: if it is none, or no text.
    """
    try:
        return b64decode("" if answer == "=" else answer, validate=True).decode()
    except ValueError:
        raise Misspelt(501, "5.5.2", "The answer is no text in base 64") from None
