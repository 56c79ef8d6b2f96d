"""How much may be sent in an hour and in a day."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from faxgw.errors import RequestError
from faxgw.rules.quotas import Period, Quota, Used, check, period

NOW = datetime(2026, 11, 23, 12, 34, 56, 7, tzinfo=UTC)


def refusal(quota: Quota, used: Used, *, pages: int = 1, calls: int = 1) -> str:
    try:
        check(quota, used, pages=pages, calls=calls)
    except RequestError as refused:
        return f"{refused.code}: {refused.reason}"
    return ""


def test_without_limits_everything_may_be_sent() -> None:
    assert refusal(Quota(), Used(10**9, 10**9, 10**9, 10**9), pages=10**6, calls=10**6) == ""


@pytest.mark.parametrize(
    ("limit", "used", "code"),
    [
        (Quota(pages_per_hour=10), Used(pages_hour=8), "quota.pages"),
        (Quota(pages_per_day=10), Used(pages_day=8), "quota.pages"),
        (Quota(calls_per_hour=10), Used(calls_hour=8), "quota.calls"),
        (Quota(calls_per_day=10), Used(calls_day=8), "quota.calls"),
    ],
)
def test_a_quota_may_be_used_up_but_not_exceeded(limit: Quota, used: Used, code: str) -> None:
    assert refusal(limit, used, pages=2, calls=2) == ""
    assert refusal(limit, used, pages=3, calls=3).startswith(f"{code}: this API key may send 10 ")


def test_the_refusal_says_what_is_left_and_whose_quota_it_is() -> None:
    with pytest.raises(RequestError) as refused:
        check(Quota(pages_per_day=100), Used(pages_day=70), pages=31, calls=1, whose="the tenant")
    assert refused.value.reason == "the tenant may send 100 pages in a day, of which 30 are left: 31 are too many"
    assert "of which 0 are left" in refusal(Quota(calls_per_hour=5), Used(calls_hour=9))


def test_a_quota_of_nothing_lets_nothing_through() -> None:
    assert refusal(Quota(calls_per_day=0), Used()).startswith("quota.calls: ")


def test_hours_and_days_are_those_of_utc() -> None:
    expected = Period(datetime(2026, 11, 23, 12, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))
    assert period(NOW) == expected
    assert period(NOW.astimezone(timezone(timedelta(hours=13, minutes=45)))) == expected
