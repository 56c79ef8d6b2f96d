"""What a user may ask for, field by field; these models are also what the OpenAPI document shows."""

from typing import Annotated, Literal, Self, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from faxgw.rules.retention import MOST_DAYS
from faxgw.rules.retry import RetryWish
from faxgw.rules.windows import Hours

Resolution = Literal["standard", "fine", "superfine", "300", "400"]
Paper = Literal["a4", "letter", "legal", "b4", "a3"]
Screen = Literal["auto", "text", "picture", "diffusion"]
Number = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        description="A telephone number: E.164, or national with a region in the policy.",
        examples=["+15550100"],
    ),
]
Short = Annotated[str, Field(max_length=200)]
MOST_DESTINATIONS = 10_000


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cover(_Asked):
    """A cover page before the documents."""

    kind: Literal["standard", "text", "html"] = Field(
        default="standard", description="The built-in page, or a template of your own, written in text or HTML."
    )
    source: str = Field(default="", max_length=65536, description="The Jinja template, for kinds `text` and `html`.")
    to_name: Short = Field(default="", description="Whom the fax is for.")
    from_name: Short = Field(default="", description="Whom it is from.")
    company: Short = Field(default="", description="The sender's organisation.")
    subject: Short = Field(default="", description="What it is about.")
    message: str = Field(default="", max_length=4000, description="A few lines of text.")


class Drawing(_Asked):
    """Documents, and how they become fax pages."""

    documents: list[UUID] = Field(
        default_factory=list, max_length=50, description="Ids of uploaded documents, in the order of their pages."
    )
    cover: Cover | None = Field(default=None, description="A cover page, made from a template.")
    resolution: Resolution | None = Field(
        default=None, description="The tenant's policy says when this does not; a fax page keeps its own."
    )
    paper: Paper | None = Field(default=None, description="Make every page fill this paper; else each keeps its size.")
    screen: Screen = Field(default="auto", description="How grey becomes black and white.")
    header: bool | None = Field(default=None, description="A line with date, sender and page number above every page.")
    sender: str = Field(
        default="",
        max_length=20,
        pattern=r"^[\x20-\x7e]*$",
        description="Our station identity, such as a number; the line's own when empty.",
        examples=["+1 555 0199"],
    )


Storage = Annotated[
    Literal["archive", "none"] | None,
    Field(
        description="Keep nothing once the fax has ended (`none`), or keep it sealed (`archive`); the tenant's policy "
        "says when this does not, and may forbid to keep it."
    ),
]
RetentionDays = Annotated[
    int | None,
    Field(
        ge=1,
        le=MOST_DAYS,
        description="Delete it so many days after now, unless another rule does earlier; for admins.",
    ),
]

D = TypeVar("D", bound=Drawing)


def _with_pages(asked: D, page_set: UUID | None) -> D:
    if bool(asked.documents or asked.cover) == bool(page_set):
        raise ValueError("give documents, a cover, or both; or a page_set, and neither of them")
    return asked


class FaxRequest(Drawing):
    """One fax to one number."""

    to: Number
    page_set: UUID | None = Field(
        default=None, description="Pages as `documents:render` has shown them, sent exactly so; in place of documents."
    )
    box: UUID | None = Field(default=None, description="The box that the fax lies in; the user's own when left out.")
    send_at: AwareDatetime | None = Field(default=None, description="Not before this time.")
    hours: Hours | None = Field(default=None, description="Only at these hours; the tenant's hours hold besides.")
    priority: int = Field(default=50, ge=0, le=100, description="0 goes first.")
    subaddress: str = Field(default="", max_length=20, pattern=r"^[0-9*#+ ]*$", description="T.30 subaddress (SUB).")
    password: str = Field(default="", max_length=20, pattern=r"^[0-9*#+ ]*$", description="T.30 password (PWD).")
    retry: RetryWish | None = Field(default=None, description="In place of the tenant's retries.")
    storage: Storage = None
    retention_days: RetentionDays = None
    labels: dict[str, Short] = Field(
        default_factory=dict, max_length=16, description="Your own words, given back with the fax."
    )

    @model_validator(mode="after")
    def _something_to_send(self) -> Self:
        return _with_pages(self, self.page_set)


class Destination(_Asked):
    """One number of a batch, with its own words on the cover page."""

    to: Number
    to_name: Short = Field(default="", description="Whom it is for; on the cover page.")
    labels: dict[str, Short] = Field(
        default_factory=dict, max_length=16, description="Words of its own, besides those of the batch."
    )


class BatchRequest(Drawing):
    """One document to many numbers."""

    to: list[Number | Destination] = Field(
        min_length=1, max_length=MOST_DESTINATIONS, description="The numbers; each of them counts once."
    )
    name: Short = Field(default="", description="What its sender calls it.")
    page_set: UUID | None = Field(default=None, description="Pages as `documents:render` has shown them.")
    box: UUID | None = Field(default=None, description="The box that the faxes lie in; the user's own when left out.")
    send_at: AwareDatetime | None = Field(default=None, description="Not before this time.")
    hours: Hours | None = Field(default=None, description="Only at these hours; the tenant's hours hold besides.")
    priority: int = Field(default=60, ge=0, le=100, description="0 goes first.")
    retry: RetryWish | None = Field(default=None, description="In place of the tenant's retries.")
    storage: Storage = None
    retention_days: RetentionDays = None
    labels: dict[str, Short] = Field(
        default_factory=dict, max_length=16, description="Your own words, given back with each fax."
    )

    @model_validator(mode="after")
    def _something_to_send(self) -> Self:
        return _with_pages(self, self.page_set)


class Accepted(_Asked):
    """What a request came to: committed, so that it will not be forgotten."""

    id: UUID
    state: str
