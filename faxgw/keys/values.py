"""Sealing single values of the database: numbers, station ids, names, labels.

The server reads them by itself, so whoever has its keys does too; the database alone tells nothing of them but how long
they are, whether there is anything, and, of those that are searched for, which are the same.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

UNLIKE, FINDABLE = b"\1", b"\2"
"""First octet of a sealed value: AES-256-GCM with a nonce of chance, by which no two are the same; or AES-256-SIV
(RFC 5297), whose first 16 octets are a MAC of the value, the blind index by which it is found."""

_NONCE = 12
_GCM_KEY, _SIV_KEY = 32, 64


class ValueBroken(Exception):
    """A value does not open: damaged, sealed by another server, or for another column."""

    def __init__(self, context: str) -> None:
        super().__init__(f"a value of {context} was not sealed by this server's keys, or for something else")


class ValueSeals:
    """Seals and opens values; about 1 µs each. ``context`` says what they are, and one does not open as another.

    Args:
        key: 32 octets of chance, of which the keys of both ciphers are derived.
    """

    __slots__ = ("_gcm", "_siv")

    def __init__(self, key: bytes) -> None:
        made = HKDF(SHA256(), _GCM_KEY + _SIV_KEY, salt=None, info=b"faxgw values 1").derive(key)
        self._gcm, self._siv = AESGCM(made[:_GCM_KEY]), AESSIV(made[_GCM_KEY:])

    def seal(self, value: bytes, *, context: str) -> bytes:
        """Return a value as it is stored, 29 octets longer; sealed twice, it is never the same."""
        nonce = os.urandom(_NONCE)
        return UNLIKE + nonce + self._gcm.encrypt(nonce, value, context.encode())

    def seal_findable(self, value: bytes, *, context: str) -> bytes:
        """Return a value as it is stored and looked up, 17 octets longer: the same for the same value and context.

        An empty one is stored as it is.
        """
        return FINDABLE + self._siv.encrypt(value, [context.encode()]) if value else b""

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """Return what was sealed with the same context, in either way.

        Raises:
            ValueBroken: for anything else.
        """
        kind = sealed[:1]
        try:
            if kind == FINDABLE:
                return self._siv.decrypt(sealed[1:], [context.encode()])
            if kind == UNLIKE:
                return self._gcm.decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], context.encode())
            if not sealed:
                return b""
        except (InvalidTag, ValueError):
            raise ValueBroken(context) from None
        raise ValueBroken(context)
