"""What is heard, and what is not, over many seeded sounds; ``make soak`` prints the rates over more of them."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from drivers.g711.companding import Samples
from drivers.g711.hearing import Heard, Hearing
from drivers.g711.law import Law
from tests.drivers.g711 import signals
from tests.drivers.g711.signals import OTHERS, Random, Sound, over_the_line

SIGNALS: dict[str, tuple[Callable[[Random], Sound], Heard]] = {
    "cng": (signals.cng, Heard.CNG),
    "ced": (signals.ced, Heard.CED),
    "ansam": (signals.ansam, Heard.CED),
    "preamble": (signals.preamble, Heard.V21),
}
LATEST = {Heard.CNG: 0.7, Heard.CED: 0.7, Heard.V21: 0.5}
MANY = 2000
ONE_IN = 4000.0
"""Seconds of other sounds in which one may be taken for a signal: a voice may sing like a whistle."""


def hear(samples: Samples, size: int = 800) -> list[tuple[Heard, float]]:
    """Return what is heard, and when it was known in seconds."""
    hearing = Hearing()
    return [
        (signal, min(at + size, len(samples)) / 8000)
        for at in range(0, len(samples), size)
        for signal in hearing.take(samples[at : at + size])
    ]


def on_the_line(name: str, seed: int) -> tuple[Samples, float]:
    """Return a signal at -43 to 0 dBm0, noise 20 dB below, of each second one 1 % lost; and when it begins."""
    random = np.random.default_rng(seed)
    began = random.uniform(0.05, 0.5)
    level = -43.0 if seed % 3 == 0 else 0.0 if seed % 3 == 1 else random.uniform(-43, 0)
    sound = signals.leveled(SIGNALS[name][0](random), level)
    whole = np.concatenate((signals.silence(began), sound, signals.silence(0.8)))
    law, loss = list(Law)[seed // 2 % 2], 0.01 if seed % 2 else 0.0
    return over_the_line(whole, law, random, snr=20, loss=loss), began


@pytest.mark.soak
@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_is_heard_once_and_in_time_and_nothing_else_with_it(name: str, soak: bool, soak_seed: int) -> None:
    wanted = SIGNALS[name][1]
    count = MANY if soak else 25
    wrong, delays = [], []
    first = soak_seed if soak else 0
    for seed in range(first, first + count):
        samples, began = on_the_line(name, seed)
        heard = hear(samples)
        if [signal for signal, _ in heard] == [wanted]:
            delays.append(heard[0][1] - began)
        else:
            wrong.append((seed, heard))
    print(f"{name}: {count - len(wrong)} of {count}, after {min(delays):.3f} to {max(delays):.3f} s")
    assert len(wrong) <= count // 1000, wrong
    assert sorted(delays)[-1 - count // 1000] < LATEST[wanted]
    assert wanted is Heard.V21 or min(delays) > 0.3


@pytest.mark.soak
@pytest.mark.parametrize("name", OTHERS)
def test_nothing_is_heard_in_what_is_no_signal(name: str, soak: bool, soak_seed: int) -> None:
    count = MANY if soak else 20
    wrong: Counter[tuple[int, str]] = Counter()
    seconds = 0.0
    first = soak_seed if soak else 0
    for seed in range(first, first + count):
        random = np.random.default_rng(seed)
        sound = signals.leveled(OTHERS[name](random), random.uniform(-40, -3))
        seconds += len(sound) / 8000
        samples = over_the_line(sound, list(Law)[seed % 2], random, loss=0.01 if seed % 2 else 0.0)
        wrong.update((seed, signal.name) for signal, _ in hear(samples))
    print(f"{name}: {wrong.total()} in {seconds:.0f} s")
    assert wrong.total() <= seconds / ONE_IN, wrong


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("size", [1, 7, 80, 160, 333, 100_000])
def test_the_size_of_blocks_makes_no_difference(name: str, size: int) -> None:
    samples, _ = on_the_line(name, 5)
    if size < 80:
        samples = samples[:10_000]
    assert [signal for signal, _ in hear(samples, size)] == [SIGNALS[name][1]]


def test_each_burst_of_cng_is_a_signal_and_a_short_hole_in_one_is_not_another() -> None:
    burst, pause = signals.tone(1100, 0.5), signals.silence(3.0)
    sound = signals.leveled(np.concatenate((burst, pause, burst, pause, burst)), -20)
    assert [signal for signal, _ in hear(sound.astype(np.int16))] == [Heard.CNG] * 3
    ced = signals.leveled(signals.tone(2100, 3.0), -20)
    ced[8000:10400] = 0
    assert [signal for signal, _ in hear(ced.astype(np.int16))] == [Heard.CED]


def test_a_whole_phase_a_is_heard_in_its_order() -> None:
    random = np.random.default_rng(3)
    answer = np.concatenate((signals.silence(0.2), signals.tone(2100, 3.0), signals.silence(0.075)))
    sound = np.concatenate((signals.tone(1100, 0.5), answer, signals.preamble(random)))
    heard = hear(over_the_line(signals.leveled(sound, -30), Law.PCMU, random, snr=25))
    assert [signal for signal, _ in heard] == [Heard.CNG, Heard.CED, Heard.V21]


@pytest.mark.parametrize("hertz", [1035, 1050, 1150, 1165, 2050, 2065, 2135, 2150])
def test_a_tone_beside_its_frequency_is_none(hertz: int) -> None:
    assert hear(signals.leveled(signals.tone(hertz, 2.0), -10).astype(np.int16)) == []


def test_a_tone_that_glides_through_its_frequency_is_none() -> None:
    since = signals.times(1.0)
    for middle in (1100, 2100):
        glide = np.sin(2 * np.pi * ((middle - 60) * since + 60 * since**2))
        assert hear(signals.leveled(glide, -10).astype(np.int16)) == []


def test_what_is_fainter_than_any_line_is_not_heard() -> None:
    for name in SIGNALS:
        faint = signals.leveled(SIGNALS[name][0](np.random.default_rng(1)), -52)
        assert hear(faint.astype(np.int16)) == []
