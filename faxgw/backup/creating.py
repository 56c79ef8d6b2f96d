"""A backup made: every row of one moment, every sealed object that it names, and the keys of the server itself."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from faxgw import __version__
from faxgw.archive.objects import ObjectMissing, ObjectStore
from faxgw.backup import rows
from faxgw.backup.bundle import PIECE, Writer, writing
from faxgw.backup.manifest import (
    FILES,
    FORMAT,
    HEADER,
    MANIFEST,
    OBJECTS,
    SIGNATURE,
    TABLES,
    VERSION,
    octets_of,
    shown,
    signature,
)
from faxgw.config import Config
from faxgw.keys.tokens import ServerKeys
from faxgw.store.roles import Urls

SERVER_KEYS, TLS, CONFIG, NODE = "server_keys", "tls", "faxgw.toml", "node"
"""What ``files/`` has: the server's own keys, the API's certificate and key, the configuration, the node's id."""

_ID = 16
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made.

    Attributes:
        signer: the public key to check it by.
        objects: sealed objects in it.
        gone: objects that were deleted while it was made.
    """

    created_at: datetime
    signer: str
    tables: int
    objects: int
    gone: int
    octets: int


def create(
    path: Path,
    *,
    config: Config,
    config_file: Path | None,
    urls: Urls,
    store: ObjectStore,
    recipients: Sequence[Any],
    run: Callable[[Any], Any] | None = None,
) -> Made:
    """Make a backup; blocks. The service may run meanwhile: what comes after the beginning is not in it.

    The keys of the spool are never in it: what only they open cannot be read from a backup.

    Args:
        path: the file; it is there when it is whole.
        config: of the gateway.
        config_file: goes along, where there is one.
        urls: of the database.
        store: with the sealed objects.
        recipients: keys of age that open it, any of them.
        run: runs a coroutine to its end; None: in a loop of its own.

    Raises:
        RequestError: ``backup.*``.
        StoreError: when the archive cannot be read.
    """
    if run is None:
        with asyncio.Runner() as runner:
            return create(
                path,
                config=config,
                config_file=config_file,
                urls=urls,
                store=store,
                recipients=recipients,
                run=runner.run,
            )
    keys = ServerKeys(config.server_keys)
    at = datetime.now(UTC)
    with writing(path, recipients) as writer:
        writer.add(HEADER, octets_of({"format": FORMAT, "version": VERSION, "created_at": at.isoformat()}))
        for name, octets in _files(config, config_file):
            writer.add(f"{FILES}/{name}", octets)
        schema, tables, ids = _database(writer, urls)
        objects, gone = _objects(writer, store, ids, run)
        manifest = octets_of(
            {
                "format": FORMAT,
                "version": VERSION,
                "created_at": at.isoformat(),
                "faxgw": __version__,
                "schema": schema,
                "tables": tables,
                "order": list(tables),
                "objects": {"count": objects, "gone": gone},
                "groups": writer.tally.said(),
            }
        )
        writer.add(MANIFEST, manifest)
        writer.add(SIGNATURE, signature(manifest, keys.signing))
    return Made(at, shown(keys.signing.public_key()), len(tables), objects, gone, path.stat().st_size)


def _files(config: Config, config_file: Path | None) -> Iterator[tuple[str, bytes]]:
    folders = {SERVER_KEYS: config.server_keys, TLS: config.data_dir / TLS}
    for name, folder in folders.items():
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if path.is_file():
                    yield f"{name}/{path.name}", path.read_bytes()
    for name, file in ((NODE, config.data_dir / NODE), (CONFIG, config_file)):
        if file is not None and file.is_file():
            yield name, file.read_bytes()


def _database(writer: Writer, urls: Urls) -> tuple[str, dict[str, Any], bytes]:
    """Write all rows of one moment; return the version of the tables, what they are, and the ids of the objects."""
    with closing(psycopg.connect(urls.owner, autocommit=True)) as owner:
        found = owner.execute("SELECT version_num FROM alembic_version").fetchone()
    assert found is not None
    with closing(psycopg.connect(urls.dispatcher, autocommit=True)) as connection:
        connection.execute(_SNAPSHOT)
        names = rows.columns(connection)
        tables = {table: _table(writer, connection, table, names[table]) for table in rows.in_order(connection, names)}
        ids = bytearray()
        with connection.cursor().copy("COPY (SELECT id FROM objects) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["uuid"])
            for (object_id,) in copy.rows():
                ids += object_id.bytes
        connection.execute("ROLLBACK")
    return str(found[0]), tables, bytes(ids)


def _table(writer: Writer, connection: rows.Connection, table: str, names: Sequence[str]) -> dict[str, Any]:
    count = 0
    writer.add(f"{TABLES}/{table}/columns", octets_of({"columns": list(names)}))
    for number, piece in enumerate(rows.copied(connection, table, names), 1):
        count += piece.count(b"\n")
        writer.add(f"{TABLES}/{table}/{number}", piece)
    return {"columns": list(names), "rows": count}


def _objects(writer: Writer, store: ObjectStore, ids: bytes, run: Callable[[Any], Any]) -> tuple[int, int]:
    """Write the sealed objects as they lie; return how many, and how many have gone since the rows were read."""
    written = gone = 0
    for start in range(0, len(ids), _ID):
        object_id = UUID(bytes=ids[start : start + _ID])
        try:
            size = run(store.size(object_id))
            first = run(store.get_range(object_id, start=0, length=PIECE)) if size else b""
        except ObjectMissing:
            gone += 1
            continue
        writer.add_pieces(f"{OBJECTS}/{object_id}", size, _pieces(store, object_id, first, size, run))
        written += 1
    return written, gone


def _pieces(store: ObjectStore, object_id: UUID, first: bytes, size: int, run: Callable[[Any], Any]) -> Iterator[bytes]:
    yield first
    for start in range(PIECE, size, PIECE):
        try:
            yield run(store.get_range(object_id, start=start, length=PIECE))
        except ObjectMissing:
            # Deleted at this moment, and so in the tombstones; its size is written already.
            yield bytes(min(PIECE, size - start))
