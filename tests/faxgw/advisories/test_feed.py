"""Feeds of advisories: what is believed, and what is refused."""

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from faxgw.advisories.feed import FeedRefused, read_feed, sign_feed
from faxgw.advisories.trust import PROJECT_KEY, believed

KEY = Ed25519PrivateKey.generate()
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ADVISORY = {
    "id": "FAXGW-2026-001",
    "title": "A page may be shown to the wrong person",
    "severity": "high",
    "affected": [">=0.1,<0.1.4"],
    "fixed_in": "0.1.4",
    "url": "https://example.com/FAXGW-2026-001",
}


def payload(**changes: Any) -> bytes:
    said = {
        "format": 1,
        "serial": 7,
        "issued_at": "2026-11-20T00:00:00Z",
        "expires_at": "2026-12-20T00:00:00Z",
        "advisories": [ADVISORY],
    }
    return json.dumps(said | changes).encode()


def refused(octets: bytes, *, now: datetime = NOW, seen: int = 0) -> str:
    with pytest.raises(FeedRefused) as refusal:
        read_feed(octets, [KEY.public_key()], now=now, seen=seen)
    return refusal.value.kind


def test_a_signed_feed_is_read() -> None:
    feed = read_feed(sign_feed(payload(), KEY), [KEY.public_key()], now=NOW, seen=7)
    assert (feed.serial, feed.issued_at) == (7, datetime(2026, 11, 20, tzinfo=UTC))
    assert [each.id for each in feed.about("0.1.3")] == ["FAXGW-2026-001"]


@pytest.mark.parametrize(
    ("version", "affected"),
    [("0.1.0", True), ("0.1.3", True), ("0.1.4", False), ("0.0.9", False), ("0.1.2rc1", True), ("1.0", False)],
)
def test_an_advisory_is_about_the_versions_that_it_names(version: str, affected: bool) -> None:
    feed = read_feed(sign_feed(payload(), KEY), [KEY.public_key()], now=NOW)
    assert bool(feed.about(version)) is affected


def test_the_worst_comes_first() -> None:
    given = [ADVISORY | {"id": name, "severity": how} for name, how in (("a", "low"), ("b", "critical"), ("c", "high"))]
    feed = read_feed(sign_feed(payload(advisories=given), KEY), [KEY.public_key()], now=NOW)
    assert [each.id for each in feed.about("0.1.0")] == ["b", "c", "a"]


@pytest.mark.requirement("XM-23")
def test_a_forged_feed_is_refused() -> None:
    genuine = json.loads(sign_feed(payload(), KEY))
    altered = b64encode(b64decode(genuine["payload"]).replace(b"high", b"low ")).decode()
    assert refused(json.dumps(genuine | {"payload": altered}).encode()) == "forged"
    assert refused(json.dumps(genuine | {"payloadType": "text/plain"}).encode()) == "forged"
    assert refused(json.dumps(genuine | {"signatures": []}).encode()) == "forged"
    assert refused(sign_feed(payload(), Ed25519PrivateKey.generate())) == "forged"
    other = json.loads(sign_feed(payload(serial=8), Ed25519PrivateKey.generate()))
    named = {"keyid": genuine["signatures"][0]["keyid"], "sig": other["signatures"][0]["sig"]}
    assert refused(json.dumps(other | {"signatures": [named]}).encode()) == "forged"


@pytest.mark.requirement("XM-23")
def test_an_expired_a_future_and_an_older_feed_are_refused() -> None:
    feed = sign_feed(payload(), KEY)
    assert refused(feed, now=NOW + timedelta(days=28)) == "expired"
    assert refused(feed, now=NOW - timedelta(days=3)) == "future"
    assert refused(feed, seen=8) == "rolled_back"


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"payload": 1, "signatures": [], "payloadType": ""}',
        b" " * (1 << 20) + b"1",
    ],
)
def test_what_is_no_feed_is_refused(octets: bytes) -> None:
    assert refused(octets) == "malformed"


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"serial": 0},
        {"serial": True},
        {"issued_at": "2026-11-20T00:00:00"},
        {"advisories": [ADVISORY | {"affected": ["whatever"]}]},
        {"advisories": [ADVISORY | {"affected": []}]},
        {"advisories": [ADVISORY | {"severity": "awful"}]},
        {"advisories": [ADVISORY | {"title": "two\nlines"}]},
        {"advisories": [{"id": "x"}]},
    ],
)
def test_nobody_can_sign_a_feed_that_nobody_can_read(changes: dict[str, Any]) -> None:
    with pytest.raises(FeedRefused):
        sign_feed(payload(**changes), KEY)


def test_the_projects_key_is_believed_and_others_by_configuration() -> None:
    own = b64encode(KEY.public_key().public_bytes_raw()).decode()
    keys = [b64encode(each.public_bytes_raw()).decode() for each in believed([own])]
    assert keys == [PROJECT_KEY, own]
