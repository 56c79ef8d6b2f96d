"""What the API answers, field by field: documentation and the tests' yardstick; answers are made from plain values."""

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from faxgw.documented import Documented

Item = TypeVar("Item")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256, in hexadecimal digits.")]


class Shape(Documented, BaseModel):
    """An answer; every field is always there."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

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


class BoxShape(Shape):
    """Where faxes lie."""

    id: UUID
    """Its id."""
    name: str
    """Its name."""
    owner: UUID
    """Whose it is, or who looks after it."""
    shared: bool
    """Whether it is the tenant's, and not a person's."""
    rights: list[Literal["read", "send", "manage"]]
    """What whoever asks may do with it."""
    is_default: bool
    """Whether it takes what no number leads elsewhere."""
    data_class: str
    """What kind of data it has; the policy may have a rule for it."""
    purpose: str
    """What it is for."""
    lawful_basis: str
    """By what right its data are processed."""
    retention_days: int | None
    """How many days faxes are kept in it; null: as long as other rules have it."""
    escrow: bool
    """Whether the trustees of the tenant's escrow can have it opened in an emergency."""
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
