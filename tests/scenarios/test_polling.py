"""Polling: a scripted machine with a document before our poller, and a scripted poller before our document."""

from typing import Any

from simulators.script import (
    Step,
    expect,
    expect_block,
    expect_hang_up,
    expect_signal,
    expect_tone,
    hang_up,
    pause,
    send,
    send_block,
    send_damaged,
    send_signal,
    silence,
    timer,
)
from t30.capabilities import Offer, Station
from t30.line import Tone
from t30.outcome import Direction
from t30.pages import Key, Resolution
from t30.rates import Modulation
from tests.scenarios.stage import Scenario, blank, check, each
from tests.scenarios.wire import (
    CHECK,
    CSI,
    DIS,
    DIS_POLLED,
    DIS_POLLED_ECM,
    DIS_SELECTIVE,
    DTC,
    DTC_ECM,
    OUR_DTC,
    OUR_LOCKED_OFFER,
    OUR_OFFER,
    OUR_OFFER_TOO,
    POLLED_DCN,
    POLLED_DCS,
    POLLED_DCS_ECM,
    POLLED_DCS_V17,
    POLLED_DCS_V17_ECM,
    POLLED_EOM,
    POLLED_EOP,
    POLLED_MPS,
    POLLED_TSI,
    POLLER_CFR,
    POLLER_CRP,
    POLLER_DCN,
    POLLER_FTT,
    POLLER_MCF,
    POLLER_RTN,
    RCP,
    mh,
    pieces,
    polled_pps,
    poller_ppr,
    said,
)

V17, V29 = Modulation.V17_14400, Modulation.V29_9600
V12000 = Modulation.V17_12000
TURNAROUND = (0.055, 0.095)
T2 = (5.0, 7.1)
T4 = (2.55, 3.55)
PAGE, NEXT, CORRECTED = mh(40), mh(60), mh(200)
SHEET = blank(40)
FRAMES = pieces(CORRECTED)

# ------------------------------------------------------------------------------------------------------ our end polls

ASKED = (send(DIS_POLLED), timer(*TURNAROUND), expect(OUR_DTC))
CHOICE = (send(POLLED_TSI, POLLED_DCS), send_signal(V29, CHECK["06"]))
ANNOUNCED = (*CHOICE, timer(*TURNAROUND), expect(POLLER_CFR))
LAST_PAGE = (send_signal(V29, PAGE), send(POLLED_EOP), timer(*TURNAROUND), expect(POLLER_MCF))
GOODBYE = (send(POLLED_DCN), expect_hang_up())
GIVEN: tuple[Step, ...] = (*ANNOUNCED, *LAST_PAGE, *GOODBYE)


def fetched(*far: Step, **others: Any) -> Scenario:
    """Return a call in which our end fetches a document: one page of ``PAGE``, unless they say otherwise."""
    given = {"verdict": "received", "confirmed": 1, "got": (PAGE,), "remote_id": "+1 555", **others}
    return Scenario(far=far, polls=True, **given)


def in_vain(reason: str, *far: Step, **others: Any) -> Scenario:
    """Return a call in which our end gets nothing."""
    return Scenario(far=far, polls=True, verdict="failed", reason=reason, **others)


POLLING = {
    "a document is fetched": fetched(*ASKED, *GIVEN, driver=True),
    "the poller says who it is": fetched(
        send(DIS_POLLED), expect(said("41", "+49 30 1"), OUR_DTC), *GIVEN, station=Station("+49 30 1")
    ),
    "its own extensions go first": fetched(
        *(send(DIS_POLLED), expect("FF 03 21 B5 00 2A", said("41", "+49 30 1"), OUR_DTC), *GIVEN),
        station=Station("+49 30 1", nonstandard=b"\xb5\x00\x2a"),
    ),
    "the answerer's identity is noted": fetched(
        send(CSI, DIS_POLLED),
        expect(OUR_DTC),
        *(send(POLLED_DCS), send_signal(V29, CHECK["06"]), expect(POLLER_CFR), *LAST_PAGE, *GOODBYE),
    ),
    "the sender's identity counts more than the answerer's": fetched(
        send(said("40", "9"), DIS_POLLED), expect(OUR_DTC), *GIVEN
    ),
    "a poller that takes a subaddress when it is called asks as any other": fetched(
        *ASKED, *GIVEN, station=Station(takes_subaddress=True)
    ),
    "several pages are fetched": fetched(
        *(*ASKED, *ANNOUNCED, send_signal(V29, PAGE), send(POLLED_MPS), expect(POLLER_MCF)),
        *(send_signal(V29, NEXT), send(POLLED_EOP), expect(POLLER_MCF), *GOODBYE),
        confirmed=2,
        got=(PAGE, NEXT),
        driver=True,
    ),
    "after EOM the poller asks again": fetched(
        *(*ASKED, *ANNOUNCED, send_signal(V29, PAGE), send(POLLED_EOM), expect(POLLER_MCF)),
        *(timer(*T2), expect(OUR_DTC), *CHOICE, expect(POLLER_CFR)),
        *(send_signal(V29, NEXT), send(POLLED_EOP), expect(POLLER_MCF), *GOODBYE),
        confirmed=2,
        got=(PAGE, NEXT),
        driver=True,
    ),
    "a document is fetched with error correction": fetched(
        *(send(DIS_POLLED_ECM), expect(OUR_DTC), send(POLLED_DCS_ECM), send_signal(V29, CHECK["06"])),
        *(expect(POLLER_CFR), send_block(V29, *FRAMES, *RCP), send(polled_pps("2F", 3)), expect(POLLER_MCF)),
        *GOODBYE,
        remote_id="",
        got=(CORRECTED,),
        driver=True,
    ),
    "a missing frame is asked for again": fetched(
        *(send(DIS_POLLED_ECM), expect(OUR_DTC), send(POLLED_DCS_ECM), send_signal(V29, CHECK["06"])),
        *(expect(POLLER_CFR), send_block(V29, FRAMES[0], FRAMES[2], *RCP), send(polled_pps("2F", 3))),
        *(expect(poller_ppr(1, *range(3, 256))), send_block(V29, FRAMES[1], *RCP), send(polled_pps("2F", 1))),
        *(expect(POLLER_MCF), *GOODBYE),
        remote_id="",
        got=(CORRECTED,),
    ),
    "a training check that is damaged is refused": fetched(
        *(*ASKED, send(POLLED_TSI, POLLED_DCS_V17), send_signal(V17, b"\x55" * 2700), expect(POLLER_FTT)),
        *GIVEN,
    ),
    "DTC is repeated after T4": fetched(*ASKED, timer(*T4), expect(OUR_DTC), *GIVEN, driver=True),
    "DTC is repeated when DIS comes again": fetched(*ASKED, send(DIS_POLLED), expect(OUR_DTC), *GIVEN),
    "DTC is repeated on CRP": fetched(*ASKED, send("FF 13 1A"), expect(OUR_DTC), *GIVEN),
    "DTC is repeated when the answer cannot be read": fetched(
        *ASKED, send_damaged("FF 13 80 00 2F 70"), expect(OUR_DTC), *GIVEN
    ),
    "DTC that is not answered three times ends the call": in_vain(
        "fax.no_response",
        *(*ASKED, timer(*T4), expect(OUR_DTC), timer(*T4), expect(OUR_DTC)),
        *(timer(*T4), expect(POLLER_DCN), expect_hang_up()),
    ),
    "where there is no document the call ends at once": in_vain(
        "fax.nothing_to_poll", send(DIS), timer(*TURNAROUND), expect(POLLER_DCN), expect_hang_up(), driver=True
    ),
    "a machine that hangs up on DTC refuses": in_vain(
        "fax.poll_refused", *ASKED, send(POLLED_DCN), expect_hang_up(), driver=True
    ),
    "a machine that asks for the poller's document in turn is refused": in_vain(
        "fax.incompatible", *ASKED, send(DTC), expect(POLLER_DCN), expect_hang_up()
    ),
    "a machine that goes silent after the training check is left after T2": in_vain(
        "fax.no_response", *ASKED, *ANNOUNCED, silence(5.0), expect(POLLER_DCN), expect_hang_up(), remote_id="+1 555"
    ),
    "a goodbye before the first page is one too early": in_vain(
        "fax.disconnected", *ASKED, *ANNOUNCED, send(POLLED_DCN), expect_hang_up(), remote_id="+1 555"
    ),
    "a line that is dropped after DTC ends the call": in_vain("line.dropped", *ASKED, hang_up()),
    "a silent answerer is left when T1 has elapsed": in_vain(
        "fax.no_machine", pause(36.0), expect(POLLER_DCN), expect_hang_up()
    ),
    "the poller sends CNG while it waits": fetched(expect_tone(Tone.CNG), *ASKED, *GIVEN),
    "a page that cannot be read is refused, and comes again": fetched(
        *(*ASKED, *ANNOUNCED, send_signal(V29, mh(40, bad=range(20))), send(POLLED_EOP), expect(POLLER_RTN)),
        *GIVEN,
    ),
    "EOP is answered again when the answer was lost": fetched(
        *(*ASKED, *ANNOUNCED, send_signal(V29, PAGE), send(POLLED_EOP), expect(POLLER_MCF)),
        *(pause(1.8), send(POLLED_EOP), expect(POLLER_MCF), *GOODBYE),
    ),
}

ADDRESSED = Station(subaddress="12", password="99")
SELECTIVE = {
    "address and password go before DTC": fetched(
        send(DIS_SELECTIVE), expect(said("C1", "99"), said("A1", "12"), OUR_DTC), *GIVEN, station=ADDRESSED, driver=True
    ),
    "both are said again after EOM": fetched(
        *(send(DIS_SELECTIVE), expect(said("C1", "99"), said("A1", "12"), OUR_DTC)),
        *(*ANNOUNCED, send_signal(V29, PAGE), send(POLLED_EOM), expect(POLLER_MCF)),
        *(expect(said("C1", "99"), said("A1", "12"), OUR_DTC), *GIVEN),
        station=ADDRESSED,
        confirmed=2,
        got=(PAGE, PAGE),
    ),
    "without a wish for it neither is said": fetched(send(DIS_SELECTIVE), expect(OUR_DTC), *GIVEN),
    "an address is not said to a machine that takes none": in_vain(
        "fax.incompatible", send(DIS_POLLED), expect(POLLER_DCN), expect_hang_up(), station=Station(subaddress="12")
    ),
    "a password is not said to a machine that takes none": in_vain(
        "fax.incompatible", send(DIS_POLLED), expect(POLLER_DCN), expect_hang_up(), station=Station(password="99")
    ),
}

# ---------------------------------------------------------------------------------------------------- our end is polled

OFFERS = Station(receives=False, offer=Offer())
BOTH = Station(offer=Offer())
LOCKED = Station(receives=False, offer=Offer(selective=True, password=True))
KEY = Key("12", "99")
TRAINED = (expect(POLLED_DCS_V17), expect_signal(V17, CHECK["22"]), send(POLLER_CFR))
ASKING = (expect(OUR_OFFER), send(DTC))
TAKES_LEAVE = (expect(POLLED_DCN), expect_hang_up())
TAKEN: tuple[Step, ...] = (
    *(*TRAINED, expect_signal(V17.short, PAGE), expect(POLLED_EOP)),
    *(send(POLLER_MCF), timer(*TURNAROUND), *TAKES_LEAVE),
)


def given(*far: Step, **others: Any) -> Scenario:
    """Return a call in which our document is fetched: one page of ``SHEET``, unless they say otherwise."""
    return Scenario(far=far, verdict="delivered", **{"confirmed": 1, "pages": (SHEET,), "station": OFFERS, **others})


def kept(reason: str, *far: Step, **others: Any) -> Scenario:
    """Return a call in which our document is not fetched."""
    return Scenario(far=far, verdict="failed", reason=reason, **{"pages": (SHEET,), "station": OFFERS, **others})


POLLED = {
    "a document is given": given(*ASKING, timer(*TURNAROUND), *TAKEN, driver=True),
    "the answerer says who it is, twice": given(
        expect(CSI, OUR_OFFER),
        send(DTC),
        *(expect(POLLED_TSI, POLLED_DCS_V17), expect_signal(V17, CHECK["22"]), send(POLLER_CFR)),
        *(expect_signal(V17.short, PAGE), expect(POLLED_EOP), send(POLLER_MCF), *TAKES_LEAVE),
        station=Station("+1 555", receives=False, offer=Offer()),
    ),
    "what a poller says in password and subaddress is the poller's to say, though it takes both": given(
        *(expect(OUR_OFFER), send("FF 13 81 00 2E F0 80 80 80 03")),
        *(expect("FF 13 82 00 22 70", whole=True), expect_signal(V17, CHECK["22"]), send(POLLER_CFR)),
        *(expect_signal(V17.short, PAGE), expect(POLLED_EOP), send(POLLER_MCF), *TAKES_LEAVE),
        station=Station(subaddress="7", password="9", receives=False, offer=Offer()),
    ),
    "the poller's identity is noted": given(
        expect(OUR_OFFER), send(said("41", "+49 30 1"), DTC), *TAKEN, remote_id="+49 30 1"
    ),
    "several pages are given": given(
        *(*ASKING, *TRAINED, expect_signal(V17.short, PAGE), expect(POLLED_MPS), send(POLLER_MCF)),
        *(expect_signal(V17.short, NEXT), expect(POLLED_EOP), send(POLLER_MCF), *TAKES_LEAVE),
        confirmed=2,
        pages=(SHEET, blank(60)),
        driver=True,
    ),
    "after EOM the poller asks again": given(
        *(expect(OUR_OFFER), send("FF 13 81 00 6E 70"), *TRAINED),
        *(expect_signal(V17.short, PAGE), expect(POLLED_EOM), send(POLLER_MCF), send("FF 13 81 00 6E 70")),
        *(expect("FF 13 82 00 62 70"), expect_signal(V17, CHECK["22"]), send(POLLER_CFR)),
        *(expect_signal(V17.short, PAGE), expect(POLLED_EOP), send(POLLER_MCF), *TAKES_LEAVE),
        confirmed=2,
        pages=(SHEET, blank(40, resolution=Resolution.FINE)),
        driver=True,
    ),
    "after EOM a poller that says what it can do is sent the rest, too": given(
        *(expect(OUR_OFFER), send("FF 13 81 00 6E 70"), *TRAINED),
        *(expect_signal(V17.short, PAGE), expect(POLLED_EOM), send(POLLER_MCF), send("FF 13 80 00 6E 70")),
        *(expect("FF 13 83 00 62 70"), expect_signal(V17, CHECK["22"]), send("FF 13 84")),
        *(expect_signal(V17.short, PAGE), expect("FF 13 2F"), send("FF 13 8C"), expect("FF 13 FB"), expect_hang_up()),
        confirmed=2,
        pages=(SHEET, blank(40, resolution=Resolution.FINE)),
    ),
    "a document is given with error correction": given(
        *(expect(OUR_OFFER), send(DTC_ECM), expect(POLLED_DCS_V17_ECM), expect_signal(V17, CHECK["22"])),
        *(send(POLLER_CFR), expect_block(V17.short, *FRAMES, *RCP), expect(polled_pps("2F", 3))),
        *(send(POLLER_MCF), *TAKES_LEAVE),
        pages=(blank(200),),
        driver=True,
    ),
    "a frame that is asked for is sent again": given(
        *(expect(OUR_OFFER), send(DTC_ECM), expect(POLLED_DCS_V17_ECM), expect_signal(V17, CHECK["22"])),
        *(send(POLLER_CFR), expect_block(V17.short, *FRAMES, *RCP), expect(polled_pps("2F", 3))),
        *(send(poller_ppr(1)), expect_block(V17.short, FRAMES[1], *RCP), expect(polled_pps("2F", 1))),
        *(send(POLLER_MCF), *TAKES_LEAVE),
        pages=(blank(200),),
    ),
    "FTT takes our rate down": given(
        *(*ASKING, expect(POLLED_DCS_V17), expect_signal(V17), send(POLLER_FTT)),
        *(expect("FF 13 82 00 2A 70"), expect_signal(V12000, CHECK["2A"]), send(POLLER_CFR)),
        *(expect_signal(V12000.short, PAGE), expect(POLLED_EOP), send(POLLER_MCF), *TAKES_LEAVE),
    ),
    "DIS is repeated when DTC cannot be read": given(
        expect(OUR_OFFER), send_damaged(DTC), expect(OUR_OFFER), send(DTC), *TAKEN, driver=True
    ),
    "DIS is repeated every T4 until DTC arrives": given(
        expect(OUR_OFFER), timer(*T4), expect(OUR_OFFER), timer(*T4), expect(OUR_OFFER), send(DTC), *TAKEN
    ),
    "DIS is repeated on CRP": given(expect(OUR_OFFER), send(POLLER_CRP), expect(OUR_OFFER), send(DTC), *TAKEN),
    "a poller that did not hear the choice and asks again gets it again": given(
        *(*ASKING, expect(POLLED_DCS_V17), expect_signal(V17), send(DTC), *TAKEN),
    ),
    "the choice is repeated when it is not answered": given(
        *(*ASKING, expect(POLLED_DCS_V17), expect_signal(V17), timer(*T4), *TAKEN),
    ),
    "a poller that does not say that it receives gets the document": given(
        expect(OUR_OFFER), send("FF 13 81 00 2C 70"), *TAKEN
    ),
    "a poller that goes silent is left": kept(
        "fax.no_response",
        *ASKING,
        *(expect(POLLED_DCS_V17), expect_signal(V17), timer(*T4)) * 3,
        *TAKES_LEAVE,
    ),
    "a poller that hangs up after our choice gets nothing": kept(
        "fax.disconnected", *ASKING, expect(POLLED_DCS_V17), expect_signal(V17), send(POLLER_DCN), expect_hang_up()
    ),
    "a poller with whom we share no rate gets nothing": kept(
        "fax.incompatible",
        *(expect("FF 13 80 00 C5 FA C4 80 17"), send("FF 13 81 00 0A 70"), *TAKES_LEAVE),
        station=Station(receives=False, offer=Offer(), families=frozenset({V29.family})),
    ),
    "a caller that wants to send finds a document only": kept(
        "fax.incompatible",
        expect(OUR_OFFER),
        send("FF 13 83 00 06 70"),
        send_signal(V29, CHECK["06"]),
        *TAKES_LEAVE,
        direction=Direction.OUT,
    ),
    "an answerer that takes faxes, too, gives its document to who asks": given(
        expect(OUR_OFFER_TOO), send(DTC), *TAKEN, station=BOTH, driver=True
    ),
    "an answerer that has a document, too, takes the fax of who sends": Scenario(
        far=(
            *(expect(OUR_OFFER_TOO), send("FF 13 83 00 06 70"), send_signal(V29, CHECK["06"]), expect("FF 13 84")),
            *(send_signal(V29, PAGE), send("FF 13 2F"), expect("FF 13 8C"), send("FF 13 FB"), expect_hang_up()),
        ),
        station=BOTH,
        pages=(SHEET,),
        verdict="received",
        confirmed=1,
        got=(PAGE,),
        driver=True,
    ),
}

UNLOCKED = (said("C1", "99"), said("A1", "12"), DTC)
KEYS = {
    "who knows address and password gets the document": given(
        expect(OUR_LOCKED_OFFER), send(*UNLOCKED), *TAKEN, station=LOCKED, key=KEY, driver=True
    ),
    "the polled subaddress will do for the address": given(
        *(expect(OUR_LOCKED_OFFER), send(said("61", "12"), said("C1", "99"), DTC), *TAKEN), station=LOCKED, key=KEY
    ),
    "a wrong password is refused": kept(
        "fax.poll_refused",
        *(expect(OUR_LOCKED_OFFER), send(said("C1", "98"), said("A1", "12"), DTC), *TAKES_LEAVE),
        station=LOCKED,
        key=KEY,
        driver=True,
    ),
    "a wrong address is refused": kept(
        "fax.poll_refused",
        *(expect(OUR_LOCKED_OFFER), send(said("C1", "99"), said("A1", "13"), DTC), *TAKES_LEAVE),
        station=LOCKED,
        key=KEY,
    ),
    "who says neither is refused": kept(
        "fax.poll_refused", expect(OUR_LOCKED_OFFER), send(DTC), *TAKES_LEAVE, station=LOCKED, key=KEY
    ),
    "an offer to all is given to who says a password": given(expect(OUR_OFFER), send(*UNLOCKED), *TAKEN),
    "the password's frame being damaged, nothing is given": kept(
        "fax.poll_refused",
        *(expect(OUR_LOCKED_OFFER), send(said("A1", "12"), DTC), *TAKES_LEAVE),
        station=LOCKED,
        key=KEY,
    ),
}


@each(POLLING | SELECTIVE)
def test_our_poller(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(POLLED | KEYS)
def test_our_document(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)
