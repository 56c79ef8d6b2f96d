"""A secret split so that any ``threshold`` of its shares give it back, and fewer say nothing at all of it.

Shamir's scheme, octet by octet over GF(2^8) with the polynomial of AES (x^8 + x^4 + x^3 + x + 1): the secret is what a
random polynomial has at 0, the shares what it has at 1, 2, ... All octets are computed at once, packed into one number,
and nothing branches on, or is looked up by, what is secret: only indexes are.
"""

import hashlib
import hmac
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

LAST_INDEX = 255
_COMMITTED = b"faxgw escrow share 1"
_REDUCED = 0x1B


class WrongShares(ValueError):
    """Shares that cannot be put together: one twice, or of secrets of several lengths."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one holder has.

    Attributes:
        index: at which the polynomial was asked, 1 to 255.
        value: what it has there, as long as the secret.
    """

    index: int
    value: bytes = field(repr=False)

    @classmethod
    def from_octets(cls, octets: bytes) -> "Share":
        """Read back what ``octets`` gave.

        Raises:
            ValueError: when it is no share.
        """
        if len(octets) < 2 or octets[0] == 0:
            raise ValueError("that is no share")
        return cls(octets[0], bytes(octets[1:]))

    @property
    def octets(self) -> bytes:
        """The share as it is wrapped: the index, then the value; one octet longer than the secret."""
        return bytes([self.index]) + self.value

    def commitment(self, context: bytes) -> bytes:
        """Return 32 octets by which this share is known again, and which say nothing of it as long as it is random.

        ``context`` is what the secret is of.
        """
        return hashlib.sha256(_COMMITTED + len(context).to_bytes(4) + context + self.octets).digest()

    def is_of(self, commitment: bytes, context: bytes) -> bool:
        """Tell whether a commitment was made of this very share."""
        return hmac.compare_digest(self.commitment(context), commitment)


def split(
    secret: bytes, *, threshold: int, indexes: Collection[int], chance: Callable[[int], bytes] = os.urandom
) -> tuple[Share, ...]:
    """Return a share for each index.

    Args:
        secret: at least one octet.
        threshold: so many of them give it back; from 2 up to as many as there are.
        indexes: different numbers from 1 to 255.
        chance: gives so many random octets.

    Raises:
        ValueError: if it cannot be split so.
    """
    given = sorted(set(indexes))
    if len(given) != len(indexes) or not given or given[0] < 1 or given[-1] > LAST_INDEX:
        raise ValueError("indexes are different numbers from 1 to 255")
    if not secret or not 2 <= threshold <= len(given):
        raise ValueError(f"{len(secret)} octets for {threshold} of {len(given)}")
    size = len(secret)
    coefficients = [int.from_bytes(chance(size)) for _ in range(threshold - 1)] + [int.from_bytes(secret)]
    return tuple(Share(index, _value(coefficients, index, size).to_bytes(size)) for index in given)


def combine(shares: Sequence[Share]) -> bytes:
    """Return the secret, given at least as many different shares as its threshold.

    With fewer shares, or a wrong one, it is another secret: whoever asks must know theirs again.

    Raises:
        WrongShares: if these cannot be of one secret.
    """
    indexes = [share.index for share in shares]
    sizes = {len(share.value) for share in shares}
    if len(set(indexes)) != len(indexes) or len(sizes) != 1:
        raise WrongShares("different shares of one secret are needed")
    size, found = sizes.pop(), 0
    for share in shares:
        found ^= _times(int.from_bytes(share.value), _weight(share.index, indexes), size)
    return found.to_bytes(size)


def _value(coefficients: Sequence[int], index: int, size: int) -> int:
    value = 0
    for coefficient in coefficients:
        value = _times(value, index, size) ^ coefficient
    return value


def _weight(index: int, indexes: Sequence[int]) -> int:
    """Return what a share counts for at 0 (Lagrange): the product of x / (x - index) over all other indexes x."""
    above, below = 1, 1
    for other in indexes:
        if other != index:
            above, below = _times(above, other, 1), _times(below, other ^ index, 1)
    inverse = 1
    for _ in range(254):  # x^255 is 1 for every x but 0
        inverse = _times(inverse, below, 1)
    return _times(above, inverse, 1)


def _times(octets: int, factor: int, size: int) -> int:
    """Multiply each of ``size`` packed octets by a factor that is not secret."""
    low, ones = int.from_bytes(b"\x7f" * size), int.from_bytes(b"\x01" * size)
    product = 0
    while factor:
        if factor & 1:
            product ^= octets
        octets = (octets & low) << 1 ^ (octets >> 7 & ones) * _REDUCED
        factor >>= 1
    return product
