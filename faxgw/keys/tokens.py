"""Generated credentials, and the server's own secrets: what checks API keys, signs webhooks, seals small secrets.

The check of an API key (an HMAC) and the key that its secret stands for (``slots.ApiSecret``) are two derivations,
so what the server stores to check a key opens nothing.
"""

import hashlib
import hmac
import os
import secrets
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from faxgw.errors import RequestError
from faxgw.keys.folders import made_once, open_folder
from faxgw.keys.texts import carried, carried_width, read_carried
from faxgw.keys.values import ValueSeals

SECRET_OCTETS = 20
FILES = ("check.key", "signing.key", "small.key", "audit.key")
"""The server's own secrets: for the check of generated secrets, for signatures, for small secrets that it must read,
and for the audit log."""

_CHECK_OCTETS = 4
_NONCE = 12
_SEALED_SMALL = 1
"""First octet of ``seal_small``: AES-256-GCM-SIV."""


class KeyMalformed(ValueError):
    """A text is no such credential, or has a typing error."""

    def __init__(self) -> None:
        super().__init__("this is no such key, or one that was not copied whole")


class SmallSealBroken(Exception):
    """A small secret does not open: damaged, of another server or of another context."""

    def __init__(self) -> None:
        super().__init__("this secret was not sealed by this server's keys, or for something else")


@dataclass(frozen=True, slots=True)
class Token:
    """A generated credential: ``PREFIX_<id>_<secret and check>``, in letters and digits.

    Attributes:
        id: names it, in the open.
        secret: 20 octets of chance; never stored by the server.
    """

    prefix: ClassVar[str]
    id: UUID
    secret: bytes = field(repr=False)

    @classmethod
    def generate(cls, key_id: UUID) -> Self:
        """Return a new one of that id."""
        return cls(key_id, secrets.token_bytes(SECRET_OCTETS))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one.

        Raises:
            KeyMalformed: before anything is looked up, for all that was never one.
        """
        prefix, _, rest = text.partition("_")
        key_id, _, tail = rest.partition("_")
        split = carried_width(SECRET_OCTETS)
        try:
            key = cls(UUID(bytes=read_carried(key_id, length=16)), read_carried(tail[:split], length=SECRET_OCTETS))
        except ValueError:
            raise KeyMalformed from None
        if prefix != cls.prefix or tail[split:] != key._check:
            raise KeyMalformed
        return key

    @property
    def text(self) -> str:
        """The credential as its holder sends it; its form lets programs that look for leaked secrets find it."""
        return f"{self.prefix}_{carried(self.id.bytes)}_{carried(self.secret)}{self._check}"

    @property
    def _check(self) -> str:
        return carried(zlib.crc32(self.id.bytes + self.secret).to_bytes(_CHECK_OCTETS))


class ApiKey(Token):
    """A credential of a program: ``fgw_...``."""

    __slots__ = ()
    prefix = "fgw"


class SessionToken(Token):
    """A credential of somebody who has signed in: ``fgs_...``."""

    __slots__ = ()
    prefix = "fgs"


class SetUpCode(Token):
    """By which somebody comes in who was invited, or whose password was reset: ``fgi_...``, once."""

    __slots__ = ()
    prefix = "fgi"


class LinkToken(Token):
    """By which one fax is opened without signing in: ``fgl_...``, the last part of a link."""

    __slots__ = ()
    prefix = "fgl"


def mac(server_key: bytes, secret: bytes) -> bytes:
    """Return what the server stores to check ``secret`` later: HMAC-SHA256, 32 octets."""
    return hmac.digest(server_key, b"faxgw check 1" + secret, hashlib.sha256)


def same(one: bytes, other: bytes) -> bool:
    """Compare secrets in a time that tells nothing of them."""
    return hmac.compare_digest(one, other)


class ServerKeys:
    """The server's own secrets, in files of their own; made when first opened, the same for all who open the folder.

    Raises:
        RequestError: ``keys.folder``, ``keys.permissions`` or ``keys.damaged``, with what to do.
    """

    def __init__(self, folder: Path) -> None:
        open_folder(folder)
        try:
            self._mac_key, self._signing_key, self._small_key, self._audit_key = (
                made_once(folder / name) for name in FILES
            )
        except OSError as error:
            raise RequestError("keys.folder", f"the keys in {folder} cannot be used: {error.strerror}") from error

    def mac(self, secret: bytes) -> bytes:
        """Return what is stored of a generated secret (of an API key, a session, a device)."""
        return mac(self._mac_key, secret)

    def matches(self, secret: bytes, stored: bytes) -> bool:
        """Tell whether ``stored`` is of ``secret``."""
        return same(self.mac(secret), stored)

    @cached_property
    def signing(self) -> Ed25519PrivateKey:
        """The key that signs webhooks; its public half is published."""
        return Ed25519PrivateKey.from_private_bytes(self._signing_key)

    @cached_property
    def audit_signing(self) -> Ed25519PrivateKey:
        """The key that signs the audit log; its public half is published."""
        return Ed25519PrivateKey.from_private_bytes(hmac.digest(self._audit_key, b"faxgw audit signing 1", "sha256"))

    def audit_subject(self, subject: bytes) -> bytes:
        """Return what a person of the audit log is looked up by; nobody without this key can try names."""
        return hmac.digest(self._audit_key, b"faxgw audit subject 1" + subject, hashlib.sha256)

    @cached_property
    def values(self) -> ValueSeals:
        """What seals personal values of the database, such as telephone numbers."""
        return ValueSeals(self._small_key)

    def seal_small(self, octets: bytes, *, context: bytes) -> bytes:
        """Return a small secret (of a webhook, of a trunk) as it is stored.

        The server reads it by itself, so whoever has this folder does too.
        """
        nonce = os.urandom(_NONCE)
        return bytes([_SEALED_SMALL]) + nonce + AESGCMSIV(self._small_key).encrypt(nonce, octets, context)

    def open_small(self, blob: bytes, *, context: bytes) -> bytes:
        """Return what ``seal_small`` was given with the same context.

        Raises:
            SmallSealBroken: for any other blob or context.
        """
        if not blob or blob[0] != _SEALED_SMALL:
            raise SmallSealBroken
        nonce, sealed = blob[1 : 1 + _NONCE], blob[1 + _NONCE :]
        try:
            return AESGCMSIV(self._small_key).decrypt(nonce, sealed, context)
        except (InvalidTag, ValueError):
            raise SmallSealBroken from None
