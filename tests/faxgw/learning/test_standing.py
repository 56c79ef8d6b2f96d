"""What holds for the next call, said in a sentence; what an operator says wins."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from faxgw.learning.evidence import CallSeen
from faxgw.learning.lessons import lessons
from faxgw.learning.limits import Limit
from faxgw.learning.policy import LearningPolicy
from faxgw.learning.standing import Known, Standing, stand
from faxgw.learning.verdicts import Verdict, checked
from faxgw.model import Direction
from faxgw.rules.attempt import NONE, Adjustments
from faxgw.rules.ladder import Memory
from tests.faxgw.learning.calls import NOW, V17, V29, fell_back, in_vain, never_trained, seen

NEVER, ALWAYS = Verdict(say="never"), Verdict(say="always")
THREE_OF_FOUR = seen(5), fell_back(3), fell_back(2), fell_back(0)


def known(*calls: CallSeen, at: datetime = NOW, **verdicts: Any) -> Known:
    learned = lessons(LearningPolicy(), calls, direction=Direction.OUT, at=at)
    return stand(learned, {Limit(name): said for name, said in verdicts.items()}, at=at)


def the_only(found: Known) -> Standing:
    (standing,) = found.standings
    return standing


def test_a_lesson_says_what_until_when_and_why() -> None:
    standing = the_only(known(*THREE_OF_FOUR))
    assert standing.text == "V.17 off until 3 May: training failed in 3 of 4 calls"
    assert (standing.on, standing.by, standing.until) == (True, "learned", NOW + timedelta(days=30))


@pytest.mark.parametrize(
    ("calls", "text"),
    [
        (
            (fell_back(3), in_vain(2)),
            "V.17 off until 1 May: training failed in 1, no page went through in 1 of 2 calls",
        ),
        (
            (never_trained(2), seen(1, trainings=((V29, True),), modulation=V29, adjustments=Adjustments(no_v17=True))),
            "V.17 off until 1 May: training failed in 1 of 1 call, and without it a fax went through",
        ),
        (
            [seen(days, trainings=((V17[0], False), (V17[1], True)), modulation=V17[1]) for days in (2, 1)],
            "begins at 12000 bit/s until 2 May: the call fell back to a lower rate in 2 of 2 calls",
        ),
    ],
)
def test_it_says_every_reason_in_numbers(calls: list[CallSeen], text: str) -> None:
    assert the_only(known(*calls)).text == text


def test_the_day_has_its_year_where_it_is_another_one() -> None:
    later = datetime(2026, 12, 24, tzinfo=UTC)
    calls = [fell_back((NOW - later).days), fell_back((NOW - later).days)]
    assert the_only(known(*calls, at=later)).text.startswith("V.17 off until 23 January 2027: ")


def test_never_brings_back_what_was_learned_to_be_left_out() -> None:
    found = known(*THREE_OF_FOUR, no_v17=NEVER)
    assert the_only(found).text == "never V.17 off: laid down (training failed in 3 of 4 calls)"
    assert found.adjustments == NONE
    assert found.memory(None) == Memory(v17_stays=True)


def test_always_and_until_hold_whatever_was_learned() -> None:
    assert known(no_v17=ALWAYS).adjustments == Adjustments(no_v17=True)
    assert the_only(known(seen(1), no_v17=ALWAYS)).text == "V.17 off: laid down"
    ends = Verdict(say="until", until=NOW + timedelta(days=28))
    assert the_only(known(no_v17=ends)).text == "V.17 off until 1 May: laid down"
    assert known(no_v17=ends, at=NOW + timedelta(days=28)).adjustments == NONE
    assert known(*THREE_OF_FOUR, no_v17=Verdict(say="until", until=NOW)).standings[0].by == "learned"


def test_each_limit_has_its_adjustment() -> None:
    every: dict[str, Any] = {limit.value: ALWAYS for limit in Limit if limit not in (Limit.MAX_BPS, Limit.ECM_ON)}
    found = known(**every, max_bps=Verdict(say="always", bps=7200)).adjustments
    assert found == Adjustments(
        no_v17=True, max_bps=7200, ecm=False, no_mmr=True, no_superfine=True, no_fine=True, alone=True
    )
    assert known(ecm_on=ALWAYS).adjustments == Adjustments(ecm=True)


def test_error_correction_goes_as_the_operator_says_and_no_rung_of_the_ladder_goes_the_other_way() -> None:
    plain = {"trainings": ((V29, True),), "modulation": V29}
    calls = in_vain(2, rate=V29), seen(1, ecm=False, **plain)
    assert known(*calls).adjustments == Adjustments(ecm=False)
    assert known(*calls, ecm_on=ALWAYS).adjustments == Adjustments(ecm=True)
    assert known(*calls, ecm_on=NEVER).adjustments == Adjustments(ecm=False)
    never = known(*calls, ecm_off=NEVER, ecm_on=NEVER).memory(None)
    assert never == Memory(ecm_never=frozenset({False, True}))


def test_what_is_laid_down_for_the_number_as_a_whole_goes_to_the_ladder_with_it() -> None:
    whole = Adjustments(max_bps=4800)
    assert known(*THREE_OF_FOUR).memory(whole) == Memory(known=Adjustments(no_v17=True), override=whole)


@pytest.mark.parametrize(
    "verdict",
    [{"say": "until"}, {"say": "always", "until": NOW}, {"say": "maybe"}, {"say": "always", "bps": 100}],
)
def test_a_verdict_that_makes_no_sense_is_refused(verdict: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Verdict.model_validate(verdict)


@pytest.mark.parametrize(
    "verdicts",
    [
        {Limit.MAX_BPS: ALWAYS},
        {Limit.NO_V17: Verdict(say="always", bps=9600)},
        {Limit.MAX_BPS: Verdict(say="never", bps=9600)},
        {Limit.ECM_ON: ALWAYS, Limit.ECM_OFF: ALWAYS},
    ],
)
def test_verdicts_that_do_not_fit_their_limits_are_refused(verdicts: dict[Limit, Verdict]) -> None:
    with pytest.raises(ValueError, match=r"bps|both"):
        checked(verdicts)


def test_verdicts_that_fit_are_taken() -> None:
    fit = {Limit.MAX_BPS: Verdict(say="always", bps=4800), Limit.ECM_ON: ALWAYS, Limit.ECM_OFF: NEVER}
    assert checked(fit) is fit
    assert known(max_bps=fit[Limit.MAX_BPS]).standings[0].text == "begins at 4800 bit/s: laid down"
    never = known(max_bps=NEVER).standings[0]
    assert never.text == "never begins at a lower rate: laid down"
