"""Machines that want to be spoken to: PRI-MPS, PRI-EOM, PRI-EOP of senders, PIP and PIN of receivers."""

from simulators.script import (
    Step,
    expect,
    expect_block,
    expect_hang_up,
    expect_signal,
    pause,
    send,
    send_block,
    send_signal,
    timer,
)
from t30.capabilities import Station
from t30.policy import Operator, Policy
from t30.rates import Modulation
from tests.scenarios import answerers, callers
from tests.scenarios.answerers import SHEET, delivered
from tests.scenarios.callers import ECM_TRAINED, PAGE, TRAINED, V17, V29, received
from tests.scenarios.stage import Scenario, blank, check, each
from tests.scenarios.wire import (
    CFR,
    CHECK,
    DCN,
    DCN_ANSWERER,
    EOP,
    MCF,
    MPS,
    OUR_DIS,
    RCP,
    RNR,
    RR,
    RTN,
    mh,
    pieces,
    ppr,
    pps,
)

PRI_MPS, PRI_EOM, PRI_EOP = "FF 13 5F", "FF 13 9F", "FF 13 3F"
PIP, PIN = "FF 13 AC", "FF 13 2C"
T3 = (5.0, 15.0)
ENDS = Station(policy=Policy(operator=Operator.END))
V12000 = Modulation.V17_12000
NEXT = mh(60)
CORRECTED = mh(200)
FRAMES = pieces(CORRECTED)
DAMAGED = mh(40, bad=range(20))

CALLED = (timer(*T3), expect(DCN_ANSWERER), expect_hang_up())
"""Our receiver has waited for an operator, and leaves."""
LEFT = (timer(*T3), expect(DCN), expect_hang_up())
"""Our sender has."""
GONE = (send(DCN), expect_hang_up())


def wanted(*far: Step, **others: object) -> Scenario:
    """Return a call that ends because the other machine wants to be spoken to, the first page being confirmed."""
    confirmed = others.get("confirmed", 1)
    verdict = "partial" if confirmed else "failed"
    given = {"verdict": verdict, "reason": "fax.operator", "confirmed": 1, "station": ENDS, **others}
    return Scenario(far=far, **given)  # type: ignore[arg-type]


RECEIVING = {
    "without an operator PRI-EOP is EOP": received(
        *(*TRAINED, send_signal(V29, PAGE), send(PRI_EOP), expect(MCF), *GONE), driver=True
    ),
    "without an operator PRI-MPS is MPS": received(
        *(*TRAINED, send_signal(V29, PAGE), send(PRI_MPS), expect(MCF)),
        *(send_signal(V29, NEXT), send(EOP), expect(MCF), *GONE),
        confirmed=2,
        got=(PAGE, NEXT),
        driver=True,
    ),
    "without an operator PRI-EOM is EOM": received(
        *(*TRAINED, send_signal(V29, PAGE), send(PRI_EOM), expect(MCF)),
        *(timer(*callers.T2), expect(OUR_DIS), *callers.CHOICE, expect(CFR)),
        *(send_signal(V29, NEXT), send(EOP), expect(MCF), *GONE),
        confirmed=2,
        got=(PAGE, NEXT),
    ),
    "without an operator a damaged page before PRI-EOP is refused": received(
        *(*TRAINED, send_signal(V29, DAMAGED), send(PRI_EOP), expect(RTN)),
        *(*callers.CHOICE, expect(CFR), send_signal(V29, PAGE), send(PRI_EOP), expect(MCF), *GONE),
    ),
    "without an operator PPS-PRI-EOP is PPS-EOP": received(
        *(*ECM_TRAINED, send_block(V29, *FRAMES, *RCP), send(pps("3F", 3)), expect(MCF), *GONE),
        got=(CORRECTED,),
        driver=True,
    ),
    "without an operator PPS-PRI-MPS is PPS-MPS": received(
        *(*ECM_TRAINED, send_block(V29, *FRAMES, *RCP), send(pps("5F", 3)), expect(MCF)),
        *(send_block(V29, *FRAMES, *RCP), send(pps("2F", 3, page=1)), expect(MCF), *GONE),
        confirmed=2,
        got=(CORRECTED, CORRECTED),
    ),
    "an operator who is wanted before the next page does not come": wanted(
        *(*TRAINED, send_signal(V29, PAGE), send(PRI_MPS), expect(PIP), *CALLED), got=(PAGE,), driver=True
    ),
    "an operator who is wanted before a new negotiation does not come": wanted(
        *(*TRAINED, send_signal(V29, PAGE), send(PRI_EOM), expect(PIP), *CALLED), got=(PAGE,)
    ),
    "an operator who is wanted after a damaged page does not come": wanted(
        *(*TRAINED, send_signal(V29, DAMAGED), send(PRI_MPS), expect(PIN), *CALLED), confirmed=0
    ),
    "an operator who is wanted after the last page is no loss": received(
        *(*TRAINED, send_signal(V29, PAGE), send(PRI_EOP), expect(PIP), *CALLED), station=ENDS, driver=True
    ),
    "an operator who is wanted with error correction does not come": wanted(
        *(*ECM_TRAINED, send_block(V29, *FRAMES, *RCP), send(pps("5F", 3)), expect(PIP), *CALLED), got=(CORRECTED,)
    ),
    "frames are asked for before an operator is called": wanted(
        *(*ECM_TRAINED, send_block(V29, FRAMES[0], FRAMES[2], *RCP), send(pps("5F", 3))),
        *(expect(ppr(1, *range(3, 256))), send_block(V29, FRAMES[1], *RCP), send(pps("5F", 1)), expect(PIP), *CALLED),
        got=(CORRECTED,),
    ),
    "a page that is not safe yet keeps the operator's wish waiting": wanted(
        *(*ECM_TRAINED, send_block(V29, *FRAMES, *RCP), send(pps("5F", 3)), expect(RNR)),
        *(send(RR), expect(PIP), *CALLED),
        slow=1,
        got=(CORRECTED,),
    ),
    "octets after PRI-MPS that T.30 has none of do not hide the wish": wanted(
        *(*TRAINED, send_signal(V29, PAGE), send(PRI_MPS + " 00"), expect(PIP), *CALLED), got=(PAGE,)
    ),
    "a plain command is answered plainly where operators end the call": received(
        *(*TRAINED, send_signal(V29, PAGE), send(MPS), expect(MCF)),
        *(send_signal(V29, NEXT), send(EOP), expect(MCF), *GONE),
        station=ENDS,
        confirmed=2,
        got=(PAGE, NEXT),
    ),
    "a sender who did not hear that an operator is called is told again": wanted(
        *(*TRAINED, send_signal(V29, PAGE), send(PRI_MPS), expect(PIP)),
        *(pause(1.8), send(PRI_MPS), expect(PIP), timer(3.0, 15.0), expect(DCN_ANSWERER), expect_hang_up()),
        got=(PAGE,),
    ),
    "whatever the sender says while an operator is called, the call ends": wanted(
        *(*TRAINED, send_signal(V29, PAGE), send(PRI_MPS), expect(PIP), pause(4.5), callers.CHOICE[0]),
        *(timer(2.0, 15.0), expect(DCN_ANSWERER), expect_hang_up()),
        got=(PAGE,),
    ),
    "a sender who hangs up while an operator is called has ended the call": wanted(
        *(*TRAINED, send_signal(V29, PAGE), send(PRI_MPS), expect(PIP), send(DCN), expect_hang_up()),
        reason="fax.disconnected",
        got=(PAGE,),
    ),
}

OUT = (*answerers.TRAINED, expect_signal(V17.short, PAGE))
TWO = (SHEET, blank(60))
LAST = (expect_signal(V17.short, NEXT), expect(EOP), send(MCF), *answerers.GOODBYE)
ECM_OUT = (
    *(send("FF 13 80 00 2E F0 04"), expect("FF 13 83 00 22 F0 04"), expect_signal(V17, CHECK["22"]), send(CFR)),
    expect_block(V17.short, *FRAMES, *RCP),
)

SENDING = {
    "without an operator PIP is MCF": delivered(
        *(*OUT, expect(MPS), send(PIP), *LAST), pages=TWO, confirmed=2, driver=True
    ),
    "without an operator PIP after the last page is MCF": delivered(
        *(*OUT, expect(EOP), send(PIP), *answerers.GOODBYE)
    ),
    "without an operator PIN is RTN: the page goes out again one rate lower": delivered(
        *(*OUT, expect(EOP), send(PIN), expect("FF 13 83 00 2A 70"), expect_signal(V12000, CHECK["2A"]), send(CFR)),
        *(expect_signal(V12000.short, PAGE), expect(EOP), send(MCF), *answerers.GOODBYE),
        driver=True,
    ),
    "without an operator PIP is MCF with error correction, too": delivered(
        *(*ECM_OUT, expect(pps("2F", 3)), send(PIP), *answerers.GOODBYE), pages=(blank(200),)
    ),
    "an operator whom the receiver calls after a page does not come": wanted(
        *(*OUT, expect(MPS), send(PIP), *LEFT), pages=TWO, driver=True
    ),
    "an operator whom the receiver calls for a page that it refuses does not come": wanted(
        *(*OUT, expect(EOP), send(PIN), *LEFT), pages=(SHEET,), confirmed=0, driver=True
    ),
    "an operator whom the receiver calls with error correction does not come": wanted(
        *(*ECM_OUT, expect(pps("4F", 3)), send(PIP), *LEFT), pages=(blank(200), SHEET)
    ),
    "an operator whom the receiver calls after the last page is no loss": delivered(
        *(*OUT, expect(EOP), send(PIP), timer(0.05, 0.1), *answerers.GOODBYE), station=ENDS
    ),
    "whatever the receiver says while an operator is called, the call ends": wanted(
        *(*OUT, expect(MPS), send(PIP), pause(4.0), send(MCF)),
        *(timer(2.0, 15.0), expect(DCN), expect_hang_up()),
        pages=TWO,
    ),
    "a receiver that hangs up while an operator is called has ended the call": wanted(
        *(*OUT, expect(MPS), send(PIP), send(DCN_ANSWERER), expect_hang_up()), pages=TWO, reason="fax.disconnected"
    ),
    "a plain response goes on where operators end the call": delivered(
        *(*OUT, expect(MPS), send(MCF), *LAST), pages=TWO, confirmed=2, station=ENDS
    ),
}


@each(RECEIVING)
def test_our_receiver(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(SENDING)
def test_our_sender(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)
