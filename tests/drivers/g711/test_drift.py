"""The far clock against ours, through a network that delays."""

from collections.abc import Callable
from random import Random

import pytest

from drivers.g711.drift import Drift

Delay = Callable[[float, Random], float]


def far_clock(ppm: float, delay: Delay, *, seconds: float = 90.0, drift: Drift | None = None) -> Drift:
    """Return what is found out of packets each 20 ms of a far clock, as late as ``delay`` makes them."""
    random, drift = Random(1), drift or Drift()
    sent = [number * 0.02 / (1 + ppm * 1e-6) for number in range(round(seconds * 50))]
    for when, number in sorted((at + delay(at, random), number) for number, at in enumerate(sent)):
        drift.arrived(0xFFFFF000 + number * 160 & 0xFFFFFFFF, when)
    return drift


def steady(_at: float, random: Random) -> float:
    return 0.05 + random.uniform(0, 0.001)


def jittery(_at: float, random: Random) -> float:
    return 0.05 + random.uniform(0, 0.04)


def bursty(at: float, random: Random) -> float:
    """Return delays that grow by a fifth of a second for two seconds of each fifteen."""
    return 0.05 + random.expovariate(200) + (0.2 if at % 15 < 2 else 0.0)


@pytest.mark.parametrize("ppm", [-200.0, -30.0, 0.0, 5.0, 80.0, 300.0])
@pytest.mark.parametrize(("delay", "beside"), [(steady, 1.0), (jittery, 12.0), (bursty, 5.0)])
@pytest.mark.case("R02")
def test_the_far_clock_is_known_whatever_the_network_adds(ppm: float, delay: Delay, beside: float) -> None:
    assert far_clock(ppm, delay).ppm == pytest.approx(ppm, abs=beside)


def test_nothing_is_said_before_there_is_enough() -> None:
    assert far_clock(100, steady, seconds=6.0).ppm is None
    assert far_clock(100, steady, seconds=12.0).ppm == pytest.approx(100, abs=15)


def test_another_way_through_the_network_is_no_other_clock() -> None:
    def moved(at: float, random: Random) -> float:
        return steady(at, random) + (0.04 if at > 45 else 0.0)

    for seconds in (44.0, 47.0, 50.0, 56.0, 90.0):
        assert far_clock(60, moved, seconds=seconds).ppm == pytest.approx(60, abs=20)


def test_a_stream_that_begins_anew_leaves_what_is_known() -> None:
    drift = far_clock(100, steady)
    drift.arrived(12345, 90.0)
    assert drift.ppm == pytest.approx(100, abs=1)
    for number in range(4500):
        drift.arrived(12345 + (number + 1) * 160, 90.02 + number * 0.02 / (1 - 50e-6))
    assert drift.ppm == pytest.approx(-50, abs=1)


def test_another_stream_after_some_seconds_is_no_other_clock() -> None:
    drift = far_clock(40, steady, seconds=5.0)
    for number in range(600):
        drift.arrived(777_000_000 + number * 160, 5.0 + number * 0.02 / (1 + 40e-6))
    assert drift.ppm == pytest.approx(40, abs=1)


def test_it_remembers_no_more_in_a_long_call() -> None:
    drift = far_clock(100, steady, seconds=400)
    assert len(drift._points) <= 90
