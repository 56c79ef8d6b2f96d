"""Phases C and D of a station that is called, without error correction: a scripted caller before our receiver."""

from simulators.script import (
    carrier,
    expect,
    expect_hang_up,
    expect_until,
    hang_up,
    interrupt,
    send,
    send_damaged,
    send_signal,
    silence,
    timer,
)
from t30.rates import Modulation
from tests.scenarios.callers import (
    CHOICE,
    GOODBYE,
    PAGE,
    PAGE_AND_END,
    T2,
    THE_REST,
    TRAINED,
    TURNAROUND,
    V17,
    V29,
    failed,
    partly,
    received,
)
from tests.scenarios.stage import Scenario, check, each
from tests.scenarios.wire import (
    CFR,
    CHECK,
    CRP_CALLER,
    DCN,
    DCN_ANSWERER,
    DCS_V29,
    EOM,
    EOP,
    MCF,
    MPS,
    OUR_DIS,
    RTN,
    RTP,
    mh,
    mr,
)

V21 = Modulation.V21
POOR = mh(40, bad=range(3, 40, 10))  # four lines of forty
BAD = mh(40, bad=range(3, 40, 3))
MISSED = (silence(1.7),)
"""What is left of T4 after a response that a caller did not hear."""
SECOND, THIRD = mh(50), mh(60)


def of_format(choice: str, page: bytes = PAGE) -> Scenario:
    """Return a call with one page after this DCS, in which only V.29 9600 is like in the other calls."""
    return received(
        expect(OUR_DIS),
        send(f"FF 13 83 {choice}"),
        send_signal(V29, CHECK["06"]),
        expect(CFR),
        *(send_signal(V29, page), send(EOP), expect(MCF), *GOODBYE),
        got=(page,),
    )


FORMATS = {
    "a fine page is received": of_format("00 46 70"),
    "a page in MR is received": of_format("00 86 70", mr(40)),
    "a B4 page is taken as announced": of_format("00 06 71", mh(40, pels=2048)),
    "an A3 page is taken as announced": of_format("00 06 72", mh(40, pels=2432)),
    "a superfine page is received": of_format("00 06 F0 80 80 01"),
    "a page of 300 pels to the inch is received": of_format("00 06 F0 80 80 0A", mh(40, pels=2592)),
    "a page of 400 pels to the inch is received": of_format("00 06 F0 80 80 04", mh(40, pels=3456)),
    "a page of unlimited length is received": of_format("00 06 78"),
    "fill within a page is no part of it": received(
        *TRAINED,
        send_signal(V29, mh(40, fill=3000)),
        send(EOP),
        expect(MCF),
        *GOODBYE,
        got=(mh(40, fill=3000),),
        driver=True,
    ),
    "a page without RTC is confirmed when its command follows at once": received(
        *TRAINED,
        send_signal(V29, mh(40, rtc=False)),
        send(EOP),
        expect(MCF),
        *GOODBYE,
        got=(mh(40, rtc=False),),
        driver=True,
    ),
    "rubbish after RTC is no part of the page": received(
        *TRAINED,
        send_signal(V29, PAGE + b"\xff" * 20),
        send(EOP),
        expect(MCF),
        *GOODBYE,
        got=(PAGE + b"\xff" * 20,),
        driver=True,
    ),
}

SEVERAL_PAGES = {
    "MPS is confirmed and the next page follows with short training": received(
        expect(OUR_DIS),
        send("FF 13 83 00 22 70"),
        send_signal(V17, CHECK["22"]),
        expect(CFR),
        *(send_signal(V17.short, PAGE), send(MPS), timer(*TURNAROUND), expect(MCF)),
        *(send_signal(V17.short, SECOND), send(MPS), timer(*TURNAROUND), expect(MCF)),
        *(send_signal(V17.short, THIRD), send(EOP), timer(*TURNAROUND), expect(MCF)),
        *GOODBYE,
        confirmed=3,
        got=(PAGE, SECOND, THIRD),
        driver=True,
    ),
    "twenty pages arrive in one call": received(
        *TRAINED,
        *(send_signal(V29, PAGE), send(MPS), expect(MCF)) * 19,
        *PAGE_AND_END,
        confirmed=20,
        got=(PAGE,) * 20,
        driver=True,
    ),
    "after EOM we say again what we can do, and all is negotiated anew": received(
        *TRAINED,
        *(send_signal(V29, PAGE), send(EOM), expect(MCF)),
        timer(0.0, T2[1]),
        expect(OUR_DIS),
        *(send("FF 13 83 00 2A 70"), send_signal(Modulation.V17_12000, CHECK["2A"]), expect(CFR)),
        *(send_signal(Modulation.V17_12000_SHORT, SECOND), send(EOP), expect(MCF)),
        *GOODBYE,
        confirmed=2,
        got=(PAGE, SECOND),
        driver=True,
    ),
    "a caller that does not wait for DIS after EOM gets through": received(
        *TRAINED,
        *(send_signal(V29, PAGE), send(EOM), expect(MCF), send(DCS_V29), send_signal(V29, CHECK["06"]), expect(CFR)),
        *(send_signal(V29, SECOND), send(EOP), expect(MCF)),
        *GOODBYE,
        confirmed=2,
        got=(PAGE, SECOND),
        driver=True,
    ),
    "T1 runs anew after EOM: a caller that is silent then is left when it has elapsed": partly(
        "fax.no_machine",
        *TRAINED,
        *(send_signal(V29, PAGE), send(EOM), expect(MCF), timer(0.0, T2[1]), expect(OUR_DIS)),
        expect_until(DCN_ANSWERER, OUR_DIS, least=28.0, most=40.0),
        expect_hang_up(),
        driver=True,
    ),
    "DCN after EOM ends the call": partly(
        "fax.disconnected", *TRAINED, send_signal(V29, PAGE), send(EOM), expect(MCF), *GOODBYE
    ),
    "DCN after MPS ends the call, and the page before it is kept": partly(
        "fax.disconnected", *TRAINED, send_signal(V29, PAGE), send(MPS), expect(MCF), *GOODBYE, got=(PAGE,), driver=True
    ),
    "a caller that hangs up after MPS has sent one page": partly(
        "line.dropped", *TRAINED, send_signal(V29, PAGE), send(MPS), expect(MCF), hang_up(), got=(PAGE,)
    ),
    "a caller that is silent after MPS is left after T2": partly(
        "fax.no_response",
        *TRAINED,
        *(send_signal(V29, PAGE), send(MPS), expect(MCF)),
        timer(*T2),
        expect(DCN_ANSWERER),
        expect_hang_up(),
    ),
    "DCS in place of the second page is trained, and the page comes": received(
        *TRAINED,
        *(send_signal(V29, PAGE), send(MPS), expect(MCF)),
        *THE_REST,
        confirmed=2,
        got=(PAGE, PAGE),
        driver=True,
    ),
    "MPS that comes again because MCF was lost makes no page": received(
        *TRAINED,
        *(send_signal(V29, PAGE), send(MPS), expect(MCF), *MISSED, send(MPS), expect(MCF)),
        *PAGE_AND_END,
        confirmed=2,
        got=(PAGE, PAGE),
        driver=True,
    ),
    "a wish for an operator at MPS is plain MPS, as nobody is there": received(
        *TRAINED,
        *(send_signal(V29, PAGE), send("FF 13 5F"), expect(MCF)),
        *PAGE_AND_END,
        confirmed=2,
        got=(PAGE, PAGE),
    ),
}

QUALITY = {
    "a poor page is confirmed with RTP, and training follows": received(
        *TRAINED,
        *(send_signal(V29, POOR), send(MPS), expect(RTP)),
        *THE_REST,
        confirmed=2,
        got=(POOR, PAGE),
        driver=True,
    ),
    "a poor last page is confirmed with RTP, and the fax is whole": received(
        *TRAINED, send_signal(V29, POOR), send(EOP), expect(RTP), *GOODBYE, got=(POOR,)
    ),
    "a bad page is refused with RTN, and comes again in its place": received(
        *TRAINED, send_signal(V29, BAD), send(EOP), expect(RTN), *THE_REST, driver=True
    ),
    "a bad page in the middle is replaced, and the others are not": received(
        *TRAINED,
        *(send_signal(V29, PAGE), send(MPS), expect(MCF), send_signal(V29, BAD), send(MPS), expect(RTN)),
        *(*CHOICE, expect(CFR), send_signal(V29, SECOND), send(MPS), expect(MCF)),
        *(send_signal(V29, THIRD), send(EOP), expect(MCF), *GOODBYE),
        confirmed=3,
        got=(PAGE, SECOND, THIRD),
    ),
    "six damaged lines in a row refuse a page of any length": received(
        *TRAINED, send_signal(V29, mh(200, bad=range(50, 56))), send(EOP), expect(RTN), *THE_REST
    ),
    "a bad page that never comes again is not received": failed(
        "fax.disconnected", *TRAINED, send_signal(V29, BAD), send(EOP), expect(RTN), *GOODBYE
    ),
    "a caller that sends no page before EOP has RTN as answer": received(*TRAINED, send(EOP), expect(RTN), *THE_REST),
    "a page that never came is none": failed("fax.disconnected", *TRAINED, send(EOP), expect(RTN), *GOODBYE, told=0),
    "training without a page after it is a page that was lost": received(
        *TRAINED, carrier(V29, 0.3), send(EOP), expect(RTN), *THE_REST, driver=True
    ),
    "a page in another modulation than was agreed goes by unheard, and is refused": received(
        *TRAINED, send_signal(V17, mh(200, fill=150_000)), send(EOP), expect(RTN), *THE_REST
    ),
    "a second page in another modulation goes by unheard, and is refused though its MPS is like the first": received(
        *(*TRAINED, send_signal(V29, PAGE), send(MPS), expect(MCF)),
        *(send_signal(V17, mh(200, fill=150_000)), send(MPS), expect(RTN)),
        *THE_REST,
        confirmed=2,
        got=(PAGE, PAGE),
    ),
    "a page whose carrier is lost in the middle is refused": received(
        *TRAINED, send_signal(V29, mh(900)[:2400]), silence(3.0), send(EOP), expect(RTN), *THE_REST, driver=True
    ),
    "a page whose carrier breaks for a moment is refused, though its end and EOP come in time": received(
        *(*TRAINED, send_signal(V29, mh(100)[:150]), send_signal(V29, mh(100)[150:]), send(EOP), expect(RTN)),
        *THE_REST,
    ),
    "a page whose carrier breaks half a second before its end is refused, though a modem hears no more of it": received(
        *(*TRAINED, send_signal(V29, mh(900)[:2400]), send_signal(V29, mh(900)[2400:3000]), send(EOP), expect(RTN)),
        *THE_REST,
        driver=True,
    ),
    "a page without RTC is refused where the sender had ended the one before": received(
        *(*TRAINED, send_signal(V29, PAGE), send(MPS), expect(MCF)),
        *(send_signal(V29, mh(40, rtc=False)), send(EOP), expect(RTN)),
        *THE_REST,
        confirmed=2,
        got=(PAGE, PAGE),
    ),
    "a page cut off by training that begins again is replaced": received(
        *TRAINED, send_signal(V29, mh(900)[:2400]), silence(1.0), *THE_REST, driver=True
    ),
    "a page that is not safe on disk yet is replaced when training begins again": received(
        *(*TRAINED, send_signal(V29, PAGE), send(EOP), silence(2.9), *CHOICE, expect(CFR)),
        *(send_signal(V29, SECOND), send(EOP), silence(2.9), send(EOP), expect(MCF), *GOODBYE),
        got=(SECOND,),
        slow=1,
    ),
    "a page that is not safe on disk yet is confirmed when EOP comes again": received(
        *TRAINED, send_signal(V29, PAGE), send(EOP), silence(2.9), send(EOP), expect(MCF), *GOODBYE, slow=1
    ),
}

END = {
    "a sender that says now this, now that for ever and sends no page is given up after 5 minutes": failed(
        "fax.protocol",
        *(*TRAINED, *(send(MPS), expect(RTN), send(EOP), expect(RTN)) * 60),
        *(send(MPS), expect(DCN_ANSWERER), expect_hang_up()),
    ),
    "a caller that hangs up after MCF has sent its fax": received(
        *TRAINED, send_signal(V29, PAGE), send(EOP), expect(MCF), hang_up(), driver=True
    ),
    "a caller that says nothing after MCF has sent its fax, and is left after T2": received(
        *TRAINED, send_signal(V29, PAGE), send(EOP), expect(MCF), timer(*T2), expect_hang_up(), driver=True
    ),
    "a clipped DCN after MCF is as good as none": received(
        *TRAINED,
        send_signal(V29, PAGE),
        send(EOP),
        expect(MCF),
        send_damaged(DCN),
        expect_hang_up(within=12.0),
        driver=True,
    ),
    "flags in place of DCN end the call all the same": received(
        *TRAINED, send_signal(V29, PAGE), send(EOP), expect(MCF), carrier(V21, 0.3), expect_hang_up(), driver=True
    ),
    "a caller that is silent after the page is left after T2": failed(
        "fax.no_response", *TRAINED, send_signal(V29, PAGE), timer(*T2), expect(DCN_ANSWERER), expect_hang_up()
    ),
    "a caller that hangs up after the page has sent nothing": failed(
        "line.dropped", *TRAINED, send_signal(V29, PAGE), hang_up()
    ),
    "a clipped DCN in place of a command is left after T2": failed(
        "fax.no_response",
        *TRAINED,
        send_signal(V29, PAGE),
        send_damaged(DCN),
        timer(*T2),
        expect(DCN_ANSWERER),
        expect_hang_up(),
    ),
    "damaged EOP has no answer, and is answered when it comes again": received(
        *TRAINED, send_signal(V29, PAGE), send_damaged(EOP), silence(2.9), send(EOP), expect(MCF), *GOODBYE, driver=True
    ),
    "EOP that was lost is answered when it comes again": received(
        *TRAINED, send_signal(V29, PAGE), silence(4.2), send(EOP), expect(MCF), *GOODBYE
    ),
    "EOP that comes again because MCF was lost is confirmed again": received(
        *TRAINED,
        *(send_signal(V29, PAGE), send(EOP), expect(MCF)),
        *(*MISSED, send(EOP), timer(*TURNAROUND), expect(MCF)) * 2,
        *GOODBYE,
        driver=True,
    ),
    "EOP that comes again at once because MCF was damaged is confirmed again": received(
        *TRAINED, send_signal(V29, PAGE), send(EOP), expect(MCF), send(EOP), expect(MCF), *GOODBYE, driver=True
    ),
    "CRP has MCF said again": received(
        *TRAINED, send_signal(V29, PAGE), send(EOP), expect(MCF), send(CRP_CALLER), expect(MCF), *GOODBYE
    ),
    "CRP has RTN said again": received(
        *TRAINED, send_signal(V29, BAD), send(EOP), expect(RTN), send(CRP_CALLER), expect(RTN), *THE_REST
    ),
    "MCF as an echo is no command": received(
        *TRAINED, send_signal(V29, PAGE), send(EOP), expect(MCF), send(MCF), *GOODBYE
    ),
    "MCF that comes back as an echo does not hide the next page": received(
        *TRAINED,
        *(send_signal(V29, PAGE), send(MPS), expect(MCF), send(MCF)),
        *PAGE_AND_END,
        confirmed=2,
        got=(PAGE, PAGE),
        driver=True,
    ),
    "EOP and MCF that collide are both said again": received(
        *TRAINED,
        *(send_signal(V29, PAGE), send(EOP), interrupt(EOP)),  # the second one is not heard: we are saying MCF
        *(*MISSED, send(EOP), expect(MCF)),
        *GOODBYE,
        driver=True,
    ),
    "DCN in place of EOP ends the call, and the page is not confirmed": failed(
        "fax.disconnected", *TRAINED, send_signal(V29, PAGE), *GOODBYE, driver=True
    ),
    "a command that is none of T.30 ends the call": failed(
        "fax.protocol", *TRAINED, send_signal(V29, PAGE), send("FF 13 55"), expect(DCN_ANSWERER), expect_hang_up()
    ),
    "a wish for an operator at EOP is plain EOP, as nobody is there": received(
        *TRAINED, send_signal(V29, PAGE), send("FF 13 3F"), expect(MCF), *GOODBYE
    ),
    "a second call's worth of pages after EOP and MCF is taken, too": received(
        *TRAINED,
        *(send_signal(V29, PAGE), send(EOP), expect(MCF)),
        *THE_REST,
        confirmed=2,
        got=(PAGE, PAGE),
    ),
}


@each(FORMATS)
def test_what_a_called_station_takes_for_a_page(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(SEVERAL_PAGES)
def test_how_a_called_station_goes_from_page_to_page(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(QUALITY)
def test_how_a_called_station_answers_pages_that_are_not_good(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(END)
def test_how_a_call_ends_for_a_called_station(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)
