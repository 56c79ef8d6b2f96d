"""docs/requirements.md says which tests show which requirement, and is what the tests themselves say."""

import json

from faxgw.exports.evidence import requirements
from tests.requirements import DATA, PAGE, REQUIREMENTS, as_json, as_markdown, shown, state

HOW = "run: python -m tests.requirements"


def test_the_page_and_the_data_of_the_package_are_in_step_with_the_tests() -> None:
    assert PAGE.read_text() == as_markdown(), HOW
    assert DATA.read_text() == as_json(), HOW
    assert requirements() == json.loads(as_json())


def test_every_requirement_is_listed_and_no_test_names_another() -> None:
    assert [len([name for name in REQUIREMENTS if name.startswith(kind)]) for kind in ("XM", "FP", "WF")] == [
        25,
        14,
        16,
    ]
    assert set(shown()) == set(REQUIREMENTS)


def test_what_nothing_shows_is_called_open() -> None:
    assert state("FP-12", []) == "open"
    assert state("FP-12", ["tests/test_x.py::test_y"]) == "met"
    assert state("XM-15", ["tests/test_x.py::test_y"]).startswith("partly")
