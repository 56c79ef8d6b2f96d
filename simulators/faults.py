"""What a circuit may do to the signals on it. Every draw comes from a seed, so a failing call happens again."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from simulators.signals import CarrierOff, Frame, Heard, Octets
from t30.hdlc import AROUND_FRAME
from t30.rates import Modulation

LATENESS = (0.1, 1.2)
"""How late a delayed signal is, in seconds. Command and answer together stay within T4: beyond that, T.30 has no means
to tell a late answer from the answer to the next command."""
ECHO = (0.02, 1.0)
"""How long after it was sent a V.21 signal comes back to its own sender."""
DROPOUT_START = (0.0, 4.0)
"""When a dropout begins, in seconds after training."""
DROPOUT_LENGTH = (0.005, 0.3)
CARRIER_HOLD = 0.2
"""A dropout longer than this ends the signal for the receiver: it has lost the carrier, and there is no training."""
BAD_FRAMES = 0.5
"""How many frames of a corrupted V.21 signal are bad."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Probabilities are per signal, one signal being from carrier on to carrier off; no faults by default."""

    seed: int = 0
    lost: float = 0.0
    """The other side hears nothing of the signal."""
    corrupted: float = 0.0
    """Octets of it are changed, about one in ``1 / error_density``; of V.21, about every second frame is bad."""
    delayed: float = 0.0
    """The whole signal is late."""
    echoed: float = 0.0
    """V.21 only: its sender hears it too, where the other side's carrier does not drown it."""
    dropouts: float = 0.0
    """The signal is away for a moment, or for good if the receiver loses the carrier."""
    error_density: float = 0.002
    untrainable: frozenset[Modulation] = frozenset()
    """Modulations, named by their long form, whose octets arrive as noise."""
    wear: tuple[tuple[Modulation, float], ...] = ()
    """The share of octets that are changed in every signal of a modulation, named by its long form."""
    lose: frozenset[int] = frozenset()
    """Signals to lose by number: both ends' signals count, from 0."""
    corrupt: frozenset[int] = frozenset()
    """Signals to corrupt by number; every V.21 frame in them is bad."""
    drop_at: float | None = None
    """Seconds after it was connected at which the call is dropped."""


class Passage:
    """One signal on its way through the line: what befalls it is drawn when it begins."""

    def __init__(self, modulation: Modulation, *, number: int, faults: Faults, random: Random) -> None:
        self.modulation = modulation
        self._random = random
        # As many draws whatever the faults are: a probability changed to zero leaves the other fates alone.
        lost, corrupted, delayed, echoed, dropped = (random.random() for _ in range(5))
        late, echo, start, length = (random.uniform(*span) for span in (LATENESS, ECHO, DROPOUT_START, DROPOUT_LENGTH))
        self.late = late if delayed < faults.delayed else 0.0
        """Seconds by which the whole signal is late."""
        self.echo = echo if echoed < faults.echoed and modulation is Modulation.V21 else None
        """Seconds after which the sender hears it itself."""
        self._away = lost < faults.lost or number in faults.lose
        self._noise = modulation.long in faults.untrainable
        chosen = number in faults.corrupt
        self._density = faults.error_density if chosen or corrupted < faults.corrupted else 0.0
        self._bad_frames = 1.0 if chosen or self._noise else BAD_FRAMES if self._density else 0.0
        self._density = max(self._density, dict(faults.wear).get(modulation.long, 0.0))
        self._place = 0
        self._gap = _octet_span(start, length, modulation) if dropped < faults.dropouts else (0, 0)
        self._gap_ends_it = length > CARRIER_HOLD

    def through(self, thing: Heard) -> Iterator[Heard]:
        """Yield what comes out at the far side when ``thing`` of this signal goes in."""
        if self._away:
            return
        match thing:
            case Octets(octets):
                yield from self._octets(octets)
            case Frame(octets, good=True):
                yield from self._frame(octets)
            case _:
                yield thing

    def _octets(self, octets: bytes) -> Iterator[Heard]:
        first, self._place = self._place, self._place + len(octets)
        begin, end = (min(max(place - first, 0), len(octets)) for place in self._gap)
        if begin < end and self._gap_ends_it:
            yield from (Octets(part) for part in [self._worn(octets[:begin])] if part)
            yield self._lose()
        else:
            yield Octets(self._worn(octets[:begin]) + self._random.randbytes(end - begin) + self._worn(octets[end:]))

    def _frame(self, octets: bytes) -> Iterator[Heard]:
        first, self._place = self._place, self._place + len(octets) + AROUND_FRAME
        hit = first < self._gap[1] and self._gap[0] < self._place
        if hit and self._gap_ends_it:
            yield self._lose()
        elif hit or self._random.random() < self._bad_frames:
            yield Frame(changed(octets, 0.1, self._random), good=False)
        else:
            yield Frame(octets)

    def _worn(self, octets: bytes) -> bytes:
        return self._random.randbytes(len(octets)) if self._noise else changed(octets, self._density, self._random)

    def _lose(self) -> Heard:
        self._away = True
        return CarrierOff()


def changed(octets: bytes, density: float, random: Random) -> bytes:
    """Return the octets with about ``density`` of them changed."""
    if density <= 0.0:
        return octets
    result = bytearray(octets)
    place = int(random.expovariate(density))
    while place < len(result):
        result[place] ^= random.randrange(1, 256)
        place += 1 + int(random.expovariate(density))
    return bytes(result)


def _octet_span(start: float, length: float, modulation: Modulation) -> tuple[int, int]:
    per_second = modulation.bps / 8
    return int(start * per_second), int((start + length) * per_second) + 1
