"""The file of a backup: a tar of entries, encrypted by age as it is written and decrypted as it is read.

Nothing is ever held whole, and nothing lies on a disk in clear: what is not in the file is in a pipe.
"""

import hashlib
import os
import tarfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyrage

from faxgw.backup.manifest import MANIFEST, SIGNATURE, Tally
from faxgw.errors import RequestError

PIECE = 4 << 20
"""Octets that are read, and held, at a time."""
LONGEST_MANIFEST = 64 << 20
_BLOCK = 512


class Writer:
    """Writes entries, and tallies them; ``tally`` is what the manifest says."""

    def __init__(self, to: IO[bytes]) -> None:
        self._to = to
        self.tally = Tally()

    def add(self, name: str, octets: bytes) -> None:
        """Write an entry."""
        self.add_pieces(name, len(octets), iter((octets,)))

    def add_pieces(self, name: str, size: int, pieces: Iterator[bytes]) -> None:
        """Write an entry that comes in pieces; together they have ``size`` octets.

        Raises:
            RequestError: ``backup.changed`` when they have not.
        """
        self._to.write(_header(name, size))
        digest, length = hashlib.sha256(), 0
        for piece in pieces:
            digest.update(piece)
            length += len(piece)
            self._to.write(piece)
        if length != size:
            raise RequestError("backup.changed", f"{name} changed while it was backed up: try again.")
        self._to.write(bytes(-size % _BLOCK))
        if name not in (MANIFEST, SIGNATURE):
            self.tally.add(name, size, digest.hexdigest())

    def end(self) -> None:
        """Write what ends a tar."""
        self._to.write(bytes(2 * _BLOCK))


class Entry:
    """One entry of a backup that is read: take its pieces before the next one."""

    def __init__(self, name: str, size: int, file: IO[bytes]) -> None:
        self.name = name
        self.size = size
        self._file = file
        self._digest = hashlib.sha256()

    def pieces(self) -> Iterator[bytes]:
        """Go through its content.

        Raises:
            RequestError: ``backup.damaged`` when it ends too early.
        """
        while piece := self._read():
            self._digest.update(piece)
            yield piece

    def octets(self) -> bytes:
        """Return its content, where that is short.

        Raises:
            RequestError: ``backup.damaged`` when it is not.
        """
        if self.size > LONGEST_MANIFEST:
            raise _damaged(f"{self.name} is too long")
        return b"".join(self.pieces())

    def _read(self) -> bytes:
        try:
            return self._file.read(PIECE)
        except tarfile.TarError as error:
            raise _damaged(str(error)) from error

    def finish(self) -> str:
        """Read what was left; return the hash of all of it."""
        for _ in self.pieces():
            pass
        return self._digest.hexdigest()


@contextmanager
def writing(path: Path, recipients: Sequence[Any]) -> Iterator[Writer]:
    """Make a backup at ``path``: it is there when the block has ended well, and whole and on the disk then.

    Raises:
        RequestError: ``backup.file`` when it cannot be written.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "wb", buffering=PIECE) as file:
                with _encrypting(file, recipients) as writer:
                    yield writer
                    writer.end()
                file.flush()
                os.fsync(descriptor)
            partial.replace(path)
            _sync_folder(path.parent)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RequestError("backup.file", f"{path} cannot be written: {error.strerror or error}.") from error


@contextmanager
def _encrypting(file: IO[bytes], recipients: Sequence[Any]) -> Iterator[Writer]:
    def encrypt(clear: IO[bytes]) -> None:
        pyrage.encrypt_io(clear, file, list(recipients))

    with _beside(encrypt, reads=True) as pipe:
        yield Writer(pipe)


def entries(path: Path, identities: Sequence[Any], tally: Tally) -> Generator[Entry]:
    """Go through a backup; each is tallied when the next is asked for. Close it after use.

    Raises:
        RequestError: ``backup.file`` when it cannot be read, ``backup.damaged`` when it is no backup, or cut off, or
            altered, ``backup.key`` when the keys do not open it.
    """

    def decrypt(clear: IO[bytes]) -> None:
        with path.open("rb", buffering=PIECE) as file:
            pyrage.decrypt_io(file, clear, list(identities))

    try:
        with _beside(decrypt, reads=False) as pipe, tarfile.open(fileobj=pipe, mode="r|", bufsize=1 << 16) as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined]  # else it remembers a million of them
                file = tar.extractfile(member)
                if file is None:
                    raise _damaged(f"{member.name} is no file")
                entry = Entry(member.name, member.size, file)
                yield entry
                sha256 = entry.finish()
                if entry.name not in (MANIFEST, SIGNATURE):
                    tally.add(entry.name, entry.size, sha256)
    except tarfile.TarError as error:
        raise _damaged(str(error)) from error
    except pyrage.DecryptError as error:
        if "No matching keys" in str(error):
            raise RequestError("backup.key", f"The keys given do not open {path}.") from error
        raise _damaged(str(error)) from error
    except OSError as error:
        if error.errno is None:  # of age: what it read is not what was written
            raise _damaged(str(error)) from error
        raise RequestError("backup.file", f"{path} cannot be read: {error.strerror}.") from error


@contextmanager
def _beside(work: Callable[[IO[bytes]], None], *, reads: bool) -> Iterator[IO[bytes]]:
    """Run work in a thread that reads, or else writes, one end of a pipe; gives the other end.

    What the work raises is raised here: it is the cause of whatever happens at our end.
    """
    ends = os.pipe()
    theirs = os.fdopen(ends[0] if reads else ends[1], "rb" if reads else "wb", buffering=1 << 16)
    ours = os.fdopen(ends[1] if reads else ends[0], "wb" if reads else "rb", buffering=1 << 16)
    fault: list[BaseException] = []

    def run() -> None:
        try:
            with theirs:
                work(theirs)
        except BaseException as error:
            fault.append(error)

    thread = threading.Thread(target=run, name="age", daemon=True)
    thread.start()
    try:
        yield ours
        ours.close()
    except BaseException as error:
        _closed(ours)
        thread.join()
        if fault and isinstance(error, OSError | tarfile.TarError):
            raise fault[0] from None
        raise
    thread.join()
    if fault and not isinstance(fault[0], BrokenPipeError):
        raise fault[0]


def _closed(file: IO[bytes]) -> None:
    try:
        file.close()
    except BrokenPipeError:
        return  # the other end has gone: that is why we are here


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o600
    return info.tobuf(tarfile.GNU_FORMAT)


def _damaged(why: str) -> RequestError:
    return RequestError("backup.damaged", f"The backup is damaged ({why}): use another copy.")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
