"""When calls may be made: hours of the week as a clock on the wall shows them, in any time zone, summer time or not.

A moment is within hours when the wall clock reads a time within them. So hours that lie in the hour which is skipped in
spring do not come that day, and those in the hour which comes twice in autumn come twice.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from faxgw.errors import RequestError
from faxgw.rules.model import Rules

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HORIZON = 15
"""Days to look ahead: two weeks, since a whole day may be skipped where the date line was moved."""


def _known(zone: str) -> str:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{zone!r} is no time zone: write it as Europe/Berlin") from None
    return zone


def _in_order(days: tuple[Day, ...]) -> tuple[Day, ...]:
    return tuple(day for day in DAYS if day in days)


Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["08:00"])]


class Span(Rules):
    """A stretch of time that comes back every week."""

    days: Annotated[tuple[Day, ...], AfterValidator(_in_order)] = Field(
        default=DAYS, min_length=1, max_length=7, description="Days of the week on which it begins."
    )
    opens: Clock = Field(description="Time of the day at which it begins.")
    closes: Clock = Field(
        description="Time of the day at which it ends: on the next day when it is not after `opens`, so that equal "
        "times are a whole day."
    )


class Hours(Rules):
    """The hours of the week in which calls are made."""

    zone: Annotated[str, AfterValidator(_known)] = Field(
        default="UTC",
        max_length=64,
        description="Time zone of the times, by its IANA name.",
        examples=["Europe/Berlin"],
    )
    spans: tuple[Span, ...] = Field(
        default=(), max_length=50, description="A call may begin within any of them; with none, at any time."
    )


def is_open(hours: Hours, at: datetime) -> bool:
    """Tell whether ``at`` is within the hours."""
    wall = at.astimezone(ZoneInfo(hours.zone))
    return not hours.spans or any(_holds(span, wall) for span in hours.spans)


def next_open(hours: Sequence[Hours], at: datetime) -> datetime | None:
    """Return the first moment, not before ``at``, that is within all of them, in UTC; None if none comes in two weeks.

    >>> office = Hours(spans=(Span(days=("mon",), opens="08:00", closes="18:00"),))
    >>> next_open([office], datetime(2026, 11, 22, 12, tzinfo=UTC)).isoformat()
    '2026-11-23T08:00:00+00:00'
    """
    moment: datetime | None = at.astimezone(UTC)
    end = at.astimezone(UTC) + timedelta(days=_HORIZON)
    while moment is not None and moment <= end:
        closed = next((each for each in hours if not is_open(each, moment)), None)
        if closed is None:
            return moment
        moment = _opening(closed, moment)
    return None


def start(send_at: datetime | None, *, now: datetime, hours: Sequence[Hours], days: int) -> datetime:
    """Return when the first call may be made for a fax that should go at ``send_at``; a past one means now.

    Raises:
        RequestError: ``schedule.no_zone``, ``schedule.too_far`` (more than ``days`` ahead), ``schedule.never``.
    """
    if send_at is not None and send_at.utcoffset() is None:
        raise RequestError("schedule.no_zone", "the time to send at needs a time zone, such as 2026-11-22T12:00:00Z")
    if send_at is not None and send_at > now + timedelta(days=days):
        raise RequestError("schedule.too_far", f"a fax can be scheduled {days} days ahead at most")
    opening = next_open(hours, max(send_at or now, now))
    if opening is None:
        raise RequestError("schedule.never", "there is no time within both the tenant's and the fax's hours")
    return opening


# ---------------------------------------------------------------------------------------------------------- wall clock


def _holds(span: Span, wall: datetime) -> bool:
    minute = f"{wall:%H:%M}"
    today, yesterday = DAYS[wall.weekday()], DAYS[wall.weekday() - 1]
    if span.opens < span.closes:
        return today in span.days and span.opens <= minute < span.closes
    return (today in span.days and minute >= span.opens) or (yesterday in span.days and minute < span.closes)


def _opening(hours: Hours, after: datetime) -> datetime | None:
    """Return the first moment after ``after``, which is not within the hours, that is."""
    moments = (*_openings(hours, after), *_jumps(ZoneInfo(hours.zone), after))
    return min((each for each in moments if each > after and is_open(hours, each)), default=None)


def _openings(hours: Hours, after: datetime) -> Iterator[datetime]:
    """Yield the moments at which the wall clock reads the beginning of a span; twice where an hour comes twice."""
    zone = ZoneInfo(hours.zone)
    first = after.astimezone(zone).date()
    for date in (first + timedelta(days=days) for days in range(_HORIZON + 1)):
        for span in hours.spans:
            if DAYS[date.weekday()] in span.days:
                wall = datetime.combine(date, time.fromisoformat(span.opens), zone)
                yield wall.astimezone(UTC)
                yield wall.replace(fold=1).astimezone(UTC)


def _jumps(zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Yield the moments at which the wall clock is put forward or back."""
    for days in range(_HORIZON + 1):
        before, until = after + timedelta(days=days), after + timedelta(days=days + 1)
        if _offset(zone, before) != _offset(zone, until):
            yield _jump(zone, before, until)


def _jump(zone: ZoneInfo, before: datetime, until: datetime) -> datetime:
    """Return the first second with another offset than ``before``, which is no later than ``until``."""
    old, low, high = _offset(zone, before), int(before.timestamp()), int(until.timestamp()) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(zone, datetime.fromtimestamp(middle, UTC)) == old else (low, middle)
    return datetime.fromtimestamp(high, UTC)


def _offset(zone: ZoneInfo, at: datetime) -> timedelta | None:
    return at.astimezone(zone).utcoffset()
