"""How late the gateway's loop was, from what it counts itself: the difference of two looks at its metrics."""

import re
from collections.abc import Mapping

from faxgw.bench.figures import CannotMeasure

_BUCKET = re.compile(r'^faxgw_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)

Buckets = Mapping[float, float]
"""Upper bound in seconds -> how many samples so far were not above it."""


def buckets(metrics: str) -> Buckets:
    """Return the buckets of the loop's lag."""
    return {float(bound): float(samples) for bound, samples in _BUCKET.findall(metrics)}


def between(before: Buckets, after: Buckets) -> Buckets:
    """Return the samples that came in between."""
    return {bound: samples - before.get(bound, 0.0) for bound, samples in after.items()}


def samples_of(counted: Buckets) -> int:
    """Return how many samples there are."""
    return int(max(counted.values(), default=0))


def share_within(counted: Buckets, seconds: float) -> float:
    """Return the share of samples not above ``seconds``, which is the bound of a bucket."""
    return counted[seconds] / (samples_of(counted) or 1)


def percentile(counted: Buckets, percent: float) -> float:
    """Return a percentile in seconds, by a straight line within its bucket; the last bucket's lower bound if above all.

    Raises:
        CannotMeasure: if there are no samples.
    """
    total = samples_of(counted)
    if not total:
        raise CannotMeasure("The gateway has not measured how late its loop is.")
    wanted, low, below = total * percent / 100, 0.0, 0.0
    for bound, upto in sorted(counted.items()):
        if upto >= wanted:
            if bound == float("inf"):
                break
            return low + (bound - low) * (wanted - below) / ((upto - below) or 1)
        low, below = bound, upto
    return low
