"""What the API answers about the audit log, field by field; docs/audit.md has the whole of it."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from faxgw.api.shapes import Shape

Hash = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")]
"""SHA-256, in base64."""


class AuditRowShape(Shape):
    """One row of the log. All but `leaf` is what is hashed, as canonical JSON."""

    seq: int
    """Its place, from 0, without a gap."""
    time: datetime
    """When it was recorded."""
    tenant: UUID
    """Whose log it is."""
    actor: str
    """Who did it: `user:` and an id, `service`, `operator`, or a pseudonym."""
    source: str
    """By what: `api_key:` or `session:` and an id; or empty."""
    action: str
    """What was done, such as `policy.changed`."""
    object: str
    """What kind of thing it was done to."""
    object_id: str
    """To which one."""
    outcome: Literal["ok", "refused"]
    """Whether it was done."""
    data: dict[str, Any]
    """What else there is to say; persons only as pseudonyms."""
    leaf: Hash
    """Its leaf hash (RFC 6962), in base64."""


class CheckpointShape(Shape):
    """What is signed of the log."""

    size: int
    """How many rows it has."""
    root: Hash
    """The root of the tree over them, in base64."""
    note: str
    """The signed note (c2sp.org/tlog-checkpoint): keep it as it is, as a file."""
    key: str
    """The public key by which it is checked, in the form of c2sp.org/signed-note."""


class AuditProofShape(Shape):
    """That a row is in the log, or that the log has only grown; RFC 6962, 2.1.1 and 2.1.2."""

    kind: Literal["inclusion", "consistency"]
    """Which of the two."""
    size: int
    """How many rows the tree has that it is about."""
    root: Hash
    """Its root, in base64."""
    seq: int | None
    """Of an inclusion: which row."""
    leaf: Hash | None
    """Of an inclusion: the leaf hash of the row."""
    first: int | None
    """Of a consistency: how many rows the earlier tree had."""
    first_root: Hash | None
    """Of a consistency: the root of the earlier tree."""
    hashes: list[Hash]
    """The proof, the nearest first."""


class JwkShape(Shape):
    """A public key (RFC 8037)."""

    kty: Literal["OKP"]
    """What kind of key it is."""
    crv: Literal["Ed25519"]
    """On which curve."""
    use: Literal["sig"]
    """What it is for: signatures."""
    kid: str
    """Its thumbprint (RFC 7638)."""
    x: str
    """The key, in base64url."""


class AuditKeysShape(Shape):
    """The keys that sign audit logs, as a JWK set."""

    keys: list[JwkShape]
    """All that are in use."""
