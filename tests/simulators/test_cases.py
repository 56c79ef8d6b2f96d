"""The table of machines that misbehave names, for each case, what does so here and a test that carries the case."""

import ast
import re
from pathlib import Path

from simulators import personalities

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (R\d\d) \| .*? \| (.*) \| `(test_\w+\.py)`: `(test_\w+)` \|$", re.MULTILINE)
ROWS = ROW.findall((ROOT / "simulators" / "README.md").read_text())


def cases_of(test: ast.FunctionDef) -> set[str]:
    """Return the cases that a test carries."""
    marks = [mark for mark in test.decorator_list if isinstance(mark, ast.Call)]
    found = [mark.args for mark in marks if ast.unparse(mark.func) == "pytest.mark.case"]
    return {ast.literal_eval(arg) for args in found for arg in args}


def test_every_case_of_machines_that_misbehave_has_a_row() -> None:
    assert [case for case, *_ in ROWS] == [f"R{number}" for number in range(16, 26)]


def test_each_row_names_a_test_that_carries_its_case() -> None:
    for case, _, file, name in ROWS:
        (path,) = (ROOT / "tests").rglob(file)
        tests = [each for each in ast.parse(path.read_text()).body if isinstance(each, ast.FunctionDef)]
        (test,) = [each for each in tests if each.name == name]
        assert case in cases_of(test), name


def test_each_row_names_habits_that_there_are() -> None:
    for case, means, *_ in ROWS:
        for name in re.findall(r"`([A-Z]\w+s\w*)`", means):
            if name not in ("LIES", "NoisyModem"):
                assert hasattr(personalities, name), f"{case}: {name}"
