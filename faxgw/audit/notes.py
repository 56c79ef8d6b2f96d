"""Signed notes and checkpoints, as c2sp.org/signed-note and c2sp.org/tlog-checkpoint have them; Ed25519 only.

A checkpoint says in three lines what was in a log: its origin, how many rows, and the root over them. Other programs
for transparency logs read it as it is.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from faxgw.audit.merkle import HASH_OCTETS

ORIGIN = "faxgw.audit/"
"""What the name of every log begins with; then comes the id of the tenant."""

_ED25519 = b"\1"
_ID_OCTETS = 4
_NAME = re.compile(r"[^\s+]+")
_SIGNATURE = re.compile(r"— (\S+) (\S+)\n")
_SIGNATURES = re.compile(rf"(?:{_SIGNATURE.pattern})+")


class NoteRefused(ValueError):
    """A text is no signed note, no checkpoint or no key, or its signature is not by that key."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key with the name under which it signs: ``name+id+key``.

    Attributes:
        name: no space and no plus sign in it; the origin of the log.
        public: 32 octets, Ed25519.
    """

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """The four octets by which a signature names the key."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_ID_OCTETS]

    @property
    def text(self) -> str:
        """The key as it is given to others."""
        return f"{self.name}+{self.id.hex()}+{encoded(_ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "Verifier":
        """Read what ``text`` gives.

        Raises:
            NoteRefused: if it is damaged, or a key of another kind.
        """
        name, _, rest = text.partition("+")
        key_id, _, key = rest.partition("+")
        octets = decoded(key)
        if octets[:1] != _ED25519 or len(octets) != 1 + HASH_OCTETS or not _NAME.fullmatch(name):
            raise NoteRefused("this is no public key of an audit log")
        found = cls(name, octets[1:])
        if found.id.hex() != key_id:
            raise NoteRefused("this public key has a typing error")
        return found

    def opened(self, note: str) -> str:
        """Return the text of a note that this key has signed.

        Raises:
            NoteRefused: if it has not, or the note is not spelled as notes are.
        """
        text, signatures = _parted(note)
        for name, octets in signatures:
            if name == self.name and octets[:_ID_OCTETS] == self.id:
                try:
                    Ed25519PublicKey.from_public_bytes(self.public).verify(octets[_ID_OCTETS:], text.encode())
                except InvalidSignature:
                    raise NoteRefused(f"the signature by {name} is wrong") from None
                return text
        raise NoteRefused(f"there is no signature by {self.name}+{self.id.hex()}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log had in it at some moment.

    Attributes:
        origin: which log.
        size: how many rows.
        root: the root of the tree over them.
    """

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{encoded(self.root)}\n"

    def signed(self, key: Ed25519PrivateKey) -> str:
        """Return the signed note."""
        verifier = Verifier(self.origin, key.public_key().public_bytes_raw())
        signature = verifier.id + key.sign(self.text.encode())
        return f"{self.text}\n— {verifier.name} {encoded(signature)}\n"

    @classmethod
    def opened(cls, note: str, verifier: Verifier) -> "Checkpoint":
        """Read a checkpoint that a key has signed under the name of the log.

        Raises:
            NoteRefused: if it is none.
        """
        lines = verifier.opened(note).split("\n")
        if len(lines) != 4 or not re.fullmatch(r"0|[1-9]\d{0,15}", lines[1], re.ASCII):
            raise NoteRefused("the note is no checkpoint")
        found = cls(lines[0], int(lines[1]), decoded(lines[2]))
        if len(found.root) != HASH_OCTETS or found.origin != verifier.name:
            raise NoteRefused("the note is no checkpoint of this log")
        return found


def origin_of(tenant_id: UUID) -> str:
    """Return the name of a tenant's log."""
    return f"{ORIGIN}{tenant_id}"


def tenant_of(origin: str) -> str:
    """Return the id of the tenant whose log it is."""
    return origin.removeprefix(ORIGIN)


def encoded(octets: bytes) -> str:
    """Return octets as base64."""
    return base64.b64encode(octets).decode()


def decoded(text: str) -> bytes:
    """Return the octets of base64.

    Raises:
        NoteRefused: if it is none, or not spelled as ``encoded`` spells it.
    """
    try:
        octets = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteRefused("there is something else where base64 should be") from None
    if encoded(octets) != text:
        raise NoteRefused("the base64 is not spelled as it should be")
    return octets


def _parted(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Return the text of a note, and who has signed it with what; of a note that is spelled in the one way there is."""
    text, _, tail = note.rpartition("\n\n")
    if not text or not _SIGNATURES.fullmatch(tail):
        raise NoteRefused("this is no signed note")
    return text + "\n", [(name, decoded(octets)) for name, octets in _SIGNATURE.findall(tail)]
