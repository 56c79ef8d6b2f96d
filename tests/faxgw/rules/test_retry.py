"""Whether a fax is dialled again, and when."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, builds, integers, just, lists, sampled_from
from pydantic import ValidationError

from faxgw.rules.attempt import Attempt
from faxgw.rules.causes import TREATMENTS, Retry
from faxgw.rules.retry import CauseOverride, GiveUp, RetryAt, RetryPolicy, RetryWish, next_step
from faxgw.rules.windows import Hours, Span

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLAIN = RetryPolicy(jitter=0)

BUSY = Attempt("call.busy", NOW)
TRAINING = Attempt("fax.training", NOW, connected=True)
PROGRESS = Attempt("fax.disconnected", NOW, connected=True, confirmed=2)
NO_LINE = Attempt("line.unavailable", NOW)


def step(
    *history: Attempt, policy: RetryPolicy = PLAIN, seed: str = "fax", hours: tuple[Hours, ...] = ()
) -> RetryAt | GiveUp:
    return next_step(policy, history, now=NOW, seed=seed, hours=hours)


def wait(*history: Attempt, policy: RetryPolicy = PLAIN, seed: str = "fax") -> float:
    """Return the seconds until the next call."""
    found = step(*history, policy=policy, seed=seed)
    assert isinstance(found, RetryAt), found
    return (found.when - NOW).total_seconds()


def given_up(*history: Attempt, policy: RetryPolicy = PLAIN) -> str:
    """Return the code and the text of the reason for which there is no further call."""
    found = step(*history, policy=policy)
    assert isinstance(found, GiveUp), found
    return f"{found.reason.code}: {found.reason.text}"


@pytest.mark.parametrize(
    ("cause", "seconds"), [("call.busy", 180), ("call.no_answer", 300), ("fax.training", 60), ("call.congestion", 60)]
)
def test_the_next_call_waits_as_long_as_the_cause_says(cause: str, seconds: float) -> None:
    assert wait(Attempt(cause, NOW)) == seconds


@pytest.mark.parametrize("cause", ["call.unallocated", "call.canceled", "document.damaged", "policy.misdirect"])
def test_what_no_call_can_change_ends_at_once(cause: str) -> None:
    assert given_up(Attempt(cause, NOW)) == f"{cause}: {TREATMENTS[cause].text}"


def test_a_busy_number_is_dialled_twelve_times() -> None:
    assert wait(*[BUSY] * 11) == 180
    assert (
        given_up(*[BUSY] * 12)
        == "call.busy: the number was busy; there were 12 calls, and no more are made for one fax"
    )


def test_three_calls_that_reached_a_machine_in_vain_are_enough() -> None:
    assert wait(TRAINING, BUSY, BUSY, TRAINING) == 60
    assert given_up(TRAINING, BUSY, TRAINING, TRAINING).startswith("fax.training: ")


def test_a_call_that_confirmed_pages_is_no_failed_one() -> None:
    assert wait(TRAINING, TRAINING, PROGRESS) == 60
    assert wait(TRAINING, TRAINING, PROGRESS, TRAINING, TRAINING) == 60
    assert given_up(TRAINING, PROGRESS, TRAINING, TRAINING, TRAINING).startswith("fax.training: ")


def test_progress_does_not_make_the_calls_endless() -> None:
    assert given_up(*[PROGRESS] * 12).startswith("fax.disconnected: ")


def test_a_person_who_answers_is_called_a_second_time_and_no_more() -> None:
    person = Attempt("call.no_carrier", NOW)
    assert wait(person) == 300
    assert wait(BUSY, person, BUSY) == 180
    assert (
        given_up(person, BUSY, person)
        == "call.no_carrier: somebody answered, but no fax machine; 2 calls in a row ended so"
    )


def test_faults_of_ours_use_up_no_dials_and_are_waited_out_longer_and_longer() -> None:
    assert [wait(*[NO_LINE] * n) for n in (1, 2, 3, 7, 47)] == [30, 60, 120, 1800, 1800]
    assert wait(*[NO_LINE] * 40, *[BUSY] * 11) == 180
    assert (
        given_up(BUSY, *[NO_LINE] * 48) == "line.unavailable: the line was not available; 48 calls failed on our side"
    )


def test_a_call_that_was_held_and_then_approved_uses_up_no_try() -> None:
    held = Attempt("policy.misdirect", NOW, connected=True)
    assert wait(held, held, held, TRAINING) == 60


def test_a_fault_of_ours_takes_another_line_and_so_does_a_congested_one() -> None:
    for cause, other in (("line.unavailable", True), ("call.congestion", True), ("call.busy", False)):
        found = step(Attempt(cause, NOW))
        assert isinstance(found, RetryAt)
        assert found.other_line is other


def test_jitter_lengthens_the_delay_by_its_share_at_most_and_is_the_same_for_the_same_fax() -> None:
    policy = RetryPolicy(jitter=0.5)
    waits = {wait(BUSY, policy=policy, seed=f"fax {n}") for n in range(200)}
    assert min(waits) >= 180
    assert max(waits) < 270
    assert max(waits) - min(waits) > 60
    assert wait(BUSY, policy=policy, seed="one") == wait(BUSY, policy=policy, seed="one")
    assert wait(BUSY, policy=policy, seed="one") != wait(BUSY, BUSY, policy=policy, seed="one")


def test_a_retry_waits_for_the_hours_of_both_the_tenant_and_the_fax() -> None:
    mornings = Hours(spans=(Span(opens="08:00", closes="12:00"),))
    tuesdays = Hours(spans=(Span(days=("tue",), opens="09:00", closes="17:00"),))
    assert step(BUSY, hours=(mornings,)) == RetryAt(datetime(2026, 11, 24, 8, tzinfo=UTC), False)
    assert step(BUSY, hours=(mornings, tuesdays)) == RetryAt(datetime(2026, 11, 24, 9, tzinfo=UTC), False)
    nights = Hours(spans=(Span(opens="22:00", closes="06:00"),))
    found = step(BUSY, hours=(mornings, nights))
    assert isinstance(found, GiveUp)
    assert "no time" in found.reason.text


def test_no_call_begins_when_the_fax_is_too_old() -> None:
    policy = RetryPolicy(jitter=0, give_up_after=1)
    first = Attempt("call.busy", NOW - timedelta(minutes=57))
    assert wait(first, policy=policy) == 180
    assert given_up(Attempt("call.busy", NOW - timedelta(minutes=58)), policy=policy).startswith("call.busy: ")


def test_a_tenant_may_treat_a_cause_otherwise() -> None:
    policy = RetryPolicy(
        jitter=0,
        causes={
            "call.busy": CauseOverride(delay=20, tries=2),
            "call.rejected": CauseOverride(retry=False),
            "call.unallocated": CauseOverride(retry=True),
        },
    )
    assert wait(BUSY, policy=policy) == 20
    assert given_up(BUSY, BUSY, policy=policy).startswith("call.busy: ")
    assert given_up(Attempt("call.rejected", NOW), policy=policy).startswith("call.rejected: ")
    assert wait(Attempt("call.unallocated", NOW), policy=policy) == 300
    classes = [
        policy.treatment(code).retry for code in ("call.busy", "call.rejected", "call.unallocated", "fax.training")
    ]
    assert classes == [Retry.SOON, Retry.NEVER, Retry.LATER, Retry.SOON]


@pytest.mark.parametrize("code", ["call.canceled", "policy.misdirect", "call.typo", "document.damaged"])
def test_causes_that_cannot_be_treated_otherwise_are_refused(code: str) -> None:
    with pytest.raises(ValidationError, match=code):
        RetryPolicy(causes={code: CauseOverride(delay=20)})


def test_a_fax_may_ask_for_fewer_calls_than_its_tenant_grants_but_not_for_more() -> None:
    policy = RetryPolicy(max_tries=3, max_dials=12, give_up_after=10)
    assert policy.narrowed(RetryWish()) == policy
    narrowed = policy.narrowed(RetryWish(max_tries=1, max_dials=100, give_up_after=2))
    assert (narrowed.max_tries, narrowed.max_dials, narrowed.give_up_after) == (1, 12, 2)
    assert RetryPolicy().narrowed(RetryWish(give_up_after=5)).give_up_after == 5


attempts = builds(
    Attempt,
    cause=sampled_from([*TREATMENTS, "call.new", "fax.new", "other"]),
    ended=just(NOW),
    connected=booleans(),
    confirmed=integers(0, 2),
)
policies = builds(RetryPolicy, max_tries=integers(1, 20), max_dials=integers(1, 20), max_faults=integers(1, 20))


@given(history=lists(attempts, min_size=1, max_size=60), policy=policies)
def test_whatever_happens_the_calls_come_to_an_end(history: list[Attempt], policy: RetryPolicy) -> None:
    found = step(*history, policy=policy)
    dials = sum(not policy.treatment(each.cause).ours for each in history)
    if dials >= policy.max_dials or len(history) - dials >= policy.max_faults:
        assert isinstance(found, GiveUp)
    if isinstance(found, RetryAt):
        assert found.when > NOW
        assert found.when <= NOW + timedelta(seconds=1800 * 1.2)
    else:
        assert found.reason.code == history[-1].cause


@given(history=lists(attempts, min_size=1, max_size=20), seed=integers(0, 3))
def test_the_same_history_has_the_same_next_step(history: list[Attempt], seed: int) -> None:
    assert step(*history, seed=str(seed)) == step(*history, seed=str(seed))
