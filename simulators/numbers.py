"""What is at the other end of a number: a fax machine with its ways, or a reason why no call comes about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from simulators.machine import Habit
from simulators.personalities import NEVER_CONFIRMS, NEVER_TRAINS, Answers, CountsPages, FailsV17
from t30.capabilities import Station
from t30.line import Cause
from t30.rates import Family

Told = Callable[[int], None]
"""Is told the index of a page as soon as its confirmation is out."""


def _faultless(told: Told) -> Habit:
    return CountsPages(told=told)


def _never_trains(_: Told) -> Habit:
    return Answers(NEVER_TRAINS)


def _fails_v17(_: Told) -> Habit:
    return FailsV17()


def _never_confirms(_: Told) -> Habit:
    return Answers(NEVER_CONFIRMS)


def _drops_after(pages: int) -> Callable[[Told], Habit]:
    return lambda told: CountsPages(told=told, at_most=pages)


@dataclass(frozen=True, slots=True)
class Far:
    """What answers to a number.

    Attributes:
        station: the machine, as it answers its first call.
        cause: why no call comes about; None if one does.
        habit: makes the habit of one call.
        idents: who it says it is in the calls after the first, one after the other; empty: the same as in the first.
        calls_back: it calls the caller back after each call, to send a fax.
    """

    station: Station = field(default_factory=Station)
    cause: Cause | None = None
    habit: Callable[[Told], Habit] = field(default=_faultless)
    idents: tuple[str, ...] = ()
    calls_back: bool = False

    def station_of(self, call: int) -> Station:
        """Return the station as it answers a call; the first is 0."""
        if not call or not self.idents:
            return self.station
        return replace(self.station, ident=self.idents[(call - 1) % len(self.idents)])


WAYS: Mapping[str, Far] = {
    "busy": Far(cause=Cause.BUSY),
    "no-answer": Far(cause=Cause.NO_ANSWER),
    "fails-training": Far(habit=_never_trains),
    "never-confirms": Far(habit=_never_confirms),
}
"""What a number may be made to do; ``drops-after-K`` as well, K being a number of pages."""


def far(way: str, station: Station) -> Far:
    """Return what is at a number that does things this way: one of ``WAYS``, ``drops-after-K``, or empty for none.

    Raises:
        ValueError: if there is no such way.
    """
    if not way:
        return Far(station)
    if way in WAYS:
        return replace(WAYS[way], station=station)
    pages = way.removeprefix("drops-after-")
    if pages == way or not pages.isdecimal() or int(pages) == 0:
        raise ValueError(f"{', '.join(WAYS)} or drops-after-K, not {way}")
    return Far(station, habit=_drops_after(int(pages)))


SLOW = Station("+1 555 0107", families=frozenset({Family.V27TER}), max_bps=2400, ecm=False)

SANDBOX: Mapping[str, Far] = {
    "15550100": Far(Station("+1 555 0100")),
    "15550101": Far(cause=Cause.BUSY),
    "15550102": Far(cause=Cause.NO_ANSWER),
    "15550103": Far(Station("+1 555 0103"), habit=_never_trains),
    "15550104": Far(Station("+1 555 0104"), habit=_drops_after(1)),
    "15550105": Far(Station("+1 555 0105"), calls_back=True),
    "15550106": Far(Station("+1 555 0106"), idents=tuple(f"+1 555 01{n}6" for n in range(1, 10))),
    "15550107": Far(SLOW),
    "15550108": Far(Station("+1 555 0108"), habit=_never_confirms),
    "15550109": Far(Station("+1 555 0109"), habit=_fails_v17),
}
"""The numbers of the sandbox, in digits; docs/sandbox.md has them, too."""
