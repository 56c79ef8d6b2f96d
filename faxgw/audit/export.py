"""A tenant's log as one file: lines of canonical JSON, from which ``verify`` needs nothing else but the public key.

The first line has a signed checkpoint and the key; then comes a line for each row, with its leaf hash, so that an
altered row can be named. docs/audit.md is the published form.
"""

from collections.abc import AsyncIterator
from uuid import UUID

from sqlalchemy import select

from faxgw.audit.canonical import canonical
from faxgw.audit.merkle import HASH_OCTETS
from faxgw.audit.notes import Checkpoint, Verifier, encoded
from faxgw.store.database import Database
from faxgw.store.tables import audit_rows

FORM = 1
BATCH = 500


async def exported(database: Database, tenant_id: UUID, *, note: str, verifier: Verifier) -> AsyncIterator[bytes]:
    """Go through the lines of a file with the log up to a checkpoint, some hundred rows at a time.

    Args:
        database: whose rows are read in a transaction for each piece.
        tenant_id: whose log.
        note: the checkpoint, as it was signed.
        verifier: the public key that shows it.
    """
    size = Checkpoint.opened(note, verifier).size
    yield canonical({"checkpoint": note, "faxgw_audit": FORM, "key": verifier.text}) + b"\n"
    for begin in range(0, size, BATCH):
        part = audit_rows.c.seq.between(begin, min(begin + BATCH, size) - 1)
        statement = select(audit_rows.c.entry, audit_rows.c.hashes).where(audit_rows.c.tenant_id == tenant_id, part)
        async with database.tenant(tenant_id) as connection:
            rows = (await connection.execute(statement.order_by(audit_rows.c.seq))).all()
        yield b"".join(line_of(row.entry.encode(), row.hashes[:HASH_OCTETS]) for row in rows)


def line_of(row: bytes, leaf: bytes) -> bytes:
    """Return the line of a row; it is canonical JSON, since the row is."""
    return b'{"leaf":"%s","row":%s}\n' % (encoded(leaf).encode(), row)
