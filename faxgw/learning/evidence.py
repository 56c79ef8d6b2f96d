"""One call as far as it teaches something of the machine at the other end; as a value, and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from faxgw.rules.attempt import NONE, Adjustments
from faxgw.rules.causes import Change, treatment
from t30.capabilities import Dcs
from t30.fcf import Fcf
from t30.outcome import Outcome
from t30.pages import Coding, Resolution
from t30.rates import Family, Modulation

Trained = tuple[Modulation, bool]
"""A training check: at which rate, and whether it came through."""


@dataclass(frozen=True, slots=True)
class CallSeen:
    """One call between fax machines.

    Attributes:
        at: when it was over.
        cause: reason code; empty when everything went through.
        confirmed: pages confirmed.
        trainings: every training check, in order.
        modulation: what was agreed on last; None if it never came to that.
        ecm: error correction was agreed on; None likewise.
        coding: of its last page; None if there was none.
        resolution: the finest of its pages.
        damaged: share of the scan lines that came damaged; 0 where the other machine received.
        refusals: pages that the receiver refused (RTN).
        faxes: how many faxes were begun in it.
        between: the other machine was told that another fax follows, and none had begun when the call ended.
        adjustments: what the call did otherwise than its line is set to.
    """

    at: datetime
    cause: str = ""
    confirmed: int = 0
    trainings: tuple[Trained, ...] = ()
    modulation: Modulation | None = None
    ecm: bool | None = None
    coding: Coding | None = None
    resolution: Resolution | None = None
    damaged: float = 0.0
    refusals: int = 0
    faxes: int = 1
    between: bool = False
    adjustments: Adjustments = NONE

    @property
    def in_vain(self) -> bool:
        """No page was confirmed, and it was the modems that did not get along."""
        return not self.confirmed and treatment(self.cause).change is Change.MODEM

    @property
    def trained(self) -> bool:
        """Some rate came through the training check, so that pages could be sent."""
        return any(passed for _, passed in self.trainings)

    def tried(self, family: Family) -> list[bool]:
        """Return how each training check of a modem Recommendation went."""
        return [passed for modulation, passed in self.trainings if modulation.family is family]


@dataclass(frozen=True, slots=True)
class Seen:
    """What one call has shown: how it went, and the machine's own words (DIS or DCS, NSF or NSS)."""

    call: CallSeen
    capabilities: bytes
    nonstandard: bytes


def seen_in(
    outcome: Outcome,
    chosen: Dcs | None,
    *,
    at: datetime,
    adjustments: Adjustments = NONE,
    faxes: int = 1,
    between: bool = False,
) -> Seen | None:
    """Return what a call has shown; None if no page could have been sent yet, so that it shows nothing.

    Args:
        outcome: what it came to.
        chosen: the last DCS of either side: of a page that was never answered, the outcome knows nothing.
        at: when it was over.
        adjustments: what it did otherwise than its line is set to.
        faxes: how many were begun in it.
        between: one more was to follow, and none had begun.
    """
    evidence, pages = outcome.evidence, outcome.pages
    trainings = [(each.modulation.long, each.passed) for each in evidence.trainings]
    if evidence.hung_up_after is Fcf.DCS and outcome.modulation is not None:
        trainings.append((outcome.modulation.long, False))
    if not trainings:
        return None
    formats = [page.format for page in pages] + ([chosen.format] if chosen else [])
    rows = sum(page.rows for page in pages)
    call = CallSeen(
        at,
        outcome.reason.code,
        confirmed=sum(page.confirmed for page in pages),
        trainings=tuple(trainings),
        modulation=outcome.modulation.long if outcome.modulation else None,
        ecm=outcome.ecm,
        coding=formats[-1].coding if formats else None,
        resolution=finest([each.resolution for each in formats]),
        damaged=sum(page.bad_rows for page in pages) / rows if rows else 0.0,
        refusals=evidence.refusals,
        faxes=faxes,
        between=between,
        adjustments=adjustments,
    )
    return Seen(call, evidence.capabilities, evidence.nonstandard)


def finest(resolutions: Sequence[Resolution]) -> Resolution | None:
    """Return the resolution with the most pels; None of none."""
    return max(resolutions, key=lambda each: each.across * each.down, default=None)


def as_json(call: CallSeen) -> dict[str, Any]:
    """Return a call as it is kept."""
    return {
        "at": call.at.isoformat(),
        "cause": call.cause,
        "confirmed": call.confirmed,
        "trainings": [[modulation.name, passed] for modulation, passed in call.trainings],
        "modulation": call.modulation and call.modulation.name,
        "ecm": call.ecm,
        "coding": call.coding and call.coding.name,
        "resolution": call.resolution and call.resolution.name,
        "damaged": round(call.damaged, 4),
        "refusals": call.refusals,
        "faxes": call.faxes,
        "between": call.between,
        "adjustments": call.adjustments.model_dump(mode="json", exclude_defaults=True),
    }


def from_json(kept: Mapping[str, Any]) -> CallSeen:
    """Return a call that was kept."""
    return CallSeen(
        at=datetime.fromisoformat(kept["at"]),
        cause=kept["cause"],
        confirmed=kept["confirmed"],
        trainings=tuple((Modulation[name], passed) for name, passed in kept["trainings"]),
        modulation=Modulation[kept["modulation"]] if kept["modulation"] else None,
        ecm=kept["ecm"],
        coding=Coding[kept["coding"]] if kept["coding"] else None,
        resolution=Resolution[kept["resolution"]] if kept["resolution"] else None,
        damaged=kept["damaged"],
        refusals=kept["refusals"],
        faxes=kept.get("faxes", 1),
        between=kept.get("between", False),
        adjustments=Adjustments.model_validate(kept["adjustments"]),
    )
