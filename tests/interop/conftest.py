"""Peers that run beside a test: started here, ended here, and their story told when the test fails."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

LONGEST_CALL = 120.0
LONGEST_SOAK = 900.0


@dataclass(frozen=True)
class SpandspLine:
    """A running ``spandsp_t31.py``: ``path`` is the pseudo-terminal of its modem."""

    path: str
    process: subprocess.Popen[str]
    dialogue: Path

    def await_said(self, words: str, *, times: int) -> None:
        """Wait until the DTE has said this so often."""
        gives_up = time.monotonic() + LONGEST_CALL
        while self.dialogue.read_text().count(words) < times:
            assert time.monotonic() < gives_up, f"{words} was not said {times} times"
            time.sleep(0.01)

    def report(self) -> dict[str, Any]:
        """End the modem and return what it says about the call."""
        printed, _ = self.process.communicate(timeout=10)
        assert self.process.returncode == 0, f"libspandsp ended with {self.process.returncode}"
        report: dict[str, Any] = json.loads(printed)
        return report


@pytest.fixture
def spandsp_line(peer_library: Callable[[str], str], tmp_path: Path) -> Iterator[Callable[..., SpandspLine]]:
    """Return a function that starts libspandsp's modem and terminal with the options given."""
    peer_library("spandsp")
    dialogue, story = tmp_path / "dialogue.txt", tmp_path / "spandsp.txt"
    running: list[SpandspLine] = []

    def start(*options: object) -> SpandspLine:
        command = [
            sys.executable,
            "-m",
            "tests.interop.spandsp_t31",
            "--verbose",
            "--seconds",
            LONGEST_CALL,
            "--dialogue",
            dialogue,
            *options,
        ]
        with story.open("w") as errors:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert process.stdout
        running.append(SpandspLine(process.stdout.readline().strip(), process, dialogue))
        return running[-1]

    yield start
    for line in running:
        line.process.kill()
        line.process.communicate()
    for told in (dialogue, story):
        if told.exists():
            print(f"--- {told.name}\n{told.read_text()}")


@pytest.fixture
def spandsp_calls(peer_library: Callable[[str], str]) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    """Return a function that makes the calls which ``spandsp_t30.py`` describes, and gives what they came to."""
    peer_library("spandsp")

    def make(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        command = [sys.executable, "-m", "tests.interop.spandsp_t30"]
        asked = "".join(json.dumps(call) + "\n" for call in calls)
        done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=LONGEST_SOAK, check=False)
        print(done.stderr)
        assert done.returncode == 0
        return [json.loads(line) for line in done.stdout.splitlines()]

    return make


@pytest.fixture(scope="session")
def postfix_program(peer: Callable[[str], Path]) -> Path:
    """Return where Postfix is; ``postfix.running`` runs one in a folder of its own."""
    found = peer("postfix")
    if os.geteuid() != 0:
        (pytest.fail if os.environ.get("FAXGW_REQUIRE_PEERS") == "1" else pytest.skip)("Postfix starts as root only")
    return found
