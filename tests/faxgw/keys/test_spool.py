"""Spool keys: wraps open while their hour's key is there; what was deleted stays deleted once it is destroyed."""

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from faxgw.errors import RequestError
from faxgw.keys.sealing import new_dek
from faxgw.keys.spool import SpoolKeyGone, SpoolKeys, SpoolUnavailable, SpoolWrap
from faxgw.keys.wraps import WrapBroken

DEK = new_dek()
HOUR = 3600.0
START = 1_795_320_000.0
"""2026-11-22 04:00 UTC."""


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def spool(tmp_path: Path, clock: Clock) -> SpoolKeys:
    return SpoolKeys(tmp_path / "spool_keys", now=clock)


def test_a_wrap_opens_in_its_context_only(spool: SpoolKeys) -> None:
    wrap = spool.wrap(DEK, context=b"one")
    assert wrap.epoch == "20261122T04"
    assert spool.unwrap(wrap, context=b"one") == DEK
    for broken, context in (
        (wrap, b"other"),
        (replace(wrap, blob=wrap.blob[:-1]), b"one"),
        (replace(wrap, blob=b""), b"one"),
        (replace(wrap, epoch="../keys/check"), b"one"),
    ):
        with pytest.raises(WrapBroken):
            spool.unwrap(broken, context=context)


def test_every_hour_has_its_own_key(spool: SpoolKeys, clock: Clock) -> None:
    first = spool.wrap(DEK, context=b"")
    clock.time += HOUR - 1
    assert spool.wrap(DEK, context=b"").epoch == first.epoch
    clock.time += 1
    second = spool.wrap(DEK, context=b"")
    assert (first.epoch, second.epoch) == ("20261122T04", "20261122T05")
    assert spool.epochs() == [first.epoch, second.epoch]
    with pytest.raises(WrapBroken):
        spool.unwrap(replace(first, epoch=second.epoch), context=b"")


def test_live_wraps_move_on_and_deleted_ones_never_open_again(spool: SpoolKeys, clock: Clock, tmp_path: Path) -> None:
    live, deleted = spool.wrap(DEK, context=b"live"), spool.wrap(DEK, context=b"deleted")
    clock.time += 2 * HOUR
    assert spool.due() == [live.epoch]
    moved = spool.rewrap(live, context=b"live")
    spool.destroy(live.epoch)
    for keys in (spool, SpoolKeys(tmp_path / "spool_keys", now=clock)):
        assert keys.unwrap(moved, context=b"live") == DEK
        with pytest.raises(SpoolKeyGone):
            keys.unwrap(deleted, context=b"deleted")
    assert spool.epochs() == [moved.epoch]
    assert spool.due() == []
    spool.destroy(live.epoch)


def test_a_key_is_overwritten_before_its_file_is_removed(spool: SpoolKeys, clock: Clock, tmp_path: Path) -> None:
    epoch = spool.current()
    path = tmp_path / "spool_keys" / f"{epoch}.key"
    kept = tmp_path / "kept"
    kept.hardlink_to(path)
    key = kept.read_bytes()
    clock.time += 2 * HOUR
    spool.destroy(epoch)
    assert not path.exists()
    assert len(kept.read_bytes()) == len(key)
    assert kept.read_bytes() != key


def test_a_key_stays_while_a_transaction_of_its_hour_may_still_end(spool: SpoolKeys, clock: Clock) -> None:
    epoch = spool.current()
    clock.time += HOUR + 599
    assert spool.due() == []
    with pytest.raises(ValueError, match="not over"):
        spool.destroy(epoch)
    clock.time += 1
    assert spool.due() == [epoch]
    spool.destroy(epoch)


def test_a_node_finds_the_keys_that_another_made(spool: SpoolKeys, clock: Clock, tmp_path: Path) -> None:
    other = SpoolKeys(tmp_path / "spool_keys", now=clock)
    assert other.unwrap(spool.wrap(DEK, context=b""), context=b"") == DEK
    clock.time += HOUR
    assert other.unwrap(spool.wrap(DEK, context=b""), context=b"") == DEK


def test_a_node_forgets_the_keys_that_another_destroyed(spool: SpoolKeys, clock: Clock, tmp_path: Path) -> None:
    other = SpoolKeys(tmp_path / "spool_keys", now=clock)
    wrap = spool.wrap(DEK, context=b"")
    assert other.unwrap(wrap, context=b"") == DEK
    clock.time += 2 * HOUR
    spool.destroy(wrap.epoch)
    assert other.due() == []
    with pytest.raises(SpoolKeyGone):
        other.unwrap(wrap, context=b"")


def test_nodes_that_turn_the_hour_at_once_agree(tmp_path: Path, clock: Clock) -> None:
    nodes = [SpoolKeys(tmp_path / "spool_keys", now=clock) for _ in range(4)]
    for _ in range(40):
        clock.time += HOUR
        gate = threading.Barrier(4)
        wraps: list[SpoolWrap] = []

        def turn(node: SpoolKeys, gate: threading.Barrier, wraps: list[SpoolWrap]) -> None:
            gate.wait()
            wraps.append(node.wrap(DEK, context=b""))

        threads = [threading.Thread(target=turn, args=(node, gate, wraps)) for node in nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [node.unwrap(wrap, context=b"") for node in nodes for wrap in wraps] == [DEK] * 16


def test_another_folder_than_before_is_told_before_work_begins(spool: SpoolKeys, clock: Clock, tmp_path: Path) -> None:
    wraps = [spool.wrap(DEK, context=b"")]
    clock.time += HOUR
    wraps.append(spool.wrap(DEK, context=b""))
    spool.require(wrap.epoch for wrap in wraps)
    with pytest.raises(RequestError, match="lacks the keys of 2 hours, from 20261122T04 on") as told:
        SpoolKeys(tmp_path / "another", now=clock).require(wrap.epoch for wrap in wraps)
    assert told.value.code == "keys.spool_missing"


def test_a_folder_that_vanishes_is_not_made_anew(spool: SpoolKeys, clock: Clock, tmp_path: Path) -> None:
    wrap = spool.wrap(DEK, context=b"")
    stranger = SpoolKeys(tmp_path / "spool_keys", now=clock)
    shutil.rmtree(tmp_path / "spool_keys")
    assert spool.unwrap(wrap, context=b"") == DEK
    with pytest.raises(SpoolUnavailable):
        stranger.unwrap(wrap, context=b"")
    clock.time += HOUR
    for work in (spool.current, spool.epochs, spool.due):
        with pytest.raises(SpoolUnavailable):
            work()
    assert not (tmp_path / "spool_keys").exists()


def test_what_else_lies_in_the_folder_is_no_epoch(spool: SpoolKeys, tmp_path: Path) -> None:
    for name in ("lost+found", "20261122T03", "notes.key", ".20261122T03.key.0123"):
        (tmp_path / "spool_keys" / name).touch()
    assert spool.epochs() == []


def test_a_folder_that_others_may_enter_is_refused(spool: SpoolKeys, tmp_path: Path) -> None:
    (tmp_path / "spool_keys").chmod(0o755)
    with pytest.raises(RequestError, match="chmod 700"):
        SpoolKeys(tmp_path / "spool_keys")


@pytest.mark.parametrize("spoil", [lambda path: path.chmod(0o644), lambda path: path.write_bytes(b"")])
def test_a_key_that_is_open_to_others_or_damaged_is_not_used(
    spool: SpoolKeys, clock: Clock, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    wrap = spool.wrap(DEK, context=b"")
    spoil(tmp_path / "spool_keys" / f"{wrap.epoch}.key")
    stranger = SpoolKeys(tmp_path / "spool_keys", now=clock)
    with pytest.raises(SpoolUnavailable, match=r"chmod 600|damaged"):
        stranger.unwrap(wrap, context=b"")
    with pytest.raises(SpoolUnavailable, match=r"chmod 600|damaged"):
        stranger.current()


def test_a_wrap_takes_microseconds(spool: SpoolKeys) -> None:
    seconds = []
    for _ in range(50):
        began = time.perf_counter()
        spool.unwrap(spool.wrap(DEK, context=b"page"), context=b"page")
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 100e-6
