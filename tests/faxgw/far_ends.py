"""The far ends of a started service in processes of their own: an exchange with modems, fax machines and callers."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

FAXGW = str(Path(sys.executable).with_name("faxgw"))
STARTS_WITHIN = 120.0
"""Seconds; the codec is compiled anew in a fresh checkout."""
SPEED = 10
"""How many times faster than real the line clocks run, unless a test says otherwise."""


class Exchange:
    """``faxgw simulate exchange``: a modem for each line, and fax machines at every number.

    Attributes:
        log: where the machines tell of calls and of each page that they confirm.
    """

    def __init__(
        self, folder: Path, *, lines: Sequence[str], numbers: Sequence[str], speed: float = SPEED, at_a_time: int = 0
    ) -> None:
        """Name the lines and the numbers; ``at_a_time`` calls does each number take, 0: any."""
        self.folder = folder
        self.lines = tuple(lines)
        self.numbers = tuple(numbers)
        self.speed = speed
        self.log = folder / "calls.jsonl"
        self._options = ["--lines", str(at_a_time)] if at_a_time else []
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; the modems are there when this returns."""
        command = [FAXGW, "simulate", "exchange", "--speed", str(self.speed), "--log", str(self.log), *self._options]
        for digit, line in enumerate(self.lines):
            command += ["--modem", f"{self.folder / line}=1555019{digit}"]
        for number in self.numbers:
            (self.folder / number).mkdir(exist_ok=True)
            command += ["--machine", f"{number}={self.folder / number}"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + STARTS_WITHIN
        while not all((self.folder / line).exists() for line in self.lines):
            assert self._process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)

    def stop(self) -> None:
        """End it, and with it every modem, whatever call is on."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def config(self, lines: Sequence[str] | None = None, *, use: str = "send") -> str:
        """Return a configuration with the modems, or some of them, as lines, and short leases."""
        text = "[dispatch]\nlease = 6\nrenew = 1\n"
        for line in self.lines if lines is None else lines:
            text += (
                f'[[lines]]\nname = "{line}"\nurl = "class1:{self.folder / line}?speed={self.speed}"\nuse = "{use}"\n'
            )
        return text

    def calling(self, line: str, to: str, fax: Path) -> "Calling":
        """Have a fax (TIFF or PDF) sent over one modem to another, by a process that knows nothing of the service."""
        number = f"1555019{self.lines.index(to)}"
        url = f"class1:{self.folder / line}?speed={self.speed}"
        return Calling([FAXGW, "send", str(fax), "--line", url, "--to", number, "--json"])

    def told(self, event: str) -> list[dict[str, Any]]:
        """Return what the machines told of: each ``call`` that ended, or each ``page`` confirmed, in time."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return sorted((each for each in map(json.loads, lines) if each["event"] == event), key=lambda each: each["at"])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()


class Calling:
    """A call from somebody else."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def outcome(self, within: float = 120.0) -> dict[str, Any]:
        """Wait for its end, and return what it came to for the machine that called."""
        said, _ = self._process.communicate(timeout=within)
        outcome: dict[str, Any] = json.loads(said)
        return outcome
