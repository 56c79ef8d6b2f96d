"""Which signal of a fax machine is in the sound: CNG, CED with or without reversals and modulation, V.21's flags.

Goertzel's sums, of all windows of a batch at once, say how much of the sound is the tone and where its phase is. A tone
counts when it is nearly all there is, at its frequency and steadily so, for 0.3 s. Flags count when the two tones of
V.21's channel 2 take turns at the times of 0111 1110 0111 1110, five times.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from drivers.g711.companding import RATE, Samples
from drivers.g711.tones import CED_HERTZ, CNG_HERTZ, peak

Floats = NDArray[np.float32]


class Heard(Enum):
    """A signal of the other side, and which machine it comes from."""

    CNG = "caller"
    CED = "answerer"
    V21 = "fax machine"


QUIET = -48.0
"""dBm0 below which nothing is heard."""


class Hearing:
    """What is in a stream of samples."""

    def __init__(self) -> None:
        self._tones = _Tones()
        self._flags = _Flags()

    def take(self, samples: Samples) -> list[Heard]:
        """Take samples, any number; return what began in them, once for each signal."""
        sound = samples.astype(np.float32)
        heard = self._tones.take(sound)
        if self._flags.take(sound):
            heard.append(Heard.V21)
        return heard


def _windows(sound: Floats, size: int, hop: int) -> Floats:
    """Return the windows of a sound, as views of it: shape (windows, size)."""
    step = sound.strides[0]
    return as_strided(sound, ((len(sound) - size) // hop + 1, size), (hop * step, step), writeable=False)


def _oscillators(hertz: tuple[int, ...], size: int) -> NDArray[np.complex128]:
    """Return what a window is multiplied by to have its part at each frequency: shape (size, frequencies)."""
    turns = np.outer(np.arange(size), hertz) * (2 * np.pi / RATE)
    waves: NDArray[np.complex128] = np.exp(-1j * turns)
    return waves


def _as_pairs(factors: NDArray[np.complex128]) -> Floats:
    """Return real and imaginary columns side by side, so that real products can be looked at as complex ones."""
    return np.ascontiguousarray(factors.astype(np.complex64)).view(np.float32)


# --------------------------------------------------------------------------------------------------------------- tones

_HEARD = (Heard.CNG, Heard.CED)
_HERTZ = (CNG_HERTZ, CED_HERTZ)
_OFF = np.array([44.0, 25.0], np.float32)
"""Hertz that each may be beside its frequency: 38 and 15 are allowed to it."""
_SIZE, _HOP = 160, 80
"""Samples of a window, and from one to the next: both tones make whole turns in it, so their phase stays."""
_PURE = 0.9
"""Share of all energy that the tone must have: noise 10 dB below it is borne."""
_GOOD, _HOLES, _GAP, _OVER = 30, 16, 10, 50
"""Windows that make a tone; bad ones among them, and in a row, after which they count anew; bad ones in a row after
which the next tone is another signal. A lost packet makes four bad ones, a reversal three."""
_STEADY = 12.0
"""Hertz by which it may change."""

_HANN = np.hanning(_SIZE + 1)[:_SIZE]
_TONE_SUMS = _as_pairs(_oscillators(_HERTZ, _SIZE) * _HANN[:, None])
_ENERGY = (_HANN**2).astype(np.float32)
_SHARE = np.float32(2 * np.sum(_HANN**2) / np.sum(_HANN) ** 2)
"""A sine's sum squared, times this, is the energy of its window."""
_LEAST_ENERGY = np.float32(np.sum(_HANN**2) * peak(QUIET) ** 2 / 2)
_BIN = RATE / _SIZE
"""Hertz from one place of the window's spectrum to the next."""
_TO_HERTZ = np.float32(RATE / _HOP / (2 * np.pi))


@dataclass(slots=True)
class _Run:
    """How long a tone has been there, in windows."""

    good: int = 0
    holes: int = 0
    bad: int = 0
    hertz: float = 0.0
    told: bool = False

    def miss(self, windows: int) -> None:
        """Count windows without it."""
        self.bad += windows
        self.holes += windows
        if self.bad >= _GAP or self.holes > _HOLES:
            self.good = 0
        if self.bad >= _OVER:
            self.told = False

    def hit(self, hertz: float) -> bool:
        """Count a window with it, so far beside its frequency; return whether it is known by that."""
        if abs(hertz - self.hertz) > _STEADY:
            if self.good > 3:
                self.miss(1)
                return False
            self.good = 0
        if not self.good:
            self.holes = 0
        self.bad = 0
        self.good = min(self.good + 1, _GOOD)
        self.hertz += (hertz - self.hertz) / self.good
        known = self.good == _GOOD and not self.told
        self.told = self.told or known
        return known


class _Tones:
    def __init__(self) -> None:
        self._rest: Floats = np.zeros(0, np.float32)
        self._last: NDArray[np.complex64] = np.zeros((1, 2), np.complex64)
        self._runs = (_Run(), _Run())

    def take(self, sound: Floats) -> list[Heard]:
        sound = np.concatenate((self._rest, sound))
        windows = max(0, (len(sound) - _SIZE) // _HOP + 1)
        self._rest = sound[windows * _HOP :].copy()
        if not windows:
            return []
        rows = _windows(sound, _SIZE, _HOP)
        energy = np.maximum((rows * rows) @ _ENERGY, np.float32(1.0))
        if energy.max() < _LEAST_ENERGY:
            self._last = np.zeros((1, 2), np.complex64)
            for run in self._runs:
                run.miss(windows)
            return []
        return self._judged((rows @ _TONE_SUMS).view(np.complex64), energy)

    def _judged(self, sums: NDArray[np.complex64], energy: Floats) -> list[Heard]:
        """Return the tones that are known now, from the sums (windows, tones) and energies of windows."""
        before = np.concatenate((self._last, sums[:-1]))
        self._last = sums[-1:]
        share = (sums.real**2 + sums.imag**2) * (_SHARE / energy[:, None])
        maybe = (share > 0.25 * _PURE) & (energy > _LEAST_ENERGY)[:, None]
        heard = []
        for tone, run in enumerate(self._runs):
            if not maybe[:, tone].any():
                run.miss(len(sums))
            elif self._runs_on(tone, share[:, tone], sums[:, tone] * before[:, tone].conj(), maybe[:, tone]):
                heard.append(_HEARD[tone])
        return heard

    def _runs_on(self, tone: int, share: Floats, turn: NDArray[np.complex64], maybe: NDArray[np.bool_]) -> bool:
        """Go through the windows for one tone; return whether it is known now."""
        hertz = np.angle(turn) * _TO_HERTZ
        bins = np.clip(hertz / _BIN, -0.95, 0.95)
        response = (np.sinc(bins) / (1 - bins * bins)) ** 2
        good = maybe & (np.abs(hertz) <= _OFF[tone]) & (share > _PURE * response)
        run, known = self._runs[tone], False
        for is_good, beside in zip(good.tolist(), hertz.tolist(), strict=True):
            if is_good:
                known = run.hit(beside) or known
            else:
                run.miss(1)
        return known


# --------------------------------------------------------------------------------------------------------------- flags

_MARK_HERTZ, _SPACE_HERTZ = 1650, 1850
_BIT, _STEP = 27, 8
"""Samples of a window, as long as a bit at 300 bit/s, and from one to the next: 1 ms."""
_PERIODS = (8 / 0.3, 7 / 0.3)
"""Milliseconds from flag to flag: with both zeros, or with one that two flags share."""
_BESIDE = 0.8
_SHORTEST, _LONGEST = 1.8, 9.0
"""Milliseconds by which a period may differ, and of the space between two marks."""
_CLEAR = 0.5
"""Share of a window's energy that is one of the tones, and share of windows in which it must be."""
_FLAGS = 5
_PAUSE = 300
"""Windows without the tones after which the next flags are another signal."""
_BIT_SUMS = _as_pairs(_oscillators((_MARK_HERTZ, _SPACE_HERTZ), _BIT))
_BIT_SHARE = np.float32(2 / _BIT)
_LEAST_BIT = np.float32(_BIT * peak(QUIET) ** 2 / 2)


class _Flags:
    def __init__(self) -> None:
        self._rest: Floats = np.zeros(0, np.float32)
        self._lean = np.zeros(1, np.float32)
        self._now = 0
        self._clear = 0
        self._unclear = 0
        self._rose = self._fell = 0.0
        self._clear_at_rise = 0
        self._flags = 0
        self._told = False

    def take(self, sound: Floats) -> bool:
        sound = np.concatenate((self._rest, sound))
        windows = max(0, (len(sound) - _BIT) // _STEP + 1)
        self._rest = sound[windows * _STEP :].copy()
        if not windows:
            return False
        rows = _windows(sound, _BIT, _STEP)
        energy = np.einsum("ij,ij->i", rows, rows)
        if energy.max() < _LEAST_BIT:
            return self._nothing(windows)
        sums = (rows @ _BIT_SUMS).view(np.complex64)
        power = sums.real**2 + sums.imag**2
        mark, space = power[:, 0], power[:, 1]
        clear = (np.maximum(mark, space) * _BIT_SHARE > _CLEAR * energy) & (energy > _LEAST_BIT)
        if np.count_nonzero(clear) * 8 < windows:
            return self._nothing(windows)
        return self._turns((mark - space) / np.maximum(mark + space, np.float32(1.0)), clear)

    def _nothing(self, windows: int) -> bool:
        self._now += windows
        self._unclear += windows
        self._flags = 0
        self._told = self._told and self._unclear < _PAUSE
        return False

    def _turns(self, lean: NDArray[Any], clear: NDArray[np.bool_]) -> bool:
        """Go through the times at which one tone takes over from the other; return whether flags are known now.

        Args:
            lean: 1 for mark to -1 for space, of each window.
            clear: whether there is such a tone at all.
        """
        self._unclear = 0
        lean = np.concatenate((self._lean, lean))
        self._lean = lean[-1:]
        clear_until = np.concatenate(([self._clear], self._clear + np.cumsum(clear)))
        is_mark = lean > 0
        known = False
        for at in np.flatnonzero(is_mark[1:] != is_mark[:-1]).tolist():
            when = self._now + at + float(lean[at] / (lean[at] - lean[at + 1]))
            if is_mark[at]:
                self._fell = when
            else:
                known = self._rises(when, int(clear_until[at + 1])) or known
        self._now += len(clear)
        self._clear = int(clear_until[-1])
        return known

    def _rises(self, when: float, clear: int) -> bool:
        """Take the end of a space; return whether that makes flags."""
        period, space = when - self._rose, when - self._fell
        is_clear = clear - self._clear_at_rise > _CLEAR * period
        self._rose, self._clear_at_rise = when, clear
        if is_clear and _SHORTEST < space < _LONGEST and any(abs(period - each) < _BESIDE for each in _PERIODS):
            self._flags += 1
        else:
            self._flags = max(0, self._flags - 1)
        if self._flags < _FLAGS or self._told:
            return False
        self._told = True
        return True
