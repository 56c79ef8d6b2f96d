"""What the API answers about deliveries: targets, rules, parcels."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from faxgw.api.shapes import Shape
from faxgw.delivery.targets import AnySettings


class TargetShape(Shape):
    """A mailbox or a folder outside that faxes are delivered to."""

    id: UUID
    """Its id."""
    name: str
    """Its name."""
    settings: AnySettings
    """What and where it is, and how it is protected."""
    secrets: list[Literal["password", "private_key", "pdf_password"]]
    """Which secrets it has; none is ever shown."""
    enabled: bool
    """Whether anything is delivered there now."""
    created_by: UUID | None
    """Who set it up."""
    created_at: datetime
    """When it was set up."""
    version: int
    """Goes up with every change; the ETag."""


class ProofShape(Shape):
    """How something was protected on its way, and where it is now."""

    protocol: str
    """Such as `TLSv1.3` or `SSH-2.0`; `none` for a folder of the gateway's machine."""
    cipher: str
    """As the protocol names it; empty without one."""
    peer: str
    """SHA-256 of the other side's certificate or host key, in hexadecimal digits."""
    verified: bool
    """The other side was who it was meant to be."""
    decision: str
    """By which rule it could go, such as `require-verified`."""
    place: str
    """Who has it, or where it lies."""
    at: datetime
    """When it was handed over."""
    reference: str
    """What the other side called it, such as its answer to a message."""


class TriedShape(Shape):
    """What trying a target out came to."""

    ok: bool
    """Whether something could be handed over; nothing of it stays there."""
    code: str
    """What went wrong, such as `delivery.unreachable`; empty if nothing did."""
    text: str
    """The same in words."""
    proof: ProofShape | None
    """How the way there was protected; null if it went wrong."""
    host_key: str | None
    """Where it went wrong: the key that the host shows, as `host_keys` would have it. Compare it with what its operator
    says; whoever is on the way may show one, too."""
    fingerprint: str | None
    """Of that key, as ssh-keygen says it."""


class DeliveryRuleShape(Shape):
    """What comes into a box is delivered to a target."""

    id: UUID
    """Its id."""
    box: UUID
    """The box that the faxes come into."""
    target: UUID
    """Where they are delivered."""
    prefix: str
    """Only from numbers that begin so; empty: from all."""
    format: Literal["pdf", "tiff"]
    """In which form."""
    created_by: UUID | None
    """Who made it."""
    created_at: datetime
    """When it was made."""
    state: Literal["active", "suspended_by_policy", "unprotected"]
    """Whether it holds now; `unprotected`: the box has personal data by now, and the target neither encrypts nor is
    attested, so nothing is delivered."""


class ParcelShape(Shape):
    """One fax on its way to one target, one copy that is to be deleted there, or one notice."""

    id: UUID
    """Its id."""
    kind: str
    """`fax`; `delete` for a copy that is to be deleted at its target; else a kind of notice."""
    fax: UUID | None
    """Which fax."""
    target: UUID | None
    """Where it goes; null: a notice, by mail."""
    format: str
    """In which form a fax goes; empty: it is none."""
    state: Literal["waiting", "held_no_tls", "delivered", "failed", "canceled"]
    """`held_no_tls`: the way cannot be protected as its rule demands, so nothing leaves; tried again every hour.
    `failed`: not tried again by itself."""
    tries: int
    """How often it was tried."""
    next_at: datetime | None
    """When it is tried again."""
    reason: dict[Literal["code", "text"], str]
    """What went wrong with the last try."""
    proof: ProofShape | None
    """How it was delivered."""
    sha256: str
    """SHA-256 of what was delivered, in hexadecimal; empty: nothing, or no fax."""
    created_at: datetime
    """When it was put there."""
    ended_at: datetime | None
    """When it was delivered, or given up."""


class ParcelRef(Shape):
    """A parcel."""

    id: UUID
    """Its id."""
    state: Literal["waiting", "held_no_tls", "delivered", "failed", "canceled"]
    """What it is now."""


def proof_shape(proof: Any) -> dict[str, Any] | None:
    """Return a stored proof as it is answered."""
    return {name: proof[name] for name in ProofShape.model_fields} if proof else None
