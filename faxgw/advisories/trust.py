"""Whose feeds are believed: the project's key, which comes with the program, and those of the configuration."""

from base64 import b64decode
from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PROJECT_KEY = "RV+x7ST9KJxaEfNWLHytDIsOduHCNiRYkF5AJRXfCTc="
"""Ed25519, base 64. The private half signs releases' advisories and lies offline, with whoever releases."""


def believed(further: Iterable[str]) -> list[Ed25519PublicKey]:
    """Return the keys: the project's and further ones, in base 64.

    Raises:
        ValueError: when one is no key.
    """
    return [public_key(each) for each in (PROJECT_KEY, *further)]


def public_key(text: str) -> Ed25519PublicKey:
    """Read a public key of 32 octets in base 64.

    Raises:
        ValueError: when it is none.
    """
    return Ed25519PublicKey.from_public_bytes(b64decode(text, validate=True))
