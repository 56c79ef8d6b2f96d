"""What names say: which file is a document, which a sidecar, which is not finished, and which two are a pair."""

import re
from dataclasses import dataclass
from posixpath import normpath
from typing import Literal

from faxgw.errors import RequestError

RESULTS = "results"
"""The folder in which results are."""
RESULT, ERROR = ".result.json", ".error.txt"
"""How names end that the gateway gives."""
LONGEST = 200
"""Characters of a name."""

Kind = Literal["document", "sidecar", "unfinished", "error", "result"]

_UNFINISHED = (".filepart", ".part", ".partial", ".tmp", ".temp", ".crdownload", ".uploading", "~")
"""How clients end names of files that they rename when all is there."""
_NUMBER = re.compile(r"(\+[0-9]{6,15})(?=[_. -]|$)")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\\/\ud800-\udfff\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Name:
    """The name of one file, without a folder.

    Attributes:
        text: as the device gave it.
        kind: what such a file is.
    """

    text: str
    kind: Kind

    @property
    def stem(self) -> str:
        """What a document and its sidecar have in common: the name without its ending, in small letters."""
        return _without_ending(self.text, self.kind).casefold()

    @property
    def number(self) -> str:
        """The number that the name begins with, where no sidecar is needed; empty: it begins with none."""
        found = _NUMBER.match(self.text)
        return found[1] if found else ""

    @property
    def error(self) -> str:
        """Under which name it is told what was wrong with it."""
        return _without_ending(self.text, self.kind) + ERROR

    @property
    def result(self) -> str:
        """Under which name it is told what became of it."""
        return _without_ending(self.text, self.kind) + RESULT


def split(path: bytes) -> tuple[str, ...]:
    """Return the parts of a path below the device's own folder, which nothing leads out of: none for the folder itself.

    Raises:
        RequestError: ``drop.name``, if no file can be called that.

    >>> split(b"/letter.pdf"), split(b"results/../.."), split(b"")
    (('letter.pdf',), (), ())
    """
    try:
        text = path.decode()
    except UnicodeDecodeError:
        raise _bad_name("is not UTF-8") from None
    if "\0" in text:
        raise _bad_name("has a NUL character")
    return tuple(part for part in normpath("/" + text).split("/") if part)


def name_of(text: str) -> Name:
    """Return what a name in the device's own folder says.

    Raises:
        RequestError: ``drop.name``.

    >>> name_of("Letter.PDF").stem, name_of("letter.json").kind, name_of("+49301234567_a.pdf").number
    ('letter', 'sidecar', '+49301234567')
    """
    if not text or len(text) > LONGEST or _FORBIDDEN.search(text):
        raise _bad_name(f"is longer than {LONGEST} characters, or has some that a name cannot have")
    small = text.casefold()
    if small.endswith(ERROR):
        return Name(text, "error")
    if small.endswith(RESULT) or small == RESULTS:
        return Name(text, "result")
    if small.startswith((".", "~")) or small.endswith(_UNFINISHED):
        return Name(text, "unfinished")
    return Name(text, "sidecar" if small.endswith(".json") else "document")


def _without_ending(text: str, kind: Kind) -> str:
    own = {"error": ERROR, "result": RESULT}.get(kind)
    if own and text.casefold().endswith(own):
        return text[: -len(own)]
    before, dot, _ = text.rpartition(".")
    return before if dot and before else text


def _bad_name(why: str) -> RequestError:
    return RequestError("drop.name", f"The name {why}: give the file another one.")
