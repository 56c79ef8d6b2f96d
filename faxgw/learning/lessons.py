"""What calls teach: each limit has a rule that says of one call whether what it avoids failed, went well, or neither.

So many faults in a row are a lesson; it holds for some days after the last of them. Then the next call tries again: a
success ends the row, and one more fault lengthens it. Where a call went through without what had failed in the call
before, one fault is enough.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from faxgw.learning.evidence import CallSeen
from faxgw.learning.limits import Limit
from faxgw.learning.policy import LearningPolicy
from faxgw.model import Direction
from faxgw.rules.causes import Change, treatment
from t30.pages import Coding, Resolution
from t30.rates import Family, Modulation

TRAINING, IN_VAIN, DAMAGED, SKIPPED = (
    "training failed",
    "no page went through",
    "pages came damaged",
    "the sender fell back from V.17 to V.27ter",
)
BETWEEN = "the call ended between two faxes"
SLOWER = "the call fell back to a lower rate"
_FINER = (Resolution.SUPERFINE, Resolution.R300, Resolution.R400)


@dataclass(frozen=True, slots=True)
class Fault:
    """What failed in one call. ``bps`` is the rate that the call came down to; ``certain``: one such call is enough."""

    text: str
    bps: int | None = None
    certain: bool = False


@dataclass(frozen=True, slots=True)
class WentWell:
    """What the limit avoids was used, and went well."""


Reading = Fault | WentWell | None


@dataclass(frozen=True, slots=True)
class Lesson:
    """A limit that calls have taught.

    Attributes:
        faults: what failed -> in how many calls, since it last went well.
        of: calls in which it was tried.
        until: when it is tried again.
        proven: a call without it went through.
        bps: where calls begin, for ``Limit.MAX_BPS``.
    """

    limit: Limit
    faults: Mapping[str, int]
    of: int
    until: datetime
    proven: bool = False
    bps: int | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    """How one limit is learned.

    Attributes:
        read: what one call says.
        less_certain: it takes more calls.
        avoided: tells whether a call did without it, so that its success proves something.
        only_proven: faults alone are no lesson.
    """

    read: Callable[[CallSeen, LearningPolicy], Reading]
    less_certain: bool = False
    avoided: Callable[[CallSeen], bool] | None = None
    only_proven: bool = False


def lessons(
    policy: LearningPolicy, calls: Sequence[CallSeen], *, direction: Direction, at: datetime
) -> tuple[Lesson, ...]:
    """Return what holds at a moment, by the calls with one machine so far, oldest first."""
    if not policy.on or not calls:
        return ()
    # By the last call, not by today: what was learned of it holds until its own day, and does not fade before.
    fresh = [call for call in calls if call.at > calls[-1].at - timedelta(days=policy.forget_days)]
    found = ((limit, _lesson(limit, rule, policy, fresh)) for limit, rule in _RULES[direction].items())
    return tuple(lesson for _, lesson in found if lesson is not None and at < lesson.until)


def _lesson(limit: Limit, rule: _Rule, policy: LearningPolicy, calls: Sequence[CallSeen]) -> Lesson | None:
    told = [(call, reading) for call in calls if (reading := rule.read(call, policy)) is not None]
    row: list[tuple[CallSeen, Fault]] = []
    for call, reading in reversed(told):
        if isinstance(reading, WentWell):
            break
        row.insert(0, (call, reading))
    if not row:
        return None
    proven = rule.avoided is not None and _is_proven(row, calls, rule.avoided)
    enough = len(row) >= (policy.more_calls if rule.less_certain else policy.calls)
    certain = any(fault.certain for _, fault in row)
    if not proven and (rule.only_proven or not (enough or certain)):
        return None
    return Lesson(
        limit,
        Counter(fault.text for _, fault in row),
        of=len(told),
        until=row[-1][0].at + timedelta(days=policy.days),
        proven=proven,
        bps=max((fault.bps for _, fault in row if fault.bps is not None), default=None),
    )


def _is_proven(
    row: Sequence[tuple[CallSeen, Fault]], calls: Sequence[CallSeen], avoided: Callable[[CallSeen], bool]
) -> bool:
    """Tell whether a call without it brought pages through after one with it had brought none."""
    began = next((call.at for call, _ in row if not call.confirmed), None)
    return began is not None and any(call.at > began and call.confirmed and avoided(call) for call in calls)


# ---------------------------------------------------------------------------------------------------------- the rules


def _v17(call: CallSeen, policy: LearningPolicy) -> Reading:
    checks = call.tried(Family.V17)
    if not checks:
        return None
    if not any(checks):
        return Fault(TRAINING)
    if call.in_vain:
        return Fault(IN_VAIN)
    if _is_v17(call.modulation) and call.confirmed:
        return Fault(DAMAGED) if _came_damaged(call, policy) else WentWell()
    return None


def _v17_received(call: CallSeen, policy: LearningPolicy) -> Reading:
    reading = _v17(call, policy)
    if isinstance(reading, Fault) and reading.text == TRAINING and _skipped_v29(call):
        return Fault(SKIPPED, certain=True)
    return reading


def _skipped_v29(call: CallSeen) -> bool:
    """Tell whether the sender went from V.17 straight to V.27ter: each further call would cost it most of its rate."""
    families = [modulation.family for modulation, _ in call.trainings]
    return Family.V29 not in families and Family.V27TER in families


def _rate(call: CallSeen, policy: LearningPolicy) -> Reading:  # noqa: ARG001 (as all rules)
    """Say whether the call ended at the rate with which it began; V.17 that never trained has a rule of its own."""
    v17 = any(call.tried(Family.V17))
    first = next((each for each, _ in call.trainings if v17 or not _is_v17(each)), None)
    if first is None or call.modulation is None or not call.confirmed:
        return None
    if call.modulation.bps < first.bps:
        return Fault(SLOWER, bps=call.modulation.bps)
    limited = call.adjustments.max_bps is not None or call.adjustments.no_v17
    return None if limited else WentWell()


def _with_correction(call: CallSeen, policy: LearningPolicy) -> Reading:  # noqa: ARG001
    return _outcome_of_pages(call) if call.ecm is True else None


def _without_correction(call: CallSeen, policy: LearningPolicy) -> Reading:  # noqa: ARG001
    return _outcome_of_pages(call) if call.ecm is False else None


def _mmr(call: CallSeen, policy: LearningPolicy) -> Reading:  # noqa: ARG001
    return _outcome_of_pages(call) if call.coding is Coding.MMR else None


def _superfine(call: CallSeen, policy: LearningPolicy) -> Reading:
    return _damage(call, policy) if call.resolution in _FINER else None


def _fine(call: CallSeen, policy: LearningPolicy) -> Reading:
    return _damage(call, policy) if call.resolution is Resolution.FINE else None


def _several(call: CallSeen, policy: LearningPolicy) -> Reading:  # noqa: ARG001
    if call.between and treatment(call.cause).change is Change.MODEM:
        return Fault(BETWEEN, certain=True)
    return WentWell() if call.faxes > 1 else None


def _outcome_of_pages(call: CallSeen) -> Reading:
    """Say how it went once pages could be sent; training has nothing to do with it."""
    if call.in_vain and call.trained:
        return Fault(IN_VAIN)
    return WentWell() if call.confirmed else None


def _damage(call: CallSeen, policy: LearningPolicy) -> Reading:
    """Say how pages came in without error correction."""
    if _came_damaged(call, policy):
        return Fault(DAMAGED)
    return WentWell() if call.confirmed else None


def _came_damaged(call: CallSeen, policy: LearningPolicy) -> bool:
    return not call.ecm and (call.damaged >= policy.damaged or call.refusals > 0)


def _is_v17(modulation: Modulation | None) -> bool:
    return modulation is not None and modulation.family is Family.V17


def _off(call: CallSeen) -> bool:
    return call.adjustments.no_v17


_RULES: Mapping[Direction, Mapping[Limit, _Rule]] = {
    Direction.OUT: {
        Limit.NO_V17: _Rule(_v17, avoided=_off),
        Limit.MAX_BPS: _Rule(_rate),
        Limit.ECM_OFF: _Rule(_with_correction, avoided=lambda call: call.ecm is False, only_proven=True),
        Limit.ECM_ON: _Rule(_without_correction, avoided=lambda call: call.ecm is True, only_proven=True),
        Limit.NO_MMR: _Rule(_mmr, less_certain=True),
        Limit.ALONE: _Rule(_several),
    },
    # A page is never sent coarser than its sender wants: only what comes in is asked for in less detail.
    Direction.IN: {
        Limit.NO_V17: _Rule(_v17_received),
        Limit.NO_SUPERFINE: _Rule(_superfine, less_certain=True),
        Limit.NO_FINE: _Rule(_fine, less_certain=True),
    },
}
"""How each limit is learned, by who calls."""
