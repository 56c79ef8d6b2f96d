"""The rate that a receiver chooses by the errors of a training check, beside pass or fail alone, on lines that wear."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from simulators.faults import Faults
from t30.capabilities import Dcs, Station
from t30.judging import accepted
from t30.outcome import Training
from t30.pages import Coding
from t30.policy import Policy, TrainingCheck
from t30.rates import LADDER, Modulation
from tests.simulators.calls import Call, call, sheet, station

V17, LOWEST = Modulation.V17_14400, Modulation.V27TER_2400
PASS_OR_FAIL = Policy(training=TrainingCheck(estimate=False))
SEEDS = range(8)


def check(modulation: Modulation, *errors: float) -> bytes:
    """Return a training check with an error at each of these shares of it."""
    octets = bytearray(modulation.octets(1.5))
    for each in errors:
        octets[int(each * len(octets))] = 0x10
    return bytes(octets)


def is_taken(modulation: Modulation, *errors: float, ecm: bool = True, before: Training | None = None) -> bool:
    """Tell whether such a training check has CFR as answer."""
    dcs = Dcs().but(modulation=modulation, ecm=ecm)
    return accepted(check(modulation, *errors), modulation, dcs, station=Station(), before=before)


@pytest.mark.parametrize(
    ("errors", "with_correction", "without"),
    [
        ((), True, True),
        ((0.3,), True, True),
        ((0.45, 0.55), False, False),
        ((0.1, 0.12, 0.14, 0.16), False, False),
        ((0.1, 0.12), False, True),
        ((0.001, 0.002, 0.003, 0.999), True, True),  # what a modem may add itself
    ],
)
def test_a_rate_is_taken_when_its_errors_cost_less_than_the_next_lower_one(
    errors: tuple[float, ...], with_correction: bool, without: bool
) -> None:
    assert is_taken(V17, *errors) is with_correction
    assert is_taken(V17, *errors, ecm=False) is without


def test_the_lowest_rate_is_taken_as_there_is_no_lower_one() -> None:
    errors = (0.02, 0.1, 0.15, 0.2, 0.25)
    assert is_taken(LOWEST, *errors, ecm=False)
    assert not is_taken(Modulation.V27TER_4800, *errors, ecm=False)


def test_no_rate_is_refused_twice_for_what_may_be_borne() -> None:
    before = Training(V17, False, 4 / (8 * 2700))
    assert is_taken(V17, 0.1, 0.12, 0.14, 0.16, before=before)


@pytest.mark.parametrize("before", [Training(V17, True, 4 / (8 * 2700)), Training(V17, False)])
def test_a_rate_that_was_good_before_is_refused_when_it_is_no_more(before: Training) -> None:
    assert not is_taken(V17, 0.1, 0.12, 0.14, 0.16, before=before)


def test_clicks_that_a_lower_rate_does_not_spare_are_borne() -> None:
    errors = (0.1, 0.12, 0.14, 0.16)
    assert is_taken(Modulation.V17_12000, *errors, before=Training(V17, False, 4 / (8 * 2700)))
    assert not is_taken(Modulation.V17_12000, *errors, before=Training(V17, False, 40 / (8 * 2700)))


# --------------------------------------------------------------------------------------------------- on lines that wear


def calls(policy: Policy, rate: Modulation, density: float, *, ecm: bool, seeds: Iterable[int] = SEEDS) -> list[Call]:
    """Play calls on lines that change this share of octets at ``rate``, a thirtieth of it one rate lower."""
    coding = Coding.MMR if ecm else Coding.MH
    families = frozenset({rate.family})
    slower = next(each for each in LADDER if each.bps < rate.bps)
    sender = replace(station(coding, ecm=ecm), families=families)
    receiver = replace(station(coding, ecm=ecm), policy=policy)
    pages = [sheet(number, rows=1100 if ecm else 300) for number in range(2 if ecm else 1)]
    wear = ((rate, density), (slower, density / 30))
    return [call(pages, sender=sender, receiver=receiver, faults=Faults(seed, wear=wear)) for seed in seeds]


def test_calls_with_error_correction_take_less_time_on_lines_that_wear() -> None:
    before = after = 0.0
    for density in (0.0002, 0.001, 0.004):
        for policy in (PASS_OR_FAIL, Policy()):
            seconds = sum(each.sent.seconds for each in calls(policy, V17, density, ecm=True, seeds=SEEDS[:4]))
            print(f"{density}: {seconds:.1f} s, estimate {policy.training.estimate}, seeds {SEEDS[:4]}")
            before, after = (before, after + seconds) if policy.training.estimate else (before + seconds, after)
    assert after < 0.95 * before


@pytest.mark.parametrize("rate", [Modulation.V29_9600, Modulation.V27TER_4800])
def test_pages_without_error_correction_are_damaged_less_on_lines_that_wear(rate: Modulation) -> None:
    density = 2 / rate.octets(1.5)
    ended = [calls(policy, rate, density, ecm=False, seeds=range(20)) for policy in (PASS_OR_FAIL, Policy())]
    before, after = (sum(page.bad_rows for each in one for page in each.got.pages) for one in ended)
    print(f"{rate}: {before} and {after} damaged scan lines, seeds 0 to 19")
    assert after < 0.9 * before


@pytest.mark.parametrize("ecm", [False, True])
def test_a_line_without_errors_is_used_at_its_best(ecm: bool) -> None:
    (clean,) = calls(Policy(), V17, 0.0, ecm=ecm, seeds=[1])
    assert clean.sent.modulation is V17
