"""The tree of a tenant as the database has it: every row keeps the hashes that it completes, so proofs are a few rows.

Row ``seq`` has its leaf hash and, after it, the hash of every larger whole span that ends with it. That is two hashes a
row on average, and any span of any tree is made of at most 2 log2(size) of them.
"""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.audit.merkle import HASH_OCTETS, Growing, Node, Span, nodes_of, span_hash
from faxgw.store.tables import audit_rows


async def size_of(connection: AsyncConnection, tenant_id: UUID) -> int:
    """Return how many rows a tenant's log has."""
    last = select(func.max(audit_rows.c.seq)).where(audit_rows.c.tenant_id == tenant_id)
    found: int | None = (await connection.execute(last)).scalar_one()
    return 0 if found is None else found + 1


async def hashes_of(connection: AsyncConnection, tenant_id: UUID, spans: Iterable[Span]) -> list[bytes]:
    """Return the hashes of spans, such as those of a proof.

    Raises:
        AuditAltered: if rows that the log had are not there.
    """
    wanted = list(spans)
    known = await _known(connection, tenant_id, nodes_of(wanted))
    return [span_hash(each, known) for each in wanted]


async def root_of(connection: AsyncConnection, tenant_id: UUID, size: int) -> bytes:
    """Return the root over the first ``size`` rows; otherwise as ``hashes_of``."""
    return (await hashes_of(connection, tenant_id, [Span(0, size)]))[0]


async def growing(connection: AsyncConnection, tenant_id: UUID) -> Growing:
    """Return the tree to add rows to; otherwise as ``hashes_of``."""
    size = await size_of(connection, tenant_id)
    return Growing.of(size, await _known(connection, tenant_id, nodes_of([Span(0, size)])))


class AuditAltered(Exception):
    """The log is not what it was: rows are gone, or others than those that were signed."""


async def _known(connection: AsyncConnection, tenant_id: UUID, nodes: set[Node]) -> dict[Node, bytes]:
    if not nodes:
        return {}
    mine = (audit_rows.c.tenant_id == tenant_id) & audit_rows.c.seq.in_([node.last for node in nodes])
    rows = await connection.execute(select(audit_rows.c.seq, audit_rows.c.hashes).where(mine))
    hashes: dict[int, bytes] = {row.seq: row.hashes for row in rows}
    return {node: _part(hashes.get(node.last, b""), node) for node in nodes}


def _part(hashes: bytes, node: Node) -> bytes:
    found = hashes[node.level * HASH_OCTETS : (node.level + 1) * HASH_OCTETS]
    if len(found) != HASH_OCTETS:
        raise AuditAltered(f"row {node.last} of the log is gone, or its hashes are")
    return found
