"""docs/audit.md lists every action that the code can write into the log, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from faxgw.model import LAST_EVENTS, EventType

ROOT = Path(__file__).parents[3]
RECORDING = {
    "change_noted",
    "ended",
    "note",
    "note_end",
    "note_new",
    "own_account",
    "record",
    "record_each",
    "recorded",
}
"""Names of the functions that write rows, with or without an underscore."""
ESCROW = [each for each in EventType if each.value.startswith("escrow.") and each is not EventType.ESCROW_ENDED]
"""Events that stand in the log by their own names."""
ACTION = re.compile(r"[a-z_]+\.[a-z_]+")
LISTED = re.compile(r"`([a-z_]+\.[a-z_]+)`")


def written() -> dict[str, str]:
    """Return every action that is written somewhere in faxgw, and where."""
    found = {event.value: "faxgw/faxes/changes.py" for event in LAST_EVENTS}
    found |= {event.value: "faxgw/api/resources/escrow.py" for event in ESCROW}
    for path in sorted((ROOT / "faxgw").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            found |= dict.fromkeys(_actions(node), str(path.relative_to(ROOT)))
    return found


def listed() -> set[str]:
    """Return the actions in the first column of the table."""
    text = (ROOT / "docs" / "audit.md").read_text()
    rows = text.partition("| action | when |")[2].partition("\n\n")[0].splitlines()
    return {action for row in rows for action in LISTED.findall(row.split("|")[1] if "|" in row else "")}


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr.lstrip("_")
    return function.id.lstrip("_") if isinstance(function, ast.Name) else ""


def _actions(node: ast.AST) -> Iterator[str]:
    """Return what a call writes, or what a mapping or a variable passes on as ``action``."""
    given: list[ast.expr] = []
    if isinstance(node, ast.Call) and _name(node.func) in RECORDING:
        given = [*node.args, *(each.value for each in node.keywords if each.arg == "action")]
    if isinstance(node, ast.Dict):
        both = zip(node.keys, node.values, strict=True)
        given = [value for key, value in both if isinstance(key, ast.Constant) and key.value == "action"]
    if isinstance(node, ast.Assign) and [_name(target) for target in node.targets] == ["action"]:
        given = [node.value]
    for each in (inner for argument in given for inner in ast.walk(argument)):
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and ACTION.fullmatch(each.value):
            yield each.value


@pytest.mark.slow
def test_every_action_of_the_code_is_documented_and_every_one_that_is_documented_is_written() -> None:
    assert len(written()) > 60
    undocumented = {action: where for action, where in written().items() if action not in listed()}
    assert not undocumented
    assert not listed() - written().keys()
