"""What holds for the next call with one machine: lessons and verdicts together, each with a sentence that says why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from faxgw.learning.lessons import Lesson
from faxgw.learning.limits import Limit, applied, in_words
from faxgw.learning.verdicts import Verdict, Verdicts
from faxgw.rules.attempt import NONE, Adjustments
from faxgw.rules.ladder import Memory


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with one limit.

    Attributes:
        on: calls do without it; False where an operator does not let them.
        by: whether calls have taught it, or an operator has laid it down.
        until: when that is over; None: it holds until it is taken away.
        bps: where calls begin, for ``Limit.MAX_BPS``.
        text: all of it, in a sentence.
    """

    limit: Limit
    on: bool
    by: Literal["learned", "operator"]
    until: datetime | None
    bps: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one machine that matters for a call."""

    standings: tuple[Standing, ...] = ()

    @property
    def adjustments(self) -> Adjustments:
        """What a call begins with."""
        found = NONE
        for each in self.standings:
            found = applied(found, each.limit, each.bps) if each.on else found
        return found

    def memory(self, override: Adjustments | None) -> Memory:
        """Return it as the ladder of a fax takes it; ``override`` is what was laid down for the number as a whole."""
        never = {each.limit for each in self.standings if not each.on}
        return Memory(
            known=self.adjustments,
            v17_stays=Limit.NO_V17 in never,
            ecm_never=frozenset(setting for limit, setting in _ECM.items() if limit in never),
            override=override,
        )


_ECM = {Limit.ECM_OFF: False, Limit.ECM_ON: True}


def stand(lessons: Sequence[Lesson], verdicts: Verdicts, *, at: datetime) -> Known:
    """Return how it stands with each limit of which something was learned or laid down, in the order of the limits."""
    learned = {lesson.limit: lesson for lesson in lessons}
    said = {limit: verdict for limit, verdict in verdicts.items() if verdict.holds(at)}
    found = []
    for limit in Limit:
        lesson = learned.get(limit)
        if limit in said:
            found.append(_laid_down(limit, said[limit], lesson, at))
        elif lesson is not None and not _contradicted(limit, said):
            found.append(_learned(lesson, at))
    return Known(tuple(found))


def _contradicted(limit: Limit, said: Verdicts) -> bool:
    """Tell whether an operator wants error correction the other way round."""
    other = {Limit.ECM_OFF: Limit.ECM_ON, Limit.ECM_ON: Limit.ECM_OFF}.get(limit)
    verdict = said.get(other) if other else None
    return verdict is not None and verdict.say != "never"


def _learned(lesson: Lesson, at: datetime) -> Standing:
    text = f"{in_words(lesson.limit, lesson.bps)} until {day(lesson.until, at)}: {reason(lesson)}"
    return Standing(lesson.limit, on=True, by="learned", until=lesson.until, bps=lesson.bps, text=text)


def _laid_down(limit: Limit, verdict: Verdict, lesson: Lesson | None, at: datetime) -> Standing:
    on, until = verdict.say != "never", verdict.until
    what = in_words(limit, verdict.bps) if limit is not Limit.MAX_BPS or on else "begins at a lower rate"
    ends = f" until {day(until, at)}" if until else ""
    text = f"{what}{ends}: laid down" if on else f"never {what}: laid down"
    text += f" ({reason(lesson)})" if lesson else ""
    return Standing(limit, on=on, by="operator", until=until, bps=verdict.bps, text=text)


def reason(lesson: Lesson) -> str:
    """Return why something was learned, in numbers."""
    *some, last = [f"{fault} in {count}" for fault, count in lesson.faults.items()]
    text = f"{', '.join([*some, last])} of {lesson.of} call{'s' if lesson.of != 1 else ''}"
    return text + (", and without it a fax went through" if lesson.proven else "")


def day(moment: datetime, at: datetime) -> str:
    """Return a day as people write it, with the year where it is another one.

    >>> day(datetime(2027, 5, 3, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC))
    '3 May 2027'
    """
    moment, at = moment.astimezone(UTC), at.astimezone(UTC)
    name = _MONTHS[moment.month - 1]
    return f"{moment.day} {name}" + (f" {moment.year}" if moment.year != at.year else "")


_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
