"""What the API answers, field by field: documentation and the tests' yardstick; answers are made from plain values."""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Item = TypeVar("Item")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256, in hexadecimal digits.")]


class Shape(BaseModel):
    """An answer; every field is always there."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, defer_build=True)


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    # Docstrings of attributes would be looked for anew, slowly, for every kind of item.
    model_config = ConfigDict(extra="forbid", defer_build=True)

    items: list[Item] = Field(description="What is in it.")
    next: str | None = Field(description="The cursor of the next page; null: this is the last one.")


class FieldError(Shape):
    """What is wrong with one field."""

    pointer: str
    """A JSON pointer into the body after `#`, or where a parameter stands and its name."""
    detail: str
    """What is wrong with it."""


class ProblemShape(Shape):
    """An error (RFC 9457)."""

    type: str
    """Address of the description of this code."""
    title: str
    """What it is, the same every time."""
    status: int
    """The HTTP status."""
    detail: str
    """What happened, in one sentence."""
    code: str
    """A stable name; docs/errors.md has them all."""
    retryable: bool
    """Whether the same request may succeed later."""
    action: str
    """What the caller can do."""
    errors: list[FieldError] = []
    """Of `request.invalid`: the fields that are wrong."""
    id: UUID | None = None
    """Of `internal.error`: by which the operator finds it in the log."""


class CodeShape(Shape):
    """What a problem code means."""

    code: str
    """The code."""
    status: int
    """The HTTP status that it comes with."""
    title: str
    """What it is."""
    action: str
    """What the caller can do."""
    retryable: bool
    """Whether the same request may succeed later."""


class CodesShape(Shape):
    """All problem codes."""

    items: list[CodeShape]
    """One each."""


class VersionShape(Shape):
    """What runs here."""

    name: Literal["faxgw"]
    """The program."""
    version: str
    """Its version."""


class NamedTenant(Shape):
    """A tenant."""

    id: UUID
    """Its id."""
    name: str
    """Its name."""


class User(Shape):
    """A person."""

    id: UUID
    """Their id."""
    email: str
    """Their address."""
    role: Literal["owner", "admin", "member"]
    """What they are in the tenant."""


class ApiKeyShape(Shape):
    """An API key; what it is, not the key."""

    id: UUID
    """Its id."""
    user: UUID
    """Whose it is."""
    name: str
    """What it is for."""
    scopes: list[str]
    """What it may do."""
    created_at: datetime
    """When it was made."""
    expires_at: datetime | None
    """From when on it is refused."""
    revoked_at: datetime | None
    """When it was revoked."""


class NewApiKey(ApiKeyShape):
    """An API key that was just made."""

    key: str | None
    """The key itself, shown this once; null when this answer is given again."""


class SelfShape(Shape):
    """Who asks."""

    tenant: NamedTenant
    """The tenant of everything that this key does."""
    user: User
    """Whose key it is."""
    api_key: ApiKeyShape
    """The key."""


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
    batch: UUID | None
    """The batch that it belongs to."""
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


class BoxShape(Shape):
    """Where faxes lie."""

    id: UUID
    """Its id."""
    name: str
    """Its name."""
    owner: UUID
    """Whose it is: what arrives is sealed to them."""
    is_default: bool
    """Whether it takes what no number leads elsewhere."""
    version: int
    """Goes up with every change; the ETag."""
    created_at: datetime
    """When it was made."""


class NumberShape(Shape):
    """Which incoming calls lead to a box."""

    id: UUID
    """Its id."""
    number: str
    """The number that was dialled; empty: whatever comes in on the line."""
    subaddress: str
    """The subaddress that was asked for; empty: any."""
    line: str
    """Only calls on this line; empty: on any."""
    box: UUID
    """Where the fax goes."""
    version: int
    """Goes up with every change; the ETag."""
    created_at: datetime
    """When it was made."""


class NumberRuleShape(Shape):
    """Numbers that are allowed or denied."""

    id: UUID
    """Its id."""
    direction: Literal["out", "in"]
    """Of which calls it speaks."""
    action: Literal["allow", "deny"]
    """What holds for them."""
    pattern: str
    """The number, or how they begin."""
    note: str
    """Why."""
    created_at: datetime
    """When it was made."""


class RouteShape(Shape):
    """Which lines calls take."""

    id: UUID
    """Its id."""
    prefix: str
    """How the numbers begin; empty: every number."""
    lines: list[str]
    """The lines."""
    cost: float
    """What a minute costs."""
    version: int
    """Goes up with every change; the ETag."""
    created_at: datetime
    """When it was made."""


class CandidateShape(Shape):
    """A line that may take the call."""

    line: str
    """Its name."""
    node: str
    """The gateway process that has it."""
    idle: bool
    """Whether no call is on it."""
    prefix: str
    """Of the route that names it."""
    cost: float
    """What a minute costs."""
    failures: float
    """Its recent failures, of which older ones count less."""


class StepShape(Shape):
    """One step on the way to the choice."""

    code: str
    """A stable name."""
    text: str
    """The same in words."""
    data: dict[str, Any]
    """What it speaks of."""


class SimulationShape(Shape):
    """Which line a call would take, and why."""

    number: str
    """The number as it would be dialled."""
    candidates: list[CandidateShape]
    """Lines that may take the call, the best first."""
    steps: list[StepShape]
    """Why."""


class LineShape(Shape):
    """A telephone line as its node last saw it."""

    name: str
    """Its name."""
    node: str
    """The gateway process that has it."""
    kind: str
    """What it is: class1, sip, udptl or sim."""
    sends: bool
    """Whether outgoing calls take it."""
    receives: bool
    """Whether incoming calls are answered."""
    state: Literal["idle", "busy", "down"]
    """What it does."""
    fault: str
    """Why it is down."""
    updated_at: datetime
    """When that was seen."""


class LinesShape(Shape):
    """The lines."""

    items: list[LineShape]
    """By name."""


class DestinationShape(Shape):
    """What is known of a number."""

    number: str
    """In E.164 form."""
    station_ids: list[str]
    """How the machines that answered there call themselves."""
    learned: dict[str, Any] | None
    """What got a fax through, and until when it is remembered."""
    override: dict[str, Any] | None
    """What was laid down instead."""
    version: int
    """Goes up with every change; the ETag."""
    updated_at: datetime
    """When it was last changed."""


class UsageShape(Shape):
    """What was used in a period."""

    day: str | None
    """The day, in UTC, where it is counted by day."""
    api_key: UUID | None
    """The API key, where it is counted by key."""
    box: UUID | None
    """The box, where it is counted by box."""
    direction: Literal["out", "in"]
    """Which way."""
    faxes: int
    """Faxes with calls in the period."""
    calls: int
    """Calls that ended in it."""
    pages: int
    """Pages confirmed, or received."""
    seconds: float
    """How long calls were connected."""


class UsagesShape(Shape):
    """What was used."""

    items: list[UsageShape]
    """By day, key or box."""


class SandboxCallShape(Shape):
    """A simulated machine that calls in."""

    to: str
    """The number that it dials."""
    from_: Annotated[str, Field(alias="from")]
    """Its own."""
    pages: int
    """How many pages it sends."""
