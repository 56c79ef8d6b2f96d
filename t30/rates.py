"""The modulations of Group 3 fax, their rates, and how DCS names them. Every other table of rates refers here."""

from collections.abc import Iterable, Iterator
from enum import Enum


class Family(Enum):
    """A modem Recommendation; the value is its name in prose."""

    V21 = "V.21"
    V27TER = "V.27ter"
    V29 = "V.29"
    V17 = "V.17"


class Modulation(Enum):
    """One way to put bits on the line: Recommendation, rate, and for V.17 the length of its training.

    Class 1 modems and T.38 number long and short training separately, so they are separate members here too.
    """

    V21 = (Family.V21, 300, None, False)
    V27TER_2400 = (Family.V27TER, 2400, "0000", False)
    V27TER_4800 = (Family.V27TER, 4800, "0100", False)
    V29_7200 = (Family.V29, 7200, "1100", False)
    V29_9600 = (Family.V29, 9600, "1000", False)
    V17_7200 = (Family.V17, 7200, "1101", False)
    V17_9600 = (Family.V17, 9600, "1001", False)
    V17_12000 = (Family.V17, 12000, "0101", False)
    V17_14400 = (Family.V17, 14400, "0001", False)
    V17_7200_SHORT = (Family.V17, 7200, "1101", True)
    V17_9600_SHORT = (Family.V17, 9600, "1001", True)
    V17_12000_SHORT = (Family.V17, 12000, "0101", True)
    V17_14400_SHORT = (Family.V17, 14400, "0001", True)

    def __init__(self, family: Family, bps: int, dcs: str | None, short_training: bool) -> None:
        self.family = family
        self.bps = bps
        self.dcs = dcs
        """DCS bits 11 to 14, first bit first (T.30 Table 2); None for V.21, which is never negotiated."""
        self.short_training = short_training

    @property
    def long(self) -> "Modulation":
        """The same modulation with long training: after DCS, FTT, RTP, RTN and CTC."""
        return _TRAININGS[self.family, self.bps][0]

    @property
    def short(self) -> "Modulation":
        """The same modulation with the short training of V.17, where there is one: for pages once trained."""
        return _TRAININGS[self.family, self.bps][-1]

    def octets(self, seconds: float) -> int:
        """Return how many octets go over the line in ``seconds``."""
        return int(self.bps * seconds / 8)

    def __str__(self) -> str:
        return f"{self.family.value} {self.bps}{' short' if self.short_training else ''}"

    def __repr__(self) -> str:
        return f"Modulation.{self.name}"


_TRAININGS = {
    (one.family, one.bps): [other for other in Modulation if (other.family, other.bps) == (one.family, one.bps)]
    for one in Modulation
}

LADDER = (
    Modulation.V17_14400,
    Modulation.V17_12000,
    Modulation.V29_9600,
    Modulation.V29_7200,
    Modulation.V27TER_4800,
    Modulation.V27TER_2400,
)
"""Rates to try in turn. HylaFAX's choice: a line that cannot carry V.17 12000 rarely carries V.17 9600 either."""


def best_first(
    families: Iterable[Family], max_bps: int = 14400, ladder: tuple[Modulation, ...] = LADDER
) -> Iterator[Modulation]:
    """Yield what ``families`` can do at ``max_bps`` or less, in the order of ``ladder``.

    >>> [str(m) for m in best_first([Family.V29, Family.V27TER])]
    ['V.29 9600', 'V.29 7200', 'V.27ter 4800', 'V.27ter 2400']
    """
    allowed = frozenset(families)
    return (modulation for modulation in ladder if modulation.family in allowed and modulation.bps <= max_bps)
