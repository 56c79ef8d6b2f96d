"""The life of a fax, as data: its states, which may follow which, and the events that tell of it. One id for life."""

from enum import Enum


class Direction(Enum):
    """Which way a fax goes; the value is the name in the API."""

    OUT = "out"
    IN = "in"


class State(Enum):
    """Where a fax is in its life; the value is the name in the API."""

    ACCEPTED = "accepted"
    CONVERTING = "converting"
    READY = "ready"
    HELD = "held"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    DIALING = "dialing"
    SENDING = "sending"
    WAITING_RETRY = "waiting_retry"
    DELIVERED = "delivered"
    PARTIALLY_SENT = "partially_sent"
    RINGING = "ringing"
    RECEIVING = "receiving"
    RECEIVED = "received"
    PARTIALLY_RECEIVED = "partially_received"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def final(self) -> bool:
        """Nothing follows."""
        return not FOLLOWS[self]

    @property
    def on_line(self) -> bool:
        """A call is up for it."""
        return self in ON_LINE


FOLLOWS: dict[State, frozenset[State]] = {
    State.ACCEPTED: frozenset({State.CONVERTING, State.READY, State.FAILED, State.CANCELED}),
    State.CONVERTING: frozenset({State.ACCEPTED, State.READY, State.FAILED, State.CANCELED}),
    State.READY: frozenset({State.SCHEDULED, State.QUEUED}),
    State.HELD: frozenset({State.SCHEDULED, State.QUEUED, State.CANCELED}),
    State.SCHEDULED: frozenset({State.QUEUED, State.CANCELED}),
    State.QUEUED: frozenset({State.DIALING, State.SCHEDULED, State.FAILED, State.CANCELED}),
    State.DIALING: frozenset(
        {
            State.SENDING,
            State.QUEUED,
            State.HELD,
            State.WAITING_RETRY,
            State.FAILED,
            State.CANCELED,
            State.DELIVERED,
            State.PARTIALLY_SENT,
        }
    ),
    State.SENDING: frozenset(
        {State.WAITING_RETRY, State.DELIVERED, State.PARTIALLY_SENT, State.FAILED, State.CANCELED}
    ),
    State.WAITING_RETRY: frozenset({State.QUEUED, State.CANCELED}),
    State.RINGING: frozenset({State.RECEIVING, State.FAILED}),
    State.RECEIVING: frozenset({State.RECEIVED, State.PARTIALLY_RECEIVED}),
    State.DELIVERED: frozenset(),
    State.PARTIALLY_SENT: frozenset(),
    State.RECEIVED: frozenset(),
    State.PARTIALLY_RECEIVED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELED: frozenset(),
}
"""State -> what may come after it. A fax whose node died goes by the same arrows."""

ON_LINE = frozenset({State.DIALING, State.SENDING, State.RINGING, State.RECEIVING})
WAITING = frozenset({State.SCHEDULED, State.WAITING_RETRY})
"""Until ``next_call_at``; then they are queued, and a line takes them as soon as it can."""


class EventType(Enum):
    """What happened, mostly to a fax; the value is the name in events and webhooks."""

    ACCEPTED = "fax.accepted"
    READY = "fax.ready"
    SCHEDULED = "fax.scheduled"
    QUEUED = "fax.queued"
    HELD = "fax.held"
    RELEASED = "fax.released"
    DIALING = "fax.dialing"
    SENDING = "fax.sending"
    PAGE_SENT = "fax.page_sent"
    WAITING_RETRY = "fax.waiting_retry"
    DELIVERED = "fax.delivered"
    PARTIALLY_SENT = "fax.partially_sent"
    FAILED = "fax.failed"
    CANCELED = "fax.canceled"
    RINGING = "fax.ringing"
    RECEIVING = "fax.receiving"
    PAGE_RECEIVED = "fax.page_received"
    RECEIVED = "fax.received"
    PARTIALLY_RECEIVED = "fax.partially_received"
    FORWARDED = "fax.forwarded"
    DELETED = "fax.deleted"
    PURGED = "retention.purged"
    PARCEL_DELIVERED = "delivery.delivered"
    PARCEL_FAILED = "delivery.failed"
    PARCEL_HELD = "delivery.held"
    ADVISORY = "service.advisory"
    ESCROW_CHANGED = "escrow.changed"
    ESCROW_REQUESTED = "escrow.requested"
    ESCROW_APPROVED = "escrow.approved"
    ESCROW_DENIED = "escrow.denied"
    ESCROW_OPENED = "escrow.opened"
    ESCROW_ENDED = "escrow.ended"
    EXPOSED = "device.exposed"
    TEST = "webhook.test"


LAST_EVENTS = frozenset({EventType.DELIVERED, EventType.PARTIALLY_SENT, EventType.FAILED, EventType.CANCELED}) | {
    EventType.RECEIVED,
    EventType.PARTIALLY_RECEIVED,
}
"""After these nothing more happens to a fax."""
