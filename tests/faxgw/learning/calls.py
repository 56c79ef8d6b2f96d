"""Calls as they were seen, for the tests of what they teach."""

from datetime import UTC, datetime, timedelta
from typing import Any

from faxgw.learning.evidence import CallSeen
from t30.pages import Coding, Resolution
from t30.rates import Family, Modulation

NOW = datetime(2026, 4, 3, 12, tzinfo=UTC)
V17 = (Modulation.V17_14400, Modulation.V17_12000)
V29 = Modulation.V29_9600


def seen(days: float = 0.0, **facts: Any) -> CallSeen:
    """Return a call of so many days before `at` (`NOW`): one page at 14400 bit/s, if not said otherwise."""
    usual: dict[str, Any] = {
        "at": NOW,
        "confirmed": 1,
        "trainings": ((V17[0], True),),
        "modulation": V17[0],
        "ecm": True,
        "coding": Coding.MMR,
        "resolution": Resolution.FINE,
    }
    known = {**usual, **facts}
    return CallSeen(**{**known, "at": known["at"] - timedelta(days=days)})


def fell_back(days: float = 0.0, to: Modulation = V29, **facts: Any) -> CallSeen:
    """Return a call in which V.17 never trained, and another modulation did."""
    trainings = (*((each, False) for each in V17), (to, True))
    return seen(days, **{"trainings": trainings, "modulation": to, **facts})


def in_vain(days: float = 0.0, *, rate: Modulation = V17[0], cause: str = "fax.disconnected", **facts: Any) -> CallSeen:
    """Return a call that trained and brought no page through."""
    assert rate.family is not Family.V21
    return seen(days, **{"cause": cause, "confirmed": 0, "trainings": ((rate, True),), "modulation": rate, **facts})


def never_trained(days: float = 0.0, **facts: Any) -> CallSeen:
    """Return a call in which no rate came through."""
    checks = tuple((each, False) for each in (*V17, V29, Modulation.V29_7200))
    return seen(days, **{"cause": "fax.training", "confirmed": 0, "trainings": checks, "coding": None, **facts})
