"""The pages about folders say what is in the code."""

import re
from pathlib import Path

import pytest

from faxgw.api.codes import CODES

ROOT = Path(__file__).parents[3]
FOLDERS = ROOT / "faxgw" / "folders"
RAISED = re.compile(r"\b(Unreachable|Refused|NotProtected|RequestError)\(\s*\"((?:delivery|target)\.\w+)\"")
ROW = re.compile(r"^\| `(delivery\.\w+)` \| `(\w+)` \|", re.MULTILINE)


def raised() -> set[tuple[str, str]]:
    return {(code, kind) for path in FOLDERS.glob("*.py") for kind, code in RAISED.findall(path.read_text())}


def test_every_code_that_a_carrier_has_is_in_the_table_and_no_other() -> None:
    rows = ROW.findall((FOLDERS / "README.md").read_text())
    assert sorted(rows) == sorted(pair for pair in raised() if pair[1] != "RequestError")


@pytest.mark.parametrize("code", sorted(code for code, kind in raised() if kind == "RequestError"))
def test_every_mistake_in_a_target_is_a_problem_of_the_api(code: str) -> None:
    assert code in CODES
    assert f"`{code}`" in (FOLDERS / "README.md").read_text()


def test_the_readme_has_a_row_for_every_module() -> None:
    text = (FOLDERS / "README.md").read_text()
    assert [path.name for path in FOLDERS.glob("[!_]*.py") if f"| `{path.name}` |" not in text] == []
