"""The things on a line at signal level, and how long their beginnings take."""

import math
from dataclasses import dataclass

from t30.line import Tone
from t30.rates import Family, Modulation
from t30.timers import PREAMBLE

_V17_LONG, _V17_SHORT = (1.393, 0.053), (0.142, 0.053)
_OTHERS = {
    (Family.V21, 300): (PREAMBLE, math.inf),
    (Family.V27TER, 2400): (0.943, 0.021),
    (Family.V27TER, 4800): (0.708, 0.016),
    (Family.V29, 7200): (0.234, 0.027),
    (Family.V29, 9600): (0.234, 0.027),
}


def _times(modulation: Modulation) -> tuple[float, float]:
    if modulation.family is Family.V17:
        return _V17_SHORT if modulation.short_training else _V17_LONG
    return _OTHERS[modulation.family, modulation.bps]


TRAINING = {one: _times(one)[0] for one in Modulation}
"""Seconds from carrier on to the first bit: the training, and for V.21 the preamble of flags."""

MISSABLE = {one: _times(one)[1] for one in Modulation}
"""Seconds of it that a listener may miss: half of the alternations that a training begins with (V.29: 128 symbols,
V.27ter: 50, V.17: 256). A receiver sets its gain and its clock on those, and its equalizer on the rest."""


@dataclass(frozen=True, slots=True)
class CarrierOn:
    """A carrier is on. ``whole``: its octets or frames can be received; else it is only known to be there."""

    modulation: Modulation
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Octets:
    """The next octets of a fast carrier, the first bit the least significant."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """A V.21 HDLC frame from the address octet to the last FIF octet; ``good``: its FCS was right."""

    octets: bytes
    good: bool = True


@dataclass(frozen=True, slots=True)
class CarrierOff:
    """The carrier that was on is off."""


@dataclass(frozen=True, slots=True)
class ToneHeard:
    """CED or CNG has begun."""

    tone: Tone


@dataclass(frozen=True, slots=True)
class Gone:
    """The other side hung up, or the call was dropped. Heard again and again from then on."""


Heard = CarrierOn | Octets | Frame | CarrierOff | ToneHeard | Gone
