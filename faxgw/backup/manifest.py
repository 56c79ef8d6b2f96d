"""What is in a backup: counted and hashed as it goes by, signed by the server's key at its end."""

import hashlib
import json
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from faxgw.errors import RequestError
from faxgw.webhooks.signing import PUBLIC_KEY_PREFIX

FORMAT = "faxgw backup"
VERSION = 1
HEADER, MANIFEST, SIGNATURE = "header.json", "manifest.json", "signature.json"
TABLES, OBJECTS, FILES = "tables", "objects", "files"
_DOMAIN = b"faxgw backup manifest 1\n"


@dataclass(slots=True)
class Group:
    """One table, all objects or all files: how many entries, how many octets, and one hash of it all.

    The hash is over ``NAME SIZE SHA256`` and a line feed of each entry in order, so it needs no list of a million.
    """

    entries: int = 0
    octets: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def add(self, name: str, size: int, sha256: str) -> None:
        """Count an entry."""
        self.entries += 1
        self.octets += size
        self.digest.update(f"{name} {size} {sha256}\n".encode())

    def said(self) -> dict[str, Any]:
        """Return it as it stands in the manifest."""
        return {"entries": self.entries, "octets": self.octets, "sha256": self.digest.hexdigest()}


class Tally:
    """Counts and hashes every entry of a backup, when it is made and whenever it is read."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}

    def add(self, name: str, size: int, sha256: str) -> None:
        """Take note of an entry."""
        first, _, rest = name.partition("/")
        group = f"{TABLES}/{rest.partition('/')[0]}" if first == TABLES else first
        self._groups.setdefault(group, Group()).add(name, size, sha256)

    def said(self) -> dict[str, Any]:
        """Return all groups as they stand in the manifest."""
        return {name: group.said() for name, group in sorted(self._groups.items())}


def octets_of(said: dict[str, Any]) -> bytes:
    """Return JSON as it is signed."""
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


def signature(manifest: bytes, key: Ed25519PrivateKey) -> bytes:
    """Return the entry that follows the manifest."""
    return octets_of({"key": shown(key.public_key()), "signature": b64encode(key.sign(_DOMAIN + manifest)).decode()})


def verified(manifest: bytes, signed: bytes, tally: Tally, *, signer: Ed25519PublicKey | None) -> dict[str, Any]:
    """Return what a manifest says, once it is found to be signed and to say what the backup has.

    Args:
        manifest: the entry.
        signed: the entry after it.
        tally: of all entries before it.
        signer: whose signature it must be; None: whoever's it says.

    Raises:
        RequestError: ``backup.signature``, ``backup.damaged``.
    """
    key = _signed_by(manifest, signed)
    if signer is not None and key.public_bytes_raw() != signer.public_bytes_raw():
        raise RequestError("backup.signature", f"The backup was signed by {shown(key)}, not by the gateway named.")
    said: dict[str, Any] = json.loads(manifest)
    if said.get("format") != FORMAT or said.get("version") != VERSION:
        raise RequestError("backup.version", "The backup is of a form that this program does not know.")
    if said.get("groups") != tally.said():
        raise RequestError("backup.damaged", "The backup does not hold what its manifest says: use another copy.")
    return said


def _signed_by(manifest: bytes, signed: bytes) -> Ed25519PublicKey:
    try:
        said = json.loads(signed)
        key = read_key(said["key"])
        key.verify(b64decode(said["signature"]), _DOMAIN + manifest)
    except (InvalidSignature, ValueError, KeyError, TypeError, NotBase64, RequestError) as error:
        raise RequestError("backup.signature", "The signature of the backup is not valid: do not use it.") from error
    return key


def shown(key: Ed25519PublicKey) -> str:
    """Return a public key as people compare it; the same text as in ``/.well-known/webhook-keys.json``."""
    return PUBLIC_KEY_PREFIX + b64encode(key.public_bytes_raw()).decode()


def read_key(text: str) -> Ed25519PublicKey:
    """Read what ``shown`` gave.

    Raises:
        RequestError: ``backup.signer``.
    """
    try:
        return Ed25519PublicKey.from_public_bytes(b64decode(text.removeprefix(PUBLIC_KEY_PREFIX), validate=True))
    except ValueError as error:
        raise RequestError("backup.signer", f"{text[:80]!r} is no public key of a gateway.") from error
