"""Phases C and D of a station that calls, with error correction (T.30 Annex A): a scripted answerer."""

from simulators.script import (
    Step,
    expect,
    expect_block,
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
from t30.pages import Coding, Resolution
from t30.policy import REFUSED, Correction, Policy
from t30.rates import Modulation
from tests.scenarios.answerers import (
    GOODBYE,
    T4,
    TURNAROUND,
    V17,
    V29,
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
    CTR,
    DCN_ANSWERER,
    DIS_ECM,
    ERR,
    FTT,
    JBIG,
    MCF,
    RATES,
    RCP,
    RNR,
    RR,
    RTN,
    RTP,
    mh,
    mmr,
    mr,
    pieces,
    ppr,
    pps,
)

V12000, SLOWEST = Modulation.V17_12000, Modulation.V27TER_2400
SHEET = blank(200)
FIRST, SECOND, THIRD = FRAMES = pieces(mh(200))
NEXT = blank(100)
NEXT_FRAMES = pieces(mh(100))

TRAINED = (send(DIS_ECM), expect("FF 13 83 00 22 F0 04"), expect_signal(V17, CHECK["22"]), send(CFR))
WHOLE = expect_block(V17.short, *FRAMES, *RCP)
LAST = (*TRAINED, WHOLE, expect(pps("2F", 3)))
MORE = (*TRAINED, WHOLE, expect(pps("4F", 3)))
NEXT_AND_END = (
    *(expect_block(V17.short, *NEXT_FRAMES, *RCP), expect(pps("2F", 2, page=1)), send(MCF)),
    *GOODBYE,
)
TWO = (SHEET, NEXT)
WANTS_SECOND = send(ppr(1))
GETS_SECOND = (expect_block(V17.short, SECOND, *RCP), expect(pps("2F", 1)))
LONG = blank(5000)
LONG_FRAMES, LONG_REST = pieces(mh(5000)[: 64 * 256], 64), pieces(mh(5000)[64 * 256 :], 64)
FIRST_BLOCK = (
    *(send("FF 13 80 40 2E F0 04"), expect("FF 13 83 00 22 F0 0C"), expect_signal(V17), send(CFR)),
    *(expect_block(V17.short, *LONG_FRAMES, *RCP), expect(pps("00", 256))),
)
AT_SLOWEST = (
    *(send("FF 13 80 00 02 F0 04"), expect("FF 13 83 00 02 F0 04"), expect_signal(SLOWEST, CHECK["02"]), send(CFR)),
    *(expect_block(SLOWEST, *FRAMES, *RCP),),
)


def one(*far: Step, **others: object) -> Scenario:
    """Return a call with error correction in which the page of three frames goes out."""
    return delivered(*far, **{"pages": (SHEET,), **others})


def lost(reason: str, *far: Step, **others: object) -> Scenario:
    """Return a call with error correction in which nothing is confirmed."""
    return failed(reason, *far, **{"pages": (SHEET,), **others})


def of_format(dis: str, dcs: str, page: bytes, *, rows: int = 200, size: int = 256, **others: object) -> Scenario:
    """Return a call in which this DIS has a page sent so."""
    code = dcs.split()[1]
    rate = RATES[code if code in RATES else "22"]
    frames = pieces(page, size)
    return delivered(
        *(send(f"FF 13 80 {dis}"), expect(f"FF 13 83 {dcs}"), expect_signal(rate), send(CFR)),
        *(timer(*TURNAROUND), expect_block(rate.short, *frames, *RCP)),
        *(timer(*TURNAROUND), expect(pps("2F", len(frames))), send(MCF), *GOODBYE),
        **{"pages": (blank(rows),), **others},
    )


def at_rate(code: str) -> Scenario:
    """Return a call in which this rate is reached from above by FTT, or offered at once."""
    offer = {"02": "02", "0A": "0A", "06": "06"}.get(code, "2E")
    refused = {"2A": ("22",), "0E": ("22", "2A", "06")}.get(code, ())
    return delivered(
        send(f"FF 13 80 00 {offer} F0 04"),
        *(
            step
            for each in refused
            for step in (expect(f"FF 13 83 00 {each} F0 04"), expect_signal(RATES[each]), send(FTT))
        ),
        *(expect(f"FF 13 83 00 {code} F0 04"), expect_signal(RATES[code], CHECK[code]), send(CFR)),
        *(expect_block(RATES[code].short, *FRAMES, *RCP), expect(pps("2F", 3)), send(MCF), *GOODBYE),
        pages=(SHEET,),
        driver=True,
    )


PAGES = {
    "a page goes out in MH": of_format("00 2E F0 04", "00 22 F0 04", mh(200), driver=True),
    "a page goes out in MR where both can": of_format("00 AE F0 04", "00 A2 F0 04", mr(200)),
    "a page goes out in MMR where both can": of_format("00 AE F0 44", "00 22 F0 44", mmr(3000), rows=3000, driver=True),
    "a page goes out in T.85 where both can": of_format(
        "00 AE F0 C4 80 80 80 80 80 20",
        "00 22 F0 84 80 80 80 80 80 20",
        JBIG,
        station=Station(codings=frozenset(Coding)),
    ),
    "a page does not go out in T.85 unless we were told to": of_format(
        "00 AE F0 C4 80 80 80 80 80 60", "00 22 F0 44", mmr(200)
    ),
    "an answerer that prefers small frames gets them": of_format(
        "40 2E F0 04", "00 22 F0 0C", mh(200), size=64, driver=True
    ),
    "we may prefer small frames, too": of_format(
        "00 2E F0 04", "00 22 F0 0C", mh(200), size=64, station=Station(frame_octets=64)
    ),
    **{f"a page goes out at {RATES[code]}": at_rate(code) for code in ("02", "0A", "0E", "06", "2A", "22")},
    "pages of one format follow each other by PPS-MPS, and are counted": one(
        *MORE, send(MCF), *NEXT_AND_END, confirmed=2, pages=TWO, driver=True
    ),
    "a page of another format is negotiated anew by PPS-EOM": one(
        *(send("FF 13 80 00 6E F0 04"), expect("FF 13 83 00 22 F0 04"), expect_signal(V17), send(CFR)),
        *(WHOLE, expect(pps("8F", 3)), send(MCF), pause(0.5), send("FF 13 80 00 6E F0 04")),
        *(expect("FF 13 83 00 62 F0 04"), expect_signal(V17, CHECK["22"]), send(CFR)),
        *(expect_block(V17.short, *NEXT_FRAMES, *RCP), expect("FF 13 BF 2F .. 00 01"), send(MCF), *GOODBYE),
        confirmed=2,
        pages=(SHEET, blank(100, resolution=Resolution.FINE)),
        driver=True,
    ),
    "a page of more than 256 frames goes out in blocks, which are counted": one(
        *(*FIRST_BLOCK, send(MCF)),
        *(expect_block(V17.short, *LONG_REST, *RCP), expect(pps("2F", 28, block=1)), send(MCF)),
        *GOODBYE,
        pages=(LONG,),
        driver=True,
    ),
    "DIS in answer to PPS-NULL has the whole page sent again": one(
        *(*FIRST_BLOCK, send("FF 13 80 40 2E F0 04"), expect("FF 13 83 00 22 F0 0C"), expect_signal(V17), send(CFR)),
        *(expect_block(V17.short, *LONG_FRAMES, *RCP), expect(pps("00", 256)), send(MCF)),
        *(expect_block(V17.short, *LONG_REST, *RCP), expect(pps("2F", 28, block=1)), send(MCF)),
        *GOODBYE,
        pages=(LONG,),
    ),
    "RTP in answer to PPS-NULL, in the midst of a page, ends the call": lost(
        "fax.protocol", *FIRST_BLOCK, send(RTP), *GOODBYE, pages=(LONG,)
    ),
    "another document begins anew after PPS-EOM, and its pages go on counting": one(
        *(*TRAINED, WHOLE, expect(pps("8F", 3)), send(MCF), pause(0.5), send(DIS_ECM)),
        *(expect("FF 13 83 00 22 F0 04"), expect_signal(V17, CHECK["22"]), send(CFR)),
        *NEXT_AND_END,
        confirmed=2,
        pages=TWO,
        begins=(1,),
    ),
    "a frame is asked for again at the end of a document, and PPS-EOM follows it once more": one(
        *(*TRAINED, WHOLE, expect(pps("8F", 3)), WANTS_SECOND, expect_block(V17.short, SECOND, *RCP)),
        *(expect(pps("8F", 1)), send(MCF), pause(0.5), send(DIS_ECM)),
        *(expect("FF 13 83 00 22 F0 04"), expect_signal(V17, CHECK["22"]), send(CFR)),
        *NEXT_AND_END,
        confirmed=2,
        pages=TWO,
        begins=(1,),
    ),
    "T1 runs anew after PPS-EOM": partly(
        "fax.no_machine",
        *(send("FF 13 80 00 6E F0 04"), expect("FF 13 83 00 22 F0 04"), expect_signal(V17), send(CFR)),
        *(WHOLE, expect(pps("8F", 3)), send(MCF), timer(30.0, 40.0), *GOODBYE),
        pages=(SHEET, blank(100, resolution=Resolution.FINE)),
    ),
    "RTP after PPS-MPS confirms the page, and training follows": one(
        *(*MORE, send(RTP), expect("FF 13 83 00 22 F0 04"), expect_signal(V17, CHECK["22"]), send(CFR)),
        *NEXT_AND_END,
        confirmed=2,
        pages=TWO,
    ),
    "DIS in answer to PPS has the page sent again": one(
        *(*LAST, send(DIS_ECM), expect("FF 13 83 00 22 F0 04"), expect_signal(V17, CHECK["22"]), send(CFR)),
        *(WHOLE, expect(pps("2F", 3)), send(MCF), *GOODBYE),
    ),
    "RTN after PPS ends the call where the policy is to leave the page behind": lost(
        "fax.page_refused",
        *(*MORE, send(RTN), *GOODBYE),
        pages=TWO,
        station=Station(policy=Policy(refused=REFUSED["ignore"])),
    ),
    "RTN after PPS has the page sent again one rate lower": one(
        *(*LAST, send(RTN), expect("FF 13 83 00 2A F0 04"), expect_signal(V12000, CHECK["2A"]), send(CFR)),
        *(expect_block(V12000.short, *FRAMES, *RCP), expect(pps("2F", 3)), send(MCF), *GOODBYE),
        driver=True,
    ),
}

CORRECTION = {
    "the frame that PPR asks for is sent again, and it alone": one(
        *(*LAST, send(ppr(1, *range(3, 256))), timer(*TURNAROUND), *GETS_SECOND, send(MCF), *GOODBYE), driver=True
    ),
    "all frames that PPR asks for are sent again": one(
        *LAST, send(ppr(*range(256))), WHOLE, *LAST[-1:], send(MCF), *GOODBYE
    ),
    "the last frame is sent again": one(
        *(*LAST, send(ppr(2)), expect_block(V17.short, THIRD, *RCP), expect(pps("2F", 1)), send(MCF), *GOODBYE)
    ),
    "PPR that asks for no frame of the page gets the last one": one(
        *(*LAST, send(ppr(7)), expect_block(V17.short, THIRD, *RCP), expect(pps("2F", 1)), send(MCF), *GOODBYE)
    ),
    "PPR after PPR is obeyed": one(
        *(*LAST, send(ppr(0, 1)), expect_block(V17.short, FIRST, SECOND, *RCP), expect(pps("2F", 2))),
        *(WANTS_SECOND, *GETS_SECOND, send(MCF), *GOODBYE),
        driver=True,
    ),
    "PPS without an answer comes again after T4": one(
        *(*LAST, *again(pps("2F", 3)), *again(pps("2F", 3)), send(MCF), *GOODBYE), driver=True
    ),
    "PPS-MPS that was lost comes again, and the next page follows": one(
        *(*MORE, *again(pps("4F", 3)), send(MCF), *NEXT_AND_END), confirmed=2, pages=TWO, driver=True
    ),
    "PPS without an answer comes three times, and then DCN": lost(
        "fax.no_response", *LAST, *again(pps("2F", 3)), *again(pps("2F", 3)), timer(*T4), *GOODBYE, driver=True
    ),
    "damaged MCF has PPS said again": one(
        *LAST, send_damaged(MCF), expect(pps("2F", 3)), send(MCF), *GOODBYE, driver=True
    ),
    "damaged PPR has PPS said again": one(
        *LAST, send_damaged(ppr(1)), expect(pps("2F", 3)), WANTS_SECOND, *GETS_SECOND, send(MCF), *GOODBYE
    ),
    "CRP has PPS said again": one(*LAST, send(CRP), expect(pps("2F", 3)), send(MCF), *GOODBYE),
    "our own PPS as an echo is no answer to it": one(*LAST, send(pps("2F", 3)), send(MCF), *GOODBYE, driver=True),
    "our own PPS as an echo does not hide PPR": one(
        *(*LAST, send(pps("2F", 3)), WANTS_SECOND, *GETS_SECOND, send(MCF), *GOODBYE), driver=True
    ),
    "PPS and MCF that collide are both said again": one(
        *LAST, silence(3.03), interrupt(MCF), expect(pps("2F", 3)), send(MCF), *GOODBYE
    ),
}

STEPPED_DOWN = {
    "after four PPR the rate steps down by CTC, and what follows CTR has long training once": one(
        *(*LAST, *(WANTS_SECOND, *GETS_SECOND) * 3, WANTS_SECOND, timer(*TURNAROUND), expect("FF 13 13 00 2A")),
        *(send(CTR), timer(*TURNAROUND), expect_block(V12000, SECOND, *RCP), expect(pps("2F", 1)), WANTS_SECOND),
        *(expect_block(V12000.short, SECOND, *RCP), expect(pps("2F", 1)), send(MCF), *GOODBYE),
        driver=True,
    ),
    "a modem change at CTC, from V.17 12000 to V.29 9600": one(
        *(send(DIS_ECM), expect("FF 13 83 00 22 F0 04"), expect_signal(V17), send(FTT)),
        *(expect("FF 13 83 00 2A F0 04"), expect_signal(V12000), send(CFR)),
        *(expect_block(V12000.short, *FRAMES, *RCP), expect(pps("2F", 3)), WANTS_SECOND),
        *(expect_block(V12000.short, SECOND, *RCP), expect(pps("2F", 1)), WANTS_SECOND) * 3,
        *(expect("FF 13 13 00 06"), send(CTR), expect_block(V29, SECOND, *RCP), expect(pps("2F", 1)), send(MCF)),
        *GOODBYE,
        driver=True,
    ),
    "CTC without an answer comes again after T4": one(
        *(*LAST, *(WANTS_SECOND, *GETS_SECOND) * 3, WANTS_SECOND, expect("FF 13 13 00 2A"), *again("FF 13 13 00 2A")),
        *(send(CTR), expect_block(V12000, SECOND, *RCP), expect(pps("2F", 1)), send(MCF), *GOODBYE),
        driver=True,
    ),
    "CTC without an answer comes three times, and then DCN": lost(
        "fax.no_response",
        *(*LAST, *(WANTS_SECOND, *GETS_SECOND) * 3, WANTS_SECOND, expect("FF 13 13 00 2A")),
        *(*again("FF 13 13 00 2A") * 2, timer(*T4), *GOODBYE),
    ),
    "the next page after CTC goes out at the rate that was reached": one(
        *(*MORE, WANTS_SECOND, *(expect_block(V17.short, SECOND, *RCP), expect(pps("4F", 1)), WANTS_SECOND) * 3),
        *(expect("FF 13 13 00 2A"), send(CTR), expect_block(V12000, SECOND, *RCP), expect(pps("4F", 1)), send(MCF)),
        *(expect_block(V12000.short, *NEXT_FRAMES, *RCP), expect(pps("2F", 2, page=1)), send(MCF), *GOODBYE),
        confirmed=2,
        pages=TWO,
    ),
    "at the lowest rate the page is given up by EOR after four PPR": lost(
        "fax.page_refused",
        *(*AT_SLOWEST, expect(pps("2F", 3)), WANTS_SECOND),
        *(expect_block(SLOWEST, SECOND, *RCP), expect(pps("2F", 1)), WANTS_SECOND) * 3,
        *(timer(*TURNAROUND), expect("FF 13 CF 2F"), send(ERR), timer(*TURNAROUND), *GOODBYE),
        driver=True,
    ),
    "after EOR-MPS the next page goes out": Scenario(
        far=(
            *(*AT_SLOWEST, expect(pps("4F", 3)), WANTS_SECOND),
            *(expect_block(SLOWEST, SECOND, *RCP), expect(pps("4F", 1)), WANTS_SECOND) * 3,
            *(expect("FF 13 CF 4F"), send(ERR), expect_block(SLOWEST, *NEXT_FRAMES, *RCP)),
            *(expect(pps("2F", 2, page=1)), send(MCF), *GOODBYE),
        ),
        verdict="partial",
        reason="fax.page_refused",
        confirmed=1,
        pages=TWO,
    ),
    "EOR without an answer comes again after T4": lost(
        "fax.page_refused",
        *(*AT_SLOWEST, expect(pps("2F", 3)), WANTS_SECOND),
        *(expect_block(SLOWEST, SECOND, *RCP), expect(pps("2F", 1)), WANTS_SECOND) * 3,
        *(expect("FF 13 CF 2F"), *again("FF 13 CF 2F"), send(ERR), *GOODBYE),
    ),
}

STUBBORN = Station(policy=Policy(correction=Correction(requests=2, step_down=False)))
IMPATIENT = Station(policy=Policy(correction=Correction(step_down=False, persist=False)))
LOSING = expect_block(SLOWEST, FIRST, SECOND, THIRD, *RCP), expect(pps("2F", 3))

PERSISTENCE = {
    "at the lowest rate correction goes on by CTC while frames come home": one(
        *(*AT_SLOWEST, expect(pps("2F", 3)), send(ppr(0, 1, 2)), *(*LOSING, send(ppr(0, 1, 2))) * 2),
        *(*LOSING, WANTS_SECOND, timer(*TURNAROUND), expect("FF 13 13 00 02"), send(CTR), timer(*TURNAROUND)),
        *(expect_block(SLOWEST, SECOND, *RCP), expect(pps("2F", 1)), send(MCF), *GOODBYE),
        driver=True,
    ),
    "at the lowest rate a receiver that asks for the same frames again after CTC is given up": lost(
        "fax.page_refused",
        *(*AT_SLOWEST, expect(pps("2F", 3)), send(ppr(0, 1)), expect_block(SLOWEST, FIRST, SECOND, *RCP)),
        *(expect(pps("2F", 2)), WANTS_SECOND),
        *(expect_block(SLOWEST, SECOND, *RCP), expect(pps("2F", 1)), WANTS_SECOND) * 2,
        *(expect("FF 13 13 00 02"), send(CTR)),
        *(expect_block(SLOWEST, SECOND, *RCP), expect(pps("2F", 1)), send(ppr(0, 1))),
        *(expect_block(SLOWEST, FIRST, SECOND, *RCP), expect(pps("2F", 2)), WANTS_SECOND),
        *(expect_block(SLOWEST, SECOND, *RCP), expect(pps("2F", 1)), WANTS_SECOND) * 2,
        *(expect("FF 13 CF 2F"), send(ERR), *GOODBYE),
    ),
    "at the lowest rate correction ends by EOR when no frame comes home any more": lost(
        "fax.page_refused",
        *(
            *AT_SLOWEST,
            expect(pps("2F", 3)),
            send(ppr(0, 1)),
            expect_block(SLOWEST, FIRST, SECOND, *RCP),
            expect(pps("2F", 2)),
        ),
        WANTS_SECOND,
        *(expect_block(SLOWEST, SECOND, *RCP), expect(pps("2F", 1)), WANTS_SECOND) * 2,
        *(expect("FF 13 13 00 02"), send(CTR)),
        *(expect_block(SLOWEST, SECOND, *RCP), expect(pps("2F", 1)), WANTS_SECOND) * 4,
        *(expect("FF 13 CF 2F"), send(ERR), *GOODBYE),
    ),
    "by policy the rate stays, and CTC comes after so many PPR": one(
        *(*LAST, send(ppr(1, 2)), expect_block(V17.short, SECOND, THIRD, *RCP), expect(pps("2F", 2)), WANTS_SECOND),
        *(expect("FF 13 13 00 22"), send(CTR), expect_block(V17, SECOND, *RCP), expect(pps("2F", 1)), send(MCF)),
        *GOODBYE,
        station=STUBBORN,
    ),
    "by policy a page is given up after four PPR, though each brought frames home": lost(
        "fax.page_refused",
        *(*LAST, send(ppr(0, 1, 2)), expect_block(V17.short, FIRST, SECOND, THIRD, *RCP), expect(pps("2F", 3))),
        *(send(ppr(0, 1, 2)), expect_block(V17.short, FIRST, SECOND, THIRD, *RCP), expect(pps("2F", 3))),
        *(send(ppr(1, 2)), expect_block(V17.short, SECOND, THIRD, *RCP), expect(pps("2F", 2))),
        *(WANTS_SECOND, expect("FF 13 CF 2F"), send(ERR), *GOODBYE),
        station=IMPATIENT,
    ),
    "by policy a page is given up after four PPR, at the first rate": lost(
        "fax.page_refused",
        *(*LAST, *(WANTS_SECOND, *GETS_SECOND) * 3, WANTS_SECOND, expect("FF 13 CF 2F"), send(ERR), *GOODBYE),
        station=IMPATIENT,
    ),
}

UNREADY = {
    "RNR has RR as answer until MCF": one(
        *(*LAST, send(RNR), timer(*TURNAROUND), expect(RR), send(RNR), expect(RR), send(MCF), *GOODBYE), driver=True
    ),
    "RNR after PPS-MPS holds the next page back": one(
        *(*MORE, send(RNR), expect(RR), send(RNR), expect(RR), send(MCF), *NEXT_AND_END),
        confirmed=2,
        pages=TWO,
        driver=True,
    ),
    "an answerer that is never ready is left when T5 has elapsed": lost(
        "fax.no_response", *LAST, *(send(RNR), expect(RR)) * 25, send(RNR), *GOODBYE, driver=True
    ),
    "RR without an answer comes again after T4": one(*(*LAST, send(RNR), expect(RR), *again(RR), send(MCF), *GOODBYE)),
    "RR without an answer comes three times, and then DCN": lost(
        "fax.no_response", *LAST, send(RNR), expect(RR), *again(RR), *again(RR), timer(*T4), *GOODBYE
    ),
    "RNR to EOR has RR as answer until ERR": lost(
        "fax.page_refused",
        *(*AT_SLOWEST, expect(pps("2F", 3)), WANTS_SECOND),
        *(expect_block(SLOWEST, SECOND, *RCP), expect(pps("2F", 1)), WANTS_SECOND) * 3,
        *(expect("FF 13 CF 2F"), send(RNR), expect(RR), send(ERR), *GOODBYE),
    ),
}

END = {
    "a fax is delivered though the answerer hangs up after its last MCF": one(*LAST, send(MCF), hang_up(), driver=True),
    "DCN in answer to PPS ends the call, and the page is not confirmed": lost(
        "fax.disconnected", *LAST, send(DCN_ANSWERER), expect_hang_up(), driver=True
    ),
    "a clipped DCN in answer to PPS is no MCF": lost(
        "line.dropped", *LAST, send_damaged(DCN_ANSWERER), expect(pps("2F", 3)), hang_up()
    ),
    "an answerer that hangs up after PPS has not confirmed": lost("line.dropped", *LAST, hang_up()),
    "an answerer that hangs up after PPR has not confirmed": lost("line.dropped", *LAST, WANTS_SECOND, hang_up()),
    "CTR in answer to PPS ends the call": lost("fax.protocol", *LAST, send(CTR), *GOODBYE),
}


@each(PAGES)
def test_how_a_calling_station_sends_corrected_pages(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(CORRECTION)
def test_how_a_calling_station_sends_frames_again(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(STEPPED_DOWN)
def test_how_a_calling_station_steps_down_and_gives_up(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(PERSISTENCE)
def test_how_long_a_calling_station_goes_on_correcting(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(UNREADY)
def test_how_a_calling_station_waits_for_a_receiver(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(END)
def test_how_a_corrected_call_ends_for_a_calling_station(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


def test_two_hundred_and_sixty_pages_go_out_with_a_counter_that_begins_again() -> None:
    (frame,) = pieces(mh(8))
    steps = [
        (
            expect_block(V17.short, frame, *RCP),
            expect(pps("2F" if page == 259 else "4F", 1, page=page % 256)),
            send(MCF),
        )
        for page in range(260)
    ]
    scenario = one(
        *TRAINED, *(step for each in steps for step in each), *GOODBYE, confirmed=260, pages=(blank(8),) * 260
    )
    check(scenario, by_driver=False)
