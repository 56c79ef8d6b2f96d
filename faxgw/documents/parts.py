"""What a document is made of: files that a user names, or uploads that are held in memory and never touch a disk."""

from dataclasses import dataclass, field
from pathlib import Path

from faxgw.errors import RequestError

LARGEST = 512 << 20
"""Octets of one part: half of what a worker may take, so that there is room to draw it."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A document that was sent to the gateway; ``name`` is what its sender calls it and stands in what is refused."""

    name: str
    octets: bytes = field(repr=False)


Part = Path | Upload


def octets_of(part: Part) -> bytes:
    """Return what a part holds; a file is read anew each time.

    Raises:
        RequestError: ``document.missing``, ``.unreadable``, ``.empty`` or ``.too_large``.
    """
    octets = part.octets if isinstance(part, Upload) else _read(part, most=LARGEST + 1)
    if not octets:
        raise RequestError("document.empty", f"{part.name} is empty (0 bytes).")
    if len(octets) > LARGEST:
        raise RequestError("document.too_large", f"{part.name} has more than {LARGEST >> 20} MB.")
    return octets


def size_of(part: Part) -> int:
    """Return how many octets a part has.

    Raises:
        RequestError: ``document.missing`` or ``.unreadable``.
    """
    return len(part.octets) if isinstance(part, Upload) else _size(part)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from None


def _read(path: Path, *, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> RequestError:
    if isinstance(error, FileNotFoundError):
        return RequestError("document.missing", f"There is no file {path}.")
    if isinstance(error, IsADirectoryError):
        return RequestError("document.unreadable", f"{path} is a folder, not a document.")
    return RequestError("document.unreadable", f"{path} cannot be read: {error.strerror}.")
