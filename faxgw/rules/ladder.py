"""The last resort: what the next call for a fax does without when calls for it fail.

A machine that cannot cope with V.17, or with error correction as we do it, fails the same way at every call. So the
calls after a failure go without V.17, then with the other error correction setting. They begin with what calls for
other faxes have taught of the number (``faxgw.learning``), and an operator may lay down all of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from faxgw.rules.attempt import NONE, Adjustments, Attempt
from faxgw.rules.causes import Change, treatment
from faxgw.rules.model import Rules


class LadderPolicy(Rules):
    """How calls to a number that fail are adjusted."""

    on: bool = Field(
        default=True, description="Adjust the next call after calls in which the modems did not get along."
    )
    without_v17_after: int = Field(
        default=1, ge=1, le=12, description="After so many such calls without a page the next one goes without V.17."
    )
    other_ecm_after: int = Field(
        default=2, ge=1, le=12, description="After so many, it goes with the other error correction setting as well."
    )


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of one number when a call to it begins.

    Attributes:
        known: what calls to it do otherwise by what was learned, and by what an operator says of single limits.
        v17_stays: an operator does not let calls leave V.17 out.
        ecm_never: error correction settings that an operator does not let calls change to.
        override: what an operator has laid down as a whole; it wins, and no ladder is climbed.
    """

    known: Adjustments = NONE
    v17_stays: bool = False
    ecm_never: frozenset[bool] = frozenset()
    override: Adjustments | None = None


def adjustments(policy: LadderPolicy, history: Sequence[Attempt], *, memory: Memory) -> Adjustments:
    """Return what the next call does otherwise; ``history`` has the calls for this fax so far, oldest first.

    A call that confirmed pages had the right adjustments: counting begins again from there.
    """
    if memory.override is not None:
        return memory.override
    if not policy.on:
        return memory.known
    progress = next((i for i in reversed(range(len(history))) if history[i].confirmed), None)
    base = memory.known if progress is None else history[progress].adjustments
    since = history[progress or 0 :]
    failed = [each for each in since if not each.confirmed and treatment(each.cause).change is Change.MODEM]
    unasked = True if base.ecm is None else base.ecm
    agreed = next((each.ecm for each in since if each.ecm is not None), unasked)
    return _rung(policy, base, memory, failures=len(failed), ecm=agreed)


def _rung(policy: LadderPolicy, base: Adjustments, memory: Memory, *, failures: int, ecm: bool) -> Adjustments:
    """Return ``base`` with what so many failures call for; ``ecm`` is the error correction setting that failed."""
    without_v17 = (base.no_v17 or failures >= policy.without_v17_after) and not memory.v17_stays
    wanted = not ecm if failures >= policy.other_ecm_after else base.ecm
    return base.model_copy(update={"no_v17": without_v17, "ecm": None if wanted in memory.ecm_never else wanted})
