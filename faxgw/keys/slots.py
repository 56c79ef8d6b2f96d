"""Slots: the ways to a private key, of a person or of a person's membership in a tenant.

Each holds the whole key under one secret, so changing a password rewrites one slot and no data.
"""

import asyncio
import os
import secrets
import sys
import threading
import unicodedata
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from faxgw.keys.texts import read_typed, typed
from faxgw.keys.wraps import KeyPair, PublicKey

ARGON2ID = "argon2id"
HKDF_SHA256 = "hkdf-sha256"
SALT = 16
NONCE = 12
KEK = 32

MOST_MEMORY = 1024 * 1024
MOST_PASSES = 16
"""No slot of ours asks for more (KiB, passes); one that does would stop the machine."""

LANES = 1
# OpenSSL 4.0 runs lanes on one small pool of threads for the whole process: two derivations of four lanes at once fail
# ("not enough memory") or never end, on two cores. One lane needs none of them.


def _after_calls() -> None:
    """Let this thread wait for whatever else wants a core: a call's next frame is due, a sign-in is not."""
    if sys.platform == "linux":  # elsewhere, it would be the whole process that waits
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


_ARGON2 = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2", initializer=_after_calls)
# Two at once: each takes 64 MiB and 150 ms of a core.


class WrongSecret(Exception):
    """The secret does not open the slot."""

    def __init__(self) -> None:
        super().__init__("that secret does not open this key")


class Secret(Protocol):
    """What opens a slot of its kind."""

    kind: ClassVar[str]

    def new_parameters(self) -> dict[str, Any]:
        """Return what a new slot stores beside its blob: at least a salt, in hexadecimal digits."""

    async def kek(self, parameters: Mapping[str, Any]) -> bytes:
        """Return the key that encrypts the private key.

        Raises:
            ValueError, KeyError, TypeError: when no slot of this kind has such parameters.
        """


@dataclass(frozen=True, slots=True)
class Slot:
    """A private key under one secret.

    Attributes:
        kind: ``password``, ``recovery``, ``passkey``, ``api_key``, ``session``, ``set_up`` or ``link``.
        parameters: what the secret's derivation needs, as JSON.
        blob: nonce and AES-256-GCM-SIV ciphertext.
    """

    kind: str
    parameters: dict[str, Any]
    blob: bytes


async def make_slot(key_pair: KeyPair, secret: Secret) -> Slot:
    """Return the private key under ``secret``."""
    parameters = secret.new_parameters()
    nonce = os.urandom(NONCE)
    sealed = AESGCMSIV(await secret.kek(parameters)).encrypt(
        nonce, key_pair.octets, _bound_to(secret.kind, key_pair.public)
    )
    return Slot(secret.kind, parameters, nonce + sealed)


async def open_slot(slot: Slot, secret: Secret, *, public_key: PublicKey) -> KeyPair:
    """Return the private key of ``public_key``.

    Raises:
        WrongSecret: when the secret is not this slot's, or the slot not this key's, or it is damaged: no saying which.
    """
    try:
        cipher = AESGCMSIV(await secret.kek(slot.parameters))
        nonce, sealed = slot.blob[:NONCE], slot.blob[NONCE:]
        return KeyPair.from_octets(cipher.decrypt(nonce, sealed, _bound_to(slot.kind, public_key)))
    except (InvalidTag, ValueError, KeyError, TypeError):
        raise WrongSecret from None


@dataclass(frozen=True, slots=True)
class Password:
    """What a person chose: stretched by Argon2id, in a thread, two at once.

    Attributes:
        text: as typed; letters that look the same count as the same (NFKC).
        memory: KiB, for new slots.
        passes: over that memory, for new slots.
    """

    kind: ClassVar[str] = "password"
    text: str = field(repr=False)
    memory: int = 64 * 1024
    passes: int = 3

    def new_parameters(self) -> dict[str, Any]:
        """Return a new salt, and the cost."""
        return {
            "kdf": ARGON2ID,
            "salt": _salt(),
            "memory_kib": self.memory,
            "passes": self.passes,
            "lanes": LANES,
        }

    async def kek(self, parameters: Mapping[str, Any]) -> bytes:
        """Return the password, stretched."""
        salt = _salt_of(parameters, kdf=ARGON2ID)
        memory, passes = parameters["memory_kib"], parameters["passes"]
        if memory > MOST_MEMORY or passes > MOST_PASSES or parameters["lanes"] != LANES:
            raise ValueError("a slot that asks for too much")
        stretch = Argon2id(salt=salt, length=KEK, iterations=passes, lanes=LANES, memory_cost=memory)
        octets = unicodedata.normalize("NFKC", self.text).encode()
        return await asyncio.get_running_loop().run_in_executor(_ARGON2, stretch.derive, octets)


@dataclass(frozen=True, slots=True)
class _Generated:
    """A secret of 160 bits of chance or more; its server-side check is another derivation (``ServerKeys.mac``)."""

    kind: ClassVar[str]
    octets: bytes = field(repr=False)

    def new_parameters(self) -> dict[str, Any]:
        """Return a new salt."""
        return {"kdf": HKDF_SHA256, "salt": _salt()}

    async def kek(self, parameters: Mapping[str, Any]) -> bytes:
        """Return the key that this secret stands for; with so much chance, it needs no stretching."""
        return _derived(self.octets, parameters, kind=self.kind)


class ApiSecret(_Generated):
    """The secret part of an API key."""

    __slots__ = ()
    kind = "api_key"


class SessionSecret(_Generated):
    """The secret part of a session's token."""

    __slots__ = ()
    kind = "session"


class PasskeySecret(_Generated):
    """What an authenticator gives for a passkey (PRF extension): 32 octets, the same each time."""

    __slots__ = ()
    kind = "passkey"


class SetUpSecret(_Generated):
    """The secret part of the code by which somebody who was invited comes in."""

    __slots__ = ()
    kind = "set_up"


class LinkSecret(_Generated):
    """The secret part of a link to a fax."""

    __slots__ = ()
    kind = "link"


class RecoveryCode(_Generated):
    """160 bits to be written down: shown once, opens when the password is forgotten."""

    __slots__ = ()
    kind = "recovery"

    @classmethod
    def generate(cls) -> "RecoveryCode":
        """Return a new code."""
        return cls(secrets.token_bytes(20))

    @classmethod
    def parse(cls, text: str) -> "RecoveryCode":
        """Read a code as a person types it.

        Raises:
            ValueError: when it is no code, or mistyped.
        """
        return cls(read_typed(text))

    @property
    def text(self) -> str:
        """Seven groups of five letters and digits."""
        return typed(self.octets)


def _salt() -> str:
    return os.urandom(SALT).hex()


def _salt_of(parameters: Mapping[str, Any], *, kdf: str) -> bytes:
    if parameters["kdf"] != kdf:
        raise ValueError(f"a slot made with {parameters['kdf']}")
    return bytes.fromhex(parameters["salt"])


def _derived(secret: bytes, parameters: Mapping[str, Any], *, kind: str) -> bytes:
    salt = _salt_of(parameters, kdf=HKDF_SHA256)
    return HKDF(SHA256(), length=KEK, salt=salt, info=f"faxgw slot {kind} 1".encode()).derive(secret)


def _bound_to(kind: str, public_key: PublicKey) -> bytes:
    return f"faxgw slot {kind} 1".encode() + public_key.octets
