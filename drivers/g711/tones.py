"""CNG and CED as octets of G.711: by them two fax machines know each other before anything is said (T.30, phase A)."""

import math
from functools import cache

import numpy as np

from drivers.g711.companding import BLOCK, RATE, Samples, compress
from drivers.g711.law import Law
from t30.line import Tone

MILLIWATT = 22_740.0
"""The peak of a sine of 0 dBm0, in samples of either law."""
LEVEL = -13.0
"""dBm0 of what we send."""
CNG_HERTZ, CNG_ON, CNG_OFF = 1100, 0.5, 3.0
CED_HERTZ, CED_SECONDS, CED_AFTER = 2100, 3.0, 0.2
"""T.30 wants 2.6 to 4 s, after a silence."""


def peak(dbm0: float) -> float:
    """Return the peak of a sine with this level, in samples."""
    return MILLIWATT * math.pow(10.0, dbm0 / 20.0)


def samples(tone: Tone, dbm0: float = LEVEL) -> Samples:
    """Return a tone with its silence: CED once, of CNG one of its turns, which join without a step."""
    if tone is Tone.CNG:
        return _sine(CNG_HERTZ, CNG_ON, dbm0, after=CNG_OFF)
    return _sine(CED_HERTZ, CED_SECONDS, dbm0, before=CED_AFTER)


@cache
def blocks(tone: Tone, law: Law) -> tuple[bytes, ...]:
    """Return ``samples`` as payloads of 20 ms, made once."""
    octets = compress(samples(tone), law)
    return tuple(octets[at : at + BLOCK] for at in range(0, len(octets), BLOCK))


def _sine(hertz: int, seconds: float, dbm0: float, *, before: float = 0.0, after: float = 0.0) -> Samples:
    sine = peak(dbm0) * np.sin(2 * np.pi * hertz / RATE * np.arange(round(seconds * RATE)))
    silence = [np.zeros(round(each * RATE)) for each in (before, after)]
    return np.concatenate((silence[0], sine, silence[1])).round().astype(np.int16)
