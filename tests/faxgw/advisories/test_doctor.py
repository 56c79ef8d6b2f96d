"""``faxgw doctor`` tells of known faults, asks nobody for them and writes nothing."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from faxgw.advisories.board import MEMORY, checked
from faxgw.advisories.feed import sign_feed
from faxgw.config import Config
from faxgw.config.model import AdvisorySettings
from faxgw.doctor import Finding, Level, Machine, examined
from faxgw.doctor.advisories import AREA, version
from tests.faxgw.advisories.test_feed import ADVISORY, KEY, payload

KEYS = (b64encode(KEY.public_key().public_bytes_raw()).decode(),)
NOW = datetime.now(UTC)


def feed(**changes: object) -> bytes:
    times = {"issued_at": (NOW - timedelta(days=1)).isoformat(), "expires_at": (NOW + timedelta(days=1)).isoformat()}
    return sign_feed(payload(**(times | changes)), KEY)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "data").mkdir()
    settings = AdvisorySettings(file=tmp_path / "feed.json", keys=KEYS)
    return Config(data_dir=tmp_path / "data", lines=(), advisories=settings)


def told(config: Config) -> list[tuple[Level, str]]:
    return [(each.level, str(each)) for each in version(config, Machine())]


@pytest.mark.requirement("XM-23")
def test_a_known_fault_is_bad_and_says_what_to_install(config: Config, tmp_path: Path) -> None:
    every = {**ADVISORY, "affected": [">=0"], "fixed_in": "99.1"}
    (tmp_path / "feed.json").write_bytes(feed(advisories=[every]))
    ((level, text),) = told(config)
    assert level is Level.BAD
    assert str(ADVISORY["id"]) in text
    assert "Install 99.1 or newer" in text
    found: list[Finding] = [each for each in examined(config) if each.area == AREA]
    assert [each.level for each in found] == [Level.BAD]
    assert list((tmp_path / "data").iterdir()) == []


def test_no_feed_and_no_fault_are_well_and_a_feed_that_is_not_believed_is_not(config: Config, tmp_path: Path) -> None:
    ((level, text),) = told(Config(data_dir=tmp_path / "data", lines=()))
    assert (level, "not looked for" in text) == (Level.OK, True)
    assert told(config)[0][0] is Level.ADVICE  # there is no such file
    (tmp_path / "feed.json").write_bytes(feed(advisories=[]))
    assert told(config)[0][0] is Level.OK
    (tmp_path / "feed.json").write_bytes(feed(advisories=[], expires_at=(NOW - timedelta(hours=1)).isoformat()))
    ((level, text),) = told(config)
    assert (level, "has not been renewed" in text) == (Level.ADVICE, True)


async def test_of_a_feed_with_an_address_what_the_service_fetched_last_counts(config: Config, tmp_path: Path) -> None:
    away = AdvisorySettings(url="https://127.0.0.1:9/feed.json", keys=KEYS)
    by_address = config.model_copy(update={"advisories": away})
    assert "not been fetched yet" in told(by_address)[0][1]
    (tmp_path / "feed.json").write_bytes(feed(advisories=[{**ADVISORY, "affected": [">=0"]}]))
    await checked(config, now=NOW)
    assert (tmp_path / "data" / MEMORY).exists()
    assert told(by_address)[0][0] is Level.BAD
