"""G.711 in both laws, for every code and every sample."""

import warnings

import numpy as np
import pytest

from drivers.g711.companding import compress, expand, translation
from drivers.g711.law import Law

CODES = bytes(range(256))
SAMPLES = np.arange(65536).astype(np.uint16).view(np.int16)
MILLIWATTS = {Law.PCMU: "1E0B0B1E9E8B8B9E", Law.PCMA: "34212134B4A1A1B4"}
"""The periods of 1 kHz at 0 dBm0 that G.711 gives for each law."""
PYTHONS = {Law.PCMU: ("ulaw2lin", "lin2ulaw"), Law.PCMA: ("alaw2lin", "lin2alaw")}


@pytest.mark.parametrize("law", Law)
def test_every_code_and_every_sample_is_what_python_says(law: Law) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        audioop = pytest.importorskip("audioop", reason="gone from Python 3.13")
    expanding, compressing = (getattr(audioop, name) for name in PYTHONS[law])
    assert expand(CODES, law).tobytes() == expanding(CODES, 2)
    assert compress(SAMPLES, law) == compressing(SAMPLES.tobytes(), 2)


@pytest.mark.parametrize("law", Law)
def test_samples_come_back_in_their_order_and_off_by_a_32nd_at_most(law: Law) -> None:
    samples = np.sort(SAMPLES)
    found = expand(compress(samples, law), law).astype(int)
    assert np.all(np.diff(found) >= 0)
    assert np.all(np.abs(found - samples) <= (np.abs(samples.astype(int)) + 132) / 32 + 4)


@pytest.mark.parametrize("law", Law)
def test_every_code_comes_back_but_the_second_zero(law: Law) -> None:
    back = compress(expand(CODES, law), law)
    assert [at for at in range(256) if back[at] != at] == ([0x7F] if law is Law.PCMU else [])


@pytest.mark.parametrize("law", Law)
def test_silence_is_silent(law: Law) -> None:
    assert abs(int(expand(bytes((law.silence,)), law)[0])) <= 8
    assert compress(np.zeros(1, np.int16), law)[0] == law.silence


@pytest.mark.parametrize("law", Law)
def test_the_milliwatt_of_the_standard_is_0_dbm0(law: Law) -> None:
    sine = expand(bytes.fromhex(MILLIWATTS[law]), law).astype(float)
    assert np.sqrt(2 * np.mean(sine**2)) == pytest.approx(22_740, rel=0.005)


def test_one_law_becomes_the_other_by_way_of_the_samples() -> None:
    for of in Law:
        for into in Law:
            assert CODES.translate(translation(of, into)) == compress(expand(CODES, of), into)
