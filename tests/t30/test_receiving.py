"""The answerer and receiver, against a far machine played by hand."""

import pytest

from t30 import ecm
from t30.answering import answering
from t30.capabilities import Dcs, Dis, Station, agree
from t30.fcf import Fcf
from t30.frame import Frame
from t30.identity import encoded
from t30.judging import trained
from t30.line import (
    Answer,
    AwaitCall,
    CarrierLost,
    Cause,
    Content,
    FrameReceived,
    LineError,
    ListenData,
    ListenFrame,
    NotConnected,
    Quiet,
    Ringing,
    SendFrames,
    WrongCarrier,
)
from t30.outcome import Canceled, Training
from t30.pages import Coding, Length, PageFormat, Resolution, Verdict, Width
from t30.policy import Policy, Quality, TrainingCheck
from t30.rates import LADDER, Modulation
from tests.t30.dialogue import RTC, Dialogue

STATION = Station(ident="+49 30 1234")
V17, V17_SHORT = Modulation.V17_14400, Modulation.V17_14400_SHORT
TSI = (Fcf.TSI, encoded("+1 555 0100"))
BAD = Verdict(100, 40, 3, durable=True)
POOR = Verdict(100, 10, 3, durable=True)
NOT_YET = Verdict(100, 0, 0, durable=False)


def dcs(modulation: Modulation = V17, *, with_ecm: bool = False, frame_octets: int = 256) -> tuple[Fcf, bytes]:
    """Return the DCS of a sender that likes what this station can do."""
    page = PageFormat(Width.A4, Length.A4, Resolution.FINE, Coding.MR, with_ecm)
    terms = agree(Station(frame_octets=frame_octets), STATION.dis())
    return Fcf.DCS, terms.dcs(page, modulation).octets


def answered(*verdicts: Verdict) -> Dialogue:
    """Return a call that was answered."""
    call = Dialogue(answering(STATION), verdicts=verdicts, x=True)
    assert isinstance(call.action, AwaitCall)
    call.gives(Ringing("0100", "1234"), 100)
    call.now = 0
    assert isinstance(call.action, Answer)
    call.connects()
    return call


def trains(call: Dialogue, modulation: Modulation = V17, *, with_ecm: bool = False, good: bool = True) -> None:
    """Have the far machine train at this rate."""
    call.hears(TSI, dcs(modulation, with_ecm=with_ecm))
    octets = modulation.octets(1.5)
    call.hears_data(modulation, Content.TCF, bytes(octets) if good else b"\x55" * octets)
    call.says(Fcf.CFR if good else Fcf.FTT)


def receiving(*verdicts: Verdict, with_ecm: bool = False) -> Dialogue:
    """Return a call in which the far machine has trained."""
    call = answered(*verdicts)
    call.says(Fcf.CSI, Fcf.DIS)
    trains(call, with_ecm=with_ecm)
    return call


def test_a_page_that_is_good_is_confirmed_and_received() -> None:
    call = receiving()
    call.hears_data(V17_SHORT, Content.PAGE, b"page")
    call.hears(Fcf.EOP)
    call.says(Fcf.MCF)
    call.hears(Fcf.DCN)
    outcome = call.hangs_up()
    assert (outcome.verdict, outcome.remote_id, outcome.modulation) == ("received", "+1 555 0100", V17)
    assert call.kept == {0: b"page"}
    assert outcome.reason.code == ""


def test_what_an_answerer_says_has_the_bit_of_a_station_that_sent_dis() -> None:
    call = answered()
    assert [frame.code for frame in call.says(Fcf.CSI, Fcf.DIS)] == [0x40, 0x80]
    trains(call)
    call.hears_data(V17_SHORT, Content.PAGE, b"page")
    call.hears(Fcf.EOP)
    assert call.says(Fcf.MCF)[0].code == 0x8C


def test_dis_is_repeated_until_dcs_arrives_or_t1_has_elapsed() -> None:
    call = answered()
    answered_at = call.now
    repetitions = 0
    while isinstance(call.action, ListenFrame) or not repetitions or call.now - answered_at < 35:
        call.says(Fcf.CSI, Fcf.DIS)
        call.hears_nothing()
        repetitions += 1
    assert repetitions == 9
    call.says(Fcf.DCN)
    assert call.hangs_up().reason.code == "fax.no_machine"


def test_nonstandard_facilities_are_said_first_where_there_are_any() -> None:
    call = Dialogue(answering(Station(ident="1", nonstandard=b"\xad\x00U")), x=True)
    call.gives(Ringing("", ""))
    call.connects()
    assert call.says(Fcf.NSF, Fcf.CSI, Fcf.DIS)[0].fif == b"\xad\x00U"


def test_a_caller_that_is_gone_before_we_answer_is_a_dropped_call() -> None:
    call = Dialogue(answering(STATION))
    call.gives(Ringing("", ""))
    call.gives(NotConnected(Cause.NO_CARRIER))
    assert call.hangs_up().reason.code == "line.dropped"


def test_waiting_for_a_call_can_be_canceled() -> None:
    call = Dialogue(answering(STATION))
    call.session.throw(Canceled("enough"))
    assert call.hangs_up().reason.code == "call.canceled"


def test_training_that_fails_is_refused_at_every_rate() -> None:
    call = answered()
    call.says(Fcf.CSI, Fcf.DIS)
    for modulation in LADDER:
        trains(call, modulation, good=False)
    trains(call, Modulation.V27TER_2400)
    call.hears_data(Modulation.V27TER_2400, Content.PAGE, b"page")


def test_no_training_check_at_all_is_refused() -> None:
    call = answered()
    call.says(Fcf.CSI, Fcf.DIS)
    call.hears(TSI, dcs())
    call.gives(Quiet(), 4.5)
    call.says(Fcf.FTT)


def test_dcs_again_in_place_of_training_is_obeyed() -> None:
    call = answered()
    call.says(Fcf.CSI, Fcf.DIS)
    call.hears(TSI, dcs())
    call.gives(WrongCarrier(Modulation.V21), 1)
    trains(call)


def test_a_rate_that_t30_does_not_know_is_refused() -> None:
    call = answered()
    call.says(Fcf.CSI, Fcf.DIS)
    call.hears((Fcf.DCS, bytes.fromhex("00 3e 00")))
    assert call.action == ListenFrame(Modulation.V21, 3.0)  # the training check, which cannot be received, passes
    call.hears_nothing()
    call.says(Fcf.FTT)
    trains(call)


@pytest.mark.parametrize(
    ("octets", "good"),
    [
        (bytes(2700), True),
        (b"\x55" * 60 + bytes(2640) + b"\xff" * 35, True),
        (bytes(1700) + b"\x01" * 250 + bytes(750), False),
        (bytes(1790), False),
        ((bytes(899) + b"\x10") * 3, False),
        (bytes(1900) + b"\x20" * 10 + bytes(790), True),
        (b"", False),
    ],
)
def test_a_training_check_needs_a_second_of_zeros_and_few_errors(octets: bytes, good: bool) -> None:
    assert trained(octets, V17, TrainingCheck()) is good


def test_what_a_modem_adds_at_the_end_of_the_carrier_spoils_no_short_training_check() -> None:
    assert trained(bytes(350) + b"\xff" * 45, Modulation.V27TER_2400, TrainingCheck())
    assert trained(b"\xff" * 120 + bytes(350), Modulation.V27TER_2400, TrainingCheck())
    assert not trained(bytes(175) + b"\xff" * 45 + bytes(175), Modulation.V27TER_2400, TrainingCheck())


def test_noise_that_looks_like_one_carrier_after_another_is_not_waited_out() -> None:
    call = answered()
    call.says(Fcf.CSI, Fcf.DIS)
    heard = 0
    while isinstance(call.action, ListenFrame):
        call.gives(WrongCarrier(None), 0.2)
        heard += 1
        assert heard < 20
    call.says(Fcf.CSI, Fcf.DIS)


def test_a_poor_page_is_confirmed_and_trained_again() -> None:
    call = receiving(POOR)
    call.hears_data(V17_SHORT, Content.PAGE, b"page")
    call.hears(Fcf.MPS)
    call.says(Fcf.RTP)
    trains(call, Modulation.V29_9600)
    call.hears_data(Modulation.V29_9600, Content.PAGE, b"next")
    call.hears(Fcf.EOP)
    call.says(Fcf.MCF)
    call.hears(Fcf.DCN)
    outcome = call.hangs_up()
    assert outcome.verdict == "received"
    assert [page.bad_rows for page in outcome.pages] == [10, 0]
    assert call.kept == {0: b"page", 1: b"next"}


def test_a_bad_page_is_refused_and_comes_again_in_its_place() -> None:
    call = receiving(BAD)
    call.hears_data(V17_SHORT, Content.PAGE, b"bad")
    call.hears(Fcf.EOP)
    call.says(Fcf.RTN)
    trains(call, Modulation.V29_9600)
    call.hears_data(Modulation.V29_9600, Content.PAGE, b"good")
    call.hears(Fcf.EOP)
    call.says(Fcf.MCF)
    call.hears(Fcf.DCN)
    outcome = call.hangs_up()
    assert outcome.verdict == "received"
    assert [(page.index, page.confirmed) for page in outcome.pages] == [(0, True)]


def test_a_run_of_bad_lines_refuses_a_page_that_is_good_otherwise() -> None:
    call = receiving(Verdict(1000, 6, 6, durable=True))
    call.hears_data(V17_SHORT, Content.PAGE, b"page")
    call.hears(Fcf.EOP)
    call.says(Fcf.RTN)


def test_a_page_without_a_line_is_refused() -> None:
    call = receiving(Verdict(0, 0, 0, durable=True))
    call.hears_data(V17_SHORT, Content.PAGE, b"\0")
    call.hears(Fcf.EOP)
    call.says(Fcf.RTN)


def test_a_page_that_never_came_is_refused() -> None:
    call = receiving()
    call.gives(WrongCarrier(Modulation.V21), 2)
    call.hears(Fcf.EOP)
    call.says(Fcf.RTN)
    call.hears(Fcf.DCN)
    assert call.hangs_up().verdict == "failed"


def test_a_page_that_is_not_safe_yet_is_confirmed_only_when_it_is() -> None:
    call = receiving(NOT_YET)
    call.hears_data(V17_SHORT, Content.PAGE, b"page")
    call.hears(Fcf.EOP)
    call.hears(Fcf.EOP)
    call.says(Fcf.MCF)
    call.hears(Fcf.DCN)
    assert call.hangs_up().verdict == "received"


def test_a_command_whose_answer_was_lost_is_answered_again() -> None:
    call = receiving()
    call.hears_data(V17_SHORT, Content.PAGE, b"page")
    call.hears(Fcf.MPS)
    call.says(Fcf.MCF)
    call.gives(WrongCarrier(Modulation.V21), 2.0)
    call.hears(Fcf.MPS)
    call.says(Fcf.MCF)
    call.hears_data(V17_SHORT, Content.PAGE, b"next")
    call.hears(Fcf.EOP)
    call.says(Fcf.MCF)
    call.hears(Fcf.DCN)
    assert [page.confirmed for page in call.hangs_up().pages] == [True, True]


def test_a_page_lost_whole_is_not_taken_for_a_repeated_command() -> None:
    call = receiving()
    call.hears_data(V17_SHORT, Content.PAGE, b"page")
    call.hears(Fcf.MPS)
    call.says(Fcf.MCF)
    call.gives(Quiet(), 6)
    call.hears(Fcf.MPS)
    call.says(Fcf.RTN)


def test_crp_has_the_answer_repeated() -> None:
    call = receiving()
    call.hears_data(V17_SHORT, Content.PAGE, b"page")
    call.hears(Fcf.EOP)
    call.says(Fcf.MCF)
    call.hears(Fcf.CRP)
    call.says(Fcf.MCF)


def test_a_wish_for_an_operator_is_the_plain_command() -> None:
    call = receiving()
    call.hears_data(V17_SHORT, Content.PAGE, b"page")
    call.hears(Fcf.PRI_EOP)
    call.says(Fcf.MCF)
    call.hears(Fcf.DCN)
    assert call.hangs_up().verdict == "received"


def test_after_eom_the_sender_is_told_again_what_we_can_do() -> None:
    call = receiving()
    call.hears_data(V17_SHORT, Content.PAGE, b"page")
    call.hears(Fcf.EOM)
    call.says(Fcf.MCF)
    call.hears_nothing()
    call.says(Fcf.CSI, Fcf.DIS)
    trains(call)
    call.hears_data(V17_SHORT, Content.PAGE, b"next")
    call.hears(Fcf.EOP)
    call.says(Fcf.MCF)
    call.hears(Fcf.DCN)
    assert call.kept == {0: b"page", 1: b"next"}
    assert call.hangs_up().verdict == "received"


def test_a_sender_that_goes_silent_leaves_what_was_confirmed() -> None:
    call = receiving()
    call.hears_data(V17_SHORT, Content.PAGE, b"page")
    call.hears(Fcf.MPS)
    call.says(Fcf.MCF)
    call.hears_nothing()
    call.hears_nothing()
    call.says(Fcf.DCN)
    outcome = call.hangs_up()
    assert (outcome.verdict, outcome.reason.code) == ("partial", "fax.no_response")


def test_a_caller_that_wants_a_document_is_told_that_there_is_none() -> None:
    call = answered()
    call.says(Fcf.CSI, Fcf.DIS)
    call.hears((Fcf.DTC, Dis().octets))
    call.says(Fcf.DCN)
    assert call.hangs_up().reason.code == "fax.incompatible"


# ------------------------------------------------------------------------------------------------ error correction


def fcd(number: int, octets: bytes) -> Frame:
    return Frame.of(Fcf.FCD, bytes((number,)) + octets, final=False)


def pps(after: Fcf | None, *, page: int = 0, block: int = 0, frames: int) -> tuple[Fcf, bytes]:
    return Fcf.PPS, ecm.pps(after, page=page, block=block, frames=frames)


def piece(number: int) -> bytes:
    return bytes((number,)) * 256


def test_frames_that_are_missing_are_asked_for_and_the_page_is_kept_in_order() -> None:
    call = receiving(with_ecm=True)
    call.hears_burst(V17_SHORT, fcd(0, piece(0)), fcd(2, piece(2)))
    call.hears(pps(Fcf.EOP, frames=3))
    (ppr,) = call.says(Fcf.PPR)
    assert ecm.requested(ppr.fif, 3) == [1]
    call.hears_burst(V17_SHORT, fcd(1, piece(1)))
    call.hears(pps(Fcf.EOP, frames=1))
    call.says(Fcf.MCF)
    call.hears(Fcf.DCN)
    assert call.kept == {0: piece(0) + piece(1) + piece(2)}
    assert call.hangs_up().verdict == "received"


def test_a_frame_of_odd_length_is_asked_for_again() -> None:
    call = receiving(with_ecm=True)
    call.hears_burst(V17_SHORT, fcd(0, bytes(17)), fcd(1, piece(1)))
    call.hears(pps(Fcf.EOP, frames=2))
    (ppr,) = call.says(Fcf.PPR)
    assert ecm.requested(ppr.fif, 2) == [0]


def test_blocks_of_a_page_are_confirmed_one_by_one() -> None:
    call = receiving(with_ecm=True)
    call.hears_burst(V17_SHORT, fcd(0, piece(0)))
    call.hears(pps(None, frames=1))
    call.says(Fcf.MCF)
    call.hears_burst(V17_SHORT, fcd(0, piece(1)))
    call.hears(pps(Fcf.MPS, block=1, frames=1))
    call.says(Fcf.MCF)
    call.hears_burst(V17_SHORT, fcd(0, piece(2)))
    call.hears(pps(Fcf.EOP, page=1, frames=1))
    call.says(Fcf.MCF)
    call.hears(Fcf.DCN)
    assert call.kept == {0: piece(0) + piece(1), 1: piece(2)}
    assert [page.octets for page in call.hangs_up().pages] == [512, 256]


def test_pps_again_because_mcf_was_lost_is_confirmed_again_and_kept_once() -> None:
    call = receiving(with_ecm=True)
    call.hears_burst(V17_SHORT, fcd(0, piece(0)))
    call.hears(pps(None, frames=1))
    call.says(Fcf.MCF)
    assert isinstance(call.action, ListenFrame)
    call.gives(WrongCarrier(Modulation.V21), 3)
    call.hears(pps(None, frames=1))
    call.says(Fcf.MCF)
    assert call.kept == {0: piece(0)}


def test_a_burst_lost_whole_is_asked_for() -> None:
    call = receiving(with_ecm=True)
    call.gives(Quiet(), 6)
    call.hears(pps(Fcf.EOP, frames=2))
    (ppr,) = call.says(Fcf.PPR)
    assert ecm.requested(ppr.fif, 2) == [0, 1]


def test_a_page_that_is_not_safe_yet_is_not_ready() -> None:
    call = receiving(NOT_YET, NOT_YET, with_ecm=True)
    call.hears_burst(V17_SHORT, fcd(0, piece(0)))
    call.hears(pps(Fcf.EOP, frames=1))
    call.says(Fcf.RNR)
    call.hears(Fcf.RR)
    call.says(Fcf.RNR)
    call.hears(Fcf.RR)
    call.says(Fcf.MCF)
    call.hears(Fcf.DCN)
    assert call.hangs_up().verdict == "received"


def test_a_change_of_rate_is_followed_with_long_training() -> None:
    call = receiving(with_ecm=True)
    call.hears_burst(V17_SHORT, fcd(0, piece(0)))
    call.hears(pps(Fcf.EOP, frames=2))
    call.says(Fcf.PPR)
    call.gives(CarrierLost(), 1)
    call.hears((Fcf.CTC, Dcs(dcs(Modulation.V17_12000)[1]).octets[:2]))
    call.says(Fcf.CTR)
    call.hears_burst(Modulation.V17_12000, fcd(1, piece(1)))
    call.hears(pps(Fcf.EOP, frames=1))
    call.says(Fcf.MCF)
    call.hears(Fcf.DCN)
    outcome = call.hangs_up()
    assert (outcome.verdict, outcome.modulation) == ("received", Modulation.V17_12000)


def test_a_page_that_is_given_up_is_kept_but_not_confirmed() -> None:
    call = receiving(with_ecm=True)
    call.hears_burst(V17_SHORT, fcd(0, piece(0)))
    call.hears(pps(Fcf.MPS, frames=2))
    call.says(Fcf.PPR)
    call.gives(CarrierLost(), 1)
    call.hears((Fcf.EOR, bytes((Fcf.MPS.code,))))
    call.says(Fcf.ERR)
    call.hears_burst(V17_SHORT, fcd(0, piece(2)))
    call.hears(pps(Fcf.EOP, page=1, frames=1))
    call.says(Fcf.MCF)
    call.hears(Fcf.DCN)
    outcome = call.hangs_up()
    assert outcome.verdict == "partial"
    assert [page.confirmed for page in outcome.pages] == [False, True]
    assert call.kept == {0: piece(0), 1: piece(2)}


def test_a_page_sent_without_frames_after_all_is_refused() -> None:
    call = receiving(with_ecm=True)
    assert isinstance(call.action, ListenFrame)
    call.gives(CarrierLost(), 5)
    call.hears(Fcf.EOP)
    call.says(Fcf.RTN)


def test_the_state_of_a_call_is_named_by_what_is_going_on() -> None:
    call = receiving()
    assert isinstance(call.action, ListenData)
    assert call.session.path == "answering > answer > receive > until_end > next > in_message > page"


def test_our_own_echo_does_not_hide_the_page_after_it() -> None:
    call = receiving()
    call.gives(WrongCarrier(Modulation.V21), 0.5)
    call.x = False
    call.hears(Fcf.CFR)
    call.x = True
    call.hears_data(V17_SHORT, Content.PAGE, b"page")
    call.hears(Fcf.EOP)
    call.says(Fcf.MCF)


def test_our_own_echo_does_not_hide_the_training_check_after_it() -> None:
    call = answered()
    call.says(Fcf.CSI, Fcf.DIS)
    call.hears(TSI, dcs())
    call.gives(WrongCarrier(Modulation.V21), 0.1)
    call.x = False
    call.hears((Fcf.CSI, encoded(STATION.ident)), (Fcf.DIS, STATION.dis().octets))
    call.x = True
    call.hears_data(V17, Content.TCF, bytes(2700))
    call.says(Fcf.CFR)


def test_a_command_repeated_at_once_because_its_answer_was_damaged_is_answered_again() -> None:
    call = receiving()
    call.hears_data(V17_SHORT, Content.PAGE, b"page")
    call.hears(Fcf.MPS)
    call.says(Fcf.MCF)
    call.gives(WrongCarrier(Modulation.V21), 0.3)
    call.hears(Fcf.MPS)
    call.says(Fcf.MCF)


def test_a_fax_without_a_page_is_not_received() -> None:
    call = receiving(with_ecm=True)
    call.gives(CarrierLost(), 1)
    call.hears((Fcf.EOR, bytes((Fcf.EOP.code,))))
    call.says(Fcf.ERR)
    call.hears(Fcf.DCN)
    assert call.hangs_up().verdict == "failed"


def test_a_page_whose_confirmation_did_not_get_out_is_not_confirmed() -> None:
    call = receiving()
    call.hears_data(V17_SHORT, Content.PAGE, b"page")
    call.hears(Fcf.EOP)
    assert isinstance(call.action, SendFrames)
    call.session.throw(LineError("gone", code="line.dropped"))
    outcome = call.hangs_up()
    assert (outcome.verdict, outcome.reason.code) == ("failed", "line.dropped")
    assert [page.confirmed for page in outcome.pages] == [False]


def test_what_follows_an_unknown_partial_page_is_an_error_of_the_other_side() -> None:
    call = receiving(with_ecm=True)
    call.hears_burst(V17_SHORT, fcd(0, piece(0)))
    call.hears((Fcf.PPS, b"\x55\x00\x00\x00"))
    call.says(Fcf.DCN)
    assert call.hangs_up().reason.code == "fax.protocol"


def test_a_page_that_is_broken_off_by_training_begins_anew() -> None:
    call = receiving()
    call.hears_data(V17_SHORT, Content.PAGE, b"half a page")
    trains(call, Modulation.V29_9600)
    assert call.judged == [0]
    call.hears_data(Modulation.V29_9600, Content.PAGE, b"the page")
    call.hears(Fcf.EOP)
    call.says(Fcf.MCF)
    call.hears(Fcf.DCN)
    assert call.hangs_up().pages[0].octets == len(b"the page")


def test_a_command_repeated_after_crp_is_still_known() -> None:
    call = receiving()
    call.hears_data(V17_SHORT, Content.PAGE, b"page")
    call.hears(Fcf.MPS)
    call.says(Fcf.MCF)
    call.gives(WrongCarrier(Modulation.V21), 0.1)
    call.hears(Fcf.CRP)
    call.says(Fcf.MCF)
    call.gives(WrongCarrier(Modulation.V21), 2.0)
    call.hears(Fcf.MPS)
    call.says(Fcf.MCF)


def test_the_page_that_follows_the_tail_of_an_echo_is_received_from_its_first_octet() -> None:
    call = receiving()
    call.gives(WrongCarrier(Modulation.V21), 0.1)
    call.gives(CarrierLost(), 0.1)
    call.gives(WrongCarrier(Modulation.V21), 0.1)
    call.gives(WrongCarrier(V17_SHORT), 0.2)
    call.hears_data(V17_SHORT, Content.PAGE, b"page")
    call.hears(Fcf.EOP)
    call.says(Fcf.MCF)


def test_a_page_that_went_by_unheard_is_refused_although_its_command_looks_repeated() -> None:
    call = receiving()
    call.hears_data(V17_SHORT, Content.PAGE, b"page")
    call.hears(Fcf.MPS)
    call.says(Fcf.MCF)
    call.gives(WrongCarrier(Modulation.V29_9600), 0.5)
    call.gives(WrongCarrier(Modulation.V29_9600), 0)
    call.gives(CarrierLost(), 1.2)
    call.hears(Fcf.MPS)
    call.says(Fcf.RTN)


def test_a_page_cut_off_by_a_lost_carrier_is_refused() -> None:
    call = receiving()
    call.hears_data(V17_SHORT, Content.PAGE, b"half")
    call.gives(CarrierLost(), 1.9)
    call.hears(Fcf.EOP)
    call.says(Fcf.RTN)


def test_a_page_without_rtc_whose_command_follows_at_once_is_confirmed() -> None:
    call = receiving()
    call.hears_data(V17_SHORT, Content.PAGE, b"page")
    call.gives(FrameReceived(b"\xff\x13\x2f", good=False), 1.3)
    call.gives(CarrierLost(), 0)
    call.gives(CarrierLost(), 2.8)
    call.hears(Fcf.EOP)
    call.says(Fcf.MCF)


def test_an_end_without_a_fault_of_its_own_has_a_reason_all_the_same() -> None:
    call = receiving(with_ecm=True)
    call.gives(CarrierLost(), 1)
    call.hears((Fcf.EOR, b"\x2f"))
    call.says(Fcf.ERR)
    call.hears_nothing()
    assert call.hangs_up().reason.code == "fax.incomplete"


def test_a_page_without_end_from_a_sender_that_ends_its_pages_is_refused() -> None:
    call = receiving()
    call.hears_data(V17_SHORT, Content.PAGE, b"page" + RTC)
    call.hears(Fcf.MPS)
    call.says(Fcf.MCF)
    call.hears_data(V17_SHORT, Content.PAGE, b"half")
    call.hears(Fcf.EOP)
    call.says(Fcf.RTN)


def test_a_receiver_tells_what_it_saw_of_the_sender_and_of_the_line() -> None:
    call = answered(BAD)
    call.says(Fcf.CSI, Fcf.DIS)
    nss = (Fcf.NSS, bytes.fromhex("B5 00 55 01"))
    call.hears(nss, TSI, dcs(V17))
    call.hears_data(V17, Content.TCF, b"\x55" * 2700)
    call.says(Fcf.FTT)
    call.hears(TSI, dcs(Modulation.V29_9600))
    call.hears_data(Modulation.V29_9600, Content.TCF, bytes(1799) + b"\x03")
    call.says(Fcf.CFR)
    call.hears_data(Modulation.V29_9600, Content.PAGE, b"page")
    call.hears(Fcf.EOP)
    call.says(Fcf.RTN)
    call.hears(Fcf.DCN)
    seen = call.hangs_up().evidence
    assert seen.trainings == (Training(V17, False, 0.5), Training(Modulation.V29_9600, True, 2 / 14400))
    assert (seen.capabilities, seen.nonstandard) == (dcs(Modulation.V29_9600)[1], nss[1])
    assert (seen.corrections, seen.refusals, seen.hung_up_after) == (0, 1, Fcf.RTN)


def test_the_thresholds_of_a_receiver_are_those_of_its_policy() -> None:
    strict = Station(policy=Policy(quality=Quality(confirm=0.01, retrain=0.02), training=TrainingCheck(damaged=0.0)))
    call = Dialogue(answering(strict), verdicts=[Verdict(100, 3, 1, durable=True)], x=True)
    call.gives(Ringing("", ""))
    call.connects()
    call.says(Fcf.DIS)
    call.hears(TSI, dcs(V17))
    call.hears_data(V17, Content.TCF, bytes(2699) + b"\x03")
    call.says(Fcf.FTT)
    call.hears(TSI, dcs(V17))
    call.hears_data(V17, Content.TCF, bytes(2700))
    call.says(Fcf.CFR)
    call.hears_data(V17_SHORT, Content.PAGE, b"page")
    call.hears(Fcf.EOP)
    call.says(Fcf.RTN)
