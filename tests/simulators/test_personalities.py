"""Our engine against machines that misbehave: every call ends, in time, with pages confirmed or a clear reason."""

from dataclasses import replace

import pytest

from simulators import personalities as odd
from simulators.circuit import NO_FAULTS, Faults
from simulators.tray import Sheet
from t30.fcf import Fcf
from t30.frame import Frame
from t30.line import Content, SendData, SendFrames
from t30.outcome import Outcome
from t30.pages import Coding, Width
from t30.policy import Correction, Policy
from t30.rates import Family, Modulation
from tests.simulators.calls import FIVE_WAYS, Call, call, sheet, station
from tests.simulators.habits import FALSE_SENDERS, RECEIVERS, SENDERS

PAGES = [sheet(1, rows=120), sheet(2, rows=120)]
V17 = frozenset({Modulation.V17_14400, Modulation.V17_12000})


CODES = {
    "",
    "line.dropped",
    "fax.protocol",
    "fax.disconnected",
    "fax.no_response",
    "fax.no_machine",
    "fax.incompatible",
    "fax.training",
    "fax.incomplete",
    "fax.page_refused",
}


def check_end(done: Call) -> None:
    """Check what holds of every call, however it went."""
    for outcome in (done.sent, done.got):
        assert outcome.reason.code in CODES, done.told()
        assert bool(outcome.reason.code) == bool(outcome.reason.text), done.told()
        assert outcome.complete or outcome.reason.code, done.told()
        assert not outcome.complete or outcome.pages, f"a fax without a page: {done.told()}"


def check_pages(pages: list[Sheet], done: Call, outcome: Outcome, *, ecm: bool) -> None:
    """Check that every page that was confirmed is stored as it was sent."""
    for page in outcome.pages:
        if page.confirmed and ecm:
            assert done.arrived(page.index) == pages[page.index].bitmap, done.told()


@pytest.mark.parametrize(("coding", "ecm"), FIVE_WAYS, ids=str)
@pytest.mark.parametrize("who", SENDERS)
def test_our_receiver_ends_a_call_with_a_sender_that(who: str, coding: Coding, ecm: bool) -> None:
    faults = Faults(untrainable=V17) if "trains short" in who else NO_FAULTS
    pages = [PAGES[0], sheet(2, rows=120, width=Width.B4)] if "negotiates again" in who else PAGES
    done = call(pages, sender=station(coding, ecm=ecm), sending=SENDERS[who](), faults=faults)
    check_end(done)
    if who not in FALSE_SENDERS:
        check_pages(pages, done, done.got, ecm=ecm)


@pytest.mark.parametrize(("coding", "ecm"), FIVE_WAYS, ids=str)
@pytest.mark.parametrize("who", RECEIVERS)
def test_our_sender_ends_a_call_with_a_receiver_that(who: str, coding: Coding, ecm: bool) -> None:
    done = call(PAGES, sender=station(coding, ecm=ecm), receiving=RECEIVERS[who]())
    check_end(done)


def outcome_of(who: str, *, ecm: bool = True) -> Call:
    if who in SENDERS:
        return call(PAGES, sender=station(ecm=ecm), sending=SENDERS[who]())
    return call(PAGES, sender=station(ecm=ecm), receiving=RECEIVERS[who]())


@pytest.mark.case("R16")
@pytest.mark.parametrize("ecm", [False, True])
def test_r16_a_fax_is_sent_when_its_pages_are_confirmed_not_when_the_call_ends_well(ecm: bool) -> None:
    vanished = outcome_of("hangs up after EOP", ecm=ecm)
    assert (vanished.sent.verdict, vanished.sent.reason.code) == ("partial", "line.dropped"), vanished.told()
    assert vanished.sent.evidence.hung_up_after is (Fcf.PPS if ecm else Fcf.EOP), "nobody knows of the last page"
    assert all(vanished.arrived(index) == page.bitmap for index, page in enumerate(PAGES))
    confirmed = outcome_of("hangs up after MCF", ecm=ecm)
    assert confirmed.sent.verdict == "partial", confirmed.told()
    assert confirmed.sent.pages[0].confirmed, confirmed.told()


@pytest.mark.case("R16")
def test_r16_a_receiver_that_hangs_up_after_the_last_mcf_has_the_whole_fax() -> None:
    done = call([PAGES[0]], receiving=odd.HangsUpAfter(Fcf.MCF))
    assert (done.sent.verdict, done.sent.reason.code) == ("delivered", ""), done.told()


@pytest.mark.case("R19")
def test_r19_the_missing_half_of_a_page_is_asked_for_where_errors_are_corrected() -> None:
    done = outcome_of("cuts pages short")
    assert done.sent.verdict == "delivered", done.told()
    assert [done.arrived(index) for index in range(2)] == [page.bitmap for page in PAGES]


@pytest.mark.case("R19")
def test_r19_a_page_without_its_end_is_refused_once_the_sender_is_known_to_end_pages() -> None:
    done = call(PAGES, sender=station(Coding.MH, ecm=False), sending=odd.CutsPagesShort(since=1))
    assert [page.confirmed for page in done.got.pages] == [True, False], done.told()


@pytest.mark.case("R20")
@pytest.mark.parametrize("ecm", [False, True])
@pytest.mark.parametrize("side", ["sending", "receiving"])
def test_r20_an_echo_is_not_an_answer(side: str, ecm: bool) -> None:
    habits = {side: odd.Echoes()}
    done = call(PAGES, sender=station(ecm=ecm), **habits)  # type: ignore[arg-type]
    assert done.sent.verdict == "delivered", done.told()
    assert [done.arrived(index) for index in range(2)] == [page.bitmap for page in PAGES]


@pytest.mark.case("R17")
def test_r17_a_sender_that_cannot_train_at_one_rate_gets_through_at_another() -> None:
    done = call(PAGES, sending=odd.TrainsShortAfterFailure(), faults=Faults(untrainable=V17))
    assert done.sent.verdict == "delivered", done.told()
    assert done.sent.modulation is Modulation.V29_9600


@pytest.mark.case("R18")
def test_r18_a_new_page_size_is_taken_over_even_without_a_new_dis() -> None:
    pages = [PAGES[0], sheet(2, rows=120, width=Width.B4)]
    done = call(pages, sending=odd.NegotiatesAgainAtOnce())
    assert done.sent.verdict == "delivered", done.told()
    assert [done.arrived(index) for index in range(2)] == [page.bitmap for page in pages]
    assert done.tray.received[1].format.width is Width.B4


@pytest.mark.case("R22")
def test_r22_a_receiver_that_hangs_up_at_v17_is_named_so() -> None:
    done = outcome_of("says DCN to V.17")
    assert done.sent.reason.code == "fax.disconnected", done.told()
    again = call(
        PAGES,
        sender=station(Coding.MMR),
        receiving=odd.RefusesFamily(Family.V29),
    )
    assert again.sent.verdict == "delivered", again.told()


@pytest.mark.case("R23")
@pytest.mark.parametrize("who", ["1 RCP", "no RCP", "4 RCP", "frames too long once", "frames too short once"])
def test_r23_sloppy_error_correction_still_brings_the_page(who: str) -> None:
    done = outcome_of(who)
    assert done.got.verdict == "received", done.told()
    assert [done.arrived(index) for index in range(2)] == [page.bitmap for page in PAGES]


@pytest.mark.case("R23")
@pytest.mark.parametrize("who", ["frames too long for ever", "frames too short for ever"])
def test_r23_frames_of_a_wrong_length_are_never_taken_for_a_page(who: str) -> None:
    done = outcome_of(who)
    assert not any(page.confirmed for page in done.got.pages), done.told()


@pytest.mark.case("R23")
def test_r23_a_fifth_ppr_is_given_for_a_fifth_pps() -> None:
    done = outcome_of("withholds a frame")
    answers = [step.action for step in done.receiver.transcript if isinstance(step.action, SendFrames)]
    pprs = [a for a in answers if (f := Frame.parse(a.frames[-1])) is not None and f.fcf is Fcf.PPR]
    assert len(pprs) > 4, done.told()
    assert done.got.verdict == "failed", done.told()


@pytest.mark.parametrize(
    ("who", "code"),
    [
        ("never trains", "fax.training"),
        ("never confirms", "fax.page_refused"),
        ("never ready", "fax.no_response"),
        ("silent after DIS", "fax.no_response"),
        ("hangs up after CFR", "line.dropped"),
    ],
)
def test_a_sender_says_why_it_gave_up(who: str, code: str) -> None:
    done = outcome_of(who)
    assert done.sent.reason.code == code, done.told()
    assert done.sent.verdict == "failed"


@pytest.mark.case("R23")
def test_r23_a_receiver_that_is_never_satisfied_is_stepped_down_to_and_given_up() -> None:
    done = outcome_of("never satisfied")
    assert not any(page.confirmed for page in done.sent.pages), done.told()
    assert done.sent.modulation is Modulation.V27TER_2400, done.told()


@pytest.mark.case("R18")
@pytest.mark.parametrize("ecm", [False, True])
def test_r18_a_new_page_size_costs_a_training_check_and_no_speed(ecm: bool) -> None:
    pages = [PAGES[0], sheet(2, rows=120, width=Width.B4), sheet(3, rows=120)]
    done = call(pages, sender=station(ecm=ecm))
    assert done.sent.verdict == "delivered", done.told()
    assert [done.arrived(index) for index in range(3)] == [page.bitmap for page in pages]
    assert done.sent.modulation is Modulation.V17_14400
    assert [training.passed for training in done.got.evidence.trainings] == [True] * 3, done.told()


@pytest.mark.case("R17")
@pytest.mark.parametrize("ecm", [False, True])
def test_r17_every_training_check_of_ours_follows_dcs_and_has_long_training(ecm: bool) -> None:
    done = call(PAGES, sender=station(ecm=ecm), faults=Faults(untrainable=V17))
    said = [step.action for step in done.sender.transcript if isinstance(step.action, SendFrames | SendData)]
    checks = [n for n, each in enumerate(said) if isinstance(each, SendData) and each.content is Content.TCF]
    assert len(checks) == 3, done.told()
    for n in checks:
        before, check = said[n - 1], said[n]
        assert isinstance(before, SendFrames)
        assert before.frames[-1][2] == Fcf.DCS.octet(x=True)
        assert check.modulation is check.modulation.long


@pytest.mark.case("R20")
@pytest.mark.parametrize(
    "fcf", [Fcf.DIS, Fcf.CFR, Fcf.FTT, Fcf.MPS, Fcf.EOP, Fcf.PPS, Fcf.PPR, Fcf.CTC, Fcf.CTR, Fcf.MCF]
)
def test_r20_the_line_echoes_all_that_is_said_and_the_fax_gets_through(fcf: Fcf) -> None:
    """Each of these is said in the call, and heard again by who said it."""
    ecm = fcf not in (Fcf.MPS, Fcf.EOP)
    damaged = fcf in (Fcf.PPR, Fcf.CTC, Fcf.CTR)
    policy = Policy(correction=Correction(requests=1))
    faults = Faults(seed=4, echoed=1.0, untrainable=V17 if fcf is Fcf.FTT else frozenset())
    sender = replace(station(ecm=ecm), policy=policy)
    done = call(PAGES, sender=sender, sending=odd.DamagesFirstBursts(2) if damaged else None, faults=faults)
    assert done.sent.verdict == "delivered", done.told()
    assert [done.arrived(index) for index in range(2)] == [page.bitmap for page in PAGES]
    both = [*done.sender.transcript, *done.receiver.transcript]
    assert any(isinstance(step.action, SendFrames) and says(step.action, fcf) for step in both), done.told()


def says(action: SendFrames, fcf: Fcf) -> bool:
    frame = Frame.parse(action.frames[-1]) if action.modulation is Modulation.V21 else None
    return frame is not None and frame.fcf is fcf
