"""The caller and sender, against a far machine played by hand."""

from dataclasses import replace

import pytest

from t30 import ecm, timers
from t30.calling import calling
from t30.capabilities import Dcs, Dis, ScanTime, Station
from t30.fcf import Fcf
from t30.frame import Frame
from t30.identity import encoded
from t30.line import Cause, Content, FrameReceived, LineError, NotConnected, SendData, SendFrames, Sent
from t30.outcome import Canceled, Training
from t30.pages import NoteConfirmed, Resolution
from t30.policy import Correction, Policy, Refused
from t30.rates import LADDER, Family, Modulation
from tests.t30.dialogue import Dialogue

STATION = Station(ident="+1 555 0100")
PLAIN = Station(ident="+1 555 0100", ecm=False)
DIS = (Fcf.DIS, Station().dis().octets)
PAGE = (Resolution.FINE, b"page")
STANDARD_PAGE = (Resolution.STANDARD, b"page")
V17, V17_SHORT = Modulation.V17_14400, Modulation.V17_14400_SHORT


def in_phase_b(station: Station, *pages: tuple[Resolution, bytes], dis: tuple[Fcf, bytes] = DIS) -> Dialogue:
    """Return a call in which DIS was heard."""
    call = Dialogue(calling(station, "0100"), pages=pages)
    call.connects()
    call.hears((Fcf.CSI, encoded("+49 30 1234")), dis)
    return call


def trained(station: Station, *pages: tuple[Resolution, bytes], dis: tuple[Fcf, bytes] = DIS) -> Dialogue:
    """Return a call in which the first rate was agreed on."""
    call = in_phase_b(station, *pages, dis=dis)
    call.says(Fcf.TSI, Fcf.DCS)
    assert isinstance(call.action, SendData)
    call.gives(Sent())
    call.hears(Fcf.CFR)
    return call


def ladder_step(call: Dialogue, modulation: Modulation) -> Dcs:
    """Expect DCS and TCF at this rate."""
    dcs = Dcs(call.says(Fcf.TSI, Fcf.DCS)[-1].fif)
    assert dcs.modulation is modulation
    tcf = call.sends_data(modulation, Content.TCF)
    assert tcf == bytes(modulation.bps * 7 // 40)  # 1.4 s: T.30 allows 1.5 s +- 10 %
    return dcs


def test_a_page_that_is_confirmed_is_delivered() -> None:
    call = trained(PLAIN, PAGE)
    assert call.sends_data(V17_SHORT, Content.PAGE) == b"page"
    call.says(Fcf.EOP)
    call.hears(Fcf.MCF)
    call.says(Fcf.DCN)
    outcome = call.hangs_up()
    assert (outcome.verdict, outcome.remote_id, outcome.modulation) == ("delivered", "+49 30 1234", V17)
    assert [page.confirmed for page in outcome.pages] == [True]
    assert outcome.reason.code == ""


def test_a_confirmation_is_noted_before_anything_else_is_said() -> None:
    call = trained(PLAIN, PAGE, PAGE)
    call.sends_data(V17_SHORT, Content.PAGE)
    call.says(Fcf.MPS)
    call.hears(Fcf.MCF)
    note = call.session.action
    assert isinstance(note, NoteConfirmed)
    assert (note.index, note.rows, note.octets) == (0, 100, len(b"page"))
    call.sends_data(V17_SHORT, Content.PAGE)
    assert call.noted == [0]


def test_a_refused_page_is_not_noted() -> None:
    call = trained(PLAIN, PAGE)
    call.sends_data(V17_SHORT, Content.PAGE)
    call.says(Fcf.EOP)
    call.hears(Fcf.RTN)
    call.says(Fcf.TSI, Fcf.DCS)
    assert call.noted == []


def test_whoever_gives_the_pages_is_told_whom_they_are_for() -> None:
    call = in_phase_b(PLAIN, PAGE)
    assert call.action  # the first page is fetched
    assert {fetched.receiver for fetched in call.fetched} == {"+49 30 1234"}


def test_what_a_sender_says_has_the_bit_of_a_station_that_received_dis() -> None:
    call = in_phase_b(PLAIN, PAGE)
    assert [frame.code for frame in call.says(Fcf.TSI, Fcf.DCS)] == [0x43, 0x83]


@pytest.mark.parametrize("cause", Cause)
def test_a_call_that_is_not_connected_has_the_cause_as_reason(cause: Cause) -> None:
    call = Dialogue(calling(PLAIN, "0100"), pages=[PAGE])
    call.gives(NotConnected(cause))
    outcome = call.hangs_up()
    assert (outcome.verdict, outcome.reason.code) == ("failed", cause.value)


def test_each_training_that_fails_steps_down_to_v27ter_2400_and_then_gives_up() -> None:
    call = in_phase_b(PLAIN, PAGE)
    for modulation in (*LADDER, Modulation.V27TER_2400):
        ladder_step(call, modulation)
        call.hears(Fcf.FTT)
    call.says(Fcf.DCN)
    assert call.hangs_up().reason.code == "fax.training"


def test_rates_that_the_receiver_lacks_are_not_tried() -> None:
    dis = (Fcf.DIS, Station(families=frozenset({Family.V27TER})).dis().octets)
    call = in_phase_b(PLAIN, PAGE, dis=dis)
    ladder_step(call, Modulation.V27TER_4800)


def test_a_command_without_response_is_sent_three_times() -> None:
    call = in_phase_b(PLAIN, PAGE)
    for _ in range(3):
        ladder_step(call, V17)
        call.hears_nothing()
    call.says(Fcf.DCN)
    assert call.hangs_up().reason.code == "fax.no_response"


def test_dis_again_means_that_dcs_was_not_heard() -> None:
    call = in_phase_b(PLAIN, PAGE)
    ladder_step(call, V17)
    call.hears((Fcf.CSI, encoded("+49")), DIS)
    ladder_step(call, V17)


def test_crp_has_the_command_repeated() -> None:
    call = trained(PLAIN, PAGE)
    call.sends_data(V17_SHORT, Content.PAGE)
    call.says(Fcf.EOP)
    call.hears(Fcf.CRP)
    call.says(Fcf.EOP)
    call.hears(Fcf.MCF)
    call.says(Fcf.DCN)


def test_a_damaged_answer_to_training_is_asked_for_again_rather_than_trained_again() -> None:
    call = in_phase_b(PLAIN, PAGE)
    ladder_step(call, V17)
    call.hears(Fcf.CFR, good=False)
    call.says(Fcf.CRP)
    call.hears(Fcf.CFR)
    call.sends_data(V17_SHORT, Content.PAGE)


def test_a_damaged_answer_to_a_page_has_the_command_repeated() -> None:
    call = trained(PLAIN, PAGE)
    call.sends_data(V17_SHORT, Content.PAGE)
    call.says(Fcf.EOP)
    call.hears(Fcf.MCF, good=False)
    call.says(Fcf.EOP)


def test_our_own_echo_is_no_answer() -> None:
    call = trained(PLAIN, PAGE)
    call.sends_data(V17_SHORT, Content.PAGE)
    call.says(Fcf.EOP)
    call.x = True
    call.hears(Fcf.EOP)
    call.x = False
    call.hears(Fcf.MCF)
    call.says(Fcf.DCN)
    assert call.hangs_up().verdict == "delivered"


def test_pages_of_one_format_follow_each_other_by_mps() -> None:
    call = trained(PLAIN, PAGE, PAGE)
    call.sends_data(V17_SHORT, Content.PAGE)
    call.says(Fcf.MPS)
    call.hears(Fcf.MCF)
    call.sends_data(V17_SHORT, Content.PAGE)
    call.says(Fcf.EOP)


def test_a_page_of_another_format_is_negotiated_by_eom() -> None:
    call = trained(PLAIN, PAGE, STANDARD_PAGE)
    call.sends_data(V17_SHORT, Content.PAGE)
    call.says(Fcf.EOM)
    call.hears(Fcf.MCF)
    call.hears(DIS)
    dcs = ladder_step(call, V17)
    assert dcs.resolution is Resolution.STANDARD
    call.hears(Fcf.CFR)
    call.sends_data(V17_SHORT, Content.PAGE)
    call.says(Fcf.EOP)


def test_after_eom_the_line_is_not_tried_faster_than_it_was() -> None:
    call = in_phase_b(PLAIN, PAGE, STANDARD_PAGE)
    for modulation in LADDER[:3]:
        ladder_step(call, modulation)
        call.hears(Fcf.CFR if modulation is LADDER[2] else Fcf.FTT)
    call.sends_data(Modulation.V29_9600, Content.PAGE)
    call.says(Fcf.EOM)
    call.hears(Fcf.MCF)
    call.hears(DIS)
    ladder_step(call, Modulation.V29_9600)


def test_a_page_confirmed_with_rtp_is_followed_by_training() -> None:
    call = trained(PLAIN, PAGE, PAGE)
    call.sends_data(V17_SHORT, Content.PAGE)
    call.says(Fcf.MPS)
    call.hears(Fcf.RTP)
    ladder_step(call, V17)
    call.hears(Fcf.CFR)
    call.sends_data(V17_SHORT, Content.PAGE)
    call.says(Fcf.EOP)
    call.hears(Fcf.MCF)
    call.says(Fcf.DCN)
    assert call.hangs_up().verdict == "delivered"


def test_a_refused_page_is_sent_again_one_rate_lower_and_three_times_at_most() -> None:
    call = in_phase_b(PLAIN, PAGE)
    for modulation in LADDER[:3]:
        ladder_step(call, modulation)
        call.hears(Fcf.CFR)
        call.sends_data(modulation.short, Content.PAGE)
        call.says(Fcf.EOP)
        call.hears(Fcf.RTN)
    call.says(Fcf.DCN)
    outcome = call.hangs_up()
    assert (outcome.verdict, outcome.reason.code) == ("failed", "fax.page_refused")
    assert [page.confirmed for page in outcome.pages] == [False]


def test_scan_lines_are_filled_for_the_rate_in_use() -> None:
    slow = Dis(Station(ecm=False).dis().octets).but(scan_time=ScanTime(20, 10))
    call = in_phase_b(PLAIN, PAGE, dis=(Fcf.DIS, slow.octets))
    ladder_step(call, V17)
    call.hears(Fcf.FTT)
    ladder_step(call, Modulation.V17_12000)
    call.hears(Fcf.CFR)
    call.sends_data(Modulation.V17_12000_SHORT, Content.PAGE)
    assert [(fetched.index, fetched.min_row_bits) for fetched in call.fetched][-2:] == [(0, 120), (1, 0)]


def test_dcn_in_place_of_confirmation_is_not_delivered() -> None:
    call = trained(PLAIN, PAGE)
    call.sends_data(V17_SHORT, Content.PAGE)
    call.says(Fcf.EOP)
    call.hears(Fcf.DCN)
    outcome = call.hangs_up()
    assert (outcome.verdict, outcome.reason.code) == ("failed", "fax.disconnected")


def test_a_line_that_drops_after_the_last_confirmation_has_delivered() -> None:
    call = trained(PLAIN, PAGE)
    call.sends_data(V17_SHORT, Content.PAGE)
    call.says(Fcf.EOP)
    call.hears(Fcf.MCF)
    assert isinstance(call.action, SendFrames)
    call.session.throw(LineError("gone", code="line.dropped"))
    outcome = call.hangs_up()
    assert (outcome.verdict, outcome.reason.code) == ("delivered", "")


def test_a_line_that_drops_earlier_has_delivered_what_was_confirmed() -> None:
    call = trained(PLAIN, PAGE, PAGE)
    call.sends_data(V17_SHORT, Content.PAGE)
    call.says(Fcf.MPS)
    call.hears(Fcf.MCF)
    call.session.throw(LineError("gone", code="line.dropped"))
    outcome = call.hangs_up()
    assert (outcome.verdict, outcome.reason.code) == ("partial", "line.dropped")


def test_an_operator_who_ends_the_call_has_the_other_side_told() -> None:
    call = trained(PLAIN, PAGE)
    call.session.throw(Canceled("enough"))
    call.says(Fcf.DCN)
    assert call.hangs_up().reason.code == "call.canceled"


def test_an_operator_who_insists_gets_the_line_at_once() -> None:
    call = trained(PLAIN, PAGE)
    call.session.throw(Canceled("enough"))
    assert isinstance(call.action, SendFrames)
    call.session.throw(Canceled("at once"))
    assert call.hangs_up().reason.code == "call.canceled"


def test_not_even_an_operator_who_insists_leaves_the_line_off_hook() -> None:
    call = trained(PLAIN, PAGE)
    for words in ("enough", "at once", "now"):
        call.session.throw(Canceled(words))
    assert call.hangs_up().reason.code == "call.canceled"


def test_a_silent_answerer_is_given_t1() -> None:
    call = Dialogue(calling(PLAIN, "0100"), pages=[PAGE])
    call.connects()
    connected = call.now
    while not isinstance(call.action, SendFrames):
        call.hears_nothing()
    assert 35.0 <= call.now - connected <= 40.0
    call.says(Fcf.DCN)
    assert call.hangs_up().reason.code == "fax.no_machine"


def test_a_machine_that_cannot_receive_is_told_goodbye() -> None:
    call = in_phase_b(PLAIN, PAGE, dis=(Fcf.DIS, Dis().octets))
    call.says(Fcf.DCN)
    assert call.hangs_up().reason.code == "fax.incompatible"


def test_subaddress_and_password_go_only_to_a_receiver_that_takes_them() -> None:
    station = Station(ident="+1", subaddress="123", password="secret")
    in_phase_b(station, PAGE).says(Fcf.TSI, Fcf.DCS)
    taking = (Fcf.DIS, Station().dis().but(subaddress=True, password=True).octets)
    frames = in_phase_b(station, PAGE, dis=taking).says(Fcf.PWD, Fcf.SUB, Fcf.TSI, Fcf.DCS)
    assert frames[0].fif == encoded("secret")
    assert "secret" not in str(frames[0])
    assert encoded("secret").hex(" ") not in str(frames[0])


# ------------------------------------------------------------------------------------------------ error correction

LONG = (Resolution.FINE, bytes(range(256)) * 300)


def pps(call: Dialogue, after: Fcf | None, *, page: int, block: int, frames: int) -> None:
    """Expect this PPS."""
    (frame,) = call.says(Fcf.PPS)
    assert frame.fif == ecm.pps(after, page=page, block=block, frames=frames)


def test_a_long_page_goes_in_blocks_of_256_frames() -> None:
    call = trained(STATION, LONG, PAGE)
    assert [frame.fif[0] for frame in call.sends_frames(V17_SHORT)] == list(range(256))
    pps(call, None, page=0, block=0, frames=256)
    call.hears(Fcf.MCF)
    assert [frame.fif[0] for frame in call.sends_frames(V17_SHORT)] == list(range(44))
    pps(call, Fcf.MPS, page=0, block=1, frames=44)
    call.hears(Fcf.MCF)
    (frame,) = call.sends_frames(V17_SHORT)
    assert frame.fif == b"\0" + b"page".ljust(256, b"\0")
    pps(call, Fcf.EOP, page=1, block=0, frames=1)
    call.hears(Fcf.MCF)
    call.says(Fcf.DCN)
    assert call.hangs_up().verdict == "delivered"


def test_a_receiver_that_prefers_small_frames_gets_them() -> None:
    dis = (Fcf.DIS, Station(frame_octets=64).dis().octets)
    call = trained(STATION, PAGE, dis=dis)
    assert [len(frame.fif) for frame in call.sends_frames(V17_SHORT)] == [65]


def test_only_the_frames_asked_for_are_sent_again() -> None:
    call = trained(STATION, LONG)
    call.sends_frames(V17_SHORT)
    pps(call, None, page=0, block=0, frames=256)
    call.hears((Fcf.PPR, ecm.ppr(set(range(256)) - {3, 200})))
    assert [frame.fif[0] for frame in call.sends_frames(V17_SHORT)] == [3, 200]
    pps(call, None, page=0, block=0, frames=2)


def four_ppr(call: Dialogue, modulation: Modulation) -> None:
    """Let four corrections in a row fail."""
    for correction in range(4):
        call.sends_frames(modulation.long if correction == 0 and modulation is not V17 else modulation.short)
        call.says(Fcf.PPS)
        call.hears((Fcf.PPR, ecm.ppr(set())))


def test_after_four_corrections_the_rate_steps_down() -> None:
    call = trained(STATION, PAGE)
    four_ppr(call, V17)
    (ctc,) = call.says(Fcf.CTC)
    assert Dcs(ctc.fif).modulation is Modulation.V17_12000
    call.hears(Fcf.CTR)
    call.sends_frames(Modulation.V17_12000)
    pps(call, Fcf.EOP, page=0, block=0, frames=1)
    call.hears(Fcf.MCF)
    call.says(Fcf.DCN)
    outcome = call.hangs_up()
    assert (outcome.verdict, outcome.modulation) == ("delivered", Modulation.V17_12000)


def test_at_the_lowest_rate_the_page_is_given_up_and_the_next_one_sent() -> None:
    dis = (Fcf.DIS, Station(families=frozenset({Family.V27TER})).dis().octets)
    call = trained(STATION, PAGE, PAGE, dis=dis)
    four_ppr(call, Modulation.V27TER_4800)
    call.says(Fcf.CTC)
    call.hears(Fcf.CTR)
    four_ppr(call, Modulation.V27TER_2400)
    (eor,) = call.says(Fcf.EOR)
    assert eor.fif == b"\x4f"
    call.hears(Fcf.ERR)
    call.sends_frames(Modulation.V27TER_2400)
    pps(call, Fcf.EOP, page=1, block=0, frames=1)
    call.hears(Fcf.MCF)
    call.says(Fcf.DCN)
    outcome = call.hangs_up()
    assert outcome.verdict == "partial"
    assert [page.confirmed for page in outcome.pages] == [False, True]


def test_a_receiver_that_is_not_ready_is_asked_again_until_t5() -> None:
    call = trained(STATION, PAGE)
    call.sends_frames(V17_SHORT)
    call.says(Fcf.PPS)
    call.hears(Fcf.RNR)
    call.says(Fcf.RR)
    call.hears(Fcf.RNR)
    call.says(Fcf.RR)
    call.hears(Fcf.MCF)
    call.says(Fcf.DCN)
    assert call.hangs_up().verdict == "delivered"


def test_a_receiver_that_is_never_ready_is_left() -> None:
    call = trained(STATION, PAGE)
    call.sends_frames(V17_SHORT)
    call.says(Fcf.PPS)
    began = call.now
    call.hears(Fcf.RNR)
    rr = Frame.of(Fcf.RR, x=True).octets
    for _ in range(100):
        if call.action != SendFrames(Modulation.V21, (rr,), timers.TURNAROUND):
            break
        call.says(Fcf.RR)
        call.hears(Fcf.RNR)
    assert 60.0 <= call.now - began <= 65.0
    call.says(Fcf.DCN)
    assert call.hangs_up().reason.code == "fax.no_response"


def test_rtp_after_a_corrected_page_confirms_it_and_trains_again() -> None:
    call = trained(STATION, PAGE, PAGE)
    call.sends_frames(V17_SHORT)
    call.says(Fcf.PPS)
    call.hears(Fcf.RTP)
    ladder_step(call, V17)
    call.hears(Fcf.CFR)
    call.sends_frames(V17_SHORT)
    pps(call, Fcf.EOP, page=1, block=0, frames=1)


def test_an_answer_that_t30_does_not_know_is_none() -> None:
    call = trained(PLAIN, PAGE)
    call.sends_data(V17_SHORT, Content.PAGE)
    call.says(Fcf.EOP)
    call.gives(FrameReceived(b"\xff\x13\xff", good=True))
    call.says(Fcf.EOP)


@pytest.mark.parametrize("station", [STATION, PLAIN])
def test_a_receiver_that_begins_again_after_a_page_gets_it_again(station: Station) -> None:
    call = trained(station, PAGE)
    assert isinstance(call.action, SendData | SendFrames)
    call.gives(Sent())
    call.says(Fcf.PPS if station.ecm else Fcf.EOP)
    call.hears((Fcf.CSI, encoded("+49")), DIS)
    ladder_step(call, V17)
    call.hears(Fcf.CFR)
    assert isinstance(call.action, SendData | SendFrames)
    call.gives(Sent())
    call.says(Fcf.PPS if station.ecm else Fcf.EOP)
    call.hears(Fcf.MCF)
    call.says(Fcf.DCN)
    assert call.hangs_up().verdict == "delivered"


def test_a_sender_tells_what_it_saw_of_the_receiver_and_of_the_line() -> None:
    call = Dialogue(calling(STATION, "0100"), pages=[LONG])
    call.connects()
    nsf = (Fcf.NSF, bytes.fromhex("B5 00 55 01"))
    call.hears(nsf, DIS)
    ladder_step(call, V17)
    call.hears(Fcf.FTT)
    ladder_step(call, Modulation.V17_12000)
    call.hears(Fcf.CFR)
    call.sends_frames(Modulation.V17_12000_SHORT)
    call.says(Fcf.PPS)
    call.hears((Fcf.PPR, ecm.ppr(range(1, 256))))
    call.sends_frames(Modulation.V17_12000_SHORT)
    call.says(Fcf.PPS)
    call.hears(Fcf.DCN)
    seen = call.hangs_up().evidence
    assert seen.trainings == (Training(V17, False), Training(Modulation.V17_12000, True))
    assert (seen.capabilities, seen.nonstandard) == (DIS[1], nsf[1])
    assert (seen.corrections, seen.refusals, seen.hung_up_after) == (1, 0, Fcf.PPS)


def test_goodbye_after_all_was_confirmed_is_no_hanging_up() -> None:
    call = trained(PLAIN, PAGE)
    call.sends_data(V17_SHORT, Content.PAGE)
    call.says(Fcf.EOP)
    call.hears(Fcf.MCF)
    call.says(Fcf.DCN)
    assert call.hangs_up().evidence.hung_up_after is None


def test_the_rates_and_the_number_of_tries_are_those_of_the_policy() -> None:
    ladder = (Modulation.V29_9600, V17, Modulation.V27TER_4800)
    call = in_phase_b(replace(PLAIN, policy=Policy(ladder, refused=Refused(times=2))), PAGE)
    for modulation in ladder[:2]:
        ladder_step(call, modulation)
        call.hears(Fcf.CFR)
        call.sends_data(modulation.short, Content.PAGE)
        call.says(Fcf.EOP)
        call.hears(Fcf.RTN)
    call.says(Fcf.DCN)
    assert call.hangs_up().reason.text == "page 1 was refused 2 times (RTN)"


def test_a_page_is_corrected_at_one_rate_as_often_as_the_policy_says() -> None:
    call = trained(replace(STATION, policy=Policy(correction=Correction(requests=1))), LONG)
    call.sends_frames(V17_SHORT)
    call.says(Fcf.PPS)
    call.hears((Fcf.PPR, ecm.ppr(range(1, 256))))
    call.says(Fcf.CTC)
