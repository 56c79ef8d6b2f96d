"""``faxgw trace`` and ``faxgw replay`` as a user meets them."""

import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import typer
from typer.testing import CliRunner

from faxgw import cli
from faxgw.cli.replay import app as replay

RecordCalls = Callable[..., tuple[Path, Path]]
Run = Callable[..., int]


@pytest.fixture
def faxgw(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the command line in this process and returns its exit code."""

    def run(*arguments: str | Path) -> int:
        monkeypatch.setattr(sys, "argv", ["faxgw", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0)

    return run


def test_trace_prints_the_call_in_words(faxgw: Run, small_call: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert faxgw("trace", small_call) == 0
    printed = capsys.readouterr().out
    assert "MCF: page confirmed" in printed
    assert "DCS: what the sender chose: V.29 9600, A4 wide, fine, MH, no error correction\n" in printed


def test_trace_draws_a_ladder_and_prints_nothing_more(
    faxgw: Run, small_call: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawing = tmp_path / "call.svg"
    assert faxgw("trace", small_call, "--ladder", drawing) == 0
    assert ElementTree.parse(drawing).getroot().tag.endswith("svg")
    assert capsys.readouterr().out == ""
    assert faxgw("trace", small_call, "--ladder", drawing, "--text") == 0
    assert "MCF" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, b"", b"hello\n", b"\xff\xfe\n", b'{"trace": 9}\n'])
def test_bad_file_is_one_sentence_and_exit_code_2(
    faxgw: Run, tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "call.jsonl"
    if content is not None:
        path.write_bytes(content)
    assert faxgw("trace", path) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("faxgw: ")
    assert said.err.count("\n") == 1


def test_ladder_that_cannot_be_written_is_exit_code_2(
    faxgw: Run, small_call: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert faxgw("trace", small_call, "--ladder", tmp_path / "none" / "call.svg") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_replay_of_a_recorded_call_ends_well(record_calls: RecordCalls) -> None:
    for path in record_calls([bytes(5000)]):
        done = CliRunner().invoke(as_group(), ["replay", str(path)])
        assert done.exit_code == 0, done.output
        assert "the engine did the same" in done.output


def test_replay_of_a_changed_call_says_where_and_ends_with_1(record_calls: RecordCalls) -> None:
    out, _ = record_calls([bytes(5000)])
    content = out.read_text()
    found = '"octets": "FF 13 84", "good": true'
    out.write_text(content.replace(found, '"octets": "FF 13 44", "good": true', 1))
    line = content[: content.index(found)].count("\n") + 2
    done = CliRunner().invoke(as_group(), ["replay", str(out)])
    assert done.exit_code == 1
    assert f"line {line}: the engine leaves the recording" in done.output
    assert "engine:   SendFrames" in done.output
    assert "train" in done.output


def as_group() -> typer.Typer:
    group = typer.Typer()
    group.add_typer(replay)
    group.callback()(lambda: None)
    return group
