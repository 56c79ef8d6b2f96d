"""G.711: samples of 16 bits as octets and back, by table, in both laws."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from drivers.g711.law import Law

Samples = NDArray[np.int16]
Codes = NDArray[np.uint8]

RATE = 8000
"""Samples a second."""
BLOCK = 160
"""Samples in 20 ms."""


def expand(octets: bytes, law: Law) -> Samples:
    """Return the samples of octets, in shape (octets,), up to ±32,124 (mu) or ±32,256 (A)."""
    return _expansion(law)[np.frombuffer(octets, np.uint8)]


def compress(samples: Samples, law: Law) -> bytes:
    """Return samples as octets, one each."""
    return _compression(law)[samples.view(np.uint16)].tobytes()


@cache
def translation(of: Law, into: Law) -> bytes:
    """Return the 256 octets for ``bytes.translate`` that turn one law into the other."""
    return compress(_expansion(of), into)


@cache
def _expansion(law: Law) -> Samples:
    """Return the samples of all 256 codes."""
    codes = np.arange(256) ^ (0xFF if law is Law.PCMU else 0x55)
    segment, step = codes >> 4 & 7, codes & 15
    if law is Law.PCMU:
        magnitude = (((2 * step + 33) << segment) - 33) * 4
        negative = codes >= 128
    else:
        magnitude = np.where(segment, (2 * step + 33) << np.maximum(segment, 1) - 1, 2 * step + 1) * 8
        negative = codes < 128
    return np.where(negative, -magnitude, magnitude).astype(np.int16)


@cache
def _compression(law: Law) -> Codes:
    """Return the codes of all 65,536 samples, in the order of their 16 bits without sign: 0, 1, ..., -2, -1."""
    samples = np.arange(65536).astype(np.uint16).view(np.int16).astype(np.int32)
    if law is Law.PCMU:
        value = samples >> 2
        magnitude = np.minimum(np.abs(value), 8158) + 33
        segment = _bits(magnitude) - 6
        code = segment << 4 | magnitude >> segment + 1 & 15
        return _octets(code ^ np.where(value < 0, 0x7F, 0xFF))
    value = samples >> 3
    magnitude = np.where(value < 0, ~value, value)
    segment = np.maximum(_bits(magnitude) - 5, 0)
    code = segment << 4 | magnitude >> np.maximum(segment, 1) & 15
    return _octets(code ^ np.where(value < 0, 0x55, 0xD5))


def _octets(codes: NDArray[np.int32]) -> Codes:
    return codes.astype(np.uint8)


def _bits(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return how many bits each value needs."""
    bits: NDArray[np.int32] = np.frexp(values.astype(np.float64))[1]
    return bits
