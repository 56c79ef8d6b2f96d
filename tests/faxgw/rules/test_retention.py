"""How long faxes are kept, as rules without any database: by hand, and for whatever Hypothesis thinks of."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from faxgw.rules.retention import (
    KINDS,
    MOST_DAYS,
    ClassRule,
    Copy,
    Fate,
    RetentionPolicy,
    due_at,
    effective_erasure_date,
    is_due,
)

MADE = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAYS = st.none() | st.integers(1, MOST_DAYS)
TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2120, 1, 1), timezones=st.just(UTC))
COPIES = st.lists(st.builds(Copy, expires=st.none() | TIMES, deleted=st.none() | TIMES), max_size=5)


def days(count: int) -> timedelta:
    return timedelta(days=count)


@pytest.mark.requirement("XM-11")
@given(tenant=DAYS, of_class=DAYS, box=DAYS, fax=st.none() | TIMES)
def test_the_strictest_rule_wins_whoever_made_it(
    tenant: int | None, of_class: int | None, box: int | None, fax: datetime | None
) -> None:
    policy = RetentionPolicy(days=tenant, classes={"medical": ClassRule(days=of_class)})
    due = due_at(MADE, days=policy.days_for("medical", box), own=fax)
    ends = [MADE + days(each) for each in (tenant, of_class, box) if each is not None]
    ends += [fax] if fax else []
    assert due == (min(ends) if ends else None)


@pytest.mark.requirement("XM-11")
@given(due=st.none() | TIMES, now=TIMES)
def test_what_is_held_stays_whatever_the_rules_say(due: datetime | None, now: datetime) -> None:
    assert not is_due(due, held=True, now=now)
    assert is_due(due, held=False, now=now) == (due is not None and due <= now)


@pytest.mark.requirement("FP-05")
@given(years=st.integers(0, 90), name=st.text(max_size=5))
def test_without_a_rule_nothing_is_ever_due(years: int, name: str) -> None:
    due = due_at(MADE, days=RetentionPolicy().days_for(name))
    assert not is_due(due, held=False, now=MADE + days(365 * years))


@pytest.mark.requirement("XM-10")
@given(count=st.integers(1, MOST_DAYS))
def test_a_fax_is_due_at_its_days_and_not_a_moment_before(count: int) -> None:
    due = due_at(MADE, days=RetentionPolicy(days=count).days_for(""))
    assert is_due(due, held=False, now=MADE + days(count))
    assert not is_due(due, held=False, now=MADE + days(count) - timedelta(microseconds=1))


@given(policy=st.builds(RetentionPolicy, days=DAYS), box=DAYS, stricter=st.integers(1, MOST_DAYS))
def test_a_further_rule_never_has_a_fax_kept_longer(policy: RetentionPolicy, box: int | None, stricter: int) -> None:
    before = policy.days_for("", box)
    after = policy.model_copy(update={"classes": {"c": ClassRule(days=stricter)}}).days_for("c", box)
    assert after is not None
    assert before is None or after <= before


@pytest.mark.requirement("XM-13")
@given(own=st.none() | TIMES, copies=COPIES)
def test_a_fax_is_gone_with_the_last_of_its_copies(own: datetime | None, copies: list[Copy]) -> None:
    ends = [own, *(copy.end for copy in copies)]
    found = effective_erasure_date(own, copies)
    if None in ends:
        assert found is None
    else:
        assert found == max(end for end in ends if end is not None)


@pytest.mark.requirement("XM-13")
@given(own=TIMES, copies=COPIES, more=st.builds(Copy, expires=st.none() | TIMES))
def test_one_more_copy_never_makes_it_sooner(own: datetime, copies: list[Copy], more: Copy) -> None:
    before, after = effective_erasure_date(own, copies), effective_erasure_date(own, [*copies, more])
    assert after is None or (before is not None and after >= before)


def test_a_copy_is_deleted_or_expired_or_out_of_our_hands() -> None:
    assert Copy(deleted=MADE, expires=MADE + days(9)).fate(MADE) is Fate.DELETED
    assert Copy(expires=MADE).fate(MADE) is Fate.EXPIRED
    assert Copy(expires=MADE + days(1)).fate(MADE) is Fate.OUTSIDE
    assert Copy().fate(MADE) is Fate.OUTSIDE


@pytest.mark.requirement("XM-13")
def test_a_class_of_personal_data_is_refused_until_every_way_out_has_a_declared_end() -> None:
    some = dict.fromkeys(KINDS[1:], 30)
    with pytest.raises(ValidationError, match=r"declare how long copies are kept.*download"):
        RetentionPolicy.model_validate({"classes": {"medical": {"personal": True}}, "declared": some})
    whole = RetentionPolicy.model_validate(
        {"classes": {"medical": {"personal": True}}, "declared": dict.fromkeys(KINDS, 30)}
    )
    assert whole.end_of_copy("mail", at=MADE) == MADE + days(30)
    assert RetentionPolicy().end_of_copy("mail", at=MADE) is None


@pytest.mark.parametrize("wrong", [0, -1, MOST_DAYS + 1])
def test_days_that_make_no_sense_are_refused(wrong: int) -> None:
    with pytest.raises(ValidationError):
        RetentionPolicy(days=wrong)


@pytest.mark.requirement("XM-13")
def test_a_copy_that_can_be_deleted_goes_with_its_fax_if_not_before() -> None:
    for expires in (None, MADE - days(1), MADE + days(1)):
        assert effective_erasure_date(MADE, [Copy(expires, deletable=True)]) == MADE
    assert effective_erasure_date(MADE, [Copy(MADE + days(1))]) == MADE + days(1)
    assert effective_erasure_date(None, [Copy(MADE, deletable=True)]) is None
