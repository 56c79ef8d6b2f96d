"""Phases A and B of a station that is called: a scripted caller before our receiver."""

from simulators.script import (
    carrier,
    expect,
    expect_hang_up,
    expect_tone,
    expect_until,
    hang_up,
    interrupt,
    send,
    send_damaged,
    send_signal,
    send_tone,
    silence,
    timer,
)
from t30.capabilities import Station
from t30.line import Tone
from t30.pages import Coding, Resolution
from t30.rates import Family, Modulation
from tests.scenarios.callers import (
    AGAIN,
    CHOICE,
    PAGE,
    PAGE_AND_END,
    T2,
    T4,
    THE_REST,
    TURNAROUND,
    V17,
    V29,
    failed,
    received,
)
from tests.scenarios.stage import Scenario, check, each
from tests.scenarios.wire import (
    CFR,
    CHECK,
    CRP_CALLER,
    CSI,
    DCN,
    DCN_ANSWERER,
    DCS,
    DCS_V29,
    EOP,
    ERR,
    FTT,
    LADDER,
    MCF,
    OUR_DIS,
    OUR_DIS_PLAIN,
    RATES,
    RR,
    TSI,
)


def at_rate(code: str) -> Scenario:
    """Return a call at one rate: the check with long training, the page with short training where there is one."""
    rate = RATES[code]
    return received(
        expect(OUR_DIS),
        send(TSI, f"FF 13 83 00 {code} 70"),
        send_signal(rate, CHECK[code]),
        timer(*TURNAROUND),
        expect(CFR),
        send_signal(rate.short, PAGE),
        send(EOP),
        timer(*TURNAROUND),
        expect(MCF),
        send(DCN),
        expect_hang_up(),
        remote_id="+49 30 1",
        driver=True,
    )


def announcing(dis: str, station: Station) -> Scenario:
    """Return a call in which this station says just this."""
    return failed("fax.disconnected", expect(dis), send(DCN), expect_hang_up(), station=station)


IDENTIFICATION = {
    "a caller that names itself for ever is not listened to for ever": failed(
        "fax.no_machine", expect(OUR_DIS), interrupt(*[TSI] * 100), expect_hang_up()
    ),
    "CED comes first, and DIS 75 ms after it": received(
        expect_tone(Tone.CED), timer(2.6 + 0.055, 4.0 + 0.095), expect(OUR_DIS), *THE_REST
    ),
    "the identity goes before DIS, and only DIS is final": received(
        expect(CSI, OUR_DIS), *THE_REST, station=Station("+1 555"), driver=True
    ),
    "a station without an identity says none": received(expect(OUR_DIS, whole=True), *THE_REST),
    "nonstandard facilities go before the identity": received(
        expect("FF 03 20 B5 00 2A", CSI, OUR_DIS), *THE_REST, station=Station("+1 555", nonstandard=b"\xb5\x00\x2a")
    ),
    "without error correction DIS does not offer it, nor MMR": announcing(OUR_DIS_PLAIN, Station(ecm=False)),
    "without MMR DIS offers error correction only": announcing(
        "FF 13 80 00 EE FA 84 80 17", Station(codings=frozenset({Coding.MH, Coding.MR}))
    ),
    "without MR and MMR DIS offers neither": announcing(
        "FF 13 80 00 6E FA 84 80 17", Station(codings=frozenset({Coding.MH}))
    ),
    "T.85 is offered where it is wanted, with stripes of any height": announcing(
        "FF 13 80 00 EE FA C4 80 97 80 80 80 60", Station(codings=frozenset(Coding))
    ),
    "without error correction there is no T.85": announcing(
        OUR_DIS_PLAIN, Station(ecm=False, codings=frozenset(Coding))
    ),
    "a station of V.27ter says so": announcing(
        "FF 13 80 00 CA FA C4 80 17", Station(families=frozenset({Family.V27TER}))
    ),
    "a station of V.29 says so": announcing("FF 13 80 00 C6 FA C4 80 17", Station(families=frozenset({Family.V29}))),
    "a station of V.29 and V.27ter says so": announcing(
        "FF 13 80 00 CE FA C4 80 17", Station(families=frozenset({Family.V29, Family.V27TER}))
    ),
    "a station of 2400 bit/s says so": announcing("FF 13 80 00 C2 FA C4 80 17", Station(max_bps=2400)),
    "a wish for small frames is said in DIS": announcing("FF 13 80 40 EE FA C4 80 17", Station(frame_octets=64)),
    "a station of standard and fine pages has no fourth octet too many": announcing(
        "FF 13 80 00 EE FA 44", Station(resolutions=frozenset({Resolution.STANDARD, Resolution.FINE}))
    ),
    "a station that takes a subaddress says so": announcing(
        "FF 13 80 00 EE FA C4 80 97 01", Station(takes_subaddress=True)
    ),
    "DIS is repeated every T4 until DCS arrives": received(
        expect(OUR_DIS), *AGAIN, *AGAIN, *AGAIN, *THE_REST, driver=True
    ),
    "a silent caller is left when T1 has elapsed": failed(
        "fax.no_machine",
        expect(OUR_DIS),
        *AGAIN * 5,
        expect_until(DCN_ANSWERER, OUR_DIS, least=7.0, most=18.2),  # T1 is 35 s ± 5, of which 23 have passed
        expect_hang_up(),
        driver=True,
    ),
    "a caller that only sends CNG is left when T1 has elapsed": failed(
        "fax.no_machine",
        *(send_tone(Tone.CNG, seconds=0.5), expect(OUR_DIS)) * 4,
        expect_until(DCN_ANSWERER, OUR_DIS, least=10.0, most=30.0),
        expect_hang_up(),
    ),
    "flags without a frame are no answer to DIS": received(
        expect(OUR_DIS), carrier(Modulation.V21, 0.5), expect(OUR_DIS), *THE_REST, driver=True
    ),
    "our own DIS as an echo is no answer to it": received(
        expect(OUR_DIS), send(OUR_DIS), expect(OUR_DIS), *THE_REST, driver=True
    ),
    "the caller says DIS, too: ours is said again": received(
        expect(OUR_DIS), send("FF 13 80 00 4E 70"), expect(OUR_DIS), *THE_REST
    ),
    "a caller that hangs up after DIS drops the call": failed("line.dropped", expect(OUR_DIS), hang_up()),
    "DCN after DIS ends the call, and we say nothing more": failed(
        "fax.disconnected", expect(OUR_DIS), send(DCN), expect_hang_up(), driver=True
    ),
    "a clipped DCN after DIS is no DCN, and the call is over when they are gone": failed(
        "line.dropped", expect(OUR_DIS), send_damaged(DCN), expect(OUR_DIS), hang_up()
    ),
    "a caller that wants to poll us is told goodbye": failed(
        "fax.incompatible", expect(OUR_DIS), send("FF 13 81 00 4E 70"), expect(DCN_ANSWERER), expect_hang_up()
    ),
    "RR in answer to DIS ends the call": failed(
        "fax.protocol", expect(OUR_DIS), send(RR), expect(DCN_ANSWERER), expect_hang_up()
    ),
    "CTC in answer to DIS ends the call": failed(
        "fax.protocol", expect(OUR_DIS), send("FF 13 13 00 06"), expect(DCN_ANSWERER), expect_hang_up()
    ),
    "EOR in answer to DIS ends the call, and there is no page": failed(
        "fax.protocol", expect(OUR_DIS), send("FF 13 CF 4F"), expect(DCN_ANSWERER), expect_hang_up(), told=0
    ),
    "EOP in answer to DIS ends the call, and there is no page": failed(
        "fax.protocol", expect(OUR_DIS), send(EOP), expect(DCN_ANSWERER), expect_hang_up(), told=0
    ),
    "DCS and DIS that collide are both said again": received(
        expect(OUR_DIS), timer(*T4), interrupt(DCS_V29), expect(OUR_DIS), *AGAIN, *THE_REST, driver=True
    ),
}

CHOICE_OF_RATE = {
    "damaged DCS has DIS said again": received(
        expect(OUR_DIS), send_damaged(DCS_V29), send_signal(V29, CHECK["06"]), expect(OUR_DIS), *THE_REST, driver=True
    ),
    "CRP has DIS said again, after 75 ms": received(
        expect(OUR_DIS), send(CRP_CALLER), timer(*TURNAROUND), expect(OUR_DIS), *THE_REST, driver=True
    ),
    "frames that we do not know, before DCS, do not hide it": received(
        expect(OUR_DIS),
        send("FF 03 23 B5 00 2A", "FF 03 63 31 32", "FF 03 55", DCS_V29),
        send_signal(V29, CHECK["06"]),
        expect(CFR),
        *PAGE_AND_END,
    ),
    "a subaddress and a password that we did not ask for do not hide DCS": received(
        expect(OUR_DIS),
        send("FF 03 C3" + " 37" * 20, "FF 03 C1" + " 39" * 20, DCS_V29),
        send_signal(V29, CHECK["06"]),
        expect(CFR),
        *PAGE_AND_END,
    ),
    "an identity that is no text is kept in escapes": received(
        expect(OUR_DIS),
        send("FF 03 43 E4 42" + " 20" * 18, DCS_V29),
        send_signal(V29, CHECK["06"]),
        expect(CFR),
        *PAGE_AND_END,
        remote_id="B\\xe4",
    ),
    "DCS of three octets and more, with bits that nobody knows, is obeyed": received(
        expect(OUR_DIS),
        send("FF 13 83 00 06 F0 80 80 80 80 80 80 08"),
        send_signal(V29, CHECK["06"]),
        expect(CFR),
        *PAGE_AND_END,
    ),
    "a rate that is none has FTT as answer after its training has passed": received(
        expect(OUR_DIS), send("FF 13 83 00 3E 70"), carrier(V17, 1.5), expect(FTT), *THE_REST, driver=True
    ),
    "a rate that is none has FTT as answer half a second after its training": received(
        expect(OUR_DIS), send("FF 13 83 00 3E 70"), carrier(V17, 1.5), timer(0.5, 0.7), expect(FTT), *THE_REST
    ),
    "a training check in another modulation than DCS says has FTT as answer": received(
        expect(OUR_DIS), send(DCS_V29), send_signal(V17, CHECK["22"]), expect(FTT), *THE_REST, driver=True
    ),
    "flags again and again in place of the training check are not waited out": received(
        *(expect(OUR_DIS), send(DCS_V29), *(carrier(Modulation.V21, 0.5),) * 4, timer(*TURNAROUND), expect(FTT)),
        *THE_REST,
        driver=True,
    ),
    "EOR in place of the training check has ERR as answer, and nothing is given up": received(
        expect(OUR_DIS), send(DCS_V29), send("FF 13 CF 4F"), expect(ERR), *THE_REST
    ),
    "RR in place of the training check ends the call": failed(
        "fax.protocol", expect(OUR_DIS), send(DCS_V29), send(RR), expect(DCN_ANSWERER), expect_hang_up()
    ),
    "a training check that is noise has FTT as answer, and the next lower rate is trained": received(
        expect(OUR_DIS),
        send(DCS),
        send_signal(V17, bytes(range(1, 226)) * 12),
        expect(FTT),
        send("FF 13 83 00 2A 70"),
        send_signal(RATES["2A"], bytes(range(1, 226)) * 10),
        expect(FTT),
        *THE_REST,
        driver=True,
    ),
    "a rate change from V.17 12000 to V.29 9600 after FTT needs nothing but DCS": received(
        expect(OUR_DIS),
        send("FF 13 83 00 2A 70"),
        send_signal(RATES["2A"], b"\xff" * 2250),
        expect(FTT),
        *THE_REST,
        driver=True,
    ),
    "a training check cut short has FTT as answer": received(
        expect(OUR_DIS), send(DCS_V29), send_signal(V29, bytes(900)), expect(FTT), *THE_REST, driver=True
    ),
    "a training check of one second of zeros is enough": received(
        expect(OUR_DIS), send(DCS_V29), send_signal(V29, bytes(1250)), expect(CFR), *PAGE_AND_END
    ),
    "a training check with a damaged octet has CFR as answer": received(
        expect(OUR_DIS), send(DCS_V29), send_signal(V29, bytes(200) + b"\x10" + bytes(1599)), expect(CFR), *PAGE_AND_END
    ),
    "a training check that never comes has FTT as answer": received(
        expect(OUR_DIS), send(DCS_V29), timer(3.0, 6.1), expect(FTT), *THE_REST, driver=True
    ),
    "DCS again in place of the training check is obeyed": received(
        expect(OUR_DIS), send("FF 13 83 00 2A 70"), silence(0.5), *THE_REST, driver=True
    ),
    "training without a training check has FTT as answer": received(
        expect(OUR_DIS), send(DCS_V29), carrier(V29, 0.2), expect(FTT), *THE_REST, driver=True
    ),
    "every rate may fail before the caller says goodbye": failed(
        "fax.disconnected",
        expect(OUR_DIS),
        *(
            step
            for code in LADDER
            for step in (
                send(f"FF 13 83 00 {code} 70"),
                send_signal(RATES[code], b"\x55" * len(CHECK[code])),
                expect(FTT),
            )
        ),
        send(DCN),
        expect_hang_up(),
    ),
    "DCS that comes again because CFR was lost is trained and confirmed again": received(
        expect(OUR_DIS), *CHOICE, expect(CFR), silence(2.9), *THE_REST, driver=True
    ),
    "DCS that comes again because FTT was lost is trained again": received(
        expect(OUR_DIS), send(DCS_V29), send_signal(V29, b"\x55" * 1800), expect(FTT), silence(2.9), *THE_REST
    ),
    "CRP has CFR said again": received(
        expect(OUR_DIS), *CHOICE, expect(CFR), send(CRP_CALLER), expect(CFR), *PAGE_AND_END, driver=True
    ),
    "CFR that comes back as an echo does not hide the page after it": received(
        expect(OUR_DIS), *CHOICE, expect(CFR), send(CFR), *PAGE_AND_END, driver=True
    ),
    "DCS again that begins before CFR is trained again": received(
        expect(OUR_DIS), *CHOICE, interrupt(DCS_V29), send_signal(V29, CHECK["06"]), expect(CFR), *PAGE_AND_END
    ),
    "flags before a page do not hide it": received(
        expect(OUR_DIS), *CHOICE, expect(CFR), carrier(Modulation.V21, 0.5), *PAGE_AND_END, driver=True
    ),
    "a carrier of another modulation before a page does not hide it": received(
        expect(OUR_DIS), *CHOICE, expect(CFR), carrier(V17, 1.0), *PAGE_AND_END, driver=True
    ),
    "a caller that says what it can do in place of its page is told goodbye": failed(
        "fax.incompatible",
        *(expect(OUR_DIS), *CHOICE, expect(CFR), send("FF 13 80 00 4E 70"), expect(DCN_ANSWERER), expect_hang_up()),
    ),
    "DCN in place of a page ends the call": failed(
        "fax.disconnected", expect(OUR_DIS), *CHOICE, expect(CFR), send(DCN), expect_hang_up(), driver=True
    ),
    "DCN in place of the training check ends the call": failed(
        "fax.disconnected", expect(OUR_DIS), send(DCS_V29), send(DCN), expect_hang_up(), driver=True
    ),
    "a caller that is silent after CFR is left after T2": failed(
        "fax.no_response",
        expect(OUR_DIS),
        *CHOICE,
        expect(CFR),
        timer(*T2),
        expect(DCN_ANSWERER),
        expect_hang_up(),
        driver=True,
    ),
    "a caller that is silent after FTT is left after T2": failed(
        "fax.no_response",
        expect(OUR_DIS),
        send(DCS_V29),
        send_signal(V29, b"\x55" * 1800),
        expect(FTT),
        timer(*T2),
        expect(DCN_ANSWERER),
        expect_hang_up(),
    ),
    **{f"a page arrives at {rate}": at_rate(code) for code, rate in RATES.items()},
}


@each(IDENTIFICATION)
def test_what_a_called_station_says_first(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(CHOICE_OF_RATE)
def test_what_a_called_station_makes_of_dcs_and_training(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)
