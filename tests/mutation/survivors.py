"""Which branches of the procedures can be taken away without any test noticing it.

``python -m tests.mutation.survivors`` tries all of them and compares those that survive with ``excused.toml``.
"""

import argparse
import json
import random
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.mutation.branches import Branch
from tests.mutation.trials import STOPPED, TEST_SECONDS, Fate, Trials

ROOT = Path(__file__).parents[2]
EXCUSED = Path(__file__).with_name("excused.toml")
TESTS = ("tests/scenarios", "tests/t30")
NOT_PROCEDURES = ("--ignore=tests/t30/t4", "-m", "not slow and not soak and not interop")
DECIDING = ("t30.ecm", "t30.identification")
"""Modules that are no procedures, but whose branches decide what procedures do."""


def procedures() -> tuple[str, ...]:
    """Return the modules of ``t30`` that hold procedures: those that know what a ``Procedure`` is."""
    known = re.compile(r"^(from t30\.exchange import .*\bProcedure\b|Procedure = )", re.MULTILINE)
    texts = {f"t30.{path.stem}": _joined(path.read_text()) for path in sorted((ROOT / "t30").glob("*.py"))}
    return (*DECIDING, *(name for name, text in texts.items() if known.search(text)))


def _joined(source: str) -> str:
    """Return the source with each import in parentheses on one line."""
    return re.sub(r"\(([^()]*)\)", lambda found: " ".join(found[0].split()), source)


@dataclass(frozen=True, slots=True)
class Excuse:
    """A branch that may go unnoticed."""

    module: str
    function: str
    branch: str
    reason: str

    @classmethod
    def all(cls, path: Path) -> "list[Excuse]":
        """Return what a list of excuses holds."""
        return [cls(**each) for each in tomllib.loads(path.read_text()).get("excused", [])]

    def fits(self, branch: Branch) -> bool:
        """Tell whether it is this branch."""
        return (self.module, self.function, self.branch) == (branch.module, branch.function, branch.words)


def faults(fates: Iterable[Fate], excuses: Iterable[Excuse], *, whole: bool) -> list[str]:
    """Return what is wrong: branches that survive without an excuse, and excuses for none that does.

    Args:
        fates: what became of each branch.
        excuses: which of them may survive.
        whole: all branches were tried, so that an excuse must be for one of them.
    """
    fates, excuses = list(fates), list(excuses)
    found = [
        f"survives: {fate.branch} ({fate.tried} tests came by)"
        for fate in fates
        if not fate.noticed_by and not any(excuse.fits(fate.branch) for excuse in excuses)
    ]
    for excuse in excuses:
        fitting = [fate for fate in fates if excuse.fits(fate.branch)]
        if not fitting and whole:
            found.append(f"excused, but there is no such branch: {excuse.module} {excuse.function}: {excuse.branch}")
        found += [f"excused, but noticed: {fate.branch} by {fate.noticed_by}" for fate in fitting if fate.noticed_by]
        if not excuse.reason.strip():
            found.append(f"excused without a reason: {excuse.branch}")
    return found


def main(arguments: list[str]) -> int:
    """Try the branches, say what became of them, and return 0 if all is as it should be."""
    options = _options(arguments)
    excuses = Excuse.all(options.excused)

    def choose(found: list[Branch]) -> list[Branch]:
        fitting = [branch for branch in found if options.only in str(branch)]
        if options.sample:
            fitting = [branch for branch in fitting if not any(excuse.fits(branch) for excuse in excuses)]
        size = min(options.sample or len(fitting), len(fitting))
        return [fitting[index] for index in sorted(random.Random(options.seed).sample(range(len(fitting)), size))]

    def report(fate: Fate) -> None:
        if not fate.noticed_by or options.verbose:
            print(f"{fate.branch}: {fate.noticed_by or 'SURVIVES'} [{fate.tried}]", flush=True)

    places = options.tests or TESTS
    trials = Trials(
        options.modules or procedures(),
        places,
        random.Random(options.seed) if options.sample else None,
        test_seconds=options.test_seconds,
        choose=choose,
        report=report,
    )
    quiet = ["-q", "-q", "--tb=no", "--no-header", "--no-summary", "-p", "no:cacheprovider", "-p", "no:xdist"]
    code = pytest.main([*quiet, *NOT_PROCEDURES, *places], plugins=[trials])
    if code != pytest.ExitCode.OK or trials.broken:
        print(f"the tests cannot be run ({code!r}); failing as it is: {trials.broken}")
        return 2
    wrong = faults(trials.fates, excuses, whole=not (options.modules or options.sample or options.only))
    print(json.dumps(_summary(trials.fates, places) | {"faults": wrong}, indent=1))
    return 1 if wrong else 0


def _summary(fates: list[Fate], places: Iterable[str]) -> dict[str, Any]:
    noticed = [fate.noticed_by for fate in fates if fate.noticed_by]
    return {
        "branches": len(fates),
        "of": Counter(fate.branch.module for fate in fates),
        "noticed": len(noticed),
        "by": {place: sum(test.startswith(place) for test in noticed) for place in (*places, STOPPED)},
        "unnoticed": len(fates) - len(noticed),
    }


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.survivors", description=__doc__)
    parser.add_argument("--modules", nargs="*", help="other modules than those with procedures")
    parser.add_argument("--tests", nargs="*", help="other tests")
    parser.add_argument("--excused", type=Path, default=EXCUSED, help="another list of excuses")
    parser.add_argument("--only", default="", help="only branches in whose name this occurs")
    parser.add_argument("--sample", type=int, default=0, help="only so many of them, by chance")
    parser.add_argument("--seed", type=int, default=0, help="of that chance")
    parser.add_argument("--test-seconds", type=float, default=TEST_SECONDS, help="processor time that a test may take")
    parser.add_argument("--verbose", action="store_true", help="say for each branch which test noticed it")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
