"""What pages would suffer at a rate, estimated from the errors of its training check; whether a lower one is better.

A training check of n bits with k errors in it stands for k / n errors per bit. One error is all damage within 32 bits:
the descramblers of V.17, V.29 and V.27ter make three wrong bits of one, within 23. Errors are taken to come at random,
so that b bits in a row are whole with probability exp(-b k / n).

With error correction, of N frames of b bits a share q = 1 - exp(-b k / n) must be sent again, of these a share q once
more, and so on: N b / (rate (1 - q)) seconds of data; and round i of requests is needed if any of the N frames failed i
times, 1 - (1 - q^i)^N. So two pages at 14400 bit/s, with one error in 1.5 s of check, and with three:

>>> round(corrected(Noise(0, 21600), 14400), 1), round(corrected(Noise(1, 21600), 14400), 1)
(34.2, 45.4)
>>> round(corrected(Noise(3, 21600), 14400), 1), round(corrected(Noise(0, 18000), 12000) + AGAIN, 1)
(60.3, 47.1)

So one error is borne, and three are not: training again, and 12000 bit/s without errors, are done sooner. Without error
correction a scan line of b bits is damaged with probability 1 - exp(-b k / n):

>>> round(damaged(Noise(3, 21600)), 3), round(damaged(Noise(6, 21600)), 3)
(0.027, 0.054)
"""

import math
from dataclasses import dataclass

from t30 import timers
from t30.rates import Modulation

NEAR = 4
"""Damaged octets no further apart than that are one error."""
EDGE = 40
"""Octets at either end of a training check that tell nothing: a modem may add its own (spandsp: up to 35)."""

TYPICAL_OCTETS = 60_000
"""A fax of two pages of text in MMR."""
ROW_BITS = 200
"""A line of text in MH; in MR it is half as long, but damage in it spoils the next line, too."""
AROUND_FRAME = 7
"""Octets that a frame of page data has beside its data: address, control, code, number, FCS, flag."""
ROUND = 3.7
"""Seconds that one more round of correction takes, beside its data: PPS, PPR, training, flags, silences."""
AGAIN = 6.0
"""Seconds that another training takes: FTT, DCS, the check, silences."""
ROUNDS = 50
"""After so many, nothing changes any more."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Errors that were seen in so many bits."""

    errors: int
    bits: int

    @classmethod
    def of(cls, check: bytes, modulation: Modulation) -> "Noise":
        r"""Return what is seen in a training check, without what a modem may have added at its ends.

        >>> Noise.of(b"\x7e" * 30 + bytes(1000) + b"\x07\x00\x80" + bytes(1000), Modulation.V17_14400)
        Noise(errors=1, bits=15624)
        """
        body = check[EDGE : min(len(check), modulation.octets(timers.TCF_SECONDS)) - EDGE]
        damaged = [place for place, octet in enumerate(body) if octet]
        errors = sum(place - before > NEAR for before, place in zip([-NEAR - 1, *damaged], damaged, strict=False))
        return cls(errors, max(8 * len(body), 1))

    def whole(self, bits: float) -> float:
        """Return the probability that so many bits in a row arrive without an error."""
        return math.exp(-bits * self.errors / self.bits)


def corrected(noise: Noise, bps: int, frame_octets: int = 256) -> float:
    """Return how many seconds a typical fax takes with error correction."""
    frames = TYPICAL_OCTETS / frame_octets
    bits = 8 * (frame_octets + AROUND_FRAME)
    lost = 1 - noise.whole(bits)
    rounds = math.fsum(1 - (1 - lost**each) ** frames for each in range(1, ROUNDS))
    return frames * bits / (bps * max(1 - lost, 1e-9)) + ROUND * rounds


def damaged(noise: Noise) -> float:
    """Return the share of scan lines that are damaged without error correction."""
    return 1 - noise.whole(ROW_BITS)


def is_better_slower(
    noise: Noise, modulation: Modulation, slower: Modulation, *, frame_octets: int | None, rows: float
) -> bool:
    """Tell whether a fax is better sent at the next lower rate, which is taken to be free from errors.

    Args:
        noise: as seen at ``modulation``.
        modulation: the rate.
        slower: the next lower one.
        frame_octets: with error correction, the size of its frames; None without.
        rows: which share of damaged scan lines is good enough, without.
    """
    if frame_octets is None:
        return damaged(noise) > rows
    clean = Noise(0, 1)
    return corrected(noise, modulation.bps, frame_octets) > corrected(clean, slower.bps, frame_octets) + AGAIN
