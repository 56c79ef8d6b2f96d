"""What the API answers about documents, pages, faxes, their calls and events, and batches, field by field."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from faxgw.api.shapes import Sha256, Shape


class DocumentShape(Shape):
    """An upload."""

    id: UUID
    """Its id."""
    pages: int
    """How many pages it has."""
    sha256: Sha256
    """Of the upload, octet for octet."""
    name: str
    """What its sender calls it."""
    media_type: str
    """The Content-Type that it was sent with."""
    size: int
    """Its octets."""
    created_at: datetime
    """When it came."""
    expires_at: datetime | None
    """When it is removed, unless a fax is waiting for it."""


class PageShape(Shape):
    """One page."""

    index: int
    """Its place, from 0."""
    sha256: Sha256
    """Of its pels, whatever the coding: what is sent has the same."""
    width: str
    """Which scan line it has: A4 (1728 pels), B4 or A3, times the resolution."""
    resolution: str
    """How fine it is."""
    rows: int
    """How many scan lines it has."""
    octets: int
    """How large it is as filed, in MMR."""
    bad_rows: int
    """Scan lines that came damaged and were repaired."""
    href: str
    """Address of its picture (PNG)."""


class FaxPageShape(PageShape):
    """One page of a fax."""

    confirmed_at: datetime | None
    """When the other machine confirmed it; null for incoming faxes, and as long as it has not."""
    sent_sha256: Sha256 | None
    """Of the pels that were sent: not the page's own where the other machine could only take less."""


class PageSetShape(Shape):
    """Fax pages as they will be sent."""

    id: UUID
    """Its id; give it as `page_set` of a fax."""
    pages: list[PageShape]
    """The pages, in order."""
    created_at: datetime
    """When they were drawn."""
    expires_at: datetime | None
    """When they are removed, unless a fax uses them."""


class PagesShape(Shape):
    """The pages of a fax."""

    items: list[FaxPageShape]
    """In order."""


class ReasonShape(Shape):
    """Why something is as it is."""

    code: str
    """A stable name, see docs/retry.md; empty: nothing is wrong."""
    text: str
    """The same in words."""


class AcceptedShape(Shape):
    """What a request came to."""

    id: UUID
    """Of the fax."""
    state: str
    """Its state."""


class AttemptShape(Shape):
    """One call for a fax."""

    index: int
    """Which call it was, from 1."""
    state: Literal["live", "ended"]
    """Whether it is over."""
    node: str
    """The gateway process that made it."""
    line: str
    """The line that it took."""
    destination: str
    """The number dialled; empty for incoming calls."""
    route: dict[str, Any]
    """Why it took that line."""
    adjustments: dict[str, Any]
    """What it did otherwise than the line is set to."""
    started_at: datetime
    """When dialling began, or when it rang."""
    connected_at: datetime | None
    """When it was answered."""
    ended_at: datetime | None
    """When it was over."""
    cause: ReasonShape
    """How it ended; empty when all went well."""
    remote_id: str
    """What the other machine calls itself."""
    rate: int | None
    """The last rate, in bit/s."""
    modulation: str | None
    """The last modulation."""
    ecm: bool | None
    """Whether there was error correction."""
    first_page: int
    """The first page of this call, from 0."""
    pages: int
    """Pages confirmed, or received, in this call."""
    seconds: float | None
    """How long it was connected, by the line's clock."""
    trace: str | None
    """Address of its recording."""


class AttemptsShape(Shape):
    """The calls for a fax."""

    items: list[AttemptShape]
    """In order."""


class FaxSummary(Shape):
    """A fax, in a list."""

    id: UUID
    """Its id, for life."""
    direction: Literal["out", "in"]
    """Which way it goes."""
    state: str
    """Where it is in its life."""
    from_: Annotated[str, Field(alias="from")]
    """Who sends: number or identity."""
    to: str
    """The number that it goes to."""
    remote_id: str
    """What the other machine calls itself."""
    line: str
    """The line of the last call."""
    box: UUID
    """The box that it lies in."""
    forwarded_from: UUID | None
    """The fax that it was forwarded from."""
    batch: UUID | None
    """The batch that it belongs to."""
    device: UUID | None
    """The device that submitted it, by mail or SFTP; null: none did, or it was deleted since."""
    page_set: UUID | None
    """Its pages."""
    pages: int | None
    """How many pages it has; null while that is unknown."""
    pages_done: int
    """Pages confirmed, or received."""
    priority: int
    """0 goes first."""
    labels: dict[str, str]
    """The sender's own words."""
    reason: ReasonShape
    """Why it is where it is."""
    mark: str
    """`junk`, or why it is held."""
    dials: int
    """Calls so far."""
    next_call_at: datetime | None
    """When the next call may begin."""
    created_at: datetime
    """When it was accepted, or came in."""
    finished_at: datetime | None
    """When its life ended."""
    storage: Literal["archive", "none"]
    """Whether anything is kept of it when it has ended."""
    erase_at: datetime | None
    """When it goes by a rule of its own; null: by other rules only."""
    shredded_at: datetime | None
    """When its content was deleted for good."""


class FaxShape(FaxSummary):
    """A fax."""

    attempts: list[AttemptShape]
    """Its calls, in order."""


class EventShape(Shape):
    """Something that happened."""

    id: int
    """Which event; later ones of a fax have higher ids."""
    type: str
    """What happened, such as `fax.delivered`."""
    at: datetime
    """When."""
    fax: UUID | None
    """To which fax."""
    data: dict[str, Any]
    """What it says besides, such as the page and the number of pages."""


class BatchAccepted(AcceptedShape):
    """What a batch came to."""

    size: int
    """How many faxes it has; each number counts once."""


class BatchShape(Shape):
    """One document to many numbers."""

    id: UUID
    """Its id."""
    name: str
    """What its sender calls it."""
    state: Literal["running", "paused", "canceled"]
    """Whether calls are begun."""
    size: int
    """How many faxes it has."""
    counts: dict[str, int]
    """State -> how many of its faxes are there."""
    created_at: datetime
    """When it was accepted."""


class LinkShape(Shape):
    """A link by which a fax is opened without signing in."""

    id: UUID
    """Its id; the link itself nobody can be told again."""
    state: Literal["active", "used", "expired", "revoked"]
    """Whether it opens the fax; `used`: as often as it may."""
    parcel: UUID | None
    """The delivery in which it left."""
    most: int
    """How often it may be opened."""
    opened: int
    """How often it was."""
    created_at: datetime
    """When it was made."""
    expires_at: datetime
    """Until when it is good."""
    opened_at: datetime | None
    """When it was opened last."""
    revoked_at: datetime | None
    """When what it led to was taken away: it was revoked, used up or over."""


class LinksShape(Shape):
    """The links to a fax."""

    items: list[LinkShape]
    """Each of them, the newest first."""
