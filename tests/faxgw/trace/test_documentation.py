"""docs/traces.md: the file in it is one, is told as it says, and every action, event and field stands there."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from faxgw.replay import replay
from faxgw.trace.line_time import Phase
from faxgw.trace.listing import listing
from faxgw.trace.reading import READ, read
from faxgw.trace.record import VERSION, Header
from faxgw.trace.values import ACTIONS, EVENTS
from t30 import ENGINE

TEXT = (Path(__file__).parents[3] / "docs" / "traces.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return str(found)


@pytest.fixture
def example(tmp_path: Path) -> Path:
    path = tmp_path / "call.jsonl"
    path.write_text(block("json"), encoding="utf-8")
    return path


def test_file_in_the_documentation_is_told_as_it_says(example: Path) -> None:
    assert "\n".join(line.plain.rstrip() for line in listing(read(example))) + "\n" == block("text")


def test_file_in_the_documentation_is_what_the_engine_does(example: Path) -> None:
    trace = read(example)
    assert trace.header.engine == ENGINE
    assert replay(trace) is None


@pytest.mark.parametrize("kind", [*ACTIONS.values(), *EVENTS.values()], ids=lambda kind: kind.__name__)
def test_every_action_and_event_stands_there_with_its_fields(kind: type) -> None:
    (row,) = (line for line in TEXT.splitlines() if line.startswith("|") and f"`{kind.__name__}`" in line)
    names = {each.name for each in fields(kind)} - {"at"}
    assert names <= set(re.findall(r"`(\w+)`", row))


def test_every_field_of_the_header_stands_there_with_the_versions() -> None:
    rows = {match[1]: match[0] for match in re.finditer(r"^\| `(\w+)` \| .*$", TEXT, re.MULTILINE)}
    assert {each.name for each in fields(Header)} | {"trace"} <= rows.keys()
    assert f"version of the format: {VERSION}" in rows["trace"]
    assert tuple(range(1, VERSION + 1)) == READ
    assert f"`t30.ENGINE`, now {ENGINE}" in TEXT


def test_every_phase_stands_there() -> None:
    assert all(f"| {phase.value} | " in TEXT for phase in Phase)
