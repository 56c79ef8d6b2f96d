"""Tombstones: signed notes of what was deleted, in the database and in a log beside it, for a restore to obey.

The log lies outside the database (``DIR/tombstones``), so that it is younger than the backup that is restored.
"""

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.errors import RequestError
from faxgw.keys.tokens import ServerKeys
from faxgw.store.rows import Rows
from faxgw.store.tables import tombstones

FILE = "tombstones"
FAX, OBJECT, SUBJECT = "fax", "object", "subject"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Something was deleted.

    Attributes:
        id: of what was deleted; of a subject ``audit.stone_id``.
        tenant_id: whose it was.
        kind: ``fax``: the fax and all of its record; ``object``: a sealed object and every wrap of its key;
            ``subject``: what is known of a person, and the key of the pseudonym in the audit log.
        deleted_at: when, with a zone.
    """

    id: UUID
    tenant_id: UUID
    kind: str
    deleted_at: datetime

    @property
    def content(self) -> bytes:
        """What is signed: four lines, the time in UTC to the microsecond."""
        at = self.deleted_at.astimezone(UTC).isoformat(timespec="microseconds")
        return f"faxgw tombstone 1\n{self.id}\n{self.tenant_id}\n{self.kind}\n{at}".encode()


Signed = tuple[Tombstone, bytes]
"""A tombstone, and the signature over its content."""


class TombstoneLog:
    """The log of a data directory: one JSON object a line, only ever appended to."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FILE

    def append(self, stones: Iterable[Signed]) -> None:
        """Write tombstones down; they are on the disk when this returns. Blocks: call it in a thread.

        Raises:
            OSError: when they cannot be; then do not delete.
        """
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            _end_torn_line(descriptor)
            lines = memoryview("".join(line(each, signature) for each, signature in stones).encode())
            while lines:
                lines = lines[file.write(lines) :]
            os.fsync(descriptor)
        if is_new:
            _sync_folder(self.path.parent)


async def note(connection: AsyncConnection, keys: ServerKeys, data_dir: Path, stones: Sequence[Tombstone]) -> None:
    """Write tombstones into the database and into the log of a data directory, in the transaction that deletes.

    Raises:
        RequestError: ``storage.failed``, if the log cannot be written; then nothing must be deleted.
    """
    whole = await asyncio.to_thread(signed, keys, stones)
    await write_down(connection, whole)
    try:
        await asyncio.to_thread(TombstoneLog(data_dir).append, whole)
    except OSError as error:
        reason = f"What is deleted cannot be noted in the data directory, so nothing was: {error.strerror}."
        raise RequestError("storage.failed", reason) from error


def signed(keys: ServerKeys, stones: Iterable[Tombstone]) -> list[Signed]:
    """Sign tombstones: 50 us of processor time for each."""
    key = keys.signing
    return [(each, key.sign(each.content)) for each in stones]


async def write_down(connection: AsyncConnection, stones: Iterable[Signed]) -> None:
    """Write tombstones into the database, in the transaction that deletes; twice does no harm.

    A subject may come again, and be erased again: the last time counts.
    """
    rows = [
        {"id": each.id, "tenant_id": each.tenant_id, "kind": each.kind, "deleted_at": each.deleted_at}
        | {"signature": signature}
        for each, signature in stones
    ]
    if rows:
        await connection.execute(_WRITE, _ROWS.values(rows))


_ROWS = Rows(tombstones, "id", "tenant_id", "kind", "deleted_at", "signature")
_NEW = _ROWS.inserted()
_WRITE = _NEW.on_conflict_do_update(
    index_elements=[tombstones.c.id, tombstones.c.kind, tombstones.c.tenant_id],
    set_={"deleted_at": _NEW.excluded.deleted_at, "signature": _NEW.excluded.signature},
    where=tombstones.c.deleted_at < _NEW.excluded.deleted_at,
)


async def exported(connection: AsyncConnection) -> AsyncIterator[str]:
    """Go through the tombstones of the database as lines of a log, a restore's ``--tombstones``."""
    result = await connection.stream(select(tombstones).order_by(tombstones.c.deleted_at, tombstones.c.id))
    async for row in result:
        yield line(Tombstone(row.id, row.tenant_id, row.kind, row.deleted_at), row.signature)


def line(stone: Tombstone, signature: bytes) -> str:
    """Return a line of a log."""
    said = {
        "id": str(stone.id),
        "tenant": str(stone.tenant_id),
        "kind": stone.kind,
        "deleted_at": stone.deleted_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "signature": signature.hex(),
    }
    return json.dumps(said, separators=(",", ":")) + "\n"


def read_log(path: Path, key: Ed25519PublicKey) -> Iterator[Tombstone]:
    """Go through a log; a last line that was cut off, as by a loss of power, is passed over.

    Raises:
        RequestError: ``backup.tombstones`` when it cannot be read, or a line was not signed by ``key``.
    """
    try:
        with path.open("rb") as file:
            for number, each in enumerate(file, 1):
                if each.endswith(b"\n") and each.strip():
                    yield _read(path, number, each, key)
    except OSError as error:
        raise RequestError("backup.tombstones", f"{path} cannot be read: {error.strerror}.") from error


def is_genuine(stone: Tombstone, signature: bytes, key: Ed25519PublicKey) -> bool:
    """Tell whether the holder of ``key`` signed this tombstone."""
    try:
        key.verify(signature, stone.content)
    except InvalidSignature:
        return False
    return True


def _read(path: Path, number: int, octets: bytes, key: Ed25519PublicKey) -> Tombstone:
    try:
        said: dict[str, Any] = json.loads(octets)
        at = datetime.fromisoformat(said["deleted_at"])
        stone = Tombstone(UUID(said["id"]), UUID(said["tenant"]), str(said["kind"]), at)
        signature = bytes.fromhex(said["signature"])
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError("backup.tombstones", f"{path}: line {number} is no tombstone.") from error
    if not is_genuine(stone, signature, key):
        reason = f"{path}: line {number} was not signed by the gateway of this backup."
        raise RequestError("backup.tombstones", reason)
    return stone


def _end_torn_line(descriptor: int) -> None:
    """Drop what a loss of power left of a line: what it was about was never deleted."""
    size = os.fstat(descriptor).st_size
    kept = size
    while kept and os.pread(descriptor, 1, kept - 1) != b"\n":
        kept -= 1
    if kept != size:
        os.ftruncate(descriptor, kept)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
