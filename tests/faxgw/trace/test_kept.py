"""Recordings of the past stay readable: each is told in words, drawn, written for Wireshark, and replayed.

Those in ``kept/`` were made with the first engine, before it said so in the header (and ``version-1`` before traces had
anything of the network). Those of the engines after it are in folders of their own, which ``keeping`` makes.
"""

import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from faxgw import cli
from faxgw.errors import RequestError
from faxgw.replay import replay
from faxgw.trace.ladder import ladder
from faxgw.trace.listing import listing
from faxgw.trace.reading import read
from faxgw.trace.record import VERSION, Recorder
from t30 import ENGINE
from t30.capabilities import Station
from t30.outcome import Direction
from tests.faxgw.trace.keeping import KEPT

FIRST = sorted(KEPT.glob("*.jsonl"))
LATER = sorted(KEPT.glob("engine-*/*.jsonl"))
CUT_OFF = {"cut-off-in", "cut-off-out"}
ENDS = {
    "cancelled": {"call.canceled", "fax.disconnected"},
    "dropped": {"line.dropped"},
    "given-up": {"fax.page_refused", "fax.disconnected"},
    "unreachable": {"call.rejected"},
}
"""Why a call ended early, by the beginning of its name; the others came through."""

each_kept = pytest.mark.parametrize("path", [*FIRST, *LATER], ids=lambda path: f"{path.parent.stem}-{path.stem}")

KINDS = {
    "cancelled", "class1", "class1-plain", "corrected", "cut-off", "damaged", "dropped", "given-up", "refused",
    "sip", "sip-loss", "udptl", "unreachable",
}  # fmt: skip


def test_there_is_one_of_each_kind_and_engine() -> None:
    assert kinds(FIRST) == KINDS | {"version-1"}
    for engine in range(2, ENGINE + 1):
        of_engine = [path for path in LATER if path.parent.name == f"engine-{engine}"]
        assert kinds(of_engine) == KINDS | {"demo", "not-ready", "polled"}
        assert {read(path).header.engine for path in of_engine} == {engine}


def kinds(paths: list[Path]) -> set[str]:
    return {re.sub(r"-(in|out)$", "", path.stem) for path in paths}


@each_kept
def test_kept_recording_is_told_and_drawn(path: Path) -> None:
    trace = read(path)
    told = "\n".join(line.plain for line in listing(trace))
    drawn = "".join(ElementTree.fromstring(ladder(trace)).itertext())
    if path.stem in CUT_OFF:
        assert trace.outcome is None
        assert "recording" in told.lower()
        return
    assert trace.outcome is not None
    codes = next((codes for name, codes in ENDS.items() if path.stem.startswith(name)), {""})
    assert trace.outcome.reason.code in codes
    assert trace.outcome.reason.text in told
    for frame in ("DIS", "DCS", "CFR", "confirmed"):
        if trace.outcome.complete:
            assert frame in told
            assert frame in drawn


@each_kept
def test_kept_recording_is_replayed_or_says_by_which_engine_it_was_made(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another engine may have done something else: then replay says so, and says which engine it was."""
    trace = read(path)
    difference = replay(trace)
    if trace.header.engine == ENGINE:
        assert difference is None, f"{path} is done otherwise now: {NEW_ENGINE}: {difference}"
        return
    assert run(monkeypatch, "replay", path) == (0 if difference is None else 1)
    said = capsys.readouterr().out
    assert trace.header.writer in said
    if difference is not None:
        assert f"this engine ({ENGINE}) does something else" in said


NEW_ENGINE = (
    "if this engine was released, raise t30.ENGINE; then, or if it was not, run python -m tests.faxgw.trace.keeping"
)


def test_damage_in_a_kept_recording_is_told() -> None:
    told = "\n".join(line.plain for line in listing(read(KEPT / "damaged-in.jsonl")))
    assert "FTT: training failed" in told
    asked = "\n".join(line.plain for line in listing(read(KEPT / "corrected-out.jsonl")))
    assert asked.count("PPR: ") == 4
    assert "CTC: " in asked
    assert "V.17 12000" in asked


# --------------------------------------------------------------------------------------------------- newer and older


def edited(path: Path, *more: str, **header: object) -> Path:
    """Write a recording whose header says something else, with these lines after it."""
    with Recorder(path, direction=Direction.OUT, line="sim:1", station=Station()):
        pass
    line = json.loads(path.read_text())
    path.write_text("\n".join([json.dumps(line | header), *more]) + "\n")
    return path


def test_newer_format_is_refused_with_who_wrote_it(tmp_path: Path) -> None:
    path = edited(tmp_path / "call.jsonl", trace=VERSION + 1, product="faxgw 9.1")
    with pytest.raises(RequestError, match=rf"version {VERSION + 1} of the format, by faxgw 9.1; .* up to version"):
        read(path)


def test_what_a_newer_engine_adds_is_left_out_of_the_telling_and_no_replay_pretends_to_know_it(tmp_path: Path) -> None:
    line = '{"at": 0.0, "action": "Dial", "number": "1", "voice": {"pitch": 3}}'
    path = edited(tmp_path / "call.jsonl", line, engine=ENGINE + 1, product="faxgw 9.1", mood="good")
    trace = read(path)
    assert trace.unknown == ("Dial.voice", "Header.mood")
    assert any("Dial.voice" in line.plain for line in listing(trace))
    with pytest.raises(
        RequestError, match=rf"faxgw 9.1 \(engine {ENGINE + 1}\) wrote it, and what it says of Dial.voice"
    ):
        replay(trace)


def test_what_a_newer_engine_does_that_cannot_be_read_is_said_to_be_its(tmp_path: Path) -> None:
    path = edited(tmp_path / "call.jsonl", '{"at": 0.0, "action": "Whistle"}', engine=ENGINE + 1, product="faxgw 9.1")
    with pytest.raises(
        RequestError, match=rf"line 2, which faxgw 9.1 \(engine {ENGINE + 1}\) wrote: .* that faxgw .* knows"
    ):
        read(path)


def test_what_an_older_engine_did_not_write_is_not_compared(tmp_path: Path) -> None:
    lines = (KEPT / "class1-out.jsonl").read_text().splitlines()
    fetched = next(place for place, line in enumerate(lines) if '"FetchPage"' in line)
    action = json.loads(lines[fetched])
    assert action.pop("receiver")
    lines[fetched] = json.dumps(action)
    path = tmp_path / "call.jsonl"
    path.write_text("\n".join(lines) + "\n")
    assert replay(read(path)) == replay(read(KEPT / "class1-out.jsonl"))
    lines[fetched] = json.dumps(action | {"receiver": "somebody else"})
    path.write_text("\n".join(lines) + "\n")
    difference = replay(read(path))
    assert difference is not None and difference.line == fetched + 1


def test_what_is_good_enough_is_read_from_where_the_first_engine_had_it(tmp_path: Path) -> None:
    lines = (KEPT / "damaged-in.jsonl").read_text().splitlines()
    header = json.loads(lines[0])
    header["station"]["quality"]["confirm"] = 0.01
    path = tmp_path / "call.jsonl"
    path.write_text("\n".join([json.dumps(header), *lines[1:]]) + "\n")
    assert read(path).header.station.policy.quality.confirm == 0.01


def test_recording_without_a_call_cannot_be_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = edited(tmp_path / "call.jsonl")
    assert run(monkeypatch, "replay", path) == 2
    assert "ends before the call began: there is nothing to replay" in capsys.readouterr().err


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run the command line in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["faxgw", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)
