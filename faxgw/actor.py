"""Who asks: every request has a tenant and a person, known from its credential and from nothing else."""

from dataclasses import dataclass, field
from uuid import UUID

from faxgw.keys.slots import Slot

SCOPES = {
    "faxes:read": "See faxes, attempts, pages' data and events.",
    "faxes:send": "Upload documents and send, cancel, resend, forward and release faxes.",
    "faxes:delete": "Delete faxes of one's own boxes for good.",
    "content": "Open pages; such a key holds a slot to its owner's private key.",
    "boxes": "Make, change and share boxes.",
    "numbers": "Say which numbers lead to which box, and which may be called.",
    "routes": "Set routes, and what is known of destinations and machines.",
    "webhooks": "Set webhooks and see their deliveries.",
    "usage": "See counts of calls and pages.",
    "sandbox": "Have a simulated machine call in.",
    "admin": "Change the tenant's policy, its members and its API keys.",
}
"""What an API key may be allowed to do, by name."""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody is signed in: what a request of theirs needs to open what is sealed to them, but the secret.

    Attributes:
        id: of the session.
        person_id: who it is, in whichever tenant.
        email: by which they sign in.
        slot: the person's private key under the token's secret; None: the session is locked.
        person_key: the public half of that key.
        key_id: the membership's key.
        key_wrap: its private half, wrapped to the person's key; None: not to the present one.
    """

    id: UUID
    person_id: UUID
    email: str
    slot: Slot | None = field(repr=False)
    person_key: bytes = field(repr=False)
    key_id: str = ""
    key_wrap: bytes | None = field(default=None, repr=False)
    second_factor: bool = False
    """Whether one was shown."""
    provider: str | None = None
    """The identity provider that let them in: it does so in its own tenants only."""


@dataclass(frozen=True, slots=True)
class OfDevice:
    """A device submits: which one, to numbers that begin how (empty: any), how much within a day (None: no limit)."""

    id: UUID
    numbers: tuple[str, ...] = ()
    faxes_per_day: int | None = None
    pages_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """The person, and the API key or session, that a request comes from.

    Attributes:
        secret: the API key or the session's token, whole; it opens a slot that leads to the user's private key.
        hindrance: the problem that keeps a session from everything but its own account: no tenant was chosen, or a
            second factor is missing.
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
    session: Session | None = None
    hindrance: str = ""
    device: OfDevice | None = None
    """The device, if it is one that submits in its owner's name."""

    @property
    def session_id(self) -> UUID | None:
        """The session, if it is one and not an API key."""
        return self.session.id if self.session else None

    @property
    def credential_id(self) -> UUID | None:
        """The API key, the session or the device."""
        return self.session_id or self.api_key_id or self.device_id

    @property
    def device_id(self) -> UUID | None:
        """The device, if it is one."""
        return self.device.id if self.device else None
