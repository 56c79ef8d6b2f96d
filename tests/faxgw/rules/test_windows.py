"""Hours of the week on the wall clock: over midnight, over the changes of summer time, in any zone."""

from datetime import UTC, datetime, timedelta
from itertools import combinations
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy, builds, integers, lists, sampled_from
from pydantic import ValidationError

from faxgw.errors import RequestError
from faxgw.rules.windows import DAYS, Day, Hours, Span, is_open, next_open, start

BERLIN = ZoneInfo("Europe/Berlin")
WORKDAYS: tuple[Day, ...] = DAYS[:5]


def hours(opens: str, closes: str, days: tuple[Day, ...] = DAYS, zone: str = "Europe/Berlin") -> Hours:
    return Hours(zone=zone, spans=(Span(days=days, opens=opens, closes=closes),))


def berlin(text: str, *, fold: int = 0) -> datetime:
    """Return a moment in UTC, since Python takes no moment in an hour that comes twice for one in another zone."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


def opening(text: str, *of: Hours) -> str:
    """Return when, on the clock of Berlin, a call may be made after it shows ``text``."""
    found = next_open(of, berlin(text))
    assert found is not None
    return f"{found.astimezone(BERLIN):%a %d %H:%M}"


def test_without_hours_it_is_always_open() -> None:
    assert next_open([], berlin("2026-11-22T03:00")) == berlin("2026-11-22T03:00")
    assert is_open(Hours(), berlin("2026-11-22T03:00"))


def test_hours_begin_with_the_minute_they_open_and_end_before_the_one_they_close() -> None:
    office = hours("08:00", "18:00", WORKDAYS)
    assert opening("2026-11-23T07:59:59", office) == "Mon 23 08:00"
    assert opening("2026-11-23T17:59:59", office) == "Mon 23 17:59"
    assert opening("2026-11-23T18:00", office) == "Tue 24 08:00"
    assert opening("2026-11-27T18:00", office) == "Mon 30 08:00"


def test_a_moment_within_the_hours_is_kept_to_the_microsecond() -> None:
    at = datetime(2026, 11, 23, 9, 30, 1, 5, tzinfo=UTC)
    assert next_open([hours("08:00", "18:00")], at) == at


def test_hours_over_midnight_belong_to_the_day_they_begin() -> None:
    night = hours("22:00", "06:00", ("fri",))
    assert opening("2026-11-27T03:00", night) == "Fri 27 22:00"
    assert opening("2026-11-28T05:59", night) == "Sat 28 05:59"
    assert opening("2026-11-28T06:00", night) == "Fri 04 22:00"


def test_equal_times_are_a_whole_day() -> None:
    sunday = hours("00:00", "00:00", ("sun",))
    assert opening("2026-11-28T12:00", sunday) == "Sun 29 00:00"
    assert opening("2026-11-29T23:59", sunday) == "Sun 29 23:59"
    assert opening("2026-11-30T00:00", sunday) == "Sun 06 00:00"


def test_hours_that_begin_in_the_hour_skipped_in_spring_begin_when_the_clock_is_put_forward() -> None:
    for minute in range(10):  # the moment is searched for: to the second, wherever the search begins
        at = berlin(f"2026-03-29T01:3{minute}:0{minute}")
        assert next_open([hours("02:15", "04:00")], at) == berlin("2026-03-29T03:00")
    assert opening("2026-03-29T01:30", hours("02:15", "02:45")) == "Mon 30 02:15"


def test_hours_in_the_hour_that_comes_twice_in_autumn_come_twice() -> None:
    early = hours("02:00", "02:30")
    assert next_open([early], berlin("2026-10-25T02:30", fold=0)) == berlin("2026-10-25T02:00", fold=1)
    assert next_open([early], berlin("2026-10-25T02:30", fold=1)) == berlin("2026-10-26T02:00")
    late = hours("01:00", "02:30")
    assert next_open([late], berlin("2026-10-25T02:40", fold=0)) == berlin("2026-10-25T02:00", fold=1)


def test_a_day_that_a_zone_skips_has_no_hours() -> None:
    """Samoa went from Thursday to Saturday when it moved over the date line."""
    fridays = hours("09:00", "17:00", ("fri",), "Pacific/Apia")
    found = next_open([fridays], datetime(2011, 12, 29, 12, tzinfo=ZoneInfo("Pacific/Apia")))
    assert found == datetime(2012, 1, 6, 9, tzinfo=ZoneInfo("Pacific/Apia"))


def test_all_hours_have_to_be_open() -> None:
    assert opening("2026-11-23T05:00", hours("08:00", "12:00"), hours("11:00", "18:00", ("wed",))) == "Wed 25 11:00"
    assert next_open([hours("08:00", "12:00"), hours("12:00", "18:00")], berlin("2026-11-23T05:00")) is None


ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Apia",
    "Africa/Cairo",
]
CHANGES = [
    "2026-03-28",
    "2026-10-24",
    "2026-03-07",
    "2026-10-31",
    "2026-04-04",
    "2026-10-03",
    "2026-04-23",
    "2011-12-29",
]
clocks = builds(lambda minutes: f"{minutes // 60:02}:{minutes % 60:02}", integers(0, 24 * 60 - 1))
night_clocks = builds(lambda minutes: f"{minutes // 60:02}:{minutes % 60:02}", integers(0, 4 * 60))
days: SearchStrategy[tuple[Day, ...]] = sampled_from([DAYS, WORKDAYS, *combinations(DAYS, 2)])
weeks = builds(
    Hours,
    zone=sampled_from(ZONES),
    spans=lists(builds(Span, days=days, opens=clocks | night_clocks, closes=clocks | night_clocks), max_size=2).map(
        tuple
    ),
)


@given(week=weeks, day=sampled_from(CHANGES), minute=integers(0, 3 * 24 * 60))
@settings(max_examples=150, deadline=None)
def test_no_earlier_minute_is_open(week: Hours, day: str, minute: int) -> None:
    at = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(minutes=minute)
    two_days = (at + timedelta(minutes=each) for each in range(2 * 24 * 60))
    expected = next((each for each in two_days if is_open(week, each)), None)
    found = next_open([week], at)
    assert found is not None
    assert is_open(week, found)
    assert found == expected or (expected is None and found >= at + timedelta(days=2))


NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_fax_is_scheduled_for_its_time_or_the_next_within_the_hours() -> None:
    office = [hours("08:00", "18:00", WORKDAYS, "UTC")]
    assert start(None, now=NOW, hours=office, days=90) == NOW
    assert start(NOW - timedelta(days=1), now=NOW, hours=office, days=90) == NOW
    assert start(NOW + timedelta(hours=1), now=NOW, hours=office, days=90) == NOW + timedelta(hours=1)
    assert start(NOW + timedelta(days=7), now=NOW, hours=[], days=7) == NOW + timedelta(days=7)
    assert start(NOW + timedelta(hours=7), now=NOW, hours=office, days=90) == NOW + timedelta(hours=20)


@pytest.mark.parametrize(
    ("send_at", "code"),
    [
        (NOW.replace(tzinfo=None), "schedule.no_zone"),
        (NOW + timedelta(days=8), "schedule.too_far"),
        (None, "schedule.never"),
    ],
)
def test_a_time_that_cannot_be_kept_is_refused(send_at: datetime | None, code: str) -> None:
    never = [hours("08:00", "09:00", ("mon",)), hours("08:00", "09:00", ("tue",))]
    with pytest.raises(RequestError) as refused:
        start(send_at, now=NOW, hours=never if send_at is None else [], days=7)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "wrong",
    [
        {"zone": "Europe/Atlantis"},
        {"zone": "../../etc/passwd"},
        {"zone": ""},
        {"spans": [{"opens": "8:00", "closes": "18:00"}]},
        {"spans": [{"opens": "24:00", "closes": "18:00"}]},
        {"spans": [{"opens": "08:00", "closes": "18:00", "days": []}]},
        {"spans": [{"opens": "08:00", "closes": "18:00", "days": ["monday"]}]},
        {"holidays": []},
    ],
)
def test_hours_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Hours.model_validate(wrong)


def test_days_are_kept_in_the_order_of_the_week() -> None:
    assert Span(days=("sun", "mon", "sun"), opens="08:00", closes="09:00").days == ("mon", "sun")
