"""How fast the far clock runs against ours, by the times at which its packets come (case R02).

A packet is late by what the network makes of it, never early: so of each second the one that was least late counts, and
through these a line is laid by the median of its slopes, which some bad seconds do not move.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from drivers.g711.companding import RATE
from drivers.g711.rtp import after

SPAN = 1.0
"""Seconds of which the best packet counts."""
LEAST, MOST = 8, 90
"""So many of these make an estimate, and so many are looked at."""
JUMP = 1.0
"""Seconds by which a packet is beside its time, so that the stream has begun anew."""
STEP, STEPS = 0.01, 3
"""Seconds by which so many spans in a row lie on the same side when the way has changed, not the clock."""


class Drift:
    """The far clock against ours.

    Attributes:
        ppm: how many millionths it is faster; None before there was enough to tell.
    """

    def __init__(self) -> None:
        self.ppm: float | None = None
        self._last: tuple[int, float] | None = None
        self._far = 0.0
        self._ends = 0.0
        self._best = (math.inf, 0.0)
        self._points: list[tuple[float, float]] = []

    def arrived(self, timestamp: int, at: float) -> None:
        """Take the timestamp of a packet of sound, and when it came, in seconds of our clock."""
        if self._last is None:
            self._begin(timestamp, at)
            return
        passed = after(timestamp, self._last[0]) / RATE
        if abs(passed - (at - self._last[1])) > JUMP:
            self._begin(timestamp, at)
            return
        self._last = (timestamp, at)
        self._far += passed
        late = at - self._far
        if at >= self._ends:
            self._close(at)
        if late < self._best[0]:
            self._best = (late, at)

    def _begin(self, timestamp: int, at: float) -> None:
        """Begin anew, and keep what was found out before."""
        self._last, self._far = (timestamp, at), at
        self._points.clear()
        self._best, self._ends = (0.0, at), at + SPAN

    def _close(self, at: float) -> None:
        """End a span."""
        late, when = self._best
        if late < math.inf:
            self._points.append((when, late))
            del self._points[:-MOST]
            self._estimate()
        self._best, self._ends = (math.inf, at), at + SPAN

    def _estimate(self) -> None:
        if len(self._points) < LEAST:
            return
        when, late = np.array(self._points).T
        one, other = _pairs(len(when))
        slope = float(np.median((late[other] - late[one]) / (when[other] - when[one])))
        beside = late - slope * when
        beside = beside[-STEPS:] - np.median(beside)
        if len(when) > LEAST and (beside.min() > STEP or beside.max() < -STEP):
            del self._points[:-STEPS]
            return
        self.ppm = -slope * 1e6


@cache
def _pairs(points: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the two places of every pair that is a third of all or more apart: near ones say little of a slope."""
    return np.triu_indices(points, max(1, points // 3))
