"""The signals of T.38 beside the modulations of T.30: which indicator begins each, which data belong to it, how long.

Times are seconds. A gateway at the far end trains its modem when the indicator comes, so what is sent before that is
over would pile up there.
"""

from drivers.t38.ifp import DataType, Indicator
from t30.line import Tone
from t30.rates import Family, Modulation
from t30.timers import PREAMBLE

_INDICATORS = {
    Modulation.V21: Indicator.V21_PREAMBLE,
    Modulation.V27TER_2400: Indicator.V27TER_2400,
    Modulation.V27TER_4800: Indicator.V27TER_4800,
    Modulation.V29_7200: Indicator.V29_7200,
    Modulation.V29_9600: Indicator.V29_9600,
    Modulation.V17_7200: Indicator.V17_7200_LONG,
    Modulation.V17_9600: Indicator.V17_9600_LONG,
    Modulation.V17_12000: Indicator.V17_12000_LONG,
    Modulation.V17_14400: Indicator.V17_14400_LONG,
    Modulation.V17_7200_SHORT: Indicator.V17_7200_SHORT,
    Modulation.V17_9600_SHORT: Indicator.V17_9600_SHORT,
    Modulation.V17_12000_SHORT: Indicator.V17_12000_SHORT,
    Modulation.V17_14400_SHORT: Indicator.V17_14400_SHORT,
}
_DATA_TYPES = {
    (Family.V21, 300): DataType.V21,
    (Family.V27TER, 2400): DataType.V27TER_2400,
    (Family.V27TER, 4800): DataType.V27TER_4800,
    (Family.V29, 7200): DataType.V29_7200,
    (Family.V29, 9600): DataType.V29_9600,
    (Family.V17, 7200): DataType.V17_7200,
    (Family.V17, 9600): DataType.V17_9600,
    (Family.V17, 12000): DataType.V17_12000,
    (Family.V17, 14400): DataType.V17_14400,
}
_TRAINING = {
    (Family.V21, 300): PREAMBLE,
    (Family.V27TER, 2400): 0.943,
    (Family.V27TER, 4800): 0.708,
    (Family.V29, 7200): 0.253,
    (Family.V29, 9600): 0.253,
}
_V17_LONG, _V17_SHORT = 1.393, 0.142

INDICATOR = {one: _INDICATORS[one] for one in Modulation}
"""What begins a signal."""
DATA_TYPE = {one: _DATA_TYPES[one.family, one.bps] for one in Modulation}
"""What its data are called; long and short training alike."""
MODULATION = {indicator: one for one, indicator in _INDICATORS.items()}
"""The signal that an indicator begins."""
CARRIED_BY = {_DATA_TYPES[one.family, one.bps]: one for one in Modulation if not one.short_training}
"""The signal that data belong to whose indicator was lost, as well as can be told: with long training."""


def _training(modulation: Modulation) -> float:
    if modulation.family is Family.V17:
        return _V17_SHORT if modulation.short_training else _V17_LONG
    return _TRAINING[modulation.family, modulation.bps]


TRAINING = {one: _training(one) for one in Modulation}
"""Seconds from a signal's indicator to its first data."""

TONES = {Tone.CED: (Indicator.CED, 0.2, 3.0), Tone.CNG: (Indicator.CNG, 0.0, 0.5)}
"""What a tone is called, the silence before it, and how long it is."""
