"""The list of the scenarios: what was asked for by name is there, and enough of them are played through a modem."""

import importlib
import re
from pathlib import Path

from tests.scenarios.stage import Scenario

HERE = Path(__file__).parent
NAMED = re.compile(r"^\| (?P<case>[^|`]+) \| (?P<names>[^|]*`[^|]+) \|$", re.MULTILINE)
BY_DRIVER = 1 / 3
"""This share of the scenarios is played through the Class 1 driver and the modem simulator, too."""


def scenarios() -> dict[str, list[Scenario]]:
    """Return all scenarios by their names, which several tests may share."""
    found: dict[str, list[Scenario]] = {}
    for path in sorted(HERE.glob("test_*.py")):
        module = importlib.import_module(f"tests.scenarios.{path.stem}")
        for table in vars(module).values():
            if isinstance(table, dict):
                for name, scenario in table.items():
                    if isinstance(scenario, Scenario):
                        found.setdefault(name, []).append(scenario)
    return found


def test_each_case_that_was_asked_for_by_name_is_there() -> None:
    known = scenarios()
    cases = {
        row["case"]: re.findall(r"`([^`]+)`", row["names"]) for row in NAMED.finditer((HERE / "README.md").read_text())
    }
    assert len(cases) == 12
    assert [name for names in cases.values() for name in names if name not in known] == []


def test_a_third_of_the_scenarios_is_played_through_a_modem() -> None:
    played = [scenario for alike in scenarios().values() for scenario in alike]
    assert sum(scenario.driver for scenario in played) >= BY_DRIVER * len(played)
