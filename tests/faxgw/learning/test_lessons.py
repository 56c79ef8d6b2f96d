"""What calls teach, and for how long; what does not."""

from datetime import datetime, timedelta

import pytest

from faxgw.learning.evidence import CallSeen
from faxgw.learning.lessons import Lesson, lessons
from faxgw.learning.limits import Limit
from faxgw.learning.policy import LearningPolicy
from faxgw.model import Direction
from faxgw.rules.attempt import Adjustments
from t30.pages import Coding, Resolution
from t30.rates import Modulation
from tests.faxgw.learning.calls import NOW, V17, V29, fell_back, in_vain, never_trained, seen

POLICY = LearningPolicy()
NO_V17 = Adjustments(no_v17=True)
OUT, IN = Direction.OUT, Direction.IN


def learned(
    *calls: CallSeen, direction: Direction = OUT, at: datetime = NOW, policy: LearningPolicy = POLICY
) -> dict[Limit, Lesson]:
    return {each.limit: each for each in lessons(policy, calls, direction=direction, at=at)}


def test_nothing_is_learned_of_calls_that_go_well() -> None:
    assert learned() == {}
    assert learned(seen(3), seen(2), seen(1)) == {}
    assert learned(seen(2, cause="call.busy", confirmed=0, trainings=(), modulation=None)) == {}


@pytest.mark.case("R22")
def test_v17_is_left_out_after_two_calls_in_which_it_never_trained() -> None:
    assert learned(fell_back(2)) == {}
    lesson = learned(seen(5), fell_back(3), fell_back(2), fell_back(1))[Limit.NO_V17]
    assert (dict(lesson.faults), lesson.of) == ({"training failed": 3}, 4)
    assert lesson.until == NOW + timedelta(days=29)
    assert Limit.NO_V17 in learned(fell_back(2), fell_back(1), policy=LearningPolicy(calls=2))
    assert learned(fell_back(2), fell_back(1), policy=LearningPolicy(calls=3)) == {}
    assert learned(fell_back(2), fell_back(1), policy=LearningPolicy(on=False)) == {}


@pytest.mark.case("R22")
def test_v17_is_left_out_where_it_trains_and_no_page_goes_through() -> None:
    lesson = learned(in_vain(2), in_vain(1))[Limit.NO_V17]
    assert (dict(lesson.faults), lesson.of) == ({"no page went through": 2}, 2)
    mixed = learned(fell_back(3), in_vain(2))[Limit.NO_V17]
    assert dict(mixed.faults) == {"training failed": 1, "no page went through": 1}


def test_a_call_that_ended_for_another_reason_teaches_nothing() -> None:
    ours = [in_vain(days, cause=cause) for days, cause in ((3, "call.canceled"), (2, "storage.failed"))]
    assert learned(*ours, in_vain(1, cause="policy.misdirect")) == {}


def test_one_failure_is_enough_where_the_next_call_goes_through_without_it() -> None:
    proof = seen(1, trainings=((V29, True),), modulation=V29, adjustments=NO_V17)
    lesson = learned(never_trained(2), proof)[Limit.NO_V17]
    assert (lesson.proven, lesson.of, lesson.until) == (True, 1, NOW + timedelta(days=28))
    assert learned(proof, never_trained(0.5)) == {}
    assert learned(fell_back(2), proof) == {}, "a call that fell back by itself went through, too"


def test_a_success_ends_the_row_and_one_within_the_limit_does_not() -> None:
    assert learned(fell_back(3), fell_back(2), seen(1)) == {}
    without = seen(1, trainings=((V29, True),), modulation=V29, adjustments=NO_V17)
    assert Limit.NO_V17 in learned(fell_back(3), fell_back(2), without)


def test_it_is_tried_again_when_its_time_is_up_and_one_failure_is_enough_then() -> None:
    calls = fell_back(31), fell_back(30.5)
    assert learned(*calls, at=NOW - timedelta(days=0.6))
    assert learned(*calls) == {}
    lesson = learned(*calls, fell_back(0))[Limit.NO_V17]
    assert (lesson.faults["training failed"], lesson.until) == (3, NOW + timedelta(days=30))
    assert learned(*calls, seen(0)) == {}


def test_success_with_what_was_learned_does_not_put_off_its_end() -> None:
    calls = fell_back(3), fell_back(2)
    later = seen(0, trainings=((V29, True),), modulation=V29, adjustments=NO_V17)
    assert learned(*calls, later)[Limit.NO_V17].until == learned(*calls)[Limit.NO_V17].until


def test_calls_long_ago_teach_nothing() -> None:
    policy = LearningPolicy(days=3650, forget_days=90)
    assert learned(fell_back(91), fell_back(0), policy=policy) == {}
    assert Limit.NO_V17 in learned(fell_back(89), fell_back(0), policy=policy)
    assert Limit.NO_V17 in learned(fell_back(300), fell_back(299), policy=policy), "it does not fade before its day"


def test_calls_begin_at_the_rate_that_the_ones_before_came_down_to() -> None:
    slower = {"trainings": ((V17[0], False), (V17[1], True)), "modulation": V17[1]}
    assert learned(seen(2, **slower)) == {}
    assert learned(seen(2, **slower), seen(1, **slower))[Limit.MAX_BPS].bps == 12000
    within = seen(0, trainings=((V17[1], True),), modulation=V17[1], adjustments=Adjustments(max_bps=12000))
    assert Limit.MAX_BPS in learned(seen(2, **slower), seen(1, **slower), within)
    assert learned(seen(2, **slower), seen(1, **slower), seen(0)) == {}
    corrected_down = seen(3, modulation=V29)
    assert learned(corrected_down, seen(1, **slower))[Limit.MAX_BPS].bps == 12000


def test_that_v17_never_trains_says_nothing_of_the_rates_below() -> None:
    assert set(learned(fell_back(2), fell_back(1))) == {Limit.NO_V17}
    to = Modulation.V29_7200
    checks = (*((each, False) for each in V17), (V29, False), (to, True))
    lower = [seen(days, trainings=checks, modulation=to) for days in (2, 1)]
    assert learned(*lower)[Limit.MAX_BPS].bps == 7200


def test_error_correction_is_changed_only_where_it_is_seen_to_help() -> None:
    failed = [in_vain(3, rate=V29), in_vain(2, rate=V29)]
    assert Limit.ECM_OFF not in learned(*failed)
    plain = {"trainings": ((V29, True),), "modulation": V29, "coding": Coding.MH}
    helped = seen(1, ecm=False, adjustments=Adjustments(ecm=False), **plain)
    assert set(learned(*failed, helped)) == {Limit.ECM_OFF}
    assert Limit.ECM_OFF not in learned(never_trained(2), helped), "training has nothing to do with it"
    assert learned(*failed, helped, seen(0.5)) == {}
    other_way = in_vain(3, rate=V29, ecm=False), seen(1, adjustments=Adjustments(ecm=True))
    assert set(learned(*other_way)) == {Limit.ECM_ON}


def test_mmr_is_left_out_after_three_calls_in_vain() -> None:
    calls = [in_vain(days, rate=V29) for days in (3, 2, 1)]
    assert learned(*calls[:2]) == {}
    assert set(learned(*calls)) == {Limit.NO_MMR}
    assert learned(*[in_vain(days, rate=V29, coding=Coding.MR) for days in (3, 2, 1)]) == {}
    assert learned(*calls, seen(0)) == {}


def test_a_machine_that_goes_away_between_two_faxes_gets_one_a_call() -> None:
    gone = seen(1, cause="fax.disconnected", between=True)
    assert dict(learned(gone)[Limit.ALONE].faults) == {"the call ended between two faxes": 1}
    assert learned(gone, seen(0, faxes=2)) == {}
    assert Limit.ALONE in learned(gone, seen(0))
    assert learned(seen(1, cause="call.canceled", between=True)) == {}


@pytest.mark.case("R22")
def test_a_sender_that_skips_v29_is_not_offered_v17_again() -> None:
    skipped = fell_back(1, to=Modulation.V27TER_4800)
    assert learned(skipped) == {}
    lesson = learned(skipped, direction=IN)[Limit.NO_V17]
    assert dict(lesson.faults) == {"the sender fell back from V.17 to V.27ter": 1}
    assert learned(fell_back(1), direction=IN) == {}


def test_fine_pages_are_not_offered_to_a_sender_from_which_they_come_damaged() -> None:
    damaged = {"ecm": False, "coding": Coding.MH, "trainings": ((V29, True),), "modulation": V29}
    fine = [seen(days, damaged=0.06, **damaged) for days in (3, 2, 1)]
    assert set(learned(*fine, direction=IN)) == {Limit.NO_FINE}
    assert learned(*fine[:2], direction=IN) == {}
    assert learned(*fine) == {}, "what is sent is never made coarser"
    finer = [seen(days, refusals=1, resolution=Resolution.R400, **damaged) for days in (3, 2, 1)]
    assert set(learned(*finer, direction=IN)) == {Limit.NO_SUPERFINE}
    assert learned(*fine[1:], seen(0.5, damaged=0.04, **damaged), direction=IN) == {}
    assert learned(*[seen(days, damaged=0.5) for days in (3, 2, 1)], direction=IN) == {}, "it was corrected"


def test_v17_is_not_offered_to_a_sender_from_which_pages_come_damaged_by_it() -> None:
    plain = {"ecm": False, "coding": Coding.MH, "resolution": Resolution.STANDARD}
    assert set(learned(seen(2, damaged=0.1, **plain), seen(1, damaged=0.2, **plain), direction=IN)) == {Limit.NO_V17}
