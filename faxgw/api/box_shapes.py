"""What the API answers about boxes that several people use: grants, rules, keys."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from faxgw.api.shapes import Shape


class GrantShape(Shape):
    """What somebody besides the owner may do with a box."""

    id: UUID
    """Its id."""
    box: UUID
    """Of which box."""
    user: UUID
    """Who has it."""
    rights: list[Literal["read", "send", "manage"]]
    """What they may do."""
    expires_at: datetime | None
    """Until when; null: until it is revoked."""
    granted_by: UUID | None
    """Who gave it."""
    created_at: datetime
    """When."""
    request: UUID | None
    """The emergency access that it is of; the policy does not suspend it. Null: somebody gave it."""
    state: Literal["active", "expired", "suspended_by_policy"]
    """Whether it holds now."""


class ForwardingRuleShape(Shape):
    """What comes into a box lies in another one as well."""

    id: UUID
    """Its id."""
    box: UUID
    """The box that the faxes come into."""
    prefix: str
    """Only from numbers that begin so; empty: from all."""
    to: UUID
    """The box that they are forwarded to."""
    created_by: UUID | None
    """Who made it."""
    created_at: datetime
    """When it was made."""
    state: Literal["active", "suspended_by_policy"]
    """Whether it holds now."""


class RewrappedShape(Shape):
    """How far the wrapping to a box's present key has come."""

    rewrapped: int
    """Objects that were wrapped anew by this request."""
    left: int
    """Objects that are still wrapped to keys of before; ask again until there are none."""


class BoxKeyShape(Shape):
    """A key of a box."""

    key_id: str
    """Its id: part of its SHA-256."""
    made_at: datetime
    """When it was made."""
    retired_at: datetime | None
    """Since when nothing is sealed to it; null: it is the present one."""
    readers: list[UUID]
    """Who holds its private half."""
    escrow: bool
    """Whether it is split among the trustees of the escrow."""
    objects: int
    """How many objects are wrapped to it."""


class BoxKeysShape(Shape):
    """The keys of a box."""

    items: list[BoxKeyShape]
    """The newest first."""
    escrow: bool
    """Whether the trustees of the tenant's escrow can have the box opened in an emergency."""
