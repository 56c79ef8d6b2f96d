"""What is said on the command line and in the configuration about policies is what a station does."""

import re
from pathlib import Path

import pytest

from faxgw.config.line import LineSettings
from faxgw.trace.reading import read
from t30.policy import LADDERS, QUALITIES, REFUSED, Policy
from tests import command

BUSY, OURS = "15550101", "15550199"


def told(path: Path, *words: str) -> Policy:
    """Return the policy of a call that does not come about."""
    command.faxgw(*words, "--line", f"sim:{OURS}", "--trace", path)
    return read(path).header.station.policy


def configured(**settings: str) -> Policy:
    """Return the policy of a line with these settings."""
    return LineSettings.model_validate({"name": "a", "url": f"sim:{OURS}", **settings}).station().policy


def test_a_sender_does_what_is_said_on_the_command_line(tmp_path: Path) -> None:
    page = tmp_path / "page.txt"
    page.write_text("page")
    said = told(tmp_path / "call.jsonl", "send", str(page), "--to", BUSY, "--ladder", "efax", "--refused", "ignore")
    assert said == Policy(LADDERS["efax"], REFUSED["ignore"])


@pytest.mark.parametrize("name", LADDERS)
def test_a_line_tries_rates_in_the_order_named(name: str) -> None:
    assert configured(ladder=name) == Policy(LADDERS[name])


@pytest.mark.parametrize("name", QUALITIES)
def test_a_receiver_is_as_strict_as_named(name: str, tmp_path: Path) -> None:
    out = str(tmp_path)
    said = told(tmp_path / "call.jsonl", "receive", "--out", out, "--quality", name, "--timeout", "0.1")
    assert said == Policy(quality=QUALITIES[name])
    assert configured(quality=name) == said


@pytest.mark.parametrize("name", REFUSED)
def test_a_line_does_about_refused_pages_what_is_named(name: str) -> None:
    assert configured(refused=name).refused == REFUSED[name]


def test_the_documentation_tells_what_each_name_does() -> None:
    text = (Path(__file__).parents[3] / "docs" / "pages.md").read_text()
    rows = {name: cells.split(" | ") for name, cells in re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", text, re.MULTILINE)}
    assert {*rows} == {*LADDERS, *REFUSED, *QUALITIES}
    assert {name: rows[name][0] for name in LADDERS} == {
        name: ", ".join(map(str, each)) for name, each in LADDERS.items()
    }
    for name in ("strict", "usual"):
        confirm, retrain, refuse = rows[name]
        quality = QUALITIES[name]
        assert [float(each) for each in re.findall(r"[0-9]+", confirm + retrain)] == [
            round(100 * quality.confirm),
            round(100 * quality.retrain),
        ]
        assert f"more than {quality.longest_run} in a row" in refuse
