"""Runs the fuzzing programs: how long, in which environment, and what they must have got done."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

SHORT, LONG = 20, 600
"""Seconds."""
SLACK = 120
"""Seconds that a program may take beside."""
EXECUTIONS = re.compile(r"number_of_executed_units:\s*(\d+)")

INTERPRETED = {"NUMBA_DISABLE_JIT": "1", "NUMBA_BOUNDSCHECK": "0"}
CHECKED = {"NUMBA_DISABLE_JIT": "0", "NUMBA_BOUNDSCHECK": "1"}
"""Environments of a program."""


def fuzz(
    name: str, *, soak: bool, seed: int, floor: int, kept: Path | None = None, environment: Mapping[str, str] = {}
) -> None:
    """Have Atheris think of octets for a target; fail if one fails, or if it is given less than ``floor`` a second."""
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: there is no wheel of it for this machine")
    seconds = LONG if soak else SHORT
    options = [f"--seconds={seconds}", f"--seed={seed}", *([f"--kept={kept}"] if kept else [])]
    said = run("tests.fuzz.program", name, *options, seconds=seconds, environment=environment)
    executions = EXECUTIONS.search(said)
    assert executions, said[-4000:]
    print(f"{name} {dict(environment)}: {int(executions[1]):,} inputs in {seconds} s, seed {seed}")
    assert int(executions[1]) > floor * seconds


def run(program: str, *arguments: str, seconds: int, environment: Mapping[str, str]) -> str:
    """Run a program of ours that takes so many seconds; return what it said of itself."""
    done = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds + SLACK,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stderr + done.stdout
