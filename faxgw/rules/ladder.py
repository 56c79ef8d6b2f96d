"""The last resort: what the next call does without when calls to a number fail, and what is remembered of it.

A machine that cannot cope with V.17, or with error correction as we do it, fails the same way at every call. So the
calls after a failure go without V.17, then with the other error correction setting; what got a fax through is kept per
number for a while, and an operator may lay it down.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

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
    remember_days: int = Field(
        default=30, ge=0, le=3650, description="How long calls to a number keep what got a fax through to it, in days."
    )


class Learned(Rules):
    """What got a fax through to a number."""

    adjustments: Adjustments = Field(description="What the call did otherwise than its line is set to.")
    expires: datetime = Field(description="When calls go back to the settings of their line.")


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of one number: learned by ourselves, and laid down by an operator, which wins and never expires."""

    learned: Learned | None = None
    override: Adjustments | None = None

    def at(self, moment: datetime) -> Adjustments:
        """Return what a call at ``moment`` begins with."""
        if self.override is not None:
            return self.override
        return self.learned.adjustments if self.learned and moment < self.learned.expires else NONE


def adjustments(policy: LadderPolicy, history: Sequence[Attempt], *, memory: Memory, at: datetime) -> Adjustments:
    """Return what the call at ``at`` does otherwise; ``history`` has the calls for this fax so far, oldest first.

    A call that confirmed pages had the right adjustments: counting begins again from there.
    """
    if memory.override is not None or not policy.on:
        return memory.override or NONE
    progress = next((i for i in reversed(range(len(history))) if history[i].confirmed), None)
    base = memory.at(at) if progress is None else history[progress].adjustments
    since = history[progress or 0 :]
    failed = [each for each in since if not each.confirmed and treatment(each.cause).change is Change.MODEM]
    agreed = next((each.ecm for each in since if each.ecm is not None), True)
    return _rung(policy, base, failures=len(failed), ecm=agreed if base.ecm is None else base.ecm)


def learn(memory: Memory, attempt: Attempt, policy: LadderPolicy) -> Memory:
    """Return what is known of a number after a call. Only a fax that went through whole teaches.

    A success with what is remembered already does not put off its expiry: else the plain way would never come again.
    """
    if attempt.cause or memory.override is not None or attempt.adjustments == memory.at(attempt.ended):
        return memory
    if attempt.adjustments == NONE or not policy.remember_days:
        return replace(memory, learned=None)
    expires = attempt.ended + timedelta(days=policy.remember_days)
    return replace(memory, learned=Learned(adjustments=attempt.adjustments, expires=expires))


def _rung(policy: LadderPolicy, base: Adjustments, *, failures: int, ecm: bool) -> Adjustments:
    """Return ``base`` with what so many failures call for; ``ecm`` is the error correction setting that failed."""
    change: dict[str, bool] = {}
    if failures >= policy.without_v17_after:
        change["no_v17"] = True
    if failures >= policy.other_ecm_after:
        change["ecm"] = not ecm
    return base.model_copy(update=change)
