"""Public keys as others read them: Ed25519 in JSON Web Keys (RFC 8037)."""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator

PUBLIC_OCTETS = 32


def jwk(raw: bytes) -> dict[str, str]:
    """Return the 32 octets of an Ed25519 public key as a JSON Web Key; ``kid`` is its thumbprint."""
    x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    # The thumbprint of RFC 7638: its members in this order, without spaces.
    thumbprint = hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest()
    kid = base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": kid, "x": x}


def read_jwks(text: str) -> list[bytes]:
    """Return the Ed25519 public keys of a JWK set; keys of other kinds are passed over.

    Raises:
        ValueError: if it is no JWK set.
    """
    try:
        return list(_read(json.loads(text)["keys"]))
    except (KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise ValueError("this is no JWK set") from error


def _read(keys: list[dict[str, str]]) -> Iterator[bytes]:
    for key in keys:
        if (key["kty"], key.get("crv")) == ("OKP", "Ed25519"):
            raw = base64.urlsafe_b64decode(key["x"] + "=")
            if len(raw) != PUBLIC_OCTETS:
                raise ValueError("a key of the set has not 32 octets")
            yield raw
