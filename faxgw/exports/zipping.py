"""A ZIP that is sent while it is made: no more of it is held than one piece."""

import hashlib
import zipfile
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime
from typing import Any

Piece = bytes


class _Sink:
    """Takes what ``zipfile`` writes, until it is sent; it has no place to go back to."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, octets: Any) -> int:
        self._held += octets
        return len(octets)

    def flush(self) -> None:
        """Do nothing: what is held is sent by ``taken``."""

    def taken(self) -> bytes:
        octets = bytes(self._held)
        self._held.clear()
        return octets


class ZipStream:
    """Entries in, octets of a ZIP out. Entries are stored as they are: faxes are compressed already.

    Attributes:
        files: of every entry so far its name, octets and SHA-256, for a manifest.
    """

    def __init__(self, *, at: datetime) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_STORED, allowZip64=True)  # type: ignore[call-overload]
        self._at = (max(at.year, 1980), at.month, at.day, at.hour, at.minute, at.second)
        self.files: list[dict[str, Any]] = []

    def add(self, name: str, octets: bytes) -> bytes:
        """Add an entry; return what is to be sent now."""
        return b"".join(self.add_pieces(name, (octets,)))

    def add_pieces(self, name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Add an entry that comes in pieces; go through what is to be sent."""
        digest, size = hashlib.sha256(), 0
        with self._zip.open(self._info(name), "w", force_zip64=False) as entry:
            for piece in pieces:
                digest.update(piece)
                size += len(piece)
                entry.write(piece)
                yield self._sink.taken()
        self._noted(name, size, digest.hexdigest())
        yield self._sink.taken()

    async def add_slowly(self, name: str, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Do the same with pieces that have to be waited for."""
        digest, size = hashlib.sha256(), 0
        with self._zip.open(self._info(name), "w", force_zip64=False) as entry:
            async for piece in pieces:
                digest.update(piece)
                size += len(piece)
                entry.write(piece)
                yield self._sink.taken()
        self._noted(name, size, digest.hexdigest())
        yield self._sink.taken()

    def end(self) -> bytes:
        """Return the end of the ZIP."""
        self._zip.close()
        return self._sink.taken()

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, self._at)
        info.external_attr = 0o600 << 16
        return info

    def _noted(self, name: str, size: int, sha256: str) -> None:
        self.files.append({"name": name, "octets": size, "sha256": sha256})
