"""What callers of scripts say again and again, and how their calls come out."""

from typing import Any

from simulators.script import Step, expect, expect_hang_up, send, send_signal, timer
from t30.rates import Modulation
from tests.scenarios.stage import Scenario
from tests.scenarios.wire import CFR, CHECK, DCN, DCS_ECM, DCS_V29, EOP, MCF, OUR_DIS, mh

V17, V29 = Modulation.V17_14400, Modulation.V29_9600
TURNAROUND = (0.055, 0.095)
T2 = (5.0, 7.1)
T4 = (2.55, 3.55)
PAGE = mh(40)

AGAIN = (timer(*T4), expect(OUR_DIS))
CHOICE = (send(DCS_V29), send_signal(V29, CHECK["06"]))
TRAINED = (expect(OUR_DIS), *CHOICE, expect(CFR))
GOODBYE = (send(DCN), expect_hang_up())
PAGE_AND_END: tuple[Step, ...] = (send_signal(V29, PAGE), send(EOP), expect(MCF), *GOODBYE)
THE_REST: tuple[Step, ...] = (*CHOICE, expect(CFR), *PAGE_AND_END)


def received(*far: Step, **others: Any) -> Scenario:
    """Return a call in which a fax arrives; one page of ``PAGE``, unless they say otherwise."""
    return Scenario(far=far, verdict="received", **{"confirmed": 1, "got": (PAGE,), **others})


def partly(reason: str, *far: Step, **others: Any) -> Scenario:
    """Return a call in which the first page arrives, unless they say otherwise, but not all."""
    return Scenario(far=far, verdict="partial", reason=reason, **{"confirmed": 1, **others})


def failed(reason: str, *far: Step, **others: Any) -> Scenario:
    """Return a call in which nothing is confirmed."""
    return Scenario(far=far, verdict="failed", reason=reason, **others)


ECM_TRAINED = (expect(OUR_DIS), send(DCS_ECM), send_signal(V29, CHECK["06"]), expect(CFR))
