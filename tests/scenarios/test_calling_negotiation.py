"""Phases A and B of a station that calls: a scripted answerer before our sender."""

from simulators.script import (
    Step,
    carrier,
    expect,
    expect_block,
    expect_hang_up,
    expect_signal,
    expect_tone,
    hang_up,
    interrupt,
    pause,
    send,
    send_damaged,
    send_tone,
    silence,
    timer,
)
from t30.capabilities import Station
from t30.line import Tone
from t30.pages import Coding, Resolution, Width
from t30.policy import LADDERS, Policy
from t30.rates import Family, Modulation
from tests.scenarios.answerers import (
    CHOICE,
    GOODBYE,
    PAGE_AND_END,
    T4,
    THE_REST,
    TRAINED,
    TURNAROUND,
    V17,
    delivered,
    failed,
)
from tests.scenarios.stage import Scenario, blank, check, each
from tests.scenarios.wire import (
    CFR,
    CHECK,
    CRP,
    CRP_CALLER,
    CSI,
    DCN_ANSWERER,
    DCS,
    DIS,
    DTC,
    EOP,
    FTT,
    LADDER,
    MCF,
    RATES,
    RCP,
    TSI,
    mh,
    mr,
    pieces,
)

CNG_AGAIN = timer(0.85 * 3.5, 1.15 * 3.5)
OFFERED = {"02": "02", "0A": "0A", "06": "06", "0E": "06", "2E": "22", "3E": "0A"}
"""What DIS offers, and the rate that DCS chooses: V.27ter 2400; V.27ter; V.29; both; V.17 too; a reserved pattern."""
LINE_TIMES = {  # DIS; DCS at standard resolution, and when fine; ms
    "00": ("00", 20, "00", 20),
    "10": ("10", 5, "10", 5),
    "20": ("20", 10, "20", 10),
    "30": ("00", 20, "20", 10),
    "40": ("40", 40, "40", 40),
    "50": ("40", 40, "00", 20),
    "60": ("20", 10, "10", 5),
    "70": ("70", 0, "70", 0),
}
FINE = blank(40, resolution=Resolution.FINE)


def tried(*codes: str) -> tuple[Step, ...]:
    """Expect these rates in turn, the last one twice; refuse them all."""
    return tuple(
        step
        for code in (*codes, codes[-1])
        for step in (expect(f"FF 13 83 00 {code} 70"), expect_signal(RATES[code], CHECK[code]), send(FTT))
    )


LADDER_TRIED = tried(*LADDER)


def chosen(dis: str, dcs: str, *, code: str = "22", page: bytes | None = None, **others: object) -> Scenario:
    """Return a call in which this DIS has this DCS as answer; the page, if it is given, is just so."""
    rate = RATES[code]
    return delivered(
        send(f"FF 13 80 {dis}"),
        *(expect(f"FF 13 83 {dcs}"), expect_signal(rate, CHECK[code]), send(CFR)),
        *(expect_signal(rate.short, page), expect(EOP), send(MCF), *GOODBYE),
        **others,
    )


def line_time(offered: str, *, fine: bool) -> Scenario:
    """Return a call in which each line of the page lasts as long as DIS wants."""
    standard, standard_ms, finer, finer_ms = LINE_TIMES[offered]
    least = 14400 * (finer_ms if fine else standard_ms) // 1000
    dcs = f"00 62 {finer}" if fine else f"00 22 {standard}"
    page = mh(40, least=least)
    return chosen(f"00 6E {offered}", dcs, page=page, pages=(FINE,) if fine else (blank(40),))


IDENTIFICATION = {
    "CNG comes again and again until DIS": delivered(
        expect_tone(Tone.CNG),
        CNG_AGAIN,
        expect_tone(Tone.CNG),
        CNG_AGAIN,
        expect_tone(Tone.CNG),
        *TRAINED,
        *PAGE_AND_END,
        driver=True,
    ),
    "DIS after CED has DCS as answer after 75 ms, and training after 75 ms more": delivered(
        *(send_tone(Tone.CED), send(DIS), timer(*TURNAROUND), expect(DCS)),
        *(timer(*TURNAROUND), expect_signal(V17, CHECK["22"]), send(CFR)),
        *(timer(*TURNAROUND), *PAGE_AND_END),
        driver=True,
    ),
    "our identity goes before DCS, and theirs is kept": delivered(
        *(send(CSI, DIS), expect(TSI, DCS), expect_signal(V17, CHECK["22"]), send(CFR), *PAGE_AND_END),
        station=Station("+49 30 1"),
        remote_id="+1 555",
        driver=True,
    ),
    "what is nonstandard before DIS does not hide it": delivered(
        send("FF 03 20 B5 00 2A 11 22 33", CSI, DIS), *THE_REST, remote_id="+1 555"
    ),
    "an answerer that says DIS before we send CNG is answered": delivered(*TRAINED, *PAGE_AND_END, driver=True),
    "a silent answerer is left when T1 has elapsed": failed(
        "fax.no_machine",
        expect_tone(Tone.CNG),
        pause(30.0),
        *GOODBYE,
    ),
    "an answerer that only sends CED is left when T1 has elapsed": failed(
        "fax.no_machine", send_tone(Tone.CED), pause(30.0), *GOODBYE
    ),
    "an answerer that only ever asks to be sent to (DTC), and cannot be, is left when T1 has elapsed": failed(
        "fax.no_machine", *(expect_tone(Tone.CNG), send(DTC)) * 5, pause(20.0), *GOODBYE
    ),
    "flags without DIS are not waited for longer than T1": failed(
        "fax.no_machine", *(carrier(Modulation.V21, 2.0), expect_tone(Tone.CNG)) * 7, *GOODBYE
    ),
    "damaged DIS is waited for again": delivered(send_damaged(DIS), pause(3.0), *TRAINED, *PAGE_AND_END, driver=True),
    "an answerer that hangs up before DIS drops the call": failed("line.dropped", pause(5.0), hang_up()),
    "a machine that asks for a document before it says what it can do is not sent ours": delivered(
        send("FF 13 81 00 2E 70"), pause(3.0), *TRAINED, *PAGE_AND_END
    ),
    "DCN in place of DIS ends the call": failed("fax.disconnected", send(DCN_ANSWERER), expect_hang_up(), driver=True),
    "a machine that cannot receive is told goodbye": failed(
        "fax.incompatible", send("FF 13 80 00 2C 70"), *GOODBYE, driver=True
    ),
    "DIS of two octets is taken for what it says": chosen("00 2E", "00 22 00"),
    "DIS of sixteen octets with bits that nobody knows is understood": chosen(
        "00 2E F0 80 80 80 80 80 80 80 80 80 80 80 80 7F", "00 22 70"
    ),
    "a machine that has no rate in common with us is told goodbye": failed(
        "fax.incompatible", send("FF 13 80 00 02 70"), *GOODBYE, station=Station(families=frozenset({Family.V29}))
    ),
    "an octet that no extend bit announces does not count": chosen("00 2E 70 44", "00 22 70"),
    "V.8 in DIS changes nothing": chosen("20 2E 70", "00 22 70"),
}

TERMS = {
    **{
        f"an answerer that offers {offered} gets {RATES[code]}": chosen(
            f"00 {offered} 70", f"00 {code} 70", code=code, driver=offered in ("02", "0E")
        )
        for offered, code in OFFERED.items()
    },
    "a station without V.17 chooses V.29": chosen(
        "00 2E 70", "00 06 70", code="06", station=Station(families=frozenset({Family.V29, Family.V27TER}))
    ),
    "a station that is held to 4800 bit/s chooses that": chosen(
        "00 2E 70", "00 0A 70", code="0A", station=Station(max_bps=4800)
    ),
    **{f"lines last as long as {dis} wants": line_time(dis, fine=False) for dis in LINE_TIMES},
    **{f"fine lines last as long as {dis} wants": line_time(dis, fine=True) for dis in LINE_TIMES},
    "at a lower rate lines last as long, with fewer bits": delivered(
        *(send("FF 13 80 00 2E 00"), expect("FF 13 83 00 22 00"), expect_signal(V17), send(FTT)),
        *(expect("FF 13 83 00 2A 00"), expect_signal(RATES["2A"]), send(CFR)),
        *(expect_signal(RATES["2A"].short, mh(40, least=240)), expect(EOP), send(MCF), *GOODBYE),
        driver=True,
    ),
    "with error correction no line has to last": failed(
        "line.dropped",
        send("FF 13 80 00 2E C0 04"),
        *(expect("FF 13 83 00 22 F0 04"), expect_signal(V17, CHECK["22"]), send(CFR)),
        *(expect_block(V17.short, *pieces(mh(40)), *RCP), hang_up()),
    ),
    "MR is chosen where both can": chosen("00 AE 70", "00 A2 70", page=mr(40)),
    "MR is not chosen where we cannot": chosen(
        "00 AE 70", "00 22 70", page=mh(40), station=Station(codings=frozenset({Coding.MH}))
    ),
    "MMR without error correction is not chosen": chosen("00 2E F0 40", "00 22 70", page=mh(40)),
    "error correction is not chosen where we cannot": chosen("00 2E F0 44", "00 22 70", station=Station(ecm=False)),
    "fine is chosen where both can": chosen("00 6E 70", "00 62 70", pages=(FINE,)),
    "a B4 page is sent where it can be received": chosen("00 2E 71", "00 22 71", pages=(blank(40, width=Width.B4),)),
    "an A3 page is sent where it can be received": chosen("00 2E 72", "00 22 72", pages=(blank(40, width=Width.A3),)),
    "a superfine page is sent where it can be received": chosen(
        "00 6E F0 80 80 01", "00 22 F0 80 80 01", pages=(blank(40, resolution=Resolution.SUPERFINE),)
    ),
    "300 pels to the inch are sent where they can be received": chosen(
        "00 6E F0 80 80 0A", "00 22 F0 80 80 0A", pages=(blank(40, resolution=Resolution.R300),)
    ),
    "a subaddress and a password are said where they are taken": delivered(
        send("FF 13 80 00 2E F0 80 80 80 03"),
        expect("FF 03 C1 39" + " 20" * 19, "FF 03 C3 37" + " 20" * 19, "FF 13 83 00 22 F0 80 80 80 01"),
        *(expect_signal(V17, CHECK["22"]), send(CFR), *PAGE_AND_END),
        station=Station(subaddress="7", password="9"),
        driver=True,
    ),
    "a sender's identification is said where passwords are taken": delivered(
        send("FF 13 80 00 2E F0 80 80 80 03"),
        expect("FF 03 A3 37" + " 20" * 19, "FF 13 83 00 22 F0 80 80 80 02"),
        *(expect_signal(V17, CHECK["22"]), send(CFR), *PAGE_AND_END),
        station=Station(sender_id="7"),
    ),
    "a sender's identification is kept back where they are not": delivered(
        *(send(DIS), expect(DCS, whole=True), *CHOICE[1:], send(CFR), *PAGE_AND_END), station=Station(sender_id="7")
    ),
    "a subaddress and a password are kept back where they are not taken": delivered(
        *(send(DIS), expect(DCS, whole=True), *CHOICE[1:], send(CFR), *PAGE_AND_END),
        station=Station(subaddress="7", password="9"),
    ),
}

TRAINING = {
    "FTT has the next lower rate tried: from V.17 14400 to 12000, and from V.17 12000 to V.29 9600": delivered(
        *(send(DIS), *CHOICE, send(FTT)),
        *(expect("FF 13 83 00 2A 70"), expect_signal(RATES["2A"], CHECK["2A"]), send(FTT)),
        *(expect("FF 13 83 00 06 70"), expect_signal(RATES["06"], CHECK["06"]), send(CFR)),
        *(expect_signal(RATES["06"]), expect(EOP), send(MCF), *GOODBYE),
        driver=True,
    ),
    "when the lowest rate has failed twice we say goodbye": failed(
        "fax.training", send(DIS), *LADDER_TRIED, *GOODBYE, driver=True
    ),
    "an answerer without V.17 that refuses V.29 is tried down to its lowest rate": failed(
        "fax.training",
        send("FF 13 80 00 06 70"),
        *(expect("FF 13 83 00 06 70"), expect_signal(RATES["06"]), send(FTT)),
        *(expect("FF 13 83 00 0E 70"), expect_signal(RATES["0E"]), send(FTT)) * 2,
        *GOODBYE,
    ),
    "by policy V.17 is left late": failed(
        "fax.training",
        *(send(DIS), *tried("22", "2A", "26", "2E", "06", "0E", "0A", "02"), *GOODBYE),
        station=Station(policy=Policy(LADDERS["efax"])),
    ),
    "by policy V.17 and V.29 take turns": failed(
        "fax.training",
        *(send(DIS), *tried("22", "2A", "26", "06", "2E", "0E", "0A", "02"), *GOODBYE),
        station=Station(policy=Policy(LADDERS["spandsp"])),
    ),
    "no answer to DCS and training has both again after T4, three times in all": failed(
        "fax.no_response", send(DIS), *CHOICE, *(timer(*T4), *CHOICE) * 2, timer(*T4), *GOODBYE, driver=True
    ),
    "DIS in answer to DCS has DCS again": delivered(send(DIS), *CHOICE, send(DIS), *THE_REST, driver=True),
    "DIS that is said for the third time in answer to DCS ends the call": failed(
        "fax.no_response", *(send(DIS), *CHOICE) * 3, send(DIS), *GOODBYE
    ),
    "damaged CFR is asked for again": delivered(
        send(DIS), *CHOICE, send_damaged(CFR), expect(CRP_CALLER), send(CFR), *PAGE_AND_END, driver=True
    ),
    "damaged FTT is asked for again": delivered(
        *(send(DIS), *CHOICE, send_damaged(FTT), expect(CRP_CALLER), send(FTT)),
        *(expect("FF 13 83 00 2A 70"), expect_signal(RATES["2A"]), send(CFR)),
        *(expect_signal(RATES["2A"].short), expect(EOP), send(MCF), *GOODBYE),
    ),
    "CRP has DCS and training again": delivered(send(DIS), *CHOICE, send(CRP), *THE_REST),
    "CFR that was lost has DCS and training again": delivered(send(DIS), *CHOICE, timer(*T4), *THE_REST, driver=True),
    "our own DCS as an echo is no answer to it": delivered(
        send(DIS), *CHOICE, send(DCS), send(CFR), *PAGE_AND_END, driver=True
    ),
    "an answer that is none of T.30 is as good as none": delivered(
        send(DIS), *CHOICE, send("FF 13 54"), *THE_REST, driver=True
    ),
    "DCN in answer to training ends the call": failed(
        "fax.disconnected", send(DIS), *CHOICE, send(DCN_ANSWERER), expect_hang_up(), driver=True
    ),
    "a clipped DCN in answer to training is asked for again, and the call is over when they are gone": failed(
        "line.dropped", send(DIS), *CHOICE, send_damaged(DCN_ANSWERER), expect(CRP_CALLER), hang_up()
    ),
    "an answerer that hangs up after training drops the call": failed("line.dropped", send(DIS), *CHOICE, hang_up()),
    "MCF in answer to training ends the call": failed("fax.protocol", send(DIS), *CHOICE, send(MCF), *GOODBYE),
    "CFR and DCS that collide are both said again": delivered(
        send(DIS), *CHOICE, silence(3.03), interrupt(CFR), *THE_REST
    ),
    "CFR that takes its time is still CFR": delivered(
        send(DIS), *CHOICE, silence(1.5), send(CFR), *PAGE_AND_END, driver=True
    ),
}


@each(IDENTIFICATION)
def test_how_a_calling_station_finds_out_who_is_there(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(TERMS)
def test_what_a_calling_station_chooses(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(TRAINING)
def test_how_a_calling_station_trains(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)
