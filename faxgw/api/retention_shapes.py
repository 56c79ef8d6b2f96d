"""What the API answers about retention, holds, copies and erasures, field by field; docs/retention.md has the rest."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from faxgw.api.audit_shapes import AuditProofShape
from faxgw.api.shapes import Shape


class CertificateShape(Shape):
    """That something was deleted for good."""

    certificate: dict[str, Any]
    """What was deleted, when, why and by whom: what is signed, as canonical JSON (RFC 8785)."""
    sha256: str
    """Of what is signed; the row of the audit log has it, too."""
    signature: str
    """Ed25519 by the key of `/.well-known/webhook-keys.json`, in base64."""


class ProvenCertificateShape(CertificateShape):
    """That something was deleted for good, with the proof that the audit log says so."""

    audit: AuditProofShape | None
    """That its row is in the log; null for a moment, until the row has its place."""


class BoxPreviewShape(Shape):
    """What a change of the policy would purge in a box."""

    box: UUID
    """Its id."""
    name: str
    """Its name."""
    days_before: int | None
    """How many days it keeps faxes now; null: without end."""
    days_after: int | None
    """How many days it would keep them."""
    rule: str
    """Which rule that would be."""
    faxes: int
    """How many would be purged at once."""
    faxes_before: int
    """How many of these are due by the present rules, too."""
    held: int
    """How many more would be due, but for a legal hold."""
    oldest: datetime | None
    """When the oldest of those that would be purged was created."""


class PreviewShape(Shape):
    """What a change of the policy would purge; nothing was changed."""

    faxes: int
    """How many faxes would be purged at once."""
    held: int
    """How many more would be, but for a legal hold."""
    oldest: datetime | None
    """When the oldest of them was created."""
    records: int
    """How many minimal records of faxes whose content has gone would be purged, too."""
    boxes: list[BoxPreviewShape]
    """The same by box."""


class FindingShape(Shape):
    """Something that is missing in the records of processing."""

    box: UUID
    """Where."""
    code: Literal["unclassified", "no_purpose", "no_lawful_basis", "no_rule_of_class"]
    """What is missing."""
    text: str
    """What to do."""


class ProcessingShape(Shape):
    """What is processed in a box, for what purpose, by what right, and for how long."""

    box: UUID
    """Its id."""
    name: str
    """Its name."""
    owner: UUID
    """Who answers for it."""
    numbers: list[str]
    """Numbers that lead to it; empty texts: whatever comes in on a line."""
    data_class: str
    """What kind of data it has."""
    personal: bool
    """Whether the policy calls this kind personal."""
    purpose: str
    """What it is for."""
    lawful_basis: str
    """By what right."""
    retention_days: int | None
    """How many days faxes are kept in it, by the strictest rule; null: without end."""
    rule: str
    """Which rule that is."""
    storage: Literal["archive", "none"]
    """Whether anything is kept of faxes that have ended."""
    recipients: list[str]
    """Ways by which data leaves, with the days for which they keep it, as declared."""
    safeguards: list[str]
    """What protects it."""


class ProcessingRecordsShape(Shape):
    """Records of processing, from the configuration as it is."""

    at: datetime
    """When they were made."""
    tenant: str
    """Whose they are."""
    items: list[ProcessingShape]
    """One for each box."""
    findings: list[FindingShape]
    """What is missing."""


class HoldShape(Shape):
    """A legal hold: what it is over cannot be deleted by anybody."""

    id: UUID
    """Its id."""
    name: str
    """What it is called."""
    reason: str
    """Why it is there."""
    faxes: list[UUID]
    """The single faxes that it is over; empty: it is over all that fits the rest."""
    boxes: list[UUID]
    """Only faxes in these boxes; empty: in any."""
    numbers: list[str]
    """Only faxes from or to these numbers; empty: any."""
    since: datetime | None
    """Only faxes that were created then or later."""
    until: datetime | None
    """Only faxes that were created before."""
    held: int
    """How many faxes it is over now."""
    by: UUID
    """Who made it."""
    created_at: datetime
    """When it was made."""
    released_at: datetime | None
    """When it was released; null: it holds."""
    version: int
    """Goes up with every change."""


class CopyShape(Shape):
    """A copy of a fax that left the archive."""

    id: UUID
    """Its id."""
    kind: Literal["download", "export", "forward", "webhook", "mail", "folder", "link"]
    """How it left; of a link, each time that it was opened is a `download`."""
    location: str
    """Who has it, or where it lies."""
    sha256: str
    """SHA-256 of what left, in hexadecimal; empty: unknown."""
    times: int
    """How often it left."""
    created_at: datetime
    """When it left first."""
    last_at: datetime
    """When it left last."""
    expires_at: datetime | None
    """When it is gone there, as declared in the policy or by the link; null: nobody knows."""
    deleted_at: datetime | None
    """When the gateway deleted it."""
    fate: Literal["deleted", "deletable", "expired", "outside_control"]
    """What has become of it; `deletable`: the gateway deletes it when its time, or that of its fax, is up."""


class CopiesShape(Shape):
    """The copies of a fax, and when the last of it is gone."""

    items: list[CopyShape]
    """The copies, oldest first."""
    due_at: datetime | None
    """When the fax itself is purged; null: never. When it was shredded already, that time."""
    held: bool
    """Whether a legal hold is over it: then it stays, whatever is due."""
    effective_erasure_date: datetime | None
    """When the last copy is gone; null: nobody knows."""


class OutsideShape(Shape):
    """A copy that nobody here can delete."""

    fax: UUID
    """Of which fax."""
    kind: str
    """How it left."""
    location: str
    """Who has it, or where it lies."""
    last_at: datetime
    """When it left last."""
    expires_at: datetime | None
    """When it is gone there; null: nobody knows."""


class ReportShape(Shape):
    """How far an erasure is."""

    faxes: int = 0
    """Faxes that are gone, with their records."""
    held: int = 0
    """Faxes that stay, since a legal hold is over them."""
    running: int = 0
    """Faxes that have not ended; they go when they have."""
    destinations: int = 0
    """Notes on numbers that are gone, or say less."""
    rules: int = 0
    """Entries of the allow and deny lists that name the number, which stay."""
    copies_deleted: int = 0
    """Copies that left, and that the gateway has deleted where they were."""
    copies_being_deleted: int = 0
    """Copies that it is deleting; the erasure waits for them."""
    copies_outside_control: int = 0
    """Copies that left, and that nobody here can delete."""


class ErasureShape(Shape):
    """The erasure of all that is about somebody."""

    id: UUID
    """Its id."""
    state: Literal["running", "waiting", "done"]
    """`waiting`: something is held, or has not ended; it goes on by itself."""
    reason: str
    """Why; forgotten when it is done."""
    report: ReportShape
    """How far it is."""
    by: UUID
    """Who asked for it."""
    created_at: datetime
    """When."""
    finished_at: datetime | None
    """When nothing was left."""


class WholeErasureShape(ErasureShape):
    """The erasure of all that is about somebody, with what is out of reach and the certificate."""

    outside_control: list[OutsideShape]
    """Copies that nobody here can delete; 200 at the most."""
    certificate: ProvenCertificateShape | None
    """The last certificate of the whole; each fax has one of its own."""
