"""Limits on how fast somebody may ask: token buckets in memory, one for each caller."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MOST_CALLERS = 10_000
"""Callers remembered; whoever was quiet longest is forgotten, with a full bucket."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


@dataclass(frozen=True, slots=True)
class Left:
    """What a caller may still do; ``wait``: seconds until the next request, 0 when it may come now."""

    tokens: int
    wait: float


class Buckets:
    """So many requests in so many seconds for each caller, at once or spread."""

    def __init__(self, size: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.size = size
        self.seconds = seconds
        self._clock = clock
        self._buckets: OrderedDict[object, _Bucket] = OrderedDict()

    def take(self, caller: object) -> Left:
        """Count one request; ``wait`` above 0 says that it is one too many, which does not count."""
        bucket = self._filled(caller)
        if bucket.tokens < 1:
            return Left(0, (1 - bucket.tokens) * self.seconds / self.size)
        bucket.tokens -= 1
        return Left(int(bucket.tokens), 0.0)

    def left(self, caller: object) -> Left:
        """Return what a caller may do, without counting anything."""
        known = self._buckets.get(caller)
        if known is None:
            return Left(self.size, 0.0)
        tokens = self._now(known)
        return Left(int(tokens), 0.0 if tokens >= 1 else (1 - tokens) * self.seconds / self.size)

    def _filled(self, caller: object) -> _Bucket:
        bucket = self._buckets.pop(caller, None) or _Bucket(self.size, self._clock())
        bucket.tokens, bucket.at = self._now(bucket), self._clock()
        self._buckets[caller] = bucket
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        return bucket

    def _now(self, bucket: _Bucket) -> float:
        return min(self.size, bucket.tokens + (self._clock() - bucket.at) * self.size / self.seconds)
