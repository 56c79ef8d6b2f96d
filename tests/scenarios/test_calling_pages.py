"""Phases C and D of a station that calls, without error correction: a scripted answerer before our sender."""

from simulators.script import (
    expect,
    expect_hang_up,
    expect_signal,
    hang_up,
    interrupt,
    pause,
    send,
    send_damaged,
    silence,
    timer,
)
from t30.capabilities import Station
from t30.fcf import Fcf
from t30.pages import Resolution
from t30.policy import LADDERS, REFUSED, Policy
from t30.rates import Modulation
from tests.scenarios.answerers import (
    CHOICE,
    GOODBYE,
    PAGE,
    PAGE_AND_END,
    SHEET,
    T4,
    THE_REST,
    TRAINED,
    TURNAROUND,
    V17,
    again,
    delivered,
    failed,
    partly,
)
from tests.scenarios.stage import Scenario, blank, check, each
from tests.scenarios.wire import (
    CFR,
    CHECK,
    CRP,
    DCN_ANSWERER,
    DIS,
    EOM,
    EOP,
    FTT,
    MCF,
    MPS,
    RATES,
    RTN,
    RTP,
    mh,
)

V12000, SLOWEST = Modulation.V17_12000, Modulation.V27TER_2400
FINE = blank(40, resolution=Resolution.FINE)
DIS_FINE = "FF 13 80 00 6E 70"
SENT = (*TRAINED, expect_signal(V17.short, PAGE))
MORE = (*SENT, expect(MPS))
LAST = (*SENT, expect(EOP))
CHANGE = (
    *(send(DIS_FINE), expect("FF 13 83 00 22 70"), expect_signal(V17, CHECK["22"]), send(CFR)),
    *(expect_signal(V17.short, PAGE), expect(EOM)),
)
"""A page of standard resolution, before a fine one."""
CHOSEN = (*CHOICE, send(CFR))
FINE_CHOICE = (expect("FF 13 83 00 62 70"), expect_signal(V17, CHECK["22"]), send(CFR))
LOWER = (expect("FF 13 83 00 2A 70"), expect_signal(V12000, CHECK["2A"]), send(CFR))
TWO = (SHEET, SHEET)
MIXED = (SHEET, FINE)

SEVERAL_PAGES = {
    "pages of one format follow each other by MPS, with short training": delivered(
        *(*TRAINED, timer(*TURNAROUND), expect_signal(V17.short, PAGE), timer(*TURNAROUND), expect(MPS), send(MCF)),
        *(timer(*TURNAROUND), expect_signal(V17.short, mh(50)), timer(*TURNAROUND), expect(MPS), send(MCF)),
        *PAGE_AND_END,
        confirmed=3,
        pages=(SHEET, blank(50), SHEET),
        driver=True,
    ),
    "twenty pages go out in one call": delivered(
        *MORE,
        send(MCF),
        *(expect_signal(V17.short, PAGE), expect(MPS), send(MCF)) * 18,
        *PAGE_AND_END,
        confirmed=20,
        pages=(SHEET,) * 20,
        driver=True,
    ),
    "a page of another format is negotiated anew by EOM": delivered(
        *(*CHANGE, send(MCF), pause(0.5), send(DIS_FINE), *FINE_CHOICE, *PAGE_AND_END),
        confirmed=2,
        pages=MIXED,
        driver=True,
    ),
    "another document begins anew after EOM, though its pages are alike": delivered(
        *(*SENT, expect(EOM), send(MCF), pause(0.5), send(DIS), *CHOSEN, *PAGE_AND_END),
        confirmed=2,
        pages=TWO,
        begins=(1,),
        driver=True,
    ),
    "a document of several pages is followed by EOM, and only it": delivered(
        *(*MORE, send(MCF), expect_signal(V17.short, PAGE), expect(EOM), send(MCF)),
        *(
            send(DIS),
            *CHOSEN,
            expect_signal(V17.short, PAGE),
            expect(EOM),
            send(MCF),
            send(DIS),
            *CHOSEN,
            *PAGE_AND_END,
        ),
        confirmed=4,
        pages=(SHEET,) * 4,
        begins=(2, 3),
    ),
    "RTN at the end of a document has its last page sent again, and EOM after it": delivered(
        *(*SENT, expect(EOM), send(RTN), *LOWER, expect_signal(V12000.short, PAGE), expect(EOM), send(MCF), send(DIS)),
        *(*LOWER, expect_signal(V12000.short, PAGE), expect(EOP), send(MCF), *GOODBYE),
        confirmed=2,
        pages=TWO,
        begins=(1,),
    ),
    "RTP at the end of a document confirms it, and the next one trains at once": delivered(
        *(*SENT, expect(EOM), send(RTP), *CHOSEN, *PAGE_AND_END), confirmed=2, pages=TWO, begins=(1,)
    ),
    "a document that was withdrawn after EOM is not missed": delivered(
        *(*SENT, expect(EOM), send(MCF), send(DIS), *GOODBYE), confirmed=1, pages=TWO, begins=(1,), withdrawn=1
    ),
    "a receiver that hangs up between two documents has the first one": partly(
        "fax.disconnected", *SENT, expect(EOM), send(MCF), send(DCN_ANSWERER), expect_hang_up(), pages=TWO, begins=(1,)
    ),
    "after EOM the line is not tried faster than it was": delivered(
        *(send(DIS_FINE), expect("FF 13 83 00 22 70"), expect_signal(V17), send(FTT), *LOWER),
        *(expect_signal(V12000.short, PAGE), expect(EOM), send(MCF), pause(0.5), send(DIS_FINE)),
        *(expect("FF 13 83 00 6A 70"), expect_signal(V12000, CHECK["2A"]), send(CFR)),
        *(expect_signal(V12000.short, PAGE), expect(EOP), send(MCF), *GOODBYE),
        confirmed=2,
        pages=MIXED,
    ),
    "an answerer that offers only faster rates after EOM gets the slowest of them": delivered(
        *(send("FF 13 80 00 4A 70"), expect("FF 13 83 00 0A 70"), expect_signal(RATES["0A"], CHECK["0A"]), send(CFR)),
        *(expect_signal(RATES["0A"], PAGE), expect(EOM), send(MCF), pause(0.5), send("FF 13 80 00 46 70")),
        *(expect("FF 13 83 00 4E 70"), expect_signal(RATES["0E"], CHECK["0E"]), send(CFR)),
        *(expect_signal(RATES["0E"], PAGE), expect(EOP), send(MCF), *GOODBYE),
        confirmed=2,
        pages=MIXED,
    ),
    "T1 runs anew after EOM: an answerer that is silent then is left when it has elapsed": partly(
        "fax.no_machine", *CHANGE, send(MCF), timer(30.0, 40.0), *GOODBYE, pages=MIXED, driver=True
    ),
    "what is neither DIS nor DTC after EOM is passed over": delivered(
        *(*CHANGE, send(MCF), pause(0.5), send(FTT), pause(0.5), send(DIS_FINE), *FINE_CHOICE, *PAGE_AND_END),
        confirmed=2,
        pages=MIXED,
    ),
    "an answerer that offers only slower rates after EOM gets the fastest of them": delivered(
        *(send(DIS_FINE), expect("FF 13 83 00 22 70"), expect_signal(V17, CHECK["22"]), send(CFR)),
        *(expect_signal(V17.short, PAGE), expect(EOM), send(MCF), pause(0.5), send("FF 13 80 00 4A 70")),
        *(expect("FF 13 83 00 4A 70"), expect_signal(RATES["0A"], CHECK["0A"]), send(CFR)),
        *(expect_signal(RATES["0A"], PAGE), expect(EOP), send(MCF), *GOODBYE),
        confirmed=2,
        pages=MIXED,
    ),
    "after EOM a rate that had failed is not tried again, where V.17 and V.29 take turns": delivered(
        send(DIS_FINE),
        *(
            step
            for code in ("22", "2A", "26")
            for step in (expect(f"FF 13 83 00 {code} 70"), expect_signal(RATES[code]), send(FTT))
        ),
        *(expect("FF 13 83 00 06 70"), expect_signal(RATES["06"]), send(CFR), expect_signal(RATES["06"], PAGE)),
        *(expect(EOM), send(MCF), pause(0.5), send(DIS_FINE)),
        *(expect("FF 13 83 00 46 70"), expect_signal(RATES["06"], CHECK["06"]), send(CFR)),
        *(expect_signal(RATES["06"], PAGE), expect(EOP), send(MCF), *GOODBYE),
        confirmed=2,
        pages=MIXED,
        station=Station(policy=Policy(LADDERS["spandsp"])),
    ),
    "DCN in place of DIS after EOM ends the call": partly(
        "fax.disconnected", *CHANGE, send(MCF), send(DCN_ANSWERER), expect_hang_up(), pages=MIXED
    ),
    "EOM without an answer comes again after T4": delivered(
        *(*CHANGE, *again(EOM), send(MCF), pause(0.5), send(DIS_FINE), *FINE_CHOICE, *PAGE_AND_END),
        confirmed=2,
        pages=MIXED,
        driver=True,
    ),
    "MPS without an answer comes again after T4": delivered(
        *MORE, *again(MPS), *again(MPS), send(MCF), *PAGE_AND_END, confirmed=2, pages=TWO, driver=True
    ),
    "our own MPS as an echo is no answer to it": delivered(
        *MORE, send(MPS), send(MCF), *PAGE_AND_END, confirmed=2, pages=TWO
    ),
    "DCN in answer to MPS ends the call, and no page is confirmed": failed(
        "fax.disconnected", *MORE, send(DCN_ANSWERER), expect_hang_up(), pages=TWO, driver=True
    ),
    "an answerer that hangs up after its first MCF has one page": partly(
        "line.dropped", *MORE, send(MCF), expect_signal(V17.short, PAGE), hang_up()
    ),
    "a second page without an answer leaves the first one confirmed": partly(
        "fax.no_response",
        *(*MORE, send(MCF), expect_signal(V17.short, PAGE), expect(EOP), *again(EOP), *again(EOP), timer(*T4)),
        *GOODBYE,
    ),
}

REFUSALS = {
    "RTN has the page sent again one rate lower": delivered(
        *(*LAST, send(RTN), *LOWER, expect_signal(V12000.short, PAGE), expect(EOP), send(MCF), *GOODBYE),
        driver=True,
        saw={"refusals": 1},
    ),
    "RTN in the midst of a document has that page sent again, and no other": delivered(
        *(*MORE, send(MCF), expect_signal(V17.short, mh(50)), expect(MPS), send(RTN), *LOWER),
        *(expect_signal(V12000.short, mh(50)), expect(MPS), send(MCF)),
        *(expect_signal(V12000.short, PAGE), expect(EOP), send(MCF), *GOODBYE),
        confirmed=3,
        pages=(SHEET, blank(50), SHEET),
    ),
    "a page that is refused three times ends the call": failed(
        "fax.page_refused",
        *(*LAST, send(RTN), *LOWER, expect_signal(V12000.short, PAGE), expect(EOP), send(RTN)),
        *(expect("FF 13 83 00 06 70"), expect_signal(Modulation.V29_9600, CHECK["06"]), send(CFR)),
        *(expect_signal(Modulation.V29_9600, PAGE), expect(EOP), send(RTN)),
        *GOODBYE,
        driver=True,
    ),
    "RTP confirms the page, and training follows": delivered(
        *MORE, send(RTP), *THE_REST, confirmed=2, pages=TWO, driver=True
    ),
    "RTN at the lowest rate has the page sent again at that rate": delivered(
        *(send("FF 13 80 00 02 70"), expect("FF 13 83 00 02 70"), expect_signal(SLOWEST, CHECK["02"]), send(CFR)),
        *(expect_signal(SLOWEST, PAGE), expect(EOP), send(RTN)),
        *(expect("FF 13 83 00 02 70"), expect_signal(SLOWEST, CHECK["02"]), send(CFR)),
        *(expect_signal(SLOWEST, PAGE), expect(EOP), send(MCF), *GOODBYE),
        driver=True,
    ),
    "RTP in answer to EOM has training at once, without another DIS": delivered(
        *CHANGE, send(RTP), *FINE_CHOICE, *PAGE_AND_END, confirmed=2, pages=MIXED, driver=True
    ),
    "RTP after the last page confirms it": delivered(*LAST, send(RTP), *GOODBYE),
    "training that fails after RTN goes on down from there": delivered(
        *(*LAST, send(RTN), expect("FF 13 83 00 2A 70"), expect_signal(V12000, CHECK["2A"]), send(FTT)),
        *(expect("FF 13 83 00 06 70"), expect_signal(Modulation.V29_9600, CHECK["06"]), send(CFR)),
        *(expect_signal(Modulation.V29_9600, PAGE), expect(EOP), send(MCF), *GOODBYE),
    ),
    "DIS in answer to EOP has the page sent again": delivered(*LAST, send(DIS), *THE_REST),
    "FTT in answer to EOP ends the call": failed(
        "fax.protocol", *LAST, send(FTT), *GOODBYE, saw={"hung_up_after": None}
    ),
    "CFR in answer to EOP ends the call": failed("fax.protocol", *LAST, send(CFR), *GOODBYE),
}

IGNORES = Station(policy=Policy(refused=REFUSED["ignore"]))
PRESSES_ON = Station(policy=Policy(refused=REFUSED["retransmit-ignore"]))
GIVES_UP = Station(policy=Policy(refused=REFUSED["give-up"]))

POLICIES = {
    "by policy a refused page is left behind, and the next one goes out one rate lower": partly(
        "fax.page_refused",
        *(*MORE, send(RTN), *LOWER, expect_signal(V12000.short, mh(50)), expect(EOP), send(MCF), *GOODBYE),
        pages=(SHEET, blank(50)),
        station=IGNORES,
    ),
    "by policy nothing follows a last page that is refused, and it counts as not delivered": failed(
        "fax.page_refused", *LAST, send(RTN), *GOODBYE, station=IGNORES
    ),
    "by policy a page that was sent three times is left behind": partly(
        "fax.page_refused",
        *(*MORE, send(RTN), *LOWER, expect_signal(V12000.short, PAGE), expect(MPS), send(RTN)),
        *(expect("FF 13 83 00 06 70"), expect_signal(Modulation.V29_9600, CHECK["06"]), send(CFR)),
        *(expect_signal(Modulation.V29_9600, PAGE), expect(MPS), send(RTN)),
        *(expect("FF 13 83 00 0E 70"), expect_signal(Modulation.V29_7200, CHECK["0E"]), send(CFR)),
        *(expect_signal(Modulation.V29_7200, mh(50)), expect(EOP), send(MCF), *GOODBYE),
        pages=(SHEET, blank(50)),
        station=PRESSES_ON,
    ),
    "by policy the first page that is refused ends the call": failed(
        "fax.page_refused", *MORE, send(RTN), *GOODBYE, pages=TWO, station=GIVES_UP
    ),
    "DIS in answer to EOP is no refusal, and the page is sent again": delivered(
        *LAST, send(DIS), *THE_REST, station=GIVES_UP
    ),
    "DIS that is said for the third time in answer to MPS ends the call, whatever the policy": failed(
        "fax.page_refused",
        *(*MORE, *(send(DIS), *CHOICE, send(CFR), expect_signal(V17.short, PAGE), expect(MPS)) * 2, send(DIS)),
        *GOODBYE,
        pages=TWO,
        station=IGNORES,
    ),
    "MCF has the next page sent at the same rate, whatever the policy": delivered(
        *(*MORE, send(MCF), *PAGE_AND_END),
        confirmed=2,
        pages=TWO,
        station=Station(policy=Policy(slower_when_poor=True)),
    ),
    "RTP has the next page sent one rate lower, if that is the policy": delivered(
        *(*MORE, send(RTP), *LOWER, expect_signal(V12000.short, PAGE), expect(EOP), send(MCF), *GOODBYE),
        confirmed=2,
        pages=TWO,
        station=Station(policy=Policy(slower_when_poor=True)),
    ),
}

END = {
    "MCF after EOP has DCN as answer, and we hang up": delivered(*LAST, send(MCF), timer(*TURNAROUND), *GOODBYE),
    "a fax is delivered though the answerer hangs up after its last MCF": delivered(
        *LAST, send(MCF), hang_up(), driver=True, saw={"hung_up_after": None}
    ),
    "EOP without an answer comes three times, and then DCN": failed(
        "fax.no_response", *LAST, *again(EOP), *again(EOP), timer(*T4), *GOODBYE, driver=True
    ),
    "MCF to the third EOP is in time": delivered(*LAST, *again(EOP), *again(EOP), send(MCF), *GOODBYE),
    "MCF that takes its time is still MCF": delivered(*LAST, silence(2.0), send(MCF), *GOODBYE, driver=True),
    "damaged MCF has EOP said again": delivered(
        *LAST, send_damaged(MCF), expect(EOP), send(MCF), *GOODBYE, driver=True
    ),
    "MCF that is damaged three times is none": failed(
        "fax.no_response", *LAST, *(send_damaged(MCF), expect(EOP)) * 2, send_damaged(MCF), *GOODBYE
    ),
    "CRP has EOP said again": delivered(*LAST, send(CRP), expect(EOP), send(MCF), *GOODBYE, driver=True),
    "our own EOP as an echo is no answer to it": delivered(*LAST, send(EOP), send(MCF), *GOODBYE, driver=True),
    "our own EOP as an echo, and nothing else, has EOP said again": delivered(
        *LAST, send(EOP), expect(EOP), send(MCF), *GOODBYE, driver=True
    ),
    "an echo of EOP that is damaged cannot be told from an answer that is, and has EOP said again": delivered(
        *LAST, send_damaged(EOP), timer(*TURNAROUND), expect(EOP), send(MCF), *GOODBYE
    ),
    "EOP and MCF that collide in phase D are both said again": delivered(
        *LAST, silence(3.03), interrupt(MCF), expect(EOP), send(MCF), *GOODBYE
    ),
    "an answer that is none of T.30 has EOP said again": delivered(
        *LAST, send("FF 13 54"), expect(EOP), send(MCF), *GOODBYE
    ),
    "DCN in answer to EOP ends the call, and the page is not confirmed": failed(
        "fax.disconnected", *LAST, send(DCN_ANSWERER), expect_hang_up(), driver=True
    ),
    "a clipped DCN in answer to EOP is no MCF": failed(
        "line.dropped", *LAST, send_damaged(DCN_ANSWERER), expect(EOP), hang_up()
    ),
    "an answerer that hangs up after EOP has not confirmed": failed(
        "line.dropped", *LAST, hang_up(), saw={"hung_up_after": Fcf.EOP}
    ),
    "an answerer that hangs up in the midst of the page has not confirmed": failed(
        "line.dropped", *TRAINED, pause(0.3), hang_up()
    ),
}


@each(SEVERAL_PAGES)
def test_how_a_calling_station_goes_from_page_to_page(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(REFUSALS)
def test_what_a_calling_station_makes_of_pages_that_are_not_good(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(POLICIES)
def test_what_a_calling_station_does_by_policy_about_pages_that_are_not_good(
    scenario: Scenario, by_driver: bool
) -> None:
    check(scenario, by_driver=by_driver)


@each(END)
def test_how_a_call_ends_for_a_calling_station(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)
