"""Any octets at all, for IFP, UDPTL, TPKT, T.38 streams, pages, SIP, SDP, SMTP: twenty seconds each, or ten minutes."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import packets, pages, signalling, submission
from tests.fuzz.target import Reader, Target, pieced

TARGETS = {each.name: each for each in (*packets.TARGETS, *pages.TARGETS, *signalling.TARGETS, *submission.TARGETS)}
FOUND = sorted(Path(__file__).with_name("found").glob("*-*"))
"""Inputs that were found to fail once; the name begins with that of their target."""
SHORT, LONG = 20, 600
SLACK = 120
"""Seconds that the program may take beside."""
EXECUTIONS = re.compile(r"number_of_executed_units:\s*(\d+)")


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_what_our_own_writers_make_stands_the_test(target: Target) -> None:
    corpus = target.corpus()
    assert len(corpus) > 3
    for each in corpus:
        target(each)
        for cut in range(0, len(each), 1 + len(each) // 50):
            target(each[:cut])
            target(each[:cut] + b"\xff" + each[cut + 1 :])


def test_what_was_found_once_is_mended() -> None:
    for path in FOUND:
        print(path.name)
        TARGETS[path.name.partition("-")[0]](path.read_bytes())


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("name", TARGETS)
def test_no_octets_do_harm(name: str, soak: bool, soak_seed: int) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: there is no wheel of it for this machine")
    seconds = LONG if soak else SHORT
    command = [sys.executable, "-m", "tests.fuzz.program", name, f"--seconds={seconds}", f"--seed={soak_seed}"]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=seconds + SLACK, check=False
    )
    executions = EXECUTIONS.search(done.stderr)
    assert done.returncode == 0 and executions, done.stderr[-4000:]
    print(f"{name}: {int(executions[1]):,} inputs in {seconds} s, seed {soak_seed}")
    assert int(executions[1]) > 100 * seconds


def test_a_target_takes_pieces_apart_as_they_were_put_together() -> None:
    assert list(Reader(pieced(b"abc", b"", b"d")).pieces()) == [b"abc", b"", b"d"]
