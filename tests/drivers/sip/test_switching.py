"""When a call goes over from sound to T.38, by the clock and by what is heard."""

import pytest

from drivers.g711.hearing import Heard
from drivers.sip.switching import CALLED_AFTER, CALLER_AFTER, KEPT, Begins, End, Switching
from t30.timers import T1

ANSWERED = 100.0


def calling(begins: Begins = Begins.REINVITE, after: float | None = None) -> Switching:
    return Switching(begins, False, after, ANSWERED)


def called(begins: Begins = Begins.REINVITE, after: float | None = None) -> Switching:
    return Switching(begins, True, after, ANSWERED)


@pytest.mark.case("R11")
def test_the_one_who_was_called_offers_first_and_the_caller_only_if_nobody_does() -> None:
    ours, theirs = calling(), called()
    assert theirs.wakes == ANSWERED + CALLED_AFTER
    assert ours.wakes == ANSWERED + CALLER_AFTER[None]
    assert ours.wakes - theirs.wakes > 4.0
    assert not theirs.offered(ANSWERED + CALLED_AFTER - 0.01)
    assert theirs.offered(ANSWERED + CALLED_AFTER)
    assert not theirs.offered(ANSWERED + 2 * CALLED_AFTER), "it was offered twice"


@pytest.mark.case("R11")
def test_the_caller_who_hears_a_fax_machine_waits_no_longer_than_its_gateway_would_take_to_offer() -> None:
    switching = calling()
    switching.heard(Heard.CED, ANSWERED + 1.0)
    assert switching.wakes == ANSWERED + 1.0 + CALLER_AFTER[Heard.CED]
    switching.heard(Heard.V21, ANSWERED + 2.0)
    assert switching.wakes == ANSWERED + 2.0 + CALLER_AFTER[Heard.V21]
    switching.heard(Heard.CED, ANSWERED + 2.4)
    assert switching.wakes == ANSWERED + 2.0 + CALLER_AFTER[Heard.V21], "what is heard later put it off"


@pytest.mark.case("R01")
def test_an_offer_of_theirs_is_granted_up_to_dis_and_refused_once_a_dcs_was_heard_in_sound() -> None:
    ours = calling()
    ours.heard(Heard.CED, ANSWERED + 1.0)
    ours.heard(Heard.V21, ANSWERED + 4.0)  # their DIS
    theirs = called()
    theirs.heard(Heard.CNG, ANSWERED + 0.5)
    assert [ours.takes, theirs.takes] == [True, True]
    theirs.heard(Heard.V21, ANSWERED + 6.0)  # V.21 of the caller: its DCS
    assert not theirs.takes
    assert theirs.end(ANSWERED + 6.0) is End.TOO_LATE
    assert not theirs.offered(ANSWERED + 30.0)


def test_who_only_answers_never_offers_and_gives_up_after_t1() -> None:
    switching = called(Begins.ANSWER)
    assert switching.wakes == ANSWERED + T1
    assert not switching.offered(ANSWERED + T1)
    assert switching.end(ANSWERED + T1 - 0.1) is None
    assert switching.end(ANSWERED + T1) is End.NOT_OFFERED


def test_who_offers_at_once_offers_at_the_answer() -> None:
    assert called(Begins.OFFER).offered(ANSWERED)


def test_the_time_of_the_offer_is_the_trunks() -> None:
    assert called(after=4.5).wakes == ANSWERED + 4.5
    assert calling(after=0.0).offered(ANSWERED)


@pytest.mark.case("R09")
def test_a_call_whose_offer_was_refused_is_kept_for_an_offer_of_theirs_and_then_ends_for_that_reason() -> None:
    switching = calling()
    assert switching.offered(ANSWERED + 6.0)
    switching.was_refused(ANSWERED + 7.0)
    assert switching.takes
    assert not switching.offered(ANSWERED + 8.0)
    assert switching.end(ANSWERED + 7.0 + KEPT - 0.1) is None
    assert switching.end(ANSWERED + 7.0 + KEPT) is End.REFUSED


def test_a_caller_who_hears_nothing_like_a_fax_says_so() -> None:
    assert calling(Begins.ANSWER).end(ANSWERED + T1) is End.NOBODY
    heard = calling(Begins.ANSWER)
    heard.heard(Heard.CED, ANSWERED + 3.0)
    assert heard.end(ANSWERED + T1) is End.NOT_OFFERED
