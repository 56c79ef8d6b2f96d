"""The last resort: without V.17, then with the other error correction setting, from what is known of the number on."""

from datetime import UTC, datetime

import pytest

from faxgw.rules.attempt import NONE, Adjustments, Attempt
from faxgw.rules.ladder import LadderPolicy, Memory, adjustments
from t30.capabilities import Station, agree
from t30.pages import Coding, Resolution
from t30.rates import Family

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = LadderPolicy()
NO_V17 = Adjustments(no_v17=True)


def failed(
    cause: str = "fax.training", done: Adjustments = NONE, *, ecm: bool | None = True, confirmed: int = 0
) -> Attempt:
    return Attempt(cause, NOW, connected=True, confirmed=confirmed, adjustments=done, ecm=ecm)


def following(*history: Attempt, memory: Memory | None = None, policy: LadderPolicy = POLICY) -> Adjustments:
    return adjustments(policy, history, memory=memory or Memory())


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


def test_calls_begin_with_what_is_known_of_the_number_and_climb_from_there() -> None:
    memory = Memory(known=NO_V17)
    assert following(memory=memory) == NO_V17
    assert following(failed(done=NO_V17), failed(done=NO_V17), memory=memory) == Adjustments(no_v17=True, ecm=False)
    assert following(failed(), memory=memory, policy=LadderPolicy(on=False)) == NO_V17
    slow_and_plain = Memory(known=Adjustments(ecm=False, max_bps=4800))
    two = [failed(done=slow_and_plain.known, ecm=False)] * 2
    assert following(*two, memory=slow_and_plain) == Adjustments(no_v17=True, ecm=True, max_bps=4800)


def test_what_the_number_teaches_meanwhile_does_not_turn_the_setting_back_that_failed() -> None:
    learned_since = Memory(known=Adjustments(ecm=False))
    assert following(failed(ecm=True), failed(ecm=True), memory=learned_since).ecm is False


def test_rungs_that_an_operator_rules_out_are_left_out_of_what_got_pages_through_too() -> None:
    assert following(failed(), memory=Memory(v17_stays=True)) == NONE
    assert following(failed(), failed(), memory=Memory(v17_stays=True)) == Adjustments(ecm=False)
    assert following(failed(), failed(), memory=Memory(ecm_never=frozenset({False}))) == NO_V17
    halfway = failed("fax.disconnected", Adjustments(no_v17=True, ecm=False), confirmed=1)
    assert following(halfway, memory=Memory(v17_stays=True, ecm_never=frozenset({False}))) == NONE


def test_what_an_operator_lays_down_as_a_whole_wins() -> None:
    slow = Adjustments(max_bps=9600)
    memory = Memory(known=NO_V17, v17_stays=True, override=slow)
    assert following(failed(), failed(), memory=memory) == slow
    assert following(failed(), memory=memory, policy=LadderPolicy(on=False)) == slow
    assert following(memory=Memory(known=NO_V17, override=NONE)) == NONE


def test_a_station_is_adjusted() -> None:
    station = Station(ident="+49 30 1234567")
    assert NONE.adjusted(station) == station
    plain = Adjustments(no_v17=True, ecm=False, max_bps=7200).adjusted(station)
    assert plain.families == {Family.V29, Family.V27TER}
    assert (plain.ecm, plain.max_bps, plain.ident) == (False, 7200, station.ident)
    assert Adjustments(max_bps=14400).adjusted(Station(max_bps=4800)).max_bps == 4800
    assert Adjustments(ecm=True).adjusted(Station(ecm=False)).ecm
    assert Adjustments(no_mmr=True).adjusted(station).codings == {Coding.MH, Coding.MR}
    assert Adjustments(no_superfine=True).adjusted(station).resolutions == {Resolution.STANDARD, Resolution.FINE}
    assert Adjustments(no_fine=True).adjusted(station).resolutions == {Resolution.STANDARD}


def test_the_adjusted_station_never_tries_v17() -> None:
    terms = agree(NO_V17.adjusted(Station()), Station().dis())
    assert [each.family for each in terms.ladder] == [Family.V29, Family.V29, Family.V27TER, Family.V27TER]


def test_a_station_that_knows_nothing_else_keeps_v17() -> None:
    only = Station(families=frozenset({Family.V17}))
    assert NO_V17.adjusted(only) == only
