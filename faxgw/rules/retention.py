"""How long faxes are kept: the strictest rule wins, a legal hold beats all, and every copy that left is counted.

A day is 24 hours, and days are counted from when a fax was created. Where nothing is laid down, nothing ever goes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from faxgw.rules.model import Rules

MOST_DAYS = 36_525
"""A hundred years."""

Days = Annotated[int, Field(ge=1, le=MOST_DAYS)]
ClassName = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$")]
Kind = Literal["download", "export", "forward", "webhook", "mail", "folder"]
"""Ways by which a copy leaves the archive."""

LedgerKind = Kind | Literal["link"]
"""Kinds of copies in the ledger. Nobody declares how long a link lasts: it ends by itself."""

KINDS: tuple[Kind, ...] = ("download", "export", "forward", "webhook", "mail", "folder")


class ClassRule(Rules):
    """What holds for the boxes of one data class."""

    days: Days | None = Field(default=None, description="Keep their faxes so many days; null: no rule of its own.")
    personal: bool = Field(
        default=False,
        description="Personal data: `declared` must say of every way by which a copy leaves how long it is kept there.",
    )


class RetentionPolicy(Rules):
    """How long faxes are kept, counted from their creation; the strictest of tenant, class, box and fax holds."""

    days: Days | None = Field(default=None, description="Keep every fax so many days; null: without end.")
    classes: dict[ClassName, ClassRule] = Field(
        default_factory=dict, max_length=100, description="Rules by the data class of the box.", examples=[{}]
    )
    declared: dict[Kind, Days] = Field(
        default_factory=dict,
        description="How many days copies are kept where they went, as those who keep them have declared.",
        examples=[{"download": 30}],
    )
    record: Literal["minimal", "none"] = Field(
        default="minimal",
        description="What stays of a fax whose time is up: that it was (`minimal`), or nothing (`none`).",
    )
    record_fields: tuple[Literal["numbers", "remote_id", "labels"], ...] = Field(
        default=("numbers",), description="What else a minimal record says, beside times, state and counts of pages."
    )

    record_days: Days | None = Field(
        default=None,
        description=(
            "Keep minimal records so many days after the content has gone, also those of faxes of which nothing was "
            "stored; null: without end."
        ),
    )

    @model_validator(mode="after")
    def _personal_copies_have_an_end(self) -> Self:
        personal = sorted(name for name, rule in self.classes.items() if rule.personal)
        missing = [kind for kind in KINDS if kind not in self.declared]
        if personal and missing:
            raise ValueError(f"the class {personal[0]!r} is personal: declare how long copies are kept: {missing}")
        return self

    def days_for(self, data_class: str, own: int | None = None) -> int | None:
        """Return the days that hold in a box of a class, with a rule of its own or none; None: without end."""
        of_class = self.classes[data_class].days if data_class in self.classes else None
        given = [days for days in (self.days, of_class, own) if days is not None]
        return min(given, default=None)

    def end_of_copy(self, kind: Kind, *, at: datetime) -> datetime | None:
        """Return when a copy that leaves now is gone where it went, as declared; None: nothing was declared."""
        days = self.declared.get(kind)
        return None if days is None else at + timedelta(days=days)


def due_at(created: datetime, *, days: int | None, own: datetime | None = None) -> datetime | None:
    """Return when a fax is to go.

    Args:
        created: when it was.
        days: that hold in its box.
        own: when it is to go by a rule for this fax alone.
    """
    ends = [own, None if days is None else created + timedelta(days=days)]
    return min((end for end in ends if end is not None), default=None)


def is_due(due: datetime | None, *, held: bool, now: datetime) -> bool:
    """Tell whether a fax goes now; what is held stays."""
    return due is not None and not held and now >= due


class Fate(Enum):
    """What becomes of a copy; the value is the name in the API."""

    DELETED = "deleted"
    DELETABLE = "deletable"
    EXPIRED = "expired"
    OUTSIDE = "outside_control"


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that left.

    Attributes:
        expires: when it ends where it is: a link that stops working, or a time that was declared.
        deleted: when the gateway deleted it.
        deletable: the gateway can delete it where it is.
    """

    expires: datetime | None = None
    deleted: datetime | None = None
    deletable: bool = False

    @property
    def end(self) -> datetime | None:
        """When it is gone, None if nobody knows."""
        return self.expires if self.deleted is None else self.deleted

    def fate(self, now: datetime) -> Fate:
        """Say what has become of it."""
        if self.deleted is not None:
            return Fate.DELETED
        if self.deletable:
            return Fate.DELETABLE
        return Fate.EXPIRED if self.expires is not None and self.expires <= now else Fate.OUTSIDE


def _end(copy: Copy, own: datetime | None) -> datetime | None:
    """Return when a copy is gone; one that can be deleted goes with its fax, if not before."""
    if copy.deletable and copy.deleted is None:
        return min((end for end in (copy.expires, own) if end is not None), default=None)
    return copy.end


def effective_erasure_date(own: datetime | None, copies: Iterable[Copy]) -> datetime | None:
    """Return when the last of a fax is gone: its own content, and every copy; None if that has no known end."""
    ends = [own, *(_end(copy, own) for copy in copies)]
    known = [end for end in ends if end is not None]
    return max(known) if len(known) == len(ends) else None
