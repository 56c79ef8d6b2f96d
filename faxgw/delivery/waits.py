"""When a parcel is tried again, as tables of seconds."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

DAY = 86_400

USUAL = (30, 120, 600, 1800, 3600, 7200, 14_400, 21_600, 36_000, DAY)
"""After the first, second, ... try that went wrong; after the last, two days in all, the parcel has failed."""

BACK = (*USUAL, *(DAY,) * 30)
"""The same for what is to be deleted at the far end: a month."""

HELD = (900, 1800, *(3600,) * 168)
"""The same for what may not go while the hop cannot be protected: a week."""

JITTER = 0.2
"""Share of a wait by which it is longer or shorter, so that what failed together does not come back together."""


@dataclass(frozen=True, slots=True)
class Waits:
    """What holds for each kind of fault and parcel."""

    usual: Sequence[float] = USUAL
    back: Sequence[float] = BACK
    held: Sequence[float] = HELD

    def after(self, table: Sequence[float], tries: int) -> float | None:
        """Return the seconds until the next try; None after the last."""
        if tries > len(table):
            return None
        return table[tries - 1] * random.uniform(1 - JITTER, 1 + JITTER)


WAITS = Waits()
