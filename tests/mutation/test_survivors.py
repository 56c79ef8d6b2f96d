"""The tool that takes branches away: it finds them all, and sees which of them nobody misses."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.mutation import branches as tool
from tests.mutation import specimen
from tests.mutation.branches import Branch
from tests.mutation.survivors import ROOT, Excuse, faults, procedures
from tests.mutation.trials import STOPPED, Fate

SPECIMEN = Path(specimen.__file__).read_text()
SPECIMEN_TRIED = ("--modules", "tests.mutation.specimen", "--tests", "tests/mutation/specimen_tests.py")
LONG = "survives: tests.mutation.specimen:10 sized: if length > 100: ..."
TEXT = "survives: tests.mutation.specimen:45 evens: never number in value % 2 == 0 and value and number"


def survivors(*arguments: str) -> tuple[int, dict[str, Any], str]:
    """Run the tool in a process of its own; return its exit code, its result and what it said before."""
    command = [sys.executable, "-m", "tests.mutation.survivors", *arguments]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    said, brace, result = run.stdout.rpartition("\n{\n")
    assert brace, run.stdout + run.stderr
    return run.returncode, json.loads(brace + result), said


def words(source: str) -> list[str]:
    return [branch.words for branch in tool.branches("m", textwrap.dedent(source))]


def lacking(source: str, branch: str) -> object:
    """Return what ``f()`` gives without a branch."""
    source = textwrap.dedent(source)
    names: dict[str, Any] = {}
    exec(source, names)
    names["f"].__code__ = tool.without(source, next(b for b in tool.branches("m", source) if b.words == branch))
    return names["f"]()


def test_every_kind_of_branch_is_found() -> None:
    assert words(SPECIMEN) == [
        "if length < 0: ...",
        "if length > 100: ...",
        "never 'short' in 'short' if length < 10 else 'middling'",
        "never 'middling' in 'short' if length < 10 else 'middling'",
        "case int() | float() if thing == 0: its condition",
        "case int() | float() if thing == 0: int()",
        "case int() | float() if thing == 0: float()",
        "case int() | float() if thing == 0: ...",
        "case str() | bytes(): str()",
        "case str() | bytes(): bytes()",
        "case str() | bytes(): ...",
        "case _: ...",
        "for number in numbers: ...",
        "except ValueError: ...",
        "never value % 2 == 0 in value % 2 == 0 and value and number",
        "never value in value % 2 == 0 and value and number",
        "never number in value % 2 == 0 and value and number",
        "if value % 2 == 0 and value and number: ...",
        "only if each < 10",
        "while True: ...",
        "if count == limit: ...",
    ]


@pytest.mark.parametrize(
    ("branch", "value"),
    [
        ("if a: ...", [1, 0, 2]),
        ("for i in range(3): ...", []),
        ("continue", [0, 1, 2]),
        ("never a in a or i", [0, 1, 2]),
    ],
)
def test_without_a_branch_the_rest_is_done_all_the_same(branch: str, value: object) -> None:
    source = """
    def f():
        made = []
        for i in range(3):
            a = i == 0
            if a:
                made.append(i)
                continue
            made.append(a or i)
        return made
    """
    expected = {"if a: ...": [True, 1, 2], "continue": [0, True, 1, 2], "never a in a or i": [0, 1, 2]}
    assert lacking(source, branch) == expected.get(branch, value)


def test_a_generator_that_yields_no_more_is_still_one() -> None:
    made = lacking("def f():\n    for i in range(3):\n        yield i\n    return 7", "for i in range(3): ...")
    assert list(made) == []  # type: ignore[call-overload]


def test_a_loop_whose_body_is_gone_does_not_go_on_for_ever() -> None:
    assert lacking("def f():\n    n = 0\n    while n < 3:\n        n += 1\n    return n", "while n < 3: ...") == 0


def test_what_reads_the_same_without_a_branch_is_no_branch_twice() -> None:
    assert words("def f(a):\n    if a:\n        return 1\n    return 2") == ["if a: ..."]


def test_branches_that_are_alike_are_numbered() -> None:
    source = "def f(a):\n    if a:\n        print(1)\n    if a:\n        print(2)"
    assert words(source) == ["if a: ...", "if a: ... #2"]


@pytest.mark.slow
def test_branches_that_nobody_misses_are_told_and_nothing_else() -> None:
    code, result, _ = survivors(*SPECIMEN_TRIED, "--test-seconds", "0.5")
    assert code == 1
    assert [fault.partition(" (")[0] for fault in result["faults"]] == [LONG, TEXT]
    assert (result["branches"], result["noticed"], result["by"][STOPPED]) == (21, 19, 1)


def test_a_branch_may_survive_with_an_excuse_and_only_so() -> None:
    branch = Branch("m", "f", "if a: ...", range(1, 2), 1, 0)
    excuse = Excuse("m", "f", "if a: ...", "it only says what the types do")
    survived, noticed = Fate(branch, "", 3), Fate(branch, "test_a", 3)
    other = Excuse("m", "f", "if b: ...", "gone")
    assert faults([survived], [excuse], whole=True) == []
    assert faults([survived], [], whole=True) == ["survives: m:1 f: if a: ... (3 tests came by)"]
    assert faults([noticed], [excuse], whole=True) == ["excused, but noticed: m:1 f: if a: ... by test_a"]
    assert faults([], [other], whole=True) == ["excused, but there is no such branch: m f: if b: ..."]
    assert faults([], [other], whole=False) == []
    unsaid = Excuse("m", "f", "if a: ...", " ")
    assert faults([survived], [unsaid], whole=True) == ["excused without a reason: if a: ..."]


def test_the_procedures_are_all_those_of_the_flow_chart() -> None:
    parts = {"calling", "answering", "sending", "receiving", "exchange", "ecm", "session"}
    assert {f"t30.{part}" for part in parts} <= set(procedures())
    assert "t30.rates" not in procedures()


@pytest.mark.slow
@pytest.mark.soak
def test_every_branch_of_the_procedures_is_missed_or_excused(*, soak: bool) -> None:
    code, result, said = survivors(*([] if soak else ["--sample", "10", "--seed", "30"]))
    print({name: count for name, count in result.items() if name != "faults"})
    assert (code, result["faults"]) == (0, []), said
