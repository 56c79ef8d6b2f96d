"""What the API answers about webhooks, field by field."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from faxgw.api.shapes import Shape


class WebhookShape(Shape):
    """Where events are sent."""

    id: UUID
    """Its id."""
    url: str
    """The address."""
    events: list[str]
    """Which events: types, or families such as `fax.*`."""
    signature: Literal["v1", "v1a"]
    """How messages are signed."""
    full: bool
    """Whether messages have numbers, reason and labels, too."""
    enabled: bool
    """Whether anything is sent."""
    old_secret_until: datetime | None
    """How long messages are signed by the secret before this one, too."""
    version: int
    """Goes up with every change; the ETag."""
    created_at: datetime
    """When it was made."""


class NewWebhook(WebhookShape):
    """A webhook that was just made."""

    secret: str | None
    """For checking signatures (v1); shown this once, null when this answer is given again."""


class NewSecret(Shape):
    """The new secret of a webhook."""

    id: UUID
    """The webhook."""
    secret: str | None
    """The secret; shown this once, null when this answer is given again."""


class DeliveryShape(Shape):
    """An event on its way."""

    id: UUID
    """Its id; receivers get it as `webhook-id`."""
    event: int
    """The event."""
    type: str
    """What happened."""
    fax: UUID | None
    """To which fax."""
    state: Literal["waiting", "succeeded", "failed"]
    """What came of it."""
    tries: int
    """How often it was sent."""
    next_at: datetime | None
    """When it is sent next."""
    status: int | None
    """The HTTP status of the last try."""
    error: str
    """Why the last try failed."""
    created_at: datetime
    """When the event happened."""
    ended_at: datetime | None
    """When it succeeded, or was given up."""


class DeliveryRef(Shape):
    """A delivery."""

    id: UUID
    """Its id."""


class Replayed(Shape):
    """What is sent once more."""

    deliveries: int
    """How many."""
