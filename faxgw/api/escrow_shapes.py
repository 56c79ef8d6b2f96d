"""What the API answers about escrow, field by field; see ``shapes``."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from faxgw.api.shapes import Shape

Ground = Literal["absence", "illness", "safety", "legal", "other"]


class TrusteeShape(Shape):
    """Somebody who has a share of every box's key."""

    user: UUID
    """Who."""
    email: str
    """By which they sign in."""
    state: Literal["ready", "locked", "gone"]
    """`locked`: since their password was reset, until they give an older secret. `gone`: they were deactivated."""


class EscrowShape(Shape):
    """Whether boxes can be opened in an emergency, and by whom; every member sees this."""

    on: bool
    """Whether there is an escrow. Without one, nobody but its readers ever opens a box."""
    threshold: int | None
    """How many trustees, besides whoever asks, must approve; null: there is none."""
    trustees: list[TrusteeShape]
    """Who they are."""
    since: datetime | None
    """Since when it is so."""
    set_up_by: UUID | None
    """Who set it up."""
    able: bool
    """Whether enough trustees are left to open anything."""
    detail: str
    """All that in a sentence."""
    boxes_covered: int
    """Boxes that the trustees can have opened."""
    boxes_waiting: int
    """Boxes with keys that are not split yet: it takes somebody who reads them."""


class CoveredShape(Shape):
    """How far a box's keys are split among the trustees."""

    covered: int
    """Keys that were split by this request."""
    left: int
    """Keys in use that are not split: whoever asked does not hold them."""


class EscrowRequestShape(Shape):
    """Somebody asks for a box."""

    id: UUID
    """Its id."""
    box: UUID
    """Which box."""
    requested_by: UUID
    """Who asks."""
    ground: Ground
    """What it is for; this stands in the audit log."""
    reason: str
    """Why, in their words."""
    hours: int
    """How long they want to read it."""
    state: Literal["pending", "opened", "denied", "withdrawn", "expired", "void"]
    """Where it is; `void`: the escrow was changed meanwhile."""
    threshold: int
    """How many trustees must approve."""
    approved_by: list[UUID]
    """Who has approved."""
    denied_by: list[UUID]
    """Who has denied."""
    grant: UUID | None
    """The right to read the box that came of it, as long as it is there."""
    created_at: datetime
    """When it was made."""
    expires_at: datetime
    """Until when it can be answered and opened."""
    ended_at: datetime | None
    """When it was opened, denied, withdrawn or had expired; null: it is pending."""


class EscrowOpenedShape(Shape):
    """A box that whoever asked reads now."""

    grant: UUID
    """The right to read it; whoever manages the box can revoke it."""
    box: UUID
    """Which box."""
    expires_at: datetime
    """Until when."""
    keys: int
    """How many of the box's keys were opened."""
    closed: int
    """How many were not: those who approved have too few shares of them, or they were made since."""


class EscrowInPolicy(Shape):
    """An escrow, as the policy tells of it."""

    threshold: int
    """How many trustees, besides whoever asks, must approve."""
    trustees: list[str]
    """Who they are, by their addresses."""
    since: datetime
    """Since when."""
