"""What may be sent, and to whom: lists of numbers, what kinds of number are open, and the size of a request."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from faxgw.errors import RequestError
from faxgw.numbers import Kind, Numbering, kind, masked
from faxgw.rules.model import Rules
from faxgw.rules.patterns import NumberPattern, exactness


class ListEntry(Rules):
    """A number, or numbers, with which faxes may be exchanged or not. The most exact entry wins, then allow."""

    pattern: NumberPattern
    direction: Literal["in", "out", "both"] = Field(
        default="both", description="For incoming calls, outgoing ones, or both."
    )
    action: Literal["allow", "deny"] = Field(description="What holds for the numbers.")
    note: str = Field(default="", max_length=200, description="Why, for whoever reads it later.")


class Opened(Rules):
    """Kinds of number that are closed unless a tenant opens them. Emergency numbers can never be opened."""

    premium: bool = Field(default=False, description="Premium rate numbers may be called.")
    short: bool = Field(
        default=False, description="Short numbers, which only exist in one country or network, may be called."
    )


class Limits(Rules):
    """How large one request may be."""

    pages: int = Field(default=500, ge=1, le=10_000, description="Most pages of one fax, its cover page included.")
    destinations: int = Field(default=10_000, ge=1, le=100_000, description="Most destinations of one batch.")


def listed(number: str, entries: Sequence[ListEntry], direction: Literal["in", "out"]) -> ListEntry | None:
    """Return the entry that holds for a number; None if no entry fits."""
    found: tuple[tuple[int, bool], ListEntry] | None = None
    for entry in entries:
        rank = exactness(entry.pattern, number) if entry.direction in (direction, "both") else None
        if rank is not None and (found is None or (rank, entry.action == "allow") > found[0]):
            found = (rank, entry.action == "allow"), entry
    return found[1] if found else None


def admit_number(number: str, *, numbering: Numbering, opened: Opened, entries: Sequence[ListEntry]) -> None:
    """Let a normalised number be called, or not.

    An entry that allows exactly this number opens it even if it is a premium or short one.

    Raises:
        RequestError: ``number.denied_by_policy``, ``number.invalid``.
    """
    what = kind(number, numbering)
    entry = listed(number, entries, "out")
    if what is Kind.EMERGENCY:
        raise _denied(number, "is an emergency number: faxes are never sent there")
    if entry is not None and entry.action == "deny":
        raise _denied(number, "is denied by the list of numbers")
    open_kinds = {Kind.PREMIUM: opened.premium, Kind.SHORT: opened.short}
    if not open_kinds.get(what, True) and (entry is None or entry.pattern != number):
        raise _denied(number, f"is a {what.value} number, and the policy does not open those")


def admit_size(limits: Limits, *, pages: int = 0, destinations: int = 1) -> None:
    """Let a request of this size be accepted, or not.

    Raises:
        RequestError: ``quota.pages_per_fax``, ``quota.destinations``.
    """
    if pages > limits.pages:
        reason = f"the fax has {pages} pages, and {limits.pages} are the most: split the document"
        raise RequestError("quota.pages_per_fax", reason)
    if destinations > limits.destinations:
        reason = f"the batch has {destinations} destinations, and {limits.destinations} are the most: split the batch"
        raise RequestError("quota.destinations", reason)


def _denied(number: str, why: str) -> RequestError:
    return RequestError("number.denied_by_policy", f"{masked(number)} {why}")
