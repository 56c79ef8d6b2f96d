"""The table of reasons: complete, and the same in the documentation."""

import ast
import re
from pathlib import Path

import pytest

from faxgw.rules.causes import OVERRIDABLE, SOON, TREATMENTS, Change, Retry, as_markdown, treatment

ROOT = Path(__file__).parents[3]
PARTS = [*ROOT.glob("t30/*.py"), *ROOT.glob("drivers/**/*.py"), ROOT / "faxgw/calls.py"]
FAMILIES = re.compile(r"(call|fax|line|storage|document)\.[a-z_]+")


def codes(path: Path) -> set[str]:
    """Return the reason codes that a module names."""
    found = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
    return {each for each in found if isinstance(each, str) and FAMILIES.fullmatch(each)}


def test_every_reason_of_the_engine_and_the_drivers_is_in_the_table() -> None:
    named = set().union(*(codes(path) for path in PARTS))
    assert {"call.busy", "fax.training", "line.dropped", "storage.failed"} <= named
    assert named - TREATMENTS.keys() == set()


def test_the_documentation_shows_the_table_that_the_gateway_works_from() -> None:
    assert (ROOT / "docs/retry.md").read_text().endswith(as_markdown())


@pytest.mark.parametrize("code", TREATMENTS)
def test_every_treatment_makes_sense(code: str) -> None:
    each = TREATMENTS[code]
    assert each.text
    assert (each.delay == 0) == (each.retry is Retry.NEVER)
    assert each.retry is Retry.NEVER or (each.delay <= SOON) == (each.retry is Retry.SOON)
    assert f"| `{code}` |" in as_markdown()


@pytest.mark.parametrize(
    ("code", "seconds"), [("call.busy", 180), ("call.no_answer", 300), ("fax.protocol", 60), ("call.no_carrier", 300)]
)
def test_delays_are_those_of_hylafax(code: str, seconds: float) -> None:
    assert TREATMENTS[code].delay == seconds


@pytest.mark.parametrize(
    "code", ["call.unallocated", "call.canceled", "number.invalid", "policy.misdirect", "document.damaged"]
)
def test_what_no_call_can_change_is_never_tried_again(code: str) -> None:
    assert treatment(code).retry is Retry.NEVER


@pytest.mark.parametrize(
    ("code", "retry", "change", "ours"),
    [
        ("call.new", Retry.LATER, Change.NOTHING, False),
        ("fax.new", Retry.SOON, Change.MODEM, False),
        ("line.new", Retry.SOON, Change.LINE, True),
        ("storage.new", Retry.LATER, Change.NOTHING, True),
        ("document.new", Retry.NEVER, Change.NOTHING, False),
        ("", Retry.NEVER, Change.NOTHING, False),
    ],
)
def test_a_reason_that_is_not_in_the_table_is_treated_as_its_family(
    code: str, retry: Retry, change: Change, ours: bool
) -> None:
    found = treatment(code)
    assert (found.retry, found.change, found.ours) == (retry, change, ours)


def test_nobody_can_have_a_canceled_or_misdirected_fax_dialled_again() -> None:
    assert not {"call.canceled", "policy.misdirect", "number.denied_by_policy"} & OVERRIDABLE
    assert {"call.busy", "fax.training", "line.dropped"} <= OVERRIDABLE
