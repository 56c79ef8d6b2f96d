"""What is nobody's fault but our own: ports that answer what they must not, pages that are gone, lines that die."""

from collections.abc import Callable

import pytest

from t30.answering import answering
from t30.calling import calling
from t30.capabilities import Station
from t30.fcf import Fcf
from t30.line import (
    CarrierLost,
    Cause,
    Connected,
    Content,
    Event,
    FrameReceived,
    HangUp,
    LineError,
    ListenData,
    ListenFrame,
    NotConnected,
    Ringing,
    Sent,
    WrongCarrier,
)
from t30.pages import Admitted, AnotherDocument, Kept, Resolution
from t30.rates import Modulation
from t30.session import Session
from tests.t30.dialogue import Dialogue

V29 = Modulation.V29_9600
DCS = (Fcf.DCS, bytes.fromhex("00 06 70"))
DCS_ECM = (Fcf.DCS, bytes.fromhex("00 06 F0 04"))
DIS = (Fcf.DIS, bytes.fromhex("00 2E 70"))
PAGE = (Resolution.FINE, b"page")


def dialled() -> Dialogue:
    return Dialogue(calling(Station(), "0100"), pages=(PAGE,))


def connected() -> Dialogue:
    call = dialled()
    call.connects()
    return call


def rung() -> Dialogue:
    call = Dialogue(answering(Station()), x=True)
    call.gives(Ringing("", ""))
    return call


def awaiting_training(dcs: tuple[Fcf, bytes] = DCS) -> Dialogue:
    call = rung()
    call.connects()
    call.says(Fcf.DIS)
    call.hears(dcs)
    assert isinstance(call.action, ListenData)
    return call


def awaiting_page(dcs: tuple[Fcf, bytes] = DCS) -> Dialogue:
    call = awaiting_training(dcs)
    call.hears_data(V29, Content.TCF, bytes(1800))
    call.says(Fcf.CFR)
    return call


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (dialled, Ringing("", "")),
        (rung, Ringing("", "")),
        (connected, Admitted(granted=True)),
        (awaiting_training, Sent()),
        (awaiting_page, Sent()),
        (lambda: awaiting_page(DCS_ECM), Sent()),
        (lambda: Dialogue(answering(Station())), Sent()),
    ],
)
def test_a_port_that_answers_what_it_must_not_ends_the_call_as_our_own_fault(
    place: Callable[[], Dialogue], wrong: Event
) -> None:
    call = place()
    where = type(call.action).__name__
    call.gives(wrong)
    if not isinstance(call.action, HangUp):
        call.says(Fcf.DCN)
    reason = call.hangs_up().reason
    assert reason.code == "fax.internal"
    assert type(wrong).__name__ in reason.text
    assert where in reason.text or where == "Answer"


def test_a_page_source_that_answers_what_it_must_not_ends_the_call_as_our_own_fault() -> None:
    session = Session(calling(Station(), "0100"))
    session.handle(Connected())
    session.handle(Sent())
    call = Dialogue(calling(Station(), "0100"))
    call.session = session
    call.hears(DIS)
    session.handle(Kept(page_ended=False))
    call.says(Fcf.DCN)
    reason = call.hangs_up().reason
    assert (reason.code, "FetchPage" in reason.text) == ("fax.internal", True)


def test_a_document_without_pages_is_our_own_fault() -> None:
    call = Dialogue(calling(Station(), "0100"))
    call.connects()
    call.hears(DIS)
    call.says(Fcf.DCN)
    reason = call.hangs_up().reason
    assert (reason.code, reason.text) == ("fax.internal", "there is no page 1 to send")


def before_eom(*pages: tuple[Resolution, bytes]) -> Dialogue:
    """Return a call that has sent the first of these pages, and awaits an answer to EOM."""
    call = Dialogue(calling(Station(), "0100"), pages=pages)
    call.connects()
    call.hears((Fcf.DIS, bytes.fromhex("00 6E 70")))
    call.says(Fcf.DCS)
    call.sends_data(Modulation.V17_14400, Content.TCF)
    call.hears(Fcf.CFR)
    call.sends_data(Modulation.V17_14400_SHORT, Content.PAGE)
    call.says(Fcf.EOM)
    return call


def test_a_page_that_is_gone_after_eom_is_our_own_fault_and_not_the_end_of_the_document() -> None:
    call = before_eom((Resolution.STANDARD, b"first"), PAGE)
    call.pages = call.pages[:1]
    call.hears(Fcf.MCF)
    call.hears((Fcf.DIS, bytes.fromhex("00 6E 70")))
    call.says(Fcf.DCN)
    outcome = call.hangs_up()
    assert (outcome.verdict, outcome.reason.text) == ("partial", "there is no page 2 to send")


def test_a_document_that_is_put_off_when_it_is_to_begin_is_our_own_fault() -> None:
    call = before_eom((Resolution.STANDARD, b"first"), PAGE)
    call.hears(Fcf.MCF)
    assert isinstance(call.action, ListenFrame)
    call.session.handle(FrameReceived(bytes.fromhex("FF 13 80 00 6E 70"), good=True, at=call.now))
    call.session.handle(AnotherDocument(at=call.now))
    call.says(Fcf.DCN)
    assert call.hangs_up().reason.code == "fax.internal"


def test_what_the_network_says_of_a_call_is_told() -> None:
    for detail, text in (("", "the number is busy"), ("486 Busy Here", "the number is busy (486 Busy Here)")):
        call = dialled()
        call.gives(NotConnected(Cause.BUSY, detail=detail))
        assert call.hangs_up().reason.text == text


def test_a_training_check_in_another_modulation_is_refused_at_once() -> None:
    call = awaiting_training()
    call.gives(WrongCarrier(Modulation.V17_14400))
    call.says(Fcf.FTT)


def test_flags_that_end_when_the_wait_is_over_do_not_prolong_it() -> None:
    call = rung()
    call.connects()
    call.says(Fcf.DIS)
    assert call.action == ListenFrame(Modulation.V21, 3.0)
    call.gives(CarrierLost(), 3.5)
    call.says(Fcf.DIS)


def test_flags_that_end_earlier_leave_the_rest_of_the_wait() -> None:
    call = rung()
    call.connects()
    call.says(Fcf.DIS)
    call.gives(CarrierLost(), 1.0)
    assert call.action == ListenFrame(Modulation.V21, 2.0)


def test_a_line_that_knows_no_modulation_by_its_sound_takes_any_carrier_for_the_one_awaited() -> None:
    call = awaiting_page()
    for _ in range(2):
        call.gives(WrongCarrier(None))
    assert call.action == ListenData(V29, Content.PAGE, 6.0)


def test_another_fast_carrier_than_the_one_awaited_is_let_pass() -> None:
    call = awaiting_page()
    for which in (Modulation.V21, Modulation.V17_14400):
        call.gives(WrongCarrier(which), 0.5)
    assert call.action == ListenData(Modulation.V17_14400, Content.PAGE, 6.0)
    call.gives(CarrierLost())
    call.gives(WrongCarrier(V29), 0.1)
    assert call.action == ListenData(V29, Content.PAGE, 6.0)


def test_where_a_call_stands_is_nowhere_when_it_is_over() -> None:
    call = dialled()
    assert call.session.path == "calling > deliver > reach"
    call.gives(NotConnected(Cause.BUSY))
    call.hangs_up()
    assert call.session.path == ""


def test_a_line_that_dies_while_it_hangs_up_has_ended_the_call() -> None:
    call = dialled()
    call.gives(NotConnected(Cause.BUSY))
    assert isinstance(call.action, HangUp)
    call.session.throw(LineError("the modem is gone"))
    assert call.session.action is None
    assert call.session.outcome is not None
    assert call.session.outcome.reason.code == "call.busy"


def test_a_page_takes_from_its_first_signal_to_its_confirmation() -> None:
    call = awaiting_page()
    began = call.now
    call.hears_data(V29, Content.PAGE, b"page")
    call.hears(Fcf.EOP)
    call.says(Fcf.MCF)
    confirmed = call.now
    call.hears(Fcf.DCN)
    assert call.hangs_up().pages[0].seconds == confirmed - began
