"""What a call has shown, from its outcome, and through JSON unchanged."""

import json
from dataclasses import replace

import pytest

from faxgw.learning.evidence import CallSeen, as_json, from_json, seen_in
from faxgw.rules.attempt import Adjustments
from t30.capabilities import Dcs
from t30.fcf import Fcf
from t30.outcome import Direction, Evidence, Outcome, PageResult, Reason, Training
from t30.pages import Coding, Length, PageFormat, Resolution, Width
from t30.rates import Modulation
from tests.faxgw.learning.calls import NOW, fell_back, in_vain, never_trained, seen

FINE = PageFormat(Width.A4, Length.A4, Resolution.FINE, Coding.MR, ecm=False)
STANDARD = replace(FINE, resolution=Resolution.STANDARD, coding=Coding.MH)
TRAINED = Evidence(b"\x00\x46", b"\xb5", (Training(Modulation.V29_9600, passed=True),), refusals=2)


def page(index: int, format: PageFormat, *, bad_rows: int = 0, confirmed: bool = True) -> PageResult:
    return PageResult(index, format, 5000, 1000, confirmed=confirmed, bad_rows=bad_rows, seconds=10.0)


def outcome(*pages: PageResult, evidence: Evidence = TRAINED, code: str = "") -> Outcome:
    reason = Reason(code, "why")
    return Outcome(Direction.OUT, reason, "+1", 30.0, Modulation.V29_9600, ecm=False, pages=pages, evidence=evidence)


@pytest.mark.parametrize(
    "call",
    [seen(), fell_back(adjustments=Adjustments(ecm=False, max_bps=9600)), in_vain(damaged=0.25), never_trained()],
)
def test_a_call_goes_through_json_unchanged(call: CallSeen) -> None:
    assert from_json(json.loads(json.dumps(as_json(call)))) == call


def test_pages_that_were_sent_are_told_together() -> None:
    found = seen_in(
        outcome(page(0, FINE, bad_rows=100), page(1, STANDARD, confirmed=False), code="fax.page_refused"),
        None,
        at=NOW,
        adjustments=Adjustments(no_v17=True),
    )
    assert found is not None
    assert (found.capabilities, found.nonstandard) == (b"\x00\x46", b"\xb5")
    call = found.call
    assert (call.at, call.cause, call.confirmed, call.refusals) == (NOW, "fax.page_refused", 1, 2)
    assert (call.coding, call.resolution, call.damaged) == (Coding.MH, Resolution.FINE, 0.05)
    assert (call.trainings, call.modulation) == (((Modulation.V29_9600, True),), Modulation.V29_9600)
    assert call.adjustments == Adjustments(no_v17=True)


def test_of_a_page_that_was_never_answered_the_choice_is_known() -> None:
    chosen = Dcs().but(modulation=Modulation.V29_9600, mmr=True, ecm=True, superfine=True)
    found = seen_in(outcome(code="fax.disconnected"), chosen, at=NOW)
    assert found is not None
    assert (found.call.coding, found.call.resolution) == (Coding.MMR, Resolution.SUPERFINE)


def test_a_call_that_came_to_no_training_shows_nothing() -> None:
    assert (
        seen_in(outcome(evidence=Evidence(b"\x00", hung_up_after=Fcf.DIS), code="fax.disconnected"), None, at=NOW)
        is None
    )


def test_to_hang_up_at_the_training_check_is_to_fail_it() -> None:
    found = seen_in(outcome(evidence=Evidence(b"\x00", hung_up_after=Fcf.DCS), code="fax.disconnected"), None, at=NOW)
    assert found is not None
    assert found.call.trainings == ((Modulation.V29_9600, False),)


def test_short_training_is_the_same_rate() -> None:
    checks = (Training(Modulation.V17_14400_SHORT, passed=True),)
    found = seen_in(outcome(evidence=Evidence(trainings=checks)), None, at=NOW)
    assert found is not None
    assert found.call.trainings == ((Modulation.V17_14400, True),)
