"""What a signal is as packets, each at its time: neither sooner than a modem at the far end could send it, nor later.

A signal is a series of ``Step``: so many seconds after the one before, send these packets. Data go out in pieces of
``TICK`` seconds, each when the first of its bits is due.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from drivers.t38.ifp import DataPacket, DataType, Field, FieldType, Indicator, IndicatorPacket, Packet
from drivers.t38.signals import DATA_TYPE, INDICATOR, TONES, TRAINING
from t30.hdlc import AROUND_FRAME, stuffed
from t30.line import Tone
from t30.rates import Modulation
from t30.timers import FAST_FLAGS

TICK = 0.03
"""Seconds of data in one packet."""
AFTER_LAST = 0.02
"""Seconds from the end of a signal to the indicator that there is none."""


class Step(NamedTuple):
    """Wait so many seconds after the step before, then send a packet; None: only wait."""

    after: float
    packet: Packet | None


NO_SIGNAL = IndicatorPacket(Indicator.NO_SIGNAL)


def tone(kind: Tone) -> Iterator[Step]:
    """Send CED or CNG."""
    indicator, silence, length = TONES[kind]
    yield Step(silence, IndicatorPacket(indicator))
    yield Step(length, NO_SIGNAL)


def frames(modulation: Modulation, each: Sequence[bytes]) -> Iterator[Step]:
    """Send HDLC frames, from the address octet to the last FIF octet each."""
    carried = DATA_TYPE[modulation]
    yield Step(0.0, IndicatorPacket(INDICATOR[modulation]))
    wait = TRAINING[modulation] + (0.0 if modulation is Modulation.V21 else FAST_FLAGS)
    size = step(modulation)
    for frame in each:
        # As long as it is on a line, with what is stuffed into it.
        slower = _octets_on_line(modulation, frame) / len(frame)
        for start in range(0, len(frame), size):
            piece = frame[start : start + size]
            yield Step(wait, DataPacket(carried, (Field(FieldType.HDLC_DATA, piece),)))
            wait = len(piece) * slower * 8 / modulation.bps
        yield Step(wait, DataPacket(carried, (Field(FieldType.HDLC_FCS_OK),)))
        wait = 0.0
    yield Step(AFTER_LAST, DataPacket(carried, (Field(FieldType.HDLC_SIG_END),)))
    yield Step(AFTER_LAST, NO_SIGNAL)


def step(modulation: Modulation) -> int:
    """Return how many octets go out in ``TICK`` seconds."""
    return max(1, round(modulation.bps * TICK / 8))


def training_check(modulation: Modulation, octets: bytes) -> Iterator[Step]:
    """Send no octets, since the far gateway makes them itself, but take their time."""
    yield Step(0.0, IndicatorPacket(INDICATOR[modulation]))
    yield Step(TRAINING[modulation] + len(octets) * 8 / modulation.bps, NO_SIGNAL)


def data(modulation: Modulation, octets: bytes, pieces: Sequence[bytes] = ()) -> Iterator[Step]:
    """Send raw octets, or in the time that they take something else: a piece for each ``step`` of them."""
    carried, size = DATA_TYPE[modulation], step(modulation)
    yield Step(0.0, IndicatorPacket(INDICATOR[modulation]))
    wait = TRAINING[modulation]
    for place, start in enumerate(range(0, len(octets), size)):
        plain = octets[start : start + size]
        piece = pieces[place] if pieces else plain
        for at in range(0, len(piece), size):
            yield Step(wait, DataPacket(carried, (Field(FieldType.T4_NON_ECM_DATA, piece[at : at + size]),)))
            wait = 0.0
        wait += len(plain) * 8 / modulation.bps
    yield Step(wait, DataPacket(carried, (Field(FieldType.T4_NON_ECM_SIG_END),)))
    yield Step(AFTER_LAST, NO_SIGNAL)


def broken_off(carried: DataType) -> Packet:
    """Return what ends a signal in its middle."""
    return DataPacket(carried, (Field(FieldType.HDLC_SIG_END),))


def _octets_on_line(modulation: Modulation, frame: bytes) -> float:
    if modulation is Modulation.V21:
        return len(frame) + AROUND_FRAME
    return len(stuffed((frame,), flags_first=1, flags_last=1)) - 1
