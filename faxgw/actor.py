"""Who asks: every request has a tenant and a person, known from its credential and from nothing else."""

from dataclasses import dataclass, field
from uuid import UUID

SCOPES = {
    "faxes:read": "See faxes, attempts, pages' data and events.",
    "faxes:send": "Upload documents and send, cancel, resend and release faxes.",
    "faxes:delete": "Delete faxes of one's own boxes for good.",
    "content": "Open pages; such a key holds a slot to its owner's private key.",
    "boxes": "Make, name and change boxes.",
    "numbers": "Say which numbers lead to which box, and which may be called.",
    "routes": "Set routes, and what is known of destinations.",
    "webhooks": "Set webhooks and see their deliveries.",
    "usage": "See counts of calls and pages.",
    "sandbox": "Have a simulated machine call in.",
    "admin": "Change the tenant's policy and its API keys.",
}
"""What an API key may be allowed to do, by name."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The person, and the API key, that a request comes from.

    Attributes:
        secret: the API key, whole; with the ``content`` scope it opens a slot to the user's private key.
    """

    tenant_id: UUID
    tenant: str
    user_id: UUID
    role: str
    api_key_id: UUID | None
    scopes: frozenset[str]
    secret: str = field(default="", repr=False)
    public_key: bytes = field(default=b"", repr=False)
    """What seals things to this person."""
