"""How much a tenant, and each of its API keys, may send in an hour and in a day.

What is counted when: a fax counts its pages, and one call, in the hour in which it is accepted, whatever becomes of it.
Calls that are dialled again are not counted. Hours and days are those of UTC.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import Field

from faxgw.errors import RequestError
from faxgw.rules.model import Rules

_MOST = 1_000_000_000


_PAGES, _CALLS = "Pages, times their destinations, accepted in", "Faxes, one call each, accepted in"


class Quota(Rules):
    """Limits; null means none."""

    pages_per_hour: int | None = Field(default=None, ge=0, le=_MOST, description=f"{_PAGES} an hour.")
    pages_per_day: int | None = Field(default=None, ge=0, le=_MOST, description=f"{_PAGES} a day.")
    calls_per_hour: int | None = Field(default=None, ge=0, le=_MOST, description=f"{_CALLS} an hour.")
    calls_per_day: int | None = Field(default=None, ge=0, le=_MOST, description=f"{_CALLS} a day.")


class Quotas(Rules):
    """Whom the limits bind."""

    tenant: Quota = Field(default=Quota(), description="For all of the tenant together.")
    key: Quota = Field(default=Quota(), description="For each API key.")


@dataclass(frozen=True, slots=True)
class Used:
    """What was counted since the hour and the day began."""

    pages_hour: int = 0
    pages_day: int = 0
    calls_hour: int = 0
    calls_day: int = 0


@dataclass(frozen=True, slots=True)
class Period:
    """When the hour and the day that a moment lies in began, in UTC."""

    hour: datetime
    day: datetime


def period(at: datetime) -> Period:
    """Return since when to count at ``at``."""
    hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return Period(hour, hour.replace(hour=0))


def check(quota: Quota, used: Used, *, pages: int, calls: int, whose: str = "this API key") -> None:
    """Let pages and calls be accepted in addition to what was used, or not.

    Args:
        quota: the limits.
        used: what was counted so far.
        pages: pages times destinations.
        calls: destinations.
        whose: whom the quota binds, for the sentence.

    Raises:
        RequestError: ``quota.pages``, ``quota.calls``.
    """
    for what, asked, span, limit, so_far in _limits(quota, used, pages, calls):
        if so_far + asked > limit:
            left = max(limit - so_far, 0)
            reason = f"{whose} may send {limit} {what} in {span}, of which {left} are left: {asked} are too many"
            raise RequestError(f"quota.{what}", reason)


def _limits(quota: Quota, used: Used, pages: int, calls: int) -> Iterator[tuple[str, int, str, int, int]]:
    """Yield what is limited, how much of it is asked for, per what, the limit, and what was used."""
    rows = (
        ("pages", pages, "an hour", quota.pages_per_hour, used.pages_hour),
        ("pages", pages, "a day", quota.pages_per_day, used.pages_day),
        ("calls", calls, "an hour", quota.calls_per_hour, used.calls_hour),
        ("calls", calls, "a day", quota.calls_per_day, used.calls_day),
    )
    for what, asked, span, limit, so_far in rows:
        if limit is not None:
            yield what, asked, span, limit, so_far
