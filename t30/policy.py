"""What T.30 leaves to a station: in which order rates are tried, how often, and what is good enough.

All of it is data. The procedures read it where the flow chart comes to a choice.
"""

from dataclasses import dataclass

from t30.rates import LADDER, Modulation


@dataclass(frozen=True, slots=True)
class Refused:
    """What a sender does about a page that the receiver refuses (RTN)."""

    times: int = 3
    """It sends the page again, each time one rate lower; a page refused so often ends the call."""


@dataclass(frozen=True, slots=True)
class Correction:
    """How long a sender corrects a partial page (PPR) in error correction mode."""

    requests: int = 4
    """So many requests are answered at one rate; then it goes on one rate lower (T.30 Annex A)."""


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
    """There must be a run of zeros that is at least this share of 1.5 s long."""
    damaged: float = 0.1
    """At most this share of octets may be anything but zero."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The choices of one station."""

    ladder: tuple[Modulation, ...] = LADDER
    """The rates to try in turn, as a sender; those that the other machine lacks are passed over."""
    refused: Refused = Refused()
    correction: Correction = Correction()
    quality: Quality = Quality()
    training: TrainingCheck = TrainingCheck()
