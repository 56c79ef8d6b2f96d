"""What answerers of scripts say again and again, and how the calls to them come out."""

from typing import Any

from simulators.script import Step, expect, expect_hang_up, expect_signal, send, timer
from t30.rates import Modulation
from tests.scenarios.stage import Scenario, blank
from tests.scenarios.wire import CFR, CHECK, DCN, DCS, DIS, EOP, MCF, mh

V17, V29 = Modulation.V17_14400, Modulation.V29_9600
TURNAROUND = (0.055, 0.095)
T4 = (2.55, 3.55)
PAGE = mh(40)
SHEET = blank(40)

CHOICE = (expect(DCS), expect_signal(V17, CHECK["22"]))
TRAINED = (send(DIS), *CHOICE, send(CFR))
GOODBYE = (expect(DCN), expect_hang_up())
PAGE_AND_END: tuple[Step, ...] = (expect_signal(V17.short, PAGE), expect(EOP), send(MCF), *GOODBYE)
THE_REST: tuple[Step, ...] = (*CHOICE, send(CFR), *PAGE_AND_END)


def again(frame: str) -> tuple[Step, ...]:
    """Expect a command for the second time, after T4."""
    return timer(*T4), expect(frame)


def delivered(*far: Step, **others: Any) -> Scenario:
    """Return a call in which a fax goes out; one page of ``SHEET``, unless they say otherwise."""
    return Scenario(far=far, verdict="delivered", **{"confirmed": 1, "pages": (SHEET,), **others})


def partly(reason: str, *far: Step, **others: Any) -> Scenario:
    """Return a call in which the first of two pages goes out, unless they say otherwise, but not all."""
    return Scenario(far=far, verdict="partial", reason=reason, **{"confirmed": 1, "pages": (SHEET, SHEET), **others})


def failed(reason: str, *far: Step, **others: Any) -> Scenario:
    """Return a call in which nothing is confirmed."""
    return Scenario(far=far, verdict="failed", reason=reason, **{"pages": (SHEET,), **others})
