"""Whether a fax is dialled again after a call that failed, and when."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import takewhile
from typing import Annotated

from pydantic import AfterValidator, Field

from faxgw.rules.attempt import Attempt
from faxgw.rules.causes import OVERRIDABLE, SOON, Change, Retry, Treatment, treatment
from faxgw.rules.model import Rules
from faxgw.rules.windows import Hours, next_open
from t30.outcome import Reason

_LONGEST_FAULT = 1800.0
"""Faults of ours are waited out longer and longer, up to so many seconds."""
_WHEN_NEVER = 300.0
"""Seconds until the next call when a tenant wants one after a reason that has none by default."""


def _overridable(causes: "dict[str, CauseOverride]") -> "dict[str, CauseOverride]":
    unknown = ", ".join(sorted(causes.keys() - OVERRIDABLE))
    if unknown:
        raise ValueError(f"what follows from {unknown} cannot be set")
    return causes


class CauseOverride(Rules):
    """What a tenant wants to follow from one reason, in place of the default."""

    retry: bool | None = Field(default=None, description="Whether the fax is dialled again; null: as by default.")
    delay: float | None = Field(
        default=None, ge=10, le=86400, description="Seconds until the next call; null: as by default.", examples=[180]
    )
    tries: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="How many calls in a row without a page may end this way; null: as by default.",
    )


class RetryPolicy(Rules):
    """How often and when a fax is dialled again."""

    max_tries: int = Field(
        default=3,
        ge=1,
        le=20,
        description="Calls in a row that reached a fax machine but confirmed no page, before giving up.",
    )
    max_dials: int = Field(default=12, ge=1, le=100, description="Calls for one fax altogether, before giving up.")
    max_faults: int = Field(
        default=48,
        ge=1,
        le=500,
        description="Calls that failed on our side (a dead line, a full disk), before giving up.",
    )
    give_up_after: float | None = Field(
        default=None,
        gt=0,
        le=8760,
        description="Hours after the first call in which no more calls begin; null: no limit.",
    )
    jitter: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Share of the delay that is added by chance, so that many faxes spread out.",
    )
    causes: Annotated[dict[str, CauseOverride], AfterValidator(_overridable)] = Field(
        default={},
        max_length=100,
        description="What follows from a reason, in place of the default; docs/retry.md lists the reasons.",
        examples=[{"call.busy": {"delay": 300}}],
    )

    def treatment(self, cause: str) -> Treatment:
        """Return what follows from a reason for this tenant."""
        default = treatment(cause)
        own = self.causes.get(cause, CauseOverride())
        if own.retry is False or (default.retry is Retry.NEVER and not own.retry):
            return replace(default, retry=Retry.NEVER)
        delay = own.delay or default.delay or _WHEN_NEVER
        retry = Retry.SOON if delay <= SOON else Retry.LATER
        return replace(default, retry=retry, delay=delay, tries=own.tries or default.tries)

    def narrowed(self, wish: "RetryWish") -> "RetryPolicy":
        """Return the policy for one fax: it may ask for less than its tenant grants, never for more."""
        hours = [each for each in (self.give_up_after, wish.give_up_after) if each is not None]
        return self.model_copy(
            update={
                "max_tries": min(self.max_tries, wish.max_tries or self.max_tries),
                "max_dials": min(self.max_dials, wish.max_dials or self.max_dials),
                "give_up_after": min(hours, default=None),
            }
        )


class RetryWish(Rules):
    """What one fax asks for, within the limits of its tenant; null: as the tenant has it."""

    max_tries: int | None = Field(
        default=None, ge=1, le=20, description="Calls in a row that reached a fax machine but confirmed no page."
    )
    max_dials: int | None = Field(default=None, ge=1, le=100, description="Calls altogether; 1: no retry.")
    give_up_after: float | None = Field(
        default=None, gt=0, le=8760, description="Hours after the first call in which no more calls begin."
    )


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Dial again.

    Attributes:
        when: not before then, in UTC.
        other_line: by another line than last time, if there is one.
    """

    when: datetime
    other_line: bool


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not dial again. The code of the reason is that of the last call; the text says why there is no other."""

    reason: Reason


def next_step(
    policy: RetryPolicy, history: Sequence[Attempt], *, now: datetime, seed: str, hours: Sequence[Hours] = ()
) -> RetryAt | GiveUp:
    """Return what follows after a call that failed.

    A call that confirmed pages is no failed one: the count of tries begins again, that of all calls does not.

    Args:
        policy: the tenant's, or what a fax makes of it.
        history: the calls for this fax, oldest first; the last one has just failed.
        now: when that is decided.
        seed: what jitter is drawn from, such as the id of the fax: the same gives the same.
        hours: calls begin within all of them only.
    """
    last = policy.treatment(history[-1].cause)
    limit = "" if last.retry is Retry.NEVER else _limit_reached(policy, history)
    if limit or last.retry is Retry.NEVER:
        return _give_up(history[-1], last, limit)
    when = next_open(hours, now + timedelta(seconds=_delay(policy, history, seed)))
    if when is None:
        return _give_up(history[-1], last, "there is no time at which it may be called again")
    if policy.give_up_after and when > history[0].ended + timedelta(hours=policy.give_up_after):
        return _give_up(history[-1], last, f"no call begins later than {policy.give_up_after:g} hours after the first")
    return RetryAt(when, last.ours or last.change is Change.LINE)


def _give_up(attempt: Attempt, last: Treatment, limit: str) -> GiveUp:
    return GiveUp(Reason(attempt.cause, f"{last.text}; {limit}" if limit else last.text))


def _limit_reached(policy: RetryPolicy, history: Sequence[Attempt]) -> str:
    """Return which limit allows no further call, in words; empty when none does."""
    cause = history[-1].cause
    faults = sum(_is_ours(each) for each in history)
    since = list(takewhile(lambda each: not each.confirmed, reversed(history)))
    tries = sum(each.connected and not _is_ours(each) for each in since)
    alike = sum(each.cause == cause for each in since)
    most = policy.treatment(cause).tries
    if len(history) - faults >= policy.max_dials:
        return f"there were {len(history) - faults} calls, and no more are made for one fax"
    if faults >= policy.max_faults:
        return f"{faults} calls failed on our side"
    if tries >= policy.max_tries:
        return f"{tries} calls in a row reached a fax machine and confirmed no page"
    if most is not None and alike >= most:
        return f"{alike} calls in a row ended so"
    return ""


def _delay(policy: RetryPolicy, history: Sequence[Attempt], seed: str) -> float:
    """Return the seconds until the next call. Faults of ours are waited out twice as long each time."""
    last = policy.treatment(history[-1].cause)
    delay = last.delay
    if last.ours:
        faults = sum(1 for _ in takewhile(_is_ours, reversed(history)))
        delay = max(delay, min(delay * 2 ** (faults - 1), _LONGEST_FAULT))
    chance = int.from_bytes(sha256(f"{seed}:{len(history)}".encode()).digest()[:4]) / 2**32
    return delay * (1 + policy.jitter * chance)


def _is_ours(attempt: Attempt) -> bool:
    return treatment(attempt.cause).ours
