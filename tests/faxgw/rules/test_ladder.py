"""The last resort: without V.17, then with the other error correction setting, and what is remembered."""

from datetime import UTC, datetime, timedelta

import pytest

from faxgw.rules.attempt import NONE, Adjustments, Attempt
from faxgw.rules.ladder import LadderPolicy, Learned, Memory, adjustments, learn
from t30.capabilities import Station, agree
from t30.rates import Family

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = LadderPolicy()
NO_V17 = Adjustments(no_v17=True)


def failed(
    cause: str = "fax.training", done: Adjustments = NONE, *, ecm: bool | None = True, confirmed: int = 0
) -> Attempt:
    return Attempt(cause, NOW, connected=True, confirmed=confirmed, adjustments=done, ecm=ecm)


def delivered(done: Adjustments, at: datetime = NOW) -> Attempt:
    return Attempt("", at, connected=True, confirmed=1, adjustments=done, ecm=True)


def following(*history: Attempt, memory: Memory | None = None, policy: LadderPolicy = POLICY) -> Adjustments:
    return adjustments(policy, history, memory=memory or Memory(), at=NOW)


def test_calls_that_fail_go_without_v17_then_with_the_other_error_correction() -> None:
    assert following() == NONE
    assert following(failed()) == NO_V17
    assert following(failed(), failed()) == Adjustments(no_v17=True, ecm=False)
    assert following(failed(ecm=False), failed(ecm=False)) == Adjustments(no_v17=True, ecm=True)
    assert following(failed(), failed(), failed(), failed(ecm=False)) == Adjustments(no_v17=True, ecm=False)


@pytest.mark.parametrize(
    "cause", ["call.busy", "call.no_answer", "call.no_carrier", "line.unavailable", "call.interrupted"]
)
def test_a_call_in_which_no_modems_met_changes_nothing(cause: str) -> None:
    assert following(failed(cause)) == NONE
    assert following(failed(), failed(cause)) == NO_V17


@pytest.mark.parametrize(
    "cause", ["fax.page_refused", "fax.disconnected", "fax.no_response", "line.dropped", "fax.new"]
)
def test_every_fault_between_modems_counts(cause: str) -> None:
    assert following(failed(cause)) == NO_V17


def test_what_confirmed_pages_is_kept_and_counting_begins_again() -> None:
    halfway = failed("fax.disconnected", NO_V17, confirmed=1)
    assert following(failed(), halfway) == NO_V17
    assert following(failed(), failed(), failed(done=NONE, confirmed=1)) == NONE
    assert following(failed(), halfway, failed(done=NO_V17), failed(done=NO_V17)) == Adjustments(no_v17=True, ecm=False)


def test_the_counts_are_the_tenants() -> None:
    policy = LadderPolicy(without_v17_after=3, other_ecm_after=1)
    assert following(failed(), policy=policy) == Adjustments(ecm=False)
    assert following(failed(), failed(), failed(), policy=policy) == Adjustments(no_v17=True, ecm=False)
    assert following(failed(), failed(), policy=LadderPolicy(on=False)) == NONE


def test_what_got_a_fax_through_is_where_the_next_one_begins_for_thirty_days() -> None:
    memory = learn(Memory(), delivered(NO_V17), POLICY)
    assert memory.at(NOW + timedelta(days=29, hours=23)) == NO_V17
    assert memory.at(NOW + timedelta(days=30)) == NONE
    assert following(memory=memory) == NO_V17
    assert following(failed(done=NO_V17), failed(done=NO_V17), memory=memory) == Adjustments(no_v17=True, ecm=False)


def test_a_success_with_what_is_remembered_does_not_put_off_its_expiry() -> None:
    memory = learn(Memory(), delivered(NO_V17), POLICY)
    assert learn(memory, delivered(NO_V17, NOW + timedelta(days=29)), POLICY) is memory
    again = learn(memory, delivered(NO_V17, NOW + timedelta(days=31)), POLICY)
    assert again.at(NOW + timedelta(days=60)) == NO_V17


def test_only_a_whole_fax_teaches_and_a_plain_success_forgets() -> None:
    memory = learn(Memory(), delivered(NO_V17), POLICY)
    assert learn(memory, failed(done=Adjustments(ecm=False), confirmed=1), POLICY) is memory
    assert learn(Memory(), failed(done=NO_V17), POLICY) == Memory()
    assert learn(memory, delivered(NONE), POLICY) == Memory()
    assert learn(memory, delivered(Adjustments(ecm=False)), POLICY).at(NOW) == Adjustments(ecm=False)
    assert learn(Memory(), delivered(NO_V17), LadderPolicy(remember_days=0)) == Memory()


def test_what_an_operator_lays_down_wins_and_never_expires() -> None:
    slow = Adjustments(max_bps=9600)
    memory = Memory(Learned(adjustments=NO_V17, expires=NOW + timedelta(days=1)), override=slow)
    assert memory.at(NOW + timedelta(days=10_000)) == slow
    assert following(failed(), failed(), memory=memory) == slow
    assert following(failed(), memory=memory, policy=LadderPolicy(on=False)) == slow
    assert learn(memory, delivered(NO_V17, NOW + timedelta(days=2)), POLICY) is memory
    assert following(memory=Memory(override=NONE, learned=memory.learned)) == NONE


def test_a_station_is_adjusted() -> None:
    station = Station(ident="+49 30 1234567")
    assert NONE.adjusted(station) == station
    plain = Adjustments(no_v17=True, ecm=False, max_bps=7200).adjusted(station)
    assert plain.families == {Family.V29, Family.V27TER}
    assert (plain.ecm, plain.max_bps, plain.ident) == (False, 7200, station.ident)
    assert Adjustments(max_bps=14400).adjusted(Station(max_bps=4800)).max_bps == 4800
    assert Adjustments(ecm=True).adjusted(Station(ecm=False)).ecm


def test_the_adjusted_station_never_tries_v17() -> None:
    terms = agree(NO_V17.adjusted(Station()), Station().dis())
    assert [each.family for each in terms.ladder] == [Family.V29, Family.V29, Family.V27TER, Family.V27TER]


def test_a_station_that_knows_nothing_else_keeps_v17() -> None:
    only = Station(families=frozenset({Family.V17}))
    assert NO_V17.adjusted(only) == only
