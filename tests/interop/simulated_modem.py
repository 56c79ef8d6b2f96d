"""``faxgw simulate modem`` in a process of its own, for a peer to open its pseudo-terminal."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class SimulatedModem:
    """A modem that runs; ``path`` is its pseudo-terminal."""

    process: subprocess.Popen[str]
    path: str

    def calls(self, *, within: float = 30.0) -> list[dict[str, Any]]:
        """Wait for its end and return what its calls came to; say what it said, in time or not."""
        try:
            told, errors = self.process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGINT)
            print(*self.process.communicate(timeout=10))
            raise
        print(errors)
        assert self.process.returncode == 0
        calls: list[dict[str, Any]] = json.loads(told)["calls"]
        return calls


@contextmanager
def simulated_modem(*options: object) -> Iterator[SimulatedModem]:
    """Run a modem with the options given; it is ended in the end."""
    command = [Path(sys.executable).with_name("faxgw"), "simulate", "modem", "--json", *options]
    process = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr
        yield SimulatedModem(process, process.stderr.readline().strip())
    finally:
        process.kill()
        process.communicate()
