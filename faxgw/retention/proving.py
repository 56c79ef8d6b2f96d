"""That the audit log says what a certificate says: its row, and the proof that the row is in the log."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.audit.merkle import Span, inclusion_spans
from faxgw.audit.notes import encoded
from faxgw.audit.tree import hashes_of, size_of
from faxgw.retention.certificates import Certificate
from faxgw.store.tables import audit_rows


async def proof_of(connection: AsyncConnection, certificate: Certificate) -> Mapping[str, Any] | None:
    """Return the proof that a certificate's row is in the log, in the words of the API; None: it has no place yet.

    Raises:
        AuditAltered: if the log was altered.
    """
    tenant_id, size = certificate.tenant_id, await size_of(connection, certificate.tenant_id)
    about = certificate.fax_id or certificate.said.get("erasure")
    own = (audit_rows.c.tenant_id == tenant_id) & (audit_rows.c.object_id == str(about))
    rows = await connection.execute(select(audit_rows.c.seq, audit_rows.c.entry).where(own).order_by(audit_rows.c.seq))
    seq = next((row.seq for row in rows if json.loads(row.entry)["data"].get("sha256") == certificate.digest), None)
    if seq is None or seq >= size:
        return None
    spans = [Span(0, size), Span(seq, seq + 1), *inclusion_spans(seq, size)]
    root, leaf, *hashes = [encoded(each) for each in await hashes_of(connection, tenant_id, spans)]
    nothing = {"first": None, "first_root": None}
    return {"kind": "inclusion", "size": size, "root": root, "seq": seq, "leaf": leaf, **nothing, "hashes": hashes}
