"""A check: the configured feed looked at, believed or not, and remembered over restarts."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from faxgw import __version__
from faxgw.advisories.feed import Feed, FeedRefused, read_feed, read_genuine
from faxgw.advisories.fetching import NotFetched, from_file, from_url, start_of
from faxgw.advisories.state import State
from faxgw.advisories.trust import believed
from faxgw.config import Config

log = structlog.get_logger(__name__)

MEMORY = "advisories.json"
"""Of the data directory: the highest serial and the feed that had it."""


async def checked(config: Config, *, now: datetime, version: str = __version__) -> State:
    """Look at the configured feed, and remember it; what was believed before counts on while it cannot be renewed."""
    settings = config.advisories
    source = settings.url or (str(settings.file) if settings.file else "")
    if not source:
        return State()
    keys = believed(settings.keys)
    memory = await asyncio.to_thread(_remembered, config.data_dir / MEMORY)
    seen = _seen(memory, keys)
    fault, feed = "", seen
    try:
        octets = await _fetched(config)
        feed = read_feed(octets, keys, now=now, seen=seen.serial if seen else 0)
    except (NotFetched, FeedRefused) as error:
        fault = str(error)
        log.warning("the feed of advisories is not believed", source=source, reason=fault)
    else:
        await asyncio.to_thread(_remember, config.data_dir / MEMORY, {"feed": octets.decode()})
    return _state(source, now, feed, version, fault)


def known(config: Config, *, now: datetime, version: str = __version__) -> State:
    """Return what can be known without any network, and write nothing: of a feed by address, what was fetched last."""
    settings = config.advisories
    source = settings.url or (str(settings.file) if settings.file else "")
    if not source:
        return State()
    keys = believed(settings.keys)
    memory = _remembered(config.data_dir / MEMORY)
    seen = _seen(memory, keys)
    fault, feed = "", seen
    try:
        octets = memory.get("feed", "").encode() if settings.url else start_of(Path(source))
        if not octets:
            raise NotFetched("The feed has not been fetched yet; the service does that when it starts.")
        feed = read_feed(octets, keys, now=now, seen=seen.serial if seen else 0)
    except (NotFetched, FeedRefused) as error:
        fault = str(error)
    return _state(source, now, feed, version, fault)


def _state(source: str, now: datetime, feed: Feed | None, version: str, fault: str) -> State:
    if feed is None:
        return State(source, now, fault=fault)
    return State(source, now, feed.serial, tuple(feed.about(version)), fault, feed.newer_than(version))


async def _fetched(config: Config) -> bytes:
    settings = config.advisories
    if settings.url:
        return await from_url(settings.url, allowed=config.webhooks.allow_private, trust=config.webhooks.trust)
    assert settings.file is not None
    return await from_file(settings.file)


def _seen(memory: Mapping[str, str], keys: Sequence[Any]) -> Feed | None:
    try:
        return read_genuine(memory["feed"].encode(), keys) if "feed" in memory else None
    except FeedRefused:
        return None  # of a key that is not believed any more


def _remembered(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warning("what was known of advisories cannot be read", path=path, reason=str(error))
        return {}
    return found if isinstance(found, dict) else {}


def _remember(path: Path, memory: Mapping[str, str]) -> None:
    new = path.with_suffix(".new")
    try:
        new.write_text(json.dumps(memory))
        new.replace(path)
    except OSError as error:
        log.warning("what is known of advisories cannot be kept", path=path, reason=error.strerror)
