"""Signatures of the Standard Webhooks form: by a shared secret (v1), or by the server's own key (v1a)."""

import base64
import hashlib
import hmac
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from faxgw.keys.jwk import jwk

SECRET_OCTETS = 32
SECRET_PREFIX = "whsec_"
PUBLIC_KEY_PREFIX = "whpk_"

Signer = Callable[[bytes], str]
"""Signs content; returns what stands in the header, ``v1,...``."""


def new_secret() -> bytes:
    """Return a new secret of a webhook."""
    return os.urandom(SECRET_OCTETS)


def shown(secret: bytes) -> str:
    """Return a secret as its receiver gets it, once."""
    return SECRET_PREFIX + _base64(secret)


def by_secret(secret: bytes) -> Signer:
    """Return the signer of form v1: HMAC-SHA256."""
    return lambda content: "v1," + _base64(hmac.digest(secret, content, hashlib.sha256))


def by_key(key: Ed25519PrivateKey) -> Signer:
    """Return the signer of form v1a: Ed25519, which receivers check without a secret."""
    return lambda content: "v1a," + _base64(key.sign(content))


def headers(message: str, body: bytes, *, at: datetime, signers: Iterable[Signer]) -> Mapping[str, str]:
    """Return the three headers of a message.

    Args:
        message: its id, the same for every try, so that receivers see what they have had already; no dot in it.
        body: as it is sent.
        at: when it is sent; receivers refuse what is more than some minutes old.
        signers: all of those whose signature a receiver may look for; any of them convinces it.
    """
    timestamp = str(int(at.timestamp()))
    content = b".".join((message.encode(), timestamp.encode(), body))
    signatures = " ".join(sign(content) for sign in signers)
    return {"webhook-id": message, "webhook-timestamp": timestamp, "webhook-signature": signatures}


def public_keys(*keys: Ed25519PublicKey) -> dict[str, Any]:
    """Return what receivers of v1a need to know: a JWK set (RFC 8037), each key in the form ``whpk_...``, too."""
    raw = [key.public_bytes_raw() for key in keys]
    return {"keys": [{**jwk(each), "whpk": PUBLIC_KEY_PREFIX + _base64(each)} for each in raw]}


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
