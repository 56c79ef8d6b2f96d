"""A signed feed of advisories: who signed it, how old it may be, which versions each advisory is about.

The envelope is DSSE: the signature is over exactly the octets that are read. docs/advisories.md is the published form.
"""

import json
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

PAYLOAD_TYPE = "application/vnd.faxgw.advisories+json"
FORMAT = 1
LONGEST = 1 << 20
"""Octets that a feed may have."""
SEVERITIES = ("low", "medium", "high", "critical")


class FeedRefused(Exception):
    """A feed that must not be believed; the text is one sentence that says why.

    Attributes:
        kind: ``malformed``, ``forged``, ``expired``, ``future`` or ``rolled_back``.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Advisory:
    """Something that is wrong with some versions.

    Attributes:
        affected: which versions, such as ``>=0.1,<0.1.4`` (PEP 440); any of them.
        fixed_in: the first version without it; empty while there is none.
    """

    id: str
    title: str
    severity: str
    affected: tuple[str, ...]
    fixed_in: str
    url: str

    def is_about(self, version: str) -> bool:
        """Tell whether a version is affected."""
        return any(SpecifierSet(each).contains(Version(version), prereleases=True) for each in self.affected)

    def as_json(self) -> dict[str, Any]:
        """Return it as the API and the command show it."""
        names = ("id", "title", "severity", "fixed_in", "url")
        return {**{name: getattr(self, name) for name in names}, "affected": list(self.affected)}


@dataclass(frozen=True, slots=True)
class Release:
    """A version that can be had; ``url`` says what is new in it."""

    version: str
    url: str


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed that was found genuine.

    Attributes:
        serial: grows with every issue; a lower one than was seen before is an old feed played again.
    """

    serial: int
    issued_at: datetime
    expires_at: datetime
    advisories: tuple[Advisory, ...]
    releases: tuple[Release, ...] = ()

    def newer_than(self, version: str) -> Release | None:
        """Return the newest release, if it is newer; of those for tests, none is, unless the version itself is one."""
        own = Version(version)
        found = [each for each in self.releases if own.is_prerelease or not Version(each.version).is_prerelease]
        newest = max(found, key=lambda each: Version(each.version), default=None)
        return newest if newest and Version(newest.version) > own else None

    def about(self, version: str) -> list[Advisory]:
        """Return the advisories about a version, the worst first."""
        found = [each for each in self.advisories if each.is_about(version)]
        return sorted(found, key=lambda each: (-SEVERITIES.index(each.severity), each.id))


def read_feed(octets: bytes, keys: Iterable[Ed25519PublicKey], *, now: datetime, seen: int = 0) -> Feed:
    """Read a feed.

    Args:
        octets: the file.
        keys: those whose signature is believed.
        now: the time.
        seen: the highest serial so far.

    Raises:
        FeedRefused: when it is not to be believed.
    """
    feed = read_genuine(octets, keys)
    if feed.serial < seen:
        raise FeedRefused(
            "rolled_back", f"The feed has the serial {feed.serial}, but {seen} was there before: it is old."
        )
    if feed.issued_at > now:
        raise FeedRefused("future", f"The feed is of {feed.issued_at:%Y-%m-%d %H:%M}Z, which is still to come.")
    if feed.expires_at <= now:
        reason = f"The feed was good until {feed.expires_at:%Y-%m-%d %H:%M}Z and has not been renewed."
        raise FeedRefused("expired", reason)
    return feed


def read_genuine(octets: bytes, keys: Iterable[Ed25519PublicKey]) -> Feed:
    """Read a feed whose signature is good, whatever its time and serial; otherwise as ``read_feed``."""
    if len(octets) > LONGEST:
        raise FeedRefused("malformed", f"The feed has more than {LONGEST} octets.")
    try:
        envelope = json.loads(octets)
        payload = b64decode(envelope["payload"], validate=True)
        signed = [(str(each["keyid"]), b64decode(each["sig"], validate=True)) for each in envelope["signatures"]]
        kind = envelope["payloadType"]
    except (ValueError, KeyError, TypeError, NotBase64, RecursionError) as error:
        raise FeedRefused("malformed", "The feed is no envelope of the form that is known.") from error
    if kind != PAYLOAD_TYPE or not _is_signed(payload, signed, keys):
        raise FeedRefused("forged", "The feed is not signed by a key that is believed.")
    try:
        return _feed(json.loads(payload))
    except (ValueError, KeyError, TypeError, InvalidSpecifier, InvalidVersion) as error:
        raise FeedRefused("malformed", f"The feed is signed, but not of the form that is known: {error}.") from error


def sign_feed(payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """Return a feed.

    Raises:
        FeedRefused: ``malformed``, when nobody could read it.
    """
    signature = b64encode(key.sign(_signed_octets(payload))).decode()
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": b64encode(payload).decode(),
        "signatures": [{"keyid": key_id(key.public_key()), "sig": signature}],
    }
    octets = json.dumps(envelope, indent=1).encode() + b"\n"
    read_genuine(octets, [key.public_key()])
    return octets


def key_id(key: Ed25519PublicKey) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a public key."""
    return sha256(key.public_bytes_raw()).hexdigest()[:16]


def _is_signed(payload: bytes, signed: Sequence[tuple[str, bytes]], keys: Iterable[Ed25519PublicKey]) -> bool:
    by_id = {key_id(key): key for key in keys}
    for name, signature in signed:
        if name in by_id:
            try:
                by_id[name].verify(signature, _signed_octets(payload))
            except InvalidSignature:
                continue
            return True
    return False


def _signed_octets(payload: bytes) -> bytes:
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _feed(said: dict[str, Any]) -> Feed:
    if said["format"] != FORMAT:
        raise ValueError("another format")
    issued_at, expires_at = (_time(said[name]) for name in ("issued_at", "expires_at"))
    serial = said["serial"]
    if type(serial) is not int or serial < 1:
        raise ValueError("serial is no whole number from 1 on")
    advisories = tuple(_advisory(each) for each in said["advisories"])
    return Feed(serial, issued_at, expires_at, advisories, tuple(_release(each) for each in said.get("releases", ())))


def _release(said: dict[str, Any]) -> Release:
    texts = [str(Version(said["version"])), said.get("url", "")]
    if not all(isinstance(each, str) and len(each) <= 500 and each.isprintable() for each in texts):
        raise ValueError("a text of a release is none")
    return Release(*texts)


def _advisory(said: dict[str, Any]) -> Advisory:
    affected = tuple(str(SpecifierSet(each)) for each in said["affected"])
    texts = [said["id"], said["title"], said["severity"], said.get("fixed_in", ""), said.get("url", "")]
    if not all(isinstance(each, str) and len(each) <= 500 and each.isprintable() for each in texts):
        raise ValueError("a text of an advisory is none")
    if not affected or not texts[0] or texts[2] not in SEVERITIES:
        raise ValueError("an advisory lacks an id, a severity or versions")
    return Advisory(texts[0], texts[1], texts[2], affected, texts[3], texts[4])


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time has no zone")
    return at.astimezone(UTC)
