"""An incoming call: which box it is for, whether it is answered, and whether what came is marked as junk.

A fax that was confirmed to its sender is never thrown away: junk is refused before it is answered, or kept and marked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from faxgw.rules.admission import ListEntry, listed
from faxgw.rules.model import Rules
from faxgw.rules.patterns import NumberPattern, exactness
from faxgw.rules.windows import Hours, is_open

WITHHELD = "withheld"

CallerPattern = Annotated[
    str,
    Field(
        pattern=r"^(withheld|\*|\+?[0-9]{1,20}\*?)$",
        description="A number pattern such as `+49900*`, or `withheld` for callers who hide theirs.",
        examples=[WITHHELD],
    ),
]
StationPattern = Annotated[
    str,
    Field(
        min_length=1,
        max_length=40,
        description="What the sending machine calls itself; `*` is anything, `?` any character, case does not matter.",
        examples=["*BEST OFFERS*"],
    ),
]


@dataclass(frozen=True, slots=True)
class Arrival:
    """An incoming call, as far as it is known; what is not is empty or None.

    Attributes:
        line: name of the line that rang.
        dialled: the number that was called, in E.164 form where that can be told.
        caller: who calls, in E.164 form where that can be told; empty when withheld.
        subaddress: what the sender asked for (SUB); known after answering only.
        station: what the sending machine calls itself; known after answering only.
        pages: how many were received; known at the end only.
    """

    line: str
    dialled: str = ""
    caller: str = ""
    subaddress: str = ""
    station: str = ""
    pages: int | None = None


# --------------------------------------------------------------------------------------------------------------- boxes


class Assignment(Rules):
    """Incoming calls that go to one box: everything that is given must fit. With nothing given, every call."""

    box: UUID = Field(description="The box that the faxes land in.")
    number: NumberPattern | None = Field(default=None, description="The number that was called; null: any, or unknown.")
    line: str | None = Field(default=None, max_length=64, description="Name of the line that rang; null: any.")
    subaddress: str | None = Field(
        default=None, pattern=r"^[0-9#*]{1,20}$", description="Subaddress that the sender asks for; null: any, or none."
    )


@dataclass(frozen=True, slots=True)
class BoxChoice:
    """Which box, and why in one sentence. ``assignment`` is None when the call must be refused."""

    assignment: Assignment | None
    text: str


def choose_box(arrival: Arrival, assignments: Iterable[Assignment]) -> BoxChoice:
    """Return the box of a call: by its subaddress, then the most exact number, then the line, then the one for all."""
    fitting = [(rank, each) for each in assignments if (rank := _rank(each, arrival)) is not None]
    if not fitting:
        return BoxChoice(None, "No box takes calls to this number on this line: the call is refused.")
    chosen = max(fitting, key=lambda pair: (pair[0], str(pair[1].box)))[1]
    given = [name for name in ("subaddress", "number", "line") if getattr(chosen, name) is not None]
    text = f"The box was found by its {' and '.join(given)}." if given else "The box takes every call."
    return BoxChoice(chosen, text)


def _rank(each: Assignment, arrival: Arrival) -> tuple[bool, int, bool] | None:
    """Return how exactly an assignment fits; None when it does not."""
    number = -1 if each.number is None else exactness(each.number, arrival.dialled) if arrival.dialled else None
    if number is None or each.line not in (None, arrival.line) or each.subaddress not in (None, arrival.subaddress):
        return None
    return each.subaddress is not None, number, each.line is not None


# ---------------------------------------------------------------------------------------------------------------- junk


class JunkRule(Rules):
    """Calls that nobody wants. Everything that is given must fit; of several patterns, one."""

    name: str = Field(min_length=1, max_length=80, description="What the rule is called in the journal.")
    callers: tuple[CallerPattern, ...] = Field(default=(), max_length=200, description="Who calls; empty: anybody.")
    stations: tuple[StationPattern, ...] = Field(
        default=(), max_length=200, description="What the sending machine calls itself; empty: anything."
    )
    pages_at_most: int | None = Field(
        default=None, ge=1, le=10_000, description="Faxes of no more pages than this; null: of any number of pages."
    )
    hours: Hours | None = Field(default=None, description="Calls within these hours only; null: at any time.")
    action: Literal["reject", "mark"] = Field(
        description="`reject`: do not answer, for which only callers and hours are known; `mark`: receive and mark."
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not (self.callers or self.stations or self.pages_at_most or self.hours):
            raise ValueError("a junk rule needs something to know junk by: callers, stations, pages_at_most or hours")
        if self.action == "reject" and (self.stations or self.pages_at_most):
            raise ValueError("before a call is answered only callers and hours are known: use mark for the others")
        return self


class Screening(Enum):
    """What becomes of an incoming call."""

    ACCEPT = "accept"
    REJECT = "reject"
    MARK = "mark"


@dataclass(frozen=True, slots=True)
class Screened:
    """What becomes of an incoming call, and why: the name of the rule or the pattern of the list's entry."""

    screening: Screening
    rule: str = ""


ACCEPTED = Screened(Screening.ACCEPT)


def before_answering(
    arrival: Arrival, *, rules: Sequence[JunkRule], entries: Sequence[ListEntry], at: datetime
) -> Screened:
    """Return whether a call is answered: never ``MARK``. A caller whom the list allows is nobody's junk."""
    entry = listed(arrival.caller, entries, "in")
    if entry is not None:
        return ACCEPTED if entry.action == "allow" else Screened(Screening.REJECT, entry.pattern)
    rule = _first("reject", arrival, rules, at)
    return Screened(Screening.REJECT, rule.name) if rule else ACCEPTED


def after_receiving(
    arrival: Arrival, *, rules: Sequence[JunkRule], entries: Sequence[ListEntry], at: datetime
) -> Screened:
    """Return whether a received fax is marked as junk: never ``REJECT``; ``at`` is when the call came."""
    entry = listed(arrival.caller, entries, "in")
    if entry is not None and entry.action == "allow":
        return ACCEPTED
    rule = _first("mark", arrival, rules, at)
    return Screened(Screening.MARK, rule.name) if rule else ACCEPTED


def _first(action: str, arrival: Arrival, rules: Sequence[JunkRule], at: datetime) -> JunkRule | None:
    return next((rule for rule in rules if rule.action == action and _fits(rule, arrival, at)), None)


def _fits(rule: JunkRule, arrival: Arrival, at: datetime) -> bool:
    return (
        (not rule.callers or any(_is_caller(each, arrival.caller) for each in rule.callers))
        and (not rule.stations or any(_is_station(each, arrival.station) for each in rule.stations))
        and (rule.pages_at_most is None or (arrival.pages or 0) <= rule.pages_at_most)
        and (rule.hours is None or is_open(rule.hours, at))
    )


def _is_caller(pattern: str, caller: str) -> bool:
    return caller == "" if pattern == WITHHELD else exactness(pattern, caller) is not None


def _is_station(pattern: str, station: str) -> bool:
    return fnmatchcase(station.casefold(), pattern.casefold())
