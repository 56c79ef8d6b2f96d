"""Sounds of telephone lines from a seed, at 8 kHz, in samples of 16 bits and levels of dBm0: fax signals and others."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from drivers.g711.companding import Samples, compress, expand
from drivers.g711.law import Law

RATE = 8000
MILLIWATT = 22_740.0
Sound = NDArray[np.float64]
Random = np.random.Generator


def leveled(sound: Sound, dbm0: float) -> Sound:
    """Return a sound at a level, over all that is not silent."""
    loud = sound[np.abs(sound) > 0]
    power = float(np.mean(loud**2)) if len(loud) else 1.0
    scaled: Sound = sound * (MILLIWATT / np.sqrt(2 * power) * 10 ** (dbm0 / 20))
    return scaled


def silence(seconds: float) -> Sound:
    return np.zeros(round(seconds * RATE))


def times(seconds: float) -> Sound:
    return np.arange(round(seconds * RATE)) / RATE


def tone(hertz: float, seconds: float, *, phase: float = 0.0) -> Sound:
    turned: Sound = np.sin(2 * np.pi * hertz * times(seconds) + phase)
    return turned


def cng(random: Random) -> Sound:
    return tone(1100 + random.uniform(-38, 38), 0.5 * random.uniform(0.85, 1.15), phase=random.uniform(0, 6))


def ced(random: Random) -> Sound:
    return tone(2100 + random.uniform(-15, 15), random.uniform(2.6, 4.0), phase=random.uniform(0, 6))


def ansam(random: Random) -> Sound:
    """CED with a reversal of phase every 450 ms and 15 Hz of amplitude modulation."""
    seconds = 2.6
    plain = tone(2100 + random.uniform(-1, 1), seconds, phase=random.uniform(0, 6))
    reversal = 1 - 2 * (np.floor((times(seconds) + random.uniform(0, 0.45)) / random.uniform(0.425, 0.475)) % 2)
    modulated: Sound = plain * reversal * (1 + 0.2 * np.sin(2 * np.pi * 15 * times(seconds)))
    return modulated


def fsk(bits: Sequence[int], *, mark: float = 1650, space: float = 1850, rate: float = 300, phase: float = 0) -> Sound:
    """Return bits as two tones without a step in phase."""
    at = (np.arange(int(len(bits) / rate * RATE)) * rate / RATE).astype(int)
    hertz = np.where(np.array(bits)[at], mark, space)
    turned: Sound = np.sin(2 * np.pi * np.cumsum(hertz) / RATE + phase)
    return turned


FLAG = (0, 1, 1, 1, 1, 1, 1, 0)


def preamble(random: Random) -> Sound:
    """Return a second of flags, and a frame of anything."""
    flags = FLAG * 37 if random.random() < 0.8 else (0, 1, 1, 1, 1, 1, 1) * 42
    frame: list[int] = []
    for bit in random.integers(0, 2, 300).tolist():
        frame.append(bit)
        if frame[-5:] == [1] * 5:
            frame.append(0)
    shift, twist = random.uniform(-6, 6), 10 ** (random.uniform(-3, 3) / 20)
    bits = [*flags, *frame, *FLAG]
    sent = fsk(bits, mark=1650 + shift, space=1850 + shift, phase=random.uniform(0, 6))
    at = (np.arange(len(sent)) * 300 / RATE).astype(int)
    return sent * np.where(np.array(bits)[at], twist, 1.0)


def noise(random: Random, seconds: float, low: float = 0, high: float = 4000) -> Sound:
    """Noise of a band, from its spectrum."""
    size = round(seconds * RATE)
    hertz = np.fft.rfftfreq(size, 1 / RATE)
    spectrum = random.normal(size=len(hertz)) + 1j * random.normal(size=len(hertz))
    return np.fft.irfft(spectrum * ((hertz >= low) & (hertz <= high)), size)


# ------------------------------------------------------------------------------------------------------- other sounds


def speech(random: Random, seconds: float = 4.0) -> Sound:
    """Voiced syllables of gliding pitch through three formants, hisses, and pauses."""
    parts, total = [], 0.0
    while total < seconds:
        length = random.uniform(0.08, 0.6)
        kind = random.random()
        part = _vowel(random, length) if kind < 0.65 else _hiss(random, length)
        part = part / (np.abs(part).max() + 1e-9) * random.uniform(0.2, 1.0) if kind < 0.85 else silence(length)
        parts.append(part * np.hanning(len(part)) ** 0.3)
        total += length
    return np.concatenate(parts)[: round(seconds * RATE)]


def _hiss(random: Random, seconds: float) -> Sound:
    low = random.uniform(300, 3000)
    return noise(random, seconds, low, low + random.uniform(300, 1500))


def _vowel(random: Random, seconds: float) -> Sound:
    since = times(seconds)
    pitch = random.uniform(80, 600) * (1 + random.uniform(-0.15, 0.15) * since / seconds)
    pitch = pitch * (1 + random.uniform(0, 0.03) * np.sin(2 * np.pi * random.uniform(4, 7) * since))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    formants = (random.uniform(250, 1000), random.uniform(800, 2400), random.uniform(2000, 3500))
    widths = random.uniform(60, 250, 3)
    voice = np.zeros(len(since))
    for harmonic in range(1, int(3800 / pitch.max()) + 1):
        hertz = harmonic * pitch.mean()
        gain = sum(1 / (1 + ((hertz - f) / w) ** 2) for f, w in zip(formants, widths, strict=True)) / harmonic**0.5
        voice += gain * np.sin(harmonic * phase + random.uniform(0, 6))
    return voice


def chords(random: Random, seconds: float = 4.0) -> Sound:
    """Return notes of the scale, three or four at once, with overtones."""
    parts, total = [], 0.0
    while total < seconds:
        length = random.uniform(0.15, 1.2)
        notes = 440 * 2 ** (random.integers(-24, 25, random.integers(3, 5)) / 12)
        chord = sum(
            random.uniform(0.5, 1) / overtone**1.5 * tone(note * overtone, length, phase=random.uniform(0, 6))
            for note in notes
            for overtone in range(1, 5)
            if note * overtone < 3900
        )
        parts.append(chord * np.exp(-times(length) * random.uniform(0, 3)))
        total += length
    return np.concatenate(parts)[: round(seconds * RATE)]


def dtmf(random: Random) -> Sound:
    parts = []
    for low in (697, 770, 852, 941):
        for high in (1209, 1336, 1477, 1633):
            parts += [tone(low, 0.12) + tone(high, 0.12, phase=random.uniform(0, 6)), silence(0.08)]
    held = tone(random.choice((697, 770, 852, 941)), 0.8) + tone(random.choice((1209, 1336, 1477, 1633)), 0.8)
    return np.concatenate([*parts, held])


def dialling(random: Random) -> Sound:
    """Dial tone, busy, ring-back, of both continents, special information tones, other modems' tones."""
    pairs = ((350, 440), (440, 480), (480, 620), (425, 425), (400, 450))
    parts = [tone(low, 0.9) + tone(high, 0.9, phase=random.uniform(0, 6)) for low, high in pairs]
    alone = (425, 950, 1400, 1800, 1004, 1020, 1300, 2225, 2250, 1270, 980, 1180, 1650, 1850, 2040, 2160, 2280, 2600)
    parts += [tone(hertz, 0.7) for hertz in alone]
    order = random.permutation(len(parts))
    return np.concatenate([each for place in order for each in (parts[place], silence(random.choice((0, 0.05, 0.5))))])


def modem(random: Random, seconds: float = 4.0) -> Sound:
    """Symbols of V.27ter, V.29, V.17 or V.22, at random: a carrier in amplitude and phase."""
    rate, carrier = [(1200, 1800), (1600, 1800), (2400, 1700), (2400, 1800), (600, 1200), (600, 2400)][
        random.integers(6)
    ]
    points = random.choice((4, 8, 16))
    count = round(seconds * rate)
    symbols = np.exp(2j * np.pi * random.integers(points, size=count) / points) * random.choice((0.5, 1.0), size=count)
    shape = np.sinc(np.arange(-4 * RATE // rate, 4 * RATE // rate + 1) * rate / RATE)
    at = (np.arange(count) * RATE / rate).astype(int)
    impulses = np.zeros(round(seconds * RATE), complex)
    impulses[at] = symbols
    line = np.convolve(impulses, shape * np.hanning(len(shape)), "same")
    return np.real(line * np.exp(2j * np.pi * carrier * np.arange(len(line)) / RATE))


def other_fsk(random: Random, seconds: float = 4.0) -> Sound:
    """FSK that is no flags: V.21's lower channel with any bits, its upper one with characters, V.23, and 1200 bit/s."""
    kind = random.integers(4)
    if kind == 0:
        return fsk(random.integers(0, 2, round(seconds * 300)).tolist(), mark=980, space=1180)
    if kind == 1:
        characters = ((0, *random.integers(0, 2, 8).tolist(), 1) for _ in range(round(seconds * 30)))
        return fsk([bit for each in characters for bit in each])
    if kind == 2:
        return fsk(FLAG * round(seconds * 300 / 8), mark=980, space=1180)
    bits = random.integers(0, 2, round(seconds * 1200)).tolist()
    return fsk(bits, mark=1300, space=2100, rate=1200)


def nothing(random: Random) -> Sound:
    return noise(random, 4.0)


OTHERS: dict[str, Callable[[Random], Sound]] = {
    "speech": speech,
    "chords": chords,
    "dtmf": dtmf,
    "dialling": dialling,
    "modem": modem,
    "other fsk": other_fsk,
    "noise": nothing,
}


# ------------------------------------------------------------------------------------------------------ what lines do


def over_the_line(
    sound: Sound, law: Law, random: Random, *, snr: float | None = None, loss: float = 0.0, packet: int = 160
) -> Samples:
    """Add noise so many dB below the sound, code it, lose packets, and return what is heard."""
    if snr is not None:
        sound = sound + np.sqrt(np.mean(sound[sound != 0] ** 2)) * 10 ** (-snr / 20) * random.normal(size=len(sound))
    samples = expand(compress(np.clip(sound.round(), -32768, 32767).astype(np.int16), law), law).copy()
    for at in range(0, len(samples), packet):
        if random.random() < loss:
            samples[at : at + packet] = 0
    return samples
