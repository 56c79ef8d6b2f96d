"""Deletion certificates: what was deleted, when, why and by whom; signed, and found in the audit log by its hash."""

import base64
import hashlib
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.audit.canonical import NotCanonical, canonical
from faxgw.ids import new_id
from faxgw.store.rows import Rows
from faxgw.store.tables import certificates

FORM = "faxgw certificate 1"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate. ``said`` has ids, counts and times, and no personal data.

    Attributes:
        digest: the SHA-256 of what is signed; the audit log has it.
    """

    id: UUID
    tenant_id: UUID
    fax_id: UUID | None
    said: Mapping[str, Any]
    signature: bytes
    digest: str


def certify(
    key: Ed25519PrivateKey, *, tenant_id: UUID, fax_id: UUID | None, at: datetime, said: Mapping[str, Any]
) -> Certificate:
    """Sign what was done."""
    certificate_id = new_id()
    whole = {
        "form": FORM,
        "id": str(certificate_id),
        "tenant": str(tenant_id),
        "fax": str(fax_id) if fax_id else None,
        "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
        **said,
    }
    content = _content(whole)
    return Certificate(certificate_id, tenant_id, fax_id, whole, key.sign(content), _digest(content))


async def write_down(
    connection: AsyncConnection, written: Sequence[Certificate], *, at: datetime, erasure_id: UUID | None = None
) -> None:
    """Keep certificates."""
    same = {"erasure_id": erasure_id, "created_at": at}
    rows = [
        {"id": each.id, "tenant_id": each.tenant_id, "fax_id": each.fax_id, "said": dict(each.said), **same}
        | {"signature": each.signature}
        for each in written
    ]
    if rows:
        await connection.execute(_WRITE, _ROWS.values(rows))


_ROWS = Rows(certificates, "id", "tenant_id", "fax_id", "erasure_id", "said", "signature", "created_at")
_WRITE = _ROWS.inserted()


def of_row(row: Mapping[Any, Any]) -> Certificate:
    """Read one back."""
    return Certificate(
        row["id"], row["tenant_id"], row["fax_id"], row["said"], row["signature"], _digest(_content(row["said"]))
    )


def shape(certificate: Certificate) -> dict[str, Any]:
    """Return a certificate as it is given out: what is said, and the signature over it."""
    return {
        "certificate": dict(certificate.said),
        "sha256": certificate.digest,
        "signature": base64.b64encode(certificate.signature).decode(),
    }


def is_genuine(given: Mapping[str, Any], key: Ed25519PublicKey) -> bool:
    """Tell whether a certificate as it was given out is as the holder of ``key`` signed it."""
    try:
        key.verify(base64.b64decode(given["signature"], validate=True), _content(given["certificate"]))
    except (InvalidSignature, NotBase64, NotCanonical, KeyError, TypeError):
        return False
    return True


def _content(said: Mapping[str, Any]) -> bytes:
    return FORM.encode() + b"\n" + canonical(said)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
