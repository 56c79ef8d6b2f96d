"""A backup verified whole, then restored: rows, tombstones, then those sealed objects that are still to be there."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from faxgw.archive.objects import ObjectStore
from faxgw.backup import forgetting, replaying, rows
from faxgw.backup.bundle import Entry, entries
from faxgw.backup.creating import CONFIG, NODE, SERVER_KEYS, TLS
from faxgw.backup.manifest import FILES, HEADER, MANIFEST, OBJECTS, SIGNATURE, TABLES, Tally, verified
from faxgw.backup.tombstones import SUBJECT, Tombstone, read_log
from faxgw.errors import RequestError
from faxgw.keys.tokens import ServerKeys
from faxgw.store.migrating import head, upgrade, versions
from faxgw.store.roles import Urls

BATCH = 1000
_WRITE = """
INSERT INTO tombstones (id, tenant_id, kind, deleted_at, signature) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (id, kind, tenant_id) DO UPDATE SET deleted_at = excluded.deleted_at, signature = excluded.signature
WHERE tombstones.deleted_at < excluded.deleted_at RETURNING 1
"""


@dataclass(frozen=True, slots=True)
class Source:
    """A backup and the keys that open it.

    Attributes:
        identities: of age.
        signer: whose signature it must have; None: that of the key that it names itself.
    """

    path: Path
    identities: Sequence[Any] = field(repr=False)
    signer: Ed25519PublicKey | None = None


@dataclass(slots=True)
class Restored:
    """What a restore did.

    Attributes:
        deleted: faxes, objects and what was known of persons, which tombstones name: deleted again.
        ended: faxes that were under way when the backup was made, and have ended as failed.
    """

    rows: int = 0
    objects: int = 0
    deleted: int = 0
    ended: int = 0


def verify(source: Source) -> dict[str, Any]:
    """Read a backup to its end, and return its manifest; nothing is written.

    Raises:
        RequestError: ``backup.*`` when a single bit is not as it was signed.
    """
    tally, last = Tally(), {}
    with closing(entries(source.path, source.identities, tally)) as found:
        for entry in found:
            if entry.name in (MANIFEST, SIGNATURE):
                last[entry.name] = entry.octets()
            elif last:
                raise RequestError("backup.damaged", "The backup goes on after its manifest: use another copy.")
    if len(last) != 2:
        raise RequestError("backup.damaged", "The backup ends before its manifest: use another copy.")
    return verified(last[MANIFEST], last[SIGNATURE], tally, signer=source.signer)


def restore_files(source: Source, data_dir: Path) -> None:
    """Put back the server's keys, the certificate, the node's id and the configuration, into a new data directory."""
    data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)
    with closing(entries(source.path, source.identities, Tally())) as found:
        for entry in found:
            if entry.name == HEADER:
                continue
            if not entry.name.startswith(f"{FILES}/"):
                break
            _put_file(data_dir, entry)


def restore(
    source: Source,
    manifest: Mapping[str, Any],
    *,
    data_dir: Path,
    urls: Urls,
    store: ObjectStore,
    logs: Sequence[Path],
    run: Callable[[Any], Any],
) -> Restored:
    """Restore rows and objects of a backup that ``verify`` has found whole; blocks.

    Args:
        source: the backup.
        manifest: what ``verify`` returned.
        data_dir: the new data directory, with the files restored.
        urls: of an empty database.
        store: for the objects.
        logs: logs of tombstones, younger than the backup.
        run: runs a coroutine to its end.

    Raises:
        RequestError: ``backup.*``.
        StoreError: when an object cannot be stored.
    """
    refuse_newer(manifest)
    upgrade(urls.owner, to=manifest["schema"])
    keys = ServerKeys(data_dir / SERVER_KEYS)
    done, tally = Restored(), Tally()
    with (
        ExitStack() as read,
        closing(psycopg.connect(urls.owner, autocommit=True)) as owner,
        closing(psycopg.connect(urls.dispatcher, autocommit=True)) as dispatcher,
    ):
        _refuse_rows(dispatcher)
        tables = manifest["order"]
        rows.set_triggers(owner, tables, on=False)
        stream = _Stream(read.enter_context(closing(entries(source.path, source.identities, tally))))
        for table in tables:
            done.rows += _restore_table(dispatcher, stream, table, manifest["tables"][table])
        upgrade(urls.owner, seals=keys.values)
        rows.move_numbers_on(dispatcher, owner)
        tables = list(rows.columns(dispatcher))
        # Holds that were over the faxes at the time of the backup were lifted before the faxes were deleted.
        rows.set_triggers(owner, tables, on=False)
        stones = (stone for path in logs for stone in read_log(path, keys.signing.public_key()))
        subjects = [each for each in _write_down(dispatcher, keys, stones) if each.kind == SUBJECT]
        done.deleted = replaying.replay(dispatcher)
        run(forgetting.number_what_waits(urls, keys, now=datetime.now(UTC)))
        done.deleted += forgetting.forget_again(dispatcher, keys, subjects)
        done.ended = replaying.end_what_was_under_way(dispatcher, keys.values)
        for entry in stream.group(f"{OBJECTS}/"):
            done.objects += _restore_object(dispatcher, store, entry, run)
        stream.finish()
        if tally.said() != manifest["groups"]:
            raise RequestError("backup.damaged", "The backup changed while it was restored: begin anew.")
        rows.set_triggers(owner, tables, on=True)
        replaying.keep_log(dispatcher, data_dir)
    return done


def refuse_newer(manifest: Mapping[str, Any]) -> None:
    """Refuse a backup of a later version of this program.

    Raises:
        RequestError: ``backup.version``.
    """
    if manifest["schema"] not in versions():
        reason = f"The backup is of faxgw {manifest['faxgw']} with tables of version {manifest['schema']}; this program"
        raise RequestError("backup.version", f"{reason} knows {head()}: restore it with the newer program.")


class _Stream:
    """Entries in order, of which the next can be looked at before it is taken."""

    def __init__(self, found: Iterator[Entry]) -> None:
        self._found = found
        self._next = next(found, None)

    def group(self, prefix: str) -> Iterator[Entry]:
        """Go through the entries that begin so, after all that come before them."""
        while self._next is not None and not self._next.name.startswith(prefix):
            if self._next.name in (MANIFEST, SIGNATURE) or _rank(self._next.name) > _rank(prefix):
                return
            self._next = next(self._found, None)
        while self._next is not None and self._next.name.startswith(prefix):
            yield self._next
            self._next = next(self._found, None)

    def finish(self) -> None:
        while self._next is not None:
            self._next = next(self._found, None)


def _rank(name: str) -> int:
    order = (HEADER, FILES, TABLES, OBJECTS, MANIFEST, SIGNATURE)
    return order.index(name.partition("/")[0])


def _restore_table(connection: rows.Connection, stream: _Stream, table: str, said: Mapping[str, Any]) -> int:
    found = stream.group(f"{TABLES}/{table}/")
    next(found)  # its columns, which the manifest says too
    rows.put_back(connection, table, said["columns"], (piece for entry in found for piece in entry.pieces()))
    return int(said["rows"])


def _restore_object(connection: rows.Connection, store: ObjectStore, entry: Entry, run: Callable[[Any], Any]) -> int:
    object_id = UUID(entry.name.removeprefix(f"{OBJECTS}/"))
    if not replaying.is_wanted(connection, object_id):
        return 0

    async def pieces() -> Any:
        for piece in entry.pieces():
            yield piece

    run(store.put(object_id, pieces()))
    return 1


def _refuse_rows(connection: rows.Connection) -> None:
    found = connection.execute("SELECT EXISTS (SELECT FROM tenants)").fetchone()
    if found and found[0]:
        reason = "The database has tenants already; a backup is restored into an empty one."
        raise RequestError("backup.database", reason)


def _write_down(connection: rows.Connection, keys: ServerKeys, stones: Iterable[Tombstone]) -> list[Tombstone]:
    """Write tombstones into the database; return those that were not there, or of an earlier time only."""
    stones, new = iter(stones), []
    while batch := list(islice(stones, BATCH)):
        values = [
            (each.id, each.tenant_id, each.kind, each.deleted_at, keys.signing.sign(each.content)) for each in batch
        ]
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(_WRITE, values, returning=True)
            new += [stone for stone, result in zip(batch, cursor.results(), strict=True) if result.rowcount]
    return new


def _put_file(data_dir: Path, entry: Entry) -> None:
    folder, _, name = entry.name.removeprefix(f"{FILES}/").rpartition("/")
    if folder not in ("", SERVER_KEYS, TLS) or name in ("", ".", "..") or (not folder and name not in (NODE, CONFIG)):
        raise RequestError("backup.damaged", f"The backup has a file that no gateway has: {entry.name[:80]!r}.")
    target = data_dir / folder / name
    target.parent.mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.writelines(entry.pieces())
        file.flush()
        os.fsync(file.fileno())
