"""What T.30 leaves to a station: in which order rates are tried, how often, and what is good enough.

All of it is data. The procedures read it where the flow chart comes to a choice.
"""

from dataclasses import dataclass
from enum import Enum

from t30.rates import LADDER, Modulation


class Then(Enum):
    """What a sender does about a page that was refused often enough."""

    GIVE_UP = "end the call"
    GO_ON = "take the page as sent and go on with the next one"


class Operator(Enum):
    """What a station does about a wish for an operator (PRI-MPS, PRI-EOM, PRI-EOP; PIP, PIN)."""

    ABSENT = "go on as if none were wanted"
    END = "end the call, after the time that an operator has to come"


@dataclass(frozen=True, slots=True)
class Refused:
    """What a sender does about a page that the receiver refuses (RTN): it sends it again, each time one rate lower.

    A page that was refused is never counted as confirmed. A sender that goes on cannot know what becomes of it: some
    receivers print what they have of it, others drop it for the page that comes next.
    """

    times: int = 3
    """So often in all one page is sent."""
    then: Then = Then.GIVE_UP
    """Pages with error correction are not refused by machines that keep to T.30: there, the call always ends."""


@dataclass(frozen=True, slots=True)
class Correction:
    """How long a sender corrects a partial page (PPR) in error correction mode; the defaults are HylaFAX's."""

    requests: int = 4
    """So many requests are answered at one rate before something changes (T.30 Annex A)."""
    step_down: bool = True
    """Then it goes on one rate lower (CTC), where there is one."""
    persist: bool = True
    """Where there is none, it goes on at the same rate (CTC) while each so many requests leave fewer frames to send
    than ever before; else, and without this, it gives the page up (EOR)."""


@dataclass(frozen=True, slots=True)
class Quality:
    """When a page without error correction is good enough; the defaults are spandsp's shares and HylaFAX's run."""

    confirm: float = 0.05
    """Confirmed (MCF) up to this share of damaged scan lines."""
    retrain: float = 0.15
    """Confirmed with a wish to train again (RTP) up to this share; above it, refused (RTN)."""
    longest_run: int = 5
    """Refused, too, if more damaged lines than this follow each other."""


@dataclass(frozen=True, slots=True)
class TrainingCheck:
    """When a receiver takes a training check for good; the defaults are HylaFAX's."""

    zeros: float = 2 / 3
    """There must be a run of zeros that is at least this share of 1.5 s long; half of it with error correction."""
    damaged: float = 0.1
    """At most this share of octets may be anything but zero."""
    estimate: bool = True
    """Refuse what passes, too, where its errors promise that the fax is better sent at the next lower rate: with error
    correction, because it takes less time there."""
    rows: float = 0.03
    """Without it, because more than this share of scan lines would be damaged here."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The choices of one station."""

    ladder: tuple[Modulation, ...] = LADDER
    """The rates to try in turn, as a sender; those that the other machine lacks are passed over."""
    refused: Refused = Refused()
    slower_when_poor: bool = False
    """Train one rate lower after a page that was confirmed with a wish to train again (RTP), not at the same rate."""
    correction: Correction = Correction()
    quality: Quality = Quality()
    training: TrainingCheck = TrainingCheck()
    operator: Operator = Operator.ABSENT


# ------------------------------------------------------------------------------------------------- choices with names

LADDERS = {
    "hylafax": LADDER,
    "spandsp": (
        Modulation.V17_14400,
        Modulation.V17_12000,
        Modulation.V17_9600,
        Modulation.V29_9600,
        Modulation.V17_7200,
        Modulation.V29_7200,
        Modulation.V27TER_4800,
        Modulation.V27TER_2400,
    ),
    "efax": (
        Modulation.V17_14400,
        Modulation.V17_12000,
        Modulation.V17_9600,
        Modulation.V17_7200,
        Modulation.V29_9600,
        Modulation.V29_7200,
        Modulation.V27TER_4800,
        Modulation.V27TER_2400,
    ),
}
"""Orders of rates, by the program that tries them so: HylaFAX leaves V.17 early, efax late, spandsp takes turns."""

REFUSED = {
    "retransmit": Refused(),
    "ignore": Refused(times=1, then=Then.GO_ON),
    "retransmit-ignore": Refused(then=Then.GO_ON),
    "give-up": Refused(times=1),
}

QUALITIES = {
    "strict": Quality(confirm=0.01, retrain=0.05, longest_run=2),
    "usual": Quality(),
    "any": Quality(confirm=1.0, retrain=1.0, longest_run=1_000_000),
}
"""``any`` confirms whatever arrives: for senders that give up when a page is refused."""

OPERATORS = {"go-on": Operator.ABSENT, "end": Operator.END}
