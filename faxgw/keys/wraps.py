"""Key pairs of people and boxes, and an object's key wrapped to them (HPKE, RFC 9180).

Who can read an object is which wraps of its key exist.
"""

import hashlib
import os
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache, cached_property
from uuid import UUID

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

SEED_OCTETS = 32
_MLKEM_PUBLIC = 1184
_MLKEM_SEED = 64


class Suite(IntEnum):
    """How a key pair wraps; the first octet of a stored key. Always HKDF-SHA256 and AES-256-GCM."""

    X25519 = 1
    MLKEM768_X25519 = 2
    """X-Wing: stays closed unless both ML-KEM-768 and X25519 are broken."""


class WrapBroken(Exception):
    """A wrap does not open: damaged, of another key, or of another object, tenant or kind of wrap."""

    def __init__(self) -> None:
        super().__init__("this wrap does not open with that key for that object")


@dataclass(frozen=True)
class PublicKey:
    """What may be known to everybody: wraps to it, opens nothing."""

    suite: Suite
    raw: bytes

    @classmethod
    def from_octets(cls, octets: bytes) -> "PublicKey":
        """Read a stored key back.

        Raises:
            ValueError: when it is none.
        """
        suite = _suite(octets)
        if len(octets) != 1 + (32 if suite is Suite.X25519 else _MLKEM_PUBLIC + 32):
            raise ValueError(f"a public key of {len(octets)} octets")
        return cls(suite, bytes(octets[1:]))

    @property
    def octets(self) -> bytes:
        """The key as stored: the suite's octet, then the key."""
        return bytes([self.suite]) + self.raw

    @cached_property
    def key_id(self) -> str:
        """A short name: 20 hexadecimal digits of the key's SHA-256."""
        return hashlib.sha256(self.octets).hexdigest()[:20]

    @cached_property
    def _key(self) -> "X25519PublicKey | hpke.MLKEM768X25519PublicKey":
        if self.suite is Suite.X25519:
            return X25519PublicKey.from_public_bytes(self.raw)
        return hpke.MLKEM768X25519PublicKey(
            mlkem.MLKEM768PublicKey.from_public_bytes(self.raw[:_MLKEM_PUBLIC]),
            X25519PublicKey.from_public_bytes(self.raw[_MLKEM_PUBLIC:]),
        )


@dataclass(frozen=True)
class KeyPair:
    """A private key with its public half; lives in memory only, on disk it lies in slots."""

    suite: Suite
    seed: bytes = field(repr=False)

    @classmethod
    def generate(cls, suite: Suite | None = None) -> "KeyPair":
        """Return a new key pair, of the best suite that this machine's ``cryptography`` knows unless one is given."""
        return cls(best_suite() if suite is None else suite, os.urandom(SEED_OCTETS))

    @classmethod
    def from_octets(cls, octets: bytes) -> "KeyPair":
        """Read back what ``octets`` gave.

        Raises:
            ValueError: when it is no private key.
        """
        if len(octets) != 1 + SEED_OCTETS:
            raise ValueError(f"a private key of {len(octets)} octets")
        return cls(_suite(octets), bytes(octets[1:]))

    @property
    def octets(self) -> bytes:
        """The private key, for a slot: the suite's octet, then 32 octets."""
        return bytes([self.suite]) + self.seed

    @cached_property
    def public(self) -> PublicKey:
        """The public half."""
        if self.suite is Suite.X25519:
            return PublicKey(self.suite, X25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())
        lattice, curve = self._parts
        return PublicKey(self.suite, lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw())

    @cached_property
    def _key(self) -> "X25519PrivateKey | hpke.MLKEM768X25519PrivateKey":
        if self.suite is Suite.X25519:
            return X25519PrivateKey.from_private_bytes(self.seed)
        return hpke.MLKEM768X25519PrivateKey(*self._parts)

    @property
    def _parts(self) -> tuple[mlkem.MLKEM768PrivateKey, X25519PrivateKey]:
        # As X-Wing expands its 32-octet private key.
        parts = hashlib.shake_256(self.seed).digest(_MLKEM_SEED + 32)
        return (
            mlkem.MLKEM768PrivateKey.from_seed_bytes(parts[:_MLKEM_SEED]),
            X25519PrivateKey.from_private_bytes(parts[_MLKEM_SEED:]),
        )


def wrap_context(*, tenant: UUID, object_id: UUID, kind: str) -> bytes:
    """Return what a wrap is bound to; ``kind`` is the kind of wrap: ``owner``, ``spool``, ..."""
    return b"faxgw wrap 1" + tenant.bytes + object_id.bytes + kind.encode()


def member_context(tenant: UUID, user: UUID) -> bytes:
    """Return what the wrap of a membership's private key, to the person whose it is, is bound to."""
    return wrap_context(tenant=tenant, object_id=user, kind="member")


def box_context(tenant: UUID, box: UUID) -> bytes:
    """Return what the wrap of a box's private key, to one of its readers, is bound to."""
    return wrap_context(tenant=tenant, object_id=box, kind="box key")


def wrap(dek: bytes, public_key: PublicKey, *, context: bytes) -> bytes:
    """Return ``dek`` so that only the holder of the private key reads it: 1168 octets, or 80 by X25519."""
    return _hpke(public_key.suite).encrypt(dek, public_key._key, info=context)


def unwrap(blob: bytes, key_pair: KeyPair, *, context: bytes) -> bytes:
    """Return the key that ``wrap`` was given with the same context.

    Raises:
        WrapBroken: for any other key pair, context or blob.
    """
    try:
        return _hpke(key_pair.suite).decrypt(blob, key_pair._key, info=context)
    except InvalidTag:
        raise WrapBroken from None


def wrap_key_pair(key_pair: KeyPair, to: PublicKey, *, context: bytes) -> bytes:
    """Return a private key so that only the holder of another one reads it; ``context`` as of ``wrap``."""
    return wrap(key_pair.octets, to, context=context)


def unwrap_key_pair(blob: bytes, key_pair: KeyPair, *, context: bytes) -> KeyPair:
    """Return the private key that ``wrap_key_pair`` was given with the same context.

    Raises:
        WrapBroken: for any other key pair, context or blob.
    """
    try:
        return KeyPair.from_octets(unwrap(blob, key_pair, context=context))
    except ValueError:
        raise WrapBroken from None


@cache
def best_suite() -> Suite:
    """Return the strongest suite that this machine's ``cryptography`` knows."""
    try:
        mlkem.MLKEM768PrivateKey.generate()
        _hpke(Suite.MLKEM768_X25519)
    except (UnsupportedAlgorithm, AttributeError):
        return Suite.X25519
    return Suite.MLKEM768_X25519


@cache
def _hpke(suite: Suite) -> hpke.Suite:
    kem = hpke.KEM.X25519 if suite is Suite.X25519 else hpke.KEM.MLKEM768_X25519
    return hpke.Suite(kem, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def _suite(octets: bytes) -> Suite:
    if not octets:
        raise ValueError("an empty key")
    return Suite(octets[0])
